//! Codes of authenticator applications (TOTP, RFC 6238): six digits, SHA-1, thirty seconds, which every application knows.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::base32;

/// Seconds of a step.
const STEP: i64 = 30;

/// Steps before and after the present one that are taken: clocks of phones are a little off, and a code may end while it is typed
/// (RFC 6238, 5.2 advises one).
const SKEW: i64 = 1;

/// So many tries after a success may be a step off. Whoever has the application hits one of them; of whoever guesses, all others
/// are compared with the present code alone, so that the steps beside it do not treble the chance.
const FORGIVEN: u32 = 2;

/// How many codes are right at a time, after so many wrong ones in a row.
pub const fn codes_at_once(wrong_before: u32) -> u32 {
    if wrong_before < FORGIVEN { 3 } else { 1 }
}

/// Unreserved characters of RFC 3986 are left as they are.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What both sides know: 160 random bits (RFC 4226, 4: R6).
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 20]>);

/// A step whose code was shown. Each is taken once, and none that is older (RFC 6238, 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step(i64);

impl Step {
    /// As it was stored.
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// To be stored.
    pub const fn number(self) -> i64 {
        self.0
    }
}

impl Seed {
    /// From 20 random bytes.
    pub fn new(bytes: [u8; 20]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// To be sealed and stored.
    pub fn bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// For whoever types it: groups of four.
    pub fn spelled(&self) -> Zeroizing<String> {
        let text = Zeroizing::new(base32::encode(self.0.as_slice()));
        let mut spelled = Zeroizing::new(String::with_capacity(40));
        for (place, letter) in text.chars().enumerate() {
            if place > 0 && place % 4 == 0 {
                spelled.push(' ');
            }
            spelled.push(letter);
        }
        spelled
    }

    /// The address in the picture that an application scans (Google Authenticator's Key URI Format).
    pub fn uri(&self, issuer: &str, account: &str) -> Zeroizing<String> {
        let text = Zeroizing::new(base32::encode(self.0.as_slice()));
        // There is one colon, between the two: applications split there, escaped or not.
        let (issuer, account) = (issuer.replace(':', " "), account.replace(':', " "));
        let issuer = utf8_percent_encode(&issuer, COMPONENT);
        let account = utf8_percent_encode(&account, COMPONENT);
        Zeroizing::new(format!("otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}", text.as_str()))
    }

    /// The step whose code this is, if it is one of now and later than the last that was taken. After some wrong ones in a row
    /// the [steps beside](codes_at_once) the present one are not taken any more.
    pub fn check(&self, typed: &str, last: Option<Step>, wrong_before: u32, now: Timestamp) -> Option<Step> {
        let typed: Zeroizing<String> =
            Zeroizing::new(typed.chars().filter(|it| !it.is_whitespace()).collect());
        let present = now.as_second().div_euclid(STEP);
        let skew = if codes_at_once(wrong_before) == 1 { 0 } else { SKEW };
        let mut found = None;
        // All are compared, so the time tells nothing of which it was.
        for step in (present - skew)..=(present + skew) {
            let is_it: bool = self.code(step).as_bytes().ct_eq(typed.as_bytes()).into();
            if is_it && found.is_none() {
                found = Some(Step(step));
            }
        }
        found.filter(|step| last.is_none_or(|last| *step > last))
    }

    /// The code of this moment, as the application shows it: for tests, and for who has no phone at hand.
    pub fn code_at(&self, now: Timestamp) -> Zeroizing<String> {
        self.code(now.as_second().div_euclid(STEP))
    }

    /// HOTP of the step (RFC 4226, 5.3).
    fn code(&self, step: i64) -> Zeroizing<String> {
        let mut mac =
            Hmac::<Sha1>::new_from_slice(self.0.as_slice()).expect("HMAC takes a key of any length");
        mac.update(&step.to_be_bytes());
        let tag = mac.finalize().into_bytes();
        let offset = usize::from(tag[19] & 15);
        let word = u32::from_be_bytes([tag[offset], tag[offset + 1], tag[offset + 2], tag[offset + 3]]);
        Zeroizing::new(format!("{:06}", (word & 0x7fff_ffff) % 1_000_000))
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seed(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> Seed {
        Seed::new(*b"12345678901234567890")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time of the test")
    }

    #[test]
    fn the_examples_of_the_rfc() {
        // RFC 6238, appendix B: the last six of eight digits.
        let examples = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ];
        for (second, code) in examples {
            assert_eq!(seed().code_at(at(second)).as_str(), code);
            assert!(seed().check(code, None, 0, at(second)).is_some());
        }
    }

    #[test]
    fn a_step_that_was_taken_is_not_taken_again_nor_is_an_older_one() {
        let now = at(1_000_000_000);
        let older = seed().code_at(at(1_000_000_000 - 30));
        let step = seed().check(&seed().code_at(now), None, 0, now).expect("it is the code of now");
        assert_eq!(seed().check(&seed().code_at(now), Some(step), 0, now), None);
        assert_eq!(seed().check(&older, Some(step), 0, now), None);
        let later = at(1_000_000_030);
        assert!(seed().check(&seed().code_at(later), Some(step), 0, later).is_some());
    }

    #[test]
    fn what_is_stored_is_read_back() {
        assert_eq!(Step::from_number(59_304_218).number(), 59_304_218);
        assert_eq!(Seed::new([7; 20]).bytes(), &[7; 20]);
    }

    #[test]
    fn a_clock_may_be_one_step_off_and_not_two() {
        let now = at(1_000_000_000);
        for (seconds, taken) in [(-60, false), (-30, true), (0, true), (30, true), (60, false)] {
            let code = seed().code_at(at(1_000_000_000 + seconds));
            assert_eq!(seed().check(&code, None, 0, now).is_some(), taken, "{seconds}");
        }
    }

    #[test]
    fn after_two_wrong_ones_only_the_code_of_this_moment_is_taken() {
        let now = at(1_000_000_000);
        for (wrong_before, right) in [(0, 3), (1, 3), (2, 1), (19, 1), (u32::MAX, 1)] {
            let codes = (-90..=90).step_by(30).map(|seconds| seed().code_at(at(1_000_000_000 + seconds)));
            let taken = codes.filter(|code| seed().check(code, None, wrong_before, now).is_some()).count();
            assert_eq!(taken, right, "{wrong_before}");
            assert_eq!(usize::try_from(codes_at_once(wrong_before)), Ok(right));
            assert!(seed().check(&seed().code_at(now), None, wrong_before, now).is_some());
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for typed in ["", "0", "28708", "2870820", "abcdef", "２８７０８２"] {
            assert_eq!(seed().check(typed, None, 0, at(59)), None, "{typed}");
        }
        assert!(seed().check(" 287 082 ", None, 0, at(59)).is_some());
    }

    #[test]
    fn a_name_cannot_break_out_of_the_address() {
        let uri = seed().uri("Ringfence & Co:a", "a@b.example?secret=X&x:y/z");
        assert_eq!(
            uri.as_str(),
            "otpauth://totp/Ringfence%20%26%20Co%20a:a%40b.example%3Fsecret%3DX%26x%20y%2Fz\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Ringfence%20%26%20Co%20a"
        );
    }

    #[test]
    fn it_is_spelled_in_groups_and_printed_nowhere() {
        assert_eq!(seed().spelled().as_str(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        assert_eq!(format!("{:?}", seed()), "Seed(…)");
    }
}
