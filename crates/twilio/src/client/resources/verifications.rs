//! Verifications of a Verify service: <https://www.twilio.com/docs/verify/api/verification>.

use std::fmt;

use ringfence_model::{Secret, Sid};

use super::super::base::Product::Verify;
use super::super::operation::{Operation, segment};
use super::super::{Client, Error};
use crate::wire::{Form, Verification, VerificationChannel, VerificationStatus};

/// The verifications of a service: `client.verifications(service)`.
#[derive(Debug, Clone, Copy)]
pub struct Verifications<'c> {
    client: &'c Client,
    service: Sid,
}

/// A verification to be started, or sent again. Its `Debug` shows which fields are given, and neither number nor code.
#[derive(Clone)]
pub struct NewVerification {
    /// Who gets the code.
    pub to: String,
    /// How.
    pub channel: VerificationChannel,
    /// A code of one's own, where the service allows it.
    pub custom_code: Option<Secret>,
    /// Who it is from, in place of the service's name.
    pub custom_friendly_name: Option<String>,
    /// In which language.
    pub locale: Option<String>,
    /// Keys pressed after somebody answered a call.
    pub send_digits: Option<String>,
    /// Appended for Android's SMS retriever.
    pub app_hash: Option<String>,
}

impl Client {
    /// The verifications of a service.
    pub fn verifications(&self, service: Sid) -> Verifications<'_> {
        Verifications { client: self, service }
    }
}

impl Verifications<'_> {
    /// Starts a verification; where one waits already, sends its code again.
    pub async fn start(&self, new: &NewVerification) -> Result<Verification, Error> {
        let path = format!("/v2/Services/{}/Verifications", self.service);
        self.client.json(Operation::once("verifications.start", Verify, path, new.form())).await
    }

    /// The one that waits for its code, by its SID or by its recipient.
    pub async fn fetch(&self, sid_or_to: &str) -> Result<Verification, Error> {
        let operation = Operation::get("verifications.fetch", Verify, &self.path(sid_or_to), &Form::new());
        self.client.json(operation).await
    }

    /// Ends one that waits: approved or canceled.
    pub async fn end(&self, sid_or_to: &str, status: &VerificationStatus) -> Result<Verification, Error> {
        let form = [("Status", status.as_str())].into_iter().collect();
        self.client.json(Operation::set("verifications.end", Verify, self.path(sid_or_to), form)).await
    }

    fn path(&self, sid_or_to: &str) -> String {
        format!("/v2/Services/{}/Verifications/{}", self.service, segment(sid_or_to))
    }
}

impl NewVerification {
    /// One with nothing but what Twilio demands.
    pub fn new(to: String, channel: VerificationChannel) -> Self {
        Self {
            to,
            channel,
            custom_code: None,
            custom_friendly_name: None,
            locale: None,
            send_digits: None,
            app_hash: None,
        }
    }

    fn form(&self) -> Form {
        let mut form = Form::new();
        form.push("To", &self.to);
        form.push("Channel", self.channel.as_str());
        form.push_some("CustomCode", self.custom_code.as_ref().map(Secret::expose));
        form.push_some("CustomFriendlyName", self.custom_friendly_name.as_deref());
        form.push_some("Locale", self.locale.as_deref());
        form.push_some("SendDigits", self.send_digits.as_deref());
        form.push_some("AppHash", self.app_hash.as_deref());
        form
    }
}

impl fmt::Debug for NewVerification {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("NewVerification").field(&self.form()).finish()
    }
}
