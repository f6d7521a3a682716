//! Applications: <https://www.twilio.com/docs/usage/api/applications>.

use ringfence_model::Sid;

use super::super::base::Product::Api;
use super::super::operation::{Operation, in_account};
use super::super::{Client, Error, Pages};
use crate::wire::{Application, Form};

/// The applications of an account: `client.applications(account)`.
#[derive(Debug, Clone, Copy)]
pub struct Applications<'c> {
    client: &'c Client,
    account: Sid,
}

/// Which applications a list has.
#[derive(Debug, Clone, Default)]
pub struct ApplicationFilter {
    /// Those of exactly this name.
    pub friendly_name: Option<String>,
}

impl Client {
    /// The applications of an account.
    pub fn applications(&self, account: Sid) -> Applications<'_> {
        Applications { client: self, account }
    }
}

impl Applications<'_> {
    /// All of them.
    pub fn list(&self, filter: &ApplicationFilter) -> Pages<Application> {
        let mut query = Form::new();
        query.push_some("FriendlyName", filter.friendly_name.as_deref());
        let path = in_account(self.account, "Applications");
        Pages::new(self.client, "applications.list", Api, path, query, "applications")
    }

    /// One of them.
    pub async fn fetch(&self, application: Sid) -> Result<Application, Error> {
        let path = in_account(self.account, &format!("Applications/{application}"));
        self.client.json(Operation::get("applications.fetch", Api, &path, &Form::new())).await
    }
}
