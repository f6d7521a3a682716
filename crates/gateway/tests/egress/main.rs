//! The egress as an application and Twilio meet it: real sockets, a real store, a Twilio that is scripted or the sandbox,
//! and everything that somebody with a stolen credential would try.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail like tests")]

mod answers;
mod bursts;
#[path = "../common/mod.rs"]
mod common;
mod credentials;
mod fields;
mod foreign;
mod held;
mod inspected;
mod over_tls;
mod paths;
mod priced;
mod sandbox;
mod sandbox_voice;
mod tunnel;
mod twiml;
mod twiml_odd;
mod twiml_streamed;
mod twiml_tasks;
mod verify;
mod world;
