//! Nanoseconds for one step of a breaker: the decision alone, without a store.
//!
//! 256 breakers are gone through in turn, as the poller does. What is judged is the work: every breaker must end as
//! its usage deserves.

use std::hint::black_box;
use std::time::Instant;

use jiff::Timestamp;
use ringfence_breaker::{
    Action, Limit, Measure, Observation, Per, Probe, Reset, Scope, State, Threshold, Window, step,
};
use ringfence_model::Amount;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::gate::median;

const POOL: usize = 256;

/// `breaker [--rounds N] [--steps N]`: `steps` for each breaker in each round.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let rounds: usize = arguments.number("rounds", 21)?;
    let steps: i64 = arguments.number("steps", 400)?;
    let limit = Limit {
        name: "fifty a day".to_owned(),
        scope: Scope::Subaccounts,
        per: Per::Account,
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        window: Window::Daily,
        at: Threshold::At(Amount::from_units(50)),
        warn: vec![80],
        then: vec![Action::Suspend, Action::Notify],
        probe: Probe::Percent(10),
        reset: Reset::Manual,
        enforce: true,
    };
    println!("| what | ns a step | steps a second | goal |\n| --- | --- | --- | --- |");
    for (name, cents) in [("usage below the limit", 1), ("usage of a tripped breaker", 20_000)] {
        let mut figures = Vec::new();
        for _ in 0..rounds {
            figures.push(one_round(&limit, steps, cents)?);
        }
        let nanos = median(figures.into_iter());
        println!("| {name} | {nanos:.0} | {:.0} | ≤ 1000 |", 1e9 / nanos);
    }
    Ok(())
}

/// Nanoseconds for one step. Each sees a little more than the one before: `cents` at the beginning.
fn one_round(limit: &Limit, steps: i64, cents: i64) -> Outcome<f64> {
    let now: Timestamp = "2026-03-10T12:00:00Z".parse()?;
    let mut pool: Vec<Option<State>> = (0..POOL).map(|_| Some(State::new(limit, now))).collect();
    let mut ordered = 0;
    let begin = Instant::now();
    for number in 0..steps {
        let amount = Amount::from_micros(cents * 10_000 + number * 1_000);
        for state in &mut pool {
            let before = state.take().ok_or("WRONG: a breaker is gone")?;
            let (after, effects) =
                step(limit, before, black_box(&Observation::Usage { at: now, amount }), now);
            *state = Some(after);
            ordered += effects.len();
        }
    }
    let nanos = begin.elapsed().as_secs_f64() * 1e9;
    let wanted = if cents >= 5_000 { POOL * 2 } else { 0 };
    let stopped = pool.iter().flatten().filter(|state| state.stops()).count() * 2;
    if ordered != wanted || stopped != wanted {
        return Err(
            format!("WRONG: {ordered} effects and {stopped} of stopped breakers, not {wanted}").into()
        );
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    Ok(nanos / (steps as f64 * POOL as f64))
}
