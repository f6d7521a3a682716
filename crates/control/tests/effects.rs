//! What is done at Twilio, against a Twilio of our own.

mod world;

use ringfence_control::effects::{
    Cancelled, NotDone, Standing, cancel_queued, close_geo, end_calls, find_open_geo, open_geo, resume,
    revoke_keys, suspend,
};
use ringfence_sandbox::Settings;
use ringfence_twilio::client::{DialingFilter, Instructions, NewCall, NewMessage};
use ringfence_twilio::wire::{AccountStatus, CallStatus, MessageStatus};

use self::world::World;

const FROM: &str = "+15005550006";
const PHONE: &str = "+12025550143";

#[tokio::test]
async fn a_parent_is_not_suspended_and_the_refusal_is_told() {
    let world = World::start(Settings::default());
    let refused = suspend(&world.parent, world.sandbox.account_sid()).await.unwrap_err();
    assert!(matches!(refused, NotDone::Twilio(_)), "{refused}");
    assert!(!refused.is_transient());
}

#[tokio::test]
async fn what_twilio_says_and_does_not_do_is_not_done() {
    let world = World::start(Settings::default());
    let (account, _) = world.subaccount("one").await;
    world.fault(r#"{"api": [{"method": "POST", "path": "/Accounts", "status": 503}]}"#).await;
    let failed = suspend(&world.parent, account).await.unwrap_err();
    assert!(failed.is_transient(), "{failed}");
    assert_eq!(world.status(account).await, AccountStatus::Active);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_found_out_by_reading_back() {
    let world = World::start(Settings::default());
    let (account, _) = world.subaccount("one").await;
    world.fault(r#"{"api": [{"method": "POST", "path": "/Accounts", "drop": "after"}]}"#).await;
    assert_eq!(suspend(&world.parent, account).await.unwrap(), Standing::Suspended);
}

#[tokio::test]
async fn an_account_is_suspended_again_and_again_and_is_active_again_afterwards() {
    let world = World::start(Settings::default());
    let (account, client) = world.subaccount("one").await;
    for _ in 0..2 {
        assert_eq!(suspend(&world.parent, account).await.unwrap(), Standing::Suspended);
    }
    let message = NewMessage {
        to: PHONE.into(),
        from: Some(FROM.into()),
        body: Some("x".into()),
        ..NewMessage::default()
    };
    assert!(client.messages(account).create(&message).await.is_err());
    for _ in 0..2 {
        assert_eq!(resume(&world.parent, account).await.unwrap(), Standing::Active);
    }
    client.messages(account).create(&message).await.unwrap();
}

#[tokio::test]
async fn a_closed_account_spends_nothing_and_is_not_opened_again() {
    let world = World::start(Settings::default());
    let (account, _) = world.subaccount("one").await;
    world.parent.accounts().set_status(account, &AccountStatus::Closed).await.unwrap();
    assert_eq!(suspend(&world.parent, account).await.unwrap(), Standing::Closed);
    assert_eq!(resume(&world.parent, account).await.unwrap_err(), NotDone::Closed);
}

#[tokio::test]
async fn calls_of_a_suspended_account_are_ended_by_its_parent() {
    let world = World::start(Settings::default());
    let (account, client) = world.subaccount("one").await;
    let twiml = "<Response><Pause length=\"3600\"/></Response>";
    let new = NewCall::new(PHONE, FROM, Instructions::Twiml(twiml.to_owned()));
    let running = client.calls(account).create(&new).await.unwrap();
    world.advance(60).await;
    client.calls(account).create(&new).await.unwrap();
    suspend(&world.parent, account).await.unwrap();
    for number in [2, 0] {
        let ended = end_calls(&world.parent, account).await;
        assert_eq!((ended.done.len(), ended.end), (number, Ok(())));
    }
    let call = world.parent.calls(account).fetch(running.sid.parse().unwrap()).await.unwrap();
    assert_eq!(call.status, CallStatus::Completed);
}

/// A fault of Twilio's for whatever is asked of this one thing.
fn refuses(method: &str, sid: &str, status: u16) -> String {
    format!(r#"{{"api": [{{"method": "{method}", "path": "/{sid}", "status": {status}, "times": 1000}}]}}"#)
}

#[tokio::test]
async fn one_call_that_twilio_does_not_end_keeps_no_other_running() {
    for (status, which) in [(400, 0), (400, 1), (500, 2)] {
        let world = World::start(Settings::default());
        let (account, client) = world.subaccount("one").await;
        let twiml = "<Response><Pause length=\"3600\"/></Response>";
        let new = NewCall::new(PHONE, FROM, Instructions::Twiml(twiml.to_owned()));
        let mut calls = Vec::new();
        for _ in 0..3 {
            calls.push(client.calls(account).create(&new).await.unwrap().sid);
        }
        let stubborn = &calls[which];
        world.fault(&refuses("POST", stubborn, status)).await;
        let ended = end_calls(&world.parent, account).await;
        let left = ended.end.unwrap_err();
        assert!(left.is_transient(), "{left}");
        assert!(left.to_string().starts_with(&format!("1 calls are left; of {stubborn}")), "{left}");
        assert_eq!(ended.done.len(), 2);
        for call in &calls {
            let call = world.parent.calls(account).fetch(call.parse().unwrap()).await.unwrap();
            // One that waited is canceled.
            let is_over = matches!(call.status, CallStatus::Completed | CallStatus::Canceled);
            assert_eq!(is_over, call.sid != *stubborn);
        }
    }
}

#[tokio::test]
async fn one_key_that_twilio_does_not_delete_keeps_no_other_good() {
    let world = World::start(Settings::default());
    let (account, client) = world.subaccount("one").await;
    let mut keys = Vec::new();
    for name in ["a", "b", "c"] {
        keys.push(client.keys(account).create(Some(name)).await.unwrap().key.sid);
    }
    world.fault(&refuses("DELETE", &keys[1], 500)).await;
    let revoked = revoke_keys(&world.parent, account).await;
    assert_eq!(revoked.done.len(), 2);
    let left = revoked.end.unwrap_err();
    assert!(left.to_string().starts_with(&format!("1 keys are left; of {}", keys[1])), "{left}");
}

#[tokio::test]
async fn credentials_that_twilio_does_not_take_are_tried_on_no_other_key() {
    let world = World::start(Settings::default());
    let (account, client) = world.subaccount("one").await;
    for _ in 0..2 {
        client.keys(account).create(Some("x")).await.unwrap();
    }
    world.fault(r#"{"api": [{"method": "DELETE", "path": "/Keys/", "status": 401, "times": 1}]}"#).await;
    let revoked = revoke_keys(&world.parent, account).await;
    assert!(matches!(revoked.end, Err(NotDone::Twilio(_))), "{:?}", revoked.end);
    assert_eq!(client.keys(account).list().all().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_twilio_that_refuses_whatever_is_asked_is_not_asked_for_each_of_a_thousand() {
    let world = World::start(Settings::default());
    let (account, client) = world.subaccount("one").await;
    for _ in 0..12 {
        client.keys(account).create(Some("x")).await.unwrap();
    }
    world.fault(r#"{"api": [{"method": "DELETE", "path": "/Keys/", "status": 400, "times": 10}]}"#).await;
    let revoked = revoke_keys(&world.parent, account).await;
    assert!(matches!(revoked.end, Err(NotDone::Twilio(_))), "{:?}", revoked.end);
    assert_eq!(client.keys(account).list().all().await.unwrap().len(), 12);
}

#[tokio::test]
async fn messages_that_wait_are_called_back_where_twilio_allows_it() {
    let world = World::start(Settings::default());
    let (account, client) = world.subaccount("one").await;
    let now = world.sandbox.now();
    let message = NewMessage {
        to: PHONE.into(),
        from: Some(FROM.into()),
        body: Some("x".into()),
        ..NewMessage::default()
    };
    let sent = client.messages(account).create(&message).await.unwrap();
    world.advance(60).await;
    let waits = client.messages(account).create(&message).await.unwrap();
    let Cancelled { messages, refused } = cancel_queued(&world.parent, account, now).await.unwrap();
    assert_eq!(messages + refused, 1, "what was sent is not asked for");
    let shown = client.messages(account).fetch(sent.sid.parse().unwrap()).await.unwrap();
    assert_eq!(shown.status, MessageStatus::Delivered);
    let shown = client.messages(account).fetch(waits.sid.parse().unwrap()).await.unwrap();
    assert_eq!(shown.status == MessageStatus::Canceled, messages == 1);
}

#[tokio::test]
async fn countries_are_closed_and_just_those_that_were_open_are_opened_again() {
    let world = World::start(Settings::default());
    let (_, client) = world.subaccount("one").await;
    let voice =
        || async { client.dialing_permissions().list(&DialingFilter::default()).all().await.unwrap() };
    let sms = || async { client.sms_geo_permissions().list(&[]).await.unwrap() };
    let (voice_before, sms_before) = (voice().await, sms().await);
    let closed = find_open_geo(&client).await.unwrap();
    close_geo(&client, &closed).await.unwrap();
    assert!(!closed.sms.is_empty() && !closed.voice.is_empty());
    assert!(sms().await.iter().all(|it| !it.enabled));
    assert!(voice().await.iter().all(|it| !it.low_risk_numbers_enabled));
    // A second time there is nothing to be closed, and nothing to be opened for it.
    let again = find_open_geo(&client).await.unwrap();
    close_geo(&client, &again).await.unwrap();
    assert_eq!((again.sms.len(), again.voice.len()), (0, 0));
    open_geo(&client, &closed).await.unwrap();
    assert_eq!(voice().await, voice_before);
    // Countries of high risk are opened by Twilio's console alone (30649).
    let (open, were): (Vec<_>, Vec<_>) = (sms().await, sms_before);
    let opened = |list: &[ringfence_twilio::wire::GeoPermission]| list.iter().filter(|it| it.enabled).count();
    assert!(opened(&open) > opened(&were) / 2);
}

#[tokio::test]
async fn every_key_is_revoked_and_named() {
    let world = World::start(Settings::default());
    let (account, client) = world.subaccount("one").await;
    for name in ["a", "b"] {
        client.keys(account).create(Some(name)).await.unwrap();
    }
    let mut names: Vec<_> =
        revoke_keys(&world.parent, account).await.done.into_iter().map(|key| key.friendly_name).collect();
    names.sort();
    assert_eq!(names, ["a", "b"]);
    let again = revoke_keys(&world.parent, account).await;
    assert_eq!((again.done, again.end), (Vec::new(), Ok(())));
}
