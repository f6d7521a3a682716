//! Shares of what was sent: what is not judged, what closes, and what opens again.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::{Effect, Observation, Phase, Share, Sign, State, step, tripped};

const SIGN: Sign = Sign { percent: 20, least: 20, settle: 600 };

/// Less than a fifth of the codes of an hour entered: closes the beginning, tells people, and is lifted by hand.
fn entered() -> Limit {
    Limit {
        name: "codes entered".to_owned(),
        scope: Scope::All,
        per: Per::Prefix,
        measure: Measure::Conversion,
        window: Window::Rolling { seconds: 3_600 },
        at: Threshold::Share(SIGN),
        warn: vec![],
        then: vec![Action::Notify],
        ..fifty_a_day()
    }
}

fn share(good: u64, bad: u64, silent: u64) -> Share {
    Share { good, bad, silent }
}

fn noon() -> Timestamp {
    at("2026-03-10T12:00:00Z")
}

fn after(seconds: i64) -> Timestamp {
    noon() + SignedDuration::from_secs(seconds)
}

/// What was sent in the hour before it had its time, looked at now.
fn seen(share: Share, now: Timestamp) -> Observation {
    let from = now - SignedDuration::from_secs(i64::from(SIGN.settle) + 3_600);
    Observation::Share { from, at: now, share }
}

fn observe(limit: &Limit, state: &mut State, observation: Observation, now: Timestamp) -> Vec<Effect> {
    let (next, effects) = step(limit, state.clone(), &observation, now);
    *state = next;
    effects
}

#[test]
fn a_reset_allows_nothing_of_a_share_which_is_judged_anew() {
    assert_eq!(entered().probe_amount(), Amount::ZERO);
}

#[test]
fn what_an_operator_has_dealt_with_is_dealt_with_however_far_it_looks_back_now() {
    let limit = entered();
    let mut state = State::new(&limit, noon());
    assert_eq!(observe(&limit, &mut state, seen(share(0, 20, 0), noon()), noon()).len(), 1);
    observe(&limit, &mut state, Observation::Reset { allow: None }, after(60));
    let longer = Limit { window: Window::Rolling { seconds: 7_200 }, ..limit };
    observe(&longer, &mut state, seen(share(0, 40, 0), after(120)), after(120));
    assert_eq!(state.phase, Phase::Passing);
}

#[test]
fn few_sends_trip_nothing_and_a_share_that_is_enough_does_not_either() {
    for (good, bad) in [(0, 0), (0, 19), (3, 16), (4, 16), (20, 80), (21, 79), (1_000, 0)] {
        assert!(!SIGN.fails(share(good, bad, 0)), "{good} of {}", good + bad);
    }
    for (good, bad) in [(0, 20), (3, 17), (19, 81), (0, u64::MAX), (u64::MAX / 100, u64::MAX)] {
        assert!(SIGN.fails(share(good, bad, 0)), "{good} beside {bad}");
    }
    assert!(!Sign { least: 0, ..SIGN }.fails(Share::default()), "of nothing there is no share");
}

#[test]
fn a_network_that_reports_little_is_not_judged_by_what_failed() {
    assert!(!SIGN.fails(share(0, 30, 970)), "no delivery is ever reported there");
    assert!(!SIGN.fails(share(4, 26, 31)));
    assert!(SIGN.fails(share(4, 26, 30)), "half of them speak");
}

#[test]
fn a_share_is_told_in_hundredths() {
    assert_eq!(share(1, 2, 50).percent().to_string(), "33.333333");
    assert_eq!(share(0, 7, 0).percent(), Amount::ZERO);
    assert_eq!(share(1, 2, 3).and(share(10, 20, 30)), share(11, 22, 33));
    assert_eq!(Share::default().percent(), Amount::from_units(100));
    assert_eq!(share(u64::MAX, u64::MAX, 0).percent(), Amount::from_units(100), "without an overflow");
}

#[test]
fn a_limit_of_a_share_that_cannot_work_says_why() {
    let keys = |limit: Limit| limit.problems().into_iter().map(|it| it.key).collect::<Vec<_>>();
    let with = |sign| Limit { at: Threshold::Share(sign), ..entered() };
    assert_eq!(entered().problems(), []);
    assert_eq!(keys(Limit { enforce: false, reset: Reset::NextWindow, ..entered() }), [""; 0]);
    assert_eq!(keys(Limit { then: vec![], ..entered() }), [""; 0], "closing is what it does");
    assert_eq!(keys(Limit { at: Threshold::At(dollars(20)), ..entered() }), ["at"]);
    assert_eq!(keys(Limit { measure: Measure::Price, ..entered() }), ["at"]);
    assert_eq!(keys(with(Sign { percent: 0, ..SIGN })), ["at"]);
    assert_eq!(keys(with(Sign { percent: 100, ..SIGN })), ["at"]);
    assert_eq!(keys(with(Sign { least: 0, ..SIGN })), ["least"]);
    assert_eq!(keys(Limit { per: Per::Account, ..entered() }), ["per"]);
    for window in [
        Window::Daily,
        Window::Hour,
        Window::Gcra { seconds: 3_600 },
        Window::Rolling { seconds: 59 },
        Window::Rolling { seconds: 86_401 },
    ] {
        assert_eq!(keys(Limit { window, ..entered() }), ["window"], "{window:?}");
    }
    assert_eq!(keys(Limit { scope: Scope::Tenant("shop".to_owned()), ..entered() }), ["scope"]);
    for then in [vec![Action::Suspend], vec![Action::Notify, Action::CloseGeo]] {
        assert_eq!(keys(Limit { then, ..entered() }), ["then"]);
    }
    assert_eq!(keys(Limit { warn: vec![80], ..entered() }), ["warn"]);
    assert_eq!(keys(Limit { burst: Some(dollars(1)), ..entered() }), ["burst"]);
    let unseen = Some(crate::Unseen { within: 100, known_after: 10 });
    assert_eq!(keys(Limit { unseen, ..entered() }), ["unseen"]);
}

#[test]
fn what_is_too_young_and_what_is_too_old_is_not_judged() {
    assert_eq!(entered().judged(None, noon()), Some((after(-4_200), after(-600))));
    assert_eq!(fifty_a_day().judged(None, noon()), None, "it counts money");
}

#[test]
fn too_small_a_share_closes_once_and_stays_closed_whatever_is_seen() {
    let (limit, mut state) = (entered(), State::new(&entered(), noon()));
    assert_eq!(observe(&limit, &mut state, seen(share(20, 80, 0), noon()), noon()), []);
    assert_eq!(state, State::new(&limit, noon()), "what is enough leaves no trace");
    assert_eq!(
        observe(&limit, &mut state, seen(share(19, 81, 0), noon()), noon()),
        [Effect::Do(Action::Notify)]
    );
    let Phase::Tripped { by, enforced: true } = &state.phase else { panic!("{state:?}") };
    let over = by.over.unwrap();
    assert_eq!((over.amount.to_string(), over.judged), ("19".to_owned(), Some(100)));
    for (share, now) in [(share(0, 500, 0), after(10)), (share(500, 0, 0), after(90_000))] {
        assert_eq!(observe(&limit, &mut state, seen(share, now), now), []);
        assert!(tripped(&limit, &state, now));
    }
}

#[test]
fn an_operator_opens_it_again_and_what_was_sent_before_is_not_judged_any_more() {
    let (limit, mut state) = (entered(), State::new(&entered(), noon()));
    observe(&limit, &mut state, seen(share(0, 100, 0), noon()), noon());
    let reset = Observation::Reset { allow: None };
    assert_eq!(observe(&limit, &mut state, reset, after(60)), [Effect::Undo(Action::Notify)]);
    assert_eq!(state.phase, Phase::Passing);
    // What had its time is judged from the moment on at which it was opened.
    assert_eq!(limit.judged(Some(&state), after(660)), None);
    assert_eq!(limit.judged(Some(&state), after(700)), None, "not a full minute yet");
    assert_eq!(limit.judged(Some(&state), after(740)), Some((after(60), after(120))));
    // Somebody looked before that, and tells of it late.
    assert_eq!(observe(&limit, &mut state, seen(share(0, 100, 0), after(61)), after(61)), []);
    assert!(!tripped(&limit, &state, after(61)));
    let again = Observation::Share { from: after(60), at: after(1_000), share: share(0, 20, 0) };
    assert_eq!(observe(&limit, &mut state, again, after(1_000)), [Effect::Do(Action::Notify)]);
}

#[test]
fn where_the_limit_says_so_time_opens_it_and_an_operators_stop_stays() {
    let limit = Limit { reset: Reset::NextWindow, ..entered() };
    let mut state = State::new(&limit, noon());
    observe(&limit, &mut state, seen(share(0, 100, 0), noon()), noon());
    assert_eq!(observe(&limit, &mut state, Observation::Tick, after(3_599)), []);
    assert!(tripped(&limit, &state, after(3_599)));
    assert!(!tripped(&limit, &state, after(3_600)), "nobody has to write that down first");
    assert_eq!(observe(&limit, &mut state, Observation::Tick, after(3_600)), [Effect::Undo(Action::Notify)]);
    assert_eq!(limit.judged(Some(&state), after(4_300)), Some((after(3_600), after(3_660))));

    observe(&limit, &mut state, Observation::Trip, after(4_000));
    assert_eq!(observe(&limit, &mut state, Observation::Tick, after(900_000)), []);
    assert!(tripped(&limit, &state, after(900_000)));
}

#[test]
fn what_only_watches_says_so_and_closes_nothing() {
    let limit = Limit { enforce: false, ..entered() };
    let mut state = State::new(&limit, noon());
    assert_eq!(observe(&limit, &mut state, seen(share(0, 100, 0), noon()), noon()), [Effect::WouldTrip]);
    assert!(!tripped(&limit, &state, noon()));
    assert_eq!(observe(&limit, &mut state, seen(share(0, 200, 0), after(60)), after(60)), []);
}

#[test]
fn no_amount_moves_it() {
    let (limit, mut state) = (entered(), State::new(&entered(), noon()));
    for amount in [0, 20, 1_000_000] {
        let usage = Observation::Usage { at: noon(), amount: dollars(amount) };
        assert_eq!(observe(&limit, &mut state, usage, noon()), []);
        let full = Observation::DoesNotFit { at: noon(), spent: dollars(amount), wanted: dollars(1) };
        assert_eq!(observe(&limit, &mut state, full, noon()), []);
    }
    assert_eq!(state.phase, Phase::Passing);
}

/// Something that happens so many seconds after the last.
fn acts() -> impl Strategy<Value = Vec<(i64, Act)>> {
    let act = prop_oneof![
        8 => (0..60_u64, 0..60_u64, 0..60_u64).prop_map(|(good, bad, silent)| Act::Look(share(good, bad, silent))),
        1 => Just(Act::Late),
        1 => Just(Act::Tick),
        1 => Just(Act::Reset),
    ];
    proptest::collection::vec((0..2_000_i64, act), 1..60)
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Look(Share),
    /// The last look is told of once more.
    Late,
    Tick,
    Reset,
}

proptest! {
    /// Whatever happens: it closes only where the share fails that was sent since it was opened last, and what is closed opens by
    /// an operator or by its time.
    #[test]
    fn it_trips_only_by_what_was_sent_since_it_was_opened(acts in acts(), next in any::<bool>(), enforce in any::<bool>()) {
        let reset = if next { Reset::NextWindow } else { Reset::Manual };
        let limit = Limit { reset, enforce, ..entered() };
        let (mut state, mut now) = (State::new(&limit, noon()), noon());
        let (mut opened, mut closed, mut last) = (Timestamp::MIN, None::<Timestamp>, None);
        for (seconds, act) in acts {
            now += SignedDuration::from_secs(seconds);
            let was_closed = matches!(state.phase, Phase::Tripped { .. });
            let observation = match act {
                Act::Look(share) => {
                    let Some((from, _)) = limit.judged(Some(&state), now) else { continue };
                    prop_assert!(from >= opened, "what is dealt with is judged once more");
                    let look = Observation::Share { from, at: now, share };
                    last = Some(look);
                    look
                }
                Act::Late => match last {
                    Some(look) => look,
                    None => continue,
                },
                Act::Tick => Observation::Tick,
                Act::Reset => Observation::Reset { allow: None },
            };
            let before = state.clone();
            observe(&limit, &mut state, observation, now);
            let is_closed = matches!(state.phase, Phase::Tripped { .. });
            match (was_closed, is_closed) {
                (false, true) => {
                    let Observation::Share { from, share, .. } = observation else { panic!("{observation:?}") };
                    prop_assert!(SIGN.fails(share));
                    prop_assert!(from >= opened);
                    closed = Some(now);
                }
                (true, false) => {
                    let is_over = closed.is_some_and(|at| now.duration_since(at).as_secs() >= 3_600);
                    prop_assert!(matches!(act, Act::Reset) || (next && is_over), "{:?} after {:?}", act, before);
                    opened = if matches!(act, Act::Look(_) | Act::Late | Act::Tick | Act::Reset) { now } else { opened };
                }
                _ => {}
            }
            // The same once more changes nothing.
            let again = step(&limit, state.clone(), &observation, now);
            prop_assert_eq!(again, (state.clone(), vec![]));
        }
    }

    /// A share that is enough is enough in parts too, and one that fails in all its parts fails as a whole.
    #[test]
    fn two_shares_that_fail_fail_together(a in 0..500_u64, b in 0..500_u64, c in 0..500_u64, d in 0..500_u64) {
        let (one, other) = (share(a, b, 0), share(c, d, 0));
        if SIGN.fails(one) && SIGN.fails(other) {
            prop_assert!(SIGN.fails(one.and(other)));
        }
        let enough = |it: Share| it.judged() >= 20 && !SIGN.fails(it);
        if enough(one) && enough(other) {
            prop_assert!(!SIGN.fails(one.and(other)));
        }
    }
}

#[test]
fn what_is_judged_is_full_minutes_whenever_one_looks_however_short_the_window() {
    for seconds in [60, 120, 3_600] {
        let limit = Limit { window: Window::Rolling { seconds }, ..entered() };
        for moment in [0, 1, 29_999, 59_999, 60_000] {
            let now = noon() + SignedDuration::from_millis(moment);
            let (from, until) = limit.judged(None, now).expect("there is something to judge");
            assert_eq!(until.as_second() % 60, 0);
            assert_eq!(until.duration_since(from).as_secs(), i64::from(seconds));
            assert_eq!((from.subsec_nanosecond(), until.subsec_nanosecond()), (0, 0));
        }
    }
}
