//! Applications: <https://www.twilio.com/docs/usage/api/applications>.

use serde::{Deserialize, Serialize};

use super::Rfc2822;

/// Webhook URLs with a name, for numbers and calls to share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Application {
    /// `AP…`.
    pub sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// `2010-04-01`.
    pub api_version: Option<String>,
    /// For people.
    pub friendly_name: Option<String>,
    /// Asked when a message arrives.
    pub sms_url: Option<String>,
    /// `GET` or `POST`.
    pub sms_method: Option<String>,
    /// Asked when `sms_url` fails.
    pub sms_fallback_url: Option<String>,
    /// `GET` or `POST`.
    pub sms_fallback_method: Option<String>,
    /// Told about messages that go out through it; the older name.
    pub sms_status_callback: Option<String>,
    /// Told about messages that go out through it.
    pub message_status_callback: Option<String>,
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
    /// Told about calls.
    pub status_callback: Option<String>,
    /// `GET` or `POST`.
    pub status_callback_method: Option<String>,
    /// Whether other accounts may dial it.
    pub public_application_connect_enabled: Option<bool>,
    /// When it was made.
    pub date_created: Option<Rfc2822>,
    /// When it changed last.
    pub date_updated: Option<Rfc2822>,
    /// Where it is, relative to the host.
    pub uri: String,
}
