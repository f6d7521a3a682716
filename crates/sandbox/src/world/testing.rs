//! Worlds for tests, with time that is moved by hand.

use jiff::{SignedDuration, Timestamp};

use super::{Beginning, World};
use crate::settings::Settings;

/// A time, as RFC 3339 writes it.
pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("a test writes its times in RFC 3339")
}

/// A new world at this time, with the settings as they are by default.
pub(crate) fn new_world(now: &str) -> World {
    World::new(Beginning {
        seed: 1,
        now: at(now),
        settings: Settings::default(),
        account_sid: None,
        auth_token: None,
        base: String::new(),
    })
}

/// Time passes, and what is due happens.
pub(crate) fn pass(world: &mut World, seconds: i64) {
    let until =
        world.now.checked_add(SignedDuration::from_secs(seconds)).expect("tests stay in the calendar");
    world.pass_time(until, false);
}
