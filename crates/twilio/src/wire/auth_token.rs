//! Auth tokens: <https://www.twilio.com/docs/iam/api/authtoken>.

use ringfence_model::Secret;
use serde::{Deserialize, Serialize};

use super::Iso8601;
use super::account::{expose, hide};

/// A second auth token, valid beside the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecondaryAuthToken {
    /// `AC…`.
    pub account_sid: String,
    /// The token, in the clear.
    #[serde(default, serialize_with = "expose", deserialize_with = "hide")]
    pub secondary_auth_token: Option<Secret>,
    /// When it was made.
    pub date_created: Option<Iso8601>,
    /// When it changed last.
    pub date_updated: Option<Iso8601>,
    /// Where it is.
    pub url: String,
}

/// The secondary token after its promotion: now the primary one, and the only one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromotedAuthToken {
    /// `AC…`.
    pub account_sid: String,
    /// The token, in the clear.
    #[serde(default, serialize_with = "expose", deserialize_with = "hide")]
    pub auth_token: Option<Secret>,
    /// When it was made.
    pub date_created: Option<Iso8601>,
    /// When it changed last.
    pub date_updated: Option<Iso8601>,
    /// Where it is.
    pub url: String,
}
