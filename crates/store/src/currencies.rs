//! In what each account pays, as its usage records say it. It decides nothing: amounts are told with it, by whoever tells them.

use std::collections::HashMap;

use ringfence_model::Sid;

use crate::sql::values;
use crate::{Result, Store, epoch};

/// What the names of these rows of `meta` begin with.
const OF: &str = "currency of ";

/// The currency of each account of which one was seen.
pub type Currencies = HashMap<Sid, String>;

impl Store {
    /// Keeps what an account pays in.
    pub async fn keep_currency(&self, account: Sid, currency: &str) -> Result<()> {
        self.write((account, currency.to_owned()), |(account, currency), transaction| {
            Box::pin(async move { epoch::put(transaction, &format!("{OF}{account}"), currency).await })
        })
        .await
    }

    /// What accounts pay in, as far as that was seen.
    pub async fn currencies(&self) -> Result<Currencies> {
        let rows =
            self.fetch("SELECT name, value FROM meta WHERE name LIKE $1", values![format!("{OF}%")]).await?;
        let mut currencies = Currencies::new();
        for row in rows {
            let name = row.text("name")?;
            if let Some(account) = name.strip_prefix(OF).and_then(|sid| Sid::parse(sid).ok()) {
                currencies.insert(account, row.text("value")?);
            }
        }
        Ok(currencies)
    }
}
