//! API keys.

use jiff::Timestamp;
use ringfence_model::Sid;

use super::{World, events};
use crate::table::Row;

/// An API key: a user name and a secret in place of the auth token. Keys that the API makes are standard ones: they
/// reach neither accounts nor keys.
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

/// Makes a key. Its secret is told once.
pub(crate) fn create(world: &mut World, account: Sid, friendly_name: String) -> Sid {
    let sid = world.ids.sid(*b"SK");
    let secret = world.ids.token();
    let now = world.now;
    world.keys.insert(Key { sid, account, friendly_name, secret, created: now, updated: now });
    events::record(world, account, "api-key.created", sid);
    world.touch();
    sid
}

/// Gives a key another name. `false`: it is not there.
pub(crate) fn rename(world: &mut World, account: Sid, sid: Sid, friendly_name: &str) -> bool {
    let now = world.now;
    let Some(key) = world.keys.find_mut_of(account, sid) else { return false };
    let previous = std::mem::replace(&mut key.friendly_name, friendly_name.to_owned());
    key.updated = now;
    events::record_change(world, account, "api-key.updated", sid, "friendly_name", &previous, friendly_name);
    world.touch();
    true
}

/// Removes a key: from now on it opens nothing. `false`: it is not there.
pub(crate) fn remove(world: &mut World, account: Sid, sid: Sid) -> bool {
    if world.keys.remove_of(account, sid).is_none() {
        return false;
    }
    events::record(world, account, "api-key.deleted", sid);
    world.touch();
    true
}
