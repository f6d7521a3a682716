//! What the egress set aside becomes what was spent, by what Twilio's lists say.

#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use jiff::SignedDuration;
use ringfence_breaker::{
    Action, AppliedLimit, DialPrefix, Hold, Limit, Per, Reset, State, Subject, Unseen, Why, Window,
};
use ringfence_model::{Amount, PhoneNumber, Sid};
use ringfence_store::{
    Admission, AnswerAdmission, AnswerPart, NewAnswer, NewCredential, NewLimit, NewReservation, NotAdmitted,
    Now, Reservation, ReservationState, Sent,
};
use ringfence_twilio::client::{CallFilter, Client, Instructions, NewCall, NewMessage};
use serde_json::json;
use tokio::task::JoinSet;

use crate::database::Database;
use crate::node::{Node, fifty_a_day};

/// A node whose limits are applied, with one account that buys a number and sends.
pub(crate) struct Money {
    pub(crate) node: Node,
    pub(crate) account: Sid,
    pub(crate) client: Client,
    from: String,
    credential: Sid,
}

impl Money {
    async fn start(then: Vec<Action>) -> Self {
        Self::with(fifty_a_day(Per::Account, then)).await
    }

    pub(crate) async fn with(limit: Limit) -> Self {
        Self::on(Database::sqlite(), limit).await
    }

    pub(crate) async fn on(database: Database, limit: Limit) -> Self {
        let node = Node::on(database, vec![limit]).await;
        let (account, client) = node.world.subaccount("shop").await;
        node.engine.synchronise_accounts().await.expect("synchronised");
        let limits = node.engine.limits().iter().map(|applied| NewLimit {
            name: applied.limit.name.clone(),
            definition: json!(applied.limit),
            hash: json!(applied.limit).to_string(),
            since: applied.since,
        });
        let by = ringfence_model::Actor::job("test");
        node.store.apply_limits(&by, limits.collect(), node.now()).await.expect("applied");
        let new = NewCredential {
            kind: "egress".to_owned(),
            application: None,
            name: "shop".to_owned(),
            scopes: vec![],
            expires_at: None,
        };
        let (credential, _) = node.store.create_credential(&by, new, node.now()).await.expect("made");
        Self { node, account, client, from: "+15005550006".to_owned(), credential: credential.sid }
    }

    pub(crate) async fn admit(&self, worst: &str, to: &str) -> Admission {
        let new = self.request(worst, to).await;
        self.node.store.admit(new, self.now()).await.expect("the store is there")
    }

    pub(crate) async fn request(&self, worst: &str, to: &str) -> NewReservation {
        let applied: AppliedLimit = self.node.engine.limits()[0].clone();
        let worst: Amount = worst.parse().expect("an amount");
        let hold = Hold {
            limit: Arc::new(applied),
            subject: Subject::Account(self.account),
            amount: worst,
            told: worst,
            places: Vec::new(),
        };
        let store = &self.node.store;
        NewReservation {
            credential: Some(self.credential),
            account: self.account,
            operation: "messages.create".to_owned(),
            worst,
            holds: vec![hold],
            limits: store.limits_fingerprint().await.expect("it is there").into(),
            party: Some(store.party_tag(to, &self.from).await.expect("a tag")),
            beginning: None,
            patience: SignedDuration::from_secs(60),
            goes_on: SignedDuration::ZERO,
        }
    }

    pub(crate) async fn admitted(&self, worst: &str, to: &str) -> Reservation {
        match self.admit(worst, to).await {
            Admission::Admitted(reservation) => reservation,
            Admission::Refused(why) => panic!("{why:?}"),
        }
    }

    pub(crate) async fn send(&self, to: &str) -> Sid {
        let message = NewMessage {
            to: to.to_owned(),
            from: Some(self.from.clone()),
            body: Some("hello".to_owned()),
            ..NewMessage::default()
        };
        let sent = self.client.messages(self.account).create(&message).await.expect("it is sent");
        Sid::parse(&sent.sid).expect("a SID")
    }

    pub(crate) async fn reconcile(&self) {
        let reconciled = self.node.engine.reconcile().await.expect("the store is there");
        assert!(reconciled.troubles.is_empty(), "{reconciled:?}");
    }

    /// Settled, and set aside.
    async fn sums(&self) -> (Amount, Amount) {
        let rows = self.node.store.ledger().await.expect("it is there");
        (rows[0].ledger.settled, rows[0].ledger.reserved)
    }

    async fn is_tripped(&self) -> bool {
        let found = self.node.store.find_breaker::<State>("fifty a day", &self.account.to_string()).await;
        found.expect("it is there").is_some_and(|breaker| breaker.state.stops())
    }

    pub(crate) fn now(&self) -> Now {
        Now::At(self.node.now())
    }
}

/// Answers that lead to something.
impl Money {
    /// Sets a dollar aside for what an answer in this call, or to this message, leads to.
    async fn answers(&self, parent: Sid, operation: &str, party: String) {
        let worst = Amount::from_units(1);
        let hold = Hold {
            limit: Arc::new(self.node.engine.limits()[0].clone()),
            subject: Subject::Account(self.account),
            amount: worst,
            told: worst,
            places: Vec::new(),
        };
        let part = AnswerPart {
            operation: operation.to_owned(),
            worst,
            holds: vec![hold],
            party: Some(party),
            beginning: None,
            patience: SignedDuration::from_hours(4),
        };
        let limits = self.node.store.limits_fingerprint().await.expect("it is there").into();
        let new =
            NewAnswer { key: format!("{parent}"), parent, account: self.account, parts: vec![part], limits };
        let admitted = self.node.store.admit_answer(new, self.now()).await.expect("the store is there");
        assert_eq!(admitted, AnswerAdmission::Admitted(vec![]));
    }

    /// A call that carries this out.
    async fn call(&self, twiml: &str) -> Sid {
        let twiml = Instructions::Twiml(twiml.to_owned());
        let new = NewCall::new("+12025550111", self.from.clone(), twiml);
        let call = self.client.calls(self.account).create(&new).await.expect("it is made");
        Sid::parse(&call.sid).expect("a SID")
    }
}

pub(crate) const TO: &str = "+12025550143";

#[tokio::test]
async fn a_call_that_an_answer_had_dialled_is_found_by_the_call_it_was_dialled_in() {
    let money = Money::start(vec![Action::Suspend]).await;
    money.node.poll().await;
    let dial = format!("<Response><Dial timeLimit=\"60\">{TO}</Dial></Response>");
    let (one, other) = (money.call(&dial).await, money.call(&dial).await);
    let tag = money.node.store.dialled_tag(TO, other).await.expect("a tag");
    money.answers(other, "twiml.call", tag).await;
    money.node.advance(3600).await;
    money.reconcile().await;
    assert_eq!(money.node.store.open_reservations(None, 9).await.expect("read"), []);
    let calls = money.client.calls(money.account).list(&CallFilter::default()).all().await.expect("a list");
    let dialled = |parent: Sid| {
        let child = calls.iter().find(|it| it.parent_call_sid == Some(parent.to_string()));
        Sid::parse(&child.expect("it was dialled").sid).expect("a SID")
    };
    let resources = [dialled(one), dialled(other)];
    assert_eq!(
        money.node.store.reserved_resources(&resources).await.expect("read"),
        [dialled(other)],
        "each is of its own call"
    );
    let (settled, reserved) = money.sums().await;
    assert!(settled > Amount::ZERO && settled < Amount::from_units(1), "{settled}");
    assert_eq!(reserved, Amount::ZERO);
}

#[tokio::test]
async fn a_call_that_twilio_writes_otherwise_is_found_by_the_call_that_dialled_it() {
    let money = Money::start(vec![Action::Suspend]).await;
    money.node.poll().await;
    let call = money.call(&format!("<Response><Dial timeLimit=\"60\">{TO}</Dial></Response>")).await;
    let tag = money.node.store.dialled_tag("(202) 555-0143", call).await.expect("a tag");
    money.answers(call, "twiml.call", tag).await;
    money.node.advance(3_600).await;
    money.reconcile().await;
    let (settled, reserved) = money.sums().await;
    assert!(settled > Amount::ZERO && settled < Amount::from_units(1), "{settled}");
    assert_eq!(reserved, Amount::ZERO);
}

#[tokio::test]
async fn a_call_that_taskrouter_made_is_found_by_both_numbers_and_what_nobody_finds_stays_spent() {
    let money = Money::start(vec![Action::Suspend]).await;
    money.node.poll().await;
    let reservation = |number| Sid::new(*b"WR", number);
    let tag = async |to: &str| money.node.store.party_tag(to, &money.from).await.expect("a tag");
    money.answers(reservation(1), "taskrouter.call", tag("+12025550111").await).await;
    money.answers(reservation(2), "taskrouter.call", tag("+12025550199").await).await;
    // TaskRouter's call, as it stands in the list.
    money.call("<Response><Pause length=\"20\"/></Response>").await;
    money.node.advance(3_600).await;
    money.reconcile().await;
    let (settled, reserved) = money.sums().await;
    assert!(settled > Amount::ZERO && settled < Amount::from_units(1), "{settled}");
    assert_eq!(reserved, Amount::from_units(1), "nobody knows that it was not made");
    money.node.advance(30 * 3_600).await;
    money.reconcile().await;
    assert_eq!(money.node.store.open_reservations(None, 9).await.expect("read"), []);
    assert_eq!(money.node.store.check_ledger().await.expect("checked"), []);
}

#[tokio::test]
async fn what_goes_on_in_a_call_is_set_aside_until_the_call_is_over() {
    let money = Money::start(vec![Action::Suspend]).await;
    money.node.poll().await;
    let call = money.call("<Response><Pause length=\"1500\"/></Response>").await;
    money.answers(call, "twiml.other", String::new()).await;
    money.node.advance(1_200).await;
    money.reconcile().await;
    assert_eq!(money.sums().await, (Amount::ZERO, Amount::from_units(1)), "the call goes on");
    money.node.advance(1_800).await;
    money.reconcile().await;
    assert_eq!(money.sums().await, (Amount::from_units(1), Amount::ZERO));
}

#[tokio::test]
async fn what_a_call_that_is_over_never_dialled_comes_back() {
    let money = Money::start(vec![Action::Suspend]).await;
    money.node.poll().await;
    let call = money.call("<Response><Pause length=\"1500\"/></Response>").await;
    let tag = money.node.store.dialled_tag(TO, call).await.expect("a tag");
    money.answers(call, "twiml.call", tag).await;
    money.node.advance(1_200).await;
    money.reconcile().await;
    assert_eq!(money.sums().await, (Amount::ZERO, Amount::from_units(1)), "the call goes on");
    money.node.advance(1_800).await;
    money.reconcile().await;
    assert_eq!(money.sums().await, (Amount::ZERO, Amount::ZERO));
    assert_eq!(money.node.store.open_reservations(None, 9).await.expect("read"), []);
    assert_eq!(money.node.store.check_ledger().await.expect("checked"), []);
}

#[tokio::test]
async fn where_a_record_of_a_call_was_deleted_meanwhile_what_is_missing_is_no_call_that_never_was() {
    let money = Money::start(vec![Action::Suspend]).await;
    money.node.poll().await;
    let call = money.call("<Response><Pause length=\"1500\"/></Response>").await;
    let tag = money.node.store.dialled_tag(TO, call).await.expect("a tag");
    money.answers(call, "twiml.call", tag).await;
    money.node.advance(60).await;
    money.node.store.note_deleted_call(money.account, money.node.now()).await.expect("noted");
    money.node.advance(3_000).await;
    money.reconcile().await;
    assert_eq!(money.sums().await, (Amount::from_units(1), Amount::ZERO), "the worst is taken for the truth");
}

#[tokio::test]
async fn before_usage_was_read_nothing_is_admitted_and_after_it_something_is() {
    let money = Money::start(vec![Action::Suspend]).await;
    let refused = money.admit("0.10", TO).await;
    let is_closed =
        |it: &Admission| matches!(it, Admission::Refused(NotAdmitted::Limit { why: Why::NotReadBack, .. }));
    assert!(is_closed(&refused), "{refused:?}");
    // Of an account that used nothing Twilio has no record, which says as much.
    money.node.poll().await;
    drop(money.admitted("0.10", TO).await);
    // The store has lost its memory: it is closed until Twilio was asked again.
    let by = ringfence_model::Actor::job("test");
    money.node.store.new_epoch(&by, "a dump was restored", money.node.now()).await.expect("begun");
    assert!(is_closed(&money.admit("0.10", TO).await));
    money.node.poll().await;
    drop(money.admitted("0.10", TO).await);
}

#[tokio::test]
async fn a_message_is_settled_by_its_price_once_twilio_tells_it() {
    let money = Money::start(vec![Action::Suspend]).await;
    money.node.poll().await;
    let reservation = money.admitted("0.10", TO).await;
    let sid = money.send(TO).await;
    money.node.store.sent(reservation, Sent::Made(Some(sid)), money.now()).await.expect("noted");
    money.reconcile().await;
    assert_eq!(
        money.sums().await,
        (Amount::ZERO, Amount::from_micros(100_000)),
        "no price, nothing is settled"
    );
    money.node.advance(3600).await;
    money.reconcile().await;
    let price =
        money.client.messages(money.account).fetch(sid).await.expect("it is there").price.expect("a price");
    assert_eq!(money.sums().await, (Amount::from_micros(price.micros.abs()), Amount::ZERO));
    assert!(money.sums().await.0 > Amount::ZERO);
    assert_eq!(money.node.store.check_ledger().await.expect("checked"), []);
}

#[tokio::test]
async fn messages_that_go_out_in_a_week_keep_no_price_from_being_read() {
    const SCHEDULED: usize = 5_001;
    let money = Money::start(vec![Action::Suspend]).await;
    money.node.poll().await;
    let store = &money.node.store;
    let week = SignedDuration::from_hours(7 * 24);
    let new = NewReservation { patience: week, ..money.request("0.001", TO).await };
    let mut scheduled = JoinSet::new();
    for _ in 0..SCHEDULED {
        let (store, new, now) = (Arc::clone(store), new.clone(), money.now());
        scheduled.spawn(async move {
            let Ok(Admission::Admitted(reservation)) = store.admit(new, now).await else {
                panic!("there is room for it")
            };
            store.sent(reservation, Sent::Made(None), now).await.expect("noted");
        });
    }
    scheduled.join_all().await;
    money.node.advance(60).await;
    // The first look goes far back, and the second does not.
    for looked in 1..=2_usize {
        let (reservation, dead) = (money.admitted("0.10", TO).await, money.admitted("0.10", TO).await);
        let dead = dead.id().to_owned();
        let sid = money.send(TO).await;
        store.sent(reservation, Sent::Made(Some(sid)), money.now()).await.expect("noted");
        money.node.advance(300).await;
        money.reconcile().await;
        let open = store.open_reservations(None, SCHEDULED + 9).await.expect("read");
        assert_eq!(open.len(), SCHEDULED + looked, "its price is known");
        let dead = open.iter().find(|it| it.id == dead).expect("it is open");
        assert_eq!(dead.state, ReservationState::InDoubt, "nobody answered for it");
    }
    assert_eq!(store.check_ledger().await.expect("checked"), []);
}

#[tokio::test]
async fn who_was_called_into_a_conference_is_settled_by_the_price_of_the_call() {
    let money = Money::start(vec![Action::Suspend]).await;
    money.node.poll().await;
    let mut new = money.request("3", "+12025550111").await;
    new.operation = "participants.create".to_owned();
    let Admission::Admitted(reservation) = money.node.store.admit(new, money.now()).await.expect("a store")
    else {
        panic!("there is room for it")
    };
    let call = money.call("<Response><Pause length=\"20\"/></Response>").await;
    money.node.store.sent(reservation, Sent::Made(Some(call)), money.now()).await.expect("noted");
    money.node.advance(3_600).await;
    money.reconcile().await;
    let price =
        money.client.calls(money.account).fetch(call).await.expect("it is there").price.expect("a price");
    assert_eq!(money.sums().await, (Amount::from_micros(price.micros.abs()), Amount::ZERO));
    assert_eq!(money.node.store.check_ledger().await.expect("checked"), []);
}

#[tokio::test]
async fn what_was_in_doubt_is_found_by_whom_it_went_to_and_each_message_explains_one() {
    let money = Money::start(vec![Action::Suspend]).await;
    money.node.poll().await;
    let (one, two) = (money.admitted("0.10", TO).await, money.admitted("0.10", TO).await);
    let elsewhere = money.admitted("0.10", "+12025550199").await;
    let sid = money.send(TO).await;
    for reservation in [one, two, elsewhere] {
        money.node.store.sent(reservation, Sent::InDoubt, money.now()).await.expect("noted");
    }
    money.node.advance(3600).await;
    money.reconcile().await;
    let open = money.node.store.open_reservations(None, 9).await.expect("read");
    assert_eq!(open.len(), 2, "one message was sent, so one of them is known");
    assert!(open.iter().all(|it| it.state == ReservationState::InDoubt));
    assert_eq!(money.node.store.reserved_resources(&[sid]).await.expect("read"), [sid]);
    // Nobody ever finds the others: they are spent.
    money.node.advance(24 * 3600).await;
    money.reconcile().await;
    assert_eq!(money.node.store.open_reservations(None, 9).await.expect("read"), []);
    assert!(money.sums().await.0 >= Amount::from_micros(200_000));
}

#[tokio::test]
async fn what_nobody_answered_for_is_in_doubt_after_its_deadline() {
    let money = Money::start(vec![Action::Suspend]).await;
    money.node.poll().await;
    let reservation = money.admitted("0.10", TO).await;
    let sid = money.send(TO).await;
    drop(reservation);
    money.reconcile().await;
    assert_eq!(
        money.node.store.open_reservations(None, 9).await.expect("read")[0].state,
        ReservationState::Open
    );
    money.node.advance(120).await;
    money.reconcile().await;
    assert_eq!(
        money.node.store.open_reservations(None, 9).await.expect("read")[0].state,
        ReservationState::InDoubt
    );
    money.node.advance(3600).await;
    money.reconcile().await;
    assert_eq!(money.node.store.open_reservations(None, 9).await.expect("read"), []);
    assert_eq!(money.node.store.reserved_resources(&[sid]).await.expect("read"), [sid]);
}

#[tokio::test]
async fn what_is_settled_trips_the_breaker_and_suspends_the_account() {
    let money = Money::start(vec![Action::Suspend]).await;
    money.node.poll().await;
    let reservation = money.admitted("50", TO).await;
    let spent = ringfence_store::Spent { price: Amount::from_units(50), ..ringfence_store::Spent::default() };
    money.node.store.settle(reservation.id(), spent, None, money.now()).await.expect("settled");
    assert!(!money.is_tripped().await);
    money.reconcile().await;
    assert!(money.is_tripped().await);
    money.node.work().await;
    let status = money.node.world.status(money.account).await;
    assert_eq!(status, ringfence_twilio::wire::AccountStatus::Suspended);
}

#[tokio::test]
async fn a_day_that_spends_as_much_as_the_one_before_trips_as_that_one_did() {
    let limit = fifty_a_day(Per::Account, vec![Action::Notify]);
    let money = Money::with(Limit { reset: Reset::NextWindow, ..limit }).await;
    for day in 0..2 {
        money.node.poll().await;
        money.node.engine.tick().await.expect("the store is there");
        assert!(!money.is_tripped().await, "day {day}");
        let reservation = money.admitted("50", TO).await;
        let spent =
            ringfence_store::Spent { price: Amount::from_units(50), ..ringfence_store::Spent::default() };
        money.node.store.settle(reservation.id(), spent, None, money.now()).await.expect("settled");
        money.reconcile().await;
        assert!(money.is_tripped().await, "day {day}");
        money.node.advance(24 * 3600).await;
    }
}

#[tokio::test]
async fn a_request_that_does_not_fit_trips_the_breaker() {
    let money = Money::start(vec![Action::Suspend]).await;
    money.node.poll().await;
    let refused = money.admit("50.000001", TO).await;
    assert!(
        matches!(refused, Admission::Refused(NotAdmitted::Limit { why: Why::DoesNotFit, trips: true, .. })),
        "{refused:?}"
    );
    money.node.engine.take_triggered().await.expect("taken");
    assert!(money.is_tripped().await);
    let actions = money.node.audit_actions().await;
    assert!(actions.iter().any(|action| action == "breaker.trip"), "{actions:?}");
}

#[tokio::test]
async fn what_somebody_else_spends_counts_as_soon_as_it_is_read() {
    let money = Money::start(vec![Action::Notify]).await;
    money.node.spend(money.account, "49.95").await;
    money.node.advance(3600).await;
    money.node.poll().await;
    let refused = money.admit("0.06", TO).await;
    assert!(
        matches!(refused, Admission::Refused(NotAdmitted::Limit { why: Why::DoesNotFit, .. })),
        "{refused:?}"
    );
    drop(money.admitted("0.05", TO).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_an_account_sent_before_is_learnt_once_from_twilios_lists() {
    let unseen = Some(Unseen { within: 30 * 86_400, known_after: 3_600 });
    let limit = Limit {
        unseen,
        per: Per::Prefix,
        window: Window::Gcra { seconds: 86_400 },
        reset: Reset::NextWindow,
        warn: vec![],
        ..fifty_a_day(Per::Prefix, vec![])
    };
    let money = Money::with(limit).await;
    money.send("+14155550100").await;
    money.node.advance(3 * 3_600).await;
    let since = money.node.now() - SignedDuration::from_hours(24);
    let asks = async |to: &str| {
        let beginning = DialPrefix::of(PhoneNumber::parse(to).expect("a number"));
        let mut new = money.request("26", to).await;
        new.holds[0].subject = Subject::Prefix(beginning);
        new.holds[0].places = vec![beginning.place()];
        match money.node.store.admit(new, money.now()).await.expect("the store is there") {
            Admission::Admitted(reservation) => Some(reservation.watched().len()),
            Admission::Refused(_) => None,
        }
    };
    assert_eq!(asks("+959250000001").await, Some(1), "until it is learnt nothing is refused");
    assert!(money.node.store.accounts_to_learn(since).await.expect("read").contains(&money.account));
    money.reconcile().await;
    assert_eq!(money.node.store.accounts_to_learn(since).await.expect("read"), []);
    assert_eq!(asks("+447911123456").await, None, "it was never sent to");
    // The area code next to one that it knows is the same place.
    assert_eq!((asks("+14155550101").await, asks("+12125550101").await), (Some(0), Some(0)));
}
