//! What the egress is told by whoever knows limits and prices, while it runs.
//!
//! Limits are applied in the store and prices are read from Twilio: both are the control plane's work, and come here as
//! one value that is swapped whole. Until the first has come nothing that costs something is let out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use jiff::Timestamp;
use ringfence_breaker::{AppliedLimit, PriceBook};
use ringfence_model::Sid;
use ringfence_store::{Now, Store};

use super::refusal::Refusal;
use crate::server::Shared;

/// Limits and prices, as they are in force.
#[derive(Debug, Clone, Default)]
pub struct EgressRules {
    /// Every limit that was applied.
    pub limits: Vec<Arc<AppliedLimit>>,
    /// The fingerprint of them; the store admits nothing under another.
    pub fingerprint: Arc<str>,
    /// The prices of each account.
    pub books: BTreeMap<Sid, Arc<PriceBook>>,
    /// The prices of every other account: what the configuration says of them, while Twilio was not asked.
    pub book_of_others: Option<Arc<PriceBook>>,
}

impl EgressRules {
    /// The prices of an account.
    pub(crate) fn book(&self, account: Sid) -> Option<&Arc<PriceBook>> {
        self.books.get(&account).or(self.book_of_others.as_ref())
    }

    /// A refusal of what this account asks for. A price that is missing while nothing was read yet of what the account pays says
    /// nothing of the destination, and passes.
    pub(crate) fn refusal(&self, account: Sid, refusal: Refusal) -> Refusal {
        match refusal {
            Refusal::UnknownPrice(_) if !self.books.contains_key(&account) => Refusal::NotReady(
                "the prices of this account have not been read yet (of one that is closed they never are)",
            ),
            other => other,
        }
    }
}

/// Gives a running egress its limits and prices. Clones lead to the same one; after its end they do nothing.
#[derive(Clone)]
pub struct EgressRulesHandle(Weak<Shared>);

impl EgressRulesHandle {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self(Arc::downgrade(shared))
    }

    /// Puts these in force for every request from now on.
    pub fn put(&self, rules: EgressRules) {
        if let Some(shared) = self.0.upgrade() {
            shared.egress.rules.store(Some(Arc::new(rules)));
        }
    }

    /// Lets nothing out any more that costs something, until there are others.
    pub fn clear(&self) {
        if let Some(shared) = self.0.upgrade() {
            shared.egress.rules.store(None);
        }
    }
}

impl fmt::Debug for EgressRulesHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EgressRulesHandle(…)")
    }
}

/// The store of virtual credentials and reservations, without which the egress lets nobody in.
#[derive(Clone)]
pub struct EgressStore {
    /// Where they are kept; nothing while that is not there yet.
    pub store: Arc<dyn Fn() -> Option<Arc<Store>> + Send + Sync>,
    /// Whose clock decides in which window a request is.
    pub now: Arc<dyn Fn() -> Now + Send + Sync>,
    /// Told after an admission has tripped a breaker, so that what is done about it begins at once.
    pub woken: Arc<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for EgressStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EgressStore(…)")
    }
}

/// An account as requests need it: with what it is asked, and what limits look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownAccount {
    pub(crate) parent: Option<Sid>,
    pub(crate) auth_token: ringfence_model::Secret,
    /// What Twilio says of it; nothing for one that only the configuration names.
    pub(crate) seen: Option<Seen>,
}

/// What Twilio says of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) friendly_name: Arc<str>,
    pub(crate) created: Timestamp,
}
