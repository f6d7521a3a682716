//! The limit of the article: fifty dollars a day, on every subaccount.

use ringfence_breaker::{Action, Limit, Measure, Per, Probe, Reset, Scope, Threshold, Window};
use ringfence_model::Amount;

pub(crate) fn fifty_a_day(per: Per, then: Vec<Action>) -> Limit {
    Limit {
        name: "fifty a day".to_owned(),
        scope: Scope::Subaccounts,
        per,
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        window: Window::Daily,
        at: Threshold::At(Amount::from_units(50)),
        burst: None,
        unseen: None,
        warn: vec![80],
        then,
        probe: Probe::Percent(10),
        reset: Reset::Manual,
        enforce: true,
    }
}
