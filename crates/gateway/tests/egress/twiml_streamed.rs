//! Answers that come in pieces, slowly, without a length, or without an end.

use std::time::Duration;

use ringfence_breaker::Limit;
use ringfence_model::Amount;
use ringfence_testkit::RawUpstream;

use crate::held::{Held, OVER, Said, Then, text};
use crate::world::limit;

const DIAL: &str = "<Response><Dial>+14155550123</Dial></Response>";
const BOUND: &str = "<Response><Dial timeLimit=\"600\">+14155550123</Dial></Response>";

fn daily() -> Vec<Limit> {
    vec![limit("daily", "50")]
}

/// Nothing is set aside, and nobody has seen a part of it.
async fn nothing_came_of_it(held: &Held) {
    assert_eq!(held.world.store.open_reservations(None, 9).await.unwrap(), []);
    assert_eq!(held.world.reserved("daily").await, Amount::ZERO);
}

#[tokio::test]
async fn an_answer_that_is_cut_leads_to_nothing() {
    let held = Held::new().await;
    for said in [
        Said::xml(DIAL).streamed(7, Then::IsCut),
        Said::of_type("text/plain", "hello").streamed(1, Then::IsCut),
    ] {
        held.says(said);
        let answer = held.call(&[]).await;
        assert_eq!((answer.status, answer.text()), (502, ""));
        held.send(&text(), &[]).await;
    }
    nothing_came_of_it(&held).await;
    // Without a length the end of the connection is the end of it: half a document is none.
    for (reply, given) in [
        ("<Response><Dial>+1415555", OVER),
        ("<Response><Dial>+14155550123</Dial>", OVER),
        ("<Response><Say>Hello</Say></Response>", "<Response><Say>Hello</Say></Response>"),
    ] {
        let reply = format!("HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\n\r\n{reply}");
        let application = RawUpstream::replying(reply).await;
        let address = application.address();
        let held = Held::with(daily(), move |settings| {
            settings.routes[0].upstream = format!("http://{address}").parse().unwrap();
        })
        .await;
        assert_eq!(held.call(&[]).await.text(), given);
        nothing_came_of_it(&held).await;
    }
}

#[tokio::test]
async fn an_answer_that_goes_on_for_ever_is_not_read_for_ever() {
    let held = Held::new().await;
    for said in [
        Said::xml("<Response>"),
        Said::xml(DIAL),
        Said::of_type("text/plain", "hello"),
        Said { headers: vec![], ..Said::xml(DIAL) },
    ] {
        assert_eq!(held.answer_to_call(said.streamed(3, Then::GoesOn)).await, OVER);
    }
    assert_eq!(held.outcomes("unreadable_twiml").await, 4);
    nothing_came_of_it(&held).await;
}

#[tokio::test]
async fn an_answer_that_never_comes_to_its_end_is_waited_for_no_longer_than_any_other() {
    let change = |settings: &mut ringfence_gateway::settings::Settings| {
        settings.routes[0].timeout = Duration::from_millis(200);
    };
    let held = Held::with(daily(), change).await;
    for said in [Said::xml("<Response><Dial>+1415"), Said::xml(DIAL), Said::of_type("text/plain", "hello")] {
        held.says(said.streamed(4, Then::Hangs));
        let answer = held.call(&[]).await;
        assert_eq!((answer.status, answer.text()), (504, ""));
    }
    nothing_came_of_it(&held).await;
}

#[tokio::test]
async fn an_answer_in_pieces_is_given_once_all_of_it_is_here_and_set_aside() {
    let held = Held::new().await;
    for (each, reserved) in [(1, "1"), (7, "2"), (4_096, "3")] {
        held.says(Said::xml(DIAL).streamed(each, Then::Ends));
        let answer = held.call(&[]).await;
        assert_eq!((answer.status, answer.text()), (200, BOUND));
        assert_eq!(held.world.reserved("daily").await, reserved.parse().unwrap());
    }
    // Within a character too.
    held.says(Said::of_type("text/plain; charset=utf-8", "gr\u{fc}\u{df}e").streamed(1, Then::Ends));
    assert_eq!(held.text().await.text(), "gr\u{fc}\u{df}e");
    assert_eq!(held.world.reserved("daily").await, "4".parse().unwrap());
    // Without a length.
    let application =
        RawUpstream::replying(format!("HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\n\r\n{DIAL}")).await;
    let address = application.address();
    let held = Held::with(daily(), move |settings| {
        settings.routes[0].upstream = format!("http://{address}").parse().unwrap();
    })
    .await;
    assert_eq!(held.call(&[]).await.text(), BOUND);
    assert_eq!(held.world.reserved("daily").await, "1".parse().unwrap());
}

#[tokio::test]
async fn what_is_played_or_fetched_streams_and_is_as_long_as_it_is() {
    let held = Held::new().await;
    for (content_type, each) in [("audio/mpeg", 4_096), ("application/json", 1_000)] {
        held.says(Said::of_type(content_type, vec![b'7'; 200_000]).streamed(each, Then::Ends));
        assert_eq!(held.call(&[]).await.body.len(), 200_000);
    }
    nothing_came_of_it(&held).await;
}
