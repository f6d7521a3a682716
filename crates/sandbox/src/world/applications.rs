//! Applications: webhook URLs with a name, for numbers and calls to share.

use jiff::Timestamp;
use ringfence_model::Sid;

use super::numbers::Hooks;
use crate::table::Row;

/// A TwiML application.
#[derive(Debug, Clone)]
pub(crate) struct Application {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) friendly_name: String,
    pub(crate) hooks: Hooks,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

impl Row for Application {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}
