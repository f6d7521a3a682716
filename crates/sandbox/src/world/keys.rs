//! API keys.

use jiff::Timestamp;
use ringfence_model::Sid;

use crate::table::Row;

/// An API key: a user name and a secret in place of the auth token.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) friendly_name: String,
    pub(crate) secret: String,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

impl Row for Key {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}
