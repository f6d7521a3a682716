//! The country that a phone number belongs to, as far as its digits tell.
//!
//! Whoever allows a country means its prices: so islands that share a calling code with their big neighbour are countries
//! of their own here, and a number that is no country's has none and is never sent to. The digits do not tell whether
//! anybody can be reached there; Twilio's Lookup does.

#[expect(
    clippy::unreadable_literal,
    reason = "they are beginnings of phone numbers, which are not read in thousands"
)]
mod table;

use std::fmt;
use std::str::FromStr;

use super::PhoneNumber;

/// A country, by the two letters of ISO 3166-1: `US`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct Country([u8; 2]);

/// The text is not the code of a country that has phone numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a country is two capital letters of ISO 3166, such as US, and has phone numbers")]
pub struct InvalidCountry;

impl Country {
    /// The country of a number; `None` where it is no country's, or one that nobody carries, such as a premium number.
    pub fn of(number: PhoneNumber) -> Option<Self> {
        let country = longest(number, table::PREFIXES, |(prefix, _)| *prefix)?;
        let nobodys = longest(number, table::NOBODYS, |prefix| *prefix);
        // The Isle of Man has mobile numbers among the pagers.
        match nobodys {
            Some(nobodys) if *nobodys >= country.0 => None,
            _ => Self::parse(country.1).ok(),
        }
    }

    /// The country whose numbering plan the number is of, even where nobody carries such a number.
    pub fn of_plan(number: PhoneNumber) -> Option<Self> {
        longest(number, table::PREFIXES, |(prefix, _)| *prefix).and_then(|(_, iso)| Self::parse(iso).ok())
    }

    /// Reads two capital letters.
    pub fn parse(text: &str) -> Result<Self, InvalidCountry> {
        match text.as_bytes() {
            &[first, second] if table::PREFIXES.iter().any(|(_, iso)| *iso == text) => {
                Ok(Self([first, second]))
            }
            _ => Err(InvalidCountry),
        }
    }

    /// The two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("it was made of two ASCII letters")
    }
}

/// The entry with the longest prefix of the number.
fn longest<T>(number: PhoneNumber, entries: &[T], prefix: impl Fn(&T) -> u32) -> Option<&T> {
    let mut digits = number.digits();
    while digits > 9_999_999 {
        digits /= 10;
    }
    while digits > 0 {
        if let Some(entry) = entries.iter().find(|entry| u64::from(prefix(entry)) == digits) {
            return Some(entry);
        }
        digits /= 10;
    }
    None
}

impl FromStr for Country {
    type Err = InvalidCountry;

    fn from_str(text: &str) -> Result<Self, InvalidCountry> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Country {
    type Error = InvalidCountry;

    fn try_from(text: String) -> Result<Self, InvalidCountry> {
        Self::parse(&text)
    }
}

impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.to_string()
    }
}

impl fmt::Display for Country {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: &str) -> Option<String> {
        Country::of(PhoneNumber::parse(number).expect("a number of the test")).map(|it| it.to_string())
    }

    #[test]
    fn what_is_no_countrys_or_nobodys_has_no_country() {
        for number in [
            "+881612345678",  // satellites
            "+882161234567",  // global networks
            "+979123456789",  // premium, international
            "+80012345678",   // freephone, international
            "+19005550123",   // premium
            "+15005550006",   // personal; Twilio's magic numbers too
            "+18005550123",   // freephone
            "+447012345678",  // personal numbering
            "+447612345678",  // pagers
            "+449012345678",  // premium
            "+4990012345678", // premium
            "+33890123456",   // premium
            "+999123456789",
        ] {
            assert_eq!(of(number), None, "{number}");
        }
        let plan = |number| PhoneNumber::parse(number).ok().and_then(Country::of_plan);
        assert_eq!(plan("+18005550123"), Country::parse("US").ok());
        assert_eq!(plan("+881612345678"), None);
    }

    #[test]
    fn islands_are_countries_of_their_own() {
        for (number, country) in [
            ("+14155550100", "US"),
            ("+14165550100", "CA"),
            ("+18765550100", "JM"),
            ("+14735550100", "GD"),
            ("+447700900123", "GB"),
            ("+447781123456", "GG"),
            ("+447797123456", "JE"),
            ("+447624123456", "IM"),
            ("+79161234567", "RU"),
            ("+77011234567", "KZ"),
            ("+262639123456", "YT"),
            ("+262692123456", "RE"),
            ("+4915112345678", "DE"),
            ("+390669812345", "VA"),
            ("+393331234567", "IT"),
        ] {
            assert_eq!(of(number).as_deref(), Some(country), "{number}");
        }
    }

    #[test]
    fn a_country_is_two_capital_letters_that_exist() {
        for text in ["", "U", "us", "USA", "ZZ", "U\u{e9}", "1A"] {
            assert_eq!(Country::parse(text), Err(InvalidCountry), "{text}");
        }
        assert_eq!("GB".parse::<Country>().map(|it| it.to_string()), Ok("GB".to_owned()));
    }

    #[test]
    fn the_table_is_in_order_and_names_each_prefix_once() {
        assert!(table::PREFIXES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (prefix, iso) in table::PREFIXES {
            assert!(Country::parse(iso).is_ok() && *prefix <= 9_999_999, "{prefix} {iso}");
        }
    }
}
