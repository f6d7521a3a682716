//! What each breaker had seen at most on each day, for whoever looks back. Nothing is decided by it.

use jiff::Timestamp;
use ringfence_model::Amount;

use crate::sql::{Transaction, values};
use crate::{Result, Store};

/// The most that a breaker had seen on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The beginning of the day, in GMT as Twilio's are.
    pub day: Timestamp,
    /// The amount of the window that was current then.
    pub most: Amount,
}

/// What a change of a breaker adds to the readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewReading {
    /// A moment of the day that it belongs to.
    pub at: Timestamp,
    /// How much.
    pub amount: Amount,
}

const DAY_S: i64 = 86_400;

/// The beginning of a day.
pub(crate) fn day(at: Timestamp) -> Timestamp {
    let begin = at.as_second().div_euclid(DAY_S) * DAY_S;
    Timestamp::from_second(begin).unwrap_or(at)
}

impl Store {
    /// The readings of one breaker from the day of `since` on, the earliest first; days on which nothing changed have none.
    pub async fn readings(&self, limit: &str, subject: &str, since: Timestamp) -> Result<Vec<Reading>> {
        let select = "SELECT day, most FROM readings WHERE limit_name = $1 AND subject = $2 AND day >= $3 \
                      ORDER BY day";
        let rows = self.fetch(select, values![limit, subject, day(since)]).await?;
        rows.iter()
            .map(|row| Ok(Reading { day: row.time("day")?, most: Amount::from_micros(row.int("most")?) }))
            .collect()
    }
}

/// Writes a reading. Of several on one day the largest stays: a window that began anew is the next day's.
pub(crate) async fn write(
    transaction: &mut Transaction,
    limit: &str,
    subject: &str,
    seen: &NewReading,
) -> Result<()> {
    let upsert = "INSERT INTO readings (limit_name, subject, day, most) VALUES ($1, $2, $3, $4) \
                  ON CONFLICT (limit_name, subject, day) DO UPDATE SET most = excluded.most \
                  WHERE readings.most < excluded.most";
    transaction.execute(upsert, values![limit, subject, day(seen.at), seen.amount.micros()]).await?;
    Ok(())
}
