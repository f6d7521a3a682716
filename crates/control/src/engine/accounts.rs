//! The accounts are as Twilio lists them, and as their breakers want them.

use std::collections::BTreeSet;

use ringfence_model::{Actor, Sid};
use ringfence_store::{Account, SeenAccount, Synchronised};
use ringfence_twilio::client::{self, AccountFilter, Client, Inactive};
use ringfence_twilio::wire::{self, AccountStatus};

use super::orders::is_held;
use super::{Clients, Engine, named};
use crate::decide::{kind, status_order};
use crate::notices::{Event, Notice};
use crate::wanted::{Because, must_be_suspended, scoped};

/// What was found.
#[derive(Debug, Default)]
pub struct SynchronisedAccounts {
    /// What is different from what was known.
    pub changes: Synchronised,
    /// Accounts of the configuration that could not be read; what is known of their subaccounts stays.
    pub unread: Vec<(Sid, NotListed)>,
}

/// Why the accounts behind one of the configuration are not known.
#[derive(Debug, thiserror::Error)]
pub enum NotListed {
    /// Twilio does not know the token.
    #[error(
        "Twilio refuses its auth token: write the one that the console shows into its [[account]], or find out who changed it"
    )]
    WrongToken,
    /// Twilio knows who asks and does not let them.
    #[error("its credentials may not read accounts: they need the rights of the account's auth token")]
    NoRights,
    /// It is suspended or closed.
    #[error("it is suspended or closed itself, so nothing behind it can be read or suspended")]
    Inactive,
    /// It has a parent, so no account has it as theirs.
    #[error(
        "it is no parent, but a subaccount of {0}: write the parent into [[account]] with subaccounts = true, or leave subaccounts out here"
    )]
    NotAParent(Sid),
    /// Its list is no list of Twilio's: whoever asks stands in their own.
    #[error("Twilio's list of accounts lacks the account that asked for it")]
    WithoutItself,
    /// Twilio has no such account.
    #[error("Twilio has no such account")]
    Unknown,
    /// Twilio did not answer, or not so that it could be understood.
    #[error(transparent)]
    Twilio(client::Error),
}

impl From<client::Error> for NotListed {
    fn from(error: client::Error) -> Self {
        match (error.status(), error.inactive()) {
            (_, Some(Inactive::Certain)) => Self::Inactive,
            (Some(401), _) => Self::WrongToken,
            (Some(403), _) => Self::NoRights,
            (Some(404), _) => Self::Unknown,
            _ => Self::Twilio(error),
        }
    }
}

/// What Twilio lists.
#[derive(Debug, Default)]
pub struct ListedAccounts {
    /// Each account once.
    pub accounts: Vec<SeenAccount>,
    /// Accounts of the configuration that could not be read, and so nothing behind them.
    pub unread: Vec<(Sid, NotListed)>,
}

impl Clients {
    /// What Twilio says of all accounts at this moment. It changes nothing.
    pub async fn list_accounts(&self) -> ListedAccounts {
        let mut listed = ListedAccounts::default();
        let seen = &mut listed.accounts;
        for (known, client) in self.configured() {
            let answer = if known.finds_subaccounts {
                client.accounts().list(&AccountFilter::default()).page_size(1000).all().await
            } else {
                // A suspended account's own credentials are refused, its parent's are not.
                let client = known.parent.and_then(|parent| self.of(parent)).unwrap_or(client.clone());
                client.accounts().fetch(known.sid).await.map(|account| vec![account])
            };
            match answer {
                Ok(accounts) => {
                    let accounts: Vec<SeenAccount> = accounts.iter().filter_map(as_seen).collect();
                    let itself = accounts.iter().find(|it| it.sid == known.sid);
                    let wrong = match itself.map(|account| account.parent) {
                        None => Some(NotListed::WithoutItself),
                        Some(Some(parent)) if known.finds_subaccounts => Some(NotListed::NotAParent(parent)),
                        Some(_) => None,
                    };
                    listed.unread.extend(wrong.map(|why| (known.sid, why)));
                    seen.extend(accounts);
                }
                Err(error) => listed.unread.push((known.sid, error.into())),
            }
        }
        // An account may be in the configuration and in its parent's list.
        seen.sort_by_key(|account| (account.sid, account.auth_token.is_none()));
        seen.dedup_by_key(|account| account.sid);
        listed
    }
}

impl Engine {
    /// What Twilio says of all accounts at this moment. It changes nothing.
    pub async fn list_accounts(&self) -> ListedAccounts {
        self.clients.list_accounts().await
    }

    /// Takes over what Twilio says of all accounts, and has those suspended again that must be and are not.
    pub async fn synchronise_accounts(&self) -> ringfence_store::Result<SynchronisedAccounts> {
        let ListedAccounts { accounts: mut seen, mut unread } = self.list_accounts().await;
        if unread.is_empty() {
            self.look_for_the_missing(&mut seen, &mut unread).await?;
        }
        let mut found = SynchronisedAccounts { unread, ..SynchronisedAccounts::default() };
        let by = Actor::job("accounts");
        let is_complete = found.unread.is_empty();
        found.changes = self.store.synchronise_accounts(&by, seen, is_complete, self.now()).await?;
        let breakers = self.breakers().await?;
        for account in self.store.accounts().await? {
            let is_active = account.status == AccountStatus::Active.as_str() && account.gone_at.is_none();
            let must_not_be =
                must_be_suspended(&scoped(&account), is_held(&account), &self.limits, &breakers).is_some();
            if is_active && must_not_be {
                self.hold_suspended(&account, &found.changes).await?;
            }
        }
        Ok(found)
    }

    /// Asks for each account that the lists have no more: what is gone is limited and let in no longer, and one answer in which
    /// an account is missing is no reason for that.
    async fn look_for_the_missing(
        &self,
        seen: &mut Vec<SeenAccount>,
        unread: &mut Vec<(Sid, NotListed)>,
    ) -> ringfence_store::Result<()> {
        let finds = self.clients.configured().filter(|(known, _)| known.finds_subaccounts);
        let parents: Vec<(Sid, Client)> = finds.map(|(known, client)| (known.sid, client)).collect();
        let listed: BTreeSet<Sid> = seen.iter().map(|account| account.sid).collect();
        for account in self.store.accounts().await? {
            if account.gone_at.is_some() || listed.contains(&account.sid) {
                continue;
            }
            let Some((_, parent)) = parents.iter().find(|(sid, _)| account.parent == Some(*sid)) else {
                continue;
            };
            match parent.accounts().fetch(account.sid).await {
                Ok(account) => seen.extend(as_seen(&account)),
                Err(error) if error.is_not_found() => {}
                Err(error) => unread.push((account.sid, error.into())),
            }
        }
        Ok(())
    }

    /// Orders the suspension of an account that is active and must not be, unless that is on its way already.
    async fn hold_suspended(&self, account: &Account, changes: &Synchronised) -> ringfence_store::Result<()> {
        let Some(because) = self.why_suspended(account).await? else { return Ok(()) };
        let waiting = self.store.waiting_of_account(account.sid).await?;
        if waiting.iter().any(|effect| effect.kind == kind::STATUS) {
            return Ok(());
        }
        // The list may be older than our suspension: only what Twilio shows now is worth an alarm.
        let Some(parent) = self.clients.parents(account) else { return Ok(()) };
        let Some(now_seen) = fetch_active(&parent, account.sid).await else { return Ok(()) };
        let changed = now_seen.date_updated.map_or(self.now(), |at| at.0);
        let by = Actor::job("accounts");
        let limit = match because {
            Because::Limits(names) => names.into_iter().next().unwrap_or_default(),
            Because::Operator => String::new(),
        };
        let was_suspended = changes
            .changed
            .iter()
            .any(|(sid, before, _)| *sid == account.sid && before == AccountStatus::Suspended.as_str());
        if was_suspended {
            let event = Event::ActiveAgain { account: named(account), limit: limit.clone(), changed };
            self.tell(&by, &Notice { at: self.now(), event }).await?;
        }
        let now = self.now();
        let order = status_order(&named(account), &limit, &format!("again/{now}"), false, now);
        self.store.add_effect(&by, order, now).await?;
        self.announce();
        Ok(())
    }
}

async fn fetch_active(parent: &Client, account: Sid) -> Option<wire::Account> {
    let account = parent.accounts().fetch(account).await.ok()?;
    (account.status == AccountStatus::Active).then_some(account)
}

fn as_seen(account: &wire::Account) -> Option<SeenAccount> {
    let sid = Sid::parse(&account.sid).ok()?;
    // Twilio names a parent as its own owner.
    let parent = Sid::parse(&account.owner_account_sid).ok().filter(|owner| *owner != sid);
    Some(SeenAccount {
        sid,
        parent,
        friendly_name: account.friendly_name.clone(),
        status: account.status.as_str().to_owned(),
        auth_token: account.auth_token.clone(),
        created: account.date_created.map(|at| at.0),
        changed: account.date_updated.map(|at| at.0),
    })
}
