//! What was seen of an account's spending, each thing once, however often it is delivered.

use jiff::Timestamp;
use ringfence_model::Actor;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store};

/// Something that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewObservation {
    /// What makes it the same thing again: a webhook's `IdempotencyToken`, say.
    pub key: String,
    /// Who saw it: `trigger`, `usage-record`, `operator`.
    pub source: String,
    /// The account that it is about, as the source names it.
    pub account: String,
    /// What was seen.
    pub payload: serde_json::Value,
}

/// An observation as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// What makes it the same thing again.
    pub key: String,
    /// Who saw it.
    pub source: String,
    /// The account that it is about.
    pub account: String,
    /// What was seen.
    pub payload: serde_json::Value,
    /// When it came.
    pub received_at: Timestamp,
    /// When it was settled; `None` if it has yet to be.
    pub processed_at: Option<Timestamp>,
}

/// Whether something was there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It is new.
    New,
    /// It was there already, and nothing was written.
    Before,
}

/// So many observations of one source about one account may wait to be settled. Whoever has one account's token can tell as much of
/// it as they like, and none of it says more than the first.
const WAITING_MAX: i64 = 1_000;
/// So many of them at least are given out at once, if there is room.
const EACH_AT_LEAST: usize = 10;

impl Store {
    /// Keeps an observation. After this answers, it is not lost: the sender may be told so. Where many of its account wait, it is
    /// not kept ([`Error::Crowd`]).
    pub async fn observe(&self, by: &Actor, observation: NewObservation, now: Timestamp) -> Result<Seen> {
        self.write((by.clone(), observation, now), |(by, it, now), transaction| {
            Box::pin(async move {
                let insert = "INSERT INTO observations (key, source, account, payload, received_at) \
                              VALUES ($1, $2, $3, $4, $5) ON CONFLICT (key) DO NOTHING";
                let bound = values![&it.key, &it.source, &it.account, it.payload.to_string(), *now];
                if transaction.execute(insert, bound).await? == 0 {
                    return Ok(Seen::Before);
                }
                let waiting = "SELECT count(*) AS waiting FROM observations \
                               WHERE processed_at IS NULL AND account = $1 AND source = $2";
                let row = transaction.find(waiting, values![&it.account, &it.source]).await?;
                if row.map_or(Ok(0), |row| row.int("waiting"))? > WAITING_MAX {
                    return Err(Error::Crowd { what: format!("observations of {}", it.account) });
                }
                let audit = NewAudit::new("observation.receive", format!("account {}", it.account))
                    .with(serde_json::json!({ "key": it.key, "source": it.source }));
                audit::append(transaction, by, &audit, *now).await?;
                Ok(Seen::New)
            })
        })
        .await
    }

    /// Observations that nobody has settled yet: the oldest of each account and source, then the next of each, so that whoever tells
    /// much of one account keeps no other waiting, nor what this installation has seen itself. Of each there is a tenth of `limit`, or
    /// ten: those of one account are dealt with one after the other, and the others wait for the next time meanwhile.
    pub async fn unprocessed_observations(&self, limit: usize) -> Result<Vec<Observation>> {
        let sql = "SELECT * FROM (SELECT observations.*, \
                   row_number() OVER (PARTITION BY account, source ORDER BY received_at, key) AS place \
                   FROM observations WHERE processed_at IS NULL) AS waiting \
                   WHERE place <= $1 ORDER BY place, received_at, key LIMIT $2";
        let each = (limit / 10).max(EACH_AT_LEAST);
        self.fetch(sql, values![each, limit]).await?.iter().map(read).collect()
    }

    /// One observation by its key.
    pub async fn find_observation(&self, key: &str) -> Result<Option<Observation>> {
        let row = self.find("SELECT * FROM observations WHERE key = $1", values![key]).await?;
        row.map(|row| read(&row)).transpose()
    }
}

/// Marks an observation as settled, in the step that it leads to.
pub(crate) async fn settle(transaction: &mut Transaction, key: &str, now: Timestamp) -> Result<()> {
    let update = "UPDATE observations SET processed_at = $2 WHERE key = $1 AND processed_at IS NULL";
    if transaction.execute(update, values![key, now]).await? == 1 {
        return Ok(());
    }
    let there = transaction.find("SELECT key FROM observations WHERE key = $1", values![key]).await?;
    Err(match there {
        Some(_) => Error::Settled { observation: key.to_owned() },
        None => Error::missing(format!("observation {key}")),
    })
}

fn read(row: &Row) -> Result<Observation> {
    Ok(Observation {
        key: row.text("key")?,
        source: row.text("source")?,
        account: row.text("account")?,
        payload: row.json("payload")?,
        received_at: row.time("received_at")?,
        processed_at: row.maybe_time("processed_at")?,
    })
}
