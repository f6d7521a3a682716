//! Caller IDs: <https://www.twilio.com/docs/voice/api/outgoing-caller-ids>.

use serde::{Deserialize, Serialize};

use super::Rfc2822;

/// A number of the world outside that an account may call from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingCallerId {
    /// `PN…`.
    pub sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// For people.
    pub friendly_name: Option<String>,
    /// E.164.
    pub phone_number: String,
    /// When it was proven.
    pub date_created: Option<Rfc2822>,
    /// When it changed last.
    pub date_updated: Option<Rfc2822>,
    /// Where it is, relative to the host.
    pub uri: String,
}

/// The beginning of a proof: the number is called, and whoever answers types the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidationRequest {
    /// `AC…`.
    pub account_sid: String,
    /// The call: `CA…`.
    pub call_sid: Option<String>,
    /// For people.
    pub friendly_name: Option<String>,
    /// E.164.
    pub phone_number: String,
    /// What must be typed: six digits.
    pub validation_code: String,
}
