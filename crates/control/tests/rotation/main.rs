//! Auth tokens are replaced while nodes are at work: nothing is refused on the way, and whoever is killed anywhere goes on.

#[path = "../world/database.rs"]
mod database;
mod installation;
mod lost_answers;
mod steps;
#[path = "../world/time.rs"]
mod time;
#[path = "../world/mod.rs"]
mod world;
