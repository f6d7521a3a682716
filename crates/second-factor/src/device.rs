//! Trusted devices: a browser that passed a challenge, remembered for one person and one account.
//!
//! The browser holds a random secret, the installation its hash. The secret is changed whenever it is used, so a stolen
//! copy and the browser it was stolen from betray each other: whoever comes second presents a secret that was used up, and
//! the trust ends for both. Two tabs that a browser opens at once do the same by accident, so the secret before is
//! taken for a moment longer from the same address.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// For how long the secret before the present one is taken.
pub const GRACE: SignedDuration = SignedDuration::from_secs(10);

/// How many devices a person may have trusted for one account; the one unused for the longest gives way.
pub const MOST: usize = 10;

/// The SHA-256 of a secret of 32 random bytes, which nobody finds by trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Of a secret, as the browser sends it.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// As it was stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// To be stored.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// What the installation knows of a trusted device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// From when on it is over, however often it is used: using it makes it no longer.
    pub expires_at: Timestamp,
    /// Whether it was ended.
    pub revoked: bool,
    /// The secret of now.
    pub current: SecretHash,
    /// The one before, since when it is used up, and from where the change was asked.
    pub before: Option<Before>,
}

/// A secret that was used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// Its hash.
    pub hash: SecretHash,
    /// When the next one took its place.
    pub since: Timestamp,
    /// The address of whoever used it.
    pub address: String,
}

/// What to make of a secret that somebody presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It is trusted, and gets a new secret.
    Trusted,
    /// It is trusted, and the new secret is on its way to it already.
    JustChanged,
    /// The secret was used up before: there is a copy. The trust ends, and its owner is told.
    Copied,
    /// It is not trusted: over, revoked, or no secret of this device.
    Refused,
}

impl Trust {
    /// Judges a secret that came from this address.
    pub fn judge(&self, presented: &SecretHash, address: &str, now: Timestamp) -> Judgement {
        if self.revoked || now >= self.expires_at {
            return Judgement::Refused;
        }
        if self.current.is(presented) {
            return Judgement::Trusted;
        }
        match &self.before {
            Some(before) if before.hash.is(presented) => {
                let age = now.duration_since(before.since);
                let in_time = age >= SignedDuration::ZERO && age <= GRACE;
                if in_time && before.address == address { Judgement::JustChanged } else { Judgement::Copied }
            }
            _ => Judgement::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time of the test")
    }

    fn trust() -> Trust {
        let before =
            Before { hash: SecretHash::of("before"), since: at(100), address: "203.0.113.7".to_owned() };
        Trust { expires_at: at(1_000), revoked: false, current: SecretHash::of("now"), before: Some(before) }
    }

    fn judge(trust: &Trust, secret: &str, address: &str, second: i64) -> Judgement {
        trust.judge(&SecretHash::of(secret), address, at(second))
    }

    #[test]
    fn what_is_over_revoked_or_unknown_is_refused() {
        assert_eq!(judge(&trust(), "now", "203.0.113.7", 1_000), Judgement::Refused);
        assert_eq!(judge(&trust(), "guessed", "203.0.113.7", 100), Judgement::Refused);
        let revoked = Trust { revoked: true, ..trust() };
        assert_eq!(judge(&revoked, "now", "203.0.113.7", 100), Judgement::Refused);
        assert_eq!(judge(&revoked, "before", "203.0.113.7", 100), Judgement::Refused);
    }

    #[test]
    fn a_secret_that_was_used_up_tells_of_a_copy() {
        assert_eq!(judge(&trust(), "before", "203.0.113.7", 111), Judgement::Copied);
        assert_eq!(judge(&trust(), "before", "198.51.100.1", 105), Judgement::Copied, "from elsewhere");
        assert_eq!(judge(&trust(), "before", "203.0.113.7", 99), Judgement::Copied, "the clock went back");
    }

    #[test]
    fn a_second_tab_is_no_thief() {
        assert_eq!(judge(&trust(), "before", "203.0.113.7", 110), Judgement::JustChanged);
    }

    #[test]
    fn the_secret_of_now_is_taken_from_anywhere_until_the_last_moment() {
        assert_eq!(judge(&trust(), "now", "198.51.100.1", 999), Judgement::Trusted);
    }
}
