//! What a phone number tells by its digits alone: its country, its kind of line, how people there write it.
//!
//! A numbering plan of our own, coarse on purpose: it knows every country code and what common countries' mobile
//! numbers begin with, and it takes the numbers that are set aside for fiction for real ones, since tests use them.
//!
//! In North America digits do not tell a mobile phone from a landline. There the last two digits decide, so that a
//! test can choose: `99` is a landline, `98` a fixed and `97` a non-fixed `VoIP` line, `96` is a mobile
//! phone that is known for SMS pumping; everything else is a mobile phone.

mod countries;

use ringfence_model::PhoneNumber;

use countries::{CONTINENTS, COUNTRIES, Plan, plan};

/// A country, by the digits that lead to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Country {
    /// `1`, `44`; for a part of the North American plan with its area code, `1242`.
    pub(crate) prefix: u16,
    /// ISO 3166: `US`.
    pub(crate) iso: &'static str,
    pub(crate) name: &'static str,
}

/// What kind of line a number leads to, as Lookup v2 names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineKind {
    Mobile,
    Landline,
    TollFree,
    FixedVoip,
    NonFixedVoip,
    Premium,
    Personal,
}

/// Why a text is no phone number, in the words of Lookup v2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invalid {
    TooShort,
    TooLong,
    PossibleOnly,
    CountryCode,
    NotANumber,
}

impl LineKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Mobile => "mobile",
            Self::Landline => "landline",
            Self::TollFree => "tollFree",
            Self::FixedVoip => "fixedVoip",
            Self::NonFixedVoip => "nonFixedVoip",
            Self::Premium => "premium",
            Self::Personal => "personal",
        }
    }
}

impl Invalid {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::TooShort => "TOO_SHORT",
            Self::TooLong => "TOO_LONG",
            Self::PossibleOnly => "INVALID_BUT_POSSIBLE",
            Self::CountryCode => "INVALID_COUNTRY_CODE",
            Self::NotANumber => "NOT_A_NUMBER",
        }
    }
}

impl Country {
    /// What is dialled before the national number: `1` for all of North America.
    pub(crate) fn calling_code(&self) -> u16 {
        if self.prefix.to_string().starts_with('1') { 1 } else { self.prefix }
    }
}

/// The country that a number's digits lead to.
pub(crate) fn country_of(number: PhoneNumber) -> Option<&'static Country> {
    let digits = number.digits().to_string();
    (1..=4).rev().filter_map(|length| digits.get(..length)?.parse().ok()).find_map(by_prefix)
}

/// The country with this ISO code, in any case; of those that share one, the first.
pub(crate) fn country_by_iso(iso: &str) -> Option<&'static Country> {
    COUNTRIES.iter().find(|country| country.iso.eq_ignore_ascii_case(iso))
}

/// A country's continent, as `NORTH_AMERICA`; empty for a code that no country has.
pub(crate) fn continent(iso: &str) -> &'static str {
    let has = |(_, countries): &&(&str, &str)| countries.split(' ').any(|it| it == iso);
    CONTINENTS.iter().find(has).map_or("", |(name, _)| name)
}

/// All countries, by prefix; a country that has several comes as often.
pub(crate) fn countries() -> impl Iterator<Item = &'static Country> {
    COUNTRIES.iter()
}

/// What the national part of a country's mobile numbers begins with; empty where digits do not tell.
pub(crate) fn mobile_beginnings(iso: &str) -> &'static [&'static str] {
    plan(iso).mobile
}

fn by_prefix(prefix: u16) -> Option<&'static Country> {
    let position = COUNTRIES.binary_search_by_key(&prefix, |country| country.prefix).ok()?;
    Some(&COUNTRIES[position])
}

/// Reads what people type: `+1 (415) 555-0100`, or `415 555 0100` with the country beside it.
pub(crate) fn read(text: &str, country: Option<&'static Country>) -> Result<PhoneNumber, Invalid> {
    let text = text.trim();
    let is_separator = |letter: char| matches!(letter, ' ' | '-' | '.' | '(' | ')' | '/');
    let digits: String = text.chars().filter(|letter| !is_separator(*letter)).collect();
    let (international, digits) = match digits.strip_prefix('+') {
        Some(digits) => (true, digits),
        None => (false, digits.as_str()),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(Invalid::NotANumber);
    }
    let number = if international {
        digits.to_owned()
    } else {
        let country = country.unwrap_or(&US);
        let code = country.calling_code();
        let digits = match plan(country.iso).trunk {
            "" => digits,
            trunk => digits.strip_prefix(trunk).unwrap_or(digits),
        };
        format!("{code}{digits}")
    };
    match number.len() {
        ..=6 => return Err(Invalid::TooShort),
        16.. => return Err(Invalid::TooLong),
        _ => {}
    }
    let number = PhoneNumber::parse(&format!("+{number}")).map_err(|_| Invalid::CountryCode)?;
    check(number).map(|()| number)
}

/// Where numbers without a country belong.
const US: Country = Country { prefix: 1, iso: "US", name: "United States" };

/// Whether the number can exist in its country.
pub(crate) fn check(number: PhoneNumber) -> Result<(), Invalid> {
    let country = country_of(number).ok_or(Invalid::CountryCode)?;
    let national = national_digits(number, country);
    let Plan { shortest, longest, .. } = plan(country.iso);
    if national.len() < shortest {
        return Err(Invalid::TooShort);
    }
    if national.len() > longest {
        return Err(Invalid::TooLong);
    }
    let begins_with_0_or_1 = |part: &str| part.starts_with(['0', '1']);
    if country.calling_code() == 1 && (begins_with_0_or_1(&national) || begins_with_0_or_1(&national[3..])) {
        return Err(Invalid::PossibleOnly);
    }
    Ok(())
}

/// How many digits the national numbers of a country usually have.
pub(crate) fn usual_length(country: &Country) -> usize {
    match plan(country.iso).longest {
        longest @ ..=10 => longest,
        _ => 10,
    }
}

/// As people of its country write it: `(415) 555-0100`, `07772 000001`.
pub(crate) fn national(number: PhoneNumber) -> String {
    let Some(country) = country_of(number) else { return number.to_string() };
    let digits = national_digits(number, country);
    let Plan { trunk, groups, .. } = plan(country.iso);
    if country.calling_code() == 1 && digits.len() == 10 {
        return format!("({}) {}-{}", &digits[..3], &digits[3..6], &digits[6..]);
    }
    let mut rest = digits.as_str();
    let mut text = trunk.to_owned();
    for size in groups {
        // The last group takes what is left, so no digit stands alone.
        let Some((group, after)) = rest.split_at_checked(*size).filter(|(_, after)| after.len() > 1) else {
            break;
        };
        text.push_str(group);
        text.push(' ');
        rest = after;
    }
    text + rest
}

/// The name that Twilio gives a new number: as North Americans write it there, in E.164 elsewhere.
pub(crate) fn friendly(number: PhoneNumber) -> String {
    match country_of(number) {
        Some(country) if country.calling_code() == 1 => national(number),
        _ => number.to_string(),
    }
}

/// The kind of line behind a number.
pub(crate) fn line_kind(number: PhoneNumber) -> LineKind {
    let Some(country) = country_of(number) else { return LineKind::Mobile };
    let national = national_digits(number, country);
    if country.calling_code() == 1 {
        return match national.get(..3) {
            Some("800" | "833" | "844" | "855" | "866" | "877" | "888") => LineKind::TollFree,
            Some("900") => LineKind::Premium,
            Some("500" | "533" | "544" | "566" | "577" | "588") => LineKind::Personal,
            _ => by_last_digits(number),
        };
    }
    match plan(country.iso).mobile {
        _ if is_surely_mobile(number) => LineKind::Mobile,
        _ if national.starts_with("800") || national.starts_with("1800") => LineKind::TollFree,
        [] => by_last_digits(number),
        _ if national.starts_with("900") => LineKind::Premium,
        _ => LineKind::Landline,
    }
}

/// Whether the digits by themselves tell a mobile phone, as they do in most countries.
pub(crate) fn is_surely_mobile(number: PhoneNumber) -> bool {
    country_of(number).is_some_and(|country| {
        let national = national_digits(number, country);
        plan(country.iso).mobile.iter().any(|beginning| national.starts_with(beginning))
    })
}

fn by_last_digits(number: PhoneNumber) -> LineKind {
    match number.digits() % 100 {
        99 => LineKind::Landline,
        98 => LineKind::FixedVoip,
        97 => LineKind::NonFixedVoip,
        _ => LineKind::Mobile,
    }
}

/// The digits behind the calling code.
fn national_digits(number: PhoneNumber, country: &Country) -> String {
    number.digits().to_string().split_off(country.calling_code().to_string().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> PhoneNumber {
        PhoneNumber::parse(text).unwrap()
    }

    #[test]
    fn what_cannot_be_a_number_is_refused_with_its_reason() {
        for (text, expected) in [
            ("", Invalid::NotANumber),
            ("+", Invalid::NotANumber),
            ("hello", Invalid::NotANumber),
            ("+1415555010", Invalid::TooShort),
            ("+141599299600", Invalid::TooLong),
            ("+14155550100123456", Invalid::TooLong),
            ("+10155550100", Invalid::PossibleOnly),
            ("+14151550100", Invalid::PossibleOnly),
            ("+2101234567", Invalid::CountryCode),
            ("+0441234567", Invalid::CountryCode),
        ] {
            assert_eq!(read(text, None), Err(expected), "{text}");
        }
    }

    #[test]
    fn what_people_type_is_read() {
        let gb = country_by_iso("gb");
        assert_eq!(read("+1 (415) 555-0100", None), Ok(number("+14155550100")));
        assert_eq!(read("(415) 555-0100", None), Ok(number("+14155550100")));
        assert_eq!(read("07700 900123", gb), Ok(number("+447700900123")));
        assert_eq!(read("+14155550100", gb), Ok(number("+14155550100")), "a plus says it all");
    }

    #[test]
    fn the_longest_prefix_names_the_country() {
        for (text, iso) in [
            ("+14155550100", "US"),
            ("+16045550100", "CA"),
            ("+12425550100", "BS"),
            ("+18005550100", "US"),
            ("+447700900123", "GB"),
            ("+37120000000", "LV"),
            ("+2520000000", "SO"),
            ("+79161234567", "RU"),
        ] {
            assert_eq!(country_of(number(text)).map(|country| country.iso), Some(iso), "{text}");
        }
    }

    #[test]
    fn the_table_is_sorted_and_names_each_prefix_once() {
        let continents =
            |iso| CONTINENTS.iter().filter(|(_, all)| all.split(' ').any(|it| it == iso)).count();
        assert!(COUNTRIES.iter().all(|country| continents(country.iso) == 1));
        assert!(COUNTRIES.windows(2).all(|pair| pair[0].prefix < pair[1].prefix));
    }

    #[test]
    fn numbers_are_written_as_in_their_country() {
        for (text, national_format) in [
            ("+15108675310", "(510) 867-5310"),
            ("+447772000001", "07772 000001"),
            ("+33612345678", "06 12 34 56 78"),
            ("+4759440374", "59 44 03 74"),
            ("+99890", "90"),
        ] {
            assert_eq!(national(number(text)), national_format);
        }
        assert_eq!(friendly(number("+18089251571")), "(808) 925-1571");
        assert_eq!(friendly(number("+4759440374")), "+4759440374");
    }

    #[test]
    fn the_kind_of_line_follows_from_the_digits() {
        for (text, kind) in [
            ("+14155550100", LineKind::Mobile),
            ("+14155550199", LineKind::Landline),
            ("+14155550198", LineKind::FixedVoip),
            ("+14155550197", LineKind::NonFixedVoip),
            ("+18005550199", LineKind::TollFree),
            ("+19005550100", LineKind::Premium),
            ("+447700900199", LineKind::Mobile),
            ("+442079460000", LineKind::Landline),
        ] {
            assert_eq!(line_kind(number(text)), kind, "{text}");
        }
    }
}
