//! Numbers of an account: <https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource>.

use serde::{Deserialize, Serialize};

use super::Rfc2822;

/// What a number can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Calls.
    pub voice: bool,
    /// Texts.
    #[serde(alias = "SMS")]
    pub sms: bool,
    /// Media.
    #[serde(alias = "MMS")]
    pub mms: bool,
    /// Fax.
    pub fax: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self { voice: true, sms: true, mms: true, fax: false }
    }
}

/// A number that an account owns, with the webhook URLs for what arrives at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncomingPhoneNumber {
    /// `PN…`.
    pub sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// E.164.
    pub phone_number: String,
    /// For people.
    pub friendly_name: Option<String>,
    /// What it can do.
    pub capabilities: Option<Capabilities>,
    /// Takes the place of the SMS URLs.
    pub sms_application_sid: Option<String>,
    /// Asked when a message arrives.
    pub sms_url: Option<String>,
    /// `GET` or `POST`.
    pub sms_method: Option<String>,
    /// Asked when `sms_url` fails.
    pub sms_fallback_url: Option<String>,
    /// `GET` or `POST`.
    pub sms_fallback_method: Option<String>,
    /// Takes the place of the voice URLs.
    pub voice_application_sid: Option<String>,
    /// Asked when a call arrives.
    pub voice_url: Option<String>,
    /// `GET` or `POST`.
    pub voice_method: Option<String>,
    /// Asked when `voice_url` fails.
    pub voice_fallback_url: Option<String>,
    /// `GET` or `POST`.
    pub voice_fallback_method: Option<String>,
    /// Whether the caller's name is looked up.
    pub voice_caller_id_lookup: Option<bool>,
    /// `voice` or `fax`.
    pub voice_receive_mode: Option<String>,
    /// Told about the end of calls.
    pub status_callback: Option<String>,
    /// `GET` or `POST`.
    pub status_callback_method: Option<String>,
    /// Takes calls in place of the voice URLs: `TK…`.
    pub trunk_sid: Option<String>,
    /// `none`, `any`, `local` or `foreign`.
    pub address_requirements: Option<String>,
    /// `AD…`.
    pub address_sid: Option<String>,
    /// `RI…`.
    pub identity_sid: Option<String>,
    /// `BU…`.
    pub bundle_sid: Option<String>,
    /// `Active` or `Inactive`.
    pub emergency_status: Option<String>,
    /// `AD…`.
    pub emergency_address_sid: Option<String>,
    /// Where the registration of the emergency address stands.
    pub emergency_address_status: Option<String>,
    /// Whether it is new to Twilio.
    pub beta: Option<bool>,
    /// `twilio` or `hosted`.
    pub origin: Option<String>,
    /// `in-use`.
    pub status: Option<String>,
    /// `local`, `mobile`, `tollfree`. Absent in the lists of one kind.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `2010-04-01`.
    pub api_version: Option<String>,
    /// When the account got it.
    pub date_created: Option<Rfc2822>,
    /// When it changed last.
    pub date_updated: Option<Rfc2822>,
    /// Where it is, relative to the host.
    pub uri: String,
}
