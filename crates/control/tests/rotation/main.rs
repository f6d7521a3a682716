//! Auth tokens and SharedKeys are replaced while nodes are at work: nothing is refused on the way, and whoever is killed anywhere goes on.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "other tests need more of it")]
#[path = "../world/database.rs"]
mod database;
mod installation;
mod lost_answers;
mod shared_keys;
mod steps;
#[path = "../world/time.rs"]
mod time;
#[expect(dead_code, reason = "other tests need more of it")]
#[path = "../world/mod.rs"]
mod world;
