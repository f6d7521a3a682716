//! Challenges: one run of a code, for a person of the console or for a user of an application.
//!
//! [`ringfence_second_factor::challenge`] says what may happen to one; here it is found, locked, and written back with
//! what belongs to it, in one transaction: what a start counts in and the effect that sends the code, what a check counts
//! before it compares. No code is stored: it is derived from the challenge when it is sent and again when it is checked.
//!
//! Whoever acts on a challenge says what he takes it for ([`Expected`]): one of another application, purpose or binding
//! is not there for him.

mod begin;
mod check;
mod locked;
mod others;
mod sends;

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Secret, Sid};
use ringfence_second_factor::challenge::{self, Channel, Pending, State};
use ringfence_second_factor::code::{Bound, Code, CodeLength};
use ringfence_second_factor::failures::Rule;
use ringfence_second_factor::pumping;

pub(crate) use begin::Start;
pub use begin::{Begun, NewChallenge, NotSent, Resend};
pub use check::{Check, Checked, End, NotChecked};
pub(crate) use check::{Entered, check_in};
pub use sends::{CodeSend, SendFilter, SendOutcome, Summary, ToSend};

use crate::conversions::Destination;
use crate::factor_keys::FactorKeys;
use crate::sql::values;
use crate::{Result, Store};

/// The application that the people of Ringfence's own console are users of.
pub const CONSOLE: &str = "console";

/// What a challenge is for. Each text is the caller's own and is compared, never read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Expected {
    /// Whose users: the SID of an application, or [`CONSOLE`].
    pub application: String,
    /// What for: `sign-in`, `add-phone`, `verification`.
    pub purpose: String,
    /// What the code counts for alone, such as one session; empty where it is bound to nothing but the number.
    pub binding: String,
}

/// Which challenge of those that are [expected](Expected).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// This one.
    Sid(Sid),
    /// The one of this number that is live.
    Number(PhoneNumber),
}

/// What failures are counted under, from one success to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counter {
    /// A factor of a person, `factor/…`: after too many failures it must be bound anew.
    Factor(String),
    /// The number, of this application: there are pauses and no more.
    Number,
}

/// A challenge as it is stored.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// `VE…`, random.
    pub sid: Sid,
    /// What it is for.
    pub expected: Expected,
    /// Where the code goes.
    pub number: PhoneNumber,
    /// How it went last.
    pub channel: Channel,
    /// The length of a derived code.
    pub length: CodeLength,
    /// What the sender of the code needs to know: language, name.
    pub details: serde_json::Value,
    /// Where it stands, as it was written; [`at`](challenge::Challenge::at) knows of time.
    pub course: challenge::Challenge,
    /// When something last happened to it.
    pub updated_at: Timestamp,
    custom_code: Option<Secret>,
    number_tag: String,
    checks: u32,
    sends: u32,
    last_send: Timestamp,
}

impl Challenge {
    /// The code.
    pub(crate) fn code(&self, keys: &FactorKeys) -> Code {
        if let Some(code) = &self.custom_code {
            return Code::chosen(code.expose());
        }
        let sid = self.sid.to_string();
        let bound = Bound {
            challenge: &sid,
            application: &self.expected.application,
            purpose: &self.expected.purpose,
            number: self.number,
        };
        Code::derive(&keys.code, &bound, self.length)
    }

    /// Whether it is worded like this one, and has a code that is chosen like its.
    fn is_worded_as(&self, other: &Self) -> bool {
        let chosen = |it: &Self| it.custom_code.as_ref().map(|code| code.expose().to_owned());
        self.details == other.details && chosen(self) == chosen(other)
    }

    /// How many characters the code has.
    pub fn code_length(&self) -> usize {
        match &self.custom_code {
            Some(code) => code.expose().chars().count(),
            None => usize::from(self.length.digits()),
        }
    }

    /// How often the code was sent.
    pub fn sends(&self) -> u32 {
        self.sends
    }

    /// How often a code was compared.
    pub fn checks(&self) -> u32 {
        self.checks
    }

    /// What its codes are counted under, to see whether they are entered. The console's are not counted.
    fn watched(&self) -> Option<Destination> {
        let application = &self.expected.application;
        (application != CONSOLE).then(|| Destination {
            key: (application.clone(), pumping::prefix(self.number)),
            number_tag: self.number_tag.clone(),
        })
    }

    /// Takes over where it stands after an act.
    fn now_at(&mut self, course: challenge::Challenge, now: Timestamp) {
        if let State::Pending(Pending { checks, sends, last_send }) = course.state {
            (self.checks, self.sends, self.last_send) = (checks, sends, last_send);
        }
        self.course = course;
        self.updated_at = now;
    }
}

impl Counter {
    fn rule(&self) -> Rule {
        match self {
            Self::Factor(_) => Rule::Person,
            Self::Number => Rule::Application,
        }
    }

    fn subject(&self, application: &str, number_tag: &str) -> String {
        match self {
            Self::Factor(subject) => subject.clone(),
            Self::Number => format!("number/{application}/{number_tag}"),
        }
    }
}

impl Store {
    /// A challenge, as it was written last.
    pub async fn find_challenge(&self, expected: &Expected, which: Which) -> Result<Option<Challenge>> {
        let Expected { application, purpose, binding } = expected;
        let row = match which {
            Which::Sid(sid) => {
                let select = "SELECT * FROM challenges WHERE sid = $1 AND application = $2 AND purpose = $3 \
                              AND binding = $4";
                self.find(select, values![sid, application, purpose, binding]).await?
            }
            Which::Number(number) => {
                let tag = self.factor_keys().await?.number(number);
                let select = "SELECT * FROM challenges WHERE application = $1 AND purpose = $2 AND binding = $3 \
                              AND number_tag = $4 AND live = 1";
                self.find(select, values![application, purpose, binding, tag]).await?
            }
        };
        row.map(|row| locked::read(&self.keys, &row)).transpose()
    }
}
