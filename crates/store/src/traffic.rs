//! Where traffic goes, by account, beginning of a number and hour: which places an account knows, and what came of what was
//! sent there.
//!
//! What comes through the egress is counted in the transactions of the ledger. What was sent before that is learnt once from
//! Twilio's lists, account by account; until then a limit of [unknown places](ringfence_breaker::Unseen) only watches there.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ringfence_breaker::DialPrefix;
use ringfence_model::{Amount, Sid};
use serde::Serialize;
use serde_json::json;

use crate::counted::counted;
use crate::error::Error;
use crate::ledger::{Arrival, Now, Op, Spent};
use crate::many::PerDialect;
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store};

/// What came of what one account sent to one beginning of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traffic {
    /// The account.
    pub account: Sid,
    /// The beginning.
    pub beginning: DialPrefix,
    /// Messages that were delivered.
    pub delivered: u64,
    /// Messages that were not.
    pub undelivered: u64,
    /// Verifications that were started.
    pub started: u64,
    /// Verifications whose code was entered.
    pub approved: u64,
}

/// The hour that a moment is in.
pub(crate) fn hour(at: Timestamp) -> i64 {
    at.as_microsecond().div_euclid(HOUR) * HOUR
}

const HOUR: i64 = 3_600_000_000;

impl Store {
    /// Takes note that the code of a verification was entered: people are there, and read what is sent.
    pub async fn verified(
        &self,
        account: Sid,
        beginning: DialPrefix,
        verification: Option<Sid>,
        now: Now,
    ) -> Result<()> {
        let op = Op::Verified { account, beginning, verification };
        self.ledger.carry_out((op, now)).await.map(|_| ())
    }

    /// What came of what was sent in the full hours since then.
    pub async fn traffic_since(&self, since: Timestamp) -> Result<Vec<Traffic>> {
        let select = "SELECT account, prefix, CAST(sum(delivered) AS BIGINT) AS delivered, \
                      CAST(sum(undelivered) AS BIGINT) AS undelivered, CAST(sum(started) AS BIGINT) AS started, \
                      CAST(sum(approved) AS BIGINT) AS approved FROM traffic WHERE hour >= $1 \
                      GROUP BY account, prefix ORDER BY account, prefix";
        self.fetch(select, values![since]).await?.iter().map(read).collect()
    }

    /// Accounts of which it was not read what they sent since then, before it came through here.
    pub async fn accounts_to_learn(&self, since: Timestamp) -> Result<Vec<Sid>> {
        let select = "SELECT sid FROM accounts WHERE gone_at IS NULL AND NOT EXISTS (SELECT 1 FROM traffic_learnt l \
                      WHERE l.account = accounts.sid AND l.since <= $1) ORDER BY sid";
        self.fetch(select, values![since]).await?.iter().map(|row| row.sid("sid")).collect()
    }

    /// Takes note of where an account sent something in which hour, as Twilio's lists tell it, and that they were read back to
    /// `since`.
    pub async fn learn_traffic(
        &self,
        account: Sid,
        seen: BTreeSet<(DialPrefix, Timestamp)>,
        since: Timestamp,
    ) -> Result<()> {
        let places = seen.into_iter().map(|(beginning, at)| (beginning.place(), hour(at)));
        let places: BTreeSet<_> = places.collect();
        let rows: Vec<_> =
            places.into_iter().map(|(place, hour)| json!({ "p": place.to_string(), "h": hour })).collect();
        self.write((account, json!(rows).to_string(), since), |(account, rows, since), transaction| {
            Box::pin(async move {
                let insert = if transaction.is_sqlite() {
                    "INSERT INTO traffic (account, prefix, hour, settled, delivered, undelivered, started, approved) \
                     SELECT $1, value ->> 'p', value ->> 'h', 1, 0, 0, 0, 0 FROM json_each($2) WHERE true \
                     ON CONFLICT (account, prefix, hour) DO UPDATE SET settled = max(traffic.settled, 1)"
                } else {
                    "INSERT INTO traffic (account, prefix, hour, settled, delivered, undelivered, started, approved) \
                     SELECT $1, p, h, 1, 0, 0, 0, 0 FROM jsonb_to_recordset($2::jsonb) AS r(p text, h bigint) \
                     ON CONFLICT (account, prefix, hour) DO UPDATE SET settled = greatest(traffic.settled, 1)"
                };
                transaction.execute(insert, values![*account, rows.as_str()]).await?;
                let learnt = "INSERT INTO traffic_learnt (account, since) VALUES ($1, $2) \
                              ON CONFLICT (account) DO UPDATE SET since = excluded.since";
                transaction.execute(learnt, values![*account, *since]).await?;
                Ok(())
            })
        })
        .await
    }
}

/// What comes of what one account sends to one beginning in one hour.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Came {
    /// What makes the place known: a message or a call that was paid and did not fail, a code that was entered.
    pub(crate) settled: i64,
    pub(crate) delivered: i64,
    pub(crate) undelivered: i64,
    pub(crate) started: i64,
    pub(crate) approved: i64,
}

impl Came {
    /// What a price tells that became known: what was paid and did not fail went somewhere.
    pub(crate) fn of(spent: Spent) -> Self {
        let failed = spent.arrival == Arrival::Failed;
        Self {
            settled: i64::from(!failed && spent.price > Amount::ZERO),
            delivered: i64::from(spent.arrival == Arrival::Delivered),
            undelivered: i64::from(failed),
            ..Self::default()
        }
    }

    fn add(&mut self, other: Self) {
        self.settled += other.settled;
        self.delivered += other.delivered;
        self.undelivered += other.undelivered;
        self.started += other.started;
        self.approved += other.approved;
    }
}

/// What came of things, to be added to what is counted already.
#[derive(Debug, Default)]
pub(crate) struct AllThatCame(BTreeMap<(String, String, i64), Came>);

impl AllThatCame {
    /// Counts what came of something.
    pub(crate) fn add(&mut self, account: &str, beginning: &str, now: Timestamp, what: Came) {
        let mut add = |beginning: &str, what: Came| {
            self.0.entry((account.to_owned(), beginning.to_owned(), hour(now))).or_default().add(what);
        };
        add(beginning, what);
        // The place that is known by it may be larger.
        let place = beginning.parse::<DialPrefix>().map(|it| it.place().to_string());
        if let Ok(place) = place
            && place != beginning
            && what.settled > 0
        {
            add(&place, Came { settled: what.settled, ..Came::default() });
        }
    }

    /// Adds it to what is counted already: in the order of the keys, so that nobody waits in a circle.
    pub(crate) async fn write(&self, transaction: &mut Transaction) -> Result<()> {
        let rows = self.0.iter().map(
            |((account, prefix, hour), came)| json!({ "a": account, "p": prefix, "t": hour, "c": came }),
        );
        ADD.run_later(transaction, rows).await
    }
}

const ADD: PerDialect =
    counted!("traffic", "hour", "settled", "delivered", "undelivered", "started", "approved");

fn read(row: &Row) -> Result<Traffic> {
    let beginning = row.text("prefix")?;
    Ok(Traffic {
        account: row.sid("account")?,
        beginning: beginning
            .parse()
            .map_err(|_| Error::corrupt("traffic.prefix", format!("{beginning} is none")))?,
        delivered: row.count("delivered")?,
        undelivered: row.count("undelivered")?,
        started: row.count("started")?,
        approved: row.count("approved")?,
    })
}
