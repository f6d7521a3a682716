use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use ringfence_model::{PhoneNumber, Sid};

use super::*;
use crate::{
    AppliedLimit, Asked, CLOCK_BACK, Charge, DialPrefix, Hold, Ledger, Line, Observation, Phase,
    ScopedAccount, State, Subject, Verdict, Why, holds, step,
};

const NOON: &str = "2026-03-05T12:00:00Z";
const EPOCH: &str = "one";

fn micros(micros: i64) -> Amount {
    Amount::from_micros(micros)
}

/// One whose day was read back, and nothing was used in it.
fn ledger(limit: &Limit) -> Ledger {
    ledger_at(limit, at(NOON))
}

fn decide(ledger: &Ledger, limit: &Limit, state: Option<&State>, amount: Amount) -> Verdict {
    ledger.decide(limit, state, amount, EPOCH, at(NOON))
}

#[test]
fn before_twilios_figure_was_read_in_this_epoch_nothing_is_admitted() {
    let limit = fifty_a_day();
    let refused = Verdict::Refuse(Why::NotReadBack);
    assert_eq!(decide(&Ledger::new(&limit, at(NOON)), &limit, None, dollars(1)), refused);
    let ledger = ledger(&limit);
    assert_eq!(decide(&ledger, &limit, None, dollars(1)), Verdict::Fits);
    assert_eq!(ledger.decide(&limit, None, dollars(1), "another", at(NOON)), refused);
    // Of an hour, and of a tenant, Twilio knows nothing that could be read.
    for limit in [
        Limit { window: Window::Hour, ..fifty_a_day() },
        Limit { scope: Scope::Tenant("shop".to_owned()), ..fifty_a_day() },
    ] {
        assert_eq!(decide(&Ledger::new(&limit, at(NOON)), &limit, None, dollars(1)), Verdict::Fits);
    }
}

#[test]
fn the_last_cent_can_be_spent_and_not_a_millionth_more() {
    let limit = fifty_a_day();
    let mut ledger = ledger(&limit);
    ledger.reserve(micros(49_990_000));
    assert_eq!(decide(&ledger, &limit, None, micros(10_000)), Verdict::Fits);
    assert_eq!(decide(&ledger, &limit, None, micros(10_001)), Verdict::Refuse(Why::OpenOnly));
    ledger.settle(micros(49_990_000), micros(49_990_000), at(NOON));
    assert_eq!(decide(&ledger, &limit, None, micros(10_000)), Verdict::Fits);
    assert_eq!(decide(&ledger, &limit, None, micros(10_001)), Verdict::Refuse(Why::DoesNotFit));
    assert_eq!(decide(&ledger, &limit, None, Amount::MAX), Verdict::Refuse(Why::DoesNotFit));
}

#[test]
fn what_is_reserved_counts_in_the_next_window_too_and_its_price_where_it_becomes_known() {
    let limit = fifty_a_day();
    let mut ledger = ledger(&limit);
    ledger.reserve(dollars(30));
    ledger.settle(Amount::ZERO, dollars(10), at(NOON));
    let tomorrow = at("2026-03-06T00:00:01Z");
    ledger.roll(tomorrow);
    assert_eq!((ledger.settled, ledger.reserved), (Amount::ZERO, dollars(30)));
    ledger.book(tomorrow, Amount::ZERO, EPOCH, tomorrow);
    assert_eq!(ledger.decide(&limit, None, dollars(21), EPOCH, tomorrow), Verdict::Refuse(Why::OpenOnly));
    ledger.settle(dollars(30), dollars(25), tomorrow);
    assert_eq!((ledger.settled, ledger.reserved), (dollars(25), Amount::ZERO));
}

#[test]
fn a_clock_that_was_far_ahead_leaves_no_window_of_the_future() {
    let later = at(NOON) + SignedDuration::from_hours(30);
    let minute = Limit { window: Window::Minute, ..fifty_a_day() };
    let mut ledger = Ledger::new(&minute, later);
    ledger.settle(Amount::ZERO, dollars(20), later);
    ledger.roll(at(NOON));
    assert_eq!((ledger.window, ledger.settled), (at(NOON), dollars(20)), "it counts now");
    ledger.roll(at(NOON) + SignedDuration::from_secs(60));
    assert_eq!(ledger.settled, Amount::ZERO);
    let rolling = Limit { window: Window::Rolling { seconds: 600 }, ..fifty_a_day() };
    let mut ledger = Ledger::new(&rolling, later);
    ledger.settle(Amount::ZERO, dollars(20), later);
    ledger.roll(at(NOON));
    assert_eq!(ledger.settled, dollars(20));
    ledger.roll(at(NOON) + SignedDuration::from_secs(620));
    assert_eq!(ledger.settled, Amount::ZERO);
}

#[test]
fn a_window_that_begins_once_more_waits_for_twilios_figure() {
    let limit = fifty_a_day();
    let tomorrow = at("2026-03-06T00:00:01Z");
    let mut ledger = ledger_at(&limit, tomorrow);
    ledger.settle(Amount::ZERO, dollars(40), tomorrow);
    // The clock was ahead, and is right again; then the day comes.
    ledger.turn_back(at(NOON));
    ledger.book_lost(at(NOON), Amount::ZERO, "two", at(NOON));
    assert_eq!(ledger.decide(&limit, None, dollars(50), "two", at(NOON)), Verdict::Fits);
    ledger.roll(tomorrow);
    assert_eq!(ledger.decide(&limit, None, dollars(1), "two", tomorrow), Verdict::Refuse(Why::NotReadBack));
    ledger.book_lost(tomorrow, dollars(40), "two", tomorrow);
    assert_eq!(ledger.decide(&limit, None, dollars(10), "two", tomorrow), Verdict::Fits);
    assert_eq!(ledger.decide(&limit, None, dollars(11), "two", tomorrow), Verdict::Refuse(Why::DoesNotFit));
    // A day that nobody can have seen.
    let later = at("2026-03-08T00:00:01Z");
    ledger.roll(later);
    assert_eq!(ledger.decide(&limit, None, dollars(50), "two", later), Verdict::Fits);
}

#[test]
fn with_the_memory_is_lost_which_windows_the_clock_was_in_so_those_that_begin_soon_are_read_back() {
    let limit = fifty_a_day();
    let mut ledger = ledger(&limit);
    ledger.book_lost(at(NOON), Amount::ZERO, "two", at(NOON));
    assert_eq!(ledger.decide(&limit, None, dollars(50), "two", at(NOON)), Verdict::Fits);
    for day in ["2026-03-06T00:00:01Z", "2026-03-07T00:00:01Z"].map(at) {
        ledger.roll(day);
        assert_eq!(ledger.decide(&limit, None, dollars(1), "two", day), Verdict::Refuse(Why::NotReadBack));
        // The second reading of the same epoch puts nothing off.
        ledger.book_lost(day, Amount::ZERO, "two", day);
        assert_eq!(ledger.decide(&limit, None, dollars(50), "two", day), Verdict::Fits);
    }
    let later = at("2026-03-08T00:00:01Z");
    ledger.roll(later);
    assert_eq!(ledger.decide(&limit, None, dollars(50), "two", later), Verdict::Fits);
}

#[test]
fn a_clock_that_goes_back_opens_no_window_again() {
    let limit = fifty_a_day();
    let mut ledger = ledger(&limit);
    ledger.settle(Amount::ZERO, dollars(50), at(NOON));
    let before = ledger.clone();
    ledger.roll(at("2026-03-04T23:59:59Z"));
    assert_eq!(ledger, before);
}

#[test]
fn twilios_figure_wins_upwards_at_once_and_is_not_counted_twice() {
    let limit = fifty_a_day();
    let mut ledger = ledger(&limit);
    ledger.settle(Amount::ZERO, dollars(10), at(NOON));
    ledger.book(at(NOON), dollars(45), EPOCH, at(NOON));
    assert_eq!(ledger.spent(), dollars(45));
    ledger.reserve(dollars(5));
    // Twilio has counted the five that are open here: nothing is added twice when they are settled.
    ledger.book(at(NOON), dollars(50), EPOCH, at(NOON));
    assert_eq!(ledger.taken(), dollars(50));
    ledger.settle(dollars(5), dollars(5), at(NOON));
    assert_eq!(ledger.taken(), dollars(50));
    // What was set aside and never spent does not hide what Twilio counts.
    ledger.book(at(NOON), dollars(48), EPOCH, at(NOON));
    assert_eq!(ledger.taken(), dollars(50), "it never falls within a window");
}

#[test]
fn what_was_set_aside_in_vain_does_not_hide_what_others_spent() {
    let limit = fifty_a_day();
    let mut ledger = ledger(&limit);
    ledger.reserve(dollars(40));
    ledger.book(at(NOON), dollars(40), EPOCH, at(NOON));
    ledger.release(dollars(40));
    assert_eq!(decide(&ledger, &limit, None, dollars(11)), Verdict::Refuse(Why::DoesNotFit));
    assert_eq!(decide(&ledger, &limit, None, dollars(10)), Verdict::Fits);
}

#[test]
fn a_trip_binds_what_is_free_too_and_a_reset_allows_what_it_says() {
    let limit = fifty_a_day();
    let mut ledger = ledger(&limit);
    let trip = |state, observation| step(&limit, state, &observation, at(NOON)).0;
    let state = trip(State::new(&limit, at(NOON)), Observation::Trip);
    assert_eq!(decide(&ledger, &limit, Some(&state), Amount::ZERO), Verdict::Refuse(Why::Tripped));
    let watched = Limit { enforce: false, ..fifty_a_day() };
    let refused = Verdict::Refuse(Why::Tripped);
    assert_eq!(
        decide(&ledger, &watched, Some(&state), dollars(1)),
        refused,
        "an operator's trip always binds"
    );

    ledger.settle(Amount::ZERO, dollars(50), at(NOON));
    let state = trip(state, Observation::Usage { at: at(NOON), amount: dollars(50) });
    let state = trip(state, Observation::Reset { allow: Some(dollars(5)) });
    assert!(matches!(state.phase, Phase::Probing { .. }));
    assert_eq!(decide(&ledger, &limit, Some(&state), dollars(5)), Verdict::Fits);
    assert_eq!(decide(&ledger, &limit, Some(&state), micros(5_000_001)), Verdict::Refuse(Why::DoesNotFit));
}

#[test]
fn a_trip_that_the_next_window_lifts_is_lifted_without_anybody_saying_so() {
    let limit = Limit { reset: Reset::NextWindow, ..fifty_a_day() };
    let usage = Observation::Usage { at: at(NOON), amount: dollars(50) };
    let state = step(&limit, State::new(&limit, at(NOON)), &usage, at(NOON)).0;
    let mut ledger = ledger(&limit);
    assert_eq!(decide(&ledger, &limit, Some(&state), dollars(1)), Verdict::Refuse(Why::Tripped));
    let tomorrow = at("2026-03-06T00:00:00Z");
    ledger.roll(tomorrow);
    ledger.book(tomorrow, Amount::ZERO, EPOCH, tomorrow);
    assert_eq!(ledger.decide(&limit, Some(&state), dollars(1), EPOCH, tomorrow), Verdict::Fits);
}

#[test]
fn a_limit_that_only_watches_says_what_it_would_refuse() {
    let limit = Limit { enforce: false, ..fifty_a_day() };
    let verdict = decide(&ledger(&limit), &limit, None, dollars(51));
    assert_eq!(verdict, Verdict::WouldRefuse(Why::DoesNotFit));
}

#[test]
fn a_request_that_does_not_fit_trips_once_and_not_after_a_reset_that_makes_room() {
    let limit = fifty_a_day();
    let does_not_fit = Observation::DoesNotFit { at: at(NOON), spent: dollars(45), wanted: dollars(6) };
    let (state, effects) = step(&limit, State::new(&limit, at(NOON)), &does_not_fit, at(NOON));
    assert!(state.stops() && !effects.is_empty());
    assert_eq!(step(&limit, state.clone(), &does_not_fit, at(NOON)), (state.clone(), vec![]));
    let (state, _) = step(&limit, state, &Observation::Reset { allow: Some(dollars(10)) }, at(NOON));
    assert!(!step(&limit, state, &does_not_fit, at(NOON)).0.stops());
    // Of yesterday it says nothing.
    let next = State::new(&limit, at("2026-03-06T00:10:00Z"));
    assert!(!step(&limit, next, &does_not_fit, at("2026-03-06T00:10:00Z")).0.stops());
}

#[test]
fn a_rolling_window_forgets_a_slice_at_a_time_and_never_too_early() {
    let limit = Limit { window: Window::Rolling { seconds: 600 }, ..fifty_a_day() };
    let mut ledger = Ledger::new(&limit, at(NOON));
    ledger.settle(Amount::ZERO, dollars(50), at("2026-03-05T12:00:09Z"));
    let verdict = |ledger: &mut Ledger, text: &str| {
        ledger.roll(at(text));
        ledger.decide(&limit, None, dollars(1), EPOCH, at(text))
    };
    assert_eq!(verdict(&mut ledger, "2026-03-05T12:10:09Z"), Verdict::Refuse(Why::DoesNotFit));
    assert_eq!(verdict(&mut ledger, "2026-03-05T12:10:10Z"), Verdict::Fits);
}

#[test]
fn what_is_wanted_of_a_limit_that_counts_something_else_now_begins_anew() {
    let mut ledger = ledger(&fifty_a_day());
    ledger.settle(Amount::ZERO, dollars(50), at(NOON));
    ledger.reserve(dollars(3));
    let limit = Limit { measure: Measure::Count, ..fifty_a_day() };
    ledger.follow(&limit, at(NOON));
    assert_eq!((ledger.settled, ledger.reserved), (Amount::ZERO, dollars(3)));
    assert_eq!(decide(&ledger, &limit, None, dollars(1)), Verdict::Refuse(Why::NotReadBack));
}

fn asked(charge: &Charge) -> Asked<'_> {
    Asked {
        account: ScopedAccount {
            sid: Sid::new(*b"AC", 1),
            parent: Some(Sid::new(*b"AC", 9)),
            friendly_name: "shop",
            created: at(NOON),
        },
        credential: Some(Sid::new(*b"SK", 1)),
        tenant: Some("bakery"),
        destination: PhoneNumber::parse("+447911123456").ok(),
        charge,
    }
}

#[test]
fn each_limit_that_applies_is_held_on_its_own_subject_in_one_order() {
    let sms = Line {
        categories: &["sms", "sms-outbound", "totalprice"],
        price: micros(40_000),
        usage: dollars(3),
        count: dollars(1),
    };
    let fee =
        Line { categories: &["totalprice"], price: micros(1), usage: Amount::ZERO, count: Amount::ZERO };
    let charge = Charge { lines: vec![sms, fee] };
    let prefix = |text: &str| text.parse::<DialPrefix>().expect("a prefix");
    let named = |name: &str, limit: Limit| {
        let limit = Limit { name: name.to_owned(), ..limit };
        Arc::new(AppliedLimit { limit, since: at(NOON) })
    };
    let limits = [
        named("z", fifty_a_day()),
        named("all", Limit { scope: Scope::All, per: Per::Together, ..fifty_a_day() }),
        named("texts", Limit { category: "sms".to_owned(), measure: Measure::Usage, ..fifty_a_day() }),
        named("calls", Limit { category: "calls".to_owned(), ..fifty_a_day() }),
        named("tenant", Limit { scope: Scope::Tenant("bakery".to_owned()), ..fifty_a_day() }),
        named("other", Limit { scope: Scope::Tenant("bank".to_owned()), ..fifty_a_day() }),
        named("key", Limit { scope: Scope::Credential(Sid::new(*b"SK", 1)), ..fifty_a_day() }),
        named("uk", Limit { scope: Scope::Destination(vec![prefix("+1"), prefix("+44")]), ..fifty_a_day() }),
        named("us", Limit { scope: Scope::Destination(vec![prefix("+1")]), ..fifty_a_day() }),
        named("burst", Limit { per: Per::Prefix, measure: Measure::Count, ..fifty_a_day() }),
        named("parents", Limit { scope: Scope::Parent, ..fifty_a_day() }),
    ];
    let all = holds(&limits, &asked(&charge));
    let said: Vec<_> = all
        .iter()
        .map(|Hold { limit, subject, amount, .. }| (&*limit.limit.name, *subject, amount.micros()))
        .collect();
    let account = Subject::Account(Sid::new(*b"AC", 1));
    let expected = [
        ("all", Subject::Together, 40_001),
        ("burst", Subject::Prefix(prefix("+447")), 1_000_000),
        ("calls", account, 0),
        ("key", account, 40_001),
        ("tenant", account, 40_001),
        ("texts", account, 3_000_000),
        ("uk", account, 40_001),
        ("z", account, 40_001),
    ];
    assert_eq!(said, expected);
    // The lists tell the message, which is the first line, and not what is billed beside it.
    let told: Vec<_> = all.iter().map(|hold| hold.told.micros()).collect();
    assert_eq!(told, [40_000, 1_000_000, 0, 40_000, 40_000, 3_000_000, 40_000, 40_000]);
}

#[test]
fn a_prefix_is_the_beginning_of_a_number_and_of_no_shorter_one() {
    let number = |text: &str| PhoneNumber::parse(text).expect("a number");
    let prefix = |text: &str| text.parse::<DialPrefix>().expect("a prefix");
    for (text, expected) in [
        ("+14155550100", "+1415"),
        ("+18765550100", "+1876"),
        ("+79261234567", "+79"),
        ("+447911123456", "+447"),
        ("+959123456789", "+959"),
        ("+98912345678", "+989"),
        ("+251912345678", "+2519"),
        ("+99362123456", "+9936"),
        ("+44", "+44"),
        ("+14", "+14"),
    ] {
        assert_eq!(DialPrefix::of(number(text)), prefix(expected), "{text}");
    }
    // A breaker at any other beginning would stop nothing.
    for (text, counted) in [
        ("+447", Some("+447")),
        ("+4479", Some("+447")),
        ("+44", None),
        ("+4", None),
        ("+1", None),
        ("+141", None),
        ("+1415", Some("+1415")),
        ("+14155550100", Some("+1415")),
        ("+959", Some("+959")),
        ("+95", None),
        ("+2519", Some("+2519")),
        ("+251", None),
        ("+79", Some("+79")),
        ("+7", None),
        ("+447911123456789", Some("+447")),
    ] {
        assert_eq!(prefix(text).counted(), counted.map(prefix), "{text}");
    }
    assert_eq!(["+1", "+44", "+4479"].map(|it| prefix(it).digits()), [1, 2, 4]);
    // By area codes numbers are counted, and the country is known as one; islands are places of their own.
    for (text, place) in
        [("+1415", "+1"), ("+1416", "+1"), ("+1876", "+1876"), ("+447", "+447"), ("+4479", "+4479")]
    {
        assert_eq!(prefix(text).place(), prefix(place), "{text}");
    }
    assert!(prefix("+44").begins(number("+447911123456")));
    assert!(prefix("+44791").begins(number("+44791")));
    assert!(!prefix("+44791").begins(number("+4479")));
    assert!(!prefix("+44").begins(number("+4571234567")));
    for text in ["", "+", "44", "+0", "+4a", "+1234567890123456"] {
        assert!(text.parse::<DialPrefix>().is_err(), "{text}");
    }
}

#[derive(Debug, Clone)]
enum Act {
    Admit(i64),
    /// Settles one that is open, at so many hundredths of its worst.
    Settle(usize, i64),
    Void(usize),
    Others(i64),
    Pass(i64),
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (1..20_000_000_i64).prop_map(Act::Admit),
        3 => (any::<usize>(), 0..=100_i64).prop_map(|(which, part)| Act::Settle(which, part)),
        1 => any::<usize>().prop_map(Act::Void),
        1 => (0..3_000_000_i64).prop_map(Act::Others),
        1 => (-7_200..40_000_i64).prop_map(Act::Pass),
    ]
}

proptest! {
    /// Whatever happens: no admission makes settled and reserved more than the limit, and all that was set aside is
    /// there as long as it is open.
    #[test]
    fn no_admission_crosses_the_limit(all in proptest::collection::vec(acts(), 1..200), hours in any::<bool>()) {
        let window = if hours { Window::Hour } else { Window::Daily };
        let limit = Limit { window, reset: Reset::NextWindow, ..fifty_a_day() };
        let mut now = at(NOON);
        let mut ledger = Ledger::new(&limit, now);
        ledger.book(now, Amount::ZERO, EPOCH, now);
        let (mut open, mut others) = (Vec::<i64>::new(), 0);
        let mut true_in_window = 0;
        for act in all {
            match act {
                Act::Admit(worst) => {
                    if ledger.decide(&limit, None, micros(worst), EPOCH, now) == Verdict::Fits {
                        ledger.reserve(micros(worst));
                        open.push(worst);
                        prop_assert!(ledger.taken() <= dollars(50));
                        prop_assert!(true_in_window + open.iter().sum::<i64>() <= 50_000_000);
                    }
                }
                Act::Settle(which, part) if !open.is_empty() => {
                    let worst = open.swap_remove(which % open.len());
                    ledger.settle(micros(worst), micros(worst * part / 100), now);
                    true_in_window += worst * part / 100;
                }
                Act::Void(which) if !open.is_empty() => {
                    ledger.release(micros(open.swap_remove(which % open.len())));
                }
                Act::Others(more) => {
                    let adjusted = ledger.adjusted;
                    others += more;
                    ledger.book(now.max(ledger.window), micros(true_in_window + others), EPOCH, now.max(ledger.window));
                    prop_assert!(ledger.adjusted >= adjusted, "what others spent is not given back");
                    if window.is_twilios() {
                        prop_assert!(ledger.taken() >= micros(true_in_window + others));
                    }
                }
                Act::Pass(seconds) => {
                    now = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
                    let before = ledger.window;
                    ledger.roll(now);
                    let was_ahead = !window.is_twilios() && before.duration_since(now) > CLOCK_BACK;
                    prop_assert!(ledger.window >= before || was_ahead);
                    if ledger.window > before {
                        (true_in_window, others) = (0, 0);
                        ledger.book(ledger.window, Amount::ZERO, EPOCH, ledger.window);
                    }
                }
                Act::Settle(..) | Act::Void(_) => {}
            }
            prop_assert_eq!(ledger.reserved.micros(), open.iter().sum::<i64>());
        }
    }
}

#[test]
fn what_twilio_has_not_counted_yet_takes_no_adjustment_back() {
    let limit = fifty_a_day();
    let mut ledger = ledger(&limit);
    ledger.book(at(NOON), dollars(10), EPOCH, at(NOON));
    ledger.settle(Amount::ZERO, dollars(5), at(NOON));
    ledger.reserve(dollars(5));
    ledger.book(at(NOON), dollars(15), EPOCH, at(NOON));
    assert_eq!(ledger.taken(), dollars(20));
}

#[test]
fn the_last_moment_that_can_be_told_is_no_reason_to_panic() {
    for window in [Window::Minute, Window::Yearly, Window::Rolling { seconds: u32::MAX }, Window::Alltime] {
        let limit = Limit { window, ..fifty_a_day() };
        let mut ledger = Ledger::new(&limit, Timestamp::MAX);
        ledger.roll(Timestamp::MAX);
        ledger.settle(Amount::MAX, Amount::MAX, Timestamp::MAX);
        ledger.reserve(Amount::MAX);
        let verdict = ledger.decide(&limit, None, Amount::MAX, EPOCH, Timestamp::MAX);
        assert!(matches!(verdict, Verdict::Refuse(_)), "{verdict:?}");
    }
}

/// A message whose carrier bills a fee beside its price, which only the usage records tell.
#[derive(Debug, Clone, Copy)]
struct WithFee {
    /// The worst price and the worst fee, and the true ones.
    worst: (i64, i64),
    price: i64,
    fee: i64,
    /// When Twilio's figure has it.
    counted_at: Timestamp,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Open,
    /// Its price is settled at that time; its fee is still set aside.
    Priced(Timestamp),
    Ended,
}

proptest! {
    /// What is billed beside prices is never hidden by what is open, however requests, prices, fees and Twilio's figures
    /// follow each other; and when quiet returns no more is taken than was spent.
    #[test]
    fn fees_that_only_twilio_tells_never_make_an_admission_cross_the_limit(
        acts in proptest::collection::vec((0..5_u8, 1..20_000_000_i64, 0..100_i64, 0..100_i64, 0..900_i64), 1..150),
        loses in any::<bool>(),
    ) {
        let limit = fifty_a_day();
        let mut now = at("2026-03-05T00:00:00Z");
        let mut ledger = ledger_at(&limit, now);
        let mut all = Vec::<WithFee>::new();
        let counted = |all: &[WithFee], now| {
            micros(all.iter().filter(|it| it.counted_at <= now).map(|it| it.price + it.fee).sum())
        };
        let mut epoch = EPOCH;
        for (index, (act, worst, part, share, seconds)) in acts.into_iter().enumerate() {
            now += SignedDuration::from_secs(if act == 0 { seconds / 30 } else { seconds });
            match act {
                0 => {
                    let fee = worst * share / 200;
                    if ledger.decide(&limit, None, micros(worst), epoch, now) == Verdict::Fits {
                        ledger.reserve(micros(worst));
                        let true_part = |worst: i64| worst * part / 100;
                        all.push(WithFee {
                            worst: (worst - fee, fee),
                            price: true_part(worst - fee),
                            fee: true_part(fee),
                            counted_at: now + SignedDuration::from_secs(seconds),
                            stage: Stage::Open,
                        });
                        let can_be = |it: &WithFee| match it.stage {
                            Stage::Open => it.worst.0 + it.worst.1,
                            _ => it.price + it.fee,
                        };
                        prop_assert!(all.iter().map(can_be).sum::<i64>() <= 50_000_000, "{index}: {ledger:?}");
                    }
                }
                1 => {
                    if let Some(it) = all.iter_mut().find(|it| it.stage == Stage::Open) {
                        ledger.settle(micros(it.worst.0), micros(it.price), now);
                        it.stage = Stage::Priced(now);
                    }
                }
                2 => {
                    let long_ago = |since| now.duration_since(since) >= SignedDuration::from_mins(15);
                    for it in &mut all {
                        if matches!(it.stage, Stage::Priced(since) if long_ago(since)) {
                            ledger.release_beside(micros(it.worst.1), now);
                            it.stage = Stage::Ended;
                        }
                    }
                    ledger.book(now, counted(&all, now), epoch, now);
                }
                // An older memory is restored: what was admitted since is only at Twilio. The allowance is what is on its way.
                3 if loses && epoch == EPOCH => {
                    epoch = "two";
                    let lost = all.split_off(all.len() / 2);
                    let fresh = ledger_at(&limit, now);
                    ledger = Ledger { read_back: None, ..fresh };
                    for it in &all {
                        ledger.reserve(micros(match it.stage {
                            Stage::Open => it.worst.0 + it.worst.1,
                            Stage::Priced(_) => it.worst.1,
                            Stage::Ended => 0,
                        }));
                        if it.stage != Stage::Open {
                            ledger.settle(Amount::ZERO, micros(it.price), now);
                        }
                    }
                    all.extend(lost.into_iter().map(|it| WithFee { stage: Stage::Ended, ..it }));
                    let spent = micros(all.iter().map(|it| it.price + it.fee).sum());
                    ledger.book_lost(now, spent, epoch, now);
                }
                _ => ledger.book(now, counted(&all, now), epoch, now),
            }
        }
        // All is settled, and Twilio has counted it.
        for it in &mut all {
            if it.stage == Stage::Open {
                ledger.settle(micros(it.worst.0), micros(it.price), now);
                it.stage = Stage::Priced(now);
            }
            if matches!(it.stage, Stage::Priced(_)) {
                ledger.release_beside(micros(it.worst.1), now);
            }
        }
        for minutes in [21, 42] {
            let later = now + SignedDuration::from_mins(minutes);
            prop_assume!(later < at("2026-03-06T00:00:00Z"));
            ledger.book(later, counted(&all, later), epoch, later);
        }
        let spent = micros(all.iter().map(|it| it.price + it.fee).sum());
        prop_assert_eq!(ledger.reserved, Amount::ZERO);
        prop_assert_eq!(ledger.taken(), spent.max(ledger.settled.saturating_add(ledger.adjusted)));
    }
}

/// One whose day was read back at that time, and nothing was used in it.
fn ledger_at(limit: &Limit, now: Timestamp) -> Ledger {
    let mut ledger = Ledger::new(limit, now);
    ledger.book(now, Amount::ZERO, EPOCH, now);
    ledger
}
