//! Failures in a row, one row for each thing that codes are tried at: a person's factor, an application's number.
//!
//! [`ringfence_second_factor::failures`] says what they cost. The row is locked from when it is read until the transaction
//! ends, so that of many attempts at once each sees the ones before it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ringfence_second_factor::failures::{Barred, Failures, Rule};
use serde_json::json;

use crate::error::Error;
use crate::many::{PerDialect, insert};
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

/// The same of many.
pub(crate) async fn look_at(
    transaction: &mut Transaction,
    subjects: &BTreeSet<String>,
) -> Result<BTreeMap<String, Failures>> {
    let rows = READ.run(transaction, subjects.iter().map(|subject| json!({ "subject": subject }))).await?;
    rows.iter().map(|row| Ok((row.text("subject")?, read(row)?))).collect()
}

/// Failures of many subjects, locked until the transaction ends.
#[derive(Default)]
pub(crate) struct Locked {
    rows: BTreeMap<String, Failures>,
    changed: BTreeSet<String>,
}

impl Locked {
    /// Locks them, in the order of their names.
    pub(crate) async fn lock(transaction: &mut Transaction, subjects: BTreeSet<String>) -> Result<Self> {
        let wanted = subjects.iter().map(|subject| json!({ "subject": subject, "count": 0, "last": 0 }));
        let there = LOCK.run(transaction, wanted).await?;
        let mut rows: BTreeMap<_, _> =
            subjects.into_iter().map(|subject| (subject, Failures::default())).collect();
        for row in there {
            rows.insert(row.text("subject")?, read(&row)?);
        }
        Ok(Self { rows, changed: BTreeSet::new() })
    }

    /// Counts a failure in advance, before anything is compared, and says how many there were before it; where the attempt turns
    /// out right, [`forget`](Self::forget) takes it back with all others. Where the subject is barred nothing is counted.
    pub(crate) fn count(
        &mut self,
        subject: &str,
        rule: Rule,
        now: Timestamp,
    ) -> Result<std::result::Result<u32, Barred>> {
        let failures = self.rows.get_mut(subject).ok_or_else(|| not_locked(subject))?;
        if let Err(barred) = failures.admit(rule, now) {
            return Ok(Err(barred));
        }
        let before = failures.count;
        *failures = failures.counted(rule, now);
        self.changed.insert(subject.to_owned());
        Ok(Ok(before))
    }

    /// So far.
    pub(crate) fn get(&self, subject: &str) -> Option<Failures> {
        self.rows.get(subject).copied()
    }

    /// A success.
    pub(crate) fn forget(&mut self, subject: &str) -> Result<()> {
        *self.rows.get_mut(subject).ok_or_else(|| not_locked(subject))? = Failures::default();
        self.changed.insert(subject.to_owned());
        Ok(())
    }

    /// Writes what has changed.
    pub(crate) async fn write(&self, transaction: &mut Transaction) -> Result<()> {
        let changed = self.changed.iter().filter_map(|subject| Some((subject, self.rows.get(subject)?)));
        let (some, none): (Vec<_>, Vec<_>) = changed.partition(|(_, failures)| failures.last.is_some());
        let some = some.into_iter().map(|(subject, failures)| {
            let last = failures.last.map(Timestamp::as_microsecond);
            json!({ "subject": subject, "count": failures.count, "last": last })
        });
        WRITE.run_later(transaction, some).await?;
        DELETE
            .run_later(transaction, none.into_iter().map(|(subject, _)| json!({ "subject": subject })))
            .await
    }
}

const READ: PerDialect = PerDialect {
    sqlite: "SELECT failures.* FROM json_each($1) AS r CROSS JOIN failures ON subject = r.value ->> 'subject'",
    postgres: "SELECT * FROM failures \
               WHERE subject = ANY (ARRAY(SELECT r.subject FROM jsonb_to_recordset($1::jsonb) AS r(subject text)))",
};

/// It changes nothing, but from here on the rows are this transaction's, as all are on SQLite.
const LOCK: PerDialect = PerDialect {
    sqlite: READ.sqlite,
    ..insert!("failures", subject text, count int, last int;
              "ON CONFLICT (subject) DO UPDATE SET count = failures.count RETURNING *")
};

const WRITE: PerDialect = insert!("failures", subject text, count int, last int;
                                  "ON CONFLICT (subject) DO UPDATE SET count = excluded.count, last = excluded.last");

const DELETE: PerDialect = PerDialect {
    sqlite: "DELETE FROM failures WHERE subject IN (SELECT value ->> 'subject' FROM json_each($1))",
    postgres: "DELETE FROM failures \
               WHERE subject = ANY (ARRAY(SELECT r.subject FROM jsonb_to_recordset($1::jsonb) AS r(subject text)))",
};

fn not_locked(subject: &str) -> Error {
    Error::corrupt(format!("failures of {subject}"), "they were not locked")
}

/// Counts a failure of one subject [in advance](Locked::count).
pub(crate) async fn count(
    transaction: &mut Transaction,
    subject: &str,
    rule: Rule,
    now: Timestamp,
) -> Result<std::result::Result<u32, Barred>> {
    let mut locked = Locked::lock(transaction, [subject.to_owned()].into()).await?;
    let counted = locked.count(subject, rule, now)?;
    locked.write(transaction).await?;
    Ok(counted)
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
