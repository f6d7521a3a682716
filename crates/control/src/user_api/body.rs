//! What stands in bodies and paths: each is read once, and is then what it is.

use std::borrow::Cow;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ringfence_model::{PhoneNumber, Secret};
use ringfence_second_factor::challenge::Channel;
use ringfence_second_factor::policy::{Kind, Policy};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// What a user may be called: letters that mean the same in a path, in a log and in any alphabet.
pub(super) const USER: &str = "^[A-Za-z0-9_][A-Za-z0-9._:|@+=~-]{0,127}$";

/// The longest thing that comes from a browser and is only kept to be shown.
const LINE_MAX: usize = 2_048;

/// How much of it is kept.
const LINE_KEPT: usize = 200;

/// The longest code.
const CODE_MAX: usize = 64;

/// The longest token of a browser: what is no token of ours is refused as one that is not trusted.
const TOKEN_MAX: usize = 4_096;

/// The longest of what a browser writes about a passkey.
const BINARY_MAX: usize = 8_192;

/// The most days that a computer is trusted.
const TRUST_DAYS_MAX: u16 = 365;

/// A shape that is read from a text.
macro_rules! text {
    ($name:ident, $read:expr, $schema:tt) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let read: fn(&str) -> Result<$name, String> = $read;
                read(&text).map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

/// What an application calls a user.
#[derive(Clone)]
pub(super) struct UserId(pub(super) String);

impl UserId {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let is_first = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_other = |byte: u8| is_first(byte) || b".:|@+=~-".contains(&byte);
        match text.as_bytes() {
            [first, rest @ ..] if is_first(*first) && rest.len() < 128 && rest.iter().all(|it| is_other(*it)) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err("a user is called by 1 to 128 of A-Z a-z 0-9 . _ : | @ + = ~ -, the first a letter, a digit or _"
                .to_owned()),
        }
    }
}

text!(UserId, UserId::read, { "type": "string", "pattern": USER });

/// A phone number with its country.
#[derive(Clone, Copy)]
pub(super) struct Phone(pub(super) PhoneNumber);

fn phone(text: &str) -> Result<Phone, String> {
    let number = PhoneNumber::parse(text).ok().filter(PhoneNumber::is_possible);
    number.map(Phone).ok_or_else(|| {
        "it is no phone number with + and its country, in 7 to 15 digits; of +1 they are 11".to_owned()
    })
}

text!(Phone, phone, { "type": "string", "pattern": "^\\+(1[2-9][0-9]{2}[2-9][0-9]{6}|[2-9][0-9]{6,14})$" });

/// A code that somebody typed.
#[derive(Clone)]
pub(super) struct Code(pub(super) Secret);

fn code(text: &str) -> Result<Code, String> {
    match text.chars().count() {
        1..=CODE_MAX => Ok(Code(Secret::new(text))),
        _ => Err(format!("a code has 1 to {CODE_MAX} characters")),
    }
}

text!(Code, code, { "type": "string", "minLength": 1, "maxLength": CODE_MAX });

/// What a browser keeps, as it came.
#[derive(Clone)]
pub(super) struct Token(pub(super) Secret);

fn token(text: &str) -> Result<Token, String> {
    if text.chars().count() <= TOKEN_MAX {
        Ok(Token(Secret::new(text)))
    } else {
        Err(format!("a token has at most {TOKEN_MAX} characters"))
    }
}

text!(Token, token, { "type": "string", "maxLength": TOKEN_MAX });

/// Where somebody is in the network.
#[derive(Clone, Copy)]
pub(super) struct Address(pub(super) IpAddr);

fn address(text: &str) -> Result<Address, String> {
    let address: IpAddr = text.parse().map_err(|_| "it is no address of IPv4 or IPv6".to_owned())?;
    Ok(Address(address.to_canonical()))
}

text!(Address, address, { "type": "string", "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }] });

/// A line that is kept to be shown: what a browser says it is, what its user calls it. It is cut and made one line, not
/// refused, since strangers choose it.
#[derive(Clone)]
pub(super) struct Line(pub(super) String);

fn line(text: &str) -> Result<Line, String> {
    if text.chars().count() > LINE_MAX {
        return Err(format!("it has at most {LINE_MAX} characters"));
    }
    let one = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    Ok(Line(one.take(LINE_KEPT).collect::<String>().trim().to_owned()))
}

text!(Line, line, { "type": "string", "maxLength": LINE_MAX });

impl Line {
    /// The line, if there is anything on it.
    pub(super) fn some(self) -> Option<String> {
        Some(self.0).filter(|line| !line.is_empty())
    }
}

/// Bytes that a browser wrote, in base64url. What cannot be read is nothing, which answers no question.
#[derive(Clone)]
pub(super) struct Binary(pub(super) Vec<u8>);

fn binary(text: &str) -> Result<Binary, String> {
    if text.len() > BINARY_MAX {
        return Err(format!("it has at most {BINARY_MAX} characters"));
    }
    Ok(Binary(BASE64.decode(text.trim_end_matches('=')).unwrap_or_default()))
}

text!(Binary, binary, { "type": "string", "maxLength": BINARY_MAX });

/// How a browser says that an authenticator is reached. Words that are not known are not kept.
#[derive(Clone)]
pub(super) struct Word(pub(super) String);

fn word(text: &str) -> Result<Word, String> {
    if text.chars().count() <= 64 {
        Ok(Word(text.to_owned()))
    } else {
        Err("it has at most 64 characters".to_owned())
    }
}

text!(Word, word, { "type": "string", "maxLength": 64 });

/// Where a page is: scheme, host, and a port where there is one.
#[derive(Clone)]
pub(super) struct Origin(pub(super) String);

fn origin(text: &str) -> Result<Origin, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let is_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:".contains(&byte);
    if (1..=260).contains(&rest.len()) && rest.bytes().all(is_host) {
        Ok(Origin(text.to_owned()))
    } else {
        Err("it is no origin such as https://login.example.com:8443".to_owned())
    }
}

text!(Origin, origin, { "type": "string", "pattern": "^https?://[a-z0-9.:-]{1,260}$" });

/// What an authenticator application shows beside its codes.
#[derive(Clone)]
pub(super) struct Label(pub(super) String);

fn label(text: &str) -> Result<Label, String> {
    let length = text.chars().count();
    if (1..=64).contains(&length) && !text.chars().any(char::is_control) {
        Ok(Label(text.to_owned()))
    } else {
        Err("it has 1 to 64 characters, none of them a control character".to_owned())
    }
}

text!(Label, label, { "type": "string", "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,64}$" });

/// In which language something is said.
#[derive(Clone)]
pub(super) struct Locale(pub(super) String);

fn locale(text: &str) -> Result<Locale, String> {
    let is_locale = (1..=16).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_locale {
        Ok(Locale(text.to_owned()))
    } else {
        Err("it is no language such as en or pt-BR".to_owned())
    }
}

text!(Locale, locale, { "type": "string", "pattern": "^[A-Za-z0-9_-]{1,16}$" });

/// For how many days a computer is trusted.
#[derive(Clone, Copy)]
pub(super) struct TrustDays(pub(super) u16);

impl<'de> Deserialize<'de> for TrustDays {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // To JSON Schema 30.0 is an integer too.
        let days = serde_json::Number::deserialize(deserializer)?.to_string();
        let days: Option<u16> = days.strip_suffix(".0").unwrap_or(&days).parse().ok();
        let days = days.filter(|days| (1..=TRUST_DAYS_MAX).contains(days));
        days.map(Self)
            .ok_or_else(|| D::Error::custom(format!("a computer is trusted for 1 to {TRUST_DAYS_MAX} days")))
    }
}

impl JsonSchema for TrustDays {
    fn schema_name() -> Cow<'static, str> {
        "TrustDays".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": TRUST_DAYS_MAX })
    }
}

/// How often the second factor is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum PolicyWord {
    /// Never.
    Disabled,
    /// Once for each computer, which is then trusted for a time where that is wished.
    OncePerComputer,
    /// At every sign-in.
    EverySignIn,
}

impl From<PolicyWord> for Policy {
    fn from(word: PolicyWord) -> Self {
        match word {
            PolicyWord::Disabled => Self::Disabled,
            PolicyWord::OncePerComputer => Self::OncePerComputer,
            PolicyWord::EverySignIn => Self::EverySignIn,
        }
    }
}

impl From<Policy> for PolicyWord {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Disabled => Self::Disabled,
            Policy::OncePerComputer => Self::OncePerComputer,
            Policy::EverySignIn => Self::EverySignIn,
        }
    }
}

/// Of which factor a code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum CodeOf {
    /// Sent to the phone of the sign-in.
    Phone,
    /// Shown by an authenticator application.
    Totp,
    /// Saved by the user.
    RecoveryCode,
}

impl From<CodeOf> for Kind {
    fn from(factor: CodeOf) -> Self {
        match factor {
            CodeOf::Phone => Self::Phone,
            CodeOf::Totp => Self::Totp,
            CodeOf::RecoveryCode => Self::RecoveryCode,
        }
    }
}

/// How a code travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum ChannelWord {
    /// In a text message.
    Sms,
    /// Spoken, by a voice call.
    Call,
}

impl From<ChannelWord> for Channel {
    fn from(word: ChannelWord) -> Self {
        match word {
            ChannelWord::Sms => Self::Sms,
            ChannelWord::Call => Self::Call,
        }
    }
}

impl From<Channel> for ChannelWord {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Sms => Self::Sms,
            Channel::Call => Self::Call,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_two_users_or_none_is_no_user() {
        let long = "x".repeat(129);
        for text in ["", ".", "..", "-a", "a b", "a/b", "a%2f", "ü", "a\0", "a\u{202e}b", "ａ", &long] {
            assert!(UserId::read(text).is_err(), "{text:?}");
        }
        for text in ["7", "auth0|5f7c8ec7c33c6c004bbafe82", "a.b+c@example.com", "urn:uuid:1-2", &long[1..]] {
            assert!(UserId::read(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_line_of_strangers_is_made_one_line_and_cut() {
        assert_eq!(
            line("Firefox\r\nSet-Cookie: x\u{9b}").map(|line| line.0),
            Ok("Firefox  Set-Cookie: x".to_owned())
        );
        assert_eq!(line(&"é".repeat(2_048)).map(|line| line.0.chars().count()), Ok(200));
        assert!(line(&"é".repeat(2_049)).is_err());
        assert_eq!(line(" \t").map(Line::some), Ok(None));
    }
}
