//! What a thief may have done with an account's credentials: what can still act for it, and what came about lately.
//!
//! It is read with the same questions as the daily examination, and each that Twilio does not answer is said to be
//! unanswered: a list that is empty because nobody could read it would look like innocence. What is ended here is ended again
//! without harm.

use jiff::Timestamp;
use ringfence_model::Sid;
use ringfence_store::{self as store, Account};
use ringfence_twilio::client::{AccountFilter, Client, EventFilter, IncomingNumberFilter};
use ringfence_twilio::wire::{Event, IncomingPhoneNumber, Key};
use serde::Serialize;

use crate::doctor::{is_interesting, led};
use crate::effects::{self, Each, NotDone, RevokedKey};
use crate::engine::Engine;
use crate::notices::one_line;
use crate::virtual_credentials::{self, VirtualCredential};

/// Whoever makes a thousand of a kind is not read on.
const SHOWN_MAX: usize = 1_000;

/// What came about since some time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Lately {
    /// Numbers that were bought.
    pub numbers: Vec<Thing>,
    /// Numbers that were there before and were changed.
    pub changed_numbers: Vec<Thing>,
    /// API keys that were made.
    pub keys: Vec<Thing>,
    /// Subaccounts that were made.
    pub subaccounts: Vec<Thing>,
    /// What Twilio's log has of keys, subaccounts, trunks, tokens and changed webhooks, the newest first.
    pub changes: Vec<Change>,
    /// What could not be read, and why.
    pub unread: Vec<Unread>,
}

/// Something at Twilio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Thing {
    /// Its SID.
    pub sid: String,
    /// What people called it; of a number its last digits.
    pub name: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub changed_at: Option<Timestamp>,
}

/// A change that Twilio's log has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// When.
    pub at: Option<Timestamp>,
    /// What: `phone-number.updated`.
    pub what: String,
    /// To what.
    pub resource: String,
    /// Who did it, and from where.
    pub by: String,
    /// The URLs that were changed, with where they lead now.
    pub urls: String,
}

/// What Twilio did not tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// What was asked for.
    pub what: &'static str,
    /// What it said instead.
    pub why: String,
}

/// The virtual credentials that open an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opening {
    /// Those that name it.
    pub named: Vec<VirtualCredential>,
    /// Those for every account, which others than its own applications hold too.
    pub for_all: Vec<VirtualCredential>,
}

impl Engine {
    /// What came about in an account since then. It changes nothing.
    pub async fn lately(&self, account: &Account, since: Timestamp) -> Lately {
        let mut lately = Lately::default();
        let sid = account.sid;
        let Some(client) = self.clients().for_account(account) else {
            let why = "no credentials of the configuration reach it".to_owned();
            lately.unread.push(Unread { what: "the account", why });
            return lately;
        };
        let filter = IncomingNumberFilter::default();
        match client.incoming_numbers(sid).list(&filter).all().await {
            Ok(numbers) => numbers.iter().for_each(|number| lately.sort_in(number, since)),
            Err(error) => lately.unread("numbers", &error),
        }
        match client.keys(sid).list().all().await {
            Ok(keys) => {
                let new = keys.iter().filter(|key| is_since(key.date_created.map(|at| at.0), since));
                lately.keys = new.map(of_key).take(SHOWN_MAX).collect();
            }
            Err(error) => lately.unread("API keys", &error),
        }
        if account.parent.is_none() {
            lately.read_subaccounts(&client, sid, since).await;
        }
        let filter = EventFilter { since: Some(since), ..EventFilter::default() };
        match self.clients().own(account) {
            Some(own) => match own.events().list(&filter).all().await {
                Ok(events) => {
                    let interesting = events.iter().filter(|event| is_interesting(event));
                    lately.changes = interesting.map(of_event).take(SHOWN_MAX).collect();
                }
                Err(error) => lately.unread("the log of changes", &error),
            },
            None => lately.unread.push(Unread {
                what: "the log of changes",
                why: "only the account's own credentials read it, and they are not known here".to_owned(),
            }),
        }
        lately
    }

    /// How many calls of an account wait, ring or run.
    pub async fn running_calls(&self, account: &Account) -> Result<usize, NotDone> {
        let client = self.clients().for_account(account).ok_or_else(no_credentials)?;
        Ok(effects::running_calls(&client, account.sid).await?.len())
    }

    /// Ends them.
    pub async fn end_running_calls(&self, account: &Account) -> Result<Each<Sid>, NotDone> {
        let client = self.clients().for_account(account).ok_or_else(no_credentials)?;
        Ok(effects::end_calls(&client, account.sid).await)
    }

    /// The API keys of an account.
    pub async fn api_keys(&self, account: &Account) -> Result<Vec<Thing>, NotDone> {
        let client = self.clients().for_account(account).ok_or_else(no_credentials)?;
        Ok(client.keys(account.sid).list().all().await?.iter().map(of_key).collect())
    }

    /// Deletes them, for good.
    pub async fn delete_api_keys(&self, account: &Account) -> Result<Each<RevokedKey>, NotDone> {
        let client = self.clients().for_account(account).ok_or_else(no_credentials)?;
        Ok(effects::revoke_keys(&client, account.sid).await)
    }

    /// The virtual credentials that open an account now.
    pub async fn credentials_that_open(&self, account: Sid) -> store::Result<Opening> {
        let mut opening = Opening::default();
        for credential in virtual_credentials::list(self.store()).await? {
            if !credential.is_good(self.now()) {
                continue;
            }
            match credential.scopes.as_ref().map(|scopes| scopes.accounts.listed()) {
                Ok(None) => opening.for_all.push(credential),
                Ok(Some(listed)) if listed.contains(&account) => opening.named.push(credential),
                // What is not understood opens nothing.
                _ => {}
            }
        }
        Ok(opening)
    }
}

impl Lately {
    /// What is known where nobody waited for it: nothing, which is not that nothing came about.
    pub fn interrupted() -> Self {
        let why = "it was interrupted".to_owned();
        Self { unread: vec![Unread { what: "the account", why }], ..Self::default() }
    }

    fn sort_in(&mut self, number: &IncomingPhoneNumber, since: Timestamp) {
        let digits = number.phone_number.get(number.phone_number.len().saturating_sub(4)..);
        let thing = Thing {
            sid: number.sid.clone(),
            // A whole number does not stand in a report that is kept and mailed.
            name: format!("…{}", digits.unwrap_or_default()),
            created_at: number.date_created.map(|at| at.0),
            changed_at: number.date_updated.map(|at| at.0),
        };
        let list = if is_since(thing.created_at, since) {
            &mut self.numbers
        } else if is_since(thing.changed_at, since) {
            &mut self.changed_numbers
        } else {
            return;
        };
        if list.len() < SHOWN_MAX {
            list.push(thing);
        }
    }

    async fn read_subaccounts(&mut self, client: &Client, parent: Sid, since: Timestamp) {
        match client.accounts().list(&AccountFilter::default()).page_size(1000).all().await {
            Ok(accounts) => {
                let parent = parent.to_string();
                let new = accounts
                    .iter()
                    .filter(|it| it.sid != parent && is_since(it.date_created.map(|at| at.0), since));
                let new = new.map(|it| Thing {
                    sid: it.sid.clone(),
                    name: one_line(&it.friendly_name, 64),
                    created_at: it.date_created.map(|at| at.0),
                    changed_at: it.date_updated.map(|at| at.0),
                });
                self.subaccounts = new.take(SHOWN_MAX).collect();
            }
            Err(error) => self.unread("subaccounts", &error),
        }
    }

    fn unread(&mut self, what: &'static str, error: &ringfence_twilio::client::Error) {
        self.unread.push(Unread { what, why: error.to_string() });
    }
}

fn is_since(at: Option<Timestamp>, since: Timestamp) -> bool {
    at.is_some_and(|at| at >= since)
}

fn of_key(key: &Key) -> Thing {
    Thing {
        sid: key.sid.clone(),
        name: one_line(key.friendly_name.as_deref().unwrap_or_default(), 64),
        created_at: key.date_created.map(|at| at.0),
        changed_at: key.date_updated.map(|at| at.0),
    }
}

fn of_event(event: &Event) -> Change {
    let from = event.source_ip_address.as_ref().map(|it| format!(" from {}", one_line(it, 64)));
    Change {
        at: event.event_date.map(|at| at.0),
        what: one_line(event.event_type.as_deref().unwrap_or("something"), 64),
        resource: one_line(event.resource_sid.as_deref().unwrap_or_default(), 64),
        by: one_line(event.actor_sid.as_deref().unwrap_or("Twilio"), 64) + &from.unwrap_or_default(),
        urls: led(event).trim_start_matches("; ").to_owned(),
    }
}

fn no_credentials() -> NotDone {
    NotDone::NotInForce("no credentials of the configuration reach the account".to_owned())
}
