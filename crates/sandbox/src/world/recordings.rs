//! Recordings of calls.

use ringfence_model::Sid;

use crate::table::Row;

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
}

impl Row for Recording {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}
