//! Verifying the log: which row was changed, removed, inserted or put elsewhere.

use super::chain::{BEGINNING, CHECKPOINT, HEAD, Head, Signed, SigningKey, hash};
use super::{Store, Stored};
use crate::Result;
use crate::sql::values;

/// Rows that are read at once.
const PAGE: usize = 1000;
/// Findings that are told; a log with more than these is not read row by row.
const FINDINGS_MAX: usize = 1000;

/// What the verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Rows in the chain.
    pub rows: i64,
    /// The place of the last one; 0 if there is none.
    pub last_seq: i64,
    /// Rows that no run of the sealer has come to yet. They prove nothing so far.
    pub unsealed: i64,
    /// Signed heads that were checked, those from outside included.
    pub heads: usize,
    /// What is wrong, in the order of the chain. Empty: the log is whole.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong with the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The row does not have the hash that it was sealed with.
    #[error("audit row {audit_id} was changed after it was sealed at {seq}")]
    Changed {
        /// Its place in the chain.
        seq: i64,
        /// Its id.
        audit_id: i64,
    },
    /// The chain has a row that the log no longer has.
    #[error("audit row {audit_id}, sealed at {seq}, was removed")]
    Removed {
        /// Its place in the chain.
        seq: i64,
        /// Its id.
        audit_id: i64,
    },
    /// The log has a row among sealed ones that was never sealed.
    #[error("audit row {audit_id} was inserted among rows that were already sealed")]
    Inserted {
        /// Its id.
        audit_id: i64,
    },
    /// Rows of the chain stand in another order than their ids.
    #[error("audit row {audit_id} at {seq} does not come after the one before it")]
    Reordered {
        /// Its place in the chain.
        seq: i64,
        /// Its id.
        audit_id: i64,
    },
    /// A part of the chain itself is gone.
    #[error("the chain has nothing from {from} to {to}")]
    Gap {
        /// The first place that is missing.
        from: i64,
        /// The last one.
        to: i64,
    },
    /// A signed head says something else than the chain does there: the chain was computed anew.
    #[error("the head signed for {seq} does not agree with the chain there")]
    HeadDisagrees {
        /// The place of the head.
        seq: i64,
    },
    /// The signature of a head, or of the checkpoint, is not ours.
    #[error("the signature for {seq} is not this store's")]
    Forged {
        /// The place of the head.
        seq: i64,
    },
    /// There are sealed rows after the last head: no run of the sealer leaves them so.
    #[error("the end of the chain at {seq} has no signed head")]
    Unsigned {
        /// The end.
        seq: i64,
    },
    /// There is more that is wrong.
    #[error("there is more; only the first {FINDINGS_MAX} are told")]
    More,
}

impl Store {
    /// Reads the whole log and checks the chain, every head in the store, and the heads that were kept `outside`.
    ///
    /// Without heads from outside, a log that was cut off at an older head, together with all later ones, looks whole.
    pub async fn verify_audit(&self, outside: &[Head]) -> Result<Verified> {
        let public_key = SigningKey::of_pool(&self.pool, &self.keys).await?.public();
        let mut findings = Findings(Vec::new());

        // 1. Where the chain begins.
        let (first, mut audit_id, mut before) = match self.checkpoint().await? {
            None => (0, 0, BEGINNING.to_vec()),
            Some(checkpoint) => {
                if !checkpoint.is_good(CHECKPOINT, &public_key) {
                    findings.add(Finding::Forged { seq: checkpoint.seq });
                }
                (checkpoint.seq, checkpoint.audit_id, checkpoint.hash)
            }
        };

        // 2. The signed heads that there are, in the order of the chain, are met on the way.
        let mut heads = self.heads(first).await?;
        let stored_heads = heads.len();
        for head in outside.iter().filter(|head| head.seq > first) {
            heads.push(Signed {
                seq: head.seq,
                audit_id: head.audit_id,
                hash: head.hash.clone(),
                at_micros: head.signed_at.as_microsecond(),
                signature: head.signature.clone(),
            });
        }
        let last_head = heads[..stored_heads].iter().map(|head| head.seq).max().unwrap_or(first);
        let checked = heads.len();
        heads.retain(|head| {
            let good = head.is_good(HEAD, &public_key);
            if !good {
                findings.add(Finding::Forged { seq: head.seq });
            }
            good
        });
        heads.sort_by_key(|head| head.seq);
        let mut heads = heads.into_iter().peekable();

        // 3. Row by row.
        let mut seq = first;
        let mut rows = 0;
        loop {
            let page = self
                .fetch(
                    "SELECT c.seq, c.audit_id, c.hash, a.id, a.at, a.actor_kind, a.actor_name, a.action, a.target, \
                     a.detail, a.person, a.personal FROM audit_chain c LEFT JOIN audit a ON a.id = c.audit_id \
                     WHERE c.seq > $1 ORDER BY c.seq LIMIT $2",
                    values![seq, PAGE],
                )
                .await?;
            for row in &page {
                let (this, id, kept) = (row.int("seq")?, row.int("audit_id")?, row.bytes("hash")?);
                let is_next = this == seq + 1;
                if !is_next {
                    findings.add(Finding::Gap { from: seq + 1, to: this - 1 });
                }
                if id <= audit_id {
                    findings.add(Finding::Reordered { seq: this, audit_id: id });
                }
                match row.maybe_int("id")? {
                    None => findings.add(Finding::Removed { seq: this, audit_id: id }),
                    // After a gap nobody knows what the row was chained to.
                    Some(_) if is_next && hash(&before, &Stored::read(row, "audit_id")?) != kept => {
                        findings.add(Finding::Changed { seq: this, audit_id: id });
                    }
                    Some(_) => {}
                }
                while let Some(head) = heads.next_if(|head| head.seq <= this) {
                    if head.seq == this && (head.hash != kept || head.audit_id != id) {
                        findings.add(Finding::HeadDisagrees { seq: this });
                    }
                }
                (seq, audit_id, before) = (this, id, kept);
                rows += 1;
            }
            if page.len() < PAGE {
                break;
            }
        }

        // 4. The end: heads beyond it mean that it was cut off, rows beyond the heads that somebody else chained them.
        if let Some(beyond) = heads.map(|head| head.seq).max() {
            findings.add(Finding::Gap { from: seq + 1, to: beyond });
        }
        if seq > last_head {
            findings.add(Finding::Unsigned { seq });
        }

        // 5. Rows that are not in the chain although later ones are.
        let inserted = "SELECT id FROM audit a WHERE id > (SELECT coalesce(max(audit_id), 0) FROM audit_checkpoint) \
                        AND id < $1 AND NOT EXISTS (SELECT 1 FROM audit_chain c WHERE c.audit_id = a.id) \
                        ORDER BY id LIMIT $2";
        for row in self.fetch(inserted, values![audit_id, FINDINGS_MAX]).await? {
            findings.add(Finding::Inserted { audit_id: row.int("id")? });
        }
        let unsealed = "SELECT count(*) AS rows FROM audit WHERE id > $1";
        let unsealed = self.find(unsealed, values![audit_id]).await?.map_or(Ok(0), |row| row.int("rows"))?;
        Ok(Verified { rows, last_seq: seq, unsealed, heads: checked, findings: findings.0 })
    }

    async fn checkpoint(&self) -> Result<Option<Signed>> {
        let sql = "SELECT seq, audit_id, hash, signed_at, signature FROM audit_checkpoint";
        self.find(sql, values![]).await?.map(|row| Signed::read(&row)).transpose()
    }

    async fn heads(&self, after: i64) -> Result<Vec<Signed>> {
        let sql =
            "SELECT seq, audit_id, hash, signed_at, signature FROM audit_heads WHERE seq > $1 ORDER BY seq";
        self.fetch(sql, values![after]).await?.iter().map(Signed::read).collect()
    }
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, finding: Finding) {
        match self.0.len() {
            FINDINGS_MAX => self.0.push(Finding::More),
            length if length < FINDINGS_MAX => self.0.push(finding),
            _ => {}
        }
    }
}
