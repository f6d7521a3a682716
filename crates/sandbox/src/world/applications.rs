//! Applications: webhook URLs with a name, for numbers and calls to share.

use jiff::Timestamp;
use ringfence_model::Sid;

use super::numbers::Hooks;
use super::{World, events};
use crate::table::Row;

/// A TwiML application.
#[derive(Debug, Clone)]
pub(crate) struct Application {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) friendly_name: String,
    pub(crate) hooks: Hooks,
    /// Told about messages that go out through the application; the newer name of `hooks.sms_status_callback`.
    pub(crate) message_status_callback: Option<String>,
    /// Whether other accounts may dial it.
    pub(crate) public_connect: bool,
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

/// Makes an application without URLs.
pub(crate) fn create(world: &mut World, account: Sid, friendly_name: String) -> Sid {
    let sid = world.ids.sid(*b"AP");
    let now = world.now;
    world.applications.insert(Application {
        sid,
        account,
        friendly_name,
        hooks: Hooks::default(),
        message_status_callback: None,
        public_connect: false,
        created: now,
        updated: now,
    });
    events::record(world, account, "application.created", sid);
    world.touch();
    sid
}

/// Removes an application. Numbers that point at it keep their own URLs, and use them again. `false`: it is not
/// there.
pub(crate) fn remove(world: &mut World, account: Sid, sid: Sid) -> bool {
    if world.applications.remove_of(account, sid).is_none() {
        return false;
    }
    let pointing: Vec<Sid> = world.numbers.of(account).map(Row::sid).collect();
    for number in pointing {
        if let Some(row) = world.numbers.find_mut(number) {
            row.hooks.sms_application = row.hooks.sms_application.filter(|it| *it != sid);
            row.hooks.voice_application = row.hooks.voice_application.filter(|it| *it != sid);
        }
    }
    events::record(world, account, "application.deleted", sid);
    world.touch();
    true
}
