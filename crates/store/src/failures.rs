//! Failures in a row, counted before anything is compared. The rules are `second_factor::failures`'s.

use jiff::Timestamp;
use ringfence_second_factor::failures::{Barred, Failures, Rule};

use crate::Result;
use crate::error::Error;
use crate::sql::{Transaction, values};

/// Counts one more, if one more may be made. Whoever succeeds [resets](reset) it in the same transaction.
pub(crate) async fn count(
    transaction: &mut Transaction,
    subject: &str,
    rule: Rule,
    now: Timestamp,
) -> Result<Result<Failures, Barred>> {
    // It reads and locks: of two at once, the second sees what the first has counted.
    let lock = "INSERT INTO failures (subject, count) VALUES ($1, 0) \
                ON CONFLICT (subject) DO UPDATE SET count = failures.count RETURNING count, last";
    let row = transaction.find(lock, values![subject]).await?;
    let row = row.ok_or_else(|| Error::corrupt("failures", "an upsert gave back no row"))?;
    let count = u32::try_from(row.int("count")?).unwrap_or(u32::MAX);
    let failures = Failures { count, last: row.maybe_time("last")? };
    if let Err(barred) = failures.admit(rule, now) {
        return Ok(Err(barred));
    }
    let counted = failures.counted(now);
    let update = "UPDATE failures SET count = $2, last = $3 WHERE subject = $1";
    transaction.execute(update, values![subject, i64::from(counted.count), counted.last]).await?;
    Ok(Ok(counted))
}

/// A success: there are none in a row any more.
pub(crate) async fn reset(transaction: &mut Transaction, subject: &str) -> Result<()> {
    transaction.execute("DELETE FROM failures WHERE subject = $1", values![subject]).await?;
    Ok(())
}
