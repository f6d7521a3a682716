//! What an application answers to an assignment callback of `TaskRouter`: instructions, which may call or lead elsewhere.

use ringfence_model::Amount;
use ringfence_store::ReservationState;
use ringfence_testkit::Response;

use crate::held::{Held, PUBLIC_URL, Said, Then, assignment};
use crate::world::limit;

const NOTHING: &str = "{}";

fn says(json: &str) -> Said {
    Said::of_type("application/json", json)
}

async fn asked(held: &Held, said: Said) -> Response {
    held.says(said);
    held.send(&assignment(&[]), &[]).await
}

#[tokio::test]
async fn an_instruction_that_does_not_fit_or_leads_elsewhere_is_not_given() {
    let held = Held::with(vec![limit("daily", "23")], |_| {}).await;
    for (said, outcome) in [
        // Four hours of a tenth a minute.
        (r#"{"instruction":"dequeue"}"#, "does_not_fit"),
        (r#"{"instruction":"call","to":"+447911123456"}"#, "does_not_fit"),
        (r#"{"instruction":"conference"}"#, "does_not_fit"),
        (r#"{"instruction":"call","to":"+37120000000"}"#, "unknown_price"),
        (
            r#"{"instruction":"redirect","call_sid":"CA1","url":"https://evil.example/twiml"}"#,
            "foreign_twiml",
        ),
        (r#"{"instruction":"call","url":"https://evil.example/"}"#, "foreign_twiml"),
        (r#"{"instruction":"conference","wait_url":"https://evil.example/"}"#, "foreign_twiml"),
        (r#"{"instruction":"transfer","to":"+14155550123"}"#, "unknown_twiml"),
        (r#"{"instruction":"dequeue","instruction":"accept"}"#, "unreadable_twiml"),
        (r#"{"instruction":"dequeue""#, "unreadable_twiml"),
    ] {
        let before = held.outcomes(outcome).await;
        let answer = asked(&held, says(said)).await;
        assert_eq!((answer.status, answer.text()), (200, NOTHING), "{said}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(held.outcomes(outcome).await, before + 1, "{said}");
    }
    assert_eq!(held.world.store.open_reservations(None, 9).await.unwrap(), []);
    assert_eq!(held.world.reserved("daily").await, Amount::ZERO);
}

#[tokio::test]
async fn an_instruction_is_read_whatever_it_is_called_and_however_it_comes() {
    let held = Held::with(vec![limit("daily", "1")], |_| {}).await;
    let dequeue = r#"{"instruction":"dequeue"}"#;
    for content_type in ["text/plain", "text/html", "image/png", "application/x-www-form-urlencoded", "x"] {
        assert_eq!(
            asked(&held, Said::of_type(content_type, dequeue)).await.text(),
            NOTHING,
            "{content_type}"
        );
    }
    assert_eq!(asked(&held, Said { headers: vec![], ..says(dequeue) }).await.text(), NOTHING);
    assert_eq!(asked(&held, says(dequeue).streamed(1, Then::Ends)).await.text(), NOTHING);
    assert_eq!(asked(&held, says("{").streamed(1, Then::GoesOn)).await.text(), NOTHING);
    let utf_16: Vec<u8> = dequeue.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for said in
        [Said { body: utf_16.clone(), ..says("") }, Said::of_type("application/json; charset=utf-16", utf_16)]
    {
        assert_eq!(asked(&held, said).await.text(), NOTHING);
    }
    let gzip = vec![("content-type", "application/json".to_owned()), ("content-encoding", "gzip".to_owned())];
    assert_eq!(asked(&held, Said { headers: gzip, ..says(dequeue) }).await.text(), NOTHING);
    assert_eq!(held.world.store.open_reservations(None, 9).await.unwrap(), []);
}

#[tokio::test]
async fn what_an_instruction_calls_is_set_aside_under_the_account_and_known_again_in_the_list() {
    let held = Held::new().await;
    let said = r#"{"instruction":"dequeue","from":"+14155550199","timeout":"10"}"#;
    let answer = asked(&held, says(said)).await;
    assert_eq!((answer.status, answer.text()), (200, said));
    assert_eq!(held.world.reserved("daily").await, "24".parse().unwrap());
    let open = held.world.store.open_reservations(None, 9).await.unwrap();
    let [call] = open.as_slice() else { panic!("one call: {open:?}") };
    assert_eq!((&*call.operation, call.state), ("taskrouter.call", ReservationState::InDoubt));
    let tag = held.world.store.party_tag("+14155550123", "+14155550199").await.unwrap();
    assert_eq!(call.party, Some(tag));
    assert!(call.parent.is_some_and(|sid| sid.is("WR")));
    assert_eq!(call.account.to_string(), crate::world::ACCOUNT);
}

#[tokio::test]
async fn a_reservation_that_is_asked_about_again_takes_nothing_twice() {
    let held = Held::new().await;
    held.says(says(r#"{"instruction":"dequeue"}"#));
    let fields = assignment(&[]);
    for _ in 0..3 {
        assert_ne!(held.send(&fields, &[]).await.text(), NOTHING);
        assert_eq!(held.world.reserved("daily").await, "24".parse().unwrap());
    }
    assert_ne!(held.send(&assignment(&[]), &[]).await.text(), NOTHING);
    assert_eq!(held.world.reserved("daily").await, "48".parse().unwrap());
    assert_eq!(held.send(&assignment(&[]), &[]).await.text(), NOTHING, "of fifty no third fits");
}

#[tokio::test]
async fn what_leads_to_a_held_route_and_what_calls_nobody_passes_as_it_is() {
    let held = Held::with(vec![limit("daily", "1")], |_| {}).await;
    let redirect = format!(
        r#"{{"instruction":"redirect","call_sid":"CA1","url":"{PUBLIC_URL}/twilio/next","accept":"true"}}"#
    );
    for said in
        [redirect.as_str(), "", "{}", "OK", r#"{ "instruction" : "accept" }"#, r#"{"instruction":"reject"}"#]
    {
        let answer = asked(&held, says(said)).await;
        assert_eq!((answer.status, answer.text()), (200, said));
    }
    assert_eq!(held.outcomes("free").await, 6);
    // Away or not.
    held.world.is_away.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(asked(&held, says(r#"{"instruction":"accept"}"#)).await.status, 200);
    assert_eq!(asked(&held, says(r#"{"instruction":"dequeue"}"#)).await.text(), NOTHING);
    assert_eq!(held.outcomes("store_away").await, 1);
}
