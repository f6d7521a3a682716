//! The state of each limit on each subject, with a version.
//!
//! Whoever changes a breaker has read it, decided, and says which version was read. A step writes the new states, what
//! they were decided for, and everything that must happen outside, in one transaction; if somebody else was quicker,
//! nothing of it is written, and the caller reads again and steps again. What a state is, the crate `breaker` knows.

use jiff::Timestamp;
use ringfence_model::{Actor, Sid};
use serde::de::DeserializeOwned;

use crate::accounts::{self, Wanted};
use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::outbox::{self, NewEffect};
use crate::readings::{self, NewReading};
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store, observations};

/// A breaker as it is stored. `S` is its state, read from JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker<S> {
    /// The name of the limit.
    pub limit: String,
    /// The account, or whatever else the limit counts together.
    pub subject: String,
    /// The state.
    pub state: S,
    /// Counts up from 1 with each change.
    pub version: i64,
    /// When it last changed.
    pub changed_at: Timestamp,
}

/// The new state of one breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerChange {
    /// The name of the limit.
    pub limit: String,
    /// The account, or whatever else the limit counts together.
    pub subject: String,
    /// The version that the decision was made on; 0 if there was none yet. The new one is one more.
    pub version: i64,
    /// The new state.
    pub state: serde_json::Value,
    /// What was decided. `None` only where the breaker took note of a number and stays what it was, as it does with each
    /// look at the usage records.
    pub audit: Option<NewAudit>,
    /// What it has seen by now, for whoever looks back.
    pub seen: Option<NewReading>,
}

/// What follows from one observation, or from one act of an operator. All of it is written, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// The observation that this settles, by its key.
    pub observation: Option<String>,
    /// The breakers that change.
    pub changes: Vec<BreakerChange>,
    /// Accounts of which something else is wanted from now on.
    pub wants: Vec<(Sid, Wanted)>,
    /// What must happen outside. An effect whose key is already there is not added again.
    pub effects: Vec<NewEffect>,
}

impl Store {
    /// Writes a step. A [conflict](Error::Conflict) says that a breaker has another version than was read: read again,
    /// and step again. [`Settled`](Error::Settled) says that somebody else has settled the observation, and is told
    /// before any conflict.
    pub async fn step(&self, by: &Actor, mut step: Step, now: Timestamp) -> Result<()> {
        // Everybody locks in one order, so that two steps wait for each other and never both.
        step.changes.sort_by(|one, other| (&one.limit, &one.subject).cmp(&(&other.limit, &other.subject)));
        self.write((by.clone(), step, now), |(by, step, now), transaction| {
            Box::pin(async move {
                if let Some(key) = &step.observation {
                    observations::settle(transaction, key, *now).await?;
                }
                for change in &step.changes {
                    write_change(transaction, by, change, *now).await?;
                }
                for (sid, wanted) in &step.wants {
                    accounts::want(transaction, by, *sid, wanted, *now).await?;
                }
                for effect in &step.effects {
                    outbox::add(transaction, by, effect, *now).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// One breaker; `None` if nothing was ever observed for it.
    pub async fn find_breaker<S: DeserializeOwned>(
        &self,
        limit: &str,
        subject: &str,
    ) -> Result<Option<Breaker<S>>> {
        let sql = "SELECT * FROM breakers WHERE limit_name = $1 AND subject = $2";
        self.find(sql, values![limit, subject]).await?.map(|row| read(&row)).transpose()
    }

    /// All breakers of one subject.
    pub async fn breakers_of<S: DeserializeOwned>(&self, subject: &str) -> Result<Vec<Breaker<S>>> {
        let sql = "SELECT * FROM breakers WHERE subject = $1 ORDER BY limit_name";
        self.fetch(sql, values![subject]).await?.iter().map(read).collect()
    }

    /// All breakers, by limit and subject.
    pub async fn breakers<S: DeserializeOwned>(&self) -> Result<Vec<Breaker<S>>> {
        let sql = "SELECT * FROM breakers ORDER BY limit_name, subject";
        self.fetch(sql, values![]).await?.iter().map(read).collect()
    }

    /// Takes away a breaker whose limit is no longer wanted. A conflict says that it has another version.
    pub async fn remove_breaker(
        &self,
        by: &Actor,
        limit: &str,
        subject: &str,
        version: i64,
        now: Timestamp,
    ) -> Result<()> {
        let data = (by.clone(), limit.to_owned(), subject.to_owned(), version, now);
        self.write(data, |(by, limit, subject, version, now), transaction| {
            Box::pin(async move {
                let delete = "DELETE FROM breakers WHERE limit_name = $1 AND subject = $2 AND version = $3";
                if transaction.execute(delete, values![limit, subject, *version]).await? == 0 {
                    return Err(conflict(limit, subject));
                }
                let audit = NewAudit::new("breaker.remove", target(limit, subject));
                audit::append(transaction, by, &audit, *now).await?;
                Ok(())
            })
        })
        .await
    }
}

pub(crate) async fn write_change(
    transaction: &mut Transaction,
    by: &Actor,
    change: &BreakerChange,
    now: Timestamp,
) -> Result<()> {
    let (limit, subject, state) = (&change.limit, &change.subject, change.state.to_string());
    let written = if change.version == 0 {
        let insert = "INSERT INTO breakers (limit_name, subject, state, version, changed_at) \
                      VALUES ($1, $2, $3, 1, $4) ON CONFLICT (limit_name, subject) DO NOTHING";
        transaction.execute(insert, values![limit, subject, state, now]).await?
    } else {
        let update = "UPDATE breakers SET state = $3, version = version + 1, changed_at = $4 \
                      WHERE limit_name = $1 AND subject = $2 AND version = $5";
        transaction.execute(update, values![limit, subject, state, now, change.version]).await?
    };
    if written == 0 {
        return Err(conflict(limit, subject));
    }
    if let Some(audit) = &change.audit {
        audit::append(transaction, by, audit, now).await?;
    }
    if let Some(seen) = &change.seen {
        readings::write(transaction, limit, subject, seen).await?;
    }
    Ok(())
}

fn read<S: DeserializeOwned>(row: &Row) -> Result<Breaker<S>> {
    let (limit, subject) = (row.text("limit_name")?, row.text("subject")?);
    let state = serde_json::from_str(&row.text("state")?).map_err(|error| {
        Error::corrupt(format!("breakers.state of {}", target(&limit, &subject)), error.to_string())
    })?;
    Ok(Breaker { limit, subject, state, version: row.int("version")?, changed_at: row.time("changed_at")? })
}

fn target(limit: &str, subject: &str) -> String {
    format!("breaker {limit} of {subject}")
}

fn conflict(limit: &str, subject: &str) -> Error {
    Error::conflict(target(limit, subject))
}
