//! Twilio's error body: <https://www.twilio.com/docs/usage/twilios-response#response-formats-exceptions>.

use serde::{Deserialize, Serialize};

/// Why a request was refused: `{"code", "message", "more_info", "status"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// Twilio's error code; 0 where the body has none.
    #[serde(default)]
    pub code: u32,
    /// For people.
    #[serde(default)]
    pub message: String,
    /// A page about the code.
    #[serde(default)]
    pub more_info: String,
    /// The HTTP status, once more; 0 where the body has none.
    #[serde(default)]
    pub status: u16,
}

impl ApiError {
    /// An error with the page that Twilio has for its code.
    pub fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        let more_info = format!("https://www.twilio.com/docs/errors/{code}");
        Self { code, message: message.into(), more_info, status }
    }
}
