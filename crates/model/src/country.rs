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

#[cfg(test)]
#[expect(clippy::unreadable_literal, reason = "they are phone numbers, which are not read in thousands")]
mod examples;
#[expect(
    clippy::unreadable_literal,
    reason = "they are beginnings of phone numbers, which are not read in thousands"
)]
mod nobodys;

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
        let (prefix, country) = Self::prefix_of(number)?;
        // The Isle of Man has mobile numbers among the pagers.
        let is_nobodys = nobodys_of(number).is_some_and(|nobodys| nobodys >= prefix);
        (!is_nobodys).then_some(country)
    }

    /// The country whose numbering plan the number is of, even where nobody carries such a number.
    pub fn of_plan(number: PhoneNumber) -> Option<Self> {
        Self::prefix_of(number).map(|(_, country)| country)
    }

    fn prefix_of(number: PhoneNumber) -> Option<(u32, Self)> {
        beginnings(number).find_map(|digits| {
            let place = table::PREFIXES.binary_search_by_key(&digits, |(prefix, _)| *prefix).ok()?;
            let &[first, second] = table::PREFIXES.get(place)?.1.as_bytes() else { return None };
            Some((digits, Self([first, second])))
        })
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

/// The beginning by which a number is nobody's, where it is.
fn nobodys_of(number: PhoneNumber) -> Option<u32> {
    let begins = |nobodys: u32| beginnings(number).any(|digits| digits == nobodys);
    let whole = beginnings(number).next().map(first_seven)?;
    // None begins with another, so what the number begins with is the last one that is not after it.
    let after = nobodys::NOBODYS.partition_point(|nobodys| first_seven(*nobodys) <= whole);
    let last = after.checked_sub(1).and_then(|place| nobodys::NOBODYS.get(place).copied());
    let length = number.digits().checked_ilog10()? + 1;
    let of_length = nobodys::NOBODYS_OF_LENGTH.iter().filter(|(_, digits)| *digits == length);
    last.into_iter().chain(of_length.map(|(nobodys, _)| *nobodys)).find(|nobodys| begins(*nobodys))
}

/// At most seven digits, with zeros to the right until there are seven.
fn first_seven(mut digits: u32) -> u32 {
    while (1..1_000_000).contains(&digits) {
        digits *= 10;
    }
    digits
}

/// The beginnings of a number, from the longest that the tables have on.
fn beginnings(number: PhoneNumber) -> impl Iterator<Item = u32> {
    let mut longest = number.digits();
    while longest > 9_999_999 {
        longest /= 10;
    }
    let longest = u32::try_from(longest).ok().filter(|digits| *digits > 0);
    std::iter::successors(longest, |digits| Some(digits / 10).filter(|digits| *digits > 0))
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
    fn no_example_of_a_number_of_nobodys_has_a_country_and_each_of_a_persons_has() {
        for number in examples::NOBODYS {
            assert_eq!(of(&format!("+{number}")), None, "{number}");
        }
        for number in examples::PEOPLES {
            assert!(of(&format!("+{number}")).is_some(), "{number}");
        }
        assert!(examples::NOBODYS.len() > 350 && examples::PEOPLES.len() > 450);
    }

    #[test]
    fn where_numbers_of_people_begin_alike_the_number_of_digits_tells() {
        for (nobodys, persons) in [
            ("+3531520123456", "+35315201234"), // premium, and a landline in Dublin
            ("+601600123456", "+60160012345"),  // premium, and a mobile
            ("+661800123456", "+66180012345"),  // freephone, and a landline's digits
            ("+96190123456", "+9613123456"),    // premium, and a mobile
        ] {
            assert_eq!(of(nobodys), None, "{nobodys}");
            assert!(of(persons).is_some(), "{persons}");
        }
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
        let begins = |long: u32, short: u32| long.to_string().starts_with(&short.to_string());
        for pair in nobodys::NOBODYS.windows(2) {
            assert!(first_seven(pair[0]) < first_seven(pair[1]) && !begins(pair[1], pair[0]), "{pair:?}");
        }
        let countrys = |nobodys: &u32| {
            let number = PhoneNumber::parse(&format!("+{nobodys}")).ok();
            number.and_then(Country::of_plan).is_some()
        };
        assert!(nobodys::NOBODYS.iter().all(countrys), "no country allows what is none's");
    }
}
