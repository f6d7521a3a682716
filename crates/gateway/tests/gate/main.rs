//! The gate as its neighbours meet it: real sockets, a real upstream, requests signed as Twilio signs them, and
//! everything that is not.
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests may fail like tests")]

mod admin;
mod forward_auth;
mod framing;
mod hooks;
mod hosted;
mod hostile;
mod http2;
mod inspector;
mod key_presses;
mod keys;
mod lifecycle;
mod passing;
mod paths;
mod refusals;
mod replay;
mod tenants;
mod triggers;
mod upstream_tls;
mod websocket;
mod world;
