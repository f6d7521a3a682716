//! Verify v2: <https://www.twilio.com/docs/verify/api>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Iso8601;
use super::open_enum::open_enum;

open_enum! {
    /// Where a verification stands.
    VerificationStatus {
        /// The code may be checked.
        Pending = "pending",
        /// The code was right.
        Approved = "approved",
        /// Called off.
        Canceled = "canceled",
        /// Too many wrong codes.
        MaxAttemptsReached = "max_attempts_reached",
        /// Its service is gone.
        Deleted = "deleted",
        /// It could not be sent.
        Failed = "failed",
        /// Its time is over.
        Expired = "expired",
    }
}

open_enum! {
    /// How a code travels.
    VerificationChannel {
        /// In a text.
        Sms = "sms",
        /// Spoken.
        Call = "call",
        /// In a mail.
        Email = "email",
        /// In a message of WhatsApp's.
        Whatsapp = "whatsapp",
        /// Silent network authentication: without a code.
        Sna = "sna",
        /// The best one for the number.
        Auto = "auto",
    }
}

/// A service: how its verifications look and what they demand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerifyService {
    /// `VA…`.
    pub sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// Who the code is from, as the text says it.
    pub friendly_name: String,
    /// 4 to 10 digits.
    pub code_length: u32,
    /// Whether each number is looked up.
    pub lookup_enabled: bool,
    /// Whether amount and payee belong to each verification.
    pub psd2_enabled: bool,
    /// Whether landlines are texted; takes `lookup_enabled`.
    pub skip_sms_to_landlines: bool,
    /// Whether a key must be pressed before a code is spoken.
    pub dtmf_input_required: bool,
    /// A voice.
    pub tts_name: Option<String>,
    /// Whether the text ends with a warning.
    pub do_not_share_warning_enabled: bool,
    /// Whether a start may bring its own code.
    pub custom_code_enabled: bool,
    /// About factors of the kind `push`.
    pub push: VerifyPush,
    /// About factors of the kind `totp`.
    pub totp: VerifyTotp,
    /// `HJ…`.
    pub default_template_sid: Option<String>,
    /// About WhatsApp.
    pub whatsapp: VerifyWhatsapp,
    /// About passkeys.
    pub passkeys: VerifyPasskeys,
    /// Whether events go to Event Streams.
    pub verify_event_subscription_enabled: bool,
    /// When it was made.
    pub date_created: Option<Iso8601>,
    /// When it changed last.
    pub date_updated: Option<Iso8601>,
    /// Where it is.
    pub url: String,
    /// `verifications`, `verification_checks` and others.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
}

/// About factors of the kind `push`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyPush {
    /// Whether challenges tell their date.
    pub include_date: bool,
    /// `CR…`.
    pub apn_credential_sid: Option<String>,
    /// `CR…`.
    pub fcm_credential_sid: Option<String>,
}

/// About factors of the kind `totp`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyTotp {
    /// Who the codes are for.
    pub issuer: Option<String>,
    /// Seconds.
    pub time_step: Option<u64>,
    /// Digits.
    pub code_length: Option<u64>,
    /// Steps to either side that are taken for right.
    pub skew: Option<u64>,
}

/// About WhatsApp.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyWhatsapp {
    /// `MG…`.
    pub msg_service_sid: Option<String>,
    /// `whatsapp:+…`.
    pub from: Option<String>,
}

/// About passkeys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyPasskeys {
    /// Whose passkeys they are.
    pub relying_party: RelyingParty,
    /// `platform`, `cross-platform` or `any`.
    pub authenticator_attachment: Option<String>,
    /// `required`, `preferred` or `discouraged`.
    pub discoverable_credentials: Option<String>,
    /// `required`, `preferred` or `discouraged`.
    pub user_verification: Option<String>,
}

/// Whose passkeys they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelyingParty {
    /// A domain.
    pub id: Option<String>,
    /// For people.
    pub name: Option<String>,
    /// Domains.
    pub origins: Option<Vec<String>>,
}

/// A verification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// `VE…`.
    pub sid: String,
    /// `VA…`.
    pub service_sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// The number or the address.
    pub to: String,
    /// How the last code went.
    pub channel: VerificationChannel,
    /// Where it stands.
    pub status: VerificationStatus,
    /// Whether it is approved.
    pub valid: bool,
    /// `{"carrier": …}` where numbers are looked up.
    pub lookup: Value,
    /// Of a payment.
    pub amount: Option<String>,
    /// Of a payment.
    pub payee: Option<String>,
    /// One for each code sent.
    pub send_code_attempts: Vec<SendCodeAttempt>,
    /// Silent network authentication.
    pub sna: Option<Value>,
    /// When it was started.
    pub date_created: Option<Iso8601>,
    /// When it changed last.
    pub date_updated: Option<Iso8601>,
    /// Where it is.
    pub url: String,
}

/// A code that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendCodeAttempt {
    /// When.
    pub time: Iso8601,
    /// How, in capitals.
    pub channel: String,
    /// `VL…`.
    pub attempt_sid: String,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerificationCheck {
    /// `VE…`.
    pub sid: String,
    /// `VA…`.
    pub service_sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// The number or the address.
    pub to: String,
    /// How the last code went.
    pub channel: VerificationChannel,
    /// `approved`, or still `pending` after a wrong code.
    pub status: VerificationStatus,
    /// Whether the code was right.
    pub valid: bool,
    /// Of a payment.
    pub amount: Option<String>,
    /// Of a payment.
    pub payee: Option<String>,
    /// Silent network authentication.
    #[serde(default)]
    pub sna_attempts_error_codes: Vec<Value>,
    /// When it was started.
    pub date_created: Option<Iso8601>,
    /// When it changed last.
    pub date_updated: Option<Iso8601>,
}

/// A limit on starts, by values that a start names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyRateLimit {
    /// `RK…`.
    pub sid: String,
    /// `VA…`.
    pub service_sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// What starts call it.
    pub unique_name: String,
    /// For people.
    pub description: Option<String>,
    /// When it was made.
    pub date_created: Option<Iso8601>,
    /// When it changed last.
    pub date_updated: Option<Iso8601>,
    /// Where it is.
    pub url: String,
    /// `buckets`.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
}

/// So many starts in so much time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyBucket {
    /// `BL…`.
    pub sid: String,
    /// `RK…`.
    pub rate_limit_sid: String,
    /// `VA…`.
    pub service_sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// Starts.
    pub max: u64,
    /// Seconds.
    pub interval: u64,
    /// When it was made.
    pub date_created: Option<Iso8601>,
    /// When it changed last.
    pub date_updated: Option<Iso8601>,
    /// Where it is.
    pub url: String,
}

/// A code that was sent, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerificationAttempt {
    /// `VL…`.
    pub sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// `VA…`.
    pub service_sid: String,
    /// `VE…`.
    pub verification_sid: String,
    /// When it was sent.
    pub date_created: Option<Iso8601>,
    /// When it changed last.
    pub date_updated: Option<Iso8601>,
    /// `converted` or `unconverted`.
    pub conversion_status: String,
    /// How it was sent.
    pub channel: VerificationChannel,
    /// `{"value": "0.005", "currency": "usd"}`.
    pub price: Value,
    /// Where to, and how it went.
    pub channel_data: Value,
    /// Where it is.
    pub url: String,
}

/// How many codes led to an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptsSummary {
    /// Codes sent.
    pub total_attempts: u64,
    /// Of them, entered.
    pub total_converted: u64,
    /// Of them, not entered.
    pub total_unconverted: u64,
    /// A decimal number.
    pub conversion_rate_percentage: String,
    /// Where it is.
    pub url: String,
}
