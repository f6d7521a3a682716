//! Which lines get no codes, as Lookup says what they are. The sandbox's Lookup tells by the last two digits: 99 is a
//! landline, 97 a line that anybody gets within a minute, most are mobile phones.

use std::sync::Arc;

use ringfence_breaker::charge::{Lookup, LookupVersion};
use ringfence_breaker::price_book::{PriceBook, Prices};
use ringfence_control::second_factor::Lines;
use ringfence_model::{Amount, PhoneNumber};
use ringfence_second_factor::pumping::{Cap, Limits};
use ringfence_store::ReservationState;
use ringfence_twilio::wire::LineType;
use serde_json::json;
use tokio::task::JoinSet;

use crate::database::{Database, on_both};
use crate::kit::{Bank, Options, TO, countries};
use crate::spending::{a_text, bank, prices};
use crate::users::Owls;

const LANDLINE: &str = "+14155550199";
const VOIP: &str = "+14155550197";

/// What Lookup does from now on.
const AWAY: &str = r#"{"api": [{"path": "/PhoneNumbers", "status": 500}]}"#;

on_both! {
    a_landline_gets_no_text_but_a_call_and_a_line_that_anybody_gets_has_neither => refused,
    an_answer_is_believed_for_a_month_and_without_one_the_configuration_decides => believed,
    whoever_asks_for_ever_new_numbers_pays_for_no_more_questions_than_codes => budgets,
    a_question_is_set_aside_before_it_is_asked_and_paid_once => paid,
    of_many_first_starts_of_a_number_at_once_one_asks_and_one_sends => at_once,
    a_limit_without_room_for_the_question_asks_nothing_and_sends_nothing => no_room,
    a_question_that_nobody_answered_is_spent_and_one_that_was_refused_is_not => in_doubt,
}

fn refusing(send_while_away: bool) -> Options {
    let refused = vec![LineType::Landline, LineType::NonFixedVoip, LineType::Premium];
    Options { lines: Some(Lines { refused, send_while_away }), ..Options::default() }
}

fn on(database: Database, send_while_away: bool) -> Options {
    Options { database, ..refusing(send_while_away) }
}

async fn refused(open: impl Fn() -> Database) {
    let bank = Bank::with(on(open(), true)).await;
    assert_eq!(bank.start(&[("To", LANDLINE)]).await.error(), (403, 60205));
    assert_eq!(bank.start(&[("To", VOIP)]).await.error(), (403, 60410));
    assert_eq!(bank.start(&[("To", VOIP), ("Channel", "call")]).await.error(), (403, 60410));
    bank.work().await;
    assert!(bank.messages().await.is_empty());
    assert_eq!(bank.start(&[("To", LANDLINE), ("Channel", "call")]).await.status, 201);
    bank.started().await;
}

#[tokio::test]
async fn applications_are_told_so_too() {
    let owls = Owls::with(refusing(true)).await;
    for phone in [LANDLINE, VOIP] {
        let refused = owls.send(&owls.sign_in(&json!({ "phone": phone })).await).await;
        assert_eq!((refused.status, &refused.body["code"]), (403, &json!("line-not-allowed")), "{phone}");
    }
    assert_eq!(owls.send(&owls.sign_in(&json!({ "phone": TO })).await).await.status, 200);
}

async fn believed(open: impl Fn() -> Database) {
    let bank = Bank::with(on(open(), false)).await;
    bank.started().await;
    assert_eq!(bank.start(&[("To", LANDLINE)]).await.error(), (403, 60205));
    bank.world.fault(AWAY).await;
    // What was asked before is known.
    bank.advance(30).await;
    assert_eq!(bank.start(&[]).await.status, 201);
    assert_eq!(bank.start(&[("To", LANDLINE)]).await.error(), (403, 60205));
    // Of another number nobody knows, and a month later of none.
    let unknown = bank.start(&[("To", "+14155550124")]).await;
    assert_eq!((unknown.error(), unknown.header("retry-after")), ((503, 20503), Some("1")));
    bank.advance(31 * 86_400).await;
    assert_eq!(bank.start(&[]).await.error(), (503, 20503));
    let owls = Owls::with(on(open(), false)).await;
    owls.bank.world.fault(AWAY).await;
    let refused = owls.send(&owls.sign_in(&json!({ "phone": TO })).await).await;
    assert_eq!((refused.status, &refused.body["code"]), (503, &json!("lookup-away")));
    // Where codes go out all the same, they do.
    let bank = Bank::with(on(open(), true)).await;
    bank.world.fault(AWAY).await;
    bank.started().await;
}

async fn budgets(open: impl Fn() -> Database) {
    let limits =
        Limits { address: vec![Cap { most: 3, seconds: 3_600 }], ..Limits::shipped(countries(&["US"])) };
    let bank = Bank::with(Options { limits, ..on(open(), true) }).await;
    let ask = async |middle: u32, from: &str| {
        let to = format!("+1415555{middle:02}99");
        bank.start(&[("To", to.as_str()), ("DeviceIp", from)]).await.error()
    };
    for middle in 0..3 {
        assert_eq!(ask(middle, "198.51.100.1").await, (403, 60205));
    }
    assert_eq!(ask(3, "198.51.100.1").await, (429, 20429), "nothing is asked any more");
    assert_eq!(ask(0, "198.51.100.1").await, (403, 60205), "what is known costs nothing");
    assert_eq!(ask(3, "198.51.100.2").await, (403, 60205));
    // Nor for numbers that are refused without a question.
    assert_eq!(bank.start(&[("To", "+447911123456")]).await.error(), (403, 60605));
    // What all share: whoever uses it up keeps nobody else from a code, unless the configuration says so.
    for send_while_away in [true, false] {
        let limits =
            Limits { total: vec![Cap { most: 2, seconds: 3_600 }], ..Limits::shipped(countries(&["US"])) };
        let bank = Bank::with(Options { limits, ..on(open(), send_while_away) }).await;
        for to in ["+14155550099", "+14155550199"] {
            assert_eq!(bank.start(&[("To", to)]).await.error(), (403, 60205));
        }
        let other = bank.start(&[]).await;
        assert_eq!(other.status, if send_while_away { 201 } else { 429 }, "{other:?}");
    }
}

#[tokio::test]
async fn where_no_line_is_refused_lookup_is_not_asked() {
    let bank = Bank::open().await;
    bank.world.fault(r#"{"api": [{"path": "/PhoneNumbers", "latency_ms": 60000}]}"#).await;
    bank.started().await;
    assert_eq!(bank.start(&[("To", LANDLINE)]).await.status, 201);
}

/// What a question costs at most.
fn a_question() -> Amount {
    let book = PriceBook::new(Prices::new("USD"), prices()).expect("prices of the test");
    let lookup = Lookup { version: LookupVersion::V2, packages: "line_type_intelligence" };
    lookup.charge(&book).expect("it has a price").price()
}

impl Bank {
    /// What is set aside for questions.
    async fn questions(&self) -> Vec<ReservationState> {
        let all = self.open_reservations().await.into_iter();
        all.filter(|it| it.operation == "lookups.fetch").map(|it| it.state).collect()
    }
}

async fn paid(open: impl Fn() -> Database) {
    let both = a_question().saturating_add(a_text());
    let bank = bank(open(), both, refusing(true)).await;
    bank.started().await;
    assert_eq!(bank.questions().await, [ReservationState::Sent]);
    assert_eq!(bank.sums().await.1, both, "all of it is set aside");
    // No list tells what it cost, so it is taken at its worst; and nobody asks again.
    bank.engine.reconcile().await.expect("the store is there");
    assert_eq!(bank.questions().await, []);
    assert_eq!(bank.sums().await, (a_question(), a_text()));
    let refused = bank.start(&[("To", LANDLINE)]).await.error();
    assert_eq!(refused.0, 429, "there is no room for another question: {refused:?}");
}

async fn at_once(open: impl Fn() -> Database) {
    let bank = Arc::new(bank(open(), Amount::from_units(50), refusing(true)).await);
    let mut starting = JoinSet::new();
    for _ in 0..20 {
        let bank = Arc::clone(&bank);
        starting.spawn(async move { bank.start(&[]).await });
    }
    let answers = starting.join_all().await;
    let sent = answers.iter().filter(|answer| answer.status == 201).count();
    let soon = answers.iter().filter(|it| it.status == 429 && it.error() == (429, 20429)).count();
    assert_eq!((sent, soon), (1, 19), "{answers:?}");
    assert_eq!(bank.questions().await, [ReservationState::Sent]);
}

#[tokio::test]
async fn a_number_that_was_asked_of_too_often_without_an_answer_is_one_whose_line_is_unknown() {
    let limits =
        Limits { number: vec![Cap { most: 2, seconds: 3_600 }], ..Limits::shipped(countries(&["US"])) };
    let bank = Bank::with(Options { limits, ..refusing(false) }).await;
    bank.world.fault(AWAY).await;
    for _ in 0..3 {
        assert_eq!(bank.start(&[]).await.error(), (503, 20503));
    }
}

async fn no_room(open: impl Fn() -> Database) {
    let less = Amount::from_micros(a_question().micros() - 1);
    let bank = bank(open(), less, refusing(true)).await;
    assert_eq!(bank.start(&[]).await.status, 429);
    bank.work().await;
    assert!(bank.messages().await.is_empty());
    assert_eq!(bank.sums().await, (Amount::ZERO, Amount::ZERO));
    let number = PhoneNumber::parse(TO).expect("a number");
    let known = bank.store.line_type(number, jiff::Timestamp::UNIX_EPOCH).await.expect("read");
    assert_eq!(known, None, "nobody was asked");
}

async fn in_doubt(open: impl Fn() -> Database) {
    let much = Amount::from_units(50);
    let bank = bank(open(), much, refusing(false)).await;
    bank.world.fault(AWAY).await;
    assert_eq!(bank.start(&[]).await.error(), (503, 20503));
    assert_eq!(bank.questions().await, [ReservationState::InDoubt]);
    bank.engine.reconcile().await.expect("the store is there");
    assert_eq!(bank.sums().await, (a_question(), Amount::ZERO), "it may have been answered");
    bank.world.control("DELETE", "faults", "").await;
    bank.world.fault(r#"{"api": [{"path": "/PhoneNumbers", "status": 429}]}"#).await;
    assert_eq!(bank.start(&[("To", "+14155550124")]).await.error(), (503, 20503));
    assert_eq!(bank.sums().await, (a_question(), Amount::ZERO), "Twilio says that it was not");
}
