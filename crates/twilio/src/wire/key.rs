//! API keys: <https://www.twilio.com/docs/iam/api-keys/key-resource-v2010>.

use ringfence_model::Secret;
use serde::{Deserialize, Serialize};

use super::Rfc2822;
use super::account::{expose, hide};

/// An API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// `SK…`.
    pub sid: String,
    /// For people.
    pub friendly_name: Option<String>,
    /// When it was made.
    pub date_created: Option<Rfc2822>,
    /// When it changed last.
    pub date_updated: Option<Rfc2822>,
}

/// An API key that was just made, with its secret, which is told this once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewKey {
    /// The key.
    #[serde(flatten)]
    pub key: Key,
    /// Its secret, in the clear.
    #[serde(default, serialize_with = "expose", deserialize_with = "hide")]
    pub secret: Option<Secret>,
}
