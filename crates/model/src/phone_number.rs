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

    /// Whether it has as many digits as there are in a number: seven at least, and of the plan that fixes more, that of +1,
    /// ten, of which neither the area's nor the exchange's begin with 0 or 1 (NANPA). A number that was typed with a digit
    /// too few or too many there is nobody's.
    pub fn is_possible(&self) -> bool {
        if self.calling_code() != 1 {
            return self.0 >= 1_000_000;
        }
        (12_000_000_000..20_000_000_000).contains(&self.0) && self.0 / 1_000_000 % 10 >= 2
    }

    /// The country code that it begins with: one to three digits (ITU-T E.164, annex A).
    pub fn calling_code(&self) -> u64 {
        let length = self.0.checked_ilog10().unwrap_or(0) + 1;
        let first = |count: u32| self.0 / 10_u64.pow(length.saturating_sub(count));
        match first(1) {
            code @ (1 | 7) => code,
            _ if TWO_DIGIT_CODES.contains(&first(2)) => first(2),
            _ => first(3),
        }
    }
}

/// Country codes of two digits; but for 1 and 7 all others have three.
const TWO_DIGIT_CODES: [u64; 44] = [
    20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58,
    60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
];

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
    fn a_number_with_a_digit_too_few_or_too_many_is_impossible_where_the_plan_says_how_many_there_are() {
        let is_possible = |text: &str| PhoneNumber::parse(text).unwrap().is_possible();
        for text in ["+14155550100", "+12025550143", "+18765550100", "+19999999999", "+12002000000"] {
            assert!(is_possible(text), "{text}");
        }
        for text in [
            "+1415555",
            "+1415555010",
            "+141555501000",
            "+141555501000000",
            "+10155550100",
            "+11155550100",
            "+14150550100",
            "+14151550100",
        ] {
            assert!(!is_possible(text), "{text}");
        }
        // Elsewhere lengths differ within a country.
        for (text, possible) in [("+2905123", true), ("+290512", false), ("+491511234567890", true)] {
            assert_eq!(is_possible(text), possible, "{text}");
        }
    }

    #[test]
    fn the_longest_number_fits() {
        assert_eq!(PhoneNumber::parse("+999999999999999").unwrap().digits(), 999_999_999_999_999);
    }
}
