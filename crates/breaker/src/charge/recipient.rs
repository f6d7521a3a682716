//! Who is written to or called, and from what.

use ringfence_model::PhoneNumber;

use crate::price_book::NumberType;

/// Whom a message or a call goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    /// A phone.
    Phone(PhoneNumber),
    /// Somebody on another channel; with a phone number where the channel's addresses are numbers.
    Channel(Channel, Option<PhoneNumber>),
    /// `sip:…`.
    Sip,
    /// `client:…`.
    Client,
    /// An emergency service.
    Emergency,
    /// What may lead to a telephone and is no number in E.164. Whose number Twilio makes of it depends on the sender's country, so
    /// no limit of a place could count it: it never has a price, whatever unknown ones cost.
    Unclear,
    /// An address of a kind that is not known.
    Other,
}

/// A channel beside SMS and MMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// `whatsapp:+…`
    Whatsapp,
    /// `messenger:…`
    Messenger,
    /// `rcs:+…`
    Rcs,
}

/// What a message is sent from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Whatever a Messaging Service chooses, or something that is not known.
    Any,
    /// A number of a place, a mobile network or a country.
    LongCode,
    /// A number that its caller does not pay for, of North America.
    TollFree,
    /// Three to eight digits.
    ShortCode,
    /// An agent of RCS (`rcs:…`), which may fall back to anything else.
    Rcs,
}

/// Numbers of emergency services that Twilio puts through, and its number for trying that.
const EMERGENCY: [&str; 6] = ["911", "933", "999", "112", "000", "110"];

impl Recipient {
    /// Reads what stands in `To`. A number that is not written in E.164 is [`Recipient::Unclear`].
    pub fn parse(to: &str) -> Self {
        if let Ok(number) = PhoneNumber::parse(to) {
            return Self::Phone(number);
        }
        if EMERGENCY.contains(&to) {
            return Self::Emergency;
        }
        let Some((scheme, address)) = to.split_once(':') else { return Self::Unclear };
        let number = PhoneNumber::parse(address).ok();
        match scheme.to_ascii_lowercase().as_str() {
            "whatsapp" | "rcs" if number.is_none() && !has_letters(address) => Self::Unclear,
            "whatsapp" => Self::Channel(Channel::Whatsapp, number),
            "messenger" => Self::Channel(Channel::Messenger, number),
            "rcs" => Self::Channel(Channel::Rcs, number),
            "tel" => Self::Unclear,
            // What leads through a trunk into the telephone network costs what a call there does.
            "sip" | "sips" if may_be_a_trunk(address) => Self::Unclear,
            "sip" | "sips" => Self::Sip,
            "client" => Self::Client,
            _ => Self::Other,
        }
    }

    /// The phone number that is reached, where it is one.
    pub fn phone(self) -> Option<PhoneNumber> {
        match self {
            Self::Phone(number) => Some(number),
            Self::Channel(_, number) => number,
            Self::Sip | Self::Client | Self::Emergency | Self::Unclear | Self::Other => None,
        }
    }
}

/// Whether the address of a SIP URI leads through a trunk, or could be read so. No host has escapes (RFC 3261, section 25.1,
/// `hostname`), so what decodes them anyway is not known.
fn may_be_a_trunk(address: &str) -> bool {
    let uri = address.split('?').next().unwrap_or_default();
    let host = uri.rsplit_once('@').map_or(uri, |(_, host)| host);
    host.contains('%') || decoded(address).to_ascii_lowercase().contains(".pstn.")
}

/// With its escapes resolved, where they are any.
fn decoded(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match digits {
            Some(byte) => bytes.push(byte),
            None => bytes.push(b'%'),
        }
        bytes.extend(piece.as_bytes().get(if digits.is_some() { 2 } else { 0 }..).unwrap_or_default());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether an address is a name, which no reader takes for a number.
fn has_letters(address: &str) -> bool {
    address.bytes().any(|byte| byte.is_ascii_alphabetic())
}

impl Sender {
    /// Reads what stands in `From`. With a Messaging Service anything may be chosen, whatever `From` says.
    pub fn of(from: Option<&str>, messaging_service: bool) -> Self {
        let Some(from) = from.filter(|_| !messaging_service) else { return Self::Any };
        if let Ok(number) = PhoneNumber::parse(from) {
            let toll_free = [800, 822, 833, 844, 855, 866, 877, 888];
            let is_toll_free = toll_free.iter().any(|code| number.digits() / 10_000_000 == 1_000 + code);
            return if is_toll_free { Self::TollFree } else { Self::LongCode };
        }
        if from.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("rcs:")) {
            return Self::Rcs;
        }
        let digits = from.bytes().all(|byte| byte.is_ascii_digit());
        if digits && (3..=8).contains(&from.len()) { Self::ShortCode } else { Self::Any }
    }

    /// Whether a price of this kind of number may be its price.
    pub fn may_be(self, number_type: NumberType) -> bool {
        match self {
            Self::Any | Self::Rcs => true,
            Self::LongCode => !matches!(number_type, NumberType::TollFree | NumberType::ShortCode),
            Self::TollFree => matches!(number_type, NumberType::TollFree | NumberType::Other),
            Self::ShortCode => matches!(number_type, NumberType::ShortCode | NumberType::Other),
        }
    }
}
