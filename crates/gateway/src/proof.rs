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
use std::str;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use ringfence_model::Secret;
use ringfence_signature::AccountSid;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The header that carries the proof.
pub const PROOF_HEADER: &str = "x-ringfence-proof";

/// The header that carries the account SID which the proof covers; absent where the request has no account.
pub const ACCOUNT_HEADER: &str = "x-ringfence-account";

/// The fewest bytes of secret that make a key: as many as the HMAC gives.
pub const MIN_PROOF_SECRET_BYTES: usize = 32;

/// How far the upstream's clock may be from the gate's, either way, unless it has a reason for something else.
pub const PROOF_MAX_AGE: Duration = Duration::from_mins(1);

/// The key of one route, ready to use: the HMAC has already absorbed it.
#[derive(Clone)]
pub struct ProofKey(Hmac<Sha256>);

impl ProofKey {
    /// Takes the bytes of the secret's text as the key; a text of hex digits is not decoded.
    pub fn new(secret: &Secret) -> Result<Self, ProofKeyError> {
        let bytes = secret.expose().as_bytes();
        if bytes.len() < MIN_PROOF_SECRET_BYTES {
            return Err(ProofKeyError::TooShort { bytes: bytes.len() });
        }
        Ok(Self(Hmac::new_from_slice(bytes).expect("an HMAC takes a key of any length")))
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
        let mut decimal = [0; 20];
        let time = write_decimal(now_unix, &mut decimal);
        let digest = self.digest(time, method, target, body_sha256, account);

        let mut text = [0; 2 + 20 + 4 + 64];
        let mut length = 0;
        for part in [&b"t="[..], time, b",v1=", &hex(&digest)] {
            text[length..length + part.len()].copy_from_slice(part);
            length += part.len();
        }
        HeaderValue::from_bytes(&text[..length]).expect("digits, letters, '=' and ',' make a header value")
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
        let (time, presented) = parse(proof.ok_or(ProofError::Missing)?).ok_or(ProofError::Malformed)?;
        let digest = self.digest(time, request.method, request.target, request.body_sha256, request.account);
        if !bool::from(hex(&digest).ct_eq(presented)) {
            return Err(ProofError::Mismatch);
        }
        // Only now is `t` the gate's word.
        let made: u64 =
            str::from_utf8(time).ok().and_then(|time| time.parse().ok()).ok_or(ProofError::Malformed)?;
        match now_unix.checked_sub(made) {
            Some(age) if age > max_age.as_secs() => Err(ProofError::TooOld),
            None if made - now_unix > max_age.as_secs() => Err(ProofError::FromTheFuture),
            _ => Ok(()),
        }
    }

    fn digest(
        &self,
        time: &[u8],
        method: &str,
        target: &str,
        body_sha256: &[u8; 32],
        account: Option<&AccountSid>,
    ) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in [&b"v1\n"[..], time, b"\n", method.as_bytes(), b"\n", target.as_bytes(), b"\n"] {
            mac.update(part);
        }
        mac.update(&hex(body_sha256));
        mac.update(b"\n");
        mac.update(account.map_or(&b"-"[..], |account| account.as_str().as_bytes()));
        mac.finalize().into_bytes().into()
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

fn parse(proof: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = proof.strip_prefix(b"t=")?;
    let comma = memchr::memchr(b',', rest)?;
    let (time, digest) = (&rest[..comma], rest[comma..].strip_prefix(b",v1=")?);
    let shaped = (1..=20).contains(&time.len())
        && time.iter().all(u8::is_ascii_digit)
        && digest.len() == 64
        && digest.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    shaped.then_some((time, digest))
}

fn write_decimal(mut number: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut start = buffer.len();
    loop {
        start -= 1;
        buffer[start] = b'0' + u8::try_from(number % 10).expect("a remainder by ten is one digit");
        number /= 10;
        if number == 0 {
            return &buffer[start..];
        }
    }
}

fn hex(digest: &[u8; 32]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

#[cfg(test)]
mod tests;
