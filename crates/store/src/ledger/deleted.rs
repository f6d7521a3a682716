//! When records of calls were last deleted at Twilio: what is missing from its list of an account's calls is not, then, what
//! never was.

use jiff::Timestamp;
use ringfence_model::Sid;

use crate::error::Error;
use crate::sql::values;
use crate::{Result, Store, epoch};

/// Before the account in names of `meta`.
const NAME: &str = "call-deleted/";

impl Store {
    /// Notes that the record of a call of this account is about to be deleted.
    pub async fn note_deleted_call(&self, account: Sid, now: Timestamp) -> Result<()> {
        self.write((account, now), |(account, now), transaction| {
            Box::pin(
                async move { epoch::put(transaction, &format!("{NAME}{account}"), &now.to_string()).await },
            )
        })
        .await
    }

    /// When the record of a call of this account was last deleted, by what passed here.
    pub async fn last_deleted_call(&self, account: Sid) -> Result<Option<Timestamp>> {
        let name = format!("{NAME}{account}");
        let row = self.find("SELECT value FROM meta WHERE name = $1", values![name.as_str()]).await?;
        let Some(row) = row else { return Ok(None) };
        let at = row.text("value")?.parse();
        at.map(Some)
            .map_err(|error: jiff::Error| Error::corrupt(format!("meta, row {name}"), error.to_string()))
    }
}
