//! Telephone numbers as Twilio writes them.

use std::fmt;
use std::str::FromStr;

/// A telephone number in E.164: `+`, a country code that does not begin with 0, at most 15 digits.
///
/// Whether anybody can be reached there is another question. Its `Debug` hides all but the country's beginning and
/// the last two digits, since a number in a log is personal data.
///
/// ```
/// use ringfence_model::PhoneNumber;
///
/// let number = PhoneNumber::parse("+14155550100").unwrap();
/// assert_eq!(number.to_string(), "+14155550100");
/// assert_eq!(format!("{number:?}"), "+141…00");
/// assert!(PhoneNumber::parse("415-555-0100").is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber(u64);

/// The text is not `+` and 2 to 15 digits of which the first is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidPhoneNumber;

impl PhoneNumber {
    /// Reads a number; nothing is trimmed, and no separators are taken out.
    pub fn parse(text: &str) -> Result<Self, InvalidPhoneNumber> {
        let digits = text.strip_prefix('+').ok_or(InvalidPhoneNumber)?;
        let well_formed = (2..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !well_formed {
            return Err(InvalidPhoneNumber);
        }
        digits.parse().map(Self).map_err(|_| InvalidPhoneNumber)
    }

    /// The number without its `+`, as a number: at most 15 digits.
    pub fn digits(&self) -> u64 {
        self.0
    }
}

impl FromStr for PhoneNumber {
    type Err = InvalidPhoneNumber;

    fn from_str(text: &str) -> Result<Self, InvalidPhoneNumber> {
        Self::parse(text)
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "+{}", self.0)
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        if text.len() < 7 {
            return formatter.write_str("+…");
        }
        write!(formatter, "+{}…{}", &text[..3], &text[text.len() - 2..])
    }
}

impl fmt::Display for InvalidPhoneNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a phone number is +, the country code and the number: at most 15 digits")
    }
}

impl std::error::Error for InvalidPhoneNumber {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_e164_is_refused() {
        for text in
            ["", "+", "+1", "14155550100", "+0155550100", "+1415555010a", "+1 415", "+1234567890123456"]
        {
            assert_eq!(PhoneNumber::parse(text), Err(InvalidPhoneNumber), "{text}");
        }
    }

    #[test]
    fn the_longest_number_fits() {
        assert_eq!(PhoneNumber::parse("+999999999999999").unwrap().digits(), 999_999_999_999_999);
    }
}
