//! A letter: one mail to one person, about themselves. Unlike a notice it goes to nobody else. A text is the same to a
//! phone.

use std::fmt;

use ringfence_model::PhoneNumber;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What is written to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The mail address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The text.
    pub text: String,
}

/// What is texted to which phone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// The phone.
    #[serde(serialize_with = "spelled", deserialize_with = "read")]
    pub to: PhoneNumber,
    /// The text.
    pub text: String,
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Text").field("text", &self.text).finish_non_exhaustive()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn spelled<S: Serializer>(number: &PhoneNumber, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PhoneNumber, D::Error> {
    let text = String::deserialize(deserializer)?;
    PhoneNumber::parse(&text).map_err(de::Error::custom)
}
