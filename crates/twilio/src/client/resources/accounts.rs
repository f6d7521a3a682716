//! Accounts and subaccounts: <https://www.twilio.com/docs/iam/api/account>.

use ringfence_model::Sid;

use super::super::base::Product::Api;
use super::super::operation::Operation;
use super::super::{Client, Error, Pages};
use crate::wire::{Account, AccountStatus, Form};

/// The accounts that the credentials reach: `client.accounts()`.
#[derive(Debug, Clone, Copy)]
pub struct Accounts<'c> {
    client: &'c Client,
}

/// Which accounts a list has.
#[derive(Debug, Clone, Default)]
pub struct AccountFilter {
    /// Those of exactly this name.
    pub friendly_name: Option<String>,
    /// Those in this state.
    pub status: Option<AccountStatus>,
}

impl Client {
    /// The accounts that the credentials reach: a parent's own and its subaccounts.
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts { client: self }
    }
}

impl Accounts<'_> {
    /// All of them, the parent among them.
    pub fn list(&self, filter: &AccountFilter) -> Pages<Account> {
        let mut query = Form::new();
        query.push_some("FriendlyName", filter.friendly_name.as_deref());
        query.push_some("Status", filter.status.as_ref().map(AccountStatus::as_str));
        let path = "/2010-04-01/Accounts.json".to_owned();
        Pages::new(self.client, "accounts.list", Api, path, query, "accounts")
    }

    /// One of them.
    pub async fn fetch(&self, account: Sid) -> Result<Account, Error> {
        self.client.json(Operation::get("accounts.fetch", Api, &path(account), &Form::new())).await
    }

    /// Makes a subaccount. Its auth token is in the answer.
    pub async fn create(&self, friendly_name: Option<&str>) -> Result<Account, Error> {
        let mut form = Form::new();
        form.push_some("FriendlyName", friendly_name);
        let path = "/2010-04-01/Accounts.json".to_owned();
        self.client.json(Operation::once("accounts.create", Api, path, form)).await
    }

    /// Suspends a subaccount, makes it active again, or closes it, which is final. Only the parent's credentials may.
    pub async fn set_status(&self, account: Sid, status: &AccountStatus) -> Result<Account, Error> {
        let form = [("Status", status.as_str())].into_iter().collect();
        self.client.json(Operation::set("accounts.set_status", Api, path(account), form)).await
    }

    /// Gives an account another name.
    pub async fn rename(&self, account: Sid, friendly_name: &str) -> Result<Account, Error> {
        let form = [("FriendlyName", friendly_name)].into_iter().collect();
        self.client.json(Operation::set("accounts.rename", Api, path(account), form)).await
    }
}

fn path(account: Sid) -> String {
    format!("/2010-04-01/Accounts/{account}.json")
}
