//! Messages: <https://www.twilio.com/docs/messaging/api/message-resource>.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use ringfence_model::Sid;

use super::super::base::Product::Api;
use super::super::operation::{Operation, in_account};
use super::super::{Client, Error, Pages};
use super::push_span;
use crate::wire::{Form, Iso8601, Message};

/// The messages of an account: `client.messages(account)`.
#[derive(Debug, Clone, Copy)]
pub struct Messages<'c> {
    client: &'c Client,
    account: Sid,
}

/// A message to be sent. Its `Debug` shows which fields are given, and neither numbers nor text.
#[derive(Clone, Default)]
pub struct NewMessage {
    /// The recipient.
    pub to: String,
    /// The sender; or a Messaging Service chooses one.
    pub from: Option<String>,
    /// The Messaging Service that it goes through: `MG…`.
    pub messaging_service_sid: Option<Sid>,
    /// The text.
    pub body: Option<String>,
    /// Where the media are; at most ten.
    pub media_urls: Vec<String>,
    /// A template in place of a text: `HX…`.
    pub content_sid: Option<Sid>,
    /// What goes into the template: a JSON object.
    pub content_variables: Option<String>,
    /// Who is told what becomes of it.
    pub status_callback: Option<String>,
    /// Whose status callback is told: `AP…`.
    pub application_sid: Option<Sid>,
    /// How long it may wait to be sent, in seconds: 1 to 36,000.
    pub validity_period_s: Option<u32>,
    /// When it is to be sent; with a Messaging Service only.
    pub send_at: Option<Timestamp>,
    /// How many times the application sent it so far.
    pub attempt: Option<u32>,
    /// Whether the application will say that it arrived.
    pub provide_feedback: Option<bool>,
    /// Whether typographic characters are replaced by such that cost less.
    pub smart_encoded: Option<bool>,
    /// Whether links are shortened; with a Messaging Service only.
    pub shorten_urls: Option<bool>,
    /// Whether it goes as MMS, whatever is in it.
    pub send_as_mms: Option<bool>,
    /// Whether Twilio keeps the text afterwards.
    pub keep_content: Option<bool>,
    /// Whether Twilio keeps the recipient's whole number afterwards.
    pub keep_address: Option<bool>,
    /// Whether it is checked for SMS pumping.
    pub risk_check: Option<bool>,
    /// Actions of some channels.
    pub persistent_actions: Vec<String>,
}

/// Which messages a list has.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    /// Those to this number.
    pub to: Option<String>,
    /// Those from this number.
    pub from: Option<String>,
    /// Those sent on this day, GMT.
    pub sent_on: Option<Date>,
    /// Those sent at this time or later.
    pub sent_since: Option<Timestamp>,
    /// Those sent at this time or before.
    pub sent_until: Option<Timestamp>,
}

impl Client {
    /// The messages of an account.
    pub fn messages(&self, account: Sid) -> Messages<'_> {
        Messages { client: self, account }
    }
}

impl Messages<'_> {
    /// Sends a message. It is never sent twice: where the answer is lost, the error says so, and the message may be
    /// found in the list.
    pub async fn create(&self, new: &NewMessage) -> Result<Message, Error> {
        let path = in_account(self.account, "Messages");
        self.client.json(Operation::once("messages.create", Api, path, new.form())).await
    }

    /// One of them.
    pub async fn fetch(&self, message: Sid) -> Result<Message, Error> {
        self.client.json(Operation::get("messages.fetch", Api, &self.path(message), &Form::new())).await
    }

    /// All of them, the newest first.
    pub fn list(&self, filter: &MessageFilter) -> Pages<Message> {
        let mut query = Form::new();
        query.push_some("To", filter.to.as_deref());
        query.push_some("From", filter.from.as_deref());
        query.push_some("DateSent", filter.sent_on.map(|day| day.to_string()));
        push_span(&mut query, "DateSent", filter.sent_since, filter.sent_until);
        let path = in_account(self.account, "Messages");
        Pages::new(self.client, "messages.list", Api, path, query, "messages")
    }

    /// Removes the text of a message that was sent; the rest of it stays.
    pub async fn redact(&self, message: Sid) -> Result<Message, Error> {
        let form = [("Body", "")].into_iter().collect();
        self.client.json(Operation::set("messages.redact", Api, self.path(message), form)).await
    }

    /// Calls a message back that was not sent yet.
    pub async fn cancel(&self, message: Sid) -> Result<Message, Error> {
        let form = [("Status", "canceled")].into_iter().collect();
        self.client.json(Operation::set("messages.cancel", Api, self.path(message), form)).await
    }

    /// Removes the record of a message.
    pub async fn delete(&self, message: Sid) -> Result<(), Error> {
        self.client.empty(Operation::delete("messages.delete", Api, self.path(message))).await
    }

    fn path(&self, message: Sid) -> String {
        in_account(self.account, &format!("Messages/{message}"))
    }
}

impl NewMessage {
    fn form(&self) -> Form {
        let mut form = Form::new();
        form.push("To", &self.to);
        form.push_some("From", self.from.as_deref());
        form.push_some("MessagingServiceSid", self.messaging_service_sid.map(|sid| sid.to_string()));
        form.push_some("Body", self.body.as_deref());
        for url in &self.media_urls {
            form.push("MediaUrl", url);
        }
        form.push_some("ContentSid", self.content_sid.map(|sid| sid.to_string()));
        form.push_some("ContentVariables", self.content_variables.as_deref());
        form.push_some("StatusCallback", self.status_callback.as_deref());
        form.push_some("ApplicationSid", self.application_sid.map(|sid| sid.to_string()));
        form.push_some("ValidityPeriod", self.validity_period_s.map(|it| it.to_string()));
        if let Some(time) = self.send_at {
            form.push("ScheduleType", "fixed");
            form.push("SendAt", Iso8601(time).to_string());
        }
        form.push_some("Attempt", self.attempt.map(|it| it.to_string()));
        form.push_some("ProvideFeedback", self.provide_feedback.map(|it| it.to_string()));
        form.push_some("SmartEncoded", self.smart_encoded.map(|it| it.to_string()));
        form.push_some("ShortenUrls", self.shorten_urls.map(|it| it.to_string()));
        form.push_some("SendAsMms", self.send_as_mms.map(|it| it.to_string()));
        form.push_some("ContentRetention", self.keep_content.map(|it| if it { "retain" } else { "discard" }));
        form.push_some(
            "AddressRetention",
            self.keep_address.map(|it| if it { "retain" } else { "obfuscate" }),
        );
        form.push_some("RiskCheck", self.risk_check.map(|it| if it { "enable" } else { "disable" }));
        for action in &self.persistent_actions {
            form.push("PersistentAction", action);
        }
        form
    }
}

impl fmt::Debug for NewMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("NewMessage").field(&self.form()).finish()
    }
}
