//! What Lookup knows of a number: <https://www.twilio.com/docs/lookup/v2-api>.

use serde::{Deserialize, Serialize};

use super::open_enum::open_enum;

open_enum! {
    /// What kind of line a number leads to: <https://www.twilio.com/docs/lookup/v2-api/line-type-intelligence>.
    LineType {
        /// A mobile phone.
        Mobile = "mobile",
        /// A wire.
        Landline = "landline",
        /// Over the internet, at an address: a cable modem, an office.
        FixedVoip = "fixedVoip",
        /// Over the internet, anywhere: numbers that anybody gets within a minute.
        NonFixedVoip = "nonFixedVoip",
        /// It follows a person.
        Personal = "personal",
        /// Whoever is called pays.
        TollFree = "tollFree",
        /// Whoever calls pays more.
        Premium = "premium",
        /// Both pay.
        SharedCost = "sharedCost",
        /// A company's one number everywhere.
        Uan = "uan",
        /// A mailbox.
        Voicemail = "voicemail",
        /// A pager.
        Pager = "pager",
        /// Lookup does not know.
        Unknown = "unknown",
    }
}

impl LineType {
    /// Those that have a word.
    pub const ALL: [Self; 12] = [
        Self::Mobile,
        Self::Landline,
        Self::FixedVoip,
        Self::NonFixedVoip,
        Self::Personal,
        Self::TollFree,
        Self::Premium,
        Self::SharedCost,
        Self::Uan,
        Self::Voicemail,
        Self::Pager,
        Self::Unknown,
    ];
}

/// A number that was looked up. Of the packages, those that we ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookedUp {
    /// Whether it can be anybody's.
    pub valid: bool,
    /// Its line, where that was asked for.
    pub line_type_intelligence: Option<LineTypeIntelligence>,
}

/// The line of a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineTypeIntelligence {
    /// Its kind; none where `error_code` says why.
    #[serde(rename = "type")]
    pub line_type: Option<LineType>,
    /// Why there is none: <https://www.twilio.com/docs/api/errors/60600>.
    pub error_code: Option<u32>,
}
