//! What an account must be like, because of its breakers and because an operator says so. Pure.
//!
//! Effects of a step say what changed; this says what must be so now. Whoever performs a suspension asks here at that
//! moment, so that an order which was overtaken by a reset, or by another trip, does no harm however late it comes.

use std::collections::HashMap;

pub use ringfence_breaker::AppliedLimit;
use ringfence_breaker::{Action, Limit, Per, ScopedAccount, State, Subject};
use ringfence_store::Account;

/// An account, as a limit's scope looks at it.
pub fn scoped(account: &Account) -> ScopedAccount<'_> {
    ScopedAccount {
        sid: account.sid,
        parent: account.parent,
        friendly_name: &account.friendly_name,
        created: account.created,
    }
}

/// The breakers of all limits, by the limit's name and the subject.
pub type Breakers = HashMap<(String, Subject), State>;

/// Why an account must be suspended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// An operator said so.
    Operator,
    /// These limits, in the order of the configuration, are tripped.
    Limits(Vec<String>),
}

/// Whether an account must be suspended, and why. `held` is whether an operator suspended it.
///
/// A parent is never suspended: Twilio does not do it.
pub fn must_be_suspended(
    account: &ScopedAccount<'_>,
    held: bool,
    limits: &[AppliedLimit],
    breakers: &Breakers,
) -> Option<Because> {
    account.parent?;
    if held {
        return Some(Because::Operator);
    }
    let tripped: Vec<String> =
        in_force(account, limits, breakers, Action::Suspend).map(|limit| limit.name.clone()).collect();
    (!tripped.is_empty()).then_some(Because::Limits(tripped))
}

/// The limits whose breaker stops this account, and which order this action.
///
/// A trip of its own holds an account even where it has left the limit's scope since: whoever may rename an account must
/// not free it.
pub fn in_force<'l>(
    account: &ScopedAccount<'_>,
    limits: &'l [AppliedLimit],
    breakers: &Breakers,
    action: Action,
) -> impl Iterator<Item = &'l Limit> {
    limits.iter().filter(move |applied| applied.limit.then.contains(&action)).filter_map(move |applied| {
        let subject = match applied.limit.per {
            Per::Account => Subject::Account(account.sid),
            Per::Together | Per::Prefix => applied.subject(account)?,
        };
        let state = breakers.get(&(applied.limit.name.clone(), subject))?;
        state.stops().then_some(&applied.limit)
    })
}

#[cfg(test)]
mod tests;
