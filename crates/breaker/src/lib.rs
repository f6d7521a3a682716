//! Limits on what an account may spend, and the breakers that hold them.
//!
//! Everything here is a function of its arguments: no clock, no network, no database. A [`Limit`] is the operator's
//! rule; a [`State`] is where one limit stands for one [`Subject`]; [`step`] says what an observation makes of it and
//! what must be done. Whoever performs the effects may crash, repeat itself and hear things late or twice: the
//! laws that make this harmless stand at [`step`] and are tested as properties.
//!
//! # After the fact: what a breaker does with what it is told
//!
//! ```
//! use ringfence_breaker::{
//!     Action, Effect, Limit, Measure, Observation, Per, Phase, Probe, Reset, Scope, State, Threshold, Window, step,
//! };
//! use ringfence_model::Amount;
//!
//! let limit = Limit {
//!     name: "fifty a day".to_owned(),
//!     scope: Scope::Subaccounts,
//!     per: Per::Account,
//!     measure: Measure::Price,
//!     category: "totalprice".to_owned(),
//!     window: Window::Daily,
//!     at: Threshold::At(Amount::from_units(50)),
//!     burst: None,
//!     unseen: None,
//!     warn: vec![80],
//!     then: vec![Action::Suspend],
//!     probe: Probe::Percent(10),
//!     reset: Reset::Manual,
//!     enforce: true,
//! };
//! let noon = "2026-11-27T12:00:00Z".parse()?;
//! let used = |units| Observation::Usage { at: noon, amount: Amount::from_units(units) };
//!
//! let (state, effects) = step(&limit, State::new(&limit, noon), &used(42), noon);
//! assert_eq!(effects, [Effect::Warn(80)]);
//! let (state, effects) = step(&limit, state, &used(53), noon);
//! assert_eq!(effects, [Effect::Do(Action::Suspend)]);
//! // The same figure once more, or an older one that comes late, changes nothing.
//! let (state, effects) = step(&limit, state, &used(42), noon);
//! assert_eq!(effects, []);
//! // An operator lifts it: five more may be spent today, then it trips again.
//! let (state, effects) = step(&limit, state, &Observation::Reset { allow: None }, noon);
//! assert_eq!(effects, [Effect::Undo(Action::Suspend)]);
//! assert!(matches!(state.phase, Phase::Probing { .. }));
//! let (_, effects) = step(&limit, state, &used(58), noon);
//! assert_eq!(effects, [Effect::Do(Action::Suspend)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Before the fact: what a ledger lets out
//!
//! ```
//! # use ringfence_breaker::{Action, Limit, Measure, Per, Probe, Reset, Scope, Threshold};
//! use ringfence_breaker::{Ledger, Verdict, Why, Window};
//! use ringfence_model::Amount;
//!
//! # let limit = Limit {
//! #     name: "one a minute".to_owned(), scope: Scope::All, per: Per::Account, measure: Measure::Price,
//! #     category: "totalprice".to_owned(), window: Window::Minute, at: Threshold::At(Amount::from_units(1)),
//! #     burst: None, unseen: None, warn: vec![], then: vec![], probe: Probe::Percent(10), reset: Reset::NextWindow,
//! #     enforce: true,
//! # };
//! // `limit` lets one unit of money out in a minute.
//! let now = "2026-11-27T12:00:00Z".parse()?;
//! let mut ledger = Ledger::new(&limit, now);
//! let worst = Amount::from_micros(600_000);
//! assert_eq!(ledger.decide(&limit, None, worst, "epoch", now), Verdict::Fits);
//! let taken = ledger.reserve(worst);
//! // While the first is open, a second does not fit; when the first turns out cheaper, it does.
//! assert_eq!(ledger.decide(&limit, None, worst, "epoch", now), Verdict::Refuse(Why::OpenOnly));
//! ledger.settle(taken, Amount::from_micros(7_500), now);
//! assert_eq!(ledger.decide(&limit, None, worst, "epoch", now), Verdict::Fits);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admission;
pub mod charge;
mod gcra;
mod ledger;
mod limit;
pub mod price_book;
mod scope;
mod sign;
mod state;
mod step;
#[cfg(test)]
mod tests;
mod window;

pub use admission::{AppliedLimit, Asked, Hold, holds, holds_together};
pub use charge::{Charge, Line};
pub use gcra::{Gcra, Place, Rate};
pub use ledger::{CLOCK_BACK, Ledger, Taken, Verdict, Why, is_of_accounts, needs_read_back, tripped};
pub use limit::{Action, Counts, Limit, LimitProblem, Measure, Per, Probe, Reset, Threshold, Unseen};
pub use price_book::PriceBook;
pub use scope::{DialPrefix, InvalidDialPrefix, NamePattern, Scope, ScopedAccount, Subject};
pub use sign::{Share, Sign};
pub use state::{Over, Phase, Settled, State, TrippedBy};
pub use step::{Effect, Observation, step};
pub use window::{Period, Window};

/// The example of the README runs too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
