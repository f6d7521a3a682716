//! All URLs that Twilio was told, for whoever makes routes of them. Twilio is only asked; what could not be read is said.

use http::Uri;
use ringfence_model::Sid;
use tokio::task::JoinSet;

use super::facts::{self, Account};
use super::hooks::{Hook, is_twilios_own};
use crate::engine::Clients;

/// So many accounts are read at once, as the examination does.
const AT_ONCE: usize = 8;

/// What Twilio was told, of all accounts that are in use.
#[derive(Debug, Default)]
pub struct Webhooks {
    /// By account and place.
    pub found: Vec<Webhook>,
    /// What could not be read: the account, and why.
    pub unread: Vec<(Sid, String)>,
    /// How many accounts were read.
    pub accounts: usize,
    /// Accounts that are not in use, with their status in Twilio's word; Twilio shows nothing of them.
    pub inactive: Vec<(Sid, String)>,
}

/// A URL that Twilio was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Whose it is.
    pub account: Sid,
    /// The SID of what it stands at, and the property there: `PN…/voice_url`.
    pub place: String,
    /// As Twilio has it; it may hold a password.
    pub url: String,
    /// The same, as a request would have it; none where it is no URL.
    pub uri: Option<Uri>,
    /// Whether Twilio serves it itself, such as a TwiML bin.
    pub is_twilios_own: bool,
    /// `GET` or `POST`.
    pub method: String,
}

/// Asks for the numbers, applications, Messaging Services and SIP domains of each account that these clients reach.
pub async fn webhooks(clients: &Clients) -> Webhooks {
    let listed = clients.list_accounts().await;
    let mut all = Webhooks::default();
    all.unread.extend(listed.unread.into_iter().map(|(sid, why)| (sid, why.to_string())));
    let (active, inactive): (Vec<_>, Vec<_>) =
        listed.accounts.into_iter().partition(|seen| seen.status == "active");
    all.inactive.extend(inactive.into_iter().map(|seen| (seen.sid, seen.status)));
    all.inactive.sort();
    let mut waiting = active.into_iter().map(|seen| {
        let (own, api) = clients.of_seen(&seen);
        let (sid, parent, created) = (seen.sid, seen.parent, seen.created);
        Account { sid, parent, name: seen.friendly_name, created, own, api }
    });
    let mut reading = JoinSet::new();
    loop {
        while reading.len() < AT_ONCE
            && let Some(account) = waiting.next()
        {
            reading.spawn(async move { (account.sid, facts::read_hooks(&account).await) });
        }
        let Some(read) = reading.join_next().await else { break };
        match read {
            Ok((sid, (found, unread))) => {
                all.accounts += 1;
                all.found.extend(found.iter().map(webhook));
                all.unread.extend(unread.into_iter().map(|why| (sid, why)));
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    all.found.sort_by(|this, other| (this.account, &this.place).cmp(&(other.account, &other.place)));
    all.unread.sort();
    all
}

fn webhook(hook: &Hook) -> Webhook {
    let uri = hook.uri();
    Webhook {
        account: hook.account,
        place: hook.place(),
        url: hook.url.clone(),
        is_twilios_own: uri.as_ref().is_some_and(is_twilios_own),
        uri,
        method: hook.method.clone(),
    }
}
