//! How much of each budget is used: one row for each, with the end of the window that it counts in.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ringfence_second_factor::pumping::Budget;
use serde_json::json;

use crate::error::Error;
use crate::many::{PerDialect, insert};
use crate::sql::Transaction;
use crate::{Result, Store};

impl Store {
    /// Takes one from each budget; or nothing from any, and gives back one that has nothing left.
    pub async fn take_budgets(&self, mut budgets: Vec<Budget>) -> Result<Option<Budget>> {
        budgets.sort();
        self.write(budgets, |budgets, transaction| {
            Box::pin(async move {
                let mut rates = Rates::lock(transaction, budgets).await?;
                if let Some(used_up) = rates.used_up(budgets)? {
                    return Ok(Some(used_up.clone()));
                }
                rates.take(budgets)?;
                rates.write(transaction).await?;
                Ok(None)
            })
        })
        .await
    }
}

/// How much of a budget is used.
#[derive(Debug, Clone, Copy)]
struct Used {
    ends_at: Timestamp,
    most: u32,
    count: u32,
}

/// What is used of many budgets, locked until the transaction ends.
#[derive(Default)]
pub(crate) struct Rates {
    rows: BTreeMap<String, Used>,
    changed: BTreeSet<String>,
}

impl Rates {
    /// Locks them, in the order of their keys.
    pub(crate) async fn lock<'a>(
        transaction: &mut Transaction,
        budgets: impl IntoIterator<Item = &'a Budget>,
    ) -> Result<Self> {
        let keys: BTreeSet<&str> = budgets.into_iter().map(|budget| budget.key.as_str()).collect();
        let wanted = keys.iter().map(|key| json!({ "key": key, "ends_at": 0, "most": 0, "count": 0 }));
        let there = LOCK.run(transaction, wanted).await?;
        let unused = Used { ends_at: Timestamp::UNIX_EPOCH, most: 0, count: 0 };
        let mut rows: BTreeMap<_, _> = keys.into_iter().map(|key| (key.to_owned(), unused)).collect();
        for row in there {
            let small = |column: &str| row.count(column).map(|it| u32::try_from(it).unwrap_or(u32::MAX));
            let used = Used { ends_at: row.time("ends_at")?, most: small("most")?, count: small("count")? };
            rows.insert(row.text("key")?, used);
        }
        Ok(Self { rows, changed: BTreeSet::new() })
    }

    /// Whether it was locked with the others.
    pub(crate) fn is_locked(&self, budget: &Budget) -> bool {
        self.rows.contains_key(&budget.key)
    }

    /// The first of these that has nothing left. They are sorted: two caps of one window are one count, up to the lower of
    /// them, which comes first.
    pub(crate) fn used_up<'b>(&self, budgets: &'b [Budget]) -> Result<Option<&'b Budget>> {
        for budget in budgets {
            let used = self.rows.get(&budget.key).ok_or_else(|| not_locked(budget))?;
            // A node whose clock is behind counts in the window that others have begun: never more than the cap.
            let count = if used.ends_at < budget.ends_at { 0 } else { used.count };
            if count >= budget.most {
                return Ok(Some(budget));
            }
        }
        Ok(None)
    }

    /// Takes one from each, where [none is used up](Self::used_up).
    pub(crate) fn take(&mut self, budgets: &[Budget]) -> Result<()> {
        let mut before = None;
        for budget in budgets.iter().filter(|budget| before.replace(&budget.key) != Some(&budget.key)) {
            let used = self.rows.get_mut(&budget.key).ok_or_else(|| not_locked(budget))?;
            if used.ends_at < budget.ends_at {
                *used = Used { ends_at: budget.ends_at, count: 0, ..*used };
            }
            used.count = used.count.saturating_add(1);
            used.most = budget.most;
            self.changed.insert(budget.key.clone());
        }
        Ok(())
    }

    /// Writes what has changed.
    pub(crate) async fn write(&self, transaction: &mut Transaction) -> Result<()> {
        let changed = self.changed.iter().filter_map(|key| Some((key, self.rows.get(key)?)));
        let rows = changed.map(|(key, used)| {
            let ends_at = used.ends_at.as_microsecond();
            json!({ "key": key, "ends_at": ends_at, "most": used.most, "count": used.count })
        });
        WRITE.run_later(transaction, rows).await?;
        Ok(())
    }
}

/// It changes nothing, but from here on the rows are this transaction's, as all are on SQLite.
const LOCK: PerDialect = PerDialect {
    sqlite: "SELECT rates.* FROM json_each($1) AS r CROSS JOIN rates ON rates.key = r.value ->> 'key'",
    ..insert!("rates", key text, ends_at int, most int, count int;
              "ON CONFLICT (key) DO UPDATE SET count = rates.count RETURNING *")
};

const WRITE: PerDialect = insert!("rates", key text, ends_at int, most int, count int;
                                  "ON CONFLICT (key) DO UPDATE SET ends_at = excluded.ends_at, most = excluded.most, \
                                   count = excluded.count");

fn not_locked(budget: &Budget) -> Error {
    Error::corrupt(format!("the budget {}", budget.key), "it was not locked")
}
