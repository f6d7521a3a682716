//! The console as people meet it: requests in, pages out, over a real store, with the sandbox as Twilio.
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests may fail like tests")]

mod acts;
mod codes;
mod entering;
mod hosts;
mod incidents;
mod keys;
mod ledger;
mod links;
mod pages;
mod passkeys;
mod people;
mod places;
mod policies;
mod prices;
mod refusals;
mod requests;
mod roles;
mod services;
mod shared_keys;
mod standing;
mod tabs;
mod tokens;
mod typed;
mod world;
