//! Limits on what an account may spend, and the breakers that hold them.
//!
//! Everything here is a function of its arguments: no clock, no network, no database. A [`Limit`] is the operator's
//! rule; a [`State`] is where one limit stands for one [`Subject`]; [`step`] says what an observation makes of it and
//! what must be done. Whoever performs the effects may crash, repeat itself and hear things late or twice: the
//! laws that make this harmless stand at [`step`] and are tested as properties.

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
