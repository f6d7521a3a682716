//! What an action took away from an account, kept so that it can be given back: the countries that were open, say.
//!
//! The first that is kept stays until it is given back. Whoever tries the action again, because the answer to the first try
//! was lost, finds less than was there, and that must not become what is given back.

use jiff::Timestamp;
use ringfence_model::{Actor, Sid};
use serde_json::json;

use crate::audit::{self, NewAudit};
use crate::outbox::Added;
use crate::sql::values;
use crate::{Result, Store};

impl Store {
    /// Keeps what is about to be taken from an account. [`Before`](Added::Before) says that an earlier try has kept it,
    /// and that this stays.
    pub async fn keep_taken(
        &self,
        by: &Actor,
        account: Sid,
        what: &str,
        value: serde_json::Value,
        now: Timestamp,
    ) -> Result<Added> {
        let data = (by.clone(), account, what.to_owned(), value.to_string(), now);
        self.write(data, |(by, account, what, value, now), transaction| {
            Box::pin(async move {
                let insert = "INSERT INTO taken (account, what, value, taken_at) VALUES ($1, $2, $3, $4) \
                              ON CONFLICT (account, what) DO NOTHING";
                if transaction.execute(insert, values![*account, what, value.as_str(), *now]).await? == 0 {
                    return Ok(Added::Before);
                }
                let audit =
                    NewAudit::new("account.take", format!("account {account}")).with(json!({ "what": what }));
                audit::append(transaction, by, &audit, *now).await?;
                Ok(Added::New)
            })
        })
        .await
    }

    /// What was taken from an account and has yet to be given back.
    pub async fn find_taken(&self, account: Sid, what: &str) -> Result<Option<serde_json::Value>> {
        let sql = "SELECT value FROM taken WHERE account = $1 AND what = $2";
        self.find(sql, values![account, what]).await?.map(|row| row.json("value")).transpose()
    }

    /// From which accounts this was taken and has yet to be given back, and since when.
    pub async fn taken_from(&self, what: &str) -> Result<Vec<(Sid, Timestamp)>> {
        let sql = "SELECT account, taken_at FROM taken WHERE what = $1 ORDER BY account";
        let rows = self.fetch(sql, values![what]).await?;
        rows.iter().map(|row| Ok((row.sid("account")?, row.time("taken_at")?))).collect()
    }

    /// Notes that it was given back, and forgets it. Says whether there was anything.
    pub async fn give_back(&self, by: &Actor, account: Sid, what: &str, now: Timestamp) -> Result<bool> {
        self.write((by.clone(), account, what.to_owned(), now), |(by, account, what, now), transaction| {
            Box::pin(async move {
                let delete = "DELETE FROM taken WHERE account = $1 AND what = $2";
                let was_there = transaction.execute(delete, values![*account, what]).await? == 1;
                if was_there {
                    let audit = NewAudit::new("account.give-back", format!("account {account}"))
                        .with(json!({ "what": what }));
                    audit::append(transaction, by, &audit, *now).await?;
                }
                Ok(was_there)
            })
        })
        .await
    }
}
