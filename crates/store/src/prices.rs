//! What things cost each account, as it was learnt from Twilio: one document for an account, whole and with a version.

use jiff::Timestamp;
use ringfence_breaker::price_book::Prices;
use ringfence_model::{Actor, Sid};
use serde_json::json;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::sql::{Row, values};
use crate::{Result, Store};

/// The prices of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPrices {
    /// Whose.
    pub account: Sid,
    /// Since when every price of them is known to be right; the beginning of time where one could not be read yet.
    pub fetched_at: Timestamp,
    /// They themselves, with their version.
    pub prices: Prices,
}

impl Store {
    /// Keeps the prices of an account in the place of an earlier version. [`Conflict`](Error::Conflict) where the version that
    /// is kept is not an earlier one: another node was quicker.
    pub async fn keep_prices(&self, by: &Actor, prices: StoredPrices, now: Timestamp) -> Result<()> {
        let document =
            serde_json::to_string(&prices.prices).expect("its keys are texts, and nothing in it can fail");
        self.write((by.clone(), prices, document, now), |(by, stored, document, now), transaction| {
            Box::pin(async move {
                let (account, version) = (stored.account, stored.prices.version.cast_signed());
                let upsert = "INSERT INTO prices (account, version, fetched_at, document) VALUES ($1, $2, $3, $4) \
                              ON CONFLICT (account) DO UPDATE SET version = excluded.version, \
                              fetched_at = excluded.fetched_at, document = excluded.document \
                              WHERE prices.version < excluded.version";
                let bound = values![account, version, stored.fetched_at, document.as_str()];
                if transaction.execute(upsert, bound).await? == 0 {
                    return Err(Error::conflict(format!("prices of {account}")));
                }
                let prices = &stored.prices;
                let audit = NewAudit::new("prices.learn", format!("account {account}")).with(json!({
                    "version": prices.version,
                    "currency": prices.currency,
                    "messages": prices.messages.len(),
                    "calls": prices.calls.len(),
                    "numbers": prices.numbers.len(),
                }));
                audit::append(transaction, by, &audit, *now).await?;
                Ok(())
            })
        })
        .await
    }

    /// The prices of an account, if any were learnt.
    pub async fn prices(&self, account: Sid) -> Result<Option<StoredPrices>> {
        let row = self.find("SELECT * FROM prices WHERE account = $1", values![account]).await?;
        row.as_ref().map(read).transpose()
    }

    /// Which accounts have prices, and of which version: whether there is anything new, without reading it.
    pub async fn price_versions(&self) -> Result<Vec<(Sid, u64)>> {
        let rows = self.fetch("SELECT account, version FROM prices ORDER BY account", values![]).await?;
        rows.iter().map(|row| Ok((row.sid("account")?, row.count("version")?))).collect()
    }
}

fn read(row: &Row) -> Result<StoredPrices> {
    Ok(StoredPrices {
        account: row.sid("account")?,
        fetched_at: row.time("fetched_at")?,
        prices: row.json("document")?,
    })
}
