//! Pictures and other files of messages.

use ringfence_model::Sid;

use crate::table::Row;

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Media {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
}

impl Row for Media {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}
