//! Accounts: <https://www.twilio.com/docs/iam/api/account>.

use std::collections::BTreeMap;

use ringfence_model::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Rfc2822;
use super::open_enum::open_enum;

open_enum! {
    /// Whether an account may be used.
    AccountStatus {
        /// It may.
        Active = "active",
        /// Not now; its parent can change that.
        Suspended = "suspended",
        /// Not any more.
        Closed = "closed",
    }
}

open_enum! {
    /// Whether an account is paid for.
    AccountKind {
        /// With Twilio's credit, and its bounds.
        Trial = "Trial",
        /// With the owner's.
        Full = "Full",
    }
}

/// An account or subaccount.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// `AC…`.
    pub sid: String,
    /// The parent's; its own for a parent.
    pub owner_account_sid: String,
    /// For people.
    pub friendly_name: String,
    /// Whether it may be used.
    pub status: AccountStatus,
    /// Whether it is paid for.
    #[serde(rename = "type")]
    pub kind: AccountKind,
    /// Its primary auth token, in the clear.
    #[serde(default, serialize_with = "expose", deserialize_with = "hide")]
    pub auth_token: Option<Secret>,
    /// When it was made.
    pub date_created: Option<Rfc2822>,
    /// When it was changed last.
    pub date_updated: Option<Rfc2822>,
    /// What it leads to, by name.
    #[serde(default)]
    pub subresource_uris: BTreeMap<String, String>,
    /// Where it is, relative to the host.
    pub uri: String,
}

/// What is left of a parent's credit: <https://www.twilio.com/docs/usage/api/account-balance>.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// `AC…`.
    pub account_sid: String,
    /// A decimal number.
    pub balance: String,
    /// In capitals: `USD`.
    pub currency: String,
}

/// Writes a secret onto the wire, where it is meant to be read.
#[expect(clippy::ref_option, reason = "serde hands over the field as it is")]
pub(super) fn expose<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}

/// Reads a secret off the wire.
pub(super) fn hide<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}
