//! Codes on their way: each is sent once, soon, or not at all.

use ringfence_control::second_factor::ApplicationSettings;
use ringfence_model::{Country, Sid};
use ringfence_second_factor::pumping::{Cap, Limits, STOPPED_AFTER};
use ringfence_store::SendOutcome;

use crate::kit::{Bank, Options, TO};

/// What became of the first send of a verification.
async fn outcome(bank: &Bank, started: &serde_json::Value) -> SendOutcome {
    let sid = Sid::parse(started["sid"].as_str().expect("a SID")).expect("a SID");
    bank.store.sends_of_challenge(sid).await.expect("sends")[0].outcome
}

#[tokio::test]
async fn a_text_is_bound_to_where_the_code_is_entered() {
    let settings = ApplicationSettings {
        host: Some("login.example.com".to_owned()),
        warning: true,
        digits: 8,
        ..ApplicationSettings::default()
    };
    let bank = Bank::with(Options { settings, ..Options::default() }).await;
    let (_, code) = bank.started().await;
    assert_eq!(code.len(), 8);
    let text = bank.messages().await[0].body.clone().expect("a text");
    assert!(text.ends_with(&format!("\n@login.example.com #{code}")), "{text}");
    assert!(text.contains("Don't share it"), "{text}");
    assert_eq!(bank.messages().await[0].num_segments.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_code_is_spoken_digit_by_digit_and_is_right() {
    let bank = Bank::open().await;
    let started = bank.start(&[("Channel", "call"), ("Locale", "de")]).await;
    assert_eq!(started.body["send_code_attempts"][0]["channel"], "CALL");
    bank.work().await;
    assert_eq!((bank.calls().await.len(), bank.messages().await.len()), (1, 0));
    let sends = Sid::parse(started.body["send_code_attempts"][0]["attempt_sid"].as_str().expect("a SID"));
    assert!(
        matches!(outcome(&bank, &started.body).await, SendOutcome::Sent(Some(call)) if call.is("CA")),
        "{sends:?}"
    );
}

#[tokio::test]
async fn before_a_key_is_pressed_a_call_says_no_digit_and_afterwards_its_own_code_alone() {
    let bank = Bank::with(Options { after_key: true, ..Options::default() }).await;
    let started = bank.start(&[("Channel", "call")]).await;
    bank.work().await;
    let call = Sid::parse(&bank.calls().await[0].sid).expect("a SID");
    let attempt = &started.body["send_code_attempts"][0]["attempt_sid"];
    let send = Sid::parse(attempt.as_str().expect("a SID")).expect("a SID");
    // The phone listens for a minute, and hears nothing of a code.
    bank.advance(20).await;
    let heard = bank.world.control("GET", &format!("calls/{call}"), "").await;
    let heard: Vec<_> =
        heard["lines"].as_array().expect("lines").iter().filter_map(|line| line["text"].as_str()).collect();
    assert!(heard.iter().any(|line| line.contains("Press any key")), "{heard:?}");
    assert!(!heard.iter().any(|line| line.contains("code is")), "{heard:?}");

    let account = bank.world.sandbox.account_sid();
    let factor = bank.engine.second_factor().expect("it is configured");
    let nothing = "<Response><Hangup/></Response>";
    let (other_call, other_send) = (Sid::new(*b"CA", 7), Sid::new(*b"VL", 7));
    for (account, call, send) in
        [(Sid::new(*b"AC", 7), call, send), (account, other_call, send), (account, call, other_send)]
    {
        assert_eq!(factor.spoken(account, call, send).await.expect("the store is there"), nothing);
    }
    let spoken = factor.spoken(account, call, send).await.expect("the store is there");
    let code: String = spoken
        .split_once("code is: ")
        .and_then(|(_, rest)| rest.split_once('<'))
        .map(|(digits, _)| digits.replace(", ", ""))
        .expect("a code is spoken");
    assert_eq!(factor.spoken(account, call, send).await.expect("the store is there"), spoken, "once more");
    assert_eq!(bank.check(&code).await.body["valid"], true);
    assert_eq!(
        factor.spoken(account, call, send).await.expect("the store is there"),
        nothing,
        "what was entered is spoken no more"
    );
}

#[tokio::test]
async fn a_text_is_never_spoken() {
    let bank = Bank::with(Options { after_key: true, ..Options::default() }).await;
    let (started, _) = bank.started().await;
    let attempt = &started["send_code_attempts"][0]["attempt_sid"];
    let send = Sid::parse(attempt.as_str().expect("a SID")).expect("a SID");
    let factor = bank.engine.second_factor().expect("it is configured");
    let account = bank.world.sandbox.account_sid();
    let spoken = factor.spoken(account, Sid::new(*b"CA", 7), send).await.expect("the store is there");
    assert_eq!(spoken, "<Response><Hangup/></Response>");
}

#[tokio::test]
async fn where_nobody_calls_codes_are_not_spoken() {
    let bank = Bank::with(Options { can_call: false, ..Options::default() }).await;
    assert_eq!(bank.start(&[("Channel", "call")]).await.error(), (403, 60223));
    assert_eq!(bank.start(&[("Channel", "auto")]).await.status, 201);
}

#[tokio::test]
async fn a_text_whose_answer_was_lost_is_found_and_not_sent_twice() {
    let bank = Bank::open().await;
    bank.world
        .fault(r#"{"api": [{"method": "POST", "path": "/Messages", "drop": "after", "times": 1}]}"#)
        .await;
    let started = bank.start(&[]).await.body;
    assert_eq!(bank.work().await, (0, 1));
    assert_eq!(bank.messages().await.len(), 1, "it was sent all the same");
    bank.advance(2).await;
    assert_eq!(bank.work().await, (1, 0));
    assert_eq!(bank.messages().await.len(), 1);
    assert!(matches!(outcome(&bank, &started).await, SendOutcome::Sent(Some(_))));
    let code = bank.code().await;
    assert_eq!(bank.check(&code).await.body["valid"], true);
}

#[tokio::test]
async fn a_resend_whose_answer_was_lost_is_not_taken_for_the_text_before_it() {
    let bank = Bank::open().await;
    bank.started().await;
    bank.advance(30).await;
    bank.world
        .fault(r#"{"api": [{"method": "POST", "path": "/Messages", "drop": "before", "times": 1}]}"#)
        .await;
    assert_eq!(bank.start(&[]).await.status, 201);
    assert_eq!(bank.work().await, (0, 1));
    bank.advance(2).await;
    assert_eq!(bank.work().await, (1, 0));
    assert_eq!(bank.messages().await.len(), 2, "the same words of half a minute ago are another text");
}

#[tokio::test]
async fn where_it_cannot_be_looked_for_nothing_is_sent_twice_and_nothing_late() {
    let bank = Bank::open().await;
    let lost = r#"{"api": [{"method": "POST", "path": "/Messages", "drop": "after", "times": 1},
                          {"method": "GET", "path": "/Messages", "status": 500}]}"#;
    bank.world.fault(lost).await;
    let started = bank.start(&[]).await.body;
    for _ in 0..20 {
        bank.work().await;
        bank.advance(5).await;
    }
    assert_eq!(outcome(&bank, &started).await, SendOutcome::Failed);
    bank.world.control("DELETE", "faults", "").await;
    assert_eq!(bank.work().await, (0, 0), "it is given up");
    assert_eq!(bank.messages().await.len(), 1);
}

#[tokio::test]
async fn a_code_that_nobody_waits_for_any_more_is_not_sent() {
    let bank = Bank::open().await;
    let started = bank.start(&[]).await.body;
    let one = format!("{}/Verifications/{TO}", bank.service());
    bank.ask("POST", &one, &[("Status", "canceled")]).await;
    assert_eq!(bank.work().await, (1, 0));
    assert_eq!(outcome(&bank, &started).await, SendOutcome::Failed);

    let late = bank.start(&[]).await.body;
    bank.advance(60).await;
    assert_eq!(bank.work().await, (0, 1));
    assert_eq!(outcome(&bank, &late).await, SendOutcome::Failed);
    assert_eq!(bank.messages().await.len(), 0);
}

#[tokio::test]
async fn what_twilio_refuses_for_good_is_not_tried_again() {
    let bank = Bank::open().await;
    bank.world
        .fault(
            r#"{"api": [{"method": "POST", "path": "/Messages", "status": 400, "code": 21211, "times": 1}]}"#,
        )
        .await;
    let started = bank.start(&[]).await.body;
    assert_eq!(bank.work().await, (0, 1));
    bank.advance(5).await;
    assert_eq!(bank.work().await, (0, 0));
    assert_eq!(outcome(&bank, &started).await, SendOutcome::Failed);
    assert_eq!(bank.messages().await.len(), 0);
}

#[tokio::test]
async fn twilios_verify_carries_our_codes_and_we_check_them() {
    let bank = Bank::with(Options { by_verify: true, ..Options::default() }).await;
    let started = bank.start(&[]).await.body;
    assert_eq!(bank.work().await, (1, 0));
    assert_eq!(bank.messages().await.len(), 0, "it is no message of the account");
    assert!(matches!(outcome(&bank, &started).await, SendOutcome::Sent(Some(sid)) if sid.is("VE")));
    let waits = told_to_the_phone(&bank).await;
    assert_eq!((&waits["to"], &waits["status"]), (&TO.into(), &"pending".into()));
    let code = waits["code"].as_str().expect("it waits for its code");
    assert_eq!(bank.check(code).await.body["valid"], true);
}

#[tokio::test]
async fn twilios_verify_never_carries_the_code_of_an_earlier_challenge() {
    let bank = Bank::with(Options { by_verify: true, ..Options::default() }).await;
    let mut codes = std::collections::BTreeSet::new();
    for round in 0..2 {
        bank.start(&[]).await;
        assert_eq!(bank.work().await, (1, 0));
        let waits = told_to_the_phone(&bank).await;
        let code = waits["code"].as_str().expect("it waits for its code").to_owned();
        assert_eq!(bank.check(&code).await.body["valid"], true, "round {round}");
        codes.insert(code);
    }
    assert_eq!(codes.len(), 2);
    // Sent again, it is the same.
    bank.start(&[]).await;
    bank.work().await;
    let first = told_to_the_phone(&bank).await;
    bank.advance(30).await;
    bank.start(&[]).await;
    assert_eq!(bank.work().await, (1, 0));
    let again = told_to_the_phone(&bank).await;
    assert_eq!((&again["sid"], &again["code"]), (&first["sid"], &first["code"]));
    assert_eq!(again["sends"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn what_twilios_verify_may_have_sent_already_is_not_sent_again() {
    let bank = Bank::with(Options { by_verify: true, ..Options::default() }).await;
    bank.world
        .fault(r#"{"api": [{"method": "POST", "path": "/Verifications", "drop": "after", "times": 1}]}"#)
        .await;
    bank.start(&[]).await;
    assert_eq!(bank.work().await, (0, 1));
    bank.advance(2).await;
    assert_eq!(bank.work().await, (1, 0));
    assert_eq!(told_to_the_phone(&bank).await["sends"].as_array().map(Vec::len), Some(1));
}

/// The newest verification of the sandbox's Verify.
async fn told_to_the_phone(bank: &Bank) -> serde_json::Value {
    let head = "GET /_sandbox/verifications HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = ringfence_testkit::exchange(bank.world.sandbox.address(), head).await.expect("an answer");
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    body["verifications"][0].clone()
}

/// Twilio is away for a minute, so that neither texts are sent nor lists read.
#[tokio::test]
async fn an_outage_of_twilios_stops_no_prefix() {
    let bank = Bank::with(Options { limits: roomy(), ..Options::default() }).await;
    bank.world.fault(r#"{"api": [{"method": "POST", "path": "/Messages", "status": 503}, {"method": "GET", "path": "/Messages", "status": 503}]}"#).await;
    let to = |index: u32| format!("+1415567{index:04}");
    for index in 0..STOPPED_AFTER {
        assert_eq!(bank.start(&[("To", &to(index))]).await.status, 201);
    }
    assert_eq!(bank.start(&[("To", &to(999))]).await.error().1, 60_410, "so far nobody knows better");
    for _ in 0..14 {
        bank.work().await;
        bank.advance(5).await;
    }
    bank.world.control("DELETE", "faults", "").await;
    assert_eq!(bank.messages().await.len(), 0);
    assert_eq!(bank.start(&[("To", &to(999))]).await.status, 201);
    assert_eq!(bank.work().await, (1, 0));
    assert_eq!(bank.messages().await.len(), 1);
    assert_eq!(bank.store.stopped_prefixes(bank.now()).await.expect("prefixes"), []);
}

/// Limits that are far away, but for a prefix whose codes nobody enters.
fn roomy() -> Limits {
    let far = vec![Cap { most: 10_000, seconds: 3_600 }];
    let countries = [Country::parse("US").expect("a country")].into();
    Limits { prefix: far.clone(), country: far.clone(), total: far, ..Limits::shipped(countries) }
}
