//! The media guard as browsers, applications and Twilio meet it: real sockets, a real store, a Twilio that is scripted or the
//! sandbox, and everything that somebody without a good link would try.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail like tests")]

#[path = "../common/mod.rs"]
mod common;
mod links;
mod redirects;
mod refusals;
mod sandbox;
mod serving;
mod world;
