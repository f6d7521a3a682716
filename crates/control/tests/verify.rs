//! The second factor as a service: what Twilio's libraries would send, over a real store, with a Twilio of our own that the
//! codes go out by. Every answer that is a success is held against Twilio's own document.

#[path = "verify/answers.rs"]
mod answers;
#[path = "verify/attacks.rs"]
mod attacks;
#[path = "verify/kit.rs"]
mod kit;
#[path = "verify/sending.rs"]
mod sending;
#[expect(dead_code, reason = "subaccounts are for the tests of limits")]
mod world;
