//! Trusted devices: a browser that passed a challenge, remembered for one person and one account.
//!
//! The browser holds a random secret, the installation its hash. The secret is changed whenever it is used, so a stolen
//! copy and the browser it was stolen from betray each other: whoever comes second presents a secret that was used up, and
//! the trust ends for both.
//!
//! An answer can be lost on its way, and then the browser comes again with the secret that it has. So a secret is used up
//! only when the one after it was seen: until then both are good, and the one that was never seen is used up when another
//! takes its place. Two tabs that a browser opens at once both come with the same secret; they share the next one.

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

/// How many secrets that were used up are remembered, the latest.
pub const REMEMBERED: usize = 16;

/// What the installation knows of a trusted device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// From when on it is over, however often it is used: using it makes it no longer.
    pub expires_at: Timestamp,
    /// Whether it was ended.
    pub revoked: bool,
    /// The secret of now: the latest that was seen.
    pub current: SecretHash,
    /// The next one, and since when it is on its way: it was given out, and nobody has shown it yet.
    pub next: Option<(SecretHash, Timestamp)>,
    /// The one before, since when it is used up, and from where the change was asked.
    pub before: Option<Before>,
    /// Others that were used up, or lost on their way.
    pub used_up: Vec<SecretHash>,
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
        let just = |since: Timestamp| {
            let age = now.duration_since(since);
            age >= SignedDuration::ZERO && age <= GRACE
        };
        match &self.next {
            Some((next, _)) if next.is(presented) => return Judgement::Trusted,
            Some((_, since)) if self.current.is(presented) && just(*since) => return Judgement::JustChanged,
            _ => {}
        }
        if self.current.is(presented) {
            return Judgement::Trusted;
        }
        match &self.before {
            Some(before) if before.hash.is(presented) => {
                let is_tab = just(before.since) && before.address == address;
                if is_tab { Judgement::JustChanged } else { Judgement::Copied }
            }
            _ if self.used_up.iter().any(|used| used.is(presented)) => Judgement::Copied,
            _ => Judgement::Refused,
        }
    }

    /// A secret was shown: where it is the next one, it is the secret of now, and the one before is used up.
    #[must_use]
    pub fn seen(mut self, presented: &SecretHash, address: &str, now: Timestamp) -> Self {
        if let Some((next, _)) = self.next.take_if(|(next, _)| next.is(presented)) {
            if let Some(before) = self.before.take() {
                self.use_up(before.hash);
            }
            self.before = Some(Before { hash: self.current, since: now, address: address.to_owned() });
            self.current = next;
        }
        self
    }

    /// The next secret is on its way; one that was on its way before and never seen is used up.
    #[must_use]
    pub fn renewed(mut self, next: SecretHash, now: Timestamp) -> Self {
        if let Some((lost, _)) = self.next.replace((next, now)) {
            self.use_up(lost);
        }
        self
    }

    fn use_up(&mut self, hash: SecretHash) {
        self.used_up.push(hash);
        let surplus = self.used_up.len().saturating_sub(REMEMBERED);
        self.used_up.drain(..surplus);
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
        Trust {
            expires_at: at(1_000),
            revoked: false,
            current: SecretHash::of("now"),
            next: None,
            before: Some(before),
            used_up: vec![SecretHash::of("long ago")],
        }
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
        assert_eq!(judge(&trust(), "long ago", "203.0.113.7", 105), Judgement::Copied);
    }

    #[test]
    fn a_second_tab_is_no_thief() {
        assert_eq!(judge(&trust(), "before", "203.0.113.7", 110), Judgement::JustChanged);
        let waits = trust().renewed(SecretHash::of("next"), at(200));
        assert_eq!(
            judge(&waits, "now", "198.51.100.1", 210),
            Judgement::JustChanged,
            "by another network too"
        );
    }

    #[test]
    fn the_secret_of_now_is_taken_from_anywhere_until_the_last_moment() {
        assert_eq!(judge(&trust(), "now", "198.51.100.1", 999), Judgement::Trusted);
    }

    #[test]
    fn an_answer_that_was_lost_makes_nobody_a_thief_and_its_secret_is_worth_nothing() {
        let lost = trust().renewed(SecretHash::of("lost"), at(200));
        assert_eq!(judge(&lost, "now", "203.0.113.7", 300), Judgement::Trusted);
        let again = lost.renewed(SecretHash::of("next"), at(300));
        assert_eq!(judge(&again, "now", "203.0.113.7", 400), Judgement::Trusted, "lost a second time");
        assert_eq!(judge(&again, "next", "203.0.113.7", 400), Judgement::Trusted);
        assert_eq!(judge(&again, "lost", "203.0.113.7", 400), Judgement::Copied, "somebody has it after all");
    }

    #[test]
    fn once_the_next_secret_was_seen_the_one_before_is_used_up() {
        let next = SecretHash::of("next");
        let seen = trust().renewed(next, at(200)).seen(&next, "203.0.113.7", at(201));
        assert_eq!((seen.current, seen.next), (next, None));
        assert_eq!(judge(&seen, "next", "203.0.113.7", 300), Judgement::Trusted);
        assert_eq!(judge(&seen, "now", "203.0.113.7", 205), Judgement::JustChanged, "a tab that was slow");
        assert_eq!(judge(&seen, "now", "198.51.100.1", 205), Judgement::Copied);
        assert_eq!(judge(&seen, "now", "203.0.113.7", 300), Judgement::Copied);
        assert_eq!(judge(&seen, "before", "203.0.113.7", 300), Judgement::Copied);
        let other = SecretHash::of("now");
        let not = trust().renewed(next, at(200)).seen(&other, "203.0.113.7", at(201));
        assert_eq!(not.current, other, "only the next one moves it on");
    }

    #[test]
    fn no_more_is_remembered_than_fits() {
        let many = (0..40).fold(trust(), |trust, number| {
            let next = SecretHash::of(&format!("next {number}"));
            trust.renewed(next, at(200)).seen(&next, "203.0.113.7", at(200))
        });
        assert_eq!(many.used_up.len(), REMEMBERED);
        assert_eq!(judge(&many, "next 37", "203.0.113.7", 300), Judgement::Copied);
        assert_eq!(judge(&many, "next 1", "203.0.113.7", 300), Judgement::Refused);
    }
}
