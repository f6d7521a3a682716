use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use super::*;
use crate::{Effect, Observation, Phase, State, step};

/// Ten days around the one on which it begins.
fn usage() -> impl Strategy<Value = Observation> {
    (0..10_i64 * 24, 0..100_i64).prop_map(|(hour, amount)| Observation::Usage {
        at: at("2026-03-05T00:30:00Z") + jiff::SignedDuration::from_hours(hour),
        amount: dollars(amount),
    })
}

fn limits() -> impl Strategy<Value = Limit> {
    let windows = prop_oneof![
        Just(Window::Hour),
        Just(Window::Daily),
        Just(Window::Monthly),
        Just(Window::Yearly),
        Just(Window::Alltime)
    ];
    (windows, any::<bool>(), any::<bool>(), 1..80_i64).prop_map(|(window, next, enforce, units)| Limit {
        window,
        reset: if next && window != Window::Alltime { Reset::NextWindow } else { Reset::Manual },
        enforce,
        at: Threshold::At(dollars(units)),
        warn: vec![50, 80],
        ..fifty_a_day()
    })
}

fn acts() -> impl Strategy<Value = Observation> {
    prop_oneof![
        6 => usage(),
        1 => Just(Observation::Tick),
        1 => Just(Observation::Trip),
        1 => proptest::option::of(1..20_i64).prop_map(|allow| Observation::Reset { allow: allow.map(dollars) }),
    ]
}

const NOW: &str = "2026-03-14T23:45:00Z";

fn run<'a>(
    limit: &Limit,
    from: &State,
    all: impl IntoIterator<Item = &'a Observation>,
) -> (State, Vec<Effect>) {
    let mut state = from.clone();
    let mut effects = Vec::new();
    for observation in all {
        let (next, more) = step(limit, state, observation, at(NOW));
        state = next;
        effects.extend(more);
    }
    (state, effects)
}

/// A state that some history has led to.
fn somewhere(limit: &Limit, history: &[Observation]) -> State {
    let fresh = State::new(limit, at("2026-03-05T00:00:00Z"));
    run(limit, &fresh, history).0
}

proptest! {
    #[test]
    fn order_and_repetition_of_usage_make_no_difference(
        limit in limits(),
        history in proptest::collection::vec(acts(), 0..8),
        (all, shuffled) in proptest::collection::vec(usage(), 0..12)
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        again in proptest::collection::vec(any::<Index>(), 0..6),
    ) {
        let from = somewhere(&limit, &history);
        let mut repeated = shuffled.clone();
        for index in again {
            if !shuffled.is_empty() {
                let place = index.index(repeated.len());
                repeated.insert(place, *index.get(&shuffled));
            }
        }
        prop_assert_eq!(run(&limit, &from, &all).0, run(&limit, &from, &repeated).0);
    }

    #[test]
    fn an_observation_that_is_repeated_changes_nothing_and_orders_nothing(
        limit in limits(),
        history in proptest::collection::vec(acts(), 0..12),
        last in prop_oneof![usage(), Just(Observation::Tick), Just(Observation::Trip)],
    ) {
        let (once, _) = step(&limit, somewhere(&limit, &history), &last, at(NOW));
        let (twice, effects) = step(&limit, once.clone(), &last, at(NOW));
        prop_assert_eq!(twice, once);
        prop_assert_eq!(effects, []);
    }

    #[test]
    fn only_an_operator_or_a_later_window_lifts_a_trip(
        limit in limits(),
        history in proptest::collection::vec(acts(), 0..12),
        next in usage(),
    ) {
        let before = somewhere(&limit, &history);
        let (after, _) = step(&limit, before.clone(), &next, at(NOW));
        if let Phase::Tripped { by, .. } = &before.phase {
            let rolled = after.window > before.window && limit.reset == Reset::NextWindow && !by.operator;
            let stays = matches!(after.phase, Phase::Tripped { .. });
            prop_assert!(stays || rolled);
        }
        if after.window == before.window {
            prop_assert!(after.seen >= before.seen);
            prop_assert!(after.warned >= before.warned);
        }
        prop_assert!(after.window >= before.window);
    }

    #[test]
    fn whatever_is_ordered_is_taken_back_before_it_is_ordered_again(
        limit in limits(),
        history in proptest::collection::vec(acts(), 0..40),
    ) {
        let fresh = State::new(&limit, at("2026-03-05T00:00:00Z"));
        let (state, effects) = run(&limit, &fresh, &history);
        let mut suspended = false;
        for effect in effects {
            match effect {
                Effect::Do(Action::Suspend) => prop_assert!(!std::mem::replace(&mut suspended, true)),
                Effect::Undo(Action::Suspend) => prop_assert!(std::mem::replace(&mut suspended, false)),
                _ => {}
            }
        }
        prop_assert_eq!(suspended, state.stops());
    }

    #[test]
    fn fewer_observations_never_stop_more(
        limit in limits(),
        (all, some) in proptest::collection::vec(usage(), 1..12)
            .prop_flat_map(|all| (Just(all.clone()), subsequence(all.clone(), 0..=all.len()))),
    ) {
        let limit = Limit { reset: Reset::Manual, ..limit };
        let fresh = State::new(&limit, at("2026-03-05T00:00:00Z"));
        let tripped = |state: &State| matches!(state.phase, Phase::Tripped { .. });
        let (of_all, of_some) = (run(&limit, &fresh, &all).0, run(&limit, &fresh, &some).0);
        prop_assert!(tripped(&of_all) || !tripped(&of_some));
        let reached = all.iter().any(|it| matches!(it, Observation::Usage { amount, .. }
            if limit.threshold(None).is_some_and(|at| *amount >= at)));
        prop_assert_eq!(tripped(&of_all), reached);
    }

    #[test]
    fn no_amount_and_no_time_makes_it_panic(
        limit in limits(),
        amounts in proptest::collection::vec((any::<i64>(), -377_705_023_201_i64..253_402_207_200), 0..6),
        now in -377_705_023_201_i64..253_402_207_200,
    ) {
        let now = Timestamp::from_second(now).expect("within jiff's range");
        let mut state = State::new(&limit, now);
        for (micros, second) in amounts {
            let amount = Amount::from_micros(micros);
            let at = Timestamp::from_second(second).expect("within jiff's range");
            state = step(&limit, state, &Observation::Usage { at, amount }, now).0;
            state = step(&limit, state, &Observation::Reset { allow: Some(amount) }, at).0;
        }
    }
}
