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
    world_of(1, at(now), Settings::default())
}

/// A new world of this seed, with an account that comes from it.
pub(crate) fn world_of(seed: u64, now: Timestamp, settings: Settings) -> World {
    World::new(Beginning { seed, now, settings, account_sid: None, auth_token: None, base: String::new() })
}

/// Time passes, and what is due happens.
pub(crate) fn pass(world: &mut World, seconds: i64) {
    let until =
        world.now.checked_add(SignedDuration::from_secs(seconds)).expect("tests stay in the calendar");
    world.pass_time(until, false);
}
