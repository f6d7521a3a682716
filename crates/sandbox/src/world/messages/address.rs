//! Who a message is from: a phone number, a short code, or a name.

use std::fmt;

use ringfence_model::PhoneNumber;

/// A sender.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    Number(PhoneNumber),
    /// A short code or an Alphanumeric Sender ID: whatever is no phone number.
    Name(Box<str>),
}

impl Address {
    pub(crate) fn number(&self) -> Option<PhoneNumber> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Name(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Name(name) => formatter.write_str(name),
        }
    }
}

impl PartialEq<str> for Address {
    fn eq(&self, text: &str) -> bool {
        match self {
            Self::Number(number) => PhoneNumber::parse(text) == Ok(*number),
            Self::Name(name) => **name == *text,
        }
    }
}

/// Reads a phone number as leniently as Twilio does: what people put between the digits is taken out, and ten or
/// eleven digits without a `+` are a number of North America.
pub(crate) fn parse_phone(text: &str) -> Option<PhoneNumber> {
    if let Ok(number) = PhoneNumber::parse(text) {
        return Some(number).filter(|it| could_exist(*it));
    }
    let bare: String = text.chars().filter(|it| !matches!(it, ' ' | '-' | '.' | '(' | ')')).collect();
    if bare.len() > 16 {
        return None;
    }
    let number = match (bare.starts_with('+'), bare.len()) {
        (true, _) => PhoneNumber::parse(&bare),
        (false, 10) => PhoneNumber::parse(&format!("+1{bare}")),
        (false, 11) if bare.starts_with('1') => PhoneNumber::parse(&format!("+{bare}")),
        (false, _) => return None,
    };
    number.ok().filter(|it| could_exist(*it))
}

/// Numbers of North America have ten digits after the 1; none in the world has fewer than seven in all.
fn could_exist(number: PhoneNumber) -> bool {
    let digits = number.digits();
    let first = digits / 10_u64.pow(digits.ilog10());
    if first == 1 {
        (12_000_000_000..20_000_000_000).contains(&digits) || is_magic(digits)
    } else {
        digits >= 1_000_000
    }
}

/// Twilio's test numbers, of an area code that is given to nobody.
fn is_magic(digits: u64) -> bool {
    (15_005_550_000..15_005_560_000).contains(&digits)
}

/// Letters, digits and a few signs, at most eleven, and not digits alone:
/// <https://www.twilio.com/docs/glossary/what-alphanumeric-sender-id>.
pub(crate) fn is_sender_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b" +-_&.".contains(&byte);
    (1..=11).contains(&text.len())
        && text.bytes().all(allowed)
        && text.bytes().any(|it| it.is_ascii_alphabetic())
}

/// Three to six digits.
pub(super) fn is_short_code(text: &str) -> bool {
    (3..=6).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_phone_can_have_is_refused() {
        for text in [
            "",
            "+",
            "abc",
            "+1",
            "+1415555010",
            "+141555501000",
            "+11415555010",
            "5551",
            "+33",
            "whatsapp:+14155550100",
        ] {
            assert_eq!(parse_phone(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_of_north_america_needs_no_plus() {
        let number = PhoneNumber::parse("+14155550100").ok();
        for text in ["+14155550100", "4155550100", "14155550100", "(415) 555-0100", "+1 415.555.0100"] {
            assert_eq!(parse_phone(text), number, "{text}");
        }
        assert_eq!(parse_phone("+15005550006").map(|it| it.digits()), Some(15_005_550_006));
        assert_eq!(parse_phone("+442071838750").map(|it| it.digits()), Some(442_071_838_750));
    }

    #[test]
    fn a_name_is_told_from_a_short_code() {
        assert!(
            is_sender_name("Ringfence") && !is_sender_name("12345") && !is_sender_name("far too long a name")
        );
        assert!(is_short_code("12345") && !is_short_code("12") && !is_short_code("1234a"));
    }
}
