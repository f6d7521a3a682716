//! Which countries an account may text and call.
//!
//! <https://www.twilio.com/docs/messaging/guides/sms-geo-permissions> and
//! <https://www.twilio.com/docs/voice/api/dialingpermissions-country-resource>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Answer of the SMS geo permissions of `accounts.twilio.com`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeoPermissions {
    /// One for each country.
    pub permissions: Vec<GeoPermission>,
}

/// Whether one country may be texted. A list gives `prefix` and `message`, an update `error_code` and
/// `error_messages`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeoPermission {
    /// ISO 3166: `US`.
    pub country_code: String,
    /// `country`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it may.
    pub enabled: bool,
    /// `+1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// `High Risk Country`, or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why it was not changed; 0: it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u32>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_messages: Option<Vec<String>>,
}

/// Which numbers of one country may be called: `voice.twilio.com/v1/DialingPermissions/Countries/{IsoCode}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialingPermissions {
    /// ISO 3166: `US`.
    pub iso_code: String,
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub continent: Option<String>,
    /// `["+1"]`.
    pub country_codes: Vec<String>,
    /// Ordinary numbers.
    pub low_risk_numbers_enabled: bool,
    /// Special services: dear, and sometimes used for fraud.
    pub high_risk_special_numbers_enabled: bool,
    /// Numbers known from toll fraud.
    pub high_risk_tollfraud_numbers_enabled: bool,
    /// Where it is.
    pub url: String,
    /// `highrisk_special_prefixes`.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
}

/// Answer of `voice.twilio.com/v1/DialingPermissions/BulkCountryUpdates`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkCountryUpdate {
    /// How many countries were changed.
    pub update_count: u32,
    /// `accepted`.
    pub update_request: Option<String>,
}

/// Numbers of special services: `…/Countries/{IsoCode}/HighRiskSpecialPrefixes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HighRiskSpecialPrefix {
    /// `+37181`.
    pub prefix: String,
}

/// Settings of voice: `voice.twilio.com/v1/Settings`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoiceSettings {
    /// Whether a subaccount has the dialing permissions of its parent.
    pub dialing_permissions_inheritance: bool,
    /// Where it is.
    pub url: String,
}
