//! Challenges as rows: locked, read and written, many at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Secret, Sid};
use ringfence_second_factor::challenge::{self, Channel, Pending, State};
use ringfence_second_factor::code::CodeLength;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Challenge, Expected, Which};
use crate::error::Error;
use crate::factor_keys::FactorKeys;
use crate::many::{self, PerDialect, insert};
use crate::seal::{Keyring, Place};
use crate::sql::{Row, Transaction};
use crate::{Result, hex};

/// Challenges that are locked until the transaction ends, and where they stand by now.
pub(super) struct Locked {
    challenges: BTreeMap<Sid, Challenge>,
    /// Those that keep their place, by what they are for and the tag of their number.
    live: HashMap<(Expected, String), Sid>,
    /// Which are to be written, and as of when.
    changed: BTreeMap<Sid, Timestamp>,
    /// Of them, those that are new.
    new: BTreeSet<Sid>,
    /// Of the others, those whose wording or code is another.
    reworded: BTreeSet<Sid>,
}

impl Locked {
    /// Locks those of these that are there, in the order of their SIDs.
    pub(super) async fn lock(
        transaction: &mut Transaction,
        keys: &FactorKeys,
        wanted: impl IntoIterator<Item = (&Expected, Which)>,
    ) -> Result<Self> {
        let (mut sids, mut numbers) = (Vec::new(), Vec::new());
        for (Expected { application, purpose, binding }, which) in wanted {
            match which {
                Which::Sid(sid) => sids.push(sid.to_string()),
                Which::Number(number) => numbers.push(json!({
                    "application": application,
                    "purpose": purpose,
                    "binding": binding,
                    "number_tag": keys.number(number),
                })),
            }
        }
        let mut locked = Self {
            challenges: BTreeMap::new(),
            live: HashMap::new(),
            changed: BTreeMap::new(),
            new: BTreeSet::new(),
            reworded: BTreeSet::new(),
        };
        let bound = vec![many::json(&sids)?, many::json(&numbers)?];
        for row in transaction.fetch(LOCK.of(transaction), bound).await? {
            let challenge = read(&transaction.keys, &row)?;
            if row.int("live")? == 1 {
                locked.live.insert(place_of(&challenge), challenge.sid);
            }
            locked.challenges.insert(challenge.sid, challenge);
        }
        Ok(locked)
    }

    /// One of them, if it is what is expected.
    pub(super) fn find(&self, keys: &FactorKeys, expected: &Expected, which: Which) -> Option<&Challenge> {
        let sid = match which {
            Which::Sid(sid) => sid,
            Which::Number(number) => *self.live.get(&(expected.clone(), keys.number(number)))?,
        };
        self.challenges.get(&sid).filter(|challenge| challenge.expected == *expected)
    }

    /// Takes note of where one of them now stands.
    pub(super) fn put(&mut self, challenge: Challenge, now: Timestamp) {
        let place = place_of(&challenge);
        if challenge.course.is_live(now) {
            self.live.insert(place, challenge.sid);
        } else if self.live.get(&place) == Some(&challenge.sid) {
            self.live.remove(&place);
        }
        let sid = challenge.sid;
        let is_reworded = self.challenges.get(&sid).is_some_and(|before| !before.is_worded_as(&challenge));
        if is_reworded && !self.new.contains(&sid) {
            self.reworded.insert(sid);
        }
        self.changed.insert(sid, now);
        self.challenges.insert(sid, challenge);
    }

    /// Takes note of a new one. Where another node was quicker with the same number, it is refused when it is written.
    pub(super) fn add(&mut self, challenge: Challenge, now: Timestamp) {
        self.new.insert(challenge.sid);
        self.put(challenge, now);
    }

    /// Writes what has changed: first those that make room, then those that take it.
    pub(super) async fn write(&self, transaction: &mut Transaction) -> Result<()> {
        let (mut rows, mut reworded, mut new) = (Vec::new(), Vec::new(), Vec::new());
        for (sid, now) in &self.changed {
            let Some(challenge) = self.challenges.get(sid) else { continue };
            let course = Course::of(challenge, *now);
            if self.new.contains(sid) {
                new.push(NewRow::of(&transaction.keys, challenge, course));
            } else {
                rows.push(course);
            }
            if self.reworded.contains(sid) {
                reworded
                    .push(json!({ "sid": sid.to_string(), "sealed": sealed(&transaction.keys, challenge) }));
            }
        }
        UPDATE.run_later(transaction, rows).await?;
        REWORD.run_later(transaction, reworded).await?;
        INSERT.run(transaction, new).await?;
        Ok(())
    }
}

/// What only one that is live has.
fn place_of(challenge: &Challenge) -> (Expected, String) {
    (challenge.expected.clone(), challenge.number_tag.clone())
}

/// From here on the rows are this transaction's, as all are on SQLite. What is locked is found before it is waited for, so one
/// of a number may not be live any more once it is.
const LOCK: PerDialect = PerDialect {
    sqlite: "SELECT * FROM challenges WHERE sid IN (SELECT value FROM json_each($1) UNION ALL \
             SELECT c.sid FROM json_each($2) AS r CROSS JOIN challenges c \
             ON c.application = r.value ->> 'application' AND c.purpose = r.value ->> 'purpose' \
             AND c.binding = r.value ->> 'binding' AND c.number_tag = r.value ->> 'number_tag' AND c.live = 1)",
    postgres: "SELECT * FROM challenges WHERE sid = ANY (ARRAY(SELECT jsonb_array_elements_text($1::jsonb) UNION ALL \
               SELECT c.sid FROM challenges c JOIN jsonb_to_recordset($2::jsonb) \
               AS r(application text, purpose text, binding text, number_tag text) \
               ON c.application = r.application AND c.purpose = r.purpose AND c.binding = r.binding \
               AND c.number_tag = r.number_tag AND c.live = 1)) ORDER BY sid COLLATE \"C\" FOR UPDATE",
};

/// Where a challenge stands, as it is written.
#[derive(Serialize)]
struct Course {
    sid: String,
    channel: &'static str,
    state: &'static str,
    state_at: i64,
    live: i64,
    checks: u32,
    sends: u32,
    last_send: i64,
    updated_at: i64,
}

impl Course {
    fn of(challenge: &Challenge, now: Timestamp) -> Self {
        let course = challenge.course;
        Self {
            sid: challenge.sid.to_string(),
            channel: challenge.channel.as_str(),
            state: course.state.as_str(),
            state_at: state_at(course).as_microsecond(),
            live: i64::from(course.is_live(now)),
            checks: challenge.checks,
            sends: challenge.sends,
            last_send: challenge.last_send.as_microsecond(),
            updated_at: challenge.updated_at.as_microsecond(),
        }
    }
}

const UPDATE: PerDialect = PerDialect {
    sqlite: "UPDATE challenges SET channel = r.value ->> 'channel', state = r.value ->> 'state', \
             state_at = r.value ->> 'state_at', live = r.value ->> 'live', checks = r.value ->> 'checks', \
             sends = r.value ->> 'sends', last_send = r.value ->> 'last_send', updated_at = r.value ->> 'updated_at' \
             FROM json_each($1) AS r WHERE challenges.sid = r.value ->> 'sid'",
    postgres: "UPDATE challenges SET channel = r.channel, state = r.state, state_at = r.state_at, live = r.live, \
               checks = r.checks, sends = r.sends, last_send = r.last_send, updated_at = r.updated_at \
               FROM jsonb_to_recordset($1::jsonb) AS r(sid text, channel text, state text, state_at bigint, live bigint, \
               checks bigint, sends bigint, last_send bigint, updated_at bigint) WHERE challenges.sid = r.sid",
};

const REWORD: PerDialect = PerDialect {
    sqlite: "UPDATE challenges SET sealed = unhex(r.value ->> 'sealed') FROM json_each($1) AS r \
             WHERE challenges.sid = r.value ->> 'sid'",
    postgres: "UPDATE challenges SET sealed = decode(r.sealed, 'hex') \
               FROM jsonb_to_recordset($1::jsonb) AS r(sid text, sealed text) WHERE challenges.sid = r.sid",
};

/// A challenge that is new, as it is written.
#[derive(Serialize)]
struct NewRow<'a> {
    application: &'a str,
    purpose: &'a str,
    binding: &'a str,
    number_tag: &'a str,
    sealed: String,
    digits: u8,
    created_at: i64,
    expires_at: i64,
    #[serde(flatten)]
    course: Course,
}

impl<'a> NewRow<'a> {
    fn of(keys: &Keyring, challenge: &'a Challenge, course: Course) -> Self {
        Self {
            application: &challenge.expected.application,
            purpose: &challenge.expected.purpose,
            binding: &challenge.expected.binding,
            number_tag: &challenge.number_tag,
            sealed: sealed(keys, challenge),
            digits: challenge.length.digits(),
            created_at: challenge.course.created_at.as_microsecond(),
            expires_at: challenge.course.expires_at.as_microsecond(),
            course,
        }
    }
}

const INSERT: PerDialect = insert!(
    "challenges", sid text, application text, purpose text, binding text, number_tag text, sealed bytes, channel text,
    digits int, state text, state_at int, live int, checks int, sends int, last_send int, created_at int, updated_at int,
    expires_at int; ""
);

/// What of a challenge is personal or secret, sealed as one value.
#[derive(Serialize, Deserialize)]
struct Sealed {
    number: String,
    details: serde_json::Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    custom_code: Option<String>,
}

fn state_at(course: challenge::Challenge) -> Timestamp {
    match course.state {
        State::Pending(_) => course.created_at,
        State::Approved(at) | State::Canceled(at) | State::MaxAttemptsReached(at) => at,
        State::Expired => course.expires_at,
    }
}

fn sealed(keys: &Keyring, challenge: &Challenge) -> String {
    let sealed = Sealed {
        number: challenge.number.to_string(),
        details: challenge.details.clone(),
        custom_code: challenge.custom_code.as_ref().map(|code| code.expose().to_owned()),
    };
    let text = zeroize::Zeroizing::new(serde_json::json!(sealed).to_string());
    hex::write(&keys.seal(place(&challenge.sid.to_string()), text.as_bytes()))
}

fn place(sid: &str) -> Place<'_> {
    Place { table: "challenges", column: "sealed", row: sid }
}

/// Reads a challenge.
pub(super) fn read(keys: &Keyring, row: &Row) -> Result<Challenge> {
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
