//! Links to files: the key that signs them, which is the installation's own and of nothing else.
//!
//! It is made when it is first needed and sealed with the master key like every secret here. Another one in its place ends
//! every link there is: that is what is done when links were seen by somebody who should not have them.

use jiff::Timestamp;
use ringfence_model::{Actor, Sid};
use serde_json::json;
use zeroize::Zeroizing;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::seal::{Keyring, Place};
use crate::sql::values;
use crate::{Result, Store};

const KEY: Place<'_> = Place { table: "secrets", column: "value", row: "media-link" };

impl Store {
    /// The key of links to files, which the first call ever makes.
    pub async fn media_link_key(&self) -> Result<Zeroizing<[u8; 32]>> {
        if let Some(row) = self.find("SELECT value FROM secrets WHERE name = $1", values![KEY.row]).await? {
            return open(&self.keys, &row.bytes("value")?);
        }
        self.write((), |(), transaction| {
            Box::pin(async move {
                let sealed = transaction.keys.seal(KEY, Zeroizing::new(crate::random::<32>()).as_slice());
                // Where two nodes do this at once, one waits for the other and both read the same key below.
                let insert = "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
                transaction.execute(insert, values![KEY.row, sealed]).await?;
                let select = "SELECT value FROM secrets WHERE name = $1";
                let row = transaction.find(select, values![KEY.row]).await?;
                let row = row.ok_or_else(|| Error::corrupt(KEY.to_string(), "it is missing"))?;
                open(&transaction.keys, &row.bytes("value")?)
            })
        })
        .await
    }

    /// Ends every link to a file: another key takes the place of the one that signed them.
    pub async fn end_media_links(&self, by: &Actor, reason: &str, now: Timestamp) -> Result<()> {
        self.write((by.clone(), reason.to_owned(), now), |(by, reason, now), transaction| {
            Box::pin(async move {
                let sealed = transaction.keys.seal(KEY, Zeroizing::new(crate::random::<32>()).as_slice());
                let upsert = "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET \
                              value = excluded.value";
                transaction.execute(upsert, values![KEY.row, sealed]).await?;
                let audit = NewAudit::new("media.end_links", "all links to files");
                audit::append(transaction, by, &audit.with(json!({ "reason": reason })), *now).await?;
                Ok(())
            })
        })
        .await
    }

    /// Notes that somebody had a link made to a file of an account, good until then.
    pub async fn note_media_link(
        &self,
        by: &Actor,
        account: Sid,
        file: Sid,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let detail = json!({ "account": account.to_string(), "until": until.to_string() });
        self.audit(by, NewAudit::new("media.link", format!("file {file}")).with(detail), now).await?;
        Ok(())
    }
}

fn open(keys: &Keyring, sealed: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
    let opened = keys.open(KEY, sealed)?;
    let bytes = opened.as_slice().try_into();
    bytes.map(Zeroizing::new).map_err(|_| Error::corrupt(KEY.to_string(), "it is no key of 32 bytes"))
}
