//! The gate as its neighbours meet it: real sockets, a real upstream, requests signed as Twilio signs them, and
//! everything that is not.

mod forward_auth;
mod hostile;
mod lifecycle;
mod passing;
mod refusals;
mod replay;
mod tenants;
mod websocket;
mod world;
