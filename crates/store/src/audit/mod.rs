//! The audit log: who did what, when, in the transaction that did it.
//!
//! Rows are only ever added. Chaining them by hash while they are written would make every writer wait for every other,
//! so a job does it afterwards ([`seal`](mod@seal)) over rows that are committed, and signs the end of the chain. Whoever
//! then changes, removes, inserts or reorders a row has to forge a signature, and [`verify`] tells the row. What nobody
//! can find from inside is a log whose end was cut off together with its heads: for that, heads go elsewhere, as lines.

mod chain;
mod export;
mod seal;
mod verify;

use std::collections::HashMap;

use jiff::Timestamp;
use ringfence_model::{Actor, Sid};
use serde_json::json;

pub use chain::Head;
pub use export::ExportOf;
pub(crate) use seal::Horizon;
pub use seal::Sealed;
pub use verify::{Finding, Verified};

pub(crate) use chain::{make_signing_key, rewrite_checkpoint};

use crate::error::{Error, SealedError};
use crate::many::{PerDialect, insert};
use crate::seal::Place;
use crate::sql::{Row, Transaction, anywhere, storable, values};
use crate::{Result, Store};
use crate::{hex, people};

/// What is written beside a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAudit {
    /// What was done, as `thing.verb`: `breaker.trip`. Never changes: people search for it.
    pub action: String,
    /// To what: `account AC…`.
    pub target: String,
    /// What else to know, as JSON. No secret and nothing personal: that cannot be erased from here.
    pub detail: serde_json::Value,
    /// A person and a text about them, sealed with that person's key, which can be erased.
    pub personal: Option<(String, String)>,
}

impl NewAudit {
    /// A row without detail.
    pub fn new(action: &str, target: impl Into<String>) -> Self {
        let detail = serde_json::Value::Object(serde_json::Map::new());
        Self { action: action.to_owned(), target: target.into(), detail, personal: None }
    }

    /// With this detail.
    #[must_use]
    pub fn with(self, detail: serde_json::Value) -> Self {
        Self { detail, ..self }
    }

    /// With a text about a person, which is unreadable once [the person is erased](Store::erase_person).
    #[must_use]
    pub fn about(self, person: impl Into<String>, text: impl Into<String>) -> Self {
        Self { personal: Some((person.into(), text.into())), ..self }
    }
}

/// A row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Counts up, with gaps.
    pub id: i64,
    /// When, by the clock of the node.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What was done.
    pub action: String,
    /// To what.
    pub target: String,
    /// What else to know.
    pub detail: serde_json::Value,
    /// The person that the sealed text is about.
    pub person: Option<String>,
    /// That text; `None` where there is none, and once the person is erased.
    pub personal: Option<String>,
}

/// Which rows are wanted; all of them if it says nothing. Texts are found anywhere, whatever their case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// To what it was done.
    pub target: Option<String>,
    /// Who did it: the kind and the name, with a space between.
    pub actor: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// What was done to this account or to a breaker of it, and nothing else.
    pub account: Option<Sid>,
}

/// How far the log is chained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SealedSoFar {
    /// The latest signed head: its place in the chain, the row that it signs, and when.
    pub head: Option<(i64, i64, Timestamp)>,
    /// Rows that are not chained yet.
    pub unsealed: u64,
}

impl Store {
    /// Adds a row by itself, for what changes nothing else in the store.
    pub async fn audit(&self, by: &Actor, audit: NewAudit, now: Timestamp) -> Result<i64> {
        self.write((by.clone(), audit, now), |(by, audit, now), transaction| {
            Box::pin(async move { append(transaction, by, audit, *now).await })
        })
        .await
    }

    /// The newest rows before `before` (all, if `None`), newest first; of one target, if one is given.
    pub async fn audit_rows(
        &self,
        target: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AuditRow>> {
        let before = before.unwrap_or(i64::MAX);
        let rows = match target {
            None => {
                let sql = "SELECT a.*, k.key FROM audit a LEFT JOIN person_keys k ON k.person = a.person \
                           WHERE a.id < $1 ORDER BY a.id DESC LIMIT $2";
                self.fetch(sql, values![before, limit]).await?
            }
            Some(target) => {
                let sql = "SELECT a.*, k.key FROM audit a LEFT JOIN person_keys k ON k.person = a.person \
                           WHERE a.id < $1 AND a.target = $3 ORDER BY a.id DESC LIMIT $2";
                self.fetch(sql, values![before, limit, target]).await?
            }
        };
        rows.iter().map(|row| self.audit_row(row)).collect()
    }

    /// The newest rows before `before` (all, if `None`) that the filter lets through, newest first.
    pub async fn search_audit(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AuditRow>> {
        let sql = "SELECT a.*, k.key FROM audit a LEFT JOIN person_keys k ON k.person = a.person \
                   WHERE a.id < $1 AND lower(a.target) LIKE $3 ESCAPE '!' \
                   AND lower(a.actor_kind || ' ' || a.actor_name) LIKE $4 ESCAPE '!' \
                   AND lower(a.action) LIKE $5 ESCAPE '!' \
                   AND (a.target LIKE $6 OR a.target LIKE $7) ORDER BY a.id DESC LIMIT $2";
        // A SID has nothing that a pattern would read in another way.
        let (account, breaker) = match filter.account {
            Some(sid) => (format!("account {sid}"), format!("breaker % of {sid}")),
            None => ("%".to_owned(), "%".to_owned()),
        };
        let bound = values![
            before.unwrap_or(i64::MAX),
            limit,
            anywhere(filter.target.as_deref()),
            anywhere(filter.actor.as_deref()),
            anywhere(filter.action.as_deref()),
            account,
            breaker
        ];
        self.fetch(sql, bound).await?.iter().map(|row| self.audit_row(row)).collect()
    }

    /// What happened to breakers after the row `after` (0: from the beginning), oldest first.
    pub async fn audit_of_breakers(&self, after: i64, limit: usize) -> Result<Vec<AuditRow>> {
        // The condition on the target is that of the index.
        let sql = "SELECT a.*, k.key FROM audit a LEFT JOIN person_keys k ON k.person = a.person \
                   WHERE a.target LIKE 'breaker %' AND a.id > $1 ORDER BY a.id LIMIT $2";
        self.fetch(sql, values![after, limit]).await?.iter().map(|row| self.audit_row(row)).collect()
    }

    /// When one of two things was last done to each breaker, by the target.
    pub async fn last_done_to_breakers(
        &self,
        action: &str,
        or_action: &str,
    ) -> Result<HashMap<String, Timestamp>> {
        // Grouped by an expression, or SQLite would go through the index of all targets instead of that of breakers.
        let sql = "SELECT target, at FROM audit WHERE id IN (SELECT max(id) FROM audit \
                   WHERE target LIKE 'breaker %' AND action IN ($1, $2) GROUP BY target || '')";
        let rows = self.fetch(sql, values![action, or_action]).await?;
        rows.iter().map(|row| Ok((row.text("target")?, row.time("at")?))).collect()
    }

    /// How far the log is chained, and how much of it is not.
    pub async fn sealed_so_far(&self) -> Result<SealedSoFar> {
        let head = "SELECT seq, audit_id, signed_at FROM audit_heads ORDER BY seq DESC LIMIT 1";
        let head = match self.find(head, values![]).await? {
            Some(row) => Some((row.int("seq")?, row.int("audit_id")?, row.time("signed_at")?)),
            None => None,
        };
        let count = "SELECT count(*) AS rows FROM audit WHERE id > $1";
        let unsealed = self.find(count, values![head.map_or(0, |(_, audit_id, _)| audit_id)]).await?;
        Ok(SealedSoFar { head, unsealed: unsealed.map_or(Ok(0), |row| row.count("rows"))? })
    }

    /// Reads a row that was joined with the key of its person.
    pub(crate) fn audit_row(&self, row: &Row) -> Result<AuditRow> {
        let stored = Stored::read(row, "id")?;
        let id = stored.id;
        let actor = Actor::from_parts(&stored.actor_kind, &stored.actor_name)
            .ok_or_else(|| Error::corrupt(format!("audit.actor_kind of {id}"), "nobody is of this kind"))?;
        let personal = match (&stored.person, &stored.personal) {
            (Some(person), Some(sealed)) => {
                let identity = personal_identity(&stored.action, &stored.target, stored.at_micros);
                let place = Place { table: "audit", column: "personal", row: &identity };
                match people::open(&self.keys, person, row.maybe_bytes("key")?.as_deref(), place, sealed) {
                    Ok(text) => Some(text.to_string()),
                    Err(SealedError::Erased { .. }) => None,
                    Err(error) => return Err(error.into()),
                }
            }
            _ => None,
        };
        Ok(AuditRow {
            id,
            at: row.time("at")?,
            actor,
            action: stored.action,
            target: stored.target,
            detail: row.json("detail")?,
            person: stored.person,
            personal,
        })
    }
}

/// Adds a row in the transaction of what it tells. Gives back its id.
pub(crate) async fn append(
    transaction: &mut Transaction,
    by: &Actor,
    audit: &NewAudit,
    now: Timestamp,
) -> Result<i64> {
    let (person, personal) = seal_personal(transaction, audit, now).await?;
    let insert = "INSERT INTO audit (at, actor_kind, actor_name, action, target, detail, person, personal) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id";
    let bound = values![
        now,
        by.kind(),
        by.name(),
        &audit.action,
        &audit.target,
        audit.detail.to_string(),
        person,
        personal
    ];
    let row = transaction.find(insert, bound).await?;
    row.ok_or_else(|| Error::corrupt("audit", "an insert gave back no id"))?.int("id")
}

/// Adds many rows at once, in this order.
pub(crate) async fn append_all(
    transaction: &mut Transaction,
    audits: &[(&Actor, NewAudit, Timestamp)],
) -> Result<()> {
    let mut rows = Vec::with_capacity(audits.len());
    for (by, audit, now) in audits {
        let (person, personal) = seal_personal(transaction, audit, *now).await?;
        rows.push(json!({
            "at": now.as_microsecond(),
            "actor_kind": by.kind(),
            "actor_name": by.name(),
            "action": audit.action,
            "target": audit.target,
            "detail": audit.detail.to_string(),
            "person": person,
            "personal": personal.map(|sealed| hex::write(&sealed)),
        }));
    }
    INSERT.run_later(transaction, rows).await
}

const INSERT: PerDialect = insert!(
    "audit", at int, actor_kind text, actor_name text, action text, target text, detail text, person text, personal bytes; ""
);

/// What is told about a person, sealed, and who that is.
async fn seal_personal(
    transaction: &mut Transaction,
    audit: &NewAudit,
    now: Timestamp,
) -> Result<(Option<String>, Option<Vec<u8>>)> {
    let Some((whose, text)) = &audit.personal else { return Ok((None, None)) };
    // Names as they are stored, since they are a part of what is sealed.
    let (whose, target) = (storable(whose.clone()), storable(audit.target.clone()));
    let identity = personal_identity(&audit.action, &target, now.as_microsecond());
    let place = Place { table: "audit", column: "personal", row: &identity };
    let sealed = people::key(transaction, &whose, now).await?.seal(place, text.as_bytes());
    Ok((Some(whose), Some(sealed)))
}

/// What a sealed text belongs to: the row has no id yet when it is sealed.
fn personal_identity(action: &str, target: &str, at_micros: i64) -> String {
    format!("{action} {target} {at_micros}")
}

/// A row as it is stored, which is what is hashed.
#[derive(Debug)]
struct Stored {
    id: i64,
    at_micros: i64,
    actor_kind: String,
    actor_name: String,
    action: String,
    target: String,
    detail: String,
    person: Option<String>,
    personal: Option<Vec<u8>>,
}

impl Stored {
    fn read(row: &Row, id_column: &str) -> Result<Self> {
        Ok(Self {
            id: row.int(id_column)?,
            at_micros: row.int("at")?,
            actor_kind: row.text("actor_kind")?,
            actor_name: row.text("actor_name")?,
            action: row.text("action")?,
            target: row.text("target")?,
            detail: row.text("detail")?,
            person: row.maybe_text("person")?,
            personal: row.maybe_bytes("personal")?,
        })
    }
}
