//! Prefixes of numbers, and whether codes that are sent there are ever entered.
//!
//! [`ringfence_second_factor::pumping`] says when a prefix is stopped, and [`standing`](ringfence_second_factor::pumping::standing)
//! which part of the caps is open to it and to a number. A prefix is a number without its last four digits, which stands for
//! ten thousand people.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ringfence_model::Actor;
use ringfence_second_factor::pumping::standing::{KNOWN_FOR, Known, Newcomers, Record, Standing};
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

/// Where a code goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Destination {
    /// Whose prefix.
    pub(crate) key: Key,
    /// What the number is counted under.
    pub(crate) number_tag: String,
}

impl Destination {
    fn number(&self) -> (String, String) {
        (self.key.0.clone(), self.number_tag.clone())
    }
}

/// How a code may go to a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Its prefix is open.
    Open,
    /// Its prefix is stopped, and the number is known: it has so many for itself.
    ForItself,
}

/// What is counted of a prefix.
#[derive(Debug, Clone, Copy, Default)]
struct Prefix {
    conversion: Conversion,
    newcomers: Newcomers,
}

/// Prefixes, locked until the transaction ends, and numbers of them, which nobody touches who has not locked their prefix.
#[derive(Default)]
pub(crate) struct Locked {
    rows: BTreeMap<Key, Prefix>,
    changed: BTreeMap<Key, Timestamp>,
    known: BTreeMap<(String, String), Known>,
    changed_known: BTreeSet<(String, String)>,
}

impl Locked {
    /// Locks them, in the order of their names.
    pub(crate) async fn lock(
        transaction: &mut Transaction,
        destinations: &BTreeSet<Destination>,
        now: Timestamp,
    ) -> Result<Self> {
        let none = Prefix::default();
        let keys: BTreeSet<Key> = destinations.iter().map(|to| to.key.clone()).collect();
        let there = LOCK.run(transaction, keys.iter().map(|key| row(key, none, now))).await?;
        let mut rows: BTreeMap<_, _> = keys.into_iter().map(|key| (key, none)).collect();
        for row in there {
            rows.insert((row.text("application")?, row.text("prefix")?), read(&row)?);
        }
        let numbers =
            destinations.iter().map(|to| json!({ "application": to.key.0, "number_tag": to.number_tag }));
        let mut known = BTreeMap::new();
        for row in KNOWN.run(transaction, numbers).await? {
            let unentered = u32::try_from(row.count("unentered")?).unwrap_or(u32::MAX);
            let number = Known { entered_at: row.time("entered_at")?, unentered };
            known.insert((row.text("application")?, row.text("number_tag")?), number);
        }
        Ok(Self { rows, changed: BTreeMap::new(), known, changed_known: BTreeSet::new() })
    }

    /// Whether one more may be sent there, and in which way.
    pub(crate) fn may_send(
        &self,
        to: &Destination,
        now: Timestamp,
    ) -> Result<std::result::Result<Way, Stopped>> {
        Ok(match self.prefix(to)?.conversion.sent(now) {
            Ok(_) => Ok(Way::Open),
            Err(_) if self.record(to)?.is_known(now) => Ok(Way::ForItself),
            Err(stopped) => Err(stopped),
        })
    }

    /// Which part of the caps one more may use.
    pub(crate) fn standing(&self, to: &Destination, now: Timestamp) -> Result<Standing> {
        Ok(self.record(to)?.standing(now))
    }

    /// Counts a send, where it [may be](Self::may_send), and says where it stops the prefix from now on.
    pub(crate) fn sent(
        &mut self,
        to: &Destination,
        now: Timestamp,
    ) -> Result<std::result::Result<Option<Stop>, Stopped>> {
        let conversion = match self.prefix(to)?.conversion.sent(now) {
            Ok(after) => after,
            Err(_) if self.record(to)?.is_known(now) => {
                self.keep(to, self.prefix(to)?.conversion, self.record(to)?.sent(now), now);
                return Ok(Ok(None));
            }
            Err(stopped) => return Ok(Err(stopped)),
        };
        self.keep(to, conversion, self.record(to)?.sent(now), now);
        let (application, prefix) = to.key.clone();
        let stop = |until| Stop {
            prefix: StoppedPrefix { application, prefix, until },
            unconverted: conversion.balance,
        };
        Ok(Ok(conversion.stopped_until.map(stop)))
    }

    /// Counts a code that was entered.
    pub(crate) fn entered(&mut self, to: &Destination, now: Timestamp) -> Result<()> {
        let conversion = self.prefix(to)?.conversion.converted();
        self.keep(to, conversion, self.record(to)?.entered(now), now);
        Ok(())
    }

    /// Counts no more what was counted of a send that never left. Says where its prefix is open again by that.
    pub(crate) fn taken_back(
        &mut self,
        to: &Destination,
        asked_at: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Opened>> {
        let before = self.prefix(to)?.conversion;
        let after = before.taken_back(asked_at, now);
        self.keep(to, after, self.record(to)?.taken_back(asked_at, now), now);
        let is_open = before.stopped_until.is_some() && after.stopped_until.is_none();
        Ok(is_open.then(|| Opened { key: to.key.clone() }))
    }

    fn prefix(&self, to: &Destination) -> Result<Prefix> {
        let (application, prefix) = &to.key;
        let there = self.rows.get(&to.key).copied();
        there.ok_or_else(|| Error::corrupt(format!("prefix {prefix} of {application}"), "it was not locked"))
    }

    fn record(&self, to: &Destination) -> Result<Record> {
        let newcomers = self.prefix(to)?.newcomers;
        Ok(Record { known: self.known.get(&to.number()).copied(), newcomers })
    }

    fn keep(&mut self, to: &Destination, conversion: Conversion, record: Record, now: Timestamp) {
        let Record { known, newcomers } = record;
        self.rows.insert(to.key.clone(), Prefix { conversion, newcomers });
        self.changed.insert(to.key.clone(), now);
        if let Some(known) = known {
            self.known.insert(to.number(), known);
            self.changed_known.insert(to.number());
        }
    }

    /// Writes what has changed.
    pub(crate) async fn write(&self, transaction: &mut Transaction) -> Result<()> {
        let changed = self.changed.iter().filter_map(|(key, at)| Some(row(key, *self.rows.get(key)?, *at)));
        WRITE.run_later(transaction, changed).await?;
        let known = self.changed_known.iter().filter_map(|number| {
            let Known { entered_at, unentered } = self.known.get(number)?;
            Some(json!({
                "application": number.0,
                "number_tag": number.1,
                "entered_at": entered_at.as_microsecond(),
                "unentered": unentered,
            }))
        });
        WRITE_KNOWN.run_later(transaction, known).await
    }
}

/// Deletes numbers that are not known any more.
pub(crate) async fn forget(transaction: &mut Transaction, batch: usize, now: Timestamp) -> Result<u64> {
    let before = now.checked_sub(KNOWN_FOR).unwrap_or(Timestamp::MIN);
    let delete = "DELETE FROM known_numbers WHERE (application, number_tag) IN (SELECT application, number_tag \
                  FROM known_numbers WHERE entered_at < $1 ORDER BY entered_at LIMIT $2)";
    transaction.execute(delete, values![before, batch]).await
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

/// A prefix that is open again, since of the codes that stopped it not all had left.
pub(crate) struct Opened {
    key: Key,
}

impl Opened {
    /// What the audit log says of it.
    pub(crate) fn audit(&self) -> NewAudit {
        let (application, prefix) = &self.key;
        let detail = json!({ "prefix": prefix, "reason": "not all codes that stopped it had left" });
        NewAudit::new("prefix.resume", format!("application {application}")).with(detail)
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
    "conversions", application text, prefix text, balance int, stopped_until int, changed_at int, newcomers_sent int,
    newcomers_entered int, newcomers_since int;
    "ON CONFLICT (application, prefix) DO UPDATE SET balance = excluded.balance, stopped_until = excluded.stopped_until, \
     changed_at = excluded.changed_at, newcomers_sent = excluded.newcomers_sent, \
     newcomers_entered = excluded.newcomers_entered, newcomers_since = excluded.newcomers_since"
);

const KNOWN: PerDialect = PerDialect {
    sqlite: "SELECT n.* FROM json_each($1) AS r CROSS JOIN known_numbers n \
             ON n.application = r.value ->> 'application' AND n.number_tag = r.value ->> 'number_tag'",
    postgres: "SELECT n.* FROM known_numbers n JOIN jsonb_to_recordset($1::jsonb) \
               AS r(application text, number_tag text) ON n.application = r.application AND n.number_tag = r.number_tag",
};

const WRITE_KNOWN: PerDialect = insert!(
    "known_numbers", application text, number_tag text, entered_at int, unentered int;
    "ON CONFLICT (application, number_tag) DO UPDATE SET entered_at = excluded.entered_at, \
     unentered = excluded.unentered"
);

fn row((application, prefix): &Key, counted: Prefix, changed_at: Timestamp) -> serde_json::Value {
    let Prefix { conversion, newcomers } = counted;
    json!({
        "application": application,
        "prefix": prefix,
        "balance": conversion.balance,
        "stopped_until": conversion.stopped_until.map(Timestamp::as_microsecond),
        "changed_at": changed_at.as_microsecond(),
        "newcomers_sent": newcomers.sent,
        "newcomers_entered": newcomers.entered,
        "newcomers_since": newcomers.since.as_microsecond(),
    })
}

fn read(row: &Row) -> Result<Prefix> {
    let small = |column: &str| row.count(column).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    let conversion =
        Conversion { balance: small("balance")?, stopped_until: row.maybe_time("stopped_until")? };
    let newcomers = Newcomers {
        sent: small("newcomers_sent")?,
        entered: small("newcomers_entered")?,
        since: row.time("newcomers_since")?,
    };
    Ok(Prefix { conversion, newcomers })
}
