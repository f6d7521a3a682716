//! Nouns with an invariant that several crates of Ringfence need.
//!
//! Nothing here does I/O, and nothing here knows another crate of Ringfence.

mod actor;
mod amount;
mod clock;
pub mod country;
mod phone_number;
mod private_address;
mod secret;
mod segments;
mod sid;
pub mod stamp;

pub use actor::Actor;
pub use amount::{Amount, InvalidAmount};
pub use clock::Clock;
pub use country::{Country, InvalidCountry};
pub use phone_number::{InvalidPhoneNumber, PhoneNumber};
pub use private_address::is_private;
pub use secret::Secret;
pub use segments::{Encoding, Segments};
pub use sid::{InvalidSid, Sid};
pub use stamp::{Stamp, StampKey};

/// The example of the README runs too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
