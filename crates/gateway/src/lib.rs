//! The data plane: TLS, the gate, forward-auth.
//!
//! A webhook takes this path, and no other leads to an upstream:
//!
//! ```text
//! server ──▶ http_rules ──▶ route_table ──▶ admission ──▶ replay ──▶ forward ──▶ upstream
//! accept,     one Host,      which route     Basic and     a repeat    a new       HTTP/1.1
//! TLS         plain names    takes it        signature:    gets its    request     keep-alive
//!                                            Verified-     first       head of
//!                                            Webhook       answer      our own
//! ```
//!
//! One kind of webhook ends here: a usage trigger, on the route of the circuit breaker, goes from admission to `intake`,
//! which keeps it in the store and answers.
//!
//! What is absent: no database on any other way, no sessions, no HTML; no decision reads a clock or the environment; nothing
//! is sent upstream before the body is complete and verified; no path is decoded or normalised.

pub mod acme;
mod admin;
mod admission;
pub mod basic;
mod body;
mod connection;
mod explain;
mod forward;
mod forward_auth;
pub mod forwarded;
mod gate;
mod hooks;
mod hosted;
mod http_rules;
mod intake;
mod keys;
mod metrics;
mod preface;
pub mod proof;
mod proxy_protocol;
mod reason;
mod replay;
mod respond;
pub mod route_table;
mod server;
pub mod settings;
mod snapshot;
pub mod tls;
mod trigger;
pub mod upstream;
mod verdicts;
mod websocket;
mod whole;
mod worker;

pub use hooks::{AdminApi, Answer, Caller, Hooks, Hosted, OnStale, Readiness, Told};
pub use intake::Intake;
pub use keys::{Keys, LearntAccount};
pub use reason::Reason;
pub use server::{Gateway, Listeners, ReloadError, Reloaded, StartError};
pub use verdicts::{VerdictCount, Verdicts};
