//! Refusals first, then what a breaker does, then the laws that hold for every sequence.

mod admissions;
mod assigned;
mod books;
mod breaker;
mod charge_laws;
mod charges;
mod edges;
mod flows;
mod laws;
mod ledgers;
mod limits;
mod signs;
mod windows;

use jiff::Timestamp;
use ringfence_model::Amount;

use crate::{Action, Limit, Measure, Per, Probe, Reset, Scope, Threshold, Window};

/// Fifty dollars a day for each subaccount; suspends, tells, and is lifted by hand.
fn fifty_a_day() -> Limit {
    Limit {
        name: "fifty a day".to_owned(),
        scope: Scope::Subaccounts,
        per: Per::Account,
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        window: Window::Daily,
        at: Threshold::At(Amount::from_units(50)),
        burst: None,
        unseen: None,
        warn: vec![80],
        then: vec![Action::Suspend, Action::Notify],
        probe: Probe::Percent(10),
        reset: Reset::Manual,
        enforce: true,
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn dollars(units: i64) -> Amount {
    Amount::from_units(units)
}
