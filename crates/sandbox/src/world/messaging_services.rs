//! Messaging services: senders with common settings.

use ringfence_model::Sid;

use crate::table::Row;

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct MessagingService {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
}

impl Row for MessagingService {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}
