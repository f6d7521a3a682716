//! Signs of pumping: a beginning of numbers is closed when too little of what is sent there arrives, or too few codes come
//! back; and honest traffic is not.

#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use ringfence_breaker::{
    Action, DialPrefix, Hold, Limit, Measure, Per, Phase, Reset, Scope, Sign, State, Subject, Threshold, Why,
    Window,
};
use ringfence_control::engine::ActRefused;
use ringfence_control::views::{Fired, IncidentFilter, IncidentKind, Page, PhaseName, ShareStanding};
use ringfence_model::{Actor, Amount, Sid};
use ringfence_store::{Admission, Arrival, NewReservation, NotAdmitted, Reservation, Sent, Spent};

use crate::database::{Database, on_both};
use crate::ledger::Money;
use crate::node::fifty_a_day;

on_both! {
    numbers_to_which_too_little_is_delivered_are_closed_and_all_others_go_on => delivered_too_little,
    a_report_that_comes_after_the_price_is_heard_of => heard_late,
    numbers_from_which_too_few_codes_come_back_are_closed => entered_too_few,
}

const SIGN: Sign = Sign { percent: 50, least: 10, settle: 600 };

fn rule(measure: Measure) -> Limit {
    Limit {
        name: "pumped".to_owned(),
        scope: Scope::All,
        measure,
        window: Window::Rolling { seconds: 3_600 },
        at: Threshold::Share(SIGN),
        warn: vec![],
        ..fifty_a_day(Per::Prefix, vec![Action::Notify])
    }
}

fn washington() -> DialPrefix {
    "+1202".parse().expect("a prefix")
}

fn ops() -> Actor {
    Actor::CommandLine("ops".to_owned())
}

impl Money {
    async fn asks_for(&self, operation: &str, to: DialPrefix) -> Admission {
        let hold = Hold {
            limit: Arc::new(self.node.engine.limits()[0].clone()),
            subject: Subject::Prefix(to),
            amount: Amount::ZERO,
            told: Amount::ZERO,
            places: Vec::new(),
        };
        let new = NewReservation {
            holds: vec![hold],
            operation: operation.to_owned(),
            beginning: Some(to),
            ..self.request("0.02", "+12025550100").await
        };
        self.node.store.admit(new, self.now()).await.expect("the store is there")
    }

    async fn lets_out(&self, operation: &str, to: DialPrefix) -> Reservation {
        match self.asks_for(operation, to).await {
            Admission::Admitted(reservation) => reservation,
            Admission::Refused(why) => panic!("{why:?}"),
        }
    }

    /// Sends through the egress to numbers of Washington, of which so many can be reached.
    async fn texts(&self, reached: usize, unreachable: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for number in 0..reached + unreachable {
            let to = format!("+120255501{number:02}");
            if number >= reached {
                let phone = format!("phones/{to}");
                self.node.world.control("PUT", &phone, r#"{"delivery": "unreachable"}"#).await;
            }
            let reservation = self.lets_out("messages.create", washington()).await;
            ids.push(reservation.id().to_owned());
            let message = self.send(&to).await;
            self.node.store.sent(reservation, Sent::Made(Some(message)), self.now()).await.expect("noted");
        }
        ids
    }

    async fn goes_on(&self, seconds: u64) {
        self.node.advance(seconds).await;
        self.reconcile().await;
    }

    async fn phase(&self) -> Phase {
        let found = self.node.store.find_breaker::<State>("pumped", "+1202").await.expect("it is there");
        found.map_or(Phase::Passing, |breaker| breaker.state.phase)
    }

    async fn is_closed(&self) -> bool {
        let refused =
            |why: &Admission| matches!(why, Admission::Refused(NotAdmitted::Limit { why: Why::Tripped, .. }));
        let asked = self.asks_for("messages.create", washington()).await;
        if let Admission::Admitted(reservation) = asked {
            self.node.store.sent(reservation, Sent::Nothing, self.now()).await.expect("noted");
            return false;
        }
        assert!(refused(&asked), "{asked:?}");
        true
    }

    async fn notices(&self) -> usize {
        let told = |action: &String| action == "breaker.trip" || action == "breaker.would-trip";
        self.node.audit_actions().await.iter().filter(|action| told(action)).count()
    }
}

async fn delivered_too_little(open: impl Fn() -> Database) {
    let money = Money::on(open(), rule(Measure::Delivery)).await;
    let engine = &money.node.engine;
    money.texts(5, 12).await;
    money.goes_on(90).await;
    assert!(!money.is_closed().await, "too young to be judged");
    money.goes_on(600).await;
    assert!(money.is_closed().await);
    let (status, ledger) = (engine.views().status().await, engine.views().ledger(None, true).await);
    let (limit, ledger) = (status.expect("read").limits.remove(0), ledger.expect("read"));
    let [share] = &*limit.shares else { panic!("{limit:?}") };
    assert_eq!((share.judged, share.least_percent, share.standing), (17, 50, ShareStanding::Tripped));
    assert_eq!((&*share.prefix, &*share.percent), ("+1202", "29.4 %"));
    assert_eq!((ledger.shares, limit.left_out), (limit.shares, 0));
    assert_eq!(limit.sums, [], "nothing is taken of a share");
    let of_one = engine.views().ledger(Some(money.account), true).await.expect("read");
    assert_eq!(of_one.shares, [], "a beginning of numbers is no account's");
    // The account itself goes on, and so does everybody else.
    drop(money.lets_out("messages.create", "+1415".parse().expect("a prefix")).await);
    drop(money.lets_out("calls.create", "+447".parse().expect("a prefix")).await);
    money.goes_on(60).await;
    assert_eq!(money.notices().await, 1, "told once");

    let views = engine.views();
    let all = views.incidents(&IncidentFilter::default(), &Page::all()).await.expect("read").incidents;
    let it = all.iter().find(|it| it.kind == IncidentKind::Tripped).expect("an incident");
    assert_eq!((it.fired, it.open, it.prefix.as_deref()), (Fired::Share, true, Some("+1202")));
    let share = it.share.as_ref().expect("a share");
    assert_eq!((share.judged, share.least_percent, it.used.as_deref()), (17, 50, None));
    assert_eq!(share.words, "only 29.4 % of 17 messages were delivered, less than 50 %");
    let status = views.status().await.expect("read");
    let shown = &status.breakers[0];
    assert_eq!((shown.phase, shown.prefix.as_deref()), (PhaseName::Tripped, Some("+1202")));
    assert_eq!(shown.tripped.as_ref().and_then(|it| it.share.as_ref()), Some(share));
    let report = views.report(None, true, None).await.expect("read");
    let summary = &report.limits[0].summary;
    assert!(summary.contains("for numbers that begin with +1202") && summary.contains("29.4 %"), "{summary}");

    // Whoever opens it has dealt with what was sent before.
    let subject = Subject::Prefix(washington());
    let other = Subject::Prefix("+1415".parse().expect("a prefix"));
    let refused = engine.reset("pumped", other, None, &ops(), "over").await.expect_err("nothing is tripped");
    assert!(matches!(refused, ActRefused::NotTripped { .. }), "{refused:?}");
    let state =
        engine.reset("pumped", subject, None, &ops(), "the form has a limit now").await.expect("reset");
    assert_eq!(state.phase, Phase::Passing);
    for _ in 0..20 {
        money.goes_on(60).await;
        assert!(!money.is_closed().await);
    }
    let all =
        engine.views().incidents(&IncidentFilter::default(), &Page::all()).await.expect("read").incidents;
    let over = all.iter().find(|over| over.id == it.id).expect("an incident");
    assert_eq!((over.open, over.ended_reason.as_deref()), (false, Some("the form has a limit now")));
    money.texts(4, 9).await;
    money.goes_on(700).await;
    assert!(money.is_closed().await, "what came after that is judged by itself");
}

async fn heard_late(open: impl Fn() -> Database) {
    let money = Money::on(open(), rule(Measure::Delivery)).await;
    // Their prices are known before anybody says whether they arrived.
    for id in money.texts(0, 12).await {
        let spent = Spent { price: "0.01".parse().expect("an amount"), ..Spent::default() };
        assert_eq!(spent.arrival, Arrival::Unknown);
        assert!(money.node.store.settle(&id, spent, None, money.now()).await.expect("settled"));
    }
    money.goes_on(240).await;
    money.goes_on(420).await;
    assert!(money.is_closed().await, "{:?}", money.phase().await);
}

async fn entered_too_few(open: impl Fn() -> Database) {
    let money = Money::on(open(), rule(Measure::Conversion)).await;
    let store = &money.node.store;
    let starts = async |from: u128, many: u128| {
        for number in from..from + many {
            let reservation = money.lets_out("verifications.create", washington()).await;
            let made = Sent::Made(Some(Sid::new(*b"VE", number)));
            store.sent(reservation, made, money.now()).await.expect("noted");
        }
    };
    let enters = async |number: u128| {
        let verification = Some(Sid::new(*b"VE", number));
        store.verified(money.account, washington(), verification, money.now()).await.expect("noted");
    };
    // Nobody tells of any code: its application checks them elsewhere.
    starts(0, 30).await;
    for _ in 0..12 {
        money.goes_on(60).await;
    }
    assert!(!money.is_closed().await);
    // Half of them are entered, the others within the time that a code is good.
    starts(100, 20).await;
    money.goes_on(120).await;
    for number in 100..110 {
        enters(number).await;
    }
    // 30 before, 20 now, 10 of them entered: too few.
    money.goes_on(900).await;
    assert!(money.is_closed().await, "{:?}", money.phase().await);
}

#[tokio::test]
async fn codes_that_most_people_enter_close_nothing() {
    let money = Money::with(rule(Measure::Conversion)).await;
    let store = &money.node.store;
    for number in 0..40_u128 {
        let reservation = money.lets_out("verifications.create", washington()).await;
        let verification = Sid::new(*b"VE", number);
        store.sent(reservation, Sent::Made(Some(verification)), money.now()).await.expect("noted");
        if number % 3 > 0 {
            let entered = store.verified(money.account, washington(), Some(verification), money.now());
            entered.await.expect("noted");
        }
        money.goes_on(60).await;
    }
    for _ in 0..90 {
        money.goes_on(60).await;
    }
    assert_eq!(money.phase().await, Phase::Passing);
    assert_eq!(money.notices().await, 0);
}

#[tokio::test]
async fn what_only_watches_tells_once_and_closes_nothing_and_time_opens_what_is_closed() {
    let money = Money::with(Limit { enforce: false, ..rule(Measure::Delivery) }).await;
    money.texts(0, 12).await;
    money.goes_on(660).await;
    money.goes_on(60).await;
    assert!(!money.is_closed().await);
    assert!(matches!(money.phase().await, Phase::Tripped { enforced: false, .. }));
    assert_eq!(money.notices().await, 1);

    let money = Money::with(Limit { reset: Reset::NextWindow, ..rule(Measure::Delivery) }).await;
    money.texts(0, 12).await;
    money.goes_on(660).await;
    assert!(money.is_closed().await);
    money.goes_on(3_599).await;
    assert!(money.is_closed().await);
    money.goes_on(1).await;
    assert!(!money.is_closed().await, "whether or not anybody has written it down");
    money.node.engine.tick().await.expect("the store is there");
    for _ in 0..30 {
        money.goes_on(60).await;
    }
    assert!(!money.is_closed().await, "what was sent before is dealt with");
    assert_eq!(money.notices().await, 1);
}
