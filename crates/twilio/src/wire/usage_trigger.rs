//! Usage triggers: <https://www.twilio.com/docs/usage/api/usage-trigger>.

use serde::{Deserialize, Serialize};

use super::Rfc2822;
use super::open_enum::open_enum;

open_enum! {
    /// How often a trigger begins anew. Periods are those of GMT.
    Recurring {
        /// Each day.
        Daily = "daily",
        /// Each month.
        Monthly = "monthly",
        /// Each year.
        Yearly = "yearly",
        /// Never: it fires once.
        Alltime = "alltime",
    }
}

open_enum! {
    /// Which field of the usage record a trigger compares.
    TriggerBy {
        /// How many.
        Count = "count",
        /// How much.
        Usage = "usage",
        /// What it cost.
        Price = "price",
    }
}

/// A usage trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsageTrigger {
    /// `UT…`.
    pub sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// `2010-04-01`.
    pub api_version: Option<String>,
    /// For people.
    pub friendly_name: Option<String>,
    /// The category it watches.
    pub usage_category: String,
    /// The field it compares.
    pub trigger_by: TriggerBy,
    /// Where it fires: a decimal number as text, `1000.000000`.
    pub trigger_value: String,
    /// Where it stands.
    pub current_value: Option<String>,
    /// Null where it fires once.
    pub recurring: Option<Recurring>,
    /// Where it calls.
    pub callback_url: Option<String>,
    /// `GET` or `POST`.
    pub callback_method: Option<String>,
    /// When it fired last.
    pub date_fired: Option<Rfc2822>,
    /// When it was made.
    pub date_created: Option<Rfc2822>,
    /// When it changed last.
    pub date_updated: Option<Rfc2822>,
    /// The records it watches, relative to the host.
    pub usage_record_uri: Option<String>,
    /// Where it is, relative to the host.
    pub uri: String,
}
