//! Messages: <https://www.twilio.com/docs/messaging/api/message-resource>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::open_enum::open_enum;
use super::{Price, Rfc2822};

open_enum! {
    /// Where a message stands.
    MessageStatus {
        /// Waits for a sender of its Messaging Service.
        Accepted = "accepted",
        /// Waits for its time.
        Scheduled = "scheduled",
        /// Was called back before it was sent.
        Canceled = "canceled",
        /// Waits for its sender's turn.
        Queued = "queued",
        /// Goes out just now.
        Sending = "sending",
        /// The carrier took it.
        Sent = "sent",
        /// Did not get to the carrier.
        Failed = "failed",
        /// Is on the phone.
        Delivered = "delivered",
        /// The carrier could not deliver it.
        Undelivered = "undelivered",
        /// Comes in just now.
        Receiving = "receiving",
        /// Came in.
        Received = "received",
        /// Was seen (WhatsApp, RCS).
        Read = "read",
    }
}

open_enum! {
    /// Which way a message goes, and what made it.
    MessageDirection {
        /// To the account.
        Inbound = "inbound",
        /// By a request of the API.
        OutboundApi = "outbound-api",
        /// By TwiML of a call.
        OutboundCall = "outbound-call",
        /// By TwiML that answered a message.
        OutboundReply = "outbound-reply",
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `SM…`, or `MM…` with media.
    pub sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// `MG…`, if it went through a Messaging Service.
    pub messaging_service_sid: Option<String>,
    /// The sender; null until a Messaging Service chose one.
    pub from: Option<String>,
    /// The recipient.
    pub to: Option<String>,
    /// The text.
    pub body: Option<String>,
    /// Where it stands.
    pub status: MessageStatus,
    /// A number as text; `"0"` until a Messaging Service counted.
    pub num_segments: Option<String>,
    /// A number as text.
    pub num_media: Option<String>,
    /// Which way it goes.
    pub direction: MessageDirection,
    /// Negative; null until it is known.
    pub price: Option<Price>,
    /// `USD`.
    pub price_unit: Option<String>,
    /// Why it failed.
    pub error_code: Option<u32>,
    /// The same for people.
    pub error_message: Option<String>,
    /// When it was made.
    pub date_created: Option<Rfc2822>,
    /// When it left or came in.
    pub date_sent: Option<Rfc2822>,
    /// When it changed last.
    pub date_updated: Option<Rfc2822>,
    /// `2010-04-01`.
    pub api_version: Option<String>,
    /// Where it is, relative to the host.
    pub uri: String,
    /// `media`, and `feedback` for outbound ones.
    #[serde(default)]
    pub subresource_uris: BTreeMap<String, String>,
}

/// What an account says of one of its messages: <https://www.twilio.com/docs/messaging/api/message-feedback-resource>.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessageFeedback {
    /// `AC…`.
    pub account_sid: String,
    /// `SM…`, or `MM…`.
    pub message_sid: String,
    /// `confirmed` or `unconfirmed`.
    pub outcome: String,
    /// When it was said.
    pub date_created: Option<Rfc2822>,
    /// When it changed last.
    pub date_updated: Option<Rfc2822>,
    /// Where it is, relative to the host.
    pub uri: String,
}
