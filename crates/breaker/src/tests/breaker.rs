use super::*;
use crate::{Effect, Observation, Over, Phase, State, step};

/// A breaker of one limit, and the clock beside it.
struct Stage {
    limit: Limit,
    state: State,
    now: Timestamp,
}

impl Stage {
    fn new(limit: Limit) -> Self {
        let now = at("2026-03-10T12:00:00Z");
        Self { state: State::new(&limit, now), limit, now }
    }

    fn observe(&mut self, observation: Observation) -> Vec<Effect> {
        let (state, effects) = step(&self.limit, self.state.clone(), &observation, self.now);
        self.state = state;
        effects
    }

    /// So much was used so far today.
    fn used(&mut self, amount: i64) -> Vec<Effect> {
        self.observe(Observation::Usage { at: self.now, amount: dollars(amount) })
    }

    fn reset(&mut self) -> Vec<Effect> {
        self.observe(Observation::Reset { allow: None })
    }

    fn tripped(&self) -> bool {
        matches!(self.state.phase, Phase::Tripped { .. })
    }
}

const STOP: [Effect; 2] = [Effect::Do(Action::Suspend), Effect::Do(Action::Notify)];
const LIFT: [Effect; 2] = [Effect::Undo(Action::Suspend), Effect::Undo(Action::Notify)];

#[test]
fn it_passes_below_warns_once_and_trips_once_when_the_limit_is_reached() {
    let mut stage = Stage::new(fifty_a_day());
    assert_eq!(stage.used(39), []);
    assert_eq!(stage.used(40), [Effect::Warn(80)]);
    assert_eq!(stage.used(49), []);
    assert!(!stage.tripped());
    assert_eq!(stage.used(50), STOP);
    assert_eq!(stage.used(50), []);
    assert_eq!(stage.used(90), []);
    assert!(stage.state.stops());
}

#[test]
fn nothing_that_is_seen_lifts_a_trip_and_no_day_does() {
    let mut stage = Stage::new(fifty_a_day());
    stage.used(60);
    assert_eq!(stage.used(0), []);
    stage.now = at("2026-03-11T00:00:00Z");
    assert_eq!(stage.observe(Observation::Tick), []);
    assert_eq!(stage.used(1), []);
    stage.now = at("2027-03-11T00:00:00Z");
    assert_eq!(stage.observe(Observation::Tick), []);
    assert!(stage.state.stops());
}

#[test]
fn the_next_window_lifts_a_trip_where_the_limit_says_so_but_never_an_operators() {
    let mut stage = Stage::new(Limit { reset: Reset::NextWindow, ..fifty_a_day() });
    assert_eq!(stage.used(60), STOP);
    let evening = stage.now;
    stage.now = at("2026-03-11T00:00:00Z");
    assert_eq!(stage.observe(Observation::Tick), LIFT);
    assert_eq!(stage.state.phase, Phase::Passing);
    // What is heard late of yesterday was lifted with it.
    assert_eq!(stage.observe(Observation::Usage { at: evening, amount: dollars(70) }), []);
    assert_eq!(stage.observe(Observation::Trip), STOP);
    stage.now = at("2026-03-12T00:00:00Z");
    assert_eq!(stage.observe(Observation::Tick), []);
    assert_eq!(stage.reset(), LIFT);
    // Nor one that an operator has stopped after it had tripped by itself.
    assert_eq!(stage.used(60), STOP);
    assert_eq!(stage.observe(Observation::Trip), []);
    stage.used(70);
    stage.now = at("2026-03-13T00:00:00Z");
    assert_eq!(stage.observe(Observation::Tick), []);
    assert!(stage.state.stops());
}

#[test]
fn a_reset_allows_a_tenth_more_and_then_it_trips_again() {
    let mut stage = Stage::new(fifty_a_day());
    stage.used(60);
    assert_eq!(stage.reset(), LIFT);
    assert_eq!(stage.state.phase, Phase::Probing { base: dollars(60), allowance: dollars(5) });
    assert_eq!(stage.used(60), []);
    assert_eq!(stage.used(64), []);
    assert_eq!(stage.used(65), STOP);
    assert_eq!(stage.observe(Observation::Reset { allow: Some(dollars(1)) }), LIFT);
    assert_eq!(stage.used(66), STOP);
    stage.reset();
    stage.now = at("2026-03-11T00:00:00Z");
    stage.observe(Observation::Tick);
    assert_eq!(stage.state.phase, Phase::Passing);
    assert_eq!(stage.used(49), [Effect::Warn(80)]);
    assert_eq!(stage.used(50), STOP, "what was allowed yesterday is over");
}

#[test]
fn a_reset_below_the_limit_leaves_what_the_limit_leaves() {
    let mut stage = Stage::new(fifty_a_day());
    stage.used(10);
    assert_eq!(stage.observe(Observation::Trip), STOP);
    stage.reset();
    assert_eq!(stage.state.phase, Phase::Probing { base: dollars(10), allowance: dollars(40) });
    assert_eq!(stage.used(49), []);
    assert_eq!(stage.used(50), STOP);
}

#[test]
fn a_reset_of_what_passes_changes_nothing() {
    let mut stage = Stage::new(fifty_a_day());
    stage.used(10);
    let before = stage.state.clone();
    assert_eq!(stage.observe(Observation::Reset { allow: Some(dollars(5)) }), []);
    assert_eq!(stage.state, before);
}

#[test]
fn yesterdays_usage_trips_today_unless_an_operator_has_dealt_with_it() {
    let mut stage = Stage::new(fifty_a_day());
    let yesterday = stage.now;
    stage.now = at("2026-03-11T00:10:00Z");
    assert_eq!(stage.used(3), []);
    assert_eq!(stage.observe(Observation::Usage { at: yesterday, amount: dollars(51) }), STOP);
    assert_eq!(stage.reset(), LIFT);
    assert_eq!(stage.observe(Observation::Usage { at: yesterday, amount: dollars(52) }), []);
    assert_eq!(stage.used(49), []);
    assert_eq!(stage.used(50), STOP);
}

#[test]
fn what_only_watches_says_what_it_would_have_done_and_acts_once_it_may() {
    let mut stage = Stage::new(Limit { enforce: false, ..fifty_a_day() });
    assert_eq!(stage.used(60), [Effect::WouldTrip]);
    assert_eq!(stage.used(61), []);
    assert!(!stage.state.stops());
    stage.limit.enforce = true;
    assert_eq!(stage.observe(Observation::Tick), STOP);
    assert_eq!(stage.observe(Observation::Tick), []);
    // Also the day after, when nothing is used.
    let mut stage = Stage::new(Limit { enforce: false, ..fifty_a_day() });
    stage.used(60);
    stage.now = at("2026-03-11T12:00:00Z");
    assert_eq!(stage.observe(Observation::Tick), []);
    stage.limit.enforce = true;
    assert_eq!(stage.observe(Observation::Tick), STOP);
    // Watched trips are lifted without anything to take back.
    let mut stage = Stage::new(Limit { enforce: false, ..fifty_a_day() });
    stage.used(60);
    assert_eq!(stage.reset(), []);
    // An operator who stops something means it.
    assert_eq!(stage.observe(Observation::Trip), STOP);
}

#[test]
fn a_limit_from_now_on_begins_with_its_first_look() {
    let limit = Limit { window: Window::Alltime, at: Threshold::More(dollars(50)), ..fifty_a_day() };
    let mut stage = Stage::new(limit);
    assert_eq!(stage.used(1_000), []);
    assert_eq!(stage.observe(Observation::Baseline { amount: dollars(1_000) }), []);
    assert_eq!(stage.observe(Observation::Baseline { amount: dollars(5_000) }), []);
    assert_eq!(stage.used(1_049), [Effect::Warn(80)]);
    assert_eq!(stage.used(1_050), STOP);
}

#[test]
fn a_lowered_limit_trips_at_once_and_one_that_counts_something_else_begins_anew() {
    let mut stage = Stage::new(fifty_a_day());
    stage.used(30);
    stage.limit.at = Threshold::At(dollars(20));
    assert_eq!(stage.observe(Observation::Tick), STOP);
    stage.limit.category = "sms".to_owned();
    assert_eq!(stage.observe(Observation::Tick), []);
    assert!(stage.state.stops(), "a trip stays");
    assert_eq!(stage.state.seen, dollars(0));
    stage.reset();
    stage.limit.category = "calls".to_owned();
    stage.observe(Observation::Tick);
    assert_eq!(stage.state.phase, Phase::Passing);
}

#[test]
fn a_clock_that_is_behind_does_not_turn_the_day_back() {
    let mut stage = Stage::new(fifty_a_day());
    stage.now = at("2026-03-11T00:00:10Z");
    stage.used(45);
    stage.now = at("2026-03-10T23:59:40Z");
    assert_eq!(stage.observe(Observation::Tick), []);
    assert_eq!(stage.state.seen, dollars(45));
    // A usage record of the new day reaches a node whose clock is still in the old one.
    let mut stage = Stage::new(fifty_a_day());
    stage.now = at("2026-03-10T23:59:40Z");
    assert_eq!(
        stage.observe(Observation::Usage { at: at("2026-03-11T00:00:00Z"), amount: dollars(50) }),
        STOP
    );
    // Nobody knows what is used in a year.
    let mut stage = Stage::new(fifty_a_day());
    assert_eq!(stage.observe(Observation::Usage { at: at("2027-03-11T00:00:00Z"), amount: dollars(50) }), []);
    assert_eq!(stage.state.window, at("2026-03-10T00:00:00Z"));
}

#[test]
fn a_rolling_window_can_fall_and_a_trip_stays() {
    let mut stage = Stage::new(Limit { window: Window::Rolling { seconds: 60 }, ..fifty_a_day() });
    stage.used(45);
    stage.used(10);
    assert_eq!(stage.state.seen, dollars(10));
    assert_eq!(stage.used(50), STOP);
    assert_eq!(stage.used(0), []);
    assert!(stage.tripped());
}

#[test]
fn what_is_kept_is_read_back() {
    let mut stage = Stage::new(fifty_a_day());
    let mut states = vec![stage.state.clone()];
    stage.used(60);
    states.push(stage.state.clone());
    stage.reset();
    states.push(stage.state.clone());
    for state in states {
        let text = serde_json::to_string(&state).expect("JSON");
        assert_eq!(serde_json::from_str::<State>(&text).expect(&text), state);
    }
    let text = serde_json::to_string(&stage.limit).expect("JSON");
    assert_eq!(serde_json::from_str::<Limit>(&text).expect(&text), stage.limit);
    let over = Over { window: stage.now, amount: dollars(1), judged: None, wanted: None };
    assert_eq!(serde_json::to_value(over).expect("JSON")["amount"], 1_000_000);
}

#[test]
fn what_was_only_asked_for_is_no_use_until_it_is_used() {
    let mut stage = Stage::new(fifty_a_day());
    let over = |stage: &Stage| match &stage.state.phase {
        Phase::Tripped { by, .. } => by.over.map(|over| (over.used(), over.wanted)),
        Phase::Passing | Phase::Probing { .. } => None,
    };
    let too_much = |spent, wanted, now| Observation::DoesNotFit {
        at: now,
        spent: dollars(spent),
        wanted: dollars(wanted),
    };
    let now = stage.now;
    assert_eq!(stage.observe(too_much(48, 5, now)), STOP);
    assert_eq!(over(&stage), Some((dollars(48), Some(dollars(5)))));
    // What is not over the limit by itself explains nothing.
    stage.used(49);
    assert_eq!(over(&stage), Some((dollars(48), Some(dollars(5)))));
    stage.used(51);
    assert_eq!(over(&stage), Some((dollars(51), None)));
    assert_eq!(stage.observe(too_much(51, 1, now)), []);
    assert_eq!(over(&stage), Some((dollars(51), None)));
}

#[test]
fn what_would_have_fitted_trips_nothing() {
    let mut stage = Stage::new(fifty_a_day());
    let asked =
        |wanted, at| Observation::DoesNotFit { at, spent: dollars(30), wanted: Amount::from_micros(wanted) };
    let now = stage.now;
    assert_eq!(stage.observe(asked(20_000_000, now)), [], "an operator has allowed more meanwhile");
    assert_eq!(stage.observe(asked(20_000_001, now)), STOP);
}

#[test]
fn a_trip_tells_the_earliest_window_and_the_most_that_was_used_in_it() {
    let orders = [[(9, 55), (9, 60), (10, 70), (8, 51)], [(8, 51), (10, 70), (9, 60), (9, 55)]];
    for (count, told) in
        [(1, [(9, 55), (8, 51)]), (2, [(9, 60), (8, 51)]), (3, [(9, 60), (8, 51)]), (4, [(8, 51); 2])]
    {
        for (order, told) in orders.iter().zip(told) {
            let mut stage = Stage::new(fifty_a_day());
            for (day, amount) in &order[..count] {
                let at = at(&format!("2026-03-{day:02}T12:00:00Z"));
                stage.observe(Observation::Usage { at, amount: dollars(*amount) });
            }
            let Phase::Tripped { by, .. } = &stage.state.phase else { panic!("it has not tripped") };
            let over = by.over.map(|over| (over.window, over.amount));
            let (day, amount) = told;
            assert_eq!(
                over,
                Some((at(&format!("2026-03-{day:02}T00:00:00Z")), dollars(amount))),
                "{order:?}"
            );
        }
    }
    let mut stage = Stage::new(fifty_a_day());
    for amount in [60, 55] {
        stage.observe(Observation::Usage { at: at("2026-03-09T12:00:00Z"), amount: dollars(amount) });
    }
    let Phase::Tripped { by, .. } = &stage.state.phase else { panic!("it has not tripped") };
    assert_eq!(by.over.map(|over| over.amount), Some(dollars(60)), "an older figure that comes late");
}
