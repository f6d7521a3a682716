//! Who can be at an end of a call, as Twilio writes them.

use std::fmt;

use ringfence_model::PhoneNumber;

use crate::world::messages::parse_phone;

/// One end of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Phone(PhoneNumber),
    /// A client of the Voice SDK: `client:jo`.
    Client(String),
    /// `sip:jo@example.com`.
    Sip(String),
    /// A sender with a name, as Verify's calls have one.
    Name(String),
}

impl Endpoint {
    /// Reads what the API and TwiML take: a phone number as leniently as for messages, `client:` and `sip:`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.split_once(':') {
            Some(("client", name)) if !name.is_empty() => return Some(Self::Client(name.to_owned())),
            Some(("sip" | "sips", address)) if address.contains('@') => {
                return Some(Self::Sip(text.to_owned()));
            }
            _ => {}
        }
        parse_phone(text).map(Self::Phone)
    }

    pub(crate) fn phone(&self) -> Option<PhoneNumber> {
        match self {
            Self::Phone(number) => Some(*number),
            Self::Client(_) | Self::Sip(_) | Self::Name(_) => None,
        }
    }

    /// As people write it: `(415) 867-5309` in North America, E.164 elsewhere.
    pub(crate) fn formatted(&self) -> String {
        let text = self.to_string();
        match text.strip_prefix("+1") {
            Some(digits) if digits.len() == 10 => {
                format!("({}) {}-{}", &digits[..3], &digits[3..6], &digits[6..])
            }
            _ => text,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phone(number) => write!(formatter, "{number}"),
            Self::Client(name) => write!(formatter, "client:{name}"),
            Self::Sip(address) => formatter.write_str(address),
            Self::Name(name) => formatter.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        Endpoint::parse(text).map(|endpoint| endpoint.to_string())
    }

    #[test]
    fn what_nobody_can_call_is_no_endpoint() {
        for text in [
            "",
            "+",
            "1234",
            "+1415555",
            "+14155550100123",
            "abc",
            "+1415555010a",
            "client:",
            "sip:jo",
            "+0123456789",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_is_read_as_people_write_it() {
        for text in ["+14155550100", "4155550100", "(415) 555-0100", "415.555.0100", "1 415 555 0100"] {
            assert_eq!(read(text).as_deref(), Some("+14155550100"), "{text}");
        }
        assert_eq!(read("+44 7700 900123").as_deref(), Some("+447700900123"));
    }

    #[test]
    fn clients_and_sip_addresses_are_endpoints() {
        assert_eq!(read("client:jo").as_deref(), Some("client:jo"));
        assert_eq!(read("sip:jo@example.com").as_deref(), Some("sip:jo@example.com"));
    }

    #[test]
    fn a_number_of_north_america_is_formatted() {
        assert_eq!(Endpoint::parse("+14158675309").unwrap().formatted(), "(415) 867-5309");
        assert_eq!(Endpoint::parse("+447700900123").unwrap().formatted(), "+447700900123");
    }
}
