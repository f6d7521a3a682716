//! Bursts through the egress: an even flow for each beginning of a number, and places that the account does not know.

use std::time::Duration;

use jiff::SignedDuration;
use ringfence_breaker::price_book::{PriceBook, Prices, Rules, Unknown};
use ringfence_breaker::{
    Action, DialPrefix, Limit, Measure, Observation, Per, Reset, Sign, State, Threshold, Unseen, Window, step,
};
use ringfence_model::{Actor, Amount};
use ringfence_store::{BreakerChange, Step, Traffic};
use serde_json::{Value, json};

use crate::sandbox::Twilio;
use crate::world::{ACCOUNT, FROM, Key, World, book_rules, encoded, limit, message, sid};

/// Of messages to one beginning of numbers in any hour three, and two of them at once.
fn three_an_hour() -> Limit {
    Limit {
        per: Per::Prefix,
        measure: Measure::Count,
        category: "sms-outbound".to_owned(),
        window: Window::Gcra { seconds: 3_600 },
        at: Threshold::At(Amount::from_units(3)),
        burst: Some(Amount::from_units(2)),
        then: vec![],
        reset: Reset::NextWindow,
        ..limit("three an hour", "3")
    }
}

async fn send(world: &World, key: &Key, to: &str) -> (u16, Value, Option<u64>) {
    let form = format!("To={}&From={}&Body=hello", encoded(to), encoded(FROM));
    let response = world.send(message(key, &form)).await;
    let body = serde_json::from_slice(&response.body).unwrap();
    let seconds = response.header("retry-after").map(|text| text.parse().unwrap());
    (response.status, body, seconds)
}

#[tokio::test]
async fn a_burst_to_one_place_is_refused_until_the_second_that_retry_after_names() {
    let world = World::limited(vec![three_an_hour()]).await;
    let key = world.key().await;
    for last in 0..2 {
        assert_eq!(send(&world, &key, &format!("+44791112345{last}")).await.0, 201);
    }
    world.clock.advance(Duration::from_millis(500));
    let (status, body, seconds) = send(&world, &key, "+447911123459").await;
    assert_eq!((status, &body["code"], seconds), (429, &json!(84030), Some(3_600)), "{body}");
    assert!(body["message"].as_str().unwrap().contains("three an hour"), "{body}");
    assert_eq!(send(&world, &key, "+442071838750").await.0, 201, "other places go on");
    world.clock.advance(Duration::from_secs(3_599));
    assert_eq!(send(&world, &key, "+447911123459").await.2, Some(1));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(send(&world, &key, "+447911123459").await.0, 201);
    assert_eq!(world.requests().len(), 4, "what was refused was not sent");
    assert_eq!(world.store.check_ledger().await.unwrap(), []);
}

#[tokio::test]
async fn a_number_in_another_spelling_does_not_pass_a_limit_of_places_where_unknown_ones_have_a_price() {
    let world = World::limited(vec![three_an_hour()]).await;
    let rules = Rules { unknown: Unknown::Costs("0.50".parse().unwrap()), ..book_rules() };
    world.put_rules(PriceBook::new(Prices::new("USD"), rules).unwrap()).await;
    let key = world.key().await;
    for to in ["447911123450", "+44 7911 123450", "07911123450", "tel:+447911123450", "whatsapp:447911123450"]
    {
        let (status, body, _) = send(&world, &key, to).await;
        assert_eq!((status, &body["code"]), (403, &json!(84022)), "{to}: {body}");
        let said = body["message"].as_str().unwrap();
        assert_eq!(said.matches("no price is known").count(), 1, "{said}");
    }
    assert_eq!(
        send(&world, &key, "fax:447911123450").await.0,
        201,
        "what reaches no telephone costs that price"
    );
    assert_eq!(world.requests().len(), 1, "what was refused was not sent");
}

#[tokio::test]
async fn what_only_watches_refuses_nothing_and_is_counted() {
    let world = World::limited(vec![Limit { enforce: false, ..three_an_hour() }]).await;
    let key = world.key().await;
    for last in 0..5 {
        assert_eq!(send(&world, &key, &format!("+44791112345{last}")).await.0, 201);
    }
    assert_eq!(world.metric("ringfence_egress_would_refuse_total{limit=\"three an hour\"}").await, 3);
}

#[tokio::test]
async fn a_place_that_the_account_does_not_know_gets_little_and_one_that_it_knows_is_not_counted() {
    let unseen = Some(Unseen { within: 30 * 86_400, known_after: 3 * 86_400 });
    let world = World::limited(vec![Limit { unseen, ..three_an_hour() }]).await;
    let key = world.key().await;
    for _ in 0..4 {
        assert_eq!(
            send(&world, &key, "+18765550101").await.0,
            201,
            "nobody has read yet where it sent before"
        );
    }
    let now = world.clock.now();
    let before = |days: i64| now - SignedDuration::from_hours(24 * days);
    let british: DialPrefix = "+447".parse().unwrap();
    let seen = [(british, before(10))].into();
    world.store.learn_traffic(sid(ACCOUNT), seen, before(30)).await.unwrap();
    for _ in 0..4 {
        assert_eq!(send(&world, &key, "+447911123459").await.0, 201);
    }
    assert_eq!(send(&world, &key, "+18765550101").await.0, 403, "four are more than it would have got");
    assert_eq!(
        (send(&world, &key, "+442071838758").await.0, send(&world, &key, "+442071838759").await.0),
        (201, 201)
    );
    assert_eq!(send(&world, &key, "+442071838750").await.0, 429);
}

#[tokio::test]
async fn a_code_that_is_entered_is_counted_where_it_was_sent() {
    let twilio = Twilio::new().await;
    let (_, service) = twilio
        .ask("POST", "/verify.twilio.com/v2/Services", "FriendlyName=shop&CustomCodeEnabled=true")
        .await;
    let service = format!("/verify.twilio.com/v2/Services/{}", service["sid"].as_str().unwrap());
    for (to, code) in [("+14155550101", "123456"), ("+14155550102", "654321")] {
        let form = format!("To={}&Channel=sms&CustomCode=123456", encoded(to));
        let (status, body) = twilio.ask("POST", &format!("{service}/Verifications"), &form).await;
        assert_eq!(status, 201, "{body}");
        let form = format!("To={}&Code={code}", encoded(to));
        let (status, body) = twilio.ask("POST", &format!("{service}/VerificationCheck"), &form).await;
        assert_eq!((status, body["status"] == "approved"), (200, code == "123456"), "{body}");
    }
    let beginning: DialPrefix = "+1415".parse().unwrap();
    let came = twilio.world.store.traffic_since(jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    let came = came.into_iter().find(|it| it.beginning == beginning).unwrap();
    let wanted =
        Traffic { account: twilio.account, beginning, delivered: 0, undelivered: 0, started: 2, approved: 1 };
    assert_eq!(came, wanted);
    // And for the minute in which it was sent, of which a limit of a share asks.
    let (from, until) = (jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::MAX);
    let signs = twilio.world.store.signs(from, until).await.unwrap();
    let of_it: Vec<_> = signs.iter().filter(|it| it.beginning == beginning).collect();
    assert_eq!(of_it.len(), 1, "{signs:?}");
    assert_eq!((of_it[0].started, of_it[0].approved, of_it[0].sent), (2, 1, 0));
}

#[tokio::test]
async fn numbers_that_are_closed_get_nothing_and_everybody_else_does() {
    let rule = Limit {
        per: Per::Prefix,
        measure: Measure::Delivery,
        window: Window::Rolling { seconds: 3_600 },
        at: Threshold::Share(Sign { percent: 20, least: 20, settle: 600 }),
        then: vec![Action::Notify],
        ..limit("delivered", "20")
    };
    let world = World::limited(vec![rule.clone()]).await;
    let key = world.key().await;
    assert_eq!(send(&world, &key, "+447911123450").await.0, 201);
    let now = world.clock.now();
    let (closed, _) = step(&rule, State::new(&rule, now), &Observation::Trip, now);
    let change = BreakerChange {
        limit: rule.name.clone(),
        subject: "+447".to_owned(),
        version: 0,
        state: json!(closed),
        audit: None,
        seen: None,
    };
    let moved = Step { changes: vec![change], ..Step::default() };
    world.store.step(&Actor::job("test"), moved, now).await.unwrap();
    let (status, body, seconds) = send(&world, &key, "+447911123450").await;
    assert_eq!((status, &body["code"], seconds), (403, &json!(84031), None), "{body}");
    assert!(body["message"].as_str().unwrap().contains("delivered"), "{body}");
    for other in ["+442071838750", "+18765550101"] {
        assert_eq!(send(&world, &key, other).await.0, 201, "{other}");
    }
    assert_eq!(world.requests().len(), 3, "what was refused was not sent");
}
