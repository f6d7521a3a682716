//! Codes under limits: each is set aside at its worst price before it is sent, as a request through the egress is.

use std::sync::Arc;

use jiff::Timestamp;
use ringfence_breaker::charge::{Call, Message, Recipient, Sender, Verification, VerificationChannel};
use ringfence_breaker::price_book::{self, Kind, Override, Overrides, Place, PriceBook, Prices};
use ringfence_breaker::{Action, Limit, Measure, Per, Probe, Reset, Scope, State, Threshold, Window};
use ringfence_control::decide::kind;
use ringfence_control::notices::Text;
use ringfence_model::{Actor, Amount, PhoneNumber, Sid};
use ringfence_store::{
    NewEffect, Now, OpenReservation, ReservationState, SendFilter, SendOutcome, StoredPrices,
};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::database::{Database, on_both};
use crate::kit::{Bank, Options, Spending, TO};

/// A text costs ten cents at worst and a minute twenty, beside what this program knows by itself.
pub(crate) fn prices() -> price_book::Rules {
    let price = |kind, text: &str| Override {
        kind,
        place: Place::Everywhere,
        price: text.parse().expect("an amount"),
    };
    let destinations =
        vec![price(Kind::Segment, "0.10"), price(Kind::Minute, "0.20"), price(Kind::CarrierFee, "0")];
    let overrides = Overrides { destinations, ..Overrides::default() };
    price_book::Rules { overrides, ..price_book::Rules::default() }
}

fn book() -> PriceBook {
    PriceBook::new(Prices::new("USD"), prices()).expect("prices of the test")
}

fn to() -> PhoneNumber {
    PhoneNumber::parse(TO).expect("a number")
}

/// What a text costs at most, by the price book that the egress asks.
pub(crate) fn a_text() -> Amount {
    let message = Message::text(Recipient::Phone(to()), Sender::LongCode, "a code");
    message.charge(&book()).expect("it has a price").price()
}

fn a_day(at: Amount, then: Vec<Action>) -> Limit {
    Limit {
        name: "codes a day".to_owned(),
        scope: Scope::All,
        per: Per::Account,
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        window: Window::Daily,
        at: Threshold::At(at),
        burst: None,
        unseen: None,
        warn: vec![],
        then,
        probe: Probe::Percent(10),
        reset: Reset::Manual,
        enforce: true,
    }
}

/// An application whose codes may cost so much a day.
pub(crate) async fn bank(database: Database, at: Amount, options: Options) -> Bank {
    bank_that(database, a_day(at, vec![]), options).await
}

async fn bank_that(database: Database, limit: Limit, options: Options) -> Bank {
    let spending = Some(Spending { limits: vec![limit], prices: prices() });
    let bank = Bank::with(Options { spending, database, ..options }).await;
    bank.poll().await;
    bank
}

impl Bank {
    pub(crate) async fn open_reservations(&self) -> Vec<OpenReservation> {
        self.store.open_reservations(None, 99).await.expect("they are read")
    }

    /// Settled, and set aside.
    pub(crate) async fn sums(&self) -> (Amount, Amount) {
        assert_eq!(self.store.check_ledger().await.expect("checked"), []);
        let rows = self.store.ledger().await.expect("it is there");
        (rows[0].ledger.settled, rows[0].ledger.reserved)
    }

    async fn is_tripped(&self) -> bool {
        self.engine.take_triggered().await.expect("taken");
        let account = self.world.sandbox.account_sid().to_string();
        let found = self.store.find_breaker::<State>("codes a day", &account).await.expect("it is there");
        found.is_some_and(|breaker| breaker.state.stops())
    }

    async fn sends(&self) -> usize {
        let all = SendFilter { application: self.application.sid.to_string(), ..SendFilter::default() };
        self.store.code_sends(&all, 0, 99).await.expect("they are read").len()
    }
}

async fn outcome(bank: &Bank, started: &Value) -> SendOutcome {
    let sid = Sid::parse(started["sid"].as_str().expect("a SID")).expect("a SID");
    bank.store.sends_of_challenge(sid).await.expect("sends")[0].outcome
}

on_both! {
    a_code_that_a_limit_has_no_room_for_is_refused_and_nothing_is_sent => full,
    what_a_code_cost_is_what_twilio_says_of_its_sid => settled,
    a_crash_before_the_answer_leaves_a_code_in_doubt_and_it_is_never_sent_again => crash,
    a_code_whose_answer_was_lost_is_found_and_paid_once => found,
    a_code_that_may_never_have_been_sent_is_spent_and_not_sent_again => lost,
    of_many_starts_around_the_last_cent_as_many_are_sent_as_fit => last_cent,
    what_is_refused_anyway_takes_no_room_and_trips_nothing => refused_anyway,
    what_does_not_fit_trips_the_breaker_and_then_nothing_is_sent => trips,
    what_twilio_refused_comes_back_and_is_set_aside_anew => refused_by_twilio,
    a_phone_that_is_taken_away_is_told_once_with_what_was_set_aside_for_it => old_phone,
    past_a_limit_no_phone_is_told_that_it_is_taken_away => old_phone_past_the_limit,
}

async fn full(open: impl Fn() -> Database) {
    let bank = bank(open(), a_text(), Options::default()).await;
    let (_, code) = bank.started().await;
    // All of the limit is open: what the first one really costs leaves room, or does not.
    let other = [("To", "+14155550199")];
    let refused = bank.start(&other).await;
    assert_eq!(refused.error(), (429, 20429));
    assert_eq!(refused.header("retry-after"), Some("10"));
    let said = refused.body["message"].as_str().expect("words");
    assert!(said.contains("a limit on spending") && !said.contains("codes a day"), "{refused:?}");
    assert_eq!(bank.start(&[("To", "+14155550199"), ("Channel", "call")]).await.error(), (429, 20429));
    bank.advance(600).await;
    bank.reconcile().await;
    // It is known by now, and the rest is less than a text can cost.
    let refused = bank.start(&other).await;
    assert_eq!(refused.error(), (429, 20429));
    // The day ends later, and limits are raised meanwhile.
    assert_eq!(refused.header("retry-after"), Some("3600"));
    assert_eq!(bank.work().await, (0, 0));
    assert_eq!((bank.messages().await.len(), bank.calls().await.len(), bank.sends().await), (1, 0, 1));
    let check = bank.check_with(&[("To", "+14155550199"), ("Code", &code)]).await;
    assert_eq!(check.error(), (404, 20404), "nothing waits there");
}

async fn settled(open: impl Fn() -> Database) {
    let bank = bank(open(), Amount::from_units(9), Options::default()).await;
    bank.start(&[]).await;
    let reserved = bank.open_reservations().await;
    assert_eq!((reserved[0].worst, reserved[0].state), (a_text(), ReservationState::Open));
    assert_eq!(reserved[0].operation, "messages.create");
    assert_eq!(bank.work().await, (1, 0));
    let text = Sid::parse(&bank.messages().await[0].sid).expect("a SID");
    let sent = &bank.open_reservations().await[0];
    assert_eq!((sent.state, sent.resource), (ReservationState::Sent, Some(text)));

    bank.start(&[("To", "+14155550199"), ("Channel", "call")]).await;
    assert_eq!(bank.work().await, (1, 0));
    let call = Call {
        to: Recipient::Phone(to()),
        from: None,
        time_limit: Some(90),
        record: false,
        conference_record: false,
        machine_detection: false,
        conference: false,
    };
    let open = bank.open_reservations().await;
    let called = open.iter().find(|it| it.operation == "calls.create").expect("a call");
    assert_eq!(called.worst, call.charge(&book()).expect("it has a price").charge.price());

    bank.advance(1_200).await;
    bank.reconcile().await;
    let price = |price: Option<ringfence_twilio::wire::Price>| {
        Amount::from_micros(price.expect("Twilio tells it").micros.abs())
    };
    let cost = price(bank.messages().await[0].price).saturating_add(price(bank.calls().await[0].price));
    let (settled, _) = bank.sums().await;
    assert_eq!(settled, cost);
    assert!(cost > Amount::ZERO && cost < a_text(), "{cost}");
}

async fn crash(open: impl Fn() -> Database) {
    let bank = bank(open(), Amount::from_units(9), Options::default()).await;
    let started = bank.start(&[]).await.body;
    let sid = Sid::parse(started["sid"].as_str().expect("a SID")).expect("a SID");
    let send = bank.store.sends_of_challenge(sid).await.expect("sends")[0].sid;
    // A node takes the right to send it, and dies.
    let taken = bank.store.take_up_code_send(send, bank.now()).await.expect("the store is there");
    drop(taken.expect("it is there once"));
    assert!(bank.store.take_up_code_send(send, bank.now()).await.expect("asked").is_none(), "and only once");
    for _ in 0..20 {
        bank.work().await;
        bank.advance(5).await;
    }
    assert_eq!(outcome(&bank, &started).await, SendOutcome::Failed);
    bank.advance(300).await;
    bank.reconcile().await;
    assert_eq!(bank.open_reservations().await[0].state, ReservationState::InDoubt);
    assert_eq!(bank.sums().await, (Amount::ZERO, a_text()));
    bank.advance(25 * 3_600).await;
    bank.reconcile().await;
    assert_eq!(bank.open_reservations().await, []);
    assert_eq!(bank.messages().await.len(), 0, "nobody knew, so nobody sent it");
}

async fn found(open: impl Fn() -> Database) {
    let bank = bank(open(), Amount::from_units(9), Options::default()).await;
    let fault = r#"{"api": [{"method": "POST", "path": "/Messages", "drop": "after", "times": 1}]}"#;
    bank.world.fault(fault).await;
    let started = bank.start(&[]).await.body;
    assert_eq!(bank.work().await, (0, 1));
    assert_eq!(bank.open_reservations().await[0].state, ReservationState::InDoubt);
    bank.advance(2).await;
    assert_eq!(bank.work().await, (1, 0));
    let text = Sid::parse(&bank.messages().await[0].sid).expect("a SID");
    assert_eq!(outcome(&bank, &started).await, SendOutcome::Sent(Some(text)));
    let open = bank.open_reservations().await;
    assert_eq!((open.len(), open[0].state), (1, ReservationState::Sent));
    assert_eq!((open[0].resource, bank.messages().await.len()), (Some(text), 1));
}

async fn lost(open: impl Fn() -> Database) {
    let bank = bank(open(), Amount::from_units(9), Options::default()).await;
    let fault = r#"{"api": [{"method": "POST", "path": "/Messages", "drop": "before", "times": 1}]}"#;
    bank.world.fault(fault).await;
    let started = bank.start(&[]).await.body;
    for _ in 0..20 {
        bank.work().await;
        bank.advance(5).await;
    }
    assert_eq!(outcome(&bank, &started).await, SendOutcome::Failed);
    assert_eq!(bank.messages().await.len(), 0);
    assert_eq!(bank.sums().await, (Amount::ZERO, a_text()), "in doubt is spent");
    // Whoever waits asks again, and that is paid for by itself.
    assert_eq!(bank.start(&[]).await.status, 201);
    assert_eq!(bank.work().await, (1, 0));
    assert_eq!((bank.messages().await.len(), bank.open_reservations().await.len()), (1, 2));
}

async fn last_cent(open: impl Fn() -> Database) {
    let three = a_text().saturating_mul(3);
    let bank = bank(open(), three, Options::default()).await;
    let bank = Arc::new(bank);
    let mut starting = JoinSet::new();
    for number in 0..10 {
        let bank = Arc::clone(&bank);
        let to = format!("+1415555{:04}", 1_000 + number * 111);
        starting.spawn(async move { bank.start(&[("To", &to)]).await });
    }
    let answers = starting.join_all().await;
    let sent = answers.iter().filter(|answer| answer.status == 201).count();
    let refused = answers.iter().filter(|it| it.status == 429 && it.error() == (429, 20429)).count();
    assert_eq!((sent, refused), (3, 7), "{answers:?}");
    assert_eq!(bank.work().await, (3, 0));
    assert_eq!(bank.messages().await.len(), 3);
    assert_eq!(bank.sums().await, (Amount::ZERO, three));
}

async fn refused_anyway(open: impl Fn() -> Database) {
    let nothing = Amount::from_micros(1);
    let bank = bank_that(open(), a_day(nothing, vec![Action::Notify]), Options::default()).await;
    assert_eq!(bank.start(&[("To", "+33612345678")]).await.error(), (403, 60605));
    assert_eq!(bank.start(&[("To", "+881612345678")]).await.error(), (403, 60605));
    assert!(!bank.is_tripped().await);
    assert_eq!(bank.open_reservations().await, []);
}

async fn trips(open: impl Fn() -> Database) {
    let bank = bank_that(open(), a_day(a_text(), vec![Action::Notify]), Options::default()).await;
    bank.started().await;
    bank.advance(600).await;
    bank.reconcile().await;
    assert!(!bank.is_tripped().await);
    // An operator lifts it, and nobody knows when: it is no use to try again.
    for _ in 0..2 {
        let refused = bank.start(&[("To", "+14155550199")]).await;
        assert_eq!(refused.error(), (403, 60410));
        assert_eq!(refused.header("retry-after"), None);
        assert!(bank.is_tripped().await);
    }
    assert_eq!((bank.work().await, bank.messages().await.len()), ((0, 0), 1));
}

async fn refused_by_twilio(open: impl Fn() -> Database) {
    let bank = bank(open(), a_text(), Options::default()).await;
    let fault = |status: u16, code: u32| {
        format!(
            r#"{{"api": [{{"method": "POST", "path": "/Messages", "status": {status}, "code": {code}, "times": 1}}]}}"#
        )
    };
    bank.world.fault(&fault(400, 21211)).await;
    bank.start(&[("To", "+14155550199")]).await;
    assert_eq!(bank.work().await, (0, 1));
    assert_eq!(bank.sums().await, (Amount::ZERO, Amount::ZERO), "for good");
    bank.world.fault(&fault(429, 20429)).await;
    bank.start(&[]).await;
    assert_eq!(bank.work().await, (0, 1));
    assert_eq!(bank.sums().await, (Amount::ZERO, Amount::ZERO), "for now");
    bank.advance(5).await;
    assert_eq!(bank.work().await, (1, 0));
    assert_eq!(bank.sums().await, (Amount::ZERO, a_text()));
    assert_eq!(bank.messages().await.len(), 1);
}

#[tokio::test]
async fn a_code_that_nobody_waits_for_any_more_is_given_back() {
    let bank = bank(Database::sqlite(), Amount::from_units(9), Options::default()).await;
    bank.start(&[]).await;
    assert_eq!(bank.sums().await, (Amount::ZERO, a_text()));
    let one = format!("{}/Verifications/{TO}", bank.service());
    bank.ask("POST", &one, &[("Status", "canceled")]).await;
    assert_eq!(bank.work().await, (1, 0));
    assert_eq!(bank.sums().await, (Amount::ZERO, Amount::ZERO));
    bank.start(&[]).await;
    bank.advance(61).await;
    assert_eq!(bank.work().await, (0, 1), "it is late");
    assert_eq!(bank.sums().await, (Amount::ZERO, Amount::ZERO));
}

#[tokio::test]
async fn a_code_that_nobody_began_to_send_is_given_back_though_its_time_is_long_over() {
    let bank = bank(Database::sqlite(), Amount::from_units(9), Options::default()).await;
    bank.start(&[]).await;
    // Nothing works for ten minutes, and what nobody answered for is in doubt by then.
    bank.advance(600).await;
    bank.reconcile().await;
    assert_eq!(bank.open_reservations().await[0].state, ReservationState::InDoubt);
    bank.work().await;
    assert_eq!(bank.sums().await, (Amount::ZERO, Amount::ZERO));
    assert_eq!(bank.messages().await.len(), 0);
}

#[tokio::test]
async fn a_crash_after_a_refusal_of_twilios_keeps_no_code_from_being_sent() {
    let bank = bank(Database::sqlite(), a_text(), Options::default()).await;
    let started = bank.start(&[]).await.body;
    let sid = Sid::parse(started["sid"].as_str().expect("a SID")).expect("a SID");
    let send = bank.store.sends_of_challenge(sid).await.expect("sends")[0].sid;
    // A node takes it up, gives it back since nothing was made, and dies before it says so of the send.
    let taken = bank.store.take_up_code_send(send, bank.now()).await.expect("asked").expect("it is there");
    assert!(bank.store.void(taken.id(), Now::At(bank.now())).await.expect("given back"));
    assert_eq!(bank.work().await, (1, 0));
    assert_eq!((bank.messages().await.len(), bank.sums().await.1), (1, a_text()));
}

#[tokio::test]
async fn a_code_that_is_sent_again_is_set_aside_again() {
    let bank = bank(Database::sqlite(), Amount::from_units(9), Options::default()).await;
    bank.started().await;
    assert_eq!(bank.start(&[]).await.error(), (429, 20429), "so soon it is not sent");
    assert_eq!(bank.sums().await.1, a_text());
    bank.advance(30).await;
    assert_eq!(bank.start(&[]).await.status, 201);
    assert_eq!(bank.work().await, (1, 0));
    assert_eq!(bank.sums().await.1, a_text().saturating_mul(2));
}

#[tokio::test]
async fn what_twilios_verify_sends_is_set_aside_and_taken_at_its_worst() {
    let options = Options { by_verify: true, ..Options::default() };
    let bank = bank(Database::sqlite(), Amount::from_units(9), options).await;
    bank.start(&[]).await;
    let verification = Verification {
        to: Some(to()),
        channel: VerificationChannel::Sms,
        custom_message: None,
        inserted: &["Owl Bank"],
    };
    let worst = verification.charge(&book()).expect("it has a price").price();
    let reserved = bank.open_reservations().await;
    assert_eq!((reserved[0].worst, reserved[0].operation.as_str()), (worst, "verifications.create"));
    assert_eq!(bank.work().await, (1, 0));
    bank.reconcile().await;
    assert_eq!(bank.sums().await, (worst, Amount::ZERO), "Twilio has no list of them");
}

#[tokio::test]
async fn what_twilios_verify_may_have_sent_is_not_sent_again() {
    let options = Options { by_verify: true, ..Options::default() };
    let bank = bank(Database::sqlite(), Amount::from_units(9), options).await;
    bank.start(&[]).await;
    assert_eq!(bank.work().await, (1, 0));
    bank.advance(30).await;
    let fault = r#"{"api": [{"method": "POST", "path": "/Verifications", "drop": "before", "times": 1}]}"#;
    bank.world.fault(fault).await;
    assert_eq!(bank.start(&[]).await.status, 201);
    assert_eq!(bank.work().await, (0, 1));
    for _ in 0..20 {
        bank.advance(5).await;
        assert_eq!(bank.work().await.0, 0);
    }
    let sent = bank.world.control("GET", "verifications", "").await;
    let sends = sent["verifications"][0]["sends"].as_array().map(Vec::len);
    assert_eq!(sends, Some(1), "{sent:#}");
}

#[tokio::test]
async fn before_twilios_figures_are_read_no_code_is_sent_and_soon_it_is() {
    let limit = a_day(Amount::from_units(9), vec![]);
    let spending = Some(Spending { limits: vec![limit], prices: prices() });
    let bank = Bank::with(Options { spending, ..Options::default() }).await;
    let refused = bank.start(&[]).await;
    assert_eq!(refused.error(), (503, 20503));
    assert_eq!(refused.header("retry-after"), Some("10"));
    bank.poll().await;
    assert_eq!(bank.start(&[]).await.status, 201);
}

#[tokio::test]
async fn a_number_whose_price_nobody_knows_gets_no_code() {
    let limit = a_day(Amount::from_units(9), vec![]);
    let spending = Some(Spending { limits: vec![limit], prices: price_book::Rules::default() });
    let bank = Bank::with(Options { spending, ..Options::default() }).await;
    bank.poll().await;
    // It is known once prices are read, which nobody has done yet.
    let early = bank.start(&[]).await;
    assert_eq!((early.error(), early.header("retry-after")), ((503, 20503), Some("10")));
    let account = bank.world.sandbox.account_sid();
    let prices = Prices { version: 1, ..Prices::new("USD") };
    let read = StoredPrices { account, fetched_at: bank.now(), prices };
    bank.store.keep_prices(&Actor::job("prices"), read, bank.now()).await.expect("they are kept");
    let refused = bank.start(&[]).await;
    assert_eq!(refused.error(), (403, 60605));
    assert!(refused.body["message"].as_str().expect("words").contains("no price is known"), "{refused:?}");
    assert_eq!((bank.work().await, bank.sends().await), ((0, 0), 0));
}

#[tokio::test]
async fn without_limits_nothing_is_set_aside() {
    let spending = Some(Spending { limits: vec![], prices: price_book::Rules::default() });
    let bank = Bank::with(Options { spending, ..Options::default() }).await;
    bank.started().await;
    assert_eq!(bank.open_reservations().await, []);
}

#[tokio::test]
async fn an_erased_users_code_that_nobody_sent_is_given_back() {
    let bank = bank(Database::sqlite(), Amount::from_units(9), Options::default()).await;
    let body = format!(r#"{{"user": "maria", "phone": "{TO}"}}"#);
    let begun = bank.users(Some(&bank.login), "POST", "/v1/sign-ins", Some(&body)).await;
    let code = format!("/v1/sign-ins/{}/code", begun.body["id"].as_str().expect("an id"));
    bank.users(Some(&bank.login), "POST", &code, Some(r#"{"user": "maria"}"#)).await;
    assert_eq!(bank.sums().await, (Amount::ZERO, a_text()));
    let (_, manager) = bank.credential(&[ringfence_control::user_api::MAY_MANAGE], None).await;
    let erased = bank.users(Some(&manager), "DELETE", "/v1/users/maria", None).await;
    assert_eq!((erased.status, erased.body["erased"].as_bool()), (200, Some(true)), "{erased:?}");
    assert_eq!(bank.sums().await, (Amount::ZERO, Amount::ZERO));
}

#[tokio::test]
async fn a_sign_in_of_an_applications_user_hears_of_the_limit() {
    let bank = bank(Database::sqlite(), Amount::from_micros(1), Options::default()).await;
    let body = format!(r#"{{"user": "maria", "phone": "{TO}"}}"#);
    let begun = bank.users(Some(&bank.login), "POST", "/v1/sign-ins", Some(&body)).await;
    let code = format!("/v1/sign-ins/{}/code", begun.body["id"].as_str().expect("an id"));
    let refused = bank.users(Some(&bank.login), "POST", &code, Some(r#"{"user": "maria"}"#)).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (429, Some("spending-limit")));
    assert_eq!(refused.header("retry-after"), Some("3600"));
    assert!(!refused.body.to_string().contains("codes a day"), "{refused:?}");
}

impl Bank {
    /// A phone is taken away from somebody's sign-in.
    async fn take_phone_away(&self) {
        let text = Text { to: to(), text: "Ringfence: this phone was taken away.".to_owned() };
        let payload = serde_json::json!(text);
        let new =
            NewEffect { kind: kind::TEXT.to_owned(), key: "text/1".to_owned(), payload, not_before: None };
        let now = self.engine.second_factor().expect("it is configured").now();
        self.store.add_effect(&Actor::job("test"), new, now).await.expect("it is added");
    }

    /// Texts to phones that are due; how many were done, and how many were not.
    async fn text(&self) -> (usize, usize) {
        self.work_at(kind::TEXT).await
    }
}

async fn old_phone(open: impl Fn() -> Database) {
    let bank = bank(open(), Amount::from_units(9), Options::default()).await;
    let fault = r#"{"api": [{"method": "POST", "path": "/Messages", "drop": "after", "times": 1}]}"#;
    bank.world.fault(fault).await;
    bank.take_phone_away().await;
    assert_eq!(bank.text().await, (0, 1));
    assert_eq!(bank.open_reservations().await[0].state, ReservationState::InDoubt);
    bank.advance(30).await;
    assert_eq!(bank.text().await, (1, 0), "it is found, and not sent again");
    let signs = bank.store.signs(Timestamp::MIN, Timestamp::MAX).await.expect("they are read");
    assert_eq!(signs, [], "it is no code that nobody enters");
    let messages = bank.messages().await;
    assert_eq!((messages.len(), messages[0].to.as_deref()), (1, Some(TO)));
    bank.reconcile().await;
    let message = Sid::parse(&messages[0].sid).expect("a SID");
    assert_eq!(
        bank.open_reservations().await.iter().filter_map(|it| it.resource).collect::<Vec<_>>(),
        [message]
    );
}

async fn old_phone_past_the_limit(open: impl Fn() -> Database) {
    let bank = bank(open(), Amount::from_micros(1), Options::default()).await;
    bank.take_phone_away().await;
    assert_eq!(bank.text().await, (0, 1));
    assert_eq!((bank.messages().await.len(), bank.open_reservations().await.len()), (0, 0));
    // The mail has told it; a day later a text says nothing new.
    bank.advance(25 * 60 * 60).await;
    assert_eq!(bank.text().await, (0, 1));
    bank.advance(60 * 60).await;
    assert_eq!(bank.text().await, (0, 0), "it is given up");
}
