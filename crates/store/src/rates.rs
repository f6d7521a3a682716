//! How much of each budget is used: one row for each, with the end of the window that it counts in.

use ringfence_second_factor::pumping::Budget;

use crate::sql::{Transaction, values};
use crate::{Result, Store};

impl Store {
    /// Takes one from each budget; or nothing from any, and gives back one that has nothing left.
    pub async fn take_budgets(&self, mut budgets: Vec<Budget>) -> Result<Option<Budget>> {
        budgets.sort();
        self.write(budgets, |budgets, transaction| {
            Box::pin(async move { Ok(take(transaction, budgets).await?.cloned()) })
        })
        .await
    }
}

/// How many budgets one statement takes from.
const AT_ONCE: usize = 8;

/// Takes one from each budget; or nothing from any, and says which one has nothing left. The budgets are sorted, so that
/// no two transactions wait for each other crosswise.
pub(crate) async fn take<'a>(
    transaction: &mut Transaction,
    budgets: &'a [Budget],
) -> Result<Option<&'a Budget>> {
    // Two caps of one window are one count, up to the lower of them, which comes first.
    let mut distinct: Vec<&Budget> = budgets.iter().collect();
    distinct.dedup_by(|next, before| next.key == before.key);
    for (index, chunk) in distinct.chunks(AT_ONCE).enumerate() {
        let taken = take_some(transaction, chunk).await?;
        let Some(used_up) = chunk.iter().find(|budget| !taken.contains(&budget.key)) else { continue };
        let before = distinct.iter().take(index * AT_ONCE).map(|budget| budget.key.clone());
        for key in taken.into_iter().chain(before) {
            // The row is still this transaction's.
            let give_back = "UPDATE rates SET count = count - 1 WHERE key = $1";
            transaction.execute(give_back, values![key]).await?;
        }
        return Ok(Some(*used_up));
    }
    Ok(None)
}

/// Takes from those that have something left, and says which those are. One statement, since most of what a start costs is
/// the way to the database and back.
async fn take_some(transaction: &mut Transaction, budgets: &[&Budget]) -> Result<Vec<String>> {
    // A node whose clock is behind counts in the window that others have begun: never more than the cap.
    let take = "INSERT INTO rates (key, ends_at, most, count) SELECT key, ends_at, most, 1 FROM (\
                SELECT $1 AS key, $2 AS ends_at, $3 AS most UNION ALL SELECT $4, $5, $6 UNION ALL SELECT $7, $8, $9 \
                UNION ALL SELECT $10, $11, $12 UNION ALL SELECT $13, $14, $15 UNION ALL SELECT $16, $17, $18 \
                UNION ALL SELECT $19, $20, $21 UNION ALL SELECT $22, $23, $24) AS wanted \
                WHERE key IS NOT NULL AND most > 0 ON CONFLICT (key) DO UPDATE SET \
                count = CASE WHEN rates.ends_at < excluded.ends_at THEN 1 ELSE rates.count + 1 END, \
                ends_at = CASE WHEN rates.ends_at < excluded.ends_at THEN excluded.ends_at ELSE rates.ends_at END, \
                most = excluded.most \
                WHERE rates.ends_at < excluded.ends_at OR rates.count < excluded.most RETURNING key";
    let mut bound = Vec::with_capacity(3 * AT_ONCE);
    for slot in 0..AT_ONCE {
        match budgets.get(slot) {
            Some(budget) => bound.extend(values![&budget.key, budget.ends_at, i64::from(budget.most)]),
            None => bound.extend(values![None::<String>, None::<i64>, None::<i64>]),
        }
    }
    let rows = transaction.fetch(take, bound).await?;
    rows.iter().map(|row| row.text("key")).collect()
}
