//! Twilio's REST API: the shapes that go over the wire, TwiML, and a client for what Ringfence needs.
//!
//! `wire` and `twiml` do no I/O and are shared by the client and by servers that speak like Twilio (feature
//! `wire`). The client is the feature `client`.

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "wire")]
pub mod twiml;
#[cfg(feature = "wire")]
pub mod wire;
