//! What came of what was sent, by account, beginning of a number and the minute in which it was sent: whether messages
//! arrive, and whether codes are entered. Limits of a [share](ringfence_breaker::Share) are judged by it.
//!
//! What comes through the egress and what Ringfence sends is counted in the transactions of the ledger, a code of the second
//! factor in the one that accepts it. It is counted in the minute of the sending, whenever it becomes known, so that what had
//! no time yet can be left out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ringfence_breaker::{DialPrefix, Measure, Share};
use ringfence_model::Sid;
use serde::Serialize;
use serde_json::json;

use crate::counted::counted;
use crate::error::Error;
use crate::ledger::{Arrival, Now, Op};
use crate::many::PerDialect;
use crate::sql::{Row, Transaction, values};
use crate::traffic::{AllThatCame, Came};
use crate::{Result, Store};

/// What came of what one account sent to one beginning of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signs {
    /// The account.
    pub account: Sid,
    /// The beginning.
    pub beginning: DialPrefix,
    /// Messages that were made.
    pub sent: u64,
    /// Of them, delivered.
    pub delivered: u64,
    /// Of them, not delivered.
    pub undelivered: u64,
    /// Verifications that an application has started.
    pub started: u64,
    /// Of them, those whose code was entered.
    pub approved: u64,
    /// Codes that Ringfence itself has sent.
    pub own_started: u64,
    /// Of them, entered.
    pub own_approved: u64,
}

impl Signs {
    /// What share of it is good; nothing where the measure is no share.
    pub fn share(&self, measure: Measure) -> Share {
        match measure {
            Measure::Delivery => Share {
                good: self.delivered,
                bad: self.undelivered,
                silent: self.sent.saturating_sub(self.delivered).saturating_sub(self.undelivered),
            },
            Measure::Conversion => {
                let share = |started: u64, approved: u64| Share {
                    good: approved,
                    bad: started.saturating_sub(approved),
                    silent: 0,
                };
                share(self.started, self.approved).and(share(self.own_started, self.own_approved))
            }
            Measure::Price | Measure::Usage | Measure::Count => Share::default(),
        }
    }
}

/// A message of which nobody has said whether it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The name of its reservation.
    pub reservation: String,
    /// The message.
    pub message: Sid,
    /// When it was sent.
    pub sent_at: Timestamp,
}

/// What is counted of one minute.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) sent: i64,
    pub(crate) delivered: i64,
    pub(crate) undelivered: i64,
    pub(crate) started: i64,
    pub(crate) approved: i64,
    pub(crate) own_started: i64,
    pub(crate) own_approved: i64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.delivered += other.delivered;
        self.undelivered += other.undelivered;
        self.started += other.started;
        self.approved += other.approved;
        self.own_started += other.own_started;
        self.own_approved += other.own_approved;
    }
}

const MINUTE: i64 = 60_000_000;

/// The minute that a moment is in.
pub(crate) fn slot(at: Timestamp) -> i64 {
    at.as_microsecond().div_euclid(MINUTE) * MINUTE
}

impl Store {
    /// What came of what was sent in the full minutes from then on and before then.
    pub async fn signs(&self, from: Timestamp, until: Timestamp) -> Result<Vec<Signs>> {
        self.signs_to("", from, until).await
    }

    /// The same of what went to one beginning of numbers.
    pub async fn signs_of(
        &self,
        beginning: DialPrefix,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Signs>> {
        self.signs_to(&beginning.to_string(), from, until).await
    }

    async fn signs_to(&self, beginning: &str, from: Timestamp, until: Timestamp) -> Result<Vec<Signs>> {
        let select = "SELECT account, prefix, CAST(sum(sent) AS BIGINT) AS sent, \
                      CAST(sum(delivered) AS BIGINT) AS delivered, CAST(sum(undelivered) AS BIGINT) AS undelivered, \
                      CAST(sum(started) AS BIGINT) AS started, CAST(sum(approved) AS BIGINT) AS approved, \
                      CAST(sum(own_started) AS BIGINT) AS own_started, \
                      CAST(sum(own_approved) AS BIGINT) AS own_approved FROM signs \
                      WHERE slot >= $1 AND slot <= $2 AND ($3 = '' OR prefix = $3) \
                      GROUP BY account, prefix ORDER BY account, prefix";
        let last = until.as_microsecond().saturating_sub(MINUTE);
        let bound = values![from, last, beginning];
        self.fetch(select, bound).await?.iter().map(read).collect()
    }

    /// Whether any code of a verification that an application has started was entered since then: where none ever is, nobody
    /// tells Ringfence of it.
    pub async fn enters_codes(&self, account: Sid, since: Timestamp) -> Result<bool> {
        let select =
            "SELECT 1 AS one FROM traffic WHERE account = $1 AND hour >= $2 AND approved > 0 LIMIT 1";
        Ok(self.find(select, values![account, since]).await?.is_some())
    }

    /// Messages that an account sent since then and of which nobody has said whether they arrived; the newest first.
    pub async fn awaited_arrivals(
        &self,
        account: Sid,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<Awaited>> {
        // Those whose price is known may have ended: two questions, each with an index.
        let select = "SELECT id, resource, admitted_at FROM (\
                      SELECT id, resource, admitted_at, operation, arrival, beginning FROM reservations \
                      WHERE account = $1 AND ended_at IS NULL AND admitted_at >= $2 UNION ALL \
                      SELECT id, resource, admitted_at, operation, arrival, beginning FROM reservations \
                      WHERE account = $1 AND ended_at >= $2 AND admitted_at >= $2) AS r \
                      WHERE arrival IS NULL AND resource IS NOT NULL AND beginning IS NOT NULL \
                      AND operation IN ('messages.create', 'twiml.message') ORDER BY admitted_at DESC, id LIMIT $3";
        let rows = self.fetch(select, values![account, since, limit]).await?;
        let awaited = |row: &Row| {
            Ok(Awaited {
                reservation: row.text("id")?,
                message: row.sid("resource")?,
                sent_at: row.time("admitted_at")?,
            })
        };
        rows.iter().map(awaited).collect()
    }

    /// Takes note of whether messages arrived, by the names of their reservations. Of how many that is news.
    pub async fn arrived_each(&self, arrived: Vec<(String, Arrival)>, now: Now) -> Result<usize> {
        let ops = arrived.into_iter().map(|(id, arrival)| Op::Arrived { id, arrival });
        self.change_each(ops.collect(), now).await
    }
}

/// A code that was entered, and went out with what a reservation set aside.
pub(crate) struct Entered {
    pub(crate) account: String,
    pub(crate) beginning: String,
    pub(crate) sent_at: Timestamp,
    pub(crate) at: Timestamp,
}

/// Counts codes that were entered: for the minute in which each was sent, and as somebody who is there now. Of verifications
/// that says nothing.
pub(crate) async fn entered(transaction: &mut Transaction, all: &[Entered]) -> Result<()> {
    let (mut came, mut signs) = (AllThatCame::default(), BTreeMap::<_, Counts>::new());
    for Entered { account, beginning, sent_at, at } in all {
        came.add(account, beginning, *at, Came { settled: 1, ..Came::default() });
        let counts = Counts { own_approved: 1, ..Counts::default() };
        signs.entry((account.clone(), beginning.clone(), slot(*sent_at))).or_default().add(counts);
    }
    // In the order in which a batch of the ledger writes them.
    came.write(transaction).await?;
    add(transaction, &signs).await
}

/// Adds to what is counted already: in the order of the keys, so that nobody waits in a circle.
pub(crate) async fn add(
    transaction: &mut Transaction,
    came: &BTreeMap<(String, String, i64), Counts>,
) -> Result<()> {
    let is_something = |counts: &Counts| *counts != Counts::default();
    let rows = came.iter().filter(|(_, counts)| is_something(counts)).map(
        |((account, prefix, slot), counts)| json!({ "a": account, "p": prefix, "t": slot, "c": counts }),
    );
    ADD.run_later(transaction, rows).await
}

const ADD: PerDialect = counted!(
    "signs",
    "slot",
    "sent",
    "delivered",
    "undelivered",
    "started",
    "approved",
    "own_started",
    "own_approved"
);

fn read(row: &Row) -> Result<Signs> {
    let beginning = row.text("prefix")?;
    Ok(Signs {
        account: row.sid("account")?,
        beginning: beginning
            .parse()
            .map_err(|_| Error::corrupt("signs.prefix", format!("{beginning} is none")))?,
        sent: row.count("sent")?,
        delivered: row.count("delivered")?,
        undelivered: row.count("undelivered")?,
        started: row.count("started")?,
        approved: row.count("approved")?,
        own_started: row.count("own_started")?,
        own_approved: row.count("own_approved")?,
    })
}
