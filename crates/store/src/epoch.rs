//! The epoch: one unbroken memory.
//!
//! A database that was restored from a backup, or a replica that was promoted, has forgotten something that happened.
//! From its rows alone that cannot be seen, so each such event begins a new epoch, and whoever relies on memory (the
//! egress, with money) first reads back from Twilio what it may have lost.
//!
//! It is noticed without anybody saying so: a backup carries a mark, and PostgreSQL tells which cluster and which
//! timeline of it this is, which change with every restore of its files and every promotion. A dump that is restored
//! into the same cluster cannot be told apart: there, and wherever in doubt, an operator says it. A clock that goes back
//! begins one too: windows that were left are there again, and what was spent in them is not known any more.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::CLOCK_BACK;
use ringfence_model::Actor;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::sql::{Transaction, Value, values};
use crate::{Result, Store, hex};

/// One unbroken memory of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Counts up from 1.
    pub number: i64,
    /// Random, since two restores of one backup both begin the same number.
    pub id: String,
    /// When it began, by the clock of the node that noticed.
    pub since: Timestamp,
}

/// Which server this is, in names of `meta`.
const SERVER: &str = "server";
const EPOCH: &str = "epoch";
const EPOCH_ID: &str = "epoch-id";
const EPOCH_SINCE: &str = "epoch-since";
/// The latest that the clock of the ledger said, give or take [`CLOCK_STEP`].
const CLOCK: &str = "clock";
/// Not in `meta`: there where PostgreSQL tells which server it is.
const TELLS_SERVER: &str = "tells-server";
/// How much later it must be to be noted, so that not every batch writes it.
const CLOCK_STEP: SignedDuration = SignedDuration::from_secs(10);
/// There as long as a database is a backup that nobody has opened.
pub(crate) const BACKUP: &str = "backup";
pub(crate) const INSTANCE: &str = "instance";

impl Store {
    /// The epoch that holds now. On PostgreSQL this also notices a promotion since the last look, so ask it again after
    /// each time that the database was away.
    pub async fn epoch(&self, now: Timestamp) -> Result<Epoch> {
        self.write(now, |now, transaction| {
            Box::pin(async move {
                begin_if_moved(transaction, *now).await?;
                read(transaction).await
            })
        })
        .await
    }

    /// Begins a new epoch because an operator says that the database has forgotten something.
    pub async fn new_epoch(&self, by: &Actor, reason: &str, now: Timestamp) -> Result<Epoch> {
        self.write((by.clone(), reason.to_owned(), now), |(by, reason, now), transaction| {
            Box::pin(async move {
                begin(transaction, by, reason, *now).await?;
                read(transaction).await
            })
        })
        .await
    }

    /// The random name that this store got when it was made. A backup and its restore have the same.
    pub async fn instance(&self) -> Result<String> {
        let row = self.find("SELECT value FROM meta WHERE name = $1", values![INSTANCE]).await?;
        row.ok_or_else(|| no_meta(INSTANCE))?.text("value")
    }
}

/// Begins an epoch where there is none yet, where this is a backup that is opened for the first time, and where
/// PostgreSQL is another server than it was.
pub(crate) async fn begin_if_moved(transaction: &mut Transaction, now: Timestamp) -> Result<()> {
    let known = Known::read(transaction).await?;
    begin_if_differs(transaction, &known, now).await.map(drop)
}

/// The epoch that holds at this time of the ledger, after whatever there is to notice: the database is another, or the clock
/// that decides in which window a request counts went back. `known` is what this transaction has read.
pub(crate) async fn follow(transaction: &mut Transaction, known: &Known, now: Timestamp) -> Result<Epoch> {
    let has_moved = begin_if_differs(transaction, known, now).await?;
    let went_back = follow_clock(transaction, known, now).await?;
    if has_moved || went_back { read(transaction).await } else { known.epoch() }
}

/// Whether an epoch was begun.
async fn begin_if_differs(transaction: &mut Transaction, known: &Known, now: Timestamp) -> Result<bool> {
    let by = Actor::job("open");
    let server = server(transaction, known).await?;
    let reason = if known.get(EPOCH).is_none() {
        put(transaction, INSTANCE, &hex::write(&crate::random::<16>())).await?;
        put(transaction, SERVER, &server).await?;
        "the database was made"
    } else if known.get(BACKUP).is_some() {
        transaction.execute("DELETE FROM meta WHERE name = $1", values![BACKUP]).await?;
        "a backup was restored"
    } else if !server.is_empty() && known.get(SERVER) != Some(&server) {
        put(transaction, SERVER, &server).await?;
        "PostgreSQL was restored or a replica promoted"
    } else {
        return Ok(false);
    };
    begin(transaction, &by, reason, now).await?;
    Ok(true)
}

/// Notes how late it is, now and then; begins an epoch where that is earlier than it was. Whether it did.
async fn follow_clock(transaction: &mut Transaction, known: &Known, now: Timestamp) -> Result<bool> {
    let Some(latest) = known.time(CLOCK)? else {
        put(transaction, CLOCK, &now.to_string()).await?;
        return Ok(false);
    };
    let went_back = |latest: Timestamp| now.duration_since(latest) < -CLOCK_BACK;
    if went_back(latest) {
        // Of nodes that notice it at the same time one begins the epoch; the others have waited for it.
        let is_first = Known::locked(transaction).await?.time(CLOCK)?.is_some_and(went_back);
        if is_first {
            put(transaction, CLOCK, &now.to_string()).await?;
            begin(transaction, &Actor::job("ledger"), "the clock went back", now).await?;
        }
        return Ok(true);
    }
    if now.duration_since(latest) >= CLOCK_STEP {
        put(transaction, CLOCK, &now.to_string()).await?;
    }
    Ok(false)
}

/// What the database says of its epoch, read at once: each batch of the ledger asks.
pub(crate) struct Known(BTreeMap<String, String>);

/// Rows `name` and `value` of all that a [`Known`] is made of, for the values of [`Known::names`]. Where the provider does
/// not let us ask which server this is, the statement that asks fails, so PostgreSQL is asked that before.
macro_rules! known {
    (sqlite) => {
        "SELECT name, value FROM meta WHERE name IN ($1, $2, $3, $4, $5, $6)"
    };
    (postgres) => {
        "SELECT name, value FROM meta WHERE name IN ($1, $2, $3, $4, $5, $6) UNION ALL \
         SELECT 'tells-server', 'yes' WHERE CASE WHEN pg_is_in_recovery() THEN false \
         ELSE has_function_privilege('pg_control_system()', 'EXECUTE') END"
    };
}
pub(crate) use known;

impl Known {
    /// What is bound to the statements of [`known!`].
    pub(crate) fn names() -> Vec<Value> {
        values![EPOCH, EPOCH_ID, EPOCH_SINCE, SERVER, BACKUP, CLOCK]
    }

    /// Of rows by name.
    pub(crate) fn of(rows: BTreeMap<String, String>) -> Self {
        Self(rows)
    }

    async fn read(transaction: &mut Transaction) -> Result<Self> {
        let select = if transaction.is_sqlite() { known!(sqlite) } else { known!(postgres) };
        Self::fetch(transaction, select).await
    }

    /// Until the transaction ends nobody else changes it.
    async fn locked(transaction: &mut Transaction) -> Result<Self> {
        if transaction.is_sqlite() {
            return Self::read(transaction).await;
        }
        let select =
            "SELECT name, value FROM meta WHERE name IN ($1, $2, $3, $4, $5, $6) ORDER BY name FOR UPDATE";
        Self::fetch(transaction, select).await
    }

    async fn fetch(transaction: &mut Transaction, select: &'static str) -> Result<Self> {
        let rows = transaction.fetch(select, Self::names()).await?;
        rows.iter().map(|row| Ok((row.text("name")?, row.text("value")?))).collect::<Result<_>>().map(Self)
    }

    fn get(&self, name: &str) -> Option<&String> {
        self.0.get(name)
    }

    fn time(&self, name: &str) -> Result<Option<Timestamp>> {
        self.get(name)
            .map(|text| text.parse().map_err(|error: jiff::Error| bad_meta(name, &error)))
            .transpose()
    }

    fn number(&self) -> Result<Option<i64>> {
        let number = self.get(EPOCH).map(|text| text.parse());
        number.transpose().map_err(|error: std::num::ParseIntError| bad_meta(EPOCH, &error))
    }

    fn epoch(&self) -> Result<Epoch> {
        Ok(Epoch {
            number: self.number()?.ok_or_else(|| no_meta(EPOCH))?,
            id: self.get(EPOCH_ID).cloned().ok_or_else(|| no_meta(EPOCH_ID))?,
            since: self.time(EPOCH_SINCE)?.ok_or_else(|| no_meta(EPOCH_SINCE))?,
        })
    }
}

/// Which PostgreSQL this is: the cluster, which a restore of a dump changes, and its timeline, which a promotion and a
/// restore to a point in time change. Empty on SQLite, and where the provider does not let us ask.
async fn server(transaction: &mut Transaction, known: &Known) -> Result<String> {
    if known.get(TELLS_SERVER).is_none() {
        return Ok(String::new());
    }
    let row = transaction
        .find(
            "SELECT system_identifier::text || '/' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) \
             AS server FROM pg_control_system()",
            values![],
        )
        .await?;
    row.map_or(Ok(String::new()), |row| row.text("server"))
}

async fn begin(transaction: &mut Transaction, by: &Actor, reason: &str, now: Timestamp) -> Result<()> {
    let number = Known::read(transaction).await?.number()?.map_or(1, |number| number + 1);
    put(transaction, EPOCH, &number.to_string()).await?;
    put(transaction, EPOCH_ID, &hex::write(&crate::random::<8>())).await?;
    put(transaction, EPOCH_SINCE, &now.to_string()).await?;
    let audit =
        NewAudit::new("epoch.begin", format!("epoch {number}")).with(serde_json::json!({ "reason": reason }));
    audit::append(transaction, by, &audit, now).await?;
    if number > 1 {
        tracing::warn!(
            epoch = number,
            "{reason}: nothing is admitted through the egress until Twilio's figures have been read"
        );
    }
    Ok(())
}

async fn read(transaction: &mut Transaction) -> Result<Epoch> {
    Known::read(transaction).await?.epoch()
}

pub(crate) async fn put(transaction: &mut Transaction, name: &str, value: &str) -> Result<()> {
    let upsert = "INSERT INTO meta (name, value) VALUES ($1, $2) \
                  ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    transaction.execute(upsert, values![name, value]).await?;
    Ok(())
}

fn no_meta(name: &str) -> Error {
    Error::corrupt(format!("meta, row {name}"), "it is missing")
}

fn bad_meta(name: &str, error: &dyn std::fmt::Display) -> Error {
    Error::corrupt(format!("meta, row {name}"), error.to_string())
}
