//! The log as lines of JSON, for another system to keep.

use serde_json::json;

use super::{Head, Store};
use crate::audit::chain::SigningKey;
use crate::sql::{Row, values};
use crate::{Result, hex};

/// Whether the texts about people leave the store: what has left it cannot be erased any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportOf {
    /// Texts about people stay behind; the lines say only that there are some.
    WithoutPersonal,
    /// Texts about people are in the lines, except of those who were erased.
    WithPersonal,
}

impl Store {
    /// Sealed rows after the row `after` (0: from the beginning) as lines of JSON, with their places and hashes.
    ///
    /// Each line has the row's `id`: an export that was interrupted goes on after the last one. Rows that are not sealed
    /// yet do not appear, so nothing can be missed. Fewer lines than `limit` mean that this is all so far.
    pub async fn export_audit(&self, after: i64, limit: usize, what: ExportOf) -> Result<Vec<String>> {
        let sql = "SELECT a.*, c.seq, c.hash, k.key FROM audit_chain c JOIN audit a ON a.id = c.audit_id \
                   LEFT JOIN person_keys k ON k.person = a.person \
                   WHERE c.audit_id > $1 ORDER BY c.audit_id LIMIT $2";
        let rows = self.fetch(sql, values![after, limit]).await?;
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows {
            let audit = self.audit_row(&row)?;
            let mut line = json!({
                "id": audit.id,
                "seq": row.int("seq")?,
                "at": audit.at.to_string(),
                "actor": { "kind": audit.actor.kind(), "name": audit.actor.name() },
                "action": audit.action,
                "target": audit.target,
                "detail": audit.detail,
                "hash": hex::write(&row.bytes("hash")?),
            });
            if let Some(person) = audit.person {
                line["person"] = person.into();
                if what == ExportOf::WithPersonal {
                    line["personal"] = audit.personal.into();
                }
            }
            lines.push(line.to_string());
        }
        Ok(lines)
    }

    /// The signed heads after the place `after` in the chain, oldest first, to be kept elsewhere.
    pub async fn audit_heads(&self, after: i64, limit: usize) -> Result<Vec<Head>> {
        let public_key = SigningKey::of_pool(&self.pool, &self.keys).await?.public();
        let sql = "SELECT seq, audit_id, hash, signed_at, signature FROM audit_heads WHERE seq > $1 \
                   ORDER BY seq LIMIT $2";
        let rows = self.fetch(sql, values![after, limit]).await?;
        rows.iter().map(|row| head(row, &public_key)).collect()
    }

    /// The newest signed head: it proves all that the others do.
    pub async fn last_audit_head(&self) -> Result<Option<Head>> {
        let sql =
            "SELECT seq, audit_id, hash, signed_at, signature FROM audit_heads ORDER BY seq DESC LIMIT 1";
        let Some(row) = self.find(sql, values![]).await? else { return Ok(None) };
        let public_key = SigningKey::of_pool(&self.pool, &self.keys).await?.public();
        head(&row, &public_key).map(Some)
    }
}

fn head(row: &Row, public_key: &[u8]) -> Result<Head> {
    Ok(Head {
        seq: row.int("seq")?,
        audit_id: row.int("audit_id")?,
        hash: row.bytes("hash")?,
        signed_at: row.time("signed_at")?,
        signature: row.bytes("signature")?,
        public_key: public_key.to_vec(),
    })
}
