//! Even flows: what never passes, what does, and what comes back.

use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::{CLOCK_BACK, Gcra, Ledger, Observation, Phase, Place, Rate, State, Taken, Verdict, Why, step};

const NOON: &str = "2026-03-05T12:00:00Z";

/// In any hour no more than fifty, at once no more than twenty: one each two minutes.
fn hourly() -> Limit {
    Limit {
        window: Window::Gcra { seconds: 3_600 },
        burst: Some(dollars(20)),
        per: Per::Prefix,
        then: vec![],
        warn: vec![],
        reset: Reset::NextWindow,
        ..fifty_a_day()
    }
}

fn minutes(minutes: i64) -> Timestamp {
    at(NOON) + SignedDuration::from_mins(minutes)
}

fn ask(ledger: &mut Ledger, limit: &Limit, amount: Amount, now: Timestamp) -> Result<Taken, Why> {
    ledger.follow(limit, now);
    match ledger.decide(limit, None, amount, "", now) {
        Verdict::Fits => Ok(ledger.reserve(amount)),
        Verdict::Refuse(why) | Verdict::WouldRefuse(why) => Err(why),
    }
}

#[test]
fn a_flow_that_cannot_be_says_why() {
    let right = hourly();
    let key = |limit: Limit| limit.problems().first().map(|problem| problem.key);
    assert_eq!(key(right.clone()), None);
    for burst in [0, -1, 50, 51] {
        assert_eq!(key(Limit { burst: Some(dollars(burst)), ..right.clone() }), Some("burst"), "{burst}");
    }
    assert_eq!(key(Limit { window: Window::Gcra { seconds: 0 }, ..right.clone() }), Some("window"));
    assert_eq!(key(Limit { window: Window::Hour, ..right.clone() }), Some("burst"), "an hour has none");
    let rate = Limit { burst: None, ..right }.rate();
    assert_eq!(rate.map(|rate| (rate.burst, rate.flow)), Some((dollars(25), dollars(25))), "half of it");
}

#[test]
fn between_two_hours_there_is_no_seam_through_which_twice_passes() {
    let limit = hourly();
    let fixed = Limit { window: Window::Hour, burst: None, ..limit.clone() };
    let passes = |limit: &Limit| {
        let mut ledger = Ledger::new(limit, minutes(59));
        let mut sum = 0;
        for second in 0..120 {
            let now = minutes(59) + SignedDuration::from_secs(second);
            while let Ok(taken) = ask(&mut ledger, limit, dollars(1), now) {
                ledger.settle(taken, dollars(1), now);
                sum += 1;
            }
        }
        sum
    };
    assert_eq!(passes(&fixed), 100, "the whole amount at the end of an hour, and once more");
    assert_eq!(passes(&limit), 20, "the burst, and the next when two minutes are over");
}

#[test]
fn what_is_more_than_the_burst_never_passes_and_what_is_less_passes_when_it_says() {
    let limit = hourly();
    let mut ledger = Ledger::new(&limit, at(NOON));
    let room_at = |ledger: &Ledger, amount| ledger.gcra.as_ref().expect("a flow").room_at(amount);
    assert_eq!(ask(&mut ledger, &limit, dollars(21), at(NOON)), Err(Why::DoesNotFit));
    assert_eq!(room_at(&ledger, dollars(21)), None, "however long one waits");
    assert!(ask(&mut ledger, &limit, dollars(20), at(NOON)).is_ok());
    assert_eq!(ask(&mut ledger, &limit, dollars(3), minutes(5)), Err(Why::DoesNotFit));
    assert_eq!(room_at(&ledger, dollars(3)), Some(minutes(6)));
    let just_before = minutes(6) - SignedDuration::from_micros(1);
    assert!(ask(&mut ledger, &limit, dollars(3), just_before).is_err());
    assert!(ask(&mut ledger, &limit, dollars(3), minutes(6)).is_ok());
    let watched = Limit { enforce: false, ..limit };
    let verdict = ledger.decide(&watched, None, dollars(3), "", minutes(6));
    assert_eq!(verdict, Verdict::WouldRefuse(Why::DoesNotFit));
}

#[test]
fn the_burst_is_as_many_as_it_says_however_long_each_takes() {
    // Seven in a day, three of them at once: each takes a quarter of a day; eleven and three: not even in microseconds.
    for (most, burst) in [(7, 3), (11, 3), (1_000, 300), (1_999, 1_000)] {
        let limit = Limit {
            window: Window::Gcra { seconds: 86_400 },
            at: Threshold::At(dollars(most)),
            burst: Some(dollars(burst)),
            ..hourly()
        };
        let mut ledger = Ledger::new(&limit, at(NOON));
        for number in 0..burst {
            assert!(ask(&mut ledger, &limit, dollars(1), at(NOON)).is_ok(), "{number} of {burst}");
        }
        assert_eq!(ask(&mut ledger, &limit, dollars(1), at(NOON)), Err(Why::DoesNotFit), "{burst}");
        let passed =
            (1..=86_400 / 60).filter(|minute| ask(&mut ledger, &limit, dollars(1), minutes(*minute)).is_ok());
        assert_eq!(i64::try_from(passed.count()), Ok(most - burst), "the rest in a day");
    }
}

#[test]
fn parts_of_a_microsecond_are_neither_lost_nor_given_away() {
    // One takes a seventh of a second, which is no whole number of microseconds.
    let amount = Amount::from_micros;
    let mut gcra = Gcra::new(Rate { burst: amount(10), flow: amount(7), seconds: 1 }, at(NOON));
    for _ in 0..7 {
        gcra.take(amount(1));
    }
    let after = |micros| at(NOON) + SignedDuration::from_micros(micros);
    assert_eq!(gcra.room_at(amount(10)), Some(after(1_000_000)), "one by one they take as long as at once");
    for (micros, taken) in [(0, 7), (1, 7), (142_857, 7), (142_858, 6), (999_999, 1), (1_000_000, 0)] {
        gcra.go_on(after(micros));
        assert_eq!(
            gcra.taken(),
            amount(taken),
            "what has begun to flow off is whole until it is gone: {micros}"
        );
        assert!(gcra.has_room(amount(10 - taken)) && !gcra.has_room(amount(11 - taken)), "{micros}");
    }
}

#[test]
fn what_was_not_made_comes_back_and_what_has_flowed_off_does_not() {
    let limit = hourly();
    let mut ledger = Ledger::new(&limit, at(NOON));
    let first = ask(&mut ledger, &limit, dollars(10), at(NOON)).expect("there is room");
    let second = ask(&mut ledger, &limit, dollars(10), at(NOON)).expect("there is room");
    // Half of the first has flowed off after ten minutes.
    ledger.roll(minutes(10));
    ledger.release(first);
    assert_eq!((ledger.taken(), ledger.reserved), (dollars(10), dollars(10)));
    // All that is left is the second, which begins to flow off now.
    ledger.settle(second, dollars(4), minutes(15));
    assert_eq!((ledger.taken(), ledger.reserved), (Amount::from_micros(1_500_000), Amount::ZERO));
    // After that there is nothing ahead of anybody, and nothing comes back of what was long ago.
    let third = ask(&mut ledger, &limit, dollars(5), minutes(30)).expect("there is room");
    let fourth = ask(&mut ledger, &limit, dollars(15), minutes(40)).expect("there is room");
    ledger.roll(minutes(40));
    ledger.release(third);
    assert_eq!(ledger.taken(), dollars(15), "the fourth has taken room that was free without it");
    ledger.settle(fourth, dollars(18), minutes(40));
    assert_eq!(ledger.taken(), dollars(18), "a price above the worst counts in full");
}

#[test]
fn a_clock_that_was_a_day_ahead_keeps_nobody_out_for_a_day() {
    let limit = hourly();
    let mut ledger = Ledger::new(&limit, at(NOON));
    let tomorrow = minutes(24 * 60);
    let taken = ask(&mut ledger, &limit, dollars(20), tomorrow).expect("there is room");
    assert_eq!(ask(&mut ledger, &limit, dollars(2), at(NOON)), Err(Why::DoesNotFit), "it counts now");
    assert_eq!(ask(&mut ledger, &limit, dollars(2), minutes(3)), Err(Why::DoesNotFit));
    assert!(ask(&mut ledger, &limit, dollars(2), minutes(4)).is_ok());
    // What is open is known by its place, which moved with the clock.
    ledger.roll(minutes(4));
    ledger.release(taken);
    assert_eq!(ledger.taken(), dollars(2));
    // A clock that is a little behind turns no time back, and gives nothing.
    let mut ledger = Ledger::new(&limit, at(NOON));
    assert!(ask(&mut ledger, &limit, dollars(20), at(NOON)).is_ok());
    for _ in 0..100 {
        assert!(ask(&mut ledger, &limit, dollars(1), minutes(1)).is_err());
        assert!(ask(&mut ledger, &limit, dollars(1), minutes(0)).is_err());
    }
}

#[test]
fn an_amount_that_was_changed_keeps_what_waits() {
    let limit = hourly();
    let mut ledger = Ledger::new(&limit, at(NOON));
    let open = ask(&mut ledger, &limit, dollars(20), at(NOON)).expect("there is room");
    let twice = Limit { at: Threshold::At(dollars(80)), burst: Some(dollars(40)), ..limit.clone() };
    ledger.follow(&twice, at(NOON));
    assert_eq!(ledger.taken(), dollars(20));
    assert!(ask(&mut ledger, &twice, dollars(21), at(NOON)).is_err());
    assert!(ask(&mut ledger, &twice, dollars(20), at(NOON)).is_ok());
    ledger.release(open);
    assert_eq!(ledger.taken(), dollars(40), "what was taken by another rate gives nothing back");
    // Another stretch is another count.
    let daily = Limit { window: Window::Gcra { seconds: 86_400 }, ..limit };
    ledger.follow(&daily, at(NOON));
    assert_eq!(ledger.taken(), Amount::ZERO);
}

#[test]
fn a_flow_that_acts_closes_for_its_whole_window_when_it_had_no_room() {
    let limit = Limit { then: vec![Action::Notify], ..hourly() };
    assert_eq!(limit.problems(), []);
    let told = Observation::DoesNotFit { at: minutes(50), spent: dollars(20), wanted: dollars(1) };
    let (state, effects) = step(&limit, State::new(&limit, at(NOON)), &told, minutes(51));
    assert!(state.stops());
    assert_eq!(effects, [crate::Effect::Do(Action::Notify)]);
    let (again, effects) = step(&limit, state.clone(), &told, minutes(52));
    assert_eq!((&again, effects), (&state, vec![]), "once");
    let ledger = Ledger::new(&limit, minutes(60));
    let tick = |now| step(&limit, state.clone(), &Observation::Tick, now).0;
    let verdict = |now| ledger.decide(&limit, Some(&tick(now)), dollars(1), "", now);
    assert_eq!(verdict(minutes(109)), Verdict::Refuse(Why::Tripped));
    assert_eq!(verdict(minutes(110)), Verdict::Fits);
    let at_once = Observation::DoesNotFit { at: at(NOON), spent: dollars(20), wanted: dollars(1) };
    assert!(step(&limit, State::new(&limit, at(NOON)), &at_once, at(NOON)).0.stops(), "in its first moment");
    // One that passed for long is heard of as late as any other.
    let old = State::new(&limit, minutes(-600));
    assert!(step(&limit, old, &told, minutes(51)).0.stops());
    // No sum that anybody counts says more.
    let used = Observation::Usage { at: at(NOON), amount: dollars(1_000) };
    let fresh = State::new(&limit, at(NOON));
    assert_eq!(step(&limit, fresh.clone(), &used, at(NOON)), (fresh, vec![]));
    let opened = tick(minutes(110));
    let (late, _) = step(&limit, opened, &told, minutes(111));
    assert_eq!(late.phase, Phase::Passing, "what was refused before is no reason to close again");
}

#[derive(Debug, Clone)]
enum Act {
    /// Seconds pass; where they are fewer than none, the clock is set back.
    Pass(i64),
    Ask(i64),
    /// One that is open cost so many hundredths of what it was admitted with.
    Settle(Index, i64),
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (-30_i64..400).prop_map(Act::Pass),
        1 => (-100_000_i64..1).prop_map(Act::Pass),
        6 => (1..12_000_000_i64).prop_map(Act::Ask),
        4 => (any::<Index>(), 0..101_i64).prop_map(|(index, part)| Act::Settle(index, part)),
    ]
}

struct Admitted {
    /// By a clock that never goes back.
    passed: i64,
    worst: i64,
    spent: i64,
    open: Option<Taken>,
}

proptest! {
    /// The law of an even flow, whatever comes back in between and whatever the clock does.
    #[test]
    fn in_any_stretch_no_more_passes_than_the_burst_and_what_flows_in(
        burst in 1..30_000_000_i64,
        flow in 1..30_000_000_i64,
        seconds in 1..7_200_u32,
        acts in proptest::collection::vec(acts(), 1..60),
    ) {
        let rate = Rate { burst: Amount::from_micros(burst), flow: Amount::from_micros(flow), seconds };
        let limit = Limit {
            window: Window::Gcra { seconds },
            at: Threshold::At(Amount::from_micros(burst + flow)),
            burst: Some(rate.burst),
            ..hourly()
        };
        prop_assert_eq!(limit.rate(), Some(rate));
        let (mut now, mut latest, mut passed) = (at(NOON), at(NOON), 0_i64);
        let mut ledger = Ledger::new(&limit, now);
        let mut all: Vec<Admitted> = Vec::new();
        for act in acts {
            match act {
                Act::Pass(by) => {
                    now += SignedDuration::from_secs(by);
                    // What a clock that was ahead has counted is not counted once more.
                    if latest.duration_since(now) > CLOCK_BACK {
                        latest = now;
                    }
                    passed += now.duration_since(latest).as_secs().max(0);
                    latest = latest.max(now);
                    ledger.follow(&limit, now);
                }
                Act::Ask(amount) => {
                    if let Ok(taken) = ask(&mut ledger, &limit, Amount::from_micros(amount), now) {
                        all.push(Admitted { passed, worst: amount, spent: amount, open: Some(taken) });
                        let mut sum = 0_i128;
                        for it in all.iter().rev() {
                            sum += i128::from(it.spent);
                            let flowed = i128::from(flow) * i128::from(passed - it.passed);
                            let most = i128::from(burst) + flowed / i128::from(seconds);
                            prop_assert!(sum <= most, "{} of {} in {} s", sum, most, passed - it.passed);
                        }
                    }
                }
                Act::Settle(index, part) => {
                    let open: Vec<usize> = (0..all.len()).filter(|at| all[*at].open.is_some()).collect();
                    if open.is_empty() {
                        continue;
                    }
                    let it = &mut all[open[index.index(open.len())]];
                    it.spent = it.worst * part / 100;
                    let taken = it.open.take().expect("it is open");
                    ledger.settle(taken, Amount::from_micros(it.spent), now);
                }
            }
            let open: i64 = all.iter().filter(|it| it.open.is_some()).map(|it| it.worst).sum();
            prop_assert_eq!(ledger.reserved.micros(), open);
        }
    }

    #[test]
    fn whoever_waits_until_there_is_room_gets_it_and_a_moment_before_does_not(
        burst in 1..i64::MAX / 8,
        flow in 1..i64::MAX / 8,
        seconds in 1..31_536_000_u32,
        amounts in proptest::collection::vec(1..1_001_i64, 1..40),
    ) {
        let rate = Rate { burst: Amount::from_micros(burst), flow: Amount::from_micros(flow), seconds };
        let mut gcra = Gcra::new(rate, at(NOON));
        for part in amounts {
            let amount = Amount::from_micros((burst / 1_000).saturating_mul(part).clamp(1, burst));
            let room = gcra.room_at(amount).expect("it is no more than the burst");
            if room > gcra.now() && room < Timestamp::MAX {
                let mut before = gcra.clone();
                before.go_on(room - SignedDuration::from_micros(1));
                prop_assert!(!before.has_room(amount));
            }
            if room < Timestamp::MAX {
                gcra.go_on(room);
                prop_assert!(gcra.has_room(amount));
                gcra.take(amount);
            }
        }
    }

    #[test]
    fn no_number_is_too_large(
        (burst, flow, seconds) in (any::<i64>(), any::<i64>(), any::<u32>()),
        acts in proptest::collection::vec((any::<i64>(), any::<i64>(), any::<(i64, i64)>(), 0..4_u8), 1..30),
    ) {
        let amount = Amount::from_micros;
        let mut rate = Rate { burst: amount(burst), flow: amount(flow), seconds };
        let mut gcra = Gcra::new(rate, at(NOON));
        for (one, other, (from, length), what) in acts {
            let now = Timestamp::from_microsecond(one % (Timestamp::MAX.as_second() * 1_000_000));
            let now = now.unwrap_or(Timestamp::MIN);
            match what {
                0 => gcra.go_on(now),
                1 => {
                    gcra.take(amount(one));
                }
                2 => gcra.settle(Place { from, length }, amount(one), amount(other)),
                _ => {
                    rate.burst = amount(other);
                    gcra.follow(rate, now);
                }
            }
            let _ = (gcra.room_at(amount(other)), gcra.has_room(amount(one)));
            prop_assert!(gcra.taken() >= Amount::ZERO);
        }
    }
}
