//! What stands in the bodies of acts.

use ringfence_breaker::DialPrefix;
use ringfence_model::{Amount, Sid};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The longest reason, in characters.
const REASON_MAX: usize = 500;

/// Why an operator acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason(pub(super) String);

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() {
            Err(D::Error::custom("give a reason: the audit log keeps it"))
        } else if text.chars().count() > REASON_MAX {
            Err(D::Error::custom(format!("a reason has at most {REASON_MAX} characters")))
        } else if text.chars().any(char::is_control) {
            Err(D::Error::custom("a reason is one line of text, without control characters"))
        } else {
            Ok(Self(text))
        }
    }
}

impl JsonSchema for Reason {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reason".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Why. The audit log keeps it.",
            "minLength": 1,
            "maxLength": REASON_MAX,
            // One line that is not blank.
            "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$",
        })
    }
}

/// An amount that something more may be used of: a decimal number above zero, as a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowed(pub(super) Amount);

impl Allowed {
    /// `12`, `0.5`, `12.345678`: no sign, no exponent, no needless zero before it, at most six digits after the point.
    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let is_number = |text: &str, max: usize| {
            (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let is_well_formed = is_number(whole, 12)
            && (whole == "0" || !whole.starts_with('0'))
            && fraction.is_none_or(|fraction| is_number(fraction, 6));
        if !is_well_formed {
            return None;
        }
        text.parse().ok().filter(|amount| *amount > Amount::ZERO).map(Self)
    }
}

impl<'de> Deserialize<'de> for Allowed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong =
            || D::Error::custom("it is no decimal number above 0, written as a text such as \"12.50\"");
        Self::parse(&text).ok_or_else(wrong)
    }
}

impl JsonSchema for Allowed {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Allowed".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([1-9][0-9]{0,11}(\\.[0-9]{1,6})?|0\\.(0{0,5}[1-9]|0{0,4}[1-9][0-9]|0{0,3}[1-9][0-9]{2}|0{0,2}[1-9][0-9]{3}|0?[1-9][0-9]{4}|[1-9][0-9]{5}))$",
        })
    }
}

/// The SID of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AccountSid(pub(super) Sid);

impl<'de> Deserialize<'de> for AccountSid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let sid = Sid::parse(&text).ok().filter(|sid| sid.is("AC"));
        let wrong = || D::Error::custom("it is no SID of an account: `AC` and 32 hex digits");
        sid.map(Self).ok_or_else(wrong)
    }
}

impl JsonSchema for AccountSid {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AccountSid".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        crate::views::schema::account_sid(generator)
    }
}

/// The beginning of phone numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beginning(pub(super) DialPrefix);

impl<'de> Deserialize<'de> for Beginning {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for Beginning {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Beginning".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^\\+[1-9][0-9]{0,14}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_a_plain_number_above_zero() {
        for text in [
            "",
            "0",
            "0.0",
            "0.000000",
            "-1",
            "+1",
            "01",
            "1.",
            ".5",
            "1e3",
            " 1",
            "1 ",
            "1,5",
            "0.0000001",
            "1234567890123",
            "NaN",
            "٣",
        ] {
            assert_eq!(Allowed::parse(text), None, "{text}");
        }
        for (text, micros) in
            [("1", 1_000_000), ("0.50", 500_000), ("999999999999.999999", 999_999_999_999_999_999)]
        {
            assert_eq!(Allowed::parse(text), Some(Allowed(Amount::from_micros(micros))), "{text}");
        }
    }
}
