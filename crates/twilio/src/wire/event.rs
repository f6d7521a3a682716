//! What changed in an account, and who changed it: <https://www.twilio.com/docs/usage/monitor-events>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Iso8601;

/// A change that Twilio recorded. Almost everything may be missing, by the documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// `AE…`.
    pub sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// What happened: `account.updated`.
    pub event_type: Option<String>,
    /// When.
    pub event_date: Option<Iso8601>,
    /// What it was before and is now, by field.
    #[serde(default)]
    pub event_data: Value,
    /// For people.
    pub description: Option<String>,
    /// `account`, `phone-number`.
    pub resource_type: Option<String>,
    /// What changed.
    pub resource_sid: Option<String>,
    /// `account`, `user`, `api-key`.
    pub actor_type: Option<String>,
    /// Who changed it: `US…`, `AC…`.
    pub actor_sid: Option<String>,
    /// `api`, `web`, `twilio`.
    pub source: Option<String>,
    /// From where.
    pub source_ip_address: Option<String>,
    /// Where it is.
    pub url: String,
    /// `actor` and `resource`.
    #[serde(default)]
    pub links: BTreeMap<String, Option<String>>,
}
