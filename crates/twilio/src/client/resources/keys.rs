//! API keys: <https://www.twilio.com/docs/iam/api-keys/key-resource-v2010>.

use ringfence_model::Sid;

use super::super::base::Product::Api;
use super::super::operation::{Operation, in_account};
use super::super::{Client, Error, Pages};
use crate::wire::{Form, Key, NewKey};

/// The API keys of an account: `client.keys(account)`.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'c> {
    client: &'c Client,
    account: Sid,
}

impl Client {
    /// The API keys of an account. An auth token is needed; a standard key does not reach keys.
    pub fn keys(&self, account: Sid) -> Keys<'_> {
        Keys { client: self, account }
    }
}

impl Keys<'_> {
    /// All of them, without their secrets.
    pub fn list(&self) -> Pages<Key> {
        let path = in_account(self.account, "Keys");
        Pages::new(self.client, "keys.list", Api, path, Form::new(), "keys")
    }

    /// One of them, without its secret.
    pub async fn fetch(&self, key: Sid) -> Result<Key, Error> {
        self.client.json(Operation::get("keys.fetch", Api, &self.path(key), &Form::new())).await
    }

    /// Makes a key. Its secret is in this answer and in no other.
    pub async fn create(&self, friendly_name: Option<&str>) -> Result<NewKey, Error> {
        let mut form = Form::new();
        form.push_some("FriendlyName", friendly_name);
        let path = in_account(self.account, "Keys");
        self.client.json(Operation::once("keys.create", Api, path, form)).await
    }

    /// Gives a key another name.
    pub async fn rename(&self, key: Sid, friendly_name: &str) -> Result<Key, Error> {
        let form = [("FriendlyName", friendly_name)].into_iter().collect();
        self.client.json(Operation::set("keys.rename", Api, self.path(key), form)).await
    }

    /// Removes a key: it fails from then on.
    pub async fn delete(&self, key: Sid) -> Result<(), Error> {
        self.client.empty(Operation::delete("keys.delete", Api, self.path(key))).await
    }

    fn path(&self, key: Sid) -> String {
        in_account(self.account, &format!("Keys/{key}"))
    }
}
