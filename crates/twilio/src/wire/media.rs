//! Media of messages: <https://www.twilio.com/docs/messaging/api/media-resource>.

use serde::{Deserialize, Serialize};

use super::Rfc2822;

/// A file of a message. The file itself is at `uri` without its `.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Media {
    /// `ME…`.
    pub sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// The message: `MM…`, or `SM…`.
    pub parent_sid: Option<String>,
    /// `image/jpeg`.
    pub content_type: Option<String>,
    /// When it was made.
    pub date_created: Option<Rfc2822>,
    /// When it changed last.
    pub date_updated: Option<Rfc2822>,
    /// Where it is, relative to the host.
    pub uri: String,
}
