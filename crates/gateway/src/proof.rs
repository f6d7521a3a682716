//! The proof that tells an upstream: this request came through this gate, just now.
//!
//! Every other header that the gate adds is a constant which anyone who reaches the upstream directly can send.
//! The proof is an HMAC with a key of the route's own, over what the gate forwards and when:
//!
//! ```text
//! X-Ringfence-Proof: t=<unix seconds>,v1=<64 lower-case hex digits of HMAC-SHA256>
//!
//! v1 \n <t> \n <METHOD> \n <target> \n <lower-case hex SHA-256 of the body> \n <account SID, or "-">
//! ```
//!
//! The lines are joined by single line feeds without one at the end. Method and target cannot contain a line feed
//! in HTTP, so no byte can move from one line to the next. It does not stop a replay within its minute; the page
//! `docs/upstream-proof.md` says what else it does not do, and has the check in Node and Python.

use std::fmt;
use std::time::Duration;

use http::HeaderValue;
use ringfence_model::stamp::{StampError, StampKeyError, hex};
use ringfence_model::{Secret, StampKey};
use ringfence_signature::AccountSid;

/// The header that carries the proof.
pub const PROOF_HEADER: &str = "x-ringfence-proof";

/// The header that carries the account SID which the proof covers; absent where the request has no account.
pub const ACCOUNT_HEADER: &str = "x-ringfence-account";

/// The fewest bytes of secret that make a key: as many as the HMAC gives.
pub const MIN_PROOF_SECRET_BYTES: usize = StampKey::LEAST_BYTES;

/// How far the upstream's clock may be from the gate's, either way, unless it has a reason for something else.
pub const PROOF_MAX_AGE: Duration = Duration::from_mins(1);

/// The key of one route, ready to use.
#[derive(Clone)]
pub struct ProofKey(StampKey);

impl ProofKey {
    /// Takes the bytes of the secret's text as the key; a text of hex digits is not decoded.
    pub fn new(secret: &Secret) -> Result<Self, ProofKeyError> {
        StampKey::new(secret)
            .map(Self)
            .map_err(|StampKeyError::TooShort { bytes }| ProofKeyError::TooShort { bytes })
    }

    /// The value of [`PROOF_HEADER`] for a request as it goes to the upstream.
    pub fn make(
        &self,
        now_unix: u64,
        method: &str,
        target: &str,
        body_sha256: &[u8; 32],
        account: Option<&AccountSid>,
    ) -> HeaderValue {
        let proven = Proven { method, target, body_sha256, account };
        let stamp = self.0.make(now_unix, &proven.lines(&hex(body_sha256)));
        HeaderValue::from_bytes(stamp.as_bytes()).expect("digits, letters, '=' and ',' make a header value")
    }

    /// Checks a proof as an upstream written in Rust would: the header's value as it came, and the request.
    ///
    /// `max_age` is how far `t` may be from `now_unix`, in the past or in the future.
    pub fn check(
        &self,
        proof: Option<&[u8]>,
        request: &Proven<'_>,
        now_unix: u64,
        max_age: Duration,
    ) -> Result<(), ProofError> {
        let proof = proof.ok_or(ProofError::Missing)?;
        let body = hex(request.body_sha256);
        self.0.check(proof, &request.lines(&body), now_unix, max_age).map_err(|error| match error {
            StampError::Malformed => ProofError::Malformed,
            StampError::Mismatch => ProofError::Mismatch,
            StampError::TooOld => ProofError::TooOld,
            StampError::FromTheFuture => ProofError::FromTheFuture,
        })
    }
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ProofKey(…)")
    }
}

/// What a proof speaks of: the request as the upstream received it.
#[derive(Debug, Clone, Copy)]
pub struct Proven<'a> {
    /// The method, upper case as on the wire.
    pub method: &'a str,
    /// The raw request target, query included.
    pub target: &'a str,
    /// SHA-256 of the raw body; of nothing, where there is none.
    pub body_sha256: &'a [u8; 32],
    /// The account that the gate named in [`ACCOUNT_HEADER`].
    pub account: Option<&'a AccountSid>,
}

/// Why a secret makes no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofKeyError {
    /// A short secret can be guessed from one proof, off line.
    #[error(
        "the proof secret has {bytes} bytes and needs at least {MIN_PROOF_SECRET_BYTES}; try `openssl rand -hex 32`"
    )]
    TooShort {
        /// How long it is.
        bytes: usize,
    },
}

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// No header: the request did not come through the gate, or the route makes no proof.
    #[error("the request carries no proof")]
    Missing,
    /// Not `t=<digits>,v1=<64 lower-case hex digits>`.
    #[error("the proof is not of the form t=…,v1=…")]
    Malformed,
    /// Another key, or another method, target, body, account or time than the gate saw.
    #[error("the proof does not belong to this request and this key")]
    Mismatch,
    /// Older than allowed: a replay, or a clock that runs ahead here.
    #[error("the proof is too old")]
    TooOld,
    /// Further in the future than allowed: a clock that runs behind here.
    #[error("the proof is from the future")]
    FromTheFuture,
}

impl Proven<'_> {
    /// What is stamped. `body` is the hash of the body as digits.
    fn lines<'l>(&'l self, body: &'l [u8; 64]) -> [&'l [u8]; 4] {
        let account = self.account.map_or(&b"-"[..], |account| account.as_str().as_bytes());
        [self.method.as_bytes(), self.target.as_bytes(), body, account]
    }
}

#[cfg(test)]
mod tests;
