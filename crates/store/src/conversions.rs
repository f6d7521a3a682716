//! Prefixes of numbers, and whether codes that are sent there are ever entered.
//!
//! [`ringfence_second_factor::pumping`] says when a prefix is stopped. A prefix is a number without its last four digits,
//! which stands for ten thousand people.

use jiff::Timestamp;
use ringfence_model::Actor;
use ringfence_second_factor::pumping::{Conversion, Stopped};
use serde_json::json;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store};

/// A prefix that nothing is sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoppedPrefix {
    /// Whose codes.
    pub application: String,
    /// `+1415555`, for the numbers that begin so and have four more digits.
    pub prefix: String,
    /// Until when.
    pub until: Timestamp,
}

impl Store {
    /// The prefixes that nothing is sent to at this time.
    pub async fn stopped_prefixes(&self, now: Timestamp) -> Result<Vec<StoppedPrefix>> {
        let select = "SELECT application, prefix, stopped_until FROM conversions WHERE stopped_until > $1 \
                      ORDER BY stopped_until DESC, application, prefix LIMIT 1000";
        let rows = self.fetch(select, values![now]).await?;
        rows.iter()
            .map(|row| {
                Ok(StoppedPrefix {
                    application: row.text("application")?,
                    prefix: row.text("prefix")?,
                    until: row.time("stopped_until")?,
                })
            })
            .collect()
    }

    /// Lets codes be sent to a prefix again, on somebody's word and for the reason they give. [`Missing`](Error::Missing) where it is not stopped.
    pub async fn resume_prefix(
        &self,
        by: &Actor,
        application: &str,
        prefix: &str,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<()> {
        let reason = reason.map(str::to_owned);
        let data = (by.clone(), application.to_owned(), prefix.to_owned(), reason, now);
        self.write(data, |(by, application, prefix, reason, now), transaction| {
            Box::pin(async move {
                let update = "UPDATE conversions SET balance = 0, stopped_until = NULL, changed_at = $3 \
                              WHERE application = $1 AND prefix = $2 AND stopped_until > $3";
                if transaction.execute(update, values![application, prefix, *now]).await? == 0 {
                    return Err(Error::missing(format!("prefix {prefix} of {application} that is stopped")));
                }
                let mut detail = json!({ "prefix": prefix });
                if let Some(reason) = reason {
                    detail["reason"] = json!(reason);
                }
                let audit = NewAudit::new("prefix.resume", format!("application {application}")).with(detail);
                audit::append(transaction, by, &audit, *now).await?;
                Ok(())
            })
        })
        .await
    }
}

/// A prefix, locked until the transaction ends.
pub(crate) async fn lock(
    transaction: &mut Transaction,
    application: &str,
    prefix: &str,
    now: Timestamp,
) -> Result<Conversion> {
    let lock = "INSERT INTO conversions (application, prefix, balance, changed_at) VALUES ($1, $2, 0, $3) \
                ON CONFLICT (application, prefix) DO UPDATE SET balance = conversions.balance \
                RETURNING balance, stopped_until";
    let row = transaction.find(lock, values![application, prefix, now]).await?;
    read(&row.ok_or_else(|| Error::corrupt("conversions", "an upsert gave back no row"))?)
}

/// Counts a send to a prefix that was [locked](lock), and says where it stops the prefix from now on.
pub(crate) async fn sent(
    transaction: &mut Transaction,
    by: &Actor,
    (application, prefix): (&str, &str),
    before: Conversion,
    now: Timestamp,
) -> Result<std::result::Result<Option<StoppedPrefix>, Stopped>> {
    let after = match before.sent(now) {
        Ok(after) => after,
        Err(stopped) => return Ok(Err(stopped)),
    };
    write(transaction, application, prefix, after, now).await?;
    let mut stops = None;
    if let Some(until) = after.stopped_until {
        let audit = NewAudit::new("prefix.stop", format!("application {application}"))
            .with(json!({ "prefix": prefix, "until": until.to_string(), "unconverted": after.balance }));
        audit::append(transaction, by, &audit, now).await?;
        let (application, prefix) = (application.to_owned(), prefix.to_owned());
        stops = Some(StoppedPrefix { application, prefix, until });
    }
    Ok(Ok(stops))
}

/// Counts a code that was entered.
pub(crate) async fn entered(
    transaction: &mut Transaction,
    application: &str,
    prefix: &str,
    now: Timestamp,
) -> Result<()> {
    let after = lock(transaction, application, prefix, now).await?.converted();
    write(transaction, application, prefix, after, now).await
}

async fn write(
    transaction: &mut Transaction,
    application: &str,
    prefix: &str,
    conversion: Conversion,
    now: Timestamp,
) -> Result<()> {
    let update = "UPDATE conversions SET balance = $3, stopped_until = $4, changed_at = $5 \
                  WHERE application = $1 AND prefix = $2";
    let bound = values![application, prefix, i64::from(conversion.balance), conversion.stopped_until, now];
    transaction.execute(update, bound).await?;
    Ok(())
}

fn read(row: &Row) -> Result<Conversion> {
    Ok(Conversion {
        balance: u32::try_from(row.count("balance")?).unwrap_or(u32::MAX),
        stopped_until: row.maybe_time("stopped_until")?,
    })
}
