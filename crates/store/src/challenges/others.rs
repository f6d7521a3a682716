//! The pauses between codes to one number.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use ringfence_model::Sid;
use ringfence_second_factor::challenge;
use serde_json::json;

use super::Challenge;
use super::begin::{NotSent, not_sent};
use crate::Result;
use crate::many::PerDialect;
use crate::sql::Transaction;

/// What was sent to the same numbers by the same applications, whatever for. Sign-ins have a code each, and wait for each
/// other and for verifications: whoever begins many sends the number no more texts than whoever asks for one code again.
#[derive(Default)]
pub(super) struct Others(HashMap<(String, String), BTreeMap<Sid, Other>>);

/// Sends of one challenge that keeps its place.
struct Other {
    sends: u32,
    last_send: Timestamp,
    expires_at: Timestamp,
}

impl Others {
    /// Whoever sends there at the same time waits for the prefix, so all that was sent is seen once that is locked.
    pub(super) async fn read<'c>(
        transaction: &mut Transaction,
        challenges: impl Iterator<Item = &'c Challenge>,
    ) -> Result<Self> {
        let of: BTreeSet<_> = challenges.map(Self::key).collect();
        let of = of
            .iter()
            .map(|(application, number_tag)| json!({ "application": application, "number_tag": number_tag }));
        let mut others = Self::default();
        for row in OTHERS.run(transaction, of).await? {
            let key = (row.text("application")?, row.text("number_tag")?);
            let other = Other {
                sends: u32::try_from(row.count("sends")?).unwrap_or(u32::MAX),
                last_send: row.time("last_send")?,
                expires_at: row.time("expires_at")?,
            };
            others.0.entry(key).or_default().insert(row.sid("sid")?, other);
        }
        Ok(others)
    }

    fn key(challenge: &Challenge) -> (String, String) {
        (challenge.expected.application.clone(), challenge.number_tag.clone())
    }

    /// Whether the pauses allow one more send.
    pub(super) fn may_send(&self, challenge: &Challenge, now: Timestamp) -> std::result::Result<(), NotSent> {
        let all = self.0.get(&Self::key(challenge)).into_iter().flat_map(BTreeMap::values);
        let all: Vec<_> = all.filter(|other| other.expires_at > now).collect();
        let last = all.iter().map(|other| other.last_send).max();
        // With the first that ends there are fewer.
        let ends = all.iter().map(|other| other.expires_at).min();
        let (Some(last), Some(ends)) = (last, ends) else { return Ok(()) };
        let sends = all.iter().fold(0_u32, |sum, other| sum.saturating_add(other.sends));
        challenge::may_send(sends, last, now).map_err(|refused| not_sent(refused, ends))
    }

    /// One more was sent.
    pub(super) fn sent(&mut self, challenge: &Challenge) {
        let Challenge { sends, last_send, course, .. } = challenge;
        let other = Other { sends: *sends, last_send: *last_send, expires_at: course.expires_at };
        self.0.entry(Self::key(challenge)).or_default().insert(challenge.sid, other);
    }
}

const OTHERS: PerDialect = PerDialect {
    sqlite: "SELECT c.sid, c.application, c.number_tag, c.sends, c.last_send, c.expires_at \
             FROM json_each($1) AS r CROSS JOIN challenges c ON c.application = r.value ->> 'application' \
             AND c.number_tag = r.value ->> 'number_tag' AND c.live = 1 \
             AND c.state IN ('pending', 'max_attempts_reached')",
    postgres: "SELECT c.sid, c.application, c.number_tag, c.sends, c.last_send, c.expires_at \
               FROM challenges c JOIN jsonb_to_recordset($1::jsonb) AS r(application text, number_tag text) \
               ON c.application = r.application AND c.number_tag = r.number_tag \
               WHERE c.live = 1 AND c.state IN ('pending', 'max_attempts_reached')",
};
