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
    for content_type in ["audio/mpeg", "Audio/X-Wav; rate=8000", "image/png", "video/mp4"] {
        held.says(Said::of_type(content_type, vec![b'7'; 200_000]).streamed(4_096, Then::Ends));
        assert_eq!(held.call(&[]).await.body.len(), 200_000, "{content_type}");
    }
    nothing_came_of_it(&held).await;
}

/// Types of which Twilio does not say that it plays them, and what stands where a type should be.
const OTHERS: [&str; 13] = [
    "application/octet-stream",
    "application/json",
    "application/problem+json",
    "application/pdf",
    "application/x-www-form-urlencoded",
    "multipart/mixed; boundary=x",
    "text/plain",
    "text/html",
    "text/csv",
    "image/svg+xml",
    "audio/mpeg, text/xml",
    "audio",
    "nonsense",
];

#[tokio::test]
async fn a_document_of_whatever_type_that_is_no_file_is_held_however_it_comes() {
    let held = Held::new().await;
    let untyped = Said { headers: vec![], ..Said::xml(DIAL) };
    let said = OTHERS.map(|content_type| Said::of_type(content_type, DIAL));
    for (number, said) in (1_u64..).zip(said.into_iter().chain([untyped])) {
        let shown = format!("{:?}", said.headers);
        assert_eq!(held.answer_to_call(said.streamed(1, Then::Ends)).await, BOUND, "{shown}");
        assert_eq!(held.outcomes("taken").await, number, "{shown}");
    }
}

#[tokio::test]
async fn what_is_too_long_and_no_file_is_not_given_whatever_its_type() {
    let held = Held::new().await;
    for content_type in OTHERS {
        for length in [64 * 1_024 + 1, 200_000] {
            let said = Said::of_type(content_type, vec![b' '; length]).streamed(4_096, Then::Ends);
            assert_eq!(held.answer_to_call(said).await, OVER, "{content_type}");
        }
    }
    nothing_came_of_it(&held).await;
}

#[tokio::test]
async fn a_text_of_a_type_that_nobody_knows_is_one_to_send_and_json_is_none() {
    let held = Held::new().await;
    for content_type in ["application/octet-stream", "application/x-foo"] {
        held.says(Said::of_type(content_type, "hello").streamed(2, Then::Ends));
        assert_eq!(held.text().await.text(), "hello");
        // Spoken it costs nothing.
        assert_eq!(held.call(&[]).await.text(), "hello");
    }
    assert_eq!(held.world.reserved("daily").await, "2".parse().unwrap());
    for content_type in ["application/json", "application/hal+json; charset=utf-8"] {
        held.says(Said::of_type(content_type, "{\"ok\":true}").streamed(2, Then::Ends));
        assert_eq!(held.text().await.text(), "{\"ok\":true}");
    }
    assert_eq!(held.world.reserved("daily").await, "2".parse().unwrap());
    // What there is no money for is not said either.
    let held = Held::with(vec![limit("daily", "0.5")], |_| {}).await;
    held.says(Said::of_type("application/octet-stream", "hello").streamed(2, Then::Ends));
    assert_eq!(held.text().await.text(), "<Response/>");
    nothing_came_of_it(&held).await;
}
