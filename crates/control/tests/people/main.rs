//! How people sign in, on a real store, with a clock that the test moves.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod binding;
mod crashes;
mod guessing;
mod hosts;
mod house;
mod passkeys;
mod phones;
mod policies;
mod recovering;
mod signing_in;
mod telling;
