//! Calls: <https://www.twilio.com/docs/voice/api/call-resource>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::open_enum::open_enum;
use super::{Price, Rfc2822};

open_enum! {
    /// Where a call stands.
    CallStatus {
        /// Not dialled yet.
        Queued = "queued",
        /// The phone rings.
        Ringing = "ringing",
        /// Somebody is on the line.
        InProgress = "in-progress",
        /// It took place and is over.
        Completed = "completed",
        /// The line was busy.
        Busy = "busy",
        /// It could not be put through.
        Failed = "failed",
        /// Nobody answered.
        NoAnswer = "no-answer",
        /// It was called off before anybody answered.
        Canceled = "canceled",
    }
}

open_enum! {
    /// Which way a call goes, and what made it.
    CallDirection {
        /// To the account.
        Inbound = "inbound",
        /// By a request of the API.
        OutboundApi = "outbound-api",
        /// By `Dial`.
        OutboundDial = "outbound-dial",
    }
}

/// A call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// `CA…`.
    pub sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// The call whose `Dial` made this one.
    pub parent_call_sid: Option<String>,
    /// Who is called.
    pub to: Option<String>,
    /// The same for people.
    pub to_formatted: Option<String>,
    /// Who calls.
    pub from: Option<String>,
    /// The same for people.
    pub from_formatted: Option<String>,
    /// The account's number at its end: `PN…`.
    pub phone_number_sid: Option<String>,
    /// Where it stands.
    pub status: CallStatus,
    /// When somebody answered.
    pub start_time: Option<Rfc2822>,
    /// When it was over.
    pub end_time: Option<Rfc2822>,
    /// Seconds as text, once it is over.
    pub duration: Option<String>,
    /// Negative; null until it is known.
    pub price: Option<Price>,
    /// `USD`.
    pub price_unit: Option<String>,
    /// Which way it goes.
    pub direction: CallDirection,
    /// `human` or `machine_…`, with machine detection.
    pub answered_by: Option<String>,
    /// `2010-04-01`.
    pub api_version: Option<String>,
    /// Who passed it on.
    pub forwarded_from: Option<String>,
    /// `GP…`.
    pub group_sid: Option<String>,
    /// The caller's name, where it was looked up.
    pub caller_name: Option<String>,
    /// Milliseconds as text.
    pub queue_time: Option<String>,
    /// `TK…`.
    pub trunk_sid: Option<String>,
    /// When it was made.
    pub date_created: Option<Rfc2822>,
    /// When it changed last.
    pub date_updated: Option<Rfc2822>,
    /// Where it is, relative to the host.
    pub uri: String,
    /// `recordings`, `notifications` and others.
    #[serde(default)]
    pub subresource_uris: BTreeMap<String, String>,
}
