//! Keys pressed in calls that carry codes: who may have one spoken, and what is answered.

use std::sync::{Arc, Mutex};

use ringfence_gateway::settings::Upstream as Leads;
use ringfence_gateway::{Hooks, KeyPress, OnKey};
use ringfence_signature::{Signed, Signer};
use ringfence_testkit::Upstream;

use crate::world::{ACCOUNT, NEIGHBOUR, NEIGHBOUR_TOKEN, World, replaced, route, twilio, url, wire};

const CALL: &str = "CA0000000000000000000000000000000a";
const SEND: &str = "VL0000000000000000000000000000000b";

/// A gate whose `/key` leads to the second factor, and whom it asked.
async fn world(answer: Option<Result<&'static str, &'static str>>) -> (World, Arc<Mutex<Vec<KeyPress>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    let on_key = answer.map(|answer| -> OnKey {
        Arc::new(move |press| {
            noted.lock().unwrap().push(press);
            Box::pin(async move { answer.map(str::to_owned).map_err(str::to_owned) })
        })
    });
    let hooks = Hooks { on_key, ..Hooks::default() };
    let world = World::hooked(Upstream::saying("application").await, hooks, |settings| {
        let address = settings.routes[0].upstream.address().unwrap().authority().parse().unwrap();
        let mut key = route(address);
        key.label = Arc::from("/key");
        key.path = ringfence_gateway::settings::PathRule::Exact("/key".to_owned());
        key.upstream = Leads::SecondFactor;
        settings.routes.push(key);
    });
    (world, asked)
}

fn pressed(account: &str) -> Vec<(String, String)> {
    let fields = [("AccountSid", account), ("CallSid", CALL), ("Digits", "5"), ("msg", "Gather End")];
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

fn genuine() -> Signed {
    twilio().form(&url(&format!("/key?send={SEND}")), pressed(ACCOUNT))
}

#[tokio::test]
async fn nobody_but_twilio_has_a_code_spoken() {
    let (world, asked) = world(Some(Ok("<Response><Say>1, 2, 3</Say></Response>"))).await;
    let genuine = wire(&genuine());
    for forged in [
        replaced(&genuine, "x-twilio-signature", "x-other"),
        replaced(&genuine, SEND, &SEND.replace('b', "c")),
        replaced(&genuine, CALL, &CALL.replace('a', "d")),
        wire(&Signer::token(NEIGHBOUR_TOKEN).form(&url(&format!("/key?send={SEND}")), pressed(ACCOUNT))),
    ] {
        let response = world.send(&forged).await;
        assert!(matches!(response.status, 400 | 403), "{}", response.status);
        assert!(!response.text().contains("Say"), "{}", response.text());
    }
    assert_eq!(*asked.lock().unwrap(), []);
    assert_eq!(world.upstream.requests().len(), 0);
}

#[tokio::test]
async fn a_signed_request_that_tells_of_no_key_is_answered_with_what_is_missing() {
    let (world, asked) = world(Some(Ok("<Response/>"))).await;
    let mut silent = pressed(ACCOUNT);
    silent.retain(|(name, _)| name != "Digits");
    for (signed, why) in [
        (twilio().form(&url("/key"), pressed(ACCOUNT)), "send is missing\n"),
        (twilio().form(&url(&format!("/key?send={SEND}")), silent), "Digits is missing\n"),
    ] {
        let response = world.send_signed(&signed).await;
        assert_eq!((response.status, response.text()), (400, why));
    }
    assert_eq!(*asked.lock().unwrap(), []);
}

#[tokio::test]
async fn what_is_spoken_is_asked_for_with_the_account_that_signed() {
    let (world, asked) = world(Some(Ok("<Response><Say>1, 2, 3</Say></Response>"))).await;
    for _ in 0..2 {
        let response = world.send_signed(&genuine()).await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-type"), Some("text/xml; charset=utf-8"));
        assert_eq!(response.text(), "<Response><Say>1, 2, 3</Say></Response>");
    }
    let theirs = Signer::token(NEIGHBOUR_TOKEN).form(&url(&format!("/key?send={SEND}")), pressed(NEIGHBOUR));
    assert_eq!(world.send_signed(&theirs).await.status, 200, "whose it is, the second factor knows");
    let asked: Vec<_> = asked
        .lock()
        .unwrap()
        .iter()
        .map(|press| [press.account.to_string(), press.call.to_string(), press.send.to_string()])
        .collect();
    let expected = |account: &str| [account.to_owned(), CALL.to_owned(), SEND.to_owned()];
    assert_eq!(asked, [expected(ACCOUNT), expected(ACCOUNT), expected(NEIGHBOUR)], "a repeat hears it again");
    assert_eq!(world.upstream.requests().len(), 0);
}

#[tokio::test]
async fn where_nobody_can_say_the_code_the_answer_is_503() {
    for answer in [None, Some(Err("the store is away"))] {
        let (world, _) = world(answer).await;
        let response = world.send_signed(&genuine()).await;
        assert_eq!((response.status, response.text()), (503, ""));
    }
}
