//! Accounts: as Twilio shows them, and as they are to be.

use std::collections::HashMap;

use jiff::Timestamp;
use ringfence_breaker::{State, Subject};
use ringfence_model::Sid;
use ringfence_store::{Account, Wanted, Wish};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Known, NotSeen, Page, Views, schema};
use crate::decide::kind;
use crate::engine::ACTIVE;
use crate::wanted::{Because, Breakers, must_be_suspended, scoped};

/// A page of accounts, by SID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accounts {
    /// Those of the page.
    pub accounts: Vec<AccountView>,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Account")]
pub struct AccountView {
    /// Its SID.
    #[schemars(schema_with = "schema::account_sid")]
    pub sid: Sid,
    /// Its name at Twilio.
    pub friendly_name: String,
    /// Its parent; null where it is one itself.
    #[schemars(schema_with = "schema::maybe_account_sid")]
    pub parent: Option<Sid>,
    /// Its status at Twilio when it was last seen: `active`, `suspended`, `closed`.
    pub status: String,
    /// What it is to be; null where whatever it is at Twilio is right.
    pub wanted: Option<WantedStatus>,
    /// Why; null where nothing is wanted.
    pub why: Option<WhyWanted>,
    /// Whether it is what it is to be. An account that is gone is not waited for.
    pub is_as_wanted: bool,
    /// Whether it is suspended, Ringfence did that, and nothing wants it any more: a limit held it that was taken out of the
    /// configuration, or does not suspend any more. It stays so until somebody resumes it.
    #[serde(default)]
    pub left_suspended: bool,
    /// When it was made at Twilio; when it was first seen, if Twilio never said.
    #[schemars(schema_with = "schema::time")]
    pub created_at: Timestamp,
    /// When it was last seen.
    #[schemars(schema_with = "schema::time")]
    pub seen_at: Timestamp,
    /// Since when Twilio's list no longer has it.
    #[schemars(schema_with = "schema::maybe_time")]
    pub gone_at: Option<Timestamp>,
}

/// What an account is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WantedStatus {
    /// Suspended, whoever makes it active again.
    Suspended,
    /// Active again, as an operator said, until it is.
    Active,
}

/// Why an account is to be so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhyWanted {
    /// The limits that are tripped for it and suspend.
    pub limits: Vec<String>,
    /// Whether an operator said so.
    pub by_operator: bool,
    /// The reason that an operator gave.
    pub reason: Option<String>,
    /// When an operator said so.
    #[schemars(schema_with = "schema::maybe_time")]
    pub since: Option<Timestamp>,
}

/// Accounts that Ringfence has suspended, and since when, where no order about their status waits.
pub(super) type Suspended = HashMap<Sid, Timestamp>;

impl Views<'_> {
    /// What Ringfence has suspended, and has yet to make active again.
    pub(super) async fn suspended(&self) -> ringfence_store::Result<Suspended> {
        let mut suspended: Suspended = self.store.taken_from(ACTIVE).await?.into_iter().collect();
        if !suspended.is_empty() {
            for waits in self.store.accounts_waiting(kind::STATUS).await? {
                suspended.remove(&waits);
            }
        }
        Ok(suspended)
    }

    /// A page of all accounts, those that are gone among them.
    pub async fn accounts(&self, page: &Page) -> Result<Accounts, NotSeen> {
        let known = Known::read(self.store).await?;
        let breakers = states(&known);
        let suspended = self.suspended().await?;
        let (accounts, next) = page.of(
            &known.accounts,
            |account| account.sid,
            |cursor| Sid::parse(cursor).ok(),
            |account| account.sid.to_string(),
        )?;
        let view = |account| self.account_view(account, &breakers, &suspended);
        let accounts = accounts.into_iter().map(view).collect();
        Ok(Accounts { accounts, next })
    }

    /// One account.
    pub async fn account(&self, sid: Sid) -> Result<AccountView, NotSeen> {
        let account = self.store.find_account(sid).await?.ok_or(NotSeen::NoAccount(sid))?;
        let mut breakers = Breakers::new();
        for subject in [Subject::Account(sid), Subject::Together] {
            for breaker in self.store.breakers_of::<State>(&subject.to_string()).await? {
                breakers.insert((breaker.limit, subject), breaker.state);
            }
        }
        Ok(self.account_view(&account, &breakers, &self.suspended().await?))
    }

    pub(super) fn account_view(
        &self,
        account: &Account,
        breakers: &Breakers,
        suspended: &Suspended,
    ) -> AccountView {
        let (held, freed) = match &account.wanted {
            Wanted::AsItIs => (None, None),
            Wanted::Suspended(wish) => (Some(wish), None),
            Wanted::Active(wish) => (None, Some(wish)),
        };
        let because = must_be_suspended(&scoped(account), held.is_some(), self.limits, breakers);
        let left_suspended = because.is_none()
            && account.gone_at.is_none()
            && account.status == "suspended"
            // Whom an operator let go, and Twilio does not, is told as that.
            && suspended.get(&account.sid).is_some_and(|at| freed.is_none_or(|wish| wish.since < *at));
        let freed = freed.filter(|_| !left_suspended);
        let (wanted, why) = match because {
            Some(because) => {
                // An operator's hold is the answer by itself; the limits that would hold it too are told with it.
                let limits = match because {
                    Because::Limits(limits) => limits,
                    Because::Operator => {
                        match must_be_suspended(&scoped(account), false, self.limits, breakers) {
                            Some(Because::Limits(limits)) => limits,
                            _ => Vec::new(),
                        }
                    }
                };
                (Some(WantedStatus::Suspended), Some(WhyWanted::new(limits, held)))
            }
            None if freed.is_some() => (Some(WantedStatus::Active), Some(WhyWanted::new(Vec::new(), freed))),
            None => (None, None),
        };
        let is_as_wanted = account.gone_at.is_some()
            || match wanted {
                None => true,
                // Whoever closed it has seen to it for good.
                Some(WantedStatus::Suspended) => account.status != "active",
                Some(WantedStatus::Active) => account.status != "suspended",
            };
        AccountView {
            sid: account.sid,
            friendly_name: account.friendly_name.clone(),
            parent: account.parent,
            status: account.status.clone(),
            wanted,
            why,
            is_as_wanted,
            left_suspended,
            created_at: account.created,
            seen_at: account.last_seen,
            gone_at: account.gone_at,
        }
    }
}

impl WhyWanted {
    fn new(limits: Vec<String>, wish: Option<&Wish>) -> Self {
        Self {
            limits,
            by_operator: wish.is_some(),
            reason: wish.map(|wish| wish.reason.clone()),
            since: wish.map(|wish| wish.since),
        }
    }
}

/// The states alone, as decisions about accounts want them.
pub(super) fn states(known: &Known) -> Breakers {
    known.breakers.iter().map(|(key, breaker)| (key.clone(), breaker.state.clone())).collect()
}
