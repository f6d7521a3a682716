//! The second factor: what is true of codes, challenges, failures, trusted devices and policies, and what follows from it.
//!
//! Nothing here does I/O, reads a clock or makes a random byte: time and randomness are arguments, and the answer to
//! "may he?" is a value. The rules are NIST SP 800-63B-4's for authenticators, and Twilio Verify's where an application
//! expects those; each says where it comes from.
//!
//! # The modules
//!
//! `code`, `challenge` and `failures` are one run of a code; `pumping` and `country` (of the crate `model`) say where codes may go and how many; `policy` says
//! what an account demands and what a session has shown; `device`, `totp`, `recovery` and `password` are the rules of what people
//! hold.

mod base32;
pub mod challenge;
pub mod code;
pub mod device;
pub mod failures;
pub mod passkey;
pub mod password;
pub mod policy;
pub mod pumping;
pub mod recovery;
pub mod tag;
pub mod totp;
pub mod words;

pub use ringfence_model::country;
