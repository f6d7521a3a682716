//! Whose credentials ask Twilio for what.
//!
//! A parent's credentials reach its own account and, on api.twilio.com, all of its subaccounts; on every other host a
//! subaccount answers only to its own (<https://www.twilio.com/docs/iam/api/subaccounts>).

use std::collections::BTreeMap;

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
    /// Its auth token.
    pub auth_token: Secret,
    /// Whether its subaccounts are found at Twilio.
    pub finds_subaccounts: bool,
}

/// Clients with the credentials of all accounts that are known.
#[derive(Debug, Clone)]
pub struct Clients {
    configured: BTreeMap<Sid, (KnownAccount, Client)>,
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
        Ok(Self { configured })
    }

    /// The accounts of the configuration, by SID.
    pub fn configured(&self) -> impl Iterator<Item = (&KnownAccount, &Client)> {
        self.configured.values().map(|(account, client)| (account, client))
    }

    /// With the credentials that the configuration gives this account.
    pub fn of(&self, account: Sid) -> Option<Client> {
        self.configured.get(&account).map(|(_, client)| client.clone())
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
        self.of(account).or_else(|| {
            let (_, any) = self.configured.values().next()?;
            Some(any.with_credentials(Credentials::auth_token(account, token?.clone())))
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
