//! Failures in a row, one row for each thing that codes are tried at: a person's factor, an application's number.
//!
//! [`ringfence_second_factor::failures`] says what they cost. The row is locked from when it is read until the transaction
//! ends, so that of many attempts at once each sees the ones before it.

use jiff::Timestamp;
use ringfence_second_factor::failures::{Barred, Failures, Rule};

use crate::error::Error;
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store};

impl Store {
    /// Failures of a subject since its last success.
    pub async fn failures(&self, subject: &str) -> Result<Failures> {
        let row = self.find("SELECT count, last FROM failures WHERE subject = $1", values![subject]).await?;
        row.map_or(Ok(Failures::default()), |row| read(&row))
    }
}

/// Failures of a subject, without locking them.
pub(crate) async fn look(transaction: &mut Transaction, subject: &str) -> Result<Failures> {
    let select = "SELECT count, last FROM failures WHERE subject = $1";
    let row = transaction.find(select, values![subject]).await?;
    row.map_or(Ok(Failures::default()), |row| read(&row))
}

/// Counts a failure in advance, before anything is compared; where the attempt turns out right, [`forget`] takes it back
/// with all others. Where the subject is barred nothing is counted.
pub(crate) async fn count(
    transaction: &mut Transaction,
    subject: &str,
    rule: Rule,
    now: Timestamp,
) -> Result<std::result::Result<(), Barred>> {
    // It changes nothing, but from here on the row is this transaction's.
    let lock = "INSERT INTO failures (subject, count, last) VALUES ($1, 0, 0) \
                ON CONFLICT (subject) DO UPDATE SET count = failures.count RETURNING count, last";
    let row = transaction.find(lock, values![subject]).await?;
    let row =
        row.ok_or_else(|| Error::corrupt(format!("failures of {subject}"), "an upsert gave back no row"))?;
    let failures = read(&row)?;
    if let Err(barred) = failures.admit(rule, now) {
        return Ok(Err(barred));
    }
    let counted = failures.counted(rule, now);
    let update = "UPDATE failures SET count = $2, last = $3 WHERE subject = $1";
    transaction.execute(update, values![subject, i64::from(counted.count), counted.last]).await?;
    Ok(Ok(()))
}

/// One that was counted in advance turned out to be none.
pub(crate) async fn take_back(transaction: &mut Transaction, subject: &str) -> Result<()> {
    let lock = "UPDATE failures SET count = count WHERE subject = $1 RETURNING count, last";
    let Some(row) = transaction.find(lock, values![subject]).await? else { return Ok(()) };
    let left = read(&row)?.taken_back();
    if left.count == 0 {
        return forget(transaction, subject).await;
    }
    let update = "UPDATE failures SET count = $2, last = $3 WHERE subject = $1";
    transaction.execute(update, values![subject, i64::from(left.count), left.last]).await?;
    Ok(())
}

/// A success, or a factor that was bound anew: there are no failures in a row any more.
pub(crate) async fn forget(transaction: &mut Transaction, subject: &str) -> Result<()> {
    transaction.execute("DELETE FROM failures WHERE subject = $1", values![subject]).await?;
    Ok(())
}

fn read(row: &Row) -> Result<Failures> {
    let count = u32::try_from(row.count("count")?).unwrap_or(u32::MAX);
    let last = if count == 0 { None } else { Some(row.time("last")?) };
    Ok(Failures { count, last })
}
