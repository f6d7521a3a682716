//! The actors of Ringfence's tests: certificates, a scripted application behind the gate, and clients that send
//! exactly the bytes they are told to; Twilio's OpenAPI documents as judges of what goes over the wire; and a
//! PostgreSQL of the tests' own.
//!
//! For tests only: everything here panics, with a sentence, when it cannot do its part, because a test whose actor
//! is missing has failed. Everything stays on loopback, and nothing waits longer than [`PATIENCE`], so that a hang in
//! the code under test is a failed test and not a stuck run.

pub mod authenticator;
mod certificates;
pub mod openapi;
mod postgres;
mod raw_client;
mod upstream;

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

pub use certificates::{Certificates, certificates, certificates_for};
pub use postgres::{PostgresDatabase, PostgresServer, peers_are_required};
pub use raw_client::{Handshake, RawClient, Response, exchange};
pub use upstream::{Answer, RawUpstream, Recorded, Upstream, read_request};

/// The longest that any actor waits for the other side.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A TCP port of 127.0.0.1 that nothing listened on a moment ago.
///
/// Another process may take it before the caller does. Where the code under test accepts a listener, bind port 0
/// instead.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port can be bound");
    listener.local_addr().expect("a bound listener has an address").port()
}
