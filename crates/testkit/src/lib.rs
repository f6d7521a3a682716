//! The actors of Ringfence's tests: certificates, a scripted application behind the gate, and clients that send
//! exactly the bytes they are told to; Twilio's OpenAPI documents as judges of what goes over the wire; and a
//! PostgreSQL of the tests' own.
//!
//! For tests only: everything here panics, with a sentence, when it cannot do its part, because a test whose actor
//! is missing has failed. Everything stays on loopback, and nothing waits longer than [`PATIENCE`], so that a hang in
//! the code under test is a failed test and not a stuck run.

pub mod authenticator;
mod certificates;
mod clock;
pub mod openapi;
mod postgres;
mod raw_client;
mod seeds;
mod upstream;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub use certificates::{Certificates, certificates, certificates_for};
pub use clock::ManualClock;
pub use postgres::{PostgresDatabase, PostgresServer, peer_is_required};
pub use raw_client::{Handshake, RawClient, Response, exchange};
pub use seeds::each_seed;
pub use upstream::{Answer, Handshaken, RawUpstream, Recorded, StreamCut, Upstream, read_request};

/// The longest that any actor waits for the other side.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A TCP port of 127.0.0.1 that nothing listened on a moment ago.
///
/// It is below those that systems give to connections and to port 0 (32768 and up on Linux), so none of the many that tests
/// make takes it before the caller does. Each process begins at a place of its own. Where the code under test accepts a
/// listener, bind port 0 instead.
pub fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const PORTS: u32 = 12_000;
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(97);
    (0..PORTS)
        .map(|_| FIRST + begin.wrapping_add(ASKED.fetch_add(1, Ordering::Relaxed)) % PORTS)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("one of twelve thousand ports of loopback is free")
}
