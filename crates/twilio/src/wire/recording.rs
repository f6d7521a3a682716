//! Recordings: <https://www.twilio.com/docs/voice/api/recording>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::open_enum::open_enum;
use super::{Price, Rfc2822};

open_enum! {
    /// Where a recording stands.
    RecordingStatus {
        /// It goes on.
        InProgress = "in-progress",
        /// It is held.
        Paused = "paused",
        /// It was stopped.
        Stopped = "stopped",
        /// It is over, and not there yet.
        Processing = "processing",
        /// It is there.
        Completed = "completed",
        /// Nothing was recorded.
        Absent = "absent",
        /// It is gone.
        Deleted = "deleted",
    }
}

open_enum! {
    /// What made a recording.
    RecordingSource {
        /// `Dial` with `record`.
        DialVerb = "DialVerb",
        /// A conference with `record`.
        Conference = "Conference",
        /// A call that was made with `Record`.
        OutboundApi = "OutboundAPI",
        /// A SIP trunk.
        Trunking = "Trunking",
        /// `Record`.
        RecordVerb = "RecordVerb",
        /// A request of the API during a call.
        StartCallRecordingApi = "StartCallRecordingAPI",
        /// The same during a conference.
        StartConferenceRecordingApi = "StartConferenceRecordingAPI",
    }
}

/// A recording, as the account's and as the call's list have it.
///
/// The schema has the price of a call's recording as a number; the examples beside it have the text that is written
/// here. Both are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// `RE…`.
    pub sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// `CA…`.
    pub call_sid: Option<String>,
    /// `CF…`.
    pub conference_sid: Option<String>,
    /// Where it stands.
    pub status: RecordingStatus,
    /// What made it.
    pub source: RecordingSource,
    /// 1 or 2.
    pub channels: u32,
    /// Seconds as text, once it is over.
    pub duration: Option<String>,
    /// When it began.
    pub start_time: Option<Rfc2822>,
    /// Negative; null until it is known.
    pub price: Option<Price>,
    /// `USD`.
    pub price_unit: Option<String>,
    /// Why it failed.
    pub error_code: Option<u32>,
    /// With which key it was encrypted.
    pub encryption_details: Option<serde_json::Value>,
    /// `2010-04-01`.
    pub api_version: Option<String>,
    /// When it was made.
    pub date_created: Option<Rfc2822>,
    /// When it changed last.
    pub date_updated: Option<Rfc2822>,
    /// Where it is, relative to the host.
    pub uri: String,
    /// Whose voices, in the call's list: `inbound`, `outbound` or `both`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<String>,
    /// Where the sound is, in the account's list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_url: Option<String>,
    /// What it leads to, in the account's list.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub subresource_uris: BTreeMap<String, String>,
}
