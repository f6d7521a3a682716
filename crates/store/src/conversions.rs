//! Prefixes of numbers, and whether codes that are sent there are ever entered.
//!
//! [`ringfence_second_factor::pumping`] says when a prefix is stopped. A prefix is a number without its last four digits,
//! which stands for ten thousand people.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ringfence_model::Actor;
use ringfence_second_factor::pumping::{Conversion, Stopped};
use serde_json::json;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::many::{PerDialect, insert};
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

/// An application, and a prefix that codes of its users go to.
pub(crate) type Key = (String, String);

/// Prefixes, locked until the transaction ends.
#[derive(Default)]
pub(crate) struct Locked {
    rows: BTreeMap<Key, Conversion>,
    changed: BTreeMap<Key, Timestamp>,
}

impl Locked {
    /// Locks them, in the order of their names.
    pub(crate) async fn lock(
        transaction: &mut Transaction,
        keys: BTreeSet<Key>,
        now: Timestamp,
    ) -> Result<Self> {
        let none = Conversion::default();
        let there = LOCK.run(transaction, keys.iter().map(|key| row(key, none, now))).await?;
        let mut rows: BTreeMap<_, _> = keys.into_iter().map(|key| (key, none)).collect();
        for row in there {
            rows.insert((row.text("application")?, row.text("prefix")?), read(&row)?);
        }
        Ok(Self { rows, changed: BTreeMap::new() })
    }

    /// Whether one more may be sent there.
    pub(crate) fn may_send(&self, key: &Key, now: Timestamp) -> Result<std::result::Result<(), Stopped>> {
        let before = self.rows.get(key).ok_or_else(|| not_locked(key))?;
        Ok(before.sent(now).map(|_| ()))
    }

    /// Counts a send, where it [may be](Self::may_send), and says where it stops the prefix from now on.
    pub(crate) fn sent(
        &mut self,
        key: &Key,
        now: Timestamp,
    ) -> Result<std::result::Result<Option<Stop>, Stopped>> {
        let conversion = self.rows.get_mut(key).ok_or_else(|| not_locked(key))?;
        *conversion = match conversion.sent(now) {
            Ok(after) => after,
            Err(stopped) => return Ok(Err(stopped)),
        };
        self.changed.insert(key.clone(), now);
        let stop = |until| Stop {
            prefix: StoppedPrefix { application: key.0.clone(), prefix: key.1.clone(), until },
            unconverted: conversion.balance,
        };
        Ok(Ok(conversion.stopped_until.map(stop)))
    }

    /// Counts a code that was entered.
    pub(crate) fn entered(&mut self, key: &Key, now: Timestamp) -> Result<()> {
        let conversion = self.rows.get_mut(key).ok_or_else(|| not_locked(key))?;
        *conversion = conversion.converted();
        self.changed.insert(key.clone(), now);
        Ok(())
    }

    /// Writes what has changed.
    pub(crate) async fn write(&self, transaction: &mut Transaction) -> Result<()> {
        let changed = self.changed.iter().filter_map(|(key, at)| Some(row(key, *self.rows.get(key)?, *at)));
        WRITE.run(transaction, changed).await?;
        Ok(())
    }
}

/// A prefix that is stopped with a send.
pub(crate) struct Stop {
    /// Which one, and until when.
    pub(crate) prefix: StoppedPrefix,
    unconverted: u32,
}

impl Stop {
    /// What the audit log says of it.
    pub(crate) fn audit(&self) -> NewAudit {
        let StoppedPrefix { application, prefix, until } = &self.prefix;
        let detail = json!({ "prefix": prefix, "until": until.to_string(), "unconverted": self.unconverted });
        NewAudit::new("prefix.stop", format!("application {application}")).with(detail)
    }
}

/// It changes nothing, but from here on the rows are this transaction's, as all are on SQLite.
const LOCK: PerDialect = PerDialect {
    sqlite: "SELECT conversions.* FROM json_each($1) AS r CROSS JOIN conversions \
             ON application = r.value ->> 'application' AND prefix = r.value ->> 'prefix'",
    ..insert!("conversions", application text, prefix text, balance int, stopped_until int, changed_at int;
              "ON CONFLICT (application, prefix) DO UPDATE SET balance = conversions.balance RETURNING *")
};

const WRITE: PerDialect = insert!(
    "conversions", application text, prefix text, balance int, stopped_until int, changed_at int;
    "ON CONFLICT (application, prefix) DO UPDATE SET balance = excluded.balance, stopped_until = excluded.stopped_until, \
     changed_at = excluded.changed_at"
);

fn row((application, prefix): &Key, conversion: Conversion, changed_at: Timestamp) -> serde_json::Value {
    json!({
        "application": application,
        "prefix": prefix,
        "balance": conversion.balance,
        "stopped_until": conversion.stopped_until.map(Timestamp::as_microsecond),
        "changed_at": changed_at.as_microsecond(),
    })
}

fn not_locked((application, prefix): &Key) -> Error {
    Error::corrupt(format!("prefix {prefix} of {application}"), "it was not locked")
}

fn read(row: &Row) -> Result<Conversion> {
    Ok(Conversion {
        balance: u32::try_from(row.count("balance")?).unwrap_or(u32::MAX),
        stopped_until: row.maybe_time("stopped_until")?,
    })
}
