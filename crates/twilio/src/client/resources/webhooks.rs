//! The Webhooks configuration API: <https://www.twilio.com/docs/usage/webhooks/webhook-configuration>. A public beta: what is
//! assumed of it stands in [`crate::wire`] (`webhooks.rs`).

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::base::Product::Webhooks as Product;
use super::super::error::{Paging, Problem, Unreadable};
use super::super::operation::{Operation, segment};
use super::super::{Client, Error};
use crate::wire::{
    Form, NewSharedKey, RuleMatch, SharedKey, TokenPage, WebhookRule, WebhookSetting, rule_body, rule_change,
    setting_body,
};

const SHARED_KEYS: &str = "/v1/Webhooks/SharedKeys";
const SETTINGS: &str = "/v1/Webhooks/Settings";
const RULES: &str = "/v1/Webhooks/Rules";

/// An account may have 50 of each (error 59200), so one page holds them, and more than these are never read.
const PAGE_SIZE: &str = "50";
const PAGES_MAX: usize = 20;

/// How the webhooks of an account are signed: `client.webhooks()`. Every account has its own, also a subaccount, and only its
/// own credentials reach it.
#[derive(Debug, Clone, Copy)]
pub struct Webhooks<'c> {
    client: &'c Client,
}

impl Client {
    /// How the webhooks of the account are signed whose credentials these are.
    pub fn webhooks(&self) -> Webhooks<'_> {
        Webhooks { client: self }
    }
}

impl Webhooks<'_> {
    /// All SharedKeys, without their secrets.
    pub async fn shared_keys(&self) -> Result<Vec<SharedKey>, Error> {
        self.list("webhooks.shared_keys", SHARED_KEYS, "sharedKeys").await
    }

    /// Makes a SharedKey. Its secret is in this answer and in no other.
    pub async fn create_shared_key(&self, friendly_name: &str) -> Result<NewSharedKey, Error> {
        let body = json!({ "friendlyName": friendly_name });
        let name = "webhooks.create_shared_key";
        self.client.json(Operation::once_json(name, Product, SHARED_KEYS.to_owned(), &body)).await
    }

    /// Removes a SharedKey. One that a setting names is not removed (59100).
    pub async fn delete_shared_key(&self, id: &str) -> Result<(), Error> {
        self.delete("webhooks.delete_shared_key", SHARED_KEYS, id).await
    }

    /// All settings, Twilio's own among them.
    pub async fn settings(&self) -> Result<Vec<WebhookSetting>, Error> {
        self.list("webhooks.settings", SETTINGS, "settings").await
    }

    /// Makes a setting that signs with a SharedKey and authenticates nobody.
    pub async fn create_setting(
        &self,
        friendly_name: &str,
        key: &str,
        algorithm: &str,
    ) -> Result<WebhookSetting, Error> {
        let body = setting_body(friendly_name, key, algorithm);
        let name = "webhooks.create_setting";
        self.client.json(Operation::once_json(name, Product, SETTINGS.to_owned(), &body)).await
    }

    /// Removes a setting. One that a rule names is not removed (59100).
    pub async fn delete_setting(&self, id: &str) -> Result<(), Error> {
        self.delete("webhooks.delete_setting", SETTINGS, id).await
    }

    /// All rules.
    pub async fn rules(&self) -> Result<Vec<WebhookRule>, Error> {
        self.list("webhooks.rules", RULES, "rules").await
    }

    /// Makes a rule. It counts 30 to 60 seconds later; until then another rule, or none, does.
    pub async fn create_rule(
        &self,
        friendly_name: &str,
        matches: &RuleMatch,
        setting: &str,
    ) -> Result<(), Error> {
        let body = rule_body(friendly_name, matches, setting);
        let name = "webhooks.create_rule";
        self.client.empty(Operation::once_json(name, Product, RULES.to_owned(), &body)).await
    }

    /// Has a rule name this setting and no other. It counts 30 to 60 seconds later.
    pub async fn set_rule(&self, id: &str, setting: &str) -> Result<(), Error> {
        let path = format!("{RULES}/{}", segment(id));
        let body = rule_change(setting);
        self.client.empty(Operation::patch_json("webhooks.set_rule", Product, path, &body)).await
    }

    /// Removes a rule. It counts no more 30 to 60 seconds later.
    pub async fn delete_rule(&self, id: &str) -> Result<(), Error> {
        self.delete("webhooks.delete_rule", RULES, id).await
    }

    async fn delete(&self, name: &'static str, list: &str, id: &str) -> Result<(), Error> {
        let path = format!("{list}/{}", segment(id));
        self.client.empty(Operation::delete(name, Product, path)).await
    }

    async fn list<T: DeserializeOwned>(
        &self,
        name: &'static str,
        path: &str,
        key: &str,
    ) -> Result<Vec<T>, Error> {
        let failed = |problem| Error { operation: name, tries: 1, problem };
        let shape = || failed(Problem::Unreadable { status: 200, why: Unreadable::WrongShape });
        let mut all = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut query: Form = [("pageSize", PAGE_SIZE)].into_iter().collect();
            query.push_some("pageToken", next.as_deref());
            let page: TokenPage = self.client.json(Operation::get(name, Product, path, &query)).await?;
            let (rows, following): (Value, _) = page.into_rows(key).ok_or_else(shape)?;
            all.extend(serde_json::from_value::<Vec<T>>(rows).map_err(|_| shape())?);
            match following {
                None => return Ok(all),
                Some(following) if next.as_ref() == Some(&following) => {
                    return Err(failed(Problem::Paging(Paging::Loop)));
                }
                Some(following) => next = Some(following),
            }
        }
        Err(failed(Problem::Paging(Paging::Endless)))
    }
}
