//! The sealer: chains what is committed, in the order of ids, and signs the end.
//!
//! On PostgreSQL a transaction may commit after another one that took a higher id. A sealer that simply went up to the
//! highest id it sees would pass over the row that comes late. So it first reads the sequence (every id up to there
//! belongs to a transaction that already has its number: `next_audit_id` sees to that order), then takes a number of its
//! own, and seals up to that id only once no transaction with a smaller number is open. Where one still is, it
//! remembers the pair and looks again at its next run; no writer ever waits for it. On SQLite one transaction writes at
//! a time, so whatever the sealer sees is all there is.

use jiff::Timestamp;

use super::Stored;
use super::chain::{BEGINNING, HEAD, Head, SigningKey, hash};
use crate::error::Error;
use crate::sql::{Transaction, values};
use crate::{Result, Store};

/// Rows that one transaction chains: it holds up the writes behind it for a few milliseconds.
const BATCH: usize = 250;

/// An id up to which nothing new can appear once all transactions below a number have ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Horizon {
    audit_id: i64,
    transaction: i64,
}

/// What one run of the sealer did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Rows that were chained.
    pub rows: usize,
    /// The new end of the chain, to be carried elsewhere; `None` if nothing was chained.
    pub head: Option<Head>,
    /// Whether there is more to chain at once. What open transactions have yet to commit does not count.
    pub more: bool,
}

impl Store {
    /// Chains committed audit rows and signs the end. A job calls it every few seconds, and again while there is more.
    ///
    /// Two nodes that seal at the same moment get in each other's way: one of them fails with a conflict, and nothing is
    /// lost.
    pub async fn seal_audit(&self, now: Timestamp) -> Result<Sealed> {
        let remembered = *self.horizon.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (sealed, horizon) = self
            .write((remembered, now), |(remembered, now), transaction| {
                Box::pin(seal(transaction, *remembered, *now))
            })
            .await?;
        *self.horizon.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = horizon;
        Ok(sealed)
    }
}

async fn seal(
    transaction: &mut Transaction,
    remembered: Option<Horizon>,
    now: Timestamp,
) -> Result<(Sealed, Option<Horizon>)> {
    let (upto, horizon) = settled(transaction, remembered).await?;

    let last = "SELECT seq, audit_id, hash FROM audit_chain ORDER BY seq DESC LIMIT 1";
    let checkpoint = "SELECT seq, audit_id, hash FROM audit_checkpoint";
    let mut end = transaction.find(last, values![]).await?;
    if end.is_none() {
        end = transaction.find(checkpoint, values![]).await?;
    }
    let (mut seq, mut audit_id, mut before) = match end {
        Some(row) => (row.int("seq")?, row.int("audit_id")?, row.bytes("hash")?),
        None => (0, 0, BEGINNING.to_vec()),
    };

    let rows = transaction
        .fetch(
            "SELECT * FROM audit WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3",
            values![audit_id, upto, BATCH],
        )
        .await?;
    for row in &rows {
        let stored = Stored::read(row, "id")?;
        before = hash(&before, &stored);
        (seq, audit_id) = (seq + 1, stored.id);
        let insert = "INSERT INTO audit_chain (seq, audit_id, hash) VALUES ($1, $2, $3)";
        transaction.execute(insert, values![seq, audit_id, before.as_slice()]).await?;
    }
    let head =
        if rows.is_empty() { None } else { Some(sign(transaction, seq, audit_id, before, now).await?) };
    Ok((Sealed { rows: rows.len(), head, more: rows.len() == BATCH }, horizon))
}

/// Up to which id nothing new can appear, and what to remember for the next run.
async fn settled(
    transaction: &mut Transaction,
    remembered: Option<Horizon>,
) -> Result<(i64, Option<Horizon>)> {
    if transaction.is_sqlite() {
        return Ok((i64::MAX, None));
    }
    // Three statements, since each sees what happened before it began, in this order.
    let highest = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS value FROM audit_id_seq";
    let audit_id = number(transaction, highest).await?;
    let own = "SELECT pg_current_xact_id()::text::bigint AS value";
    let fresh = Horizon { audit_id, transaction: number(transaction, own).await? };
    let oldest = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS value";
    let oldest_open = number(transaction, oldest).await?;

    if oldest_open >= fresh.transaction {
        return Ok((fresh.audit_id, None));
    }
    match remembered {
        Some(horizon) if oldest_open >= horizon.transaction => Ok((horizon.audit_id, Some(fresh))),
        // Not yet. Remembering the older one, not the fresh one, is what lets a busy log be sealed at all.
        Some(horizon) => Ok((0, Some(horizon))),
        None => Ok((0, Some(fresh))),
    }
}

async fn number(transaction: &mut Transaction, sql: &'static str) -> Result<i64> {
    let row = transaction.find(sql, values![]).await?;
    row.ok_or_else(|| Error::corrupt("audit_id_seq", "it is empty"))?.int("value")
}

async fn sign(
    transaction: &mut Transaction,
    seq: i64,
    audit_id: i64,
    hash: Vec<u8>,
    now: Timestamp,
) -> Result<Head> {
    // Times are kept in microseconds; the head says exactly what is kept.
    let signed_at = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
    let key = SigningKey::of(transaction).await?;
    let signature = key.sign(HEAD, seq, audit_id, &hash, signed_at);
    let insert =
        "INSERT INTO audit_heads (seq, audit_id, hash, signed_at, signature) VALUES ($1, $2, $3, $4, $5)";
    let bound = values![seq, audit_id, hash.as_slice(), signed_at, signature.as_slice()];
    transaction.execute(insert, bound).await?;
    Ok(Head { seq, audit_id, hash, signed_at, signature, public_key: key.public() })
}
