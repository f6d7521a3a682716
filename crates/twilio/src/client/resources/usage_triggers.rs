//! Usage triggers: <https://www.twilio.com/docs/usage/api/usage-trigger>.

use ringfence_model::Sid;

use super::super::base::Product::Api;
use super::super::operation::{Operation, in_account};
use super::super::{Client, Error, Pages};
use super::WebhookMethod;
use crate::wire::{Form, Recurring, TriggerBy, UsageTrigger};

/// The usage triggers of an account: `client.usage_triggers(account)`.
#[derive(Debug, Clone, Copy)]
pub struct UsageTriggers<'c> {
    client: &'c Client,
    account: Sid,
}

/// Which usage triggers a list has.
#[derive(Debug, Clone, Default)]
pub struct TriggerFilter {
    /// Those that begin anew this often.
    pub recurring: Option<Recurring>,
    /// Those that compare this field.
    pub trigger_by: Option<TriggerBy>,
    /// Those that watch this category.
    pub usage_category: Option<String>,
}

/// A usage trigger to be made. Neither category nor value can be changed later.
#[derive(Debug, Clone)]
pub struct NewUsageTrigger {
    /// Where it calls.
    pub callback_url: String,
    /// A decimal number, or with a `+` before it so much more than now.
    pub trigger_value: String,
    /// The category it watches: `totalprice`.
    pub usage_category: String,
    /// How it calls; without it `POST`.
    pub callback_method: Option<WebhookMethod>,
    /// For people; at most 64 characters.
    pub friendly_name: Option<String>,
    /// How often it begins anew; without it, it fires once.
    pub recurring: Option<Recurring>,
    /// The field it compares; without it the usage.
    pub trigger_by: Option<TriggerBy>,
}

/// What is to be changed of a usage trigger. What is not given stays.
#[derive(Debug, Clone, Default)]
pub struct UsageTriggerChange {
    /// Where it calls.
    pub callback_url: Option<String>,
    /// How it calls.
    pub callback_method: Option<WebhookMethod>,
    /// For people; at most 64 characters.
    pub friendly_name: Option<String>,
}

impl Client {
    /// The usage triggers of an account.
    pub fn usage_triggers(&self, account: Sid) -> UsageTriggers<'_> {
        UsageTriggers { client: self, account }
    }
}

impl UsageTriggers<'_> {
    /// All of them.
    pub fn list(&self, filter: &TriggerFilter) -> Pages<UsageTrigger> {
        let mut query = Form::new();
        query.push_some("Recurring", filter.recurring.as_ref().map(Recurring::as_str));
        query.push_some("TriggerBy", filter.trigger_by.as_ref().map(TriggerBy::as_str));
        query.push_some("UsageCategory", filter.usage_category.as_deref());
        let path = in_account(self.account, "Usage/Triggers");
        Pages::new(self.client, "usage_triggers.list", Api, path, query, "usage_triggers")
    }

    /// One of them.
    pub async fn fetch(&self, trigger: Sid) -> Result<UsageTrigger, Error> {
        let path = self.path(trigger);
        self.client.json(Operation::get("usage_triggers.fetch", Api, &path, &Form::new())).await
    }

    /// Makes one.
    pub async fn create(&self, new: &NewUsageTrigger) -> Result<UsageTrigger, Error> {
        let mut form = Form::new();
        form.push("CallbackUrl", &new.callback_url);
        form.push("TriggerValue", &new.trigger_value);
        form.push("UsageCategory", &new.usage_category);
        form.push_some("CallbackMethod", new.callback_method.map(WebhookMethod::as_str));
        form.push_some("FriendlyName", new.friendly_name.as_deref());
        form.push_some("Recurring", new.recurring.as_ref().map(Recurring::as_str));
        form.push_some("TriggerBy", new.trigger_by.as_ref().map(TriggerBy::as_str));
        let path = in_account(self.account, "Usage/Triggers");
        self.client.json(Operation::once("usage_triggers.create", Api, path, form)).await
    }

    /// Changes where one calls, or its name.
    pub async fn update(&self, trigger: Sid, change: &UsageTriggerChange) -> Result<UsageTrigger, Error> {
        let mut form = Form::new();
        form.push_some("CallbackUrl", change.callback_url.as_deref());
        form.push_some("CallbackMethod", change.callback_method.map(WebhookMethod::as_str));
        form.push_some("FriendlyName", change.friendly_name.as_deref());
        self.client.json(Operation::set("usage_triggers.update", Api, self.path(trigger), form)).await
    }

    /// Removes one.
    pub async fn delete(&self, trigger: Sid) -> Result<(), Error> {
        self.client.empty(Operation::delete("usage_triggers.delete", Api, self.path(trigger))).await
    }

    fn path(&self, trigger: Sid) -> String {
        in_account(self.account, &format!("Usage/Triggers/{trigger}"))
    }
}
