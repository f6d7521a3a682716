//! What came of requests under each limit, by day, account and operation: whether a limit that only watches may act, and
//! how far the price book was off. Nothing is decided by it.
//!
//! It is counted in the transaction that admits or settles, so it says what the ledger did, and not what one node saw since
//! it began. A limit that says something else begins anew: what was counted under the rule of before says nothing of it.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use ringfence_breaker::Why;
use ringfence_model::{Amount, Sid};
use serde_json::{Value, json};

use crate::readings::day;
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store};

/// A row adds up to no more than this many units, so that a year of them for everybody can be added up: a request that
/// costs more than can be counted is counted as this much.
const UNITS_MAX: i64 = 10_000_000;

/// What came of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Requests that were admitted, what would have been refused among them.
    pub admitted: u64,
    /// Requests that the limit refused.
    pub refused: u64,
    /// Their worst amounts.
    pub refused_worth: Amount,
    /// Requests that it would have refused, had it not only watched.
    pub would_refuse: u64,
    /// Their worst amounts.
    pub would_refuse_worth: Amount,
    /// Of these, how many only because others were still open: tried again later, they might have been admitted.
    pub would_wait: u64,
    /// Requests that it would have refused because Twilio's figure was not read yet, which says nothing of the limit. They
    /// are not among the others.
    pub unread: u64,
    /// Requests whose true price or usage became known.
    pub priced: u64,
    /// What had been set aside for that at worst.
    pub worst: Amount,
    /// What it came to.
    pub spent: Amount,
    /// How many of them came to more than was set aside.
    pub under: u64,
    /// By how much in all.
    pub under_by: Amount,
    /// Requests whose truth nobody told, so that the worst was taken for it.
    pub unpriced: u64,
}

impl Tally {
    /// Counts a request that the limit refused, or would have refused.
    pub(crate) fn refuse(&mut self, why: Why, worth: Amount, is_enforced: bool) {
        if why == Why::NotReadBack {
            self.unread += 1;
        } else if is_enforced {
            self.refused += 1;
            self.refused_worth = self.refused_worth.saturating_add(worth);
        } else {
            self.would_refuse += 1;
            self.would_refuse_worth = self.would_refuse_worth.saturating_add(worth);
            self.would_wait += u64::from(why == Why::OpenOnly);
        }
    }

    /// Counts a truth that became known.
    pub(crate) fn price(&mut self, worst: Amount, truth: Amount) {
        self.priced += 1;
        self.worst = self.worst.saturating_add(worst);
        self.spent = self.spent.saturating_add(truth);
        if truth > worst {
            self.under += 1;
            let by = truth.micros().saturating_sub(worst.micros());
            self.under_by = self.under_by.saturating_add(Amount::from_micros(by));
        }
    }
}

/// What came of one operation under one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TalliedOperation {
    /// The operation: `messages.create`.
    pub operation: String,
    /// What came of it.
    pub tally: Tally,
    /// The first day on which something came that the limit could be judged by; `None` where nothing did.
    pub first_day: Option<Timestamp>,
    /// The last day on which something came before Twilio's figure was read.
    pub unread_day: Option<Timestamp>,
}

/// What one transaction counts.
#[derive(Debug, Default)]
pub(crate) struct Counted(BTreeMap<(String, String, String, Timestamp), Tally>);

impl Counted {
    /// The row of a limit, an account, an operation and a moment.
    pub(crate) fn of(&mut self, limit: &str, account: &str, operation: &str, at: Timestamp) -> &mut Tally {
        let key = (limit.to_owned(), account.to_owned(), operation.to_owned(), day(at));
        self.0.entry(key).or_default()
    }

    /// Adds it to what is counted already: in the order of the keys, so that nobody waits in a circle. `hashes` are those of
    /// the limits that hold; of others nobody asks any more.
    pub(crate) async fn write(
        &self,
        hashes: &HashMap<String, String>,
        transaction: &mut Transaction,
    ) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let rows: Vec<Value> = self
            .0
            .iter()
            .filter_map(|((limit, account, operation, day), tally)| {
                let (hash, day) = (hashes.get(limit)?, day.as_microsecond());
                let mut row = json!({ "l": limit, "h": hash, "a": account, "o": operation, "d": day });
                for (name, value) in COLUMNS.iter().zip(tally.numbers()) {
                    row[*name] = value.into();
                }
                Some(row)
            })
            .collect();
        let upsert = if transaction.is_sqlite() { UPSERT_SQLITE } else { UPSERT_POSTGRES };
        transaction.later(upsert, values![json!(rows).to_string()]).await
    }
}

const COLUMNS: [&str; 13] = [
    "admitted",
    "refused",
    "refused_worth",
    "would_refuse",
    "would_refuse_worth",
    "would_wait",
    "unread",
    "priced",
    "worst",
    "spent",
    "under",
    "under_by",
    "unpriced",
];

/// Without a condition SQLite takes `ON` for that of a join. No sum is above [`UNITS_MAX`].
const UPSERT_SQLITE: &str = "INSERT INTO tallies (limit_name, limit_hash, account, operation, day, admitted, refused, refused_worth, \
    would_refuse, would_refuse_worth, would_wait, unread, priced, worst, spent, under, under_by, \
    unpriced) SELECT value ->> 'l', value ->> 'h', value ->> 'a', value ->> 'o', value ->> 'd', value ->> 'admitted', \
    value ->> 'refused', value ->> 'refused_worth', value ->> 'would_refuse', value ->> \
    'would_refuse_worth', value ->> 'would_wait', value ->> 'unread', value ->> 'priced', value ->> \
    'worst', value ->> 'spent', value ->> 'under', value ->> 'under_by', value ->> 'unpriced' FROM \
    json_each($1) WHERE true ON CONFLICT (limit_name, limit_hash, account, operation, day) DO UPDATE SET admitted = \
    min(tallies.admitted + excluded.admitted, 10000000000000), refused = min(tallies.refused + \
    excluded.refused, 10000000000000), refused_worth = min(tallies.refused_worth + \
    excluded.refused_worth, 10000000000000), would_refuse = min(tallies.would_refuse + \
    excluded.would_refuse, 10000000000000), would_refuse_worth = min(tallies.would_refuse_worth + \
    excluded.would_refuse_worth, 10000000000000), would_wait = min(tallies.would_wait + \
    excluded.would_wait, 10000000000000), unread = min(tallies.unread + excluded.unread, 10000000000000), \
    priced = min(tallies.priced + excluded.priced, 10000000000000), worst = min(tallies.worst + \
    excluded.worst, 10000000000000), spent = min(tallies.spent + excluded.spent, 10000000000000), under = \
    min(tallies.under + excluded.under, 10000000000000), under_by = min(tallies.under_by + \
    excluded.under_by, 10000000000000), unpriced = min(tallies.unpriced + excluded.unpriced, \
    10000000000000)";

/// The same.
const UPSERT_POSTGRES: &str = "INSERT INTO tallies (limit_name, limit_hash, account, operation, day, admitted, refused, refused_worth, \
    would_refuse, would_refuse_worth, would_wait, unread, priced, worst, spent, under, under_by, \
    unpriced) SELECT l, h, a, o, d, admitted, refused, refused_worth, would_refuse, would_refuse_worth, \
    would_wait, unread, priced, worst, spent, under, under_by, unpriced FROM \
    jsonb_to_recordset($1::jsonb) AS r(l text, h text, a text, o text, d bigint, admitted bigint, refused bigint, \
    refused_worth bigint, would_refuse bigint, would_refuse_worth bigint, would_wait bigint, unread \
    bigint, priced bigint, worst bigint, spent bigint, under bigint, under_by bigint, unpriced bigint) ON \
    CONFLICT (limit_name, limit_hash, account, operation, day) DO UPDATE SET admitted = least(tallies.admitted + \
    excluded.admitted, 10000000000000), refused = least(tallies.refused + excluded.refused, \
    10000000000000), refused_worth = least(tallies.refused_worth + excluded.refused_worth, \
    10000000000000), would_refuse = least(tallies.would_refuse + excluded.would_refuse, 10000000000000), \
    would_refuse_worth = least(tallies.would_refuse_worth + excluded.would_refuse_worth, 10000000000000), \
    would_wait = least(tallies.would_wait + excluded.would_wait, 10000000000000), unread = \
    least(tallies.unread + excluded.unread, 10000000000000), priced = least(tallies.priced + \
    excluded.priced, 10000000000000), worst = least(tallies.worst + excluded.worst, 10000000000000), \
    spent = least(tallies.spent + excluded.spent, 10000000000000), under = least(tallies.under + \
    excluded.under, 10000000000000), under_by = least(tallies.under_by + excluded.under_by, \
    10000000000000), unpriced = least(tallies.unpriced + excluded.unpriced, 10000000000000)";

/// Of the limit as it is now. An account has a statement of its own, which an index answers.
macro_rules! sums {
    ($and:literal) => {
        concat!(
            "SELECT operation, CAST(sum(admitted) AS BIGINT) AS admitted, CAST(sum(refused) AS BIGINT) AS refused, \
             CAST(sum(refused_worth) AS BIGINT) AS refused_worth, CAST(sum(would_refuse) AS BIGINT) AS \
             would_refuse, CAST(sum(would_refuse_worth) AS BIGINT) AS would_refuse_worth, CAST(sum(would_wait) \
             AS BIGINT) AS would_wait, CAST(sum(unread) AS BIGINT) AS unread, CAST(sum(priced) AS BIGINT) AS \
             priced, CAST(sum(worst) AS BIGINT) AS worst, CAST(sum(spent) AS BIGINT) AS spent, CAST(sum(under) \
             AS BIGINT) AS under, CAST(sum(under_by) AS BIGINT) AS under_by, CAST(sum(unpriced) AS BIGINT) AS \
             unpriced, min(CASE WHEN admitted > unread THEN day END) AS first_day, \
             max(CASE WHEN unread > 0 THEN day END) AS unread_day FROM tallies WHERE limit_name = $1 AND \
             limit_hash = (SELECT hash FROM limits WHERE name = $1) AND day >= $2",
            $and,
            " GROUP BY operation ORDER BY operation"
        )
    };
}

impl Tally {
    /// In the order of [`COLUMNS`].
    fn numbers(&self) -> [i64; 13] {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let most = Amount::from_units(UNITS_MAX);
        let amount = |amount: Amount| amount.min(most).micros();
        [
            count(self.admitted),
            count(self.refused),
            amount(self.refused_worth),
            count(self.would_refuse),
            amount(self.would_refuse_worth),
            count(self.would_wait),
            count(self.unread),
            count(self.priced),
            amount(self.worst),
            amount(self.spent),
            count(self.under),
            amount(self.under_by),
            count(self.unpriced),
        ]
    }

    fn read(row: &Row) -> Result<Self> {
        let amount = |name: &str| Ok::<_, crate::Error>(Amount::from_micros(row.int(name)?));
        Ok(Self {
            admitted: row.count("admitted")?,
            refused: row.count("refused")?,
            refused_worth: amount("refused_worth")?,
            would_refuse: row.count("would_refuse")?,
            would_refuse_worth: amount("would_refuse_worth")?,
            would_wait: row.count("would_wait")?,
            unread: row.count("unread")?,
            priced: row.count("priced")?,
            worst: amount("worst")?,
            spent: amount("spent")?,
            under: row.count("under")?,
            under_by: amount("under_by")?,
            unpriced: row.count("unpriced")?,
        })
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            admitted: self.admitted + other.admitted,
            refused: self.refused + other.refused,
            refused_worth: self.refused_worth.saturating_add(other.refused_worth),
            would_refuse: self.would_refuse + other.would_refuse,
            would_refuse_worth: self.would_refuse_worth.saturating_add(other.would_refuse_worth),
            would_wait: self.would_wait + other.would_wait,
            unread: self.unread + other.unread,
            priced: self.priced + other.priced,
            worst: self.worst.saturating_add(other.worst),
            spent: self.spent.saturating_add(other.spent),
            under: self.under + other.under,
            under_by: self.under_by.saturating_add(other.under_by),
            unpriced: self.unpriced + other.unpriced,
        }
    }
}

impl Store {
    /// What came of requests under a limit, as it is now, from the day of `since` on, by operation; of one account, if one
    /// is given.
    pub async fn tallies(
        &self,
        limit: &str,
        account: Option<Sid>,
        since: Timestamp,
    ) -> Result<Vec<TalliedOperation>> {
        let since = day(since);
        let rows = match account {
            Some(account) => self.fetch(sums!(" AND account = $3"), values![limit, since, account]).await?,
            None => self.fetch(sums!(""), values![limit, since]).await?,
        };
        rows.iter()
            .map(|row| {
                Ok(TalliedOperation {
                    operation: row.text("operation")?,
                    tally: Tally::read(row)?,
                    first_day: row.maybe_time("first_day")?,
                    unread_day: row.maybe_time("unread_day")?,
                })
            })
            .collect()
    }

    /// The accounts whose requests [`Self::tallies`] adds up, in no order that means anything.
    pub async fn tallied_accounts(&self, limit: &str, since: Timestamp) -> Result<Vec<Sid>> {
        let select = "SELECT DISTINCT account FROM tallies WHERE limit_name = $1 AND \
                      limit_hash = (SELECT hash FROM limits WHERE name = $1) AND day >= $2";
        self.fetch(select, values![limit, day(since)]).await?.iter().map(|row| row.sid("account")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_read_yet_is_not_held_against_a_limit() {
        let mut tally = Tally::default();
        tally.refuse(Why::NotReadBack, Amount::from_units(5), false);
        assert_eq!((tally.would_refuse, tally.would_refuse_worth, tally.unread), (0, Amount::ZERO, 1));
        tally.refuse(Why::OpenOnly, Amount::from_units(5), false);
        tally.refuse(Why::Tripped, Amount::from_units(1), false);
        assert_eq!((tally.would_refuse, tally.would_wait), (2, 1));
        assert_eq!((tally.would_refuse_worth, tally.refused), (Amount::from_units(6), 0));
    }

    #[test]
    fn prices_that_were_too_low_do_not_hide_behind_those_that_were_too_high() {
        let mut tally = Tally::default();
        tally.price(Amount::from_units(5), Amount::from_units(2));
        tally.price(Amount::from_units(1), Amount::from_units(2));
        assert_eq!(
            (tally.priced, tally.worst, tally.spent),
            (2, Amount::from_units(6), Amount::from_units(4))
        );
        assert_eq!((tally.under, tally.under_by), (1, Amount::from_units(1)));
    }
}
