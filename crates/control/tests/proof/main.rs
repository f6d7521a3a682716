//! The proof: whatever goes wrong, every account over its limit ends suspended and no other does.
//!
//! Nodes as `serve` runs them, moved by hand on a real store, with a Twilio of our own whose clock stands still between
//! steps. What a schedule draws comes from a seed that a failure shows.

#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

mod article;
mod crashes;
#[path = "../world/database.rs"]
mod database;
#[path = "../world/limits.rs"]
mod limits;
mod random;
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "other tests need more of it; without a port no test goes on"
)]
#[path = "../notices/scripted.rs"]
mod scripted;
mod site;
mod storm;
#[path = "../world/time.rs"]
mod time;
#[path = "../world/mod.rs"]
mod world;
