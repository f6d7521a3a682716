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

/// Takes one from each budget; or nothing from any, and says which one has nothing left. The budgets are sorted, so that
/// no two transactions wait for each other crosswise.
pub(crate) async fn take<'a>(
    transaction: &mut Transaction,
    budgets: &'a [Budget],
) -> Result<Option<&'a Budget>> {
    for (index, budget) in budgets.iter().enumerate() {
        // A node whose clock is behind counts in the window that others have begun: never more than the cap.
        let take = "INSERT INTO rates (key, ends_at, count) SELECT $1, $2, 1 WHERE $3 > 0 ON CONFLICT (key) DO UPDATE SET \
                    count = CASE WHEN rates.ends_at < excluded.ends_at THEN 1 ELSE rates.count + 1 END, \
                    ends_at = CASE WHEN rates.ends_at < excluded.ends_at THEN excluded.ends_at ELSE rates.ends_at END \
                    WHERE rates.ends_at < excluded.ends_at OR rates.count < $3";
        let bound = values![&budget.key, budget.ends_at, i64::from(budget.most)];
        if transaction.execute(take, bound).await? > 0 {
            continue;
        }
        for taken in budgets.iter().take(index) {
            // The row is still this transaction's.
            let give_back = "UPDATE rates SET count = count - 1 WHERE key = $1";
            transaction.execute(give_back, values![&taken.key]).await?;
        }
        return Ok(Some(budget));
    }
    Ok(None)
}
