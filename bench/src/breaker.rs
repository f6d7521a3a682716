//! Nanoseconds for one step of a breaker, by what it observes: the decision alone, without a store.
//!
//! 256 breakers are gone through in turn, as the poller does, each time from the same states. What is judged is the
//! work: every step must order as many effects as it should, no more and no less.

use std::hint::black_box;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{Observation, State, Window, step};
use ringfence_model::Amount;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::gate::median;
use crate::installation::fifty;

const POOL: usize = 256;

/// One row of the table: what was observed before, what is observed now, and how many effects that orders.
struct Case {
    name: &'static str,
    before: Vec<Observation>,
    observed: Observation,
    /// The window before has ended when this is observed.
    is_next_day: bool,
    effects: usize,
}

/// `breaker [--rounds N] [--steps N]`: `steps` for each breaker in each round.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let rounds: usize = arguments.number("rounds", 21)?;
    let steps: u32 = arguments.number("steps", 400)?;
    let cases = cases(NOW.parse()?);
    let mut figures = vec![Vec::new(); cases.len()];
    for _ in 0..rounds {
        for (case, figures) in cases.iter().zip(&mut figures) {
            figures.push(one_round(case, steps)?);
        }
    }
    println!("| a breaker observes | ns a step | steps a second | goal |\n| --- | --- | --- | --- |");
    for (case, figures) in cases.iter().zip(figures) {
        let nanos = median(figures.into_iter());
        println!("| {} | {nanos:.0} | {:.0} | ≤ 1000 |", case.name, 1e9 / nanos);
    }
    Ok(())
}

const NOW: &str = "2026-03-10T12:00:00Z";

fn cases(at: Timestamp) -> Vec<Case> {
    let used = |cents: i64| Observation::Usage { at, amount: Amount::from_micros(cents * 10_000) };
    let case = |name, before: &[Observation], observed, effects| Case {
        name,
        before: before.to_vec(),
        observed,
        is_next_day: false,
        effects,
    };
    let reset = Observation::Reset { allow: None };
    vec![
        case("usage below the limit", &[used(100)], used(200), 0),
        case("the same usage again", &[used(200)], used(200), 0),
        case("usage that warns", &[used(100)], used(4_100), 1),
        // Both actions; who is told of the trip needs no warning.
        case("usage that trips", &[used(100)], used(5_001), 2),
        case("more usage of a tripped one", &[used(5_001)], used(5_100), 0),
        case("an operator's trip", &[used(100)], Observation::Trip, 2),
        case("an operator's reset", &[used(5_001)], reset, 2),
        case("usage while it probes", &[used(5_001), reset], used(5_010), 0),
        case("time, in its window", &[used(5_001)], Observation::Tick, 0),
        Case { is_next_day: true, ..case("time, in the next window", &[used(5_001)], Observation::Tick, 0) },
    ]
}

/// Nanoseconds for one step.
fn one_round(case: &Case, steps: u32) -> Outcome<f64> {
    let limit = fifty(Window::Daily);
    let begin: Timestamp = NOW.parse()?;
    let mut state = State::new(&limit, begin);
    for observation in &case.before {
        state = step(&limit, state, observation, begin).0;
    }
    let now = begin + SignedDuration::from_hours(if case.is_next_day { 24 } else { 0 });
    let (mut took, mut ordered) = (Duration::ZERO, 0);
    for _ in 0..steps {
        let pool: Vec<State> = (0..POOL).map(|_| state.clone()).collect();
        let started = Instant::now();
        for state in pool {
            let (after, effects) = step(&limit, state, black_box(&case.observed), now);
            ordered += effects.len();
            black_box(after);
        }
        took += started.elapsed();
    }
    let wanted = case.effects * POOL * steps as usize;
    if ordered != wanted {
        return Err(format!("WRONG: {}: {ordered} effects were ordered, not {wanted}", case.name).into());
    }
    Ok(took.as_secs_f64() * 1e9 / (f64::from(steps) * POOL as f64))
}
