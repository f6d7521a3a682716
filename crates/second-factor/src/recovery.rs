//! Saved recovery codes (NIST SP 800-63B-4, 4.2.1.1): ten, each good once, shown once, 80 bits each.
//!
//! What is kept of a code is an HMAC under a key of the installation's own, with the person in it: the copy of a database
//! alone lets nobody try codes, and the same code of two persons is kept as two different things.

use std::fmt;

use zeroize::Zeroizing;

use crate::base32;
use crate::tag::TagKey;

/// How many are made at once.
pub const COUNT: usize = 10;

/// Random bytes of one.
pub const BYTES: usize = 10;

/// What keeps these tags apart from others under the same key.
const PURPOSE: &str = "recovery code";

/// A recovery code, or a code that an administrator gives out so that a factor can be bound.
#[derive(Clone)]
pub struct RecoveryCode(Zeroizing<String>);

impl RecoveryCode {
    /// From random bytes: sixteen letters and digits.
    pub fn new(bytes: [u8; BYTES]) -> Self {
        Self(Zeroizing::new(base32::encode(&bytes)))
    }

    /// As somebody typed it: in either case, with spaces and hyphens wherever they like, with 0 for O, 1 for I and 8 for B,
    /// which the alphabet lacks. `None` where it cannot be one.
    pub fn typed(text: &str) -> Option<Self> {
        let mut read = Zeroizing::new(String::with_capacity(16));
        for letter in text.chars().filter(|it| !it.is_whitespace() && *it != '-') {
            let letter = match letter.to_ascii_uppercase() {
                '0' => 'O',
                '1' => 'I',
                '8' => 'B',
                letter => letter,
            };
            if read.len() == 16 || !matches!(letter, 'A'..='Z' | '2'..='7') {
                return None;
            }
            read.push(letter);
        }
        (read.len() == 16).then_some(Self(read))
    }

    /// What is kept of it.
    pub fn tag(&self, key: &TagKey, person: &str) -> String {
        // A person is one word, so this is written in no other way.
        let both = Zeroizing::new(format!("{person} {}", self.0.as_str()));
        key.tag(PURPOSE, &both)
    }

    /// For people: four groups of four. Never log what this returns.
    pub fn spelled(&self) -> Zeroizing<String> {
        let text = self.0.as_str();
        Zeroizing::new([&text[..4], &text[4..8], &text[8..12], &text[12..]].join("-"))
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RecoveryCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> RecoveryCode {
        RecoveryCode::new([0, 1, 2, 3, 4, 250, 251, 252, 253, 254])
    }

    #[test]
    fn what_cannot_be_a_code_is_none() {
        for text in [
            "",
            "AAAA",
            "AAAA-AAAA-AAAA-AAA",
            "AAAA-AAAA-AAAA-AAAAA",
            "AAAA-AAAA-AAAA-AAA9",
            "ÄAAAAAAAAAAAAAAA",
        ] {
            assert!(RecoveryCode::typed(text).is_none(), "{text}");
        }
    }

    #[test]
    fn it_is_read_however_it_was_copied() {
        let key = TagKey::new([1; 32]);
        let spelled = code().spelled();
        let slips = spelled.replace('O', "0").replace('I', "1").replace('B', "8");
        for typed in [spelled.to_lowercase(), spelled.replace('-', ""), spelled.replace('-', "  "), slips] {
            let typed = RecoveryCode::typed(&typed).expect("it is the code");
            assert_eq!(typed.tag(&key, "ps_1"), code().tag(&key, "ps_1"));
        }
    }

    #[test]
    fn what_is_kept_differs_with_the_person_and_the_key() {
        let (one, two) = (TagKey::new([1; 32]), TagKey::new([2; 32]));
        assert_ne!(code().tag(&one, "ps_1"), code().tag(&one, "ps_2"));
        assert_ne!(code().tag(&one, "ps_1"), code().tag(&two, "ps_1"));
    }

    #[test]
    fn it_is_printed_nowhere() {
        assert_eq!(format!("{:?}", code()), "RecoveryCode(…)");
    }
}
