//! The stamp by which an application knows that Ringfence itself said something, and just now.
//!
//! Every other header that Ringfence adds is a text which anyone who reaches the application can send. A stamp is a time
//! and an HMAC over lines, made with a key that only Ringfence and this application hold:
//!
//! ```text
//! t=<unix seconds>,v1=<64 lower-case hex digits of HMAC-SHA256>
//!
//! v1 \n <t> \n <line> \n <line> …
//! ```
//!
//! The lines are joined by single line feeds without one at the end, so whoever makes a stamp hands over what cannot hold
//! a line feed. There is this one form of it, for the gate's proof and for the name of whoever signed in.

use std::fmt;
use std::str;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::Secret;

/// A key that stamps, ready to use: the HMAC has already absorbed it.
#[derive(Clone)]
pub struct StampKey(Hmac<Sha256>);

/// A stamp, as a header carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    bytes: [u8; 2 + 20 + 4 + 64],
    length: usize,
}

/// Why a secret is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StampKeyError {
    /// Fewer bytes than the HMAC gives; somebody could find it by trying.
    #[error("has {bytes} bytes and needs at least {least}", least = StampKey::LEAST_BYTES)]
    TooShort {
        /// How many it has.
        bytes: usize,
    },
}

/// Why a stamp does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// Not `t=<digits>,v1=<64 lower-case hex digits>`.
    #[error("the stamp is not of the form t=…,v1=…")]
    Malformed,
    /// Another key, other lines, or another time.
    #[error("the stamp does not belong to these lines and this key")]
    Mismatch,
    /// Older than allowed: a replay, or a clock that runs ahead here.
    #[error("the stamp is too old")]
    TooOld,
    /// Further in the future than allowed: a clock that runs behind here.
    #[error("the stamp is from the future")]
    FromTheFuture,
}

impl StampKey {
    /// The fewest bytes of secret that make a key: as many as the HMAC gives.
    pub const LEAST_BYTES: usize = 32;

    /// Takes the bytes of the secret's text as the key; a text of hex digits is not decoded.
    pub fn new(secret: &Secret) -> Result<Self, StampKeyError> {
        let bytes = secret.expose().as_bytes();
        if bytes.len() < Self::LEAST_BYTES {
            return Err(StampKeyError::TooShort { bytes: bytes.len() });
        }
        Ok(Self(Hmac::new_from_slice(bytes).expect("an HMAC takes a key of any length")))
    }

    /// Stamps lines, none of which holds a line feed.
    pub fn make(&self, now_unix: u64, lines: &[&[u8]]) -> Stamp {
        let mut decimal = [0; 20];
        let time = write_decimal(now_unix, &mut decimal);
        let digest = self.digest(time, lines);
        let mut stamp = Stamp { bytes: [0; 90], length: 0 };
        for part in [&b"t="[..], time, b",v1=", &hex(&digest)] {
            stamp.bytes[stamp.length..stamp.length + part.len()].copy_from_slice(part);
            stamp.length += part.len();
        }
        stamp
    }

    /// Checks a stamp as it came. `max_age` is how far its time may be from `now_unix`, in the past or in the future.
    pub fn check(
        &self,
        stamp: &[u8],
        lines: &[&[u8]],
        now_unix: u64,
        max_age: Duration,
    ) -> Result<(), StampError> {
        let (time, presented) = parse(stamp).ok_or(StampError::Malformed)?;
        if !bool::from(hex(&self.digest(time, lines)).ct_eq(presented)) {
            return Err(StampError::Mismatch);
        }
        // Only now is `t` our own word.
        let made: u64 =
            str::from_utf8(time).ok().and_then(|time| time.parse().ok()).ok_or(StampError::Malformed)?;
        match now_unix.checked_sub(made) {
            Some(age) if age > max_age.as_secs() => Err(StampError::TooOld),
            None if made - now_unix > max_age.as_secs() => Err(StampError::FromTheFuture),
            _ => Ok(()),
        }
    }

    fn digest(&self, time: &[u8], lines: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(b"v1\n");
        mac.update(time);
        for line in lines {
            mac.update(b"\n");
            mac.update(line);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for StampKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StampKey(…)")
    }
}

impl Stamp {
    /// The text: digits, letters, `=` and `,`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

fn parse(stamp: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = stamp.strip_prefix(b"t=")?;
    let comma = rest.iter().position(|byte| *byte == b',')?;
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

/// As 64 lower-case digits.
pub fn hex(digest: &[u8; 32]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_449_600;
    const MINUTE: Duration = Duration::from_mins(1);

    fn key() -> StampKey {
        StampKey::new(&Secret::new("0123456789abcdef0123456789abcdef")).expect("long enough")
    }

    #[test]
    fn a_short_secret_makes_no_key() {
        let refused = StampKey::new(&Secret::new("x".repeat(31)));
        assert_eq!(refused.err(), Some(StampKeyError::TooShort { bytes: 31 }));
    }

    #[test]
    fn a_stamp_of_other_lines_another_time_or_another_key_does_not_hold() {
        let stamp = key().make(NOW, &[b"a", b"bc"]);
        let check = |key: &StampKey, lines: &[&[u8]]| key.check(stamp.as_bytes(), lines, NOW, MINUTE);
        assert_eq!(check(&key(), &[b"a", b"bc"]), Ok(()));
        for lines in [&[&b"ab"[..], b"c"][..], &[b"a"], &[b"a", b"bc", b""], &[b"bc", b"a"]] {
            assert_eq!(check(&key(), lines), Err(StampError::Mismatch), "{lines:?}");
        }
        let other = StampKey::new(&Secret::new("x".repeat(32))).expect("long enough");
        assert_eq!(check(&other, &[b"a", b"bc"]), Err(StampError::Mismatch));
        let text = String::from_utf8(stamp.as_bytes().to_vec()).expect("ASCII");
        let younger = text.replace(&NOW.to_string(), &(NOW + 30).to_string());
        let refused = key().check(younger.as_bytes(), &[b"a", b"bc"], NOW + 90, MINUTE);
        assert_eq!(refused, Err(StampError::Mismatch));
    }

    #[test]
    fn a_stamp_holds_for_its_minute_either_way() {
        let stamp = key().make(NOW, &[b"a"]);
        let check = |now| key().check(stamp.as_bytes(), &[b"a"], now, MINUTE);
        assert_eq!(
            (check(NOW + 61), check(NOW - 61)),
            (Err(StampError::TooOld), Err(StampError::FromTheFuture))
        );
        assert_eq!((check(NOW + 60), check(NOW - 60)), (Ok(()), Ok(())));
    }
}
