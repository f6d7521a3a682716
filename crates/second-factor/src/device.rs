//! Trusted devices: a browser that passed a challenge, remembered for one person and one account.
//!
//! The browser holds a token: the device, the number of its secret, and the secret. The number grows as the token is used,
//! so a stolen copy and the browser it was stolen from betray each other: whoever comes second presents a secret that was
//! used up, and the trust ends for both. A secret is derived from the key of its device and its number, so one that was
//! used up is known as such however many came after it: whoever copied a token cannot wear its trace off by using it.
//!
//! An answer can be lost on its way, and then the browser comes again with the secret that it has. So a secret is used up
//! only when the one after it was seen: until then both are good, and the one that was never seen is used up when another
//! takes its place. Two tabs that a browser opens at once both come with the same secret; they share the next one. Whoever
//! comes often gets no new secret within [`GRACE`] of the last change, so that what a slow tab still shows is never more
//! than one change old.

use std::fmt::{self, Write as _};

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use ringfence_model::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// For how long the secret before the present one is taken, and for how long at least each is kept.
pub const GRACE: SignedDuration = SignedDuration::from_secs(10);

/// How many devices a person may have trusted for one account; the one unused for the longest gives way.
pub const MOST: usize = 10;

const DOMAIN: &[u8] = b"ringfence trusted device 1";

/// The SHA-256 of a secret of 32 random bytes, which nobody finds by trying: of sessions, here and at protected hosts.
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
}

/// What the secrets of one device are derived with.
#[derive(Clone)]
pub struct DeviceKey(Zeroizing<[u8; 32]>);

impl DeviceKey {
    /// From 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// To be sealed and stored.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the browser of a device keeps: `device.number.secret`.
    pub fn token(&self, device: &str, number: u32) -> Secret {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.0.as_slice()).expect("HMAC takes a key of any length");
        mac.update(DOMAIN);
        mac.update(&number.to_be_bytes());
        mac.update(device.as_bytes());
        let mut token = format!("{device}.{number}.");
        for byte in mac.finalize().into_bytes() {
            // Writing to a text does not fail.
            let _ = write!(token, "{byte:02x}");
        }
        Secret::new(token)
    }

    /// The number of a token, if it was ever made for this device.
    pub fn number(&self, device: &str, token: &Secret) -> Option<u32> {
        if device_of(token) != Some(device) {
            return None;
        }
        let number = token.expose().split('.').nth(1)?.parse().ok()?;
        let genuine = self.token(device, number);
        let is_it = genuine.expose().as_bytes().ct_eq(token.expose().as_bytes());
        bool::from(is_it).then_some(number)
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DeviceKey(…)")
    }
}

/// The device that a token says it is of.
pub fn device_of(token: &Secret) -> Option<&str> {
    token.expose().split_once('.').map(|(device, _)| device)
}

/// What the installation knows of a trusted device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// From when on it is over, however often it is used: using it makes it no longer.
    pub expires_at: Timestamp,
    /// Whether it was ended.
    pub revoked: bool,
    /// The number of the secret of now: the latest that was seen.
    pub current: u32,
    /// The next one, and since when it is on its way: it was given out, and nobody has shown it yet. Those between it and
    /// the one of now were lost on their way.
    pub next: Option<(u32, Timestamp)>,
    /// The one before, since when it is used up, and from where the change was asked.
    pub before: Option<Before>,
}

/// A secret that was used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// Its number.
    pub number: u32,
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
    /// It is trusted, and was changed just now: it gets no other.
    JustChanged,
    /// The secret was used up before: there is a copy. The trust ends, and its owner is told.
    Copied,
    /// It is not trusted: over, revoked, or no secret of this device.
    Refused,
}

impl Trust {
    /// A device whose first secret is given out now.
    pub const fn begun(expires_at: Timestamp) -> Self {
        Self { expires_at, revoked: false, current: 0, next: None, before: None }
    }

    /// Judges a secret by its number, if it is [one of this device](DeviceKey::number), that came from this address.
    pub fn judge(&self, presented: Option<u32>, address: &str, now: Timestamp) -> Judgement {
        let Some(presented) = presented.filter(|_| !self.revoked && now < self.expires_at) else {
            return Judgement::Refused;
        };
        let just = |since: Timestamp| {
            let age = now.duration_since(since);
            age >= SignedDuration::ZERO && age <= GRACE
        };
        let next = self.next.map(|(number, _)| number);
        if presented == self.current || Some(presented) == next {
            let last = [self.next.map(|(_, since)| since), self.before.as_ref().map(|before| before.since)];
            let is_changed = last.into_iter().flatten().any(just);
            return if is_changed { Judgement::JustChanged } else { Judgement::Trusted };
        }
        let is_tab =
            |before: &Before| before.number == presented && just(before.since) && before.address == address;
        match &self.before {
            Some(before) if is_tab(before) => Judgement::JustChanged,
            // It was given out by what a backup of the store does not know of. That is no theft.
            _ if presented > next.unwrap_or(self.current) => Judgement::Refused,
            _ => Judgement::Copied,
        }
    }

    /// A secret was shown: where it is the next one, it is the secret of now, and the one before is used up.
    #[must_use]
    pub fn seen(mut self, presented: u32, address: &str, now: Timestamp) -> Self {
        if self.next.take_if(|(next, _)| *next == presented).is_some() {
            self.before = Some(Before { number: self.current, since: now, address: address.to_owned() });
            self.current = presented;
        }
        self
    }

    /// Another secret is on its way, with this number; one that was on its way before and never seen is used up.
    #[must_use]
    pub fn renewed(mut self, now: Timestamp) -> (Self, u32) {
        let last = self.next.map_or(self.current, |(number, _)| number);
        let number = last.saturating_add(1);
        self.next = Some((number, now));
        (self, number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time of the test")
    }

    /// Its secret of now is the seventh.
    fn trust() -> Trust {
        let before = Before { number: 6, since: at(100), address: "203.0.113.7".to_owned() };
        Trust { current: 7, before: Some(before), ..Trust::begun(at(1_000)) }
    }

    fn judge(trust: &Trust, number: u32, address: &str, second: i64) -> Judgement {
        trust.judge(Some(number), address, at(second))
    }

    fn renewed(trust: Trust, second: i64) -> Trust {
        trust.renewed(at(second)).0
    }

    #[test]
    fn what_is_over_revoked_or_unknown_is_refused() {
        assert_eq!(judge(&trust(), 7, "203.0.113.7", 1_000), Judgement::Refused);
        assert_eq!(trust().judge(None, "203.0.113.7", at(100)), Judgement::Refused);
        assert_eq!(judge(&trust(), 8, "203.0.113.7", 200), Judgement::Refused, "of after a backup");
        let revoked = Trust { revoked: true, ..trust() };
        assert_eq!(judge(&revoked, 7, "203.0.113.7", 100), Judgement::Refused);
        assert_eq!(judge(&revoked, 6, "203.0.113.7", 100), Judgement::Refused);
    }

    #[test]
    fn a_token_is_of_its_key_its_device_and_its_number() {
        let key = DeviceKey::new([1; 32]);
        let token = key.token("dv_1", 7);
        assert_eq!(key.number("dv_1", &token), Some(7));
        assert_eq!(device_of(&token), Some("dv_1"));
        assert_eq!(DeviceKey::new([2; 32]).number("dv_1", &token), None);
        assert_eq!(key.number("dv_2", &token), None);
        let text = token.expose();
        let secret = text.strip_prefix("dv_1.7.").expect("it has its parts");
        assert_eq!(secret.len(), 64);
        let forged = [
            format!("dv_1.8.{secret}"),
            format!("dv_1.07.{secret}"),
            format!("dv_1.+7.{secret}"),
            format!("dv_1.7.{}", secret.to_uppercase()),
            format!("{text}0"),
            text[..text.len() - 1].to_owned(),
            format!("dv_1.{secret}"),
            "dv_1.7.".to_owned(),
            "dv_1".to_owned(),
            String::new(),
        ];
        for forged in forged {
            assert_eq!(key.number("dv_1", &Secret::new(forged.as_str())), None, "{forged}");
        }
        assert_eq!(format!("{key:?}"), "DeviceKey(…)");
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let hash = SecretHash::of("secret");
        assert_eq!(SecretHash::from_bytes(*hash.bytes()), hash);
        assert_eq!(hash.bytes()[..4], [0x2b, 0xb8, 0x0d, 0x53], "its SHA-256");
        assert_eq!(DeviceKey::new([7; 32]).bytes(), &[7; 32]);
    }

    #[test]
    fn a_secret_that_was_used_up_tells_of_a_copy() {
        assert_eq!(judge(&trust(), 6, "203.0.113.7", 111), Judgement::Copied);
        assert_eq!(judge(&trust(), 6, "198.51.100.1", 105), Judgement::Copied, "from elsewhere");
        assert_eq!(judge(&trust(), 6, "203.0.113.7", 99), Judgement::Copied, "the clock went back");
        assert_eq!(judge(&trust(), 1, "203.0.113.7", 105), Judgement::Copied);
    }

    #[test]
    fn however_often_a_thief_changes_it_the_owner_s_is_known_to_be_used_up() {
        let mut stolen = Trust::begun(at(1_000_000));
        for change in 0..10_000 {
            let now = at(change * 11);
            assert_eq!(stolen.judge(Some(stolen.current), "198.51.100.1", now), Judgement::Trusted);
            let (renewed, number) = stolen.renewed(now);
            stolen = renewed.seen(number, "198.51.100.1", now);
        }
        for number in [0, 1, 9_000, 9_999] {
            assert_eq!(judge(&stolen, number, "203.0.113.7", 200_000), Judgement::Copied, "{number}");
        }
    }

    #[test]
    fn a_second_tab_is_no_thief() {
        assert_eq!(judge(&trust(), 6, "203.0.113.7", 110), Judgement::JustChanged);
        let waits = renewed(trust(), 200);
        assert_eq!(judge(&waits, 7, "198.51.100.1", 210), Judgement::JustChanged, "by another network too");
    }

    #[test]
    fn the_secret_of_now_is_taken_from_anywhere_until_the_last_moment() {
        assert_eq!(judge(&trust(), 7, "198.51.100.1", 999), Judgement::Trusted);
    }

    #[test]
    fn an_answer_that_was_lost_makes_nobody_a_thief_and_its_secret_is_worth_nothing() {
        let lost = renewed(trust(), 200);
        assert_eq!(judge(&lost, 7, "203.0.113.7", 300), Judgement::Trusted);
        let again = renewed(lost, 300);
        assert_eq!(judge(&again, 7, "203.0.113.7", 400), Judgement::Trusted, "lost a second time");
        assert_eq!(judge(&again, 9, "203.0.113.7", 400), Judgement::Trusted);
        assert_eq!(judge(&again, 8, "203.0.113.7", 400), Judgement::Copied, "somebody has it after all");
    }

    #[test]
    fn once_the_next_secret_was_seen_the_one_before_is_used_up() {
        let seen = renewed(trust(), 200).seen(8, "203.0.113.7", at(201));
        assert_eq!((seen.current, seen.next), (8, None));
        assert_eq!(judge(&seen, 8, "203.0.113.7", 300), Judgement::Trusted);
        assert_eq!(judge(&seen, 7, "203.0.113.7", 205), Judgement::JustChanged, "a tab that was slow");
        assert_eq!(judge(&seen, 7, "198.51.100.1", 205), Judgement::Copied);
        assert_eq!(judge(&seen, 7, "203.0.113.7", 300), Judgement::Copied);
        assert_eq!(judge(&seen, 6, "203.0.113.7", 300), Judgement::Copied);
        let not = renewed(trust(), 200).seen(7, "203.0.113.7", at(201));
        assert_eq!(not.current, 7, "only the next one moves it on");
    }

    #[test]
    fn whoever_comes_again_and_again_within_seconds_keeps_what_he_has() {
        // A browser that always shows the newest it was given, ten times a second, and one tab that lags nine seconds.
        let (mut trust, mut newest, mut shown) = (Trust::begun(at(1_000)), 0, Vec::new());
        for tenth in 0..1_000 {
            let now = at(0).saturating_add(SignedDuration::from_millis(100 * tenth)).expect("a time");
            let judged = trust.judge(Some(newest), "203.0.113.7", now);
            assert!(matches!(judged, Judgement::Trusted | Judgement::JustChanged), "{tenth}: {judged:?}");
            trust = trust.seen(newest, "203.0.113.7", now);
            shown.push(newest);
            if judged == Judgement::Trusted {
                (trust, newest) = trust.renewed(now);
            }
            if let Some(late) = shown.iter().rev().nth(90) {
                let late = trust.judge(Some(*late), "203.0.113.7", now);
                assert_eq!(late, Judgement::JustChanged, "{tenth}: the tab that lags");
            }
        }
        assert_eq!(newest, 10, "once in ten seconds it is changed");
    }
}
