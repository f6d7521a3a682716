//! Twilio's REST API: wire shapes, TwiML, and a client for what Ringfence needs.
#[cfg(feature = "wire")]
pub mod twiml;
#[cfg(feature = "wire")]
pub mod wire;
