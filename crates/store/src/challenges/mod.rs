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
mod sends;

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Secret, Sid};
use ringfence_second_factor::challenge::{self, Channel, Pending, State};
use ringfence_second_factor::code::{Bound, Code, CodeLength};
use ringfence_second_factor::failures::Rule;
use serde::{Deserialize, Serialize};

pub use begin::{Begun, NewChallenge, NotSent, Resend};
pub(crate) use check::check_in;
pub use check::{Check, Checked, End, NotChecked};
pub use sends::{CodeSend, SendFilter, SendOutcome, Summary, ToSend};

use crate::error::Error;
use crate::factor_keys::FactorKeys;
use crate::seal::{Keyring, Place};
use crate::sql::{Row, Transaction, Value, values};
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

/// What of a challenge is personal or secret, sealed as one value.
#[derive(Serialize, Deserialize)]
struct Sealed {
    number: String,
    details: serde_json::Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    custom_code: Option<String>,
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
        row.map(|row| read(&self.keys, &row)).transpose()
    }
}

/// A challenge, locked until the transaction ends.
async fn lock(
    transaction: &mut Transaction,
    keys: &FactorKeys,
    expected: &Expected,
    which: Which,
) -> Result<Option<Challenge>> {
    let Expected { application, purpose, binding } = expected;
    // They change nothing, but from here on the row is this transaction's.
    let row = match which {
        Which::Sid(sid) => {
            let lock = "UPDATE challenges SET updated_at = updated_at WHERE sid = $1 AND application = $2 \
                        AND purpose = $3 AND binding = $4 RETURNING *";
            transaction.find(lock, values![sid, application, purpose, binding]).await?
        }
        Which::Number(number) => {
            let lock = "UPDATE challenges SET updated_at = updated_at WHERE application = $1 AND purpose = $2 \
                        AND binding = $3 AND number_tag = $4 AND live = 1 RETURNING *";
            let bound = values![application, purpose, binding, keys.number(number)];
            transaction.find(lock, bound).await?
        }
    };
    row.map(|row| read(&transaction.keys, &row)).transpose()
}

/// Writes down where a challenge that was [locked](lock) now stands.
async fn write_course(transaction: &mut Transaction, challenge: &Challenge, now: Timestamp) -> Result<()> {
    let course = challenge.course;
    let update = "UPDATE challenges SET state = $2, state_at = $3, live = $4, checks = $5, sends = $6, \
                  last_send = $7, channel = $8, updated_at = $9 WHERE sid = $1";
    let bound = values![
        challenge.sid,
        course.state.as_str(),
        state_at(course),
        i64::from(course.is_live(now)),
        i64::from(challenge.checks),
        i64::from(challenge.sends),
        challenge.last_send,
        challenge.channel.as_str(),
        challenge.updated_at,
    ];
    transaction.execute(update, bound).await?;
    Ok(())
}

fn state_at(course: challenge::Challenge) -> Timestamp {
    match course.state {
        State::Pending(_) => course.created_at,
        State::Approved(at) | State::Canceled(at) | State::MaxAttemptsReached(at) => at,
        State::Expired => course.expires_at,
    }
}

fn sealed(keys: &Keyring, challenge: &Challenge) -> Value {
    let sealed = Sealed {
        number: challenge.number.to_string(),
        details: challenge.details.clone(),
        custom_code: challenge.custom_code.as_ref().map(|code| code.expose().to_owned()),
    };
    let text = zeroize::Zeroizing::new(serde_json::json!(sealed).to_string());
    keys.seal(place(&challenge.sid.to_string()), text.as_bytes()).into()
}

fn place(sid: &str) -> Place<'_> {
    Place { table: "challenges", column: "sealed", row: sid }
}

fn read(keys: &Keyring, row: &Row) -> Result<Challenge> {
    let sid = row.sid("sid")?;
    let name = sid.to_string();
    let corrupt = |why: String| Error::corrupt(format!("challenges of {name}"), why);
    let opened = keys.open(place(&name), &row.bytes("sealed")?)?;
    let sealed: Sealed = serde_json::from_slice(&opened).map_err(|error| corrupt(error.to_string()))?;
    let number = PhoneNumber::parse(&sealed.number).map_err(|error| corrupt(error.to_string()))?;
    let channel = row.text("channel")?;
    let channel =
        Channel::from_word(&channel).ok_or_else(|| corrupt(format!("`{channel}` is no channel")))?;
    let length = u8::try_from(row.count("digits")?).map_err(|error| corrupt(error.to_string()))?;
    let length = CodeLength::new(length).map_err(|error| corrupt(error.to_string()))?;
    let small = |column: &str| row.count(column).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    let (checks, sends, last_send) = (small("checks")?, small("sends")?, row.time("last_send")?);
    let at = row.time("state_at")?;
    let state = match row.text("state")?.as_str() {
        "pending" => State::Pending(Pending { checks, sends, last_send }),
        "approved" => State::Approved(at),
        "canceled" => State::Canceled(at),
        "max_attempts_reached" => State::MaxAttemptsReached(at),
        "expired" => State::Expired,
        other => return Err(corrupt(format!("`{other}` is no state"))),
    };
    Ok(Challenge {
        sid,
        expected: Expected {
            application: row.text("application")?,
            purpose: row.text("purpose")?,
            binding: row.text("binding")?,
        },
        number,
        channel,
        length,
        details: sealed.details,
        course: challenge::Challenge {
            created_at: row.time("created_at")?,
            expires_at: row.time("expires_at")?,
            state,
        },
        updated_at: row.time("updated_at")?,
        custom_code: sealed.custom_code.map(Secret::new),
        number_tag: row.text("number_tag")?,
        checks,
        sends,
        last_send,
    })
}
