//! The second factor as a service: what Twilio's libraries would send, and what Verify lacks, over a real store, with a Twilio of our own that the
//! codes go out by. Every answer that is a success is held against Twilio's own document.

#[path = "verify/answers.rs"]
mod answers;
#[path = "verify/attacks.rs"]
mod attacks;
#[expect(dead_code, reason = "other tests need more of it")]
#[path = "world/database.rs"]
mod database;
#[path = "verify/kit.rs"]
mod kit;
#[path = "verify/lines.rs"]
mod lines;
#[path = "verify/sending.rs"]
mod sending;
#[path = "engine/shape.rs"]
mod shape;
#[path = "verify/spending.rs"]
mod spending;
#[path = "verify/user_attacks.rs"]
mod user_attacks;
#[path = "verify/user_passkeys.rs"]
mod user_passkeys;
#[path = "verify/users.rs"]
mod users;
#[expect(dead_code, reason = "subaccounts are for the tests of limits")]
mod world;
