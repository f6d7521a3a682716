//! What changed in the accounts, as Monitor tells it: <https://www.twilio.com/docs/usage/monitor-events>.

use jiff::Timestamp;
use ringfence_model::Sid;

use super::World;
use crate::table::Row;

/// One entry of the audit trail.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) at: Timestamp,
    /// `account.updated`, `api-key.created`, `usage-trigger.deleted`…
    pub(crate) event_type: &'static str,
    /// What it happened to.
    pub(crate) resource: Sid,
}

impl Row for Event {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

/// Puts an entry into an account's audit trail.
pub(crate) fn record(world: &mut World, account: Sid, event_type: &'static str, resource: Sid) {
    let sid = world.ids.sid(*b"AE");
    let at = world.now;
    world.events.insert(Event { sid, account, at, event_type, resource });
}
