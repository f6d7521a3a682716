//! Limits on starts that an application sets itself, each with buckets: so many starts in so many seconds for each value
//! that a start names.

use jiff::Timestamp;
use ringfence_model::{Actor, Sid};
use serde_json::json;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store};

/// A limit, by a value that a start names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyLimit {
    /// `RK…`.
    pub sid: Sid,
    /// Whose.
    pub application: Sid,
    /// What starts call it.
    pub unique_name: String,
    /// For people.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// So many starts in so many seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyBucket {
    /// `BL…`.
    pub sid: Sid,
    /// Of which limit.
    pub rate_limit: Sid,
    /// Starts.
    pub most: u32,
    /// Seconds.
    pub seconds: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// Why a limit or a bucket was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotLimited {
    /// Its limit is not there.
    Missing,
    /// One of this name, or of this interval, is there already.
    Exists,
    /// There are as many as there may be.
    TooMany,
}

/// How many limits an application may have, and how many buckets a limit.
const MANY: u64 = 10;

impl Store {
    /// Makes a limit.
    pub async fn add_verify_limit(
        &self,
        by: &Actor,
        application: Sid,
        unique_name: &str,
        description: &str,
        now: Timestamp,
    ) -> Result<std::result::Result<VerifyLimit, NotLimited>> {
        let sid = Sid::new(*b"RK", u128::from_be_bytes(crate::random()));
        let data = (by.clone(), sid, application, unique_name.to_owned(), description.to_owned(), now);
        self.write(data, |(by, sid, application, unique_name, description, now), transaction| {
            Box::pin(async move {
                // The application is locked, so that of many at once each sees the ones before it.
                let lock = "UPDATE applications SET updated_at = updated_at WHERE sid = $1";
                transaction.execute(lock, values![*application]).await?;
                let count = "SELECT count(*) AS count, count(CASE WHEN unique_name = $2 THEN 1 END) AS same \
                             FROM verify_limits WHERE application = $1";
                let row = transaction.find(count, values![*application, unique_name]).await?;
                let row = row.ok_or_else(|| Error::corrupt("verify_limits", "a count gave back no row"))?;
                if row.count("same")? > 0 {
                    return Ok(Err(NotLimited::Exists));
                }
                if row.count("count")? >= MANY {
                    return Ok(Err(NotLimited::TooMany));
                }
                let insert = "INSERT INTO verify_limits (sid, application, unique_name, description, created_at, \
                              updated_at) VALUES ($1, $2, $3, $4, $5, $5) RETURNING *";
                let bound = values![*sid, *application, unique_name, description, *now];
                let row = transaction.find(insert, bound).await?;
                let made = read(&row.ok_or_else(|| Error::corrupt("verify_limits", "an insert gave back no row"))?)?;
                note(transaction, by, "verify-limit.add", *sid, json!({ "name": unique_name }), *now).await?;
                Ok(Ok(made))
            })
        })
        .await
    }

    /// Changes what a limit says of itself; `None` where it is not there.
    pub async fn describe_verify_limit(
        &self,
        by: &Actor,
        sid: Sid,
        description: &str,
        now: Timestamp,
    ) -> Result<Option<VerifyLimit>> {
        self.write((by.clone(), sid, description.to_owned(), now), |(by, sid, description, now), transaction| {
            Box::pin(async move {
                let update = "UPDATE verify_limits SET description = $2, updated_at = $3 WHERE sid = $1 RETURNING *";
                let row = transaction.find(update, values![*sid, description, *now]).await?;
                let changed = row.map(|row| read(&row)).transpose()?;
                if changed.is_some() {
                    note(transaction, by, "verify-limit.change", *sid, json!({}), *now).await?;
                }
                Ok(changed)
            })
        })
        .await
    }

    /// Removes a limit with its buckets; whether it was there.
    pub async fn remove_verify_limit(&self, by: &Actor, sid: Sid, now: Timestamp) -> Result<bool> {
        self.write((by.clone(), sid, now), |(by, sid, now), transaction| {
            Box::pin(async move {
                let delete = "DELETE FROM verify_limits WHERE sid = $1";
                if transaction.execute(delete, values![*sid]).await? == 0 {
                    return Ok(false);
                }
                transaction
                    .execute("DELETE FROM verify_buckets WHERE rate_limit = $1", values![*sid])
                    .await?;
                note(transaction, by, "verify-limit.remove", *sid, json!({}), *now).await?;
                Ok(true)
            })
        })
        .await
    }

    /// An application's limits, the newest first.
    pub async fn verify_limits(&self, application: Sid) -> Result<Vec<VerifyLimit>> {
        let select = "SELECT * FROM verify_limits WHERE application = $1 ORDER BY created_at DESC, sid";
        self.fetch(select, values![application]).await?.iter().map(read).collect()
    }

    /// Makes a bucket.
    pub async fn add_verify_bucket(
        &self,
        by: &Actor,
        rate_limit: Sid,
        most: u32,
        seconds: u32,
        now: Timestamp,
    ) -> Result<std::result::Result<VerifyBucket, NotLimited>> {
        let sid = Sid::new(*b"BL", u128::from_be_bytes(crate::random()));
        let data = (by.clone(), sid, rate_limit, most, seconds, now);
        self.write(data, |(by, sid, rate_limit, most, seconds, now), transaction| {
            Box::pin(async move {
                if !lock(transaction, *rate_limit).await? {
                    return Ok(Err(NotLimited::Missing));
                }
                let count = "SELECT count(*) AS count, count(CASE WHEN seconds = $2 THEN 1 END) AS same \
                             FROM verify_buckets WHERE rate_limit = $1";
                let row = transaction.find(count, values![*rate_limit, i64::from(*seconds)]).await?;
                let row = row.ok_or_else(|| Error::corrupt("verify_buckets", "a count gave back no row"))?;
                if row.count("same")? > 0 {
                    return Ok(Err(NotLimited::Exists));
                }
                if row.count("count")? >= MANY {
                    return Ok(Err(NotLimited::TooMany));
                }
                let insert = "INSERT INTO verify_buckets (sid, rate_limit, most, seconds, created_at, updated_at) \
                              VALUES ($1, $2, $3, $4, $5, $5) RETURNING *";
                let bound = values![*sid, *rate_limit, i64::from(*most), i64::from(*seconds), *now];
                let row = transaction.find(insert, bound).await?;
                let row = row.ok_or_else(|| Error::corrupt("verify_buckets", "an insert gave back no row"))?;
                let detail = json!({ "limit": rate_limit.to_string(), "max": most, "interval": seconds });
                note(transaction, by, "verify-bucket.add", *sid, detail, *now).await?;
                Ok(Ok(read_bucket(&row)?))
            })
        })
        .await
    }

    /// Changes a bucket of a limit.
    pub async fn change_verify_bucket(
        &self,
        by: &Actor,
        (rate_limit, sid): (Sid, Sid),
        most: u32,
        seconds: u32,
        now: Timestamp,
    ) -> Result<std::result::Result<VerifyBucket, NotLimited>> {
        let data = (by.clone(), rate_limit, sid, most, seconds, now);
        self.write(data, |(by, rate_limit, sid, most, seconds, now), transaction| {
            Box::pin(async move {
                if !lock(transaction, *rate_limit).await? {
                    return Ok(Err(NotLimited::Missing));
                }
                let same =
                    "SELECT sid FROM verify_buckets WHERE rate_limit = $1 AND seconds = $2 AND sid <> $3";
                let bound = values![*rate_limit, i64::from(*seconds), *sid];
                if transaction.find(same, bound).await?.is_some() {
                    return Ok(Err(NotLimited::Exists));
                }
                let update = "UPDATE verify_buckets SET most = $3, seconds = $4, updated_at = $5 \
                              WHERE sid = $1 AND rate_limit = $2 RETURNING *";
                let bound = values![*sid, *rate_limit, i64::from(*most), i64::from(*seconds), *now];
                let Some(row) = transaction.find(update, bound).await? else {
                    return Ok(Err(NotLimited::Missing));
                };
                let detail = json!({ "limit": rate_limit.to_string(), "max": most, "interval": seconds });
                note(transaction, by, "verify-bucket.change", *sid, detail, *now).await?;
                Ok(Ok(read_bucket(&row)?))
            })
        })
        .await
    }

    /// Removes a bucket of a limit; whether it was there.
    pub async fn remove_verify_bucket(
        &self,
        by: &Actor,
        (rate_limit, sid): (Sid, Sid),
        now: Timestamp,
    ) -> Result<bool> {
        self.write((by.clone(), rate_limit, sid, now), |(by, rate_limit, sid, now), transaction| {
            Box::pin(async move {
                let delete = "DELETE FROM verify_buckets WHERE sid = $1 AND rate_limit = $2";
                let was_there = transaction.execute(delete, values![*sid, *rate_limit]).await? > 0;
                if was_there {
                    note(transaction, by, "verify-bucket.remove", *sid, json!({}), *now).await?;
                }
                Ok(was_there)
            })
        })
        .await
    }

    /// A limit's buckets, the newest first.
    pub async fn verify_buckets(&self, rate_limit: Sid) -> Result<Vec<VerifyBucket>> {
        let select = "SELECT * FROM verify_buckets WHERE rate_limit = $1 ORDER BY created_at DESC, sid";
        self.fetch(select, values![rate_limit]).await?.iter().map(read_bucket).collect()
    }
}

/// Locks a limit until the transaction ends; whether it is there.
async fn lock(transaction: &mut Transaction, sid: Sid) -> Result<bool> {
    let lock = "UPDATE verify_limits SET updated_at = updated_at WHERE sid = $1";
    Ok(transaction.execute(lock, values![sid]).await? > 0)
}

async fn note(
    transaction: &mut Transaction,
    by: &Actor,
    action: &str,
    sid: Sid,
    detail: serde_json::Value,
    now: Timestamp,
) -> Result<()> {
    let target = format!("{} {sid}", action.split('.').next().unwrap_or(action));
    audit::append(transaction, by, &NewAudit::new(action, target).with(detail), now).await?;
    Ok(())
}

fn read(row: &Row) -> Result<VerifyLimit> {
    Ok(VerifyLimit {
        sid: row.sid("sid")?,
        application: row.sid("application")?,
        unique_name: row.text("unique_name")?,
        description: row.text("description")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn read_bucket(row: &Row) -> Result<VerifyBucket> {
    let small = |column: &str| row.count(column).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    Ok(VerifyBucket {
        sid: row.sid("sid")?,
        rate_limit: row.sid("rate_limit")?,
        most: small("most")?,
        seconds: small("seconds")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}
