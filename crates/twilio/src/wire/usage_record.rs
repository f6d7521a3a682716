//! Usage records: <https://www.twilio.com/docs/usage/api/usage-record>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Price;

/// What an account used of one category in one span of days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// `AC…`.
    pub account_sid: String,
    /// `2010-04-01`.
    pub api_version: Option<String>,
    /// What it counts, and everything that is current up to this time: `2019-06-24T22:32:49+00:00`.
    pub as_of: Option<String>,
    /// `sms-outbound`, `totalprice`…
    pub category: String,
    /// How many, as text.
    pub count: Option<String>,
    /// Of what: `messages`.
    pub count_unit: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// The first day, `2015-07-30`, GMT.
    pub start_date: Option<String>,
    /// The last day.
    pub end_date: Option<String>,
    /// Positive.
    #[serde(serialize_with = "super::price::plain")]
    pub price: Option<Price>,
    /// In small letters here: `usd`.
    pub price_unit: Option<String>,
    /// How much, as text.
    pub usage: Option<String>,
    /// Of what: `segments`, `minutes`.
    pub usage_unit: Option<String>,
    /// The same category in other spans.
    #[serde(default)]
    pub subresource_uris: BTreeMap<String, String>,
    /// Where it is, relative to the host.
    pub uri: String,
}
