//! Whose credentials ask Twilio for what.
//!
//! A parent's credentials reach its own account and, on api.twilio.com, all of its subaccounts; on every other host a
//! subaccount answers only to its own (<https://www.twilio.com/docs/iam/api/subaccounts>).
//!
//! A rotation of an auth token changes what an account is asked with while everything runs: [`Clients::ask_with`] puts that
//! in force for all clones at once.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use ringfence_model::{Secret, Sid};
use ringfence_store::{Account, SeenAccount};
use ringfence_twilio::client::{Client, Credentials, InvalidSettings, Settings};

/// An account whose auth token is in the configuration.
#[derive(Debug, Clone)]
pub struct KnownAccount {
    /// `AC…`.
    pub sid: Sid,
    /// Its parent; none where it is one itself.
    pub parent: Option<Sid>,
    /// Its auth token, as it is configured.
    pub auth_token: Secret,
    /// Whether its subaccounts are found at Twilio.
    pub finds_subaccounts: bool,
}

/// Clients with the credentials of all accounts that are known.
#[derive(Debug, Clone)]
pub struct Clients {
    configured: BTreeMap<Sid, (KnownAccount, Client)>,
    /// What rotations brought, which comes before what is configured and listed.
    rotated: Arc<RwLock<BTreeMap<Sid, Secret>>>,
}

impl Clients {
    /// Clients that share their connections. None is connected before the first request.
    pub fn new(settings: &Settings, accounts: Vec<KnownAccount>) -> Result<Self, InvalidSettings> {
        let mut configured: BTreeMap<Sid, (KnownAccount, Client)> = BTreeMap::new();
        for account in accounts {
            let credentials = Credentials::auth_token(account.sid, account.auth_token.clone());
            let client = match configured.values().next() {
                Some((_, client)) => client.with_credentials(credentials),
                None => Client::new(settings.clone(), credentials)?,
            };
            configured.insert(account.sid, (account, client));
        }
        Ok(Self { configured, rotated: Arc::default() })
    }

    /// From now on these accounts are asked with these tokens, and all others with what is configured or listed. It holds
    /// for every clone.
    pub fn ask_with(&self, tokens: BTreeMap<Sid, Secret>) {
        *self.rotated.write().unwrap_or_else(PoisonError::into_inner) = tokens;
    }

    /// The accounts of the configuration, by SID, with their credentials of the moment.
    pub fn configured(&self) -> impl Iterator<Item = (&KnownAccount, Client)> {
        let rotated = self.rotated.read().unwrap_or_else(PoisonError::into_inner).clone();
        self.configured.values().map(move |(account, client)| {
            let client = match rotated.get(&account.sid) {
                Some(token) => with_token(client, account.sid, token),
                None => client.clone(),
            };
            (account, client)
        })
    }

    /// Whether the account is one of the configuration whose subaccounts are found at Twilio.
    pub(super) fn finds_subaccounts_of(&self, account: Sid) -> bool {
        self.configured.get(&account).is_some_and(|(known, _)| known.finds_subaccounts)
    }

    /// With the credentials of an account of the configuration.
    pub fn of(&self, account: Sid) -> Option<Client> {
        let (_, client) = self.configured.get(&account)?;
        let rotated = self.rotated(account);
        Some(rotated.map_or_else(|| client.clone(), |token| with_token(client, account, &token)))
    }

    /// With this token of an account, whatever is known of it. None where nothing is configured, so that nobody knows where
    /// Twilio is.
    pub fn with(&self, account: Sid, token: &Secret) -> Option<Client> {
        let (_, any) = self.configured.values().next()?;
        Some(with_token(any, account, token))
    }

    /// The token that an account is asked with, where one is known; `listed` is what Twilio's list gave.
    pub(crate) fn token(&self, account: Sid, listed: Option<&Secret>) -> Option<Secret> {
        let configured = self.configured.get(&account).map(|(known, _)| &known.auth_token);
        self.rotated(account).or_else(|| configured.or(listed).cloned())
    }

    fn rotated(&self, account: Sid) -> Option<Secret> {
        self.rotated.read().unwrap_or_else(PoisonError::into_inner).get(&account).cloned()
    }

    /// With the account's own credentials: those of the configuration, else the token that Twilio's list gave.
    pub fn own(&self, account: &Account) -> Option<Client> {
        self.own_by(account.sid, account.auth_token.as_ref())
    }

    /// The same of an account that was just seen at Twilio, and with whose credentials its resources of api.twilio.com are
    /// asked for.
    pub fn of_seen(&self, account: &SeenAccount) -> (Option<Client>, Option<Client>) {
        let own = self.own_by(account.sid, account.auth_token.as_ref());
        let parents = account.parent.and_then(|parent| self.of(parent));
        (own.clone(), parents.or(own))
    }

    fn own_by(&self, account: Sid, token: Option<&Secret>) -> Option<Client> {
        self.of(account).or_else(|| match self.rotated(account) {
            Some(rotated) => self.with(account, &rotated),
            None => self.with(account, token?),
        })
    }

    /// With the credentials of the account's parent, which alone may suspend it.
    pub fn parents(&self, account: &Account) -> Option<Client> {
        self.of(account.parent?)
    }

    /// For resources of api.twilio.com: the parent's credentials outlive a rotation of the account's own token.
    pub fn for_account(&self, account: &Account) -> Option<Client> {
        self.parents(account).or_else(|| self.own(account))
    }
}

fn with_token(client: &Client, account: Sid, token: &Secret) -> Client {
    client.with_credentials(Credentials::auth_token(account, token.clone()))
}
