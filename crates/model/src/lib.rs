//! Nouns with an invariant that several crates of Ringfence need.
//!
//! Nothing here does I/O, and nothing here knows another crate of Ringfence.

mod clock;
mod secret;

pub use clock::Clock;
pub use secret::Secret;
mod sid;
pub use sid::{InvalidSid, Sid};
mod phone_number;
pub use phone_number::{InvalidPhoneNumber, PhoneNumber};
