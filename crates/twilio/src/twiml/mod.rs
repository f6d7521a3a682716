//! TwiML: what an application answers, read into verbs.
//!
//! The one idea: reading is total. A document that is XML with a `Response` at its root gives a list of verbs; what
//! Twilio would warn of (a verb that it does not know, an attribute that is no number) becomes a [`Warning`] beside
//! them, and the default takes its place, as Twilio does it (error 12200). Only what Twilio refuses as a whole is an
//! [`InvalidTwiml`]. Nothing is fetched and nothing is carried out here.
//!
//! <https://www.twilio.com/docs/voice/twiml> and <https://www.twilio.com/docs/messaging/twiml>.

mod document;
mod element;
mod encoding;
mod read;
mod reference;
mod verb;

pub use document::{Document, NewAttribute};
pub use element::{Element, Node};
pub use reference::{has_scheme, resolve};
pub use verb::{
    CallCallback, Dial, DialNoun, DialTarget, Gather, GatherInput, Message, Method, Pause, Play, Record,
    RecordingCallback, Redirect, Reject, RejectReason, Say, Verb,
};

/// A document that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// What to do, in order.
    pub verbs: Vec<Verb>,
    /// What is odd in it.
    pub warnings: Vec<Warning>,
}

/// Something that Twilio passes over with a warning (12200).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// An element that is no verb, or none in this place.
    UnknownElement {
        /// Its name.
        name: String,
        /// The element that it stands in.
        parent: String,
    },
    /// An attribute whose value cannot be meant; its default holds.
    InvalidAttribute {
        /// The element.
        element: String,
        /// The attribute.
        attribute: &'static str,
        /// What stands there, cut to 64 characters.
        value: String,
    },
    /// Text where only verbs may stand.
    StrayText,
}

/// Why a document is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTwiml {
    /// Over 64 KiB.
    #[error("the document is larger than 64 KiB")]
    TooLarge,
    /// Bytes that are not UTF-8.
    #[error("the document is not in the encoding that it names, or in UTF-8")]
    NotText,
    /// Elements in elements, deeper than TwiML goes.
    #[error("elements stand in each other too deep")]
    TooDeep,
    /// Not well-formed.
    #[error("not XML: {0}")]
    NotXml(String),
    /// The root is another element.
    #[error("the root is <{0}> and not <Response>")]
    NotResponse(String),
}

impl InvalidTwiml {
    /// Twilio's error code for it: 11750 for one that is too large, 12100 for one that cannot be parsed, 12200 for
    /// one with another root.
    pub fn code(&self) -> u32 {
        match self {
            Self::TooLarge => 11750,
            Self::NotText | Self::TooDeep | Self::NotXml(_) => 12100,
            Self::NotResponse(_) => 12200,
        }
    }
}

impl std::fmt::Display for Warning {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownElement { name, parent } => {
                write!(formatter, "<{name}> is not known inside <{parent}>")
            }
            Self::InvalidAttribute { element, attribute, value } => {
                write!(formatter, "<{element} {attribute}=\"{value}\"> cannot be meant; the default holds")
            }
            Self::StrayText => formatter.write_str("there is text between the verbs"),
        }
    }
}

/// Reads a document.
pub fn parse(bytes: &[u8]) -> Result<Response, InvalidTwiml> {
    let root = element::parse(bytes)?;
    if root.name != "Response" {
        return Err(InvalidTwiml::NotResponse(root.name));
    }
    Ok(read::response(&root))
}

#[cfg(test)]
mod tests;
