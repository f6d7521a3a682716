use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Actor, PhoneNumber, Secret, Sid};
use ringfence_second_factor::challenge::{Channel, State};
use ringfence_second_factor::code::CodeLength;
use ringfence_second_factor::country::Country;
use ringfence_second_factor::failures::Barred;
use ringfence_second_factor::pumping::{Asker, Budget, Cap, Limits, Of, STOPPED_AFTER};
use ringfence_store::{
    Begun, CONSOLE, Challenge, Check, Checked, Counter, End, Error, Expected, NewChallenge, NotChecked,
    NotSent, Resend, SendOutcome, Store, Which,
};
use serde_json::json;

use crate::world::{World, after, all, on_both, start};

on_both! {
    of_many_right_codes_at_once_one_is_accepted,
    of_many_wrong_codes_at_once_five_are_compared,
    a_challenge_of_something_else_is_not_there,
    a_code_works_once_and_not_after_its_time,
    a_resend_changes_neither_code_nor_end_nor_checks,
    a_new_challenge_resets_no_failures_of_a_person,
    strangers_only_ever_delay_a_number_of_an_application,
    a_code_that_nobody_could_enter_is_not_sent,
    what_is_not_allowed_is_not_sent_and_not_counted,
    no_budget_is_ever_exceeded_on_two_nodes,
    of_two_caps_of_one_window_the_lower_holds_and_many_budgets_are_all_counted,
    a_prefix_where_nobody_enters_a_code_is_stopped_and_reported,
    starts_at_once_make_one_challenge,
    a_challenge_with_too_many_checks_keeps_its_place_until_its_time_is_over,
    an_application_may_end_what_waits_and_nothing_else,
    what_is_to_be_sent_is_known_as_long_as_it_makes_sense,
    keys_are_the_same_on_every_node,
}

const TO: &str = "+14155550100";

pub(crate) fn number(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).unwrap()
}

pub(crate) fn application() -> Actor {
    Actor::Application("SK00000000000000000000000000000001".to_owned())
}

pub(crate) fn expected(application: &str) -> Expected {
    Expected { application: application.into(), purpose: "verification".into(), binding: String::new() }
}

/// Limits that no test here reaches unless it is about them.
pub(crate) fn lenient() -> Limits {
    let countries = [Country::parse("US").unwrap()].into();
    let most = vec![Cap { most: 1_000_000, seconds: 600 }];
    Limits {
        countries,
        number: most.clone(),
        address: most.clone(),
        user: most.clone(),
        prefix: most.clone(),
        country: most.clone(),
        total: most,
        kept_percent: 0,
    }
}

pub(crate) fn new(expected: Expected) -> NewChallenge {
    NewChallenge {
        expected,
        number: number(TO),
        channel: Channel::Sms,
        length: CodeLength::SIX,
        lifetime: SignedDuration::from_mins(10),
        custom_code: None,
        details: json!({ "locale": "en" }),
        counter: Counter::Number,
        limits: Arc::new(lenient()),
        asker: Asker::default(),
        own_budgets: Vec::new(),
    }
}

pub(crate) async fn begin_at(store: &Store, new: NewChallenge, now: Timestamp) -> (Challenge, Sid) {
    match store.begin_challenge(&application(), new, now).await.unwrap() {
        Begun::Sent { challenge, send, .. } => (*challenge, send),
        Begun::Not(not) => panic!("{not:?}"),
    }
}

pub(crate) async fn begin(store: &Store, expected: Expected) -> Challenge {
    begin_at(store, new(expected), start()).await.0
}

async fn not_sent(store: &Store, new: NewChallenge, now: Timestamp) -> NotSent {
    match store.begin_challenge(&application(), new, now).await.unwrap() {
        Begun::Not(not) => not,
        Begun::Sent { challenge, .. } => panic!("it was sent: {challenge:?}"),
    }
}

/// The code, as whoever sends it learns it.
async fn code(store: &Store, send: Sid, now: Timestamp) -> String {
    store.code_to_send(send, now).await.unwrap().unwrap().code.expose().to_owned()
}

pub(crate) async fn code_of(store: &Store, challenge: &Challenge, now: Timestamp) -> String {
    let sends = store.sends_of_challenge(challenge.sid).await.unwrap();
    code(store, sends[0].sid, now).await
}

pub(crate) fn wrong(code: &str) -> String {
    code.chars().map(|digit| if digit == '9' { '0' } else { '9' }).collect()
}

pub(crate) fn check(expected: Expected, which: Which, code: &str, counter: Counter) -> Check {
    Check { expected, which, code: Secret::new(code), counter, worn_out: None }
}

pub(crate) async fn checked(store: &Store, challenge: &Challenge, code: &str, now: Timestamp) -> Checked {
    let check = check(challenge.expected.clone(), Which::Sid(challenge.sid), code, Counter::Number);
    store.check_challenge(&application(), check, now).await.unwrap()
}

fn not_checked(checked: &Checked) -> NotChecked {
    match checked {
        Checked::Not(not) => *not,
        other => panic!("it was compared: {other:?}"),
    }
}

async fn of_many_right_codes_at_once_one_is_accepted(world: World) {
    let other = world.another().await;
    for round in 0..10 {
        let binding = Expected { binding: format!("round {round}"), ..expected("VA1") };
        let challenge = begin(&world.store, binding).await;
        let code = code_of(&world.store, &challenge, start()).await;
        let checks = (0..64).map(|index| {
            let store = if index % 2 == 0 { &world.store } else { &other };
            checked(store, &challenge, &code, after(1))
        });
        let results = all(checks).await;
        let accepted = results.iter().filter(|it| matches!(it, Checked::Approved(_))).count();
        assert_eq!(accepted, 1);
        let others = results.iter().filter(|it| matches!(it, Checked::Not(NotChecked::Missing))).count();
        assert_eq!(others, 63, "a code that was right already is worth nothing");
    }
}

async fn of_many_wrong_codes_at_once_five_are_compared(world: World) {
    let other = world.another().await;
    let challenge = begin(&world.store, expected("VA1")).await;
    let code = code_of(&world.store, &challenge, start()).await;
    let wrong = wrong(&code);
    let checks = (0..64).map(|index| {
        let store = if index % 2 == 0 { &world.store } else { &other };
        checked(store, &challenge, &wrong, after(1))
    });
    let results = all(checks).await;
    assert_eq!(results.iter().filter(|it| matches!(it, Checked::Wrong(_))).count(), 5);
    let rest = results.iter().filter_map(|it| if let Checked::Not(not) = it { Some(not) } else { None });
    assert!(
        rest.clone().all(|not| matches!(not, NotChecked::MaxChecks(_))),
        "{:?}",
        rest.collect::<Vec<_>>()
    );
    assert_eq!(
        not_checked(&checked(&other, &challenge, &code, after(2)).await),
        NotChecked::MaxChecks(after(600))
    );
    let found =
        world.store.find_challenge(&challenge.expected, Which::Sid(challenge.sid)).await.unwrap().unwrap();
    assert_eq!((found.checks(), matches!(found.course.state, State::MaxAttemptsReached(_))), (5, true));
}

async fn a_challenge_of_something_else_is_not_there(world: World) {
    let store = &world.store;
    let mine = Expected { binding: "session 1".into(), ..expected("VA1") };
    let challenge = begin(store, mine.clone()).await;
    let code = code_of(store, &challenge, start()).await;
    for other in [
        expected("VA2"),
        Expected { application: "VA2".into(), ..mine.clone() },
        Expected { purpose: "sign-in".into(), ..mine.clone() },
        Expected { binding: "session 2".into(), ..mine.clone() },
    ] {
        for which in [Which::Sid(challenge.sid), Which::Number(number(TO))] {
            let check = check(other.clone(), which, &code, Counter::Number);
            let checked = store.check_challenge(&application(), check, after(1)).await.unwrap();
            assert_eq!(not_checked(&checked), NotChecked::Missing, "{other:?}");
        }
        assert!(store.find_challenge(&other, Which::Sid(challenge.sid)).await.unwrap().is_none());
    }
    // The same number waits in another application at the same time, and has another code there.
    let elsewhere = begin(store, expected("VA2")).await;
    assert_ne!(code_of(store, &elsewhere, start()).await, code);
    let wrong = checked(store, &elsewhere, &code, after(1)).await;
    assert!(matches!(wrong, Checked::Wrong(_)), "the code of one application is none of another's");
    assert!(matches!(checked(store, &challenge, &code, after(1)).await, Checked::Approved(_)));
}

async fn a_code_works_once_and_not_after_its_time(world: World) {
    let store = &world.store;
    let challenge = begin(store, expected("VA1")).await;
    let code = code_of(store, &challenge, start()).await;
    let Checked::Approved(approved) = checked(store, &challenge, &code, after(599)).await else { panic!() };
    assert_eq!(approved.course.state, State::Approved(after(599)));
    assert_eq!(not_checked(&checked(store, &challenge, &code, after(599)).await), NotChecked::Missing);

    let late = begin_at(store, new(expected("VA1")), after(600)).await.0;
    assert_ne!(late.sid, challenge.sid);
    let code = code_of(store, &late, after(600)).await;
    assert_eq!(not_checked(&checked(store, &late, &code, after(1200)).await), NotChecked::Missing);
    let audit = format!("challenge {}", late.sid);
    let rows = store.audit_rows(Some(&audit), None, 9).await.unwrap();
    assert_eq!((rows[0].action.as_str(), &rows[0].detail["why"]), ("challenge.refuse", &json!("expired")));
    assert!(rows.iter().all(|row| !row.detail.to_string().contains(&code)));
}

async fn a_resend_changes_neither_code_nor_end_nor_checks(world: World) {
    let store = &world.store;
    let (challenge, first) = begin_at(store, new(expected("VA1")), start()).await;
    let code = code(store, first, start()).await;
    checked(store, &challenge, &wrong(&code), after(1)).await;
    assert_eq!(not_sent(store, new(expected("VA1")), after(29)).await, NotSent::TooSoon(after(30)));
    let call = NewChallenge { channel: Channel::Call, ..new(expected("VA1")) };
    let (again, second) = begin_at(store, call, after(30)).await;
    assert_eq!((again.sid, again.course.expires_at, again.checks()), (challenge.sid, after(600), 1));
    assert_eq!((again.sends(), again.channel), (2, Channel::Call));
    assert_eq!(self::code(store, second, after(30)).await, code);

    let mut sent = 30;
    for pause in [60, 120, 240] {
        sent += pause;
        let resend = Resend {
            expected: expected("VA1"),
            which: Which::Sid(challenge.sid),
            channel: Channel::Sms,
            limits: Arc::new(lenient()),
            asker: Asker::default(),
        };
        let begun = store.resend_challenge(&application(), resend, after(sent)).await.unwrap();
        assert!(matches!(begun, Begun::Sent { .. }), "{begun:?}");
    }
    assert_eq!(not_sent(store, new(expected("VA1")), after(599)).await, NotSent::MaxSends(after(600)));
    assert_eq!(store.sends_of_challenge(challenge.sid).await.unwrap().len(), 5);
    assert!(matches!(checked(store, &challenge, &code, after(599)).await, Checked::Approved(_)));
}

async fn a_new_challenge_resets_no_failures_of_a_person(world: World) {
    let store = &world.store;
    let counter = Counter::Factor("factor/f1".into());
    let (mut compared, mut now) = (0, 0);
    for round in 0..40 {
        let expected = Expected {
            application: CONSOLE.into(),
            purpose: "sign-in".into(),
            binding: format!("session {round}"),
        };
        let new = NewChallenge { counter: counter.clone(), ..new(expected.clone()) };
        let begun = store.begin_challenge(&application(), new, after(now)).await.unwrap();
        let Begun::Sent { challenge, .. } = begun else {
            assert!(matches!(begun, Begun::Not(NotSent::Barred(_))), "{begun:?}");
            now += 3_600;
            continue;
        };
        let code = code_of(store, &challenge, after(now)).await;
        let wrong = wrong(&code);
        for _ in 0..8 {
            let check = check(expected.clone(), Which::Sid(challenge.sid), &wrong, counter.clone());
            match store.check_challenge(&application(), check, after(now)).await.unwrap() {
                Checked::Wrong(_) => compared += 1,
                Checked::Not(_) => {}
                Checked::Approved(_) => panic!("a wrong code was taken for right"),
            }
        }
        if compared >= 20 {
            let check = check(expected, Which::Sid(challenge.sid), &code, counter.clone());
            let right = store.check_challenge(&application(), check, after(now)).await.unwrap();
            assert!(matches!(right, Checked::Not(_)), "not even the right code: {right:?}");
        }
        now += 3_600;
    }
    assert_eq!(compared, 20);
    assert_eq!(store.failures("factor/f1").await.unwrap().count, 20);
    let expected =
        Expected { application: CONSOLE.into(), purpose: "sign-in".into(), binding: "last".into() };
    let last = NewChallenge { counter, ..new(expected) };
    assert_eq!(not_sent(store, last, after(now)).await, NotSent::Barred(Barred::BoundAnew));
}

async fn strangers_only_ever_delay_a_number_of_an_application(world: World) {
    let store = &world.store;
    let first = begin(store, expected("VA1")).await;
    let code = code_of(store, &first, start()).await;
    for _ in 0..5 {
        assert!(matches!(checked(store, &first, &wrong(&code), after(1)).await, Checked::Wrong(_)));
    }
    let (second, send) = begin_at(store, new(expected("VA1")), after(600)).await;
    let code = self::code(store, send, after(600)).await;
    assert!(matches!(checked(store, &second, &wrong(&code), after(600)).await, Checked::Wrong(_)));
    let barred = NotChecked::Barred(Barred::Until(after(660)));
    assert_eq!(not_checked(&checked(store, &second, &code, after(601)).await), barred);
    // What is not compared counts nowhere.
    let found = store.find_challenge(&second.expected, Which::Sid(second.sid)).await.unwrap().unwrap();
    assert_eq!(found.checks(), 1);
    // Another application's users of this number, and the console's, know nothing of it.
    let elsewhere = begin_at(store, new(expected("VA2")), after(601)).await.0;
    let code_there = code_of(store, &elsewhere, after(601)).await;
    assert!(matches!(checked(store, &elsewhere, &code_there, after(602)).await, Checked::Approved(_)));
    assert!(matches!(checked(store, &second, &code, after(660)).await, Checked::Approved(_)));
    let subject = format!("number/VA1/{}", store.factor_keys().await.unwrap().number(number(TO)));
    assert_eq!(store.failures(&subject).await.unwrap().count, 0, "a success ends the row");
}

async fn a_code_that_nobody_could_enter_is_not_sent(world: World) {
    let store = &world.store;
    let mut now = 0;
    // Pauses grow until they outlast a challenge.
    let until = loop {
        match store.begin_challenge(&application(), new(expected("VA1")), after(now)).await.unwrap() {
            Begun::Sent { challenge, .. } => {
                let code = wrong(&code_of(store, &challenge, after(now)).await);
                for _ in 0..5 {
                    checked(store, &challenge, &code, after(now)).await;
                }
                now += 600;
            }
            Begun::Not(NotSent::Barred(Barred::Until(until))) => break until,
            Begun::Not(not) => panic!("{not:?}"),
        }
        assert!(now < 100_000, "there is no end to it");
    };
    assert!(until >= after(now) + SignedDuration::from_mins(10));
    begin_at(store, new(expected("VA1")), until).await;
}

async fn what_is_not_allowed_is_not_sent_and_not_counted(world: World) {
    let store = &world.store;
    let abroad = NewChallenge { number: number("+447700900123"), ..new(expected("VA1")) };
    assert_eq!(not_sent(store, abroad, start()).await, NotSent::Country);
    let premium = NewChallenge { number: number("+19005550100"), ..new(expected("VA1")) };
    assert_eq!(not_sent(store, premium, start()).await, NotSent::Country);
    let limits = Limits {
        number: vec![Cap { most: 1, seconds: 3600 }],
        total: vec![Cap { most: 2, seconds: 3600 }],
        ..lenient()
    };
    let limited = |to: &str| NewChallenge {
        number: number(to),
        limits: Arc::new(limits.clone()),
        ..new(expected("VA1"))
    };
    begin_at(store, limited(TO), start()).await;
    let elsewhere = NewChallenge { expected: expected("VA2"), ..limited(TO) };
    let refused = not_sent(store, elsewhere, after(1)).await;
    assert!(
        matches!(refused, NotSent::Budget(Of::Number, _)),
        "one number, whichever application: {refused:?}"
    );
    begin_at(store, limited("+14155550101"), after(1)).await;
    let refused = not_sent(store, limited("+14155550102"), after(1)).await;
    assert!(matches!(refused, NotSent::Budget(Of::Total, _)), "{refused:?}");
    // The refused one took nothing from the budget of its number.
    let NotSent::Budget(_, again) = refused else { panic!() };
    begin_at(store, limited("+14155550102"), again).await;
    assert_eq!(store.waiting_effects(99).await.unwrap().len(), 3);
}

async fn no_budget_is_ever_exceeded_on_two_nodes(world: World) {
    let other = world.another().await;
    let limits = Arc::new(Limits { total: vec![Cap { most: 7, seconds: 3600 }], ..lenient() });
    let starts = (0..64).map(|index| {
        let store = if index % 2 == 0 { &world.store } else { &other };
        let number = number(&format!("+1415555{index:04}"));
        let new = NewChallenge { number, limits: Arc::clone(&limits), ..new(expected("VA1")) };
        async move { store.begin_challenge(&application(), new, start()).await.unwrap() }
    });
    let begun = all(starts).await;
    assert_eq!(begun.iter().filter(|it| matches!(it, Begun::Sent { .. })).count(), 7);
    assert_eq!(world.store.waiting_effects(99).await.unwrap().len(), 7);
}

async fn of_two_caps_of_one_window_the_lower_holds_and_many_budgets_are_all_counted(world: World) {
    let store = &world.store;
    let caps = |counts: &[u32]| counts.iter().map(|most| Cap { most: *most, seconds: 3_600 }).collect();
    let limits = Arc::new(Limits { total: caps(&[9, 2, 5]), ..lenient() });
    // More than one statement takes from.
    let own: Vec<_> = (0..20)
        .map(|it| Budget::new(Of::Own, &format!("own {it}"), Cap { most: 3, seconds: 3_600 }, start()))
        .collect();
    let begin = async |to: &str| {
        let new = NewChallenge {
            number: number(to),
            limits: Arc::clone(&limits),
            own_budgets: own.clone(),
            ..new(expected("VA1"))
        };
        store.begin_challenge(&application(), new, start()).await.unwrap()
    };
    assert!(matches!(begin("+14155550101").await, Begun::Sent { .. }));
    assert!(matches!(begin("+14155550102").await, Begun::Sent { .. }));
    for to in ["+14155550103", "+14155550104"] {
        let refused = begin(to).await;
        assert!(matches!(refused, Begun::Not(NotSent::Budget(Of::Total, _))), "{refused:?}");
    }
    // What was refused took from none of them: each has one left.
    assert_eq!(store.take_budgets(own.clone()).await.unwrap(), None);
    assert!(store.take_budgets(own.clone()).await.unwrap().is_some());
}

async fn a_prefix_where_nobody_enters_a_code_is_stopped_and_reported(world: World) {
    let store = &world.store;
    let to = |index: u32| number(&format!("+1415555{index:04}"));
    let mut sent = 0;
    let until = loop {
        let new = NewChallenge { number: to(sent), ..new(expected("VA1")) };
        match store.begin_challenge(&application(), new, start()).await.unwrap() {
            Begun::Sent { stops, .. } => {
                sent += 1;
                assert_eq!(stops.is_some(), sent == STOPPED_AFTER, "the one that stops it says so");
            }
            Begun::Not(NotSent::Stopped(until)) => break until,
            Begun::Not(not) => panic!("{not:?}"),
        }
    };
    assert_eq!(sent, STOPPED_AFTER);
    let stopped = store.stopped_prefixes(after(1)).await.unwrap();
    assert_eq!((stopped.len(), stopped[0].prefix.as_str(), stopped[0].until), (1, "+1415555", until));
    let rows = store.audit_rows(Some("application VA1"), None, 9).await.unwrap();
    assert_eq!((rows.len(), rows[0].action.as_str()), (1, "prefix.stop"));
    // Other prefixes, other applications and the console are sent to.
    begin_at(store, NewChallenge { number: number("+14155560000"), ..new(expected("VA1")) }, after(1)).await;
    begin_at(store, NewChallenge { number: to(9000), ..new(expected("VA2")) }, after(1)).await;
    begin_at(store, NewChallenge { number: to(9000), ..new(expected(CONSOLE)) }, after(1)).await;
    store.resume_prefix(&application(), "VA1", "+1415555", Some("they are real"), after(2)).await.unwrap();
    let again = store.resume_prefix(&application(), "VA1", "+1415555", Some("they are real"), after(2)).await;
    assert!(matches!(again, Err(Error::Missing { .. })), "{again:?}");
    begin_at(store, NewChallenge { number: to(9001), ..new(expected("VA1")) }, after(2)).await;
}

async fn starts_at_once_make_one_challenge(world: World) {
    let other = world.another().await;
    let starts = (0..16).map(|index| {
        let store = if index % 2 == 0 { &world.store } else { &other };
        async move { store.begin_challenge(&application(), new(expected("VA1")), start()).await.unwrap() }
    });
    let begun = all(starts).await;
    let sent = begun.iter().filter(|it| matches!(it, Begun::Sent { .. })).count();
    assert_eq!(sent, 1, "{begun:?}");
    let rest = begun.iter().filter(|it| matches!(it, Begun::Not(NotSent::TooSoon(_)))).count();
    assert_eq!(rest, 15);
}

async fn a_challenge_with_too_many_checks_keeps_its_place_until_its_time_is_over(world: World) {
    let store = &world.store;
    let challenge = begin(store, expected("VA1")).await;
    let code = wrong(&code_of(store, &challenge, start()).await);
    for _ in 0..5 {
        checked(store, &challenge, &code, after(1)).await;
    }
    assert_eq!(not_sent(store, new(expected("VA1")), after(100)).await, NotSent::MaxChecks(after(600)));
    checked(store, &challenge, &code, after(101)).await;
    assert_eq!(not_sent(store, new(expected("VA1")), after(599)).await, NotSent::MaxChecks(after(600)));
    let next = begin_at(store, new(expected("VA1")), after(600)).await.0;
    assert_ne!(next.sid, challenge.sid);
}

async fn an_application_may_end_what_waits_and_nothing_else(world: World) {
    let store = &world.store;
    for (end, state) in
        [(End::Approved, State::Approved(after(5))), (End::Canceled, State::Canceled(after(5)))]
    {
        let challenge = begin(store, expected("VA1")).await;
        let which = Which::Number(number(TO));
        let by = application();
        let foreign =
            store.end_challenge(&by, &expected("VA2"), Which::Sid(challenge.sid), end, after(5)).await;
        assert!(foreign.unwrap().is_none());
        let ended = store.end_challenge(&by, &expected("VA1"), which, end, after(5)).await.unwrap().unwrap();
        assert_eq!((ended.sid, ended.course.state), (challenge.sid, state));
        let again =
            store.end_challenge(&by, &expected("VA1"), Which::Sid(challenge.sid), end, after(6)).await;
        assert!(again.unwrap().is_none(), "an end is final");
    }
}

async fn what_is_to_be_sent_is_known_as_long_as_it_makes_sense(world: World) {
    let store = &world.store;
    let custom = NewChallenge { custom_code: Some(Secret::new("AB12")), ..new(expected("VA1")) };
    let (challenge, send) = begin_at(store, custom, start()).await;
    let effect = store.find_effect(&format!("code/{send}")).await.unwrap().unwrap();
    assert_eq!((effect.kind.as_str(), effect.payload.to_string().contains("AB12")), ("code", false));
    let to_send = store.code_to_send(send, after(1)).await.unwrap().unwrap();
    assert_eq!((to_send.code.expose(), to_send.challenge.number), ("AB12", number(TO)));
    assert!(store.code_to_send(send, after(600)).await.unwrap().is_none(), "it is worthless");
    let message = Sid::new(*b"SM", 5);
    store.end_code_send(send, SendOutcome::Sent(Some(message)), after(2)).await.unwrap();
    assert!(store.code_to_send(send, after(2)).await.unwrap().is_none(), "it was sent");
    assert!(matches!(checked(store, &challenge, "AB12", after(3)).await, Checked::Approved(_)));
    let sends = store.sends_of_challenge(challenge.sid).await.unwrap();
    assert_eq!((sends[0].outcome, sends[0].converted_at), (SendOutcome::Sent(Some(message)), Some(after(3))));
}

async fn keys_are_the_same_on_every_node(world: World) {
    let other = world.another().await;
    let (one, two) = tokio::join!(world.store.factor_keys(), other.factor_keys());
    let tags: BTreeSet<String> = [one, two].map(|keys| keys.unwrap().number(number(TO))).into();
    assert_eq!(tags.len(), 1);
    let challenge = begin(&world.store, expected("VA1")).await;
    assert_eq!(code_of(&world.store, &challenge, start()).await, code_of(&other, &challenge, start()).await);
}
