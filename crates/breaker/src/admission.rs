//! Which limits stand before a request, and with how much of each.

use std::sync::Arc;

use jiff::Timestamp;
use ringfence_model::{Amount, PhoneNumber, Sid};

use crate::charge::Charge;
use crate::limit::{Limit, Per};
use crate::scope::{DialPrefix, Scope, ScopedAccount, Subject};

/// A request that wants to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The account that pays.
    pub account: ScopedAccount<'a>,
    /// The virtual credential that asks; none where no request of an application is asked for, but an answer.
    pub credential: Option<Sid>,
    /// For whom the credential asks, where it says so.
    pub tenant: Option<&'a str>,
    /// Where it goes, if it goes to a telephone.
    pub destination: Option<PhoneNumber>,
    /// What it can cost at most.
    pub charge: &'a Charge,
}

/// A limit as it is applied: with the moment from which on it counts new subaccounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedLimit {
    /// The rule.
    pub limit: Limit,
    /// When it was applied first.
    pub since: Timestamp,
}

impl AppliedLimit {
    /// Whether the window of this moment had ended before the limit was applied: nobody is held to a rule that came later.
    pub fn came_after(&self, at: Timestamp) -> bool {
        self.limit.window.period(at).end.is_some_and(|end| end <= self.since)
    }

    /// The breaker that watches this account under this limit; none where it is not in the scope, or where no account has
    /// a breaker of its own under it.
    pub fn subject(&self, account: &ScopedAccount<'_>) -> Option<Subject> {
        let subject = match self.limit.per {
            Per::Account => Subject::Account(account.sid),
            Per::Together => Subject::Together,
            Per::Prefix => return None,
        };
        self.limit.scope.contains(account, self.since).then_some(subject)
    }
}

/// So much of one limit is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The limit.
    pub limit: Arc<AppliedLimit>,
    /// On whom.
    pub subject: Subject,
    /// How much at most.
    pub amount: Amount,
    /// The part of it whose truth Twilio's lists tell.
    pub told: Amount,
    /// Where it goes, under a limit of [places that are not known](Limit::unseen): where the account knows all of them, it
    /// holds nothing.
    pub places: Vec<DialPrefix>,
}

/// Every limit that applies to the request, also where it takes nothing of it: a breaker that has tripped stops what is
/// free too. They come in the order in which they are locked.
pub fn holds(limits: &[Arc<AppliedLimit>], asked: &Asked<'_>) -> Vec<Hold> {
    let applies = limits.iter().filter(|applied| applies(applied, asked));
    let mut holds: Vec<_> = applies.filter_map(|applied| hold(applied, asked)).collect();
    holds.sort_by(|one, other| {
        (&one.limit.limit.name, one.subject).cmp(&(&other.limit.limit.name, other.subject))
    });
    holds
}

/// Everything that one request holds which leads to several things: of the first the lists tell the truth, of what comes
/// beside it usage records alone.
pub fn holds_together(limits: &[Arc<AppliedLimit>], first: &Asked<'_>, beside: &[Asked<'_>]) -> Vec<Hold> {
    let mut together = holds(limits, first);
    for asked in beside {
        for hold in holds(limits, asked) {
            let same =
                |it: &&mut Hold| it.limit.limit.name == hold.limit.limit.name && it.subject == hold.subject;
            match together.iter_mut().find(same) {
                Some(held) => {
                    held.amount = held.amount.saturating_add(hold.amount);
                    held.places.extend(hold.places);
                }
                None => together.push(Hold { told: Amount::ZERO, ..hold }),
            }
        }
    }
    together.sort_by(|one, other| {
        (&one.limit.limit.name, one.subject).cmp(&(&other.limit.limit.name, other.subject))
    });
    together
}

fn applies(applied: &AppliedLimit, asked: &Asked<'_>) -> bool {
    match &applied.limit.scope {
        Scope::Tenant(tenant) => asked.tenant == Some(tenant),
        Scope::Credential(sid) => asked.credential == Some(*sid),
        Scope::Destination(prefixes) => {
            asked.destination.is_some_and(|number| prefixes.iter().any(|prefix| prefix.begins(number)))
        }
        scope => scope.contains(&asked.account, applied.since),
    }
}

fn hold(applied: &Arc<AppliedLimit>, asked: &Asked<'_>) -> Option<Hold> {
    let Limit { per, measure, category, unseen, .. } = &applied.limit;
    let places = match unseen {
        // What goes to no telephone goes nowhere that could be known.
        Some(_) => vec![DialPrefix::of(asked.destination?).place()],
        None => Vec::new(),
    };
    let subject = match per {
        Per::Account => Subject::Account(asked.account.sid),
        Per::Together => Subject::Together,
        // What goes to no telephone has no prefix.
        Per::Prefix => Subject::Prefix(DialPrefix::of(asked.destination?)),
    };
    let amount = asked.charge.amount(*measure, category);
    let told = asked.charge.told(*measure, category);
    Some(Hold { limit: Arc::clone(applied), subject, amount, told, places })
}
