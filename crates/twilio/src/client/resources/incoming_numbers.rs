//! Numbers of an account: <https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource>.

use ringfence_model::Sid;

use super::super::base::Product::Api;
use super::super::operation::{Operation, in_account};
use super::super::{Client, Error, Pages};
use super::WebhookMethod;
use crate::wire::{Form, IncomingPhoneNumber};

/// The numbers of an account: `client.incoming_numbers(account)`.
#[derive(Debug, Clone, Copy)]
pub struct IncomingNumbers<'c> {
    client: &'c Client,
    account: Sid,
}

/// Which numbers a list has.
#[derive(Debug, Clone, Default)]
pub struct IncomingNumberFilter {
    /// Those with these digits in them; `*` is any digit.
    pub phone_number: Option<String>,
    /// Those of exactly this name.
    pub friendly_name: Option<String>,
    /// Those that are new to Twilio, or those that are not.
    pub beta: Option<bool>,
    /// Those that are `twilio`'s, or those that are `hosted`.
    pub origin: Option<String>,
}

/// What is to be changed of a number. What is not given stays; an empty URL takes the webhook away.
#[derive(Debug, Clone, Default)]
pub struct IncomingNumberChange {
    /// For people.
    pub friendly_name: Option<String>,
    /// Asked when a message arrives.
    pub sms_url: Option<String>,
    /// How it is asked.
    pub sms_method: Option<WebhookMethod>,
    /// Asked when `sms_url` fails.
    pub sms_fallback_url: Option<String>,
    /// How it is asked.
    pub sms_fallback_method: Option<WebhookMethod>,
    /// Asked when a call arrives.
    pub voice_url: Option<String>,
    /// How it is asked.
    pub voice_method: Option<WebhookMethod>,
    /// Asked when `voice_url` fails.
    pub voice_fallback_url: Option<String>,
    /// How it is asked.
    pub voice_fallback_method: Option<WebhookMethod>,
    /// Told about the end of calls.
    pub status_callback: Option<String>,
    /// How it is told.
    pub status_callback_method: Option<WebhookMethod>,
}

impl Client {
    /// The numbers of an account.
    pub fn incoming_numbers(&self, account: Sid) -> IncomingNumbers<'_> {
        IncomingNumbers { client: self, account }
    }
}

impl IncomingNumbers<'_> {
    /// All of them.
    pub fn list(&self, filter: &IncomingNumberFilter) -> Pages<IncomingPhoneNumber> {
        let mut query = Form::new();
        query.push_some("PhoneNumber", filter.phone_number.as_deref());
        query.push_some("FriendlyName", filter.friendly_name.as_deref());
        query.push_some("Beta", filter.beta.map(|it| it.to_string()));
        query.push_some("Origin", filter.origin.as_deref());
        let path = in_account(self.account, "IncomingPhoneNumbers");
        Pages::new(self.client, "incoming_numbers.list", Api, path, query, "incoming_phone_numbers")
    }

    /// One of them.
    pub async fn fetch(&self, number: Sid) -> Result<IncomingPhoneNumber, Error> {
        let path = self.path(number);
        self.client.json(Operation::get("incoming_numbers.fetch", Api, &path, &Form::new())).await
    }

    /// Changes its webhooks or its name.
    pub async fn update(
        &self,
        number: Sid,
        change: &IncomingNumberChange,
    ) -> Result<IncomingPhoneNumber, Error> {
        let operation = Operation::set("incoming_numbers.update", Api, self.path(number), change.form());
        self.client.json(operation).await
    }

    /// Gives a number back to Twilio. Whoever rents it next gets its messages and calls.
    pub async fn release(&self, number: Sid) -> Result<(), Error> {
        self.client.empty(Operation::delete("incoming_numbers.release", Api, self.path(number))).await
    }

    fn path(&self, number: Sid) -> String {
        in_account(self.account, &format!("IncomingPhoneNumbers/{number}"))
    }
}

impl IncomingNumberChange {
    fn form(&self) -> Form {
        let mut form = Form::new();
        form.push_some("FriendlyName", self.friendly_name.as_deref());
        form.push_some("SmsUrl", self.sms_url.as_deref());
        form.push_some("SmsMethod", self.sms_method.map(WebhookMethod::as_str));
        form.push_some("SmsFallbackUrl", self.sms_fallback_url.as_deref());
        form.push_some("SmsFallbackMethod", self.sms_fallback_method.map(WebhookMethod::as_str));
        form.push_some("VoiceUrl", self.voice_url.as_deref());
        form.push_some("VoiceMethod", self.voice_method.map(WebhookMethod::as_str));
        form.push_some("VoiceFallbackUrl", self.voice_fallback_url.as_deref());
        form.push_some("VoiceFallbackMethod", self.voice_fallback_method.map(WebhookMethod::as_str));
        form.push_some("StatusCallback", self.status_callback.as_deref());
        form.push_some("StatusCallbackMethod", self.status_callback_method.map(WebhookMethod::as_str));
        form
    }
}
