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

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::CLOCK_BACK;
use ringfence_model::Actor;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::sql::{Transaction, values};
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
    let by = Actor::job("open");
    let server = server(transaction).await?;
    if find(transaction, EPOCH).await?.is_none() {
        put(transaction, INSTANCE, &hex::write(&crate::random::<16>())).await?;
        put(transaction, SERVER, &server).await?;
        return begin(transaction, &by, "the database was made", now).await;
    }
    if find(transaction, BACKUP).await?.is_some() {
        transaction.execute("DELETE FROM meta WHERE name = $1", values![BACKUP]).await?;
        return begin(transaction, &by, "a backup was restored", now).await;
    }
    if !server.is_empty() && find(transaction, SERVER).await?.as_deref() != Some(&server) {
        put(transaction, SERVER, &server).await?;
        return begin(transaction, &by, "PostgreSQL was restored or a replica promoted", now).await;
    }
    Ok(())
}

/// Follows the clock that decides in which window a request counts, and begins an epoch where it has gone back.
pub(crate) async fn follow_clock(transaction: &mut Transaction, now: Timestamp) -> Result<()> {
    const READ: &str = "SELECT value FROM meta WHERE name = $1";
    const LOCK: &str = "SELECT value FROM meta WHERE name = $1 FOR UPDATE";
    let Some(known) = clock(transaction, READ).await? else {
        return put(transaction, CLOCK, &now.to_string()).await;
    };
    let went_back = |known: Timestamp| now.duration_since(known) < -CLOCK_BACK;
    if went_back(known) {
        // Of nodes that notice it at the same time one begins the epoch.
        let read = if transaction.is_sqlite() { READ } else { LOCK };
        if clock(transaction, read).await?.is_some_and(went_back) {
            put(transaction, CLOCK, &now.to_string()).await?;
            begin(transaction, &Actor::job("ledger"), "the clock went back", now).await?;
        }
    } else if now.duration_since(known) >= CLOCK_STEP {
        put(transaction, CLOCK, &now.to_string()).await?;
    }
    Ok(())
}

async fn clock(transaction: &mut Transaction, select: &'static str) -> Result<Option<Timestamp>> {
    let row = transaction.find(select, values![CLOCK]).await?;
    row.map(|row| row.text("value")?.parse().map_err(|error: jiff::Error| bad_meta(CLOCK, &error)))
        .transpose()
}

/// Which PostgreSQL this is: the cluster, which a restore of a dump changes, and its timeline, which a promotion and a
/// restore to a point in time change. Empty on SQLite, and where the provider does not let us ask.
async fn server(transaction: &mut Transaction) -> Result<String> {
    if transaction.is_sqlite() {
        return Ok(String::new());
    }
    let allowed = "SELECT CASE WHEN pg_is_in_recovery() THEN 2 \
                   WHEN has_function_privilege('pg_control_system()', 'EXECUTE') THEN 1 ELSE 0 END::bigint AS allowed";
    let allowed = transaction.find(allowed, values![]).await?.map_or(Ok(0), |row| row.int("allowed"))?;
    if allowed != 1 {
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
    let number = match find(transaction, EPOCH).await? {
        Some(text) => text.parse::<i64>().map_err(|error| bad_meta(EPOCH, &error))? + 1,
        None => 1,
    };
    put(transaction, EPOCH, &number.to_string()).await?;
    put(transaction, EPOCH_ID, &hex::write(&crate::random::<8>())).await?;
    put(transaction, EPOCH_SINCE, &now.to_string()).await?;
    let audit =
        NewAudit::new("epoch.begin", format!("epoch {number}")).with(serde_json::json!({ "reason": reason }));
    audit::append(transaction, by, &audit, now).await?;
    Ok(())
}

pub(crate) async fn read(transaction: &mut Transaction) -> Result<Epoch> {
    let mut must = [String::new(), String::new(), String::new()];
    for (name, value) in [EPOCH, EPOCH_ID, EPOCH_SINCE].into_iter().zip(&mut must) {
        *value = find(transaction, name).await?.ok_or_else(|| no_meta(name))?;
    }
    let [number, id, since] = must;
    Ok(Epoch {
        number: number.parse().map_err(|error: std::num::ParseIntError| bad_meta(EPOCH, &error))?,
        id,
        since: since.parse().map_err(|error: jiff::Error| bad_meta(EPOCH_SINCE, &error))?,
    })
}

async fn find(transaction: &mut Transaction, name: &str) -> Result<Option<String>> {
    let row = transaction.find("SELECT value FROM meta WHERE name = $1", values![name]).await?;
    row.map(|row| row.text("value")).transpose()
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
