//! Codes: derived when they are sent and again when they are checked, so that none is ever stored.
//!
//! A code is a truncated HMAC-SHA-256 over everything that it is bound to: the random id of its challenge, the
//! application, the purpose, and the number it goes to. Whoever reads the database learns no code without the
//! installation's key, and a code that was sent for one thing is not the code of another (OWASP ASVS 6.6.2).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use ringfence_model::PhoneNumber;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What the derivation is called, so that the key's other uses never give the same bytes.
const DOMAIN: &[u8] = b"ringfence second-factor code 1";

/// The key that codes are derived with, one for an installation. It is not in the database in clear.
#[derive(Clone)]
pub struct CodeKey(Zeroizing<[u8; 32]>);

impl CodeKey {
    /// From 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    fn mac(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(self.0.as_slice()).expect("HMAC takes a key of any length")
    }
}

impl fmt::Debug for CodeKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CodeKey(…)")
    }
}

/// A part after its length, so that no two lists of parts are the same bytes.
fn update(mac: &mut Hmac<Sha256>, part: &[u8]) {
    mac.update(&(part.len() as u64).to_be_bytes());
    mac.update(part);
}

/// How many digits a code has: 6 to 10. NIST SP 800-63B-4, 3.1.3.2 demands six; Twilio's ten are the most that people
/// are asked to type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeLength(u8);

/// The length is not 6 to 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code has 6 to 10 digits")]
pub struct InvalidCodeLength;

impl CodeLength {
    /// Six digits.
    pub const SIX: Self = Self(6);

    /// A length that is allowed.
    pub fn new(digits: u8) -> Result<Self, InvalidCodeLength> {
        if (6..=10).contains(&digits) { Ok(Self(digits)) } else { Err(InvalidCodeLength) }
    }

    /// The number of digits.
    pub fn digits(self) -> u8 {
        self.0
    }

    /// How many codes there are of this length.
    pub fn codes(self) -> u64 {
        10_u64.pow(u32::from(self.0))
    }
}

impl Default for CodeLength {
    fn default() -> Self {
        Self::SIX
    }
}

/// What a code is bound to. Two that differ anywhere have codes that have nothing to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound<'a> {
    /// The challenge's id, which is random and never used again.
    pub challenge: &'a str,
    /// Whose users are asked.
    pub application: &'a str,
    /// What the code is for: signing in, adding a number.
    pub purpose: &'a str,
    /// Where it goes to.
    pub number: PhoneNumber,
}

/// A code. It has no `Display` and a redacted `Debug`; two are compared in constant time.
#[derive(Clone)]
pub struct Code(Zeroizing<String>);

impl Code {
    /// The code of what it is bound to.
    pub fn derive(key: &CodeKey, bound: &Bound<'_>, length: CodeLength) -> Self {
        let mut mac = key.mac();
        mac.update(DOMAIN);
        let number = bound.number.digits().to_be_bytes();
        for part in
            [bound.challenge.as_bytes(), bound.application.as_bytes(), bound.purpose.as_bytes(), &number]
        {
            update(&mut mac, part);
        }
        mac.update(&[length.0]);
        let tag = mac.finalize().into_bytes();
        let (head, _) = tag.split_at(16);
        let wide = u128::from_be_bytes(head.try_into().expect("sixteen bytes were split off"));
        // 2^128 is no multiple of 10^n: the codes below the remainder are likelier by 10^10 in 2^128, which nobody
        // can tell from none.
        let number = wide % u128::from(length.codes());
        Self(Zeroizing::new(format!("{number:0width$}", width = usize::from(length.0))))
    }

    /// A code that the application chose itself, such as Twilio Verify's `CustomCode`.
    pub fn chosen(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// Whether somebody typed this code. Spaces and hyphens are how people copy digits and count for nothing.
    pub fn is(&self, typed: &str) -> bool {
        let typed: Zeroizing<String> =
            Zeroizing::new(typed.chars().filter(|&it| !it.is_whitespace() && it != '-').collect());
        self.0.as_bytes().ct_eq(typed.as_bytes()).into()
    }

    /// The code itself, for the text or the call that carries it. Never log what this returns.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Code(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn key() -> CodeKey {
        CodeKey::new([7; 32])
    }

    fn number(text: &str) -> PhoneNumber {
        PhoneNumber::parse(text).expect("a number of the test")
    }

    fn bound() -> Bound<'static> {
        Bound {
            challenge: "VE0123456789abcdef0123456789abcdef",
            application: "VA0123456789abcdef0123456789abcdef",
            purpose: "verification",
            number: number("+14155550100"),
        }
    }

    #[test]
    fn a_code_of_fewer_than_six_or_more_than_ten_digits_cannot_be_asked_for() {
        for digits in [0, 4, 5, 11, 255] {
            assert_eq!(CodeLength::new(digits), Err(InvalidCodeLength), "{digits}");
        }
    }

    #[test]
    fn a_length_is_kept_and_six_is_what_nothing_else_was_said() {
        assert_eq!(
            [6, 7, 10].map(|digits| CodeLength::new(digits).map(CodeLength::digits)),
            [Ok(6), Ok(7), Ok(10)]
        );
        assert_eq!(CodeLength::default(), CodeLength::SIX);
    }

    #[test]
    fn a_code_for_one_thing_is_not_the_code_of_another() {
        let ten = CodeLength::new(10).expect("ten is allowed");
        let other = Bound { number: number("+14155550101"), ..bound() };
        let codes: BTreeSet<String> = [
            Code::derive(&key(), &bound(), ten),
            Code::derive(&CodeKey::new([8; 32]), &bound(), ten),
            Code::derive(&key(), &Bound { challenge: "VE1", ..bound() }, ten),
            Code::derive(&key(), &Bound { application: "VA1", ..bound() }, ten),
            Code::derive(&key(), &Bound { purpose: "sign-in", ..bound() }, ten),
            Code::derive(&key(), &other, ten),
            // What stands at the border of two parts belongs to one of them.
            Code::derive(&key(), &Bound { application: "VA", purpose: "x", ..bound() }, ten),
            Code::derive(&key(), &Bound { application: "V", purpose: "Ax", ..bound() }, ten),
        ]
        .iter()
        .map(|code| code.expose().to_owned())
        .collect();
        assert_eq!(codes.len(), 8, "{codes:?}");
    }

    #[test]
    fn the_shorter_code_is_no_part_of_the_longer() {
        let six = Code::derive(&key(), &bound(), CodeLength::SIX);
        let eight = Code::derive(&key(), &bound(), CodeLength::new(8).expect("eight is allowed"));
        assert!(!eight.expose().ends_with(six.expose()));
    }

    #[test]
    fn nothing_prints_a_code_or_the_key() {
        let code = Code::derive(&key(), &bound(), CodeLength::SIX);
        assert_eq!(format!("{code:?} {:?}", key()), "Code(…) CodeKey(…)");
    }

    #[test]
    fn each_digit_is_as_likely_as_the_others() {
        let mut seen = [[0_u32; 10]; 6];
        for round in 0..20_000 {
            let challenge = format!("VE{round:032x}");
            let code = Code::derive(&key(), &Bound { challenge: &challenge, ..bound() }, CodeLength::SIX);
            for (place, digit) in code.expose().bytes().enumerate() {
                seen[place][usize::from(digit - b'0')] += 1;
            }
        }
        // 2,000 of each are expected, with a deviation of 42; five of those happen by chance once in 10,000 runs of this
        // loop, and the loop is always the same.
        for (place, digits) in seen.iter().enumerate() {
            for (digit, count) in digits.iter().enumerate() {
                assert!((1_790..=2_210).contains(count), "digit {digit} at {place}: {count} times");
            }
        }
    }

    proptest! {
        #[test]
        fn only_the_code_itself_is_the_code(typed in ".{0,12}", challenge in "VE[0-9a-f]{32}") {
            let code = Code::derive(&key(), &Bound { challenge: &challenge, ..bound() }, CodeLength::SIX);
            let bare: String = typed.chars().filter(|it| !it.is_whitespace() && *it != '-').collect();
            prop_assert_eq!(code.is(&typed), bare == code.expose());
            prop_assert!(code.is(code.expose()));
            let (left, right) = code.expose().split_at(3);
            let spaced = format!(" {left} {right}\n");
            let hyphenated = format!("{left}-{right}");
            prop_assert!(code.is(&spaced) && code.is(&hyphenated));
        }

        #[test]
        fn a_code_has_the_digits_that_were_asked_for(digits in 6_u8..=10, challenge in "VE[0-9a-f]{32}") {
            let length = CodeLength::new(digits).expect("it is in the range");
            let code = Code::derive(&key(), &Bound { challenge: &challenge, ..bound() }, length);
            prop_assert_eq!(code.expose().len(), usize::from(digits));
            prop_assert!(code.expose().bytes().all(|it| it.is_ascii_digit()));
        }
    }
}
