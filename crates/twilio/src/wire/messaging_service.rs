//! Messaging Services: <https://www.twilio.com/docs/messaging/api/service-resource>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Iso8601;

/// Senders with common settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessagingService {
    /// `MG…`.
    pub sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// For people.
    pub friendly_name: Option<String>,
    /// Asked when a message arrives; null: nothing arrives.
    pub inbound_request_url: Option<String>,
    /// `GET` or `POST`.
    pub inbound_method: Option<String>,
    /// Asked when `inbound_request_url` fails.
    pub fallback_url: Option<String>,
    /// `GET` or `POST`.
    pub fallback_method: Option<String>,
    /// Told what becomes of messages.
    pub status_callback: Option<String>,
    /// Whether a recipient always gets the same sender.
    pub sticky_sender: Option<bool>,
    /// Whether media become links where they cannot be sent.
    pub mms_converter: Option<bool>,
    /// Whether characters that look like one of GSM-7 become that one.
    pub smart_encoding: Option<bool>,
    /// Reserved by Twilio.
    pub scan_message_content: Option<String>,
    /// Obsolete.
    pub fallback_to_long_code: Option<bool>,
    /// Whether a sender of the recipient's area code is preferred.
    pub area_code_geomatch: Option<bool>,
    /// Reserved by Twilio.
    pub synchronous_validation: Option<bool>,
    /// Seconds that a message may wait.
    #[serde(default)]
    pub validity_period: u32,
    /// `notifications`, `marketing`, `verification`…
    pub usecase: Option<String>,
    /// Whether it is registered with the carriers of the United States.
    pub us_app_to_person_registered: Option<bool>,
    /// Whether the URLs of a number come before those of the service.
    pub use_inbound_webhook_on_number: Option<bool>,
    /// When it was made.
    pub date_created: Option<Iso8601>,
    /// When it changed last.
    pub date_updated: Option<Iso8601>,
    /// Where it is.
    pub url: Option<String>,
    /// What it leads to.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
}

/// A number in the pool of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServicePhoneNumber {
    /// `PN…`, as in the account.
    pub sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// `MG…`.
    pub service_sid: Option<String>,
    /// E.164.
    pub phone_number: Option<String>,
    /// ISO 3166.
    pub country_code: Option<String>,
    /// `SMS`, `MMS`, `Voice`.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// When it was added.
    pub date_created: Option<Iso8601>,
    /// When it changed last.
    pub date_updated: Option<Iso8601>,
    /// Where it is.
    pub url: Option<String>,
}

/// A name in the pool of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlphaSender {
    /// `AI…`.
    pub sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// `MG…`.
    pub service_sid: Option<String>,
    /// The name.
    pub alpha_sender: Option<String>,
    /// `SMS`.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// When it was added.
    pub date_created: Option<Iso8601>,
    /// When it changed last.
    pub date_updated: Option<Iso8601>,
    /// Where it is.
    pub url: Option<String>,
}
