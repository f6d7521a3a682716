//! What there is to see: the shapes in which commands print an installation and the API answers of it.
//!
//! The one idea: a view holds plain values and is made in one place, so that `ringfence status --json` and
//! `GET /v1/status` are the same document. Amounts are decimal texts, with their currency where it is known; times are
//! RFC 3339; no view has a field that could hold a token or a secret.

mod accounts;
mod audit;
mod breakers;
mod incidents;
mod ledger;
mod limits;
mod nodes;
mod orders;
mod page;
mod plan;
mod report;
mod requests;
pub(crate) mod schema;
mod share;
mod shared_keys;
mod shares;
mod status;
mod tallied;
mod tokens;

use std::collections::HashMap;

use jiff::Timestamp;
use ringfence_breaker::{Measure, State, Subject};
use ringfence_model::Sid;
use ringfence_store::{Account, Breaker, Currencies, Store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use accounts::{AccountView, Accounts, WantedStatus, WhyWanted};
pub use audit::{ActorView, AuditRowView, AuditRows};
pub use breakers::{BreakerFilter, BreakerView, Breakers, PhaseName, ProbingView, TrippedView};
pub use incidents::{Fired, IncidentFilter, IncidentKind, IncidentView, Incidents, RefusedOperation};
pub use ledger::{LedgerLine, LedgerView};
pub use limits::{LimitView, Limits, ScopeView};
pub use nodes::{NodeView, Nodes};
pub use orders::{OrderList, OrderState, OrderView, Orders};
pub use page::{Page, SIZE_MAX};
pub use plan::{ChangeView, PlanView, PlannedChange, UnreadAccount};
pub use report::{Report, ReportedLimit, ReportedTrip, ReportedWarning, Verdict};
pub use requests::{DirectionName, RequestParameter, RequestVerdictName, RequestView, Requests};
pub use share::ShareView;
pub use shared_keys::{
    OtherRule, SharedKeyChange, SharedKeyChangeName, SharedKeyPlan, SharedKeyPlanOf, SharedKeyState,
    SharedKeyView, SharedKeyWait, SharedKeyWaitName, SharedKeys, ShownSharedKey, WaitedNode,
};
pub use shares::{ShareStanding, StandingShare};
pub use status::{AccountsStatus, AuditStatus, LimitStatus, SealedUpTo, Status, UnreadView};
pub use tallied::{ReportedEgress, ReportedOperation, WatchedLimit};
pub use tokens::{EndName, TokenState, TokenView, Tokens, TurnName, TurnView, WaitName};

use crate::engine::{Clients, Engine};
use crate::wanted::{AppliedLimit, scoped};

/// Where views are made: the store, and the limits that hold, at one moment.
#[derive(Debug)]
pub struct Views<'a> {
    store: &'a Store,
    limits: &'a [AppliedLimit],
    /// Whose configured tokens may be out of date; none where that is not of interest.
    clients: Option<&'a Clients>,
    /// Whether there is an egress: without one nothing is taken, and nothing waits for Twilio's figures.
    has_egress: bool,
    now: Timestamp,
}

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
pub enum NotSeen {
    /// No limit has this name.
    #[error("there is no limit \"{0}\"; the configuration names them")]
    NoLimit(String),
    /// Twilio's list never had it.
    #[error("{0} is no account that is known here")]
    NoAccount(Sid),
    /// The cursor is not one of ours.
    #[error("the cursor is none that an answer gave as `next`")]
    Cursor,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] ringfence_store::Error),
}

/// An account, as others name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AccountName")]
pub struct NamedAccount {
    /// Its SID.
    #[schemars(schema_with = "schema::account_sid")]
    pub sid: Sid,
    /// Its name at Twilio; empty where the account is not known any more.
    pub friendly_name: String,
}

impl NamedAccount {
    /// How people know it: by its name, or by its SID where it has none.
    pub fn shown(&self) -> String {
        if self.friendly_name.is_empty() { self.sid.to_string() } else { self.friendly_name.clone() }
    }
}

impl Engine {
    /// What there is to see now.
    pub fn views(&self) -> Views<'_> {
        Views {
            store: self.store(),
            limits: self.limits(),
            clients: Some(self.clients()),
            has_egress: self.has_egress(),
            now: self.now(),
        }
    }
}

impl<'a> Views<'a> {
    /// What there is to see at `now`.
    pub fn new(store: &'a Store, limits: &'a [AppliedLimit], now: Timestamp) -> Self {
        Self { store, limits, clients: None, has_egress: true, now }
    }

    fn limit(&self, name: &str) -> Result<&'a AppliedLimit, NotSeen> {
        let found = self.limits.iter().find(|applied| applied.limit.name == name);
        found.ok_or_else(|| NotSeen::NoLimit(name.to_owned()))
    }
}

/// The currency of a breaker's amounts; none where they are not money, where nobody has seen a price yet, or where its accounts
/// pay in several. Under a limit of a share the only amounts are what refused requests could cost.
pub(crate) fn currency_of(
    applied: &AppliedLimit,
    subject: Subject,
    accounts: &[Account],
    currencies: &Currencies,
) -> Option<String> {
    if applied.limit.measure != Measure::Price && applied.limit.sign().is_none() {
        return None;
    }
    let is_of = |account: &&Account| match subject {
        Subject::Account(sid) => account.sid == sid,
        Subject::Together => applied.subject(&scoped(account)) == Some(subject),
        // Whoever sends there is counted.
        Subject::Prefix(_) => true,
    };
    let mut all = accounts.iter().filter(is_of).filter_map(|account| currencies.get(&account.sid));
    let one = all.next()?;
    all.all(|other| other == one).then(|| one.clone())
}

/// The beginning of phone numbers, where a limit counts by it.
pub(super) fn prefix_of(subject: Subject) -> Option<String> {
    match subject {
        Subject::Prefix(_) => Some(subject.to_string()),
        Subject::Account(_) | Subject::Together => None,
    }
}

/// Accounts and breakers, as they were read together.
struct Known {
    accounts: Vec<Account>,
    breakers: HashMap<(String, Subject), Breaker<State>>,
    currencies: Currencies,
}

impl Known {
    async fn read(store: &Store) -> ringfence_store::Result<Self> {
        let breakers = store.breakers::<State>().await?.into_iter();
        let breakers = breakers
            .filter_map(|breaker| Some(((breaker.limit.clone(), breaker.subject.parse().ok()?), breaker)))
            .collect();
        let (accounts, currencies) = (store.accounts().await?, store.currencies().await?);
        Ok(Self { accounts, breakers, currencies })
    }

    fn currency(&self, applied: &AppliedLimit, subject: Subject) -> Option<String> {
        // They are by SID, and there may be thousands of lines.
        let accounts = match subject {
            Subject::Account(sid) => self.account(sid).map(std::slice::from_ref).unwrap_or_default(),
            Subject::Together | Subject::Prefix(_) => &self.accounts,
        };
        currency_of(applied, subject, accounts, &self.currencies)
    }

    fn account(&self, sid: Sid) -> Option<&Account> {
        // They come from the store by SID.
        let place = self.accounts.binary_search_by_key(&sid, |account| account.sid).ok()?;
        self.accounts.get(place)
    }

    fn name(&self, sid: Sid) -> NamedAccount {
        let friendly_name =
            self.account(sid).map(|account| account.friendly_name.clone()).unwrap_or_default();
        NamedAccount { sid, friendly_name }
    }

    fn named(&self, subject: Subject) -> Option<NamedAccount> {
        match subject {
            Subject::Account(sid) => Some(self.name(sid)),
            Subject::Together | Subject::Prefix(_) => None,
        }
    }

    fn breaker(&self, limit: &str, subject: Subject) -> Option<&Breaker<State>> {
        self.breakers.get(&(limit.to_owned(), subject))
    }
}

#[cfg(test)]
mod tests;
