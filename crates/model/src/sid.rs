//! Twilio's names for its things.

use std::fmt;
use std::str::FromStr;

/// A SID: two capital letters that say what it names (`AC` an account, `SM` a message) and 32 hex digits.
///
/// Twilio writes the digits in lower case and its documents accept both; here they are one SID, written in lower
/// case (pattern `^XX[0-9a-fA-F]{32}$` of Twilio's OpenAPI documents).
///
/// ```
/// use ringfence_model::Sid;
///
/// let sid = Sid::parse("AC00000000000000000000000000000ABC").unwrap();
/// assert!(sid.is("AC"));
/// assert_eq!(sid.to_string(), "AC00000000000000000000000000000abc");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid {
    prefix: [u8; 2],
    number: [u8; 16],
}

/// The text is not two capital letters and 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidSid;

impl Sid {
    /// A SID from its parts. The prefix is two ASCII capital letters; other bytes are written as they are.
    pub const fn new(prefix: [u8; 2], number: u128) -> Self {
        Self { prefix, number: number.to_be_bytes() }
    }

    /// Reads a SID; nothing is trimmed.
    pub fn parse(text: &str) -> Result<Self, InvalidSid> {
        let bytes = text.as_bytes();
        let (prefix, digits) = bytes.split_at_checked(2).ok_or(InvalidSid)?;
        let well_formed = digits.len() == 32
            && prefix.iter().all(u8::is_ascii_uppercase)
            && digits.iter().all(u8::is_ascii_hexdigit);
        if !well_formed {
            return Err(InvalidSid);
        }
        let number = u128::from_str_radix(&text[2..], 16).map_err(|_| InvalidSid)?;
        Ok(Self::new([prefix[0], prefix[1]], number))
    }

    /// Whether it names this kind of thing: `sid.is("AC")`.
    pub fn is(&self, prefix: &str) -> bool {
        self.prefix == prefix.as_bytes()
    }
}

impl FromStr for Sid {
    type Err = InvalidSid;

    fn from_str(text: &str) -> Result<Self, InvalidSid> {
        Self::parse(text)
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.prefix.map(char::from);
        write!(formatter, "{first}{second}{:032x}", u128::from_be_bytes(self.number))
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Sid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Sid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for InvalidSid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a SID is two capital letters and 32 hex digits")
    }
}

impl std::error::Error for InvalidSid {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_sid_is_refused() {
        for text in [
            "",
            "A",
            "AC",
            "ac00000000000000000000000000000001",
            "AC0000000000000000000000000000001",
            "AC000000000000000000000000000000001",
            "AC0000000000000000000000000000000g",
            "AC+0000000000000000000000000000001",
            " C00000000000000000000000000000001",
            "ÄC0000000000000000000000000000001",
        ] {
            assert_eq!(Sid::parse(text), Err(InvalidSid), "{text}");
        }
    }

    #[test]
    fn either_case_of_the_digits_is_the_same_sid() {
        let lower = Sid::parse("SMabcdef00000000000000000000000001");
        assert_eq!(lower, Sid::parse("SMABCDEF00000000000000000000000001"));
        assert_eq!(lower.unwrap().to_string(), "SMabcdef00000000000000000000000001");
    }

    #[test]
    fn the_prefix_tells_the_kind() {
        let sid = Sid::new(*b"CA", 1);
        assert!(sid.is("CA") && !sid.is("AC") && !sid.is("C") && !sid.is(""));
    }
}
