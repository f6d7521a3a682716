//! The audit log, newest first.

use jiff::Timestamp;
use ringfence_model::Actor;
use ringfence_store::{AuditFilter, AuditRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NotSeen, Page, Views, schema};

/// A page of the audit log, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRows {
    /// The rows of the page.
    pub rows: Vec<AuditRowView>,
    /// The cursor of the next page, which is older, if there is one.
    pub next: Option<String>,
}

/// A row of the audit log. Texts about people stay in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditRow")]
pub struct AuditRowView {
    /// Counts up, with gaps.
    pub id: i64,
    /// When, by the clock of the node that did it.
    #[schemars(schema_with = "schema::time")]
    pub at: Timestamp,
    /// Who did it.
    pub actor: ActorView,
    /// What was done, as `thing.verb`: `breaker.trip`.
    pub action: String,
    /// To what: `account AC…`.
    pub target: String,
    /// What else there is to know; each action has its own.
    #[schemars(schema_with = "object")]
    pub detail: serde_json::Value,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Actor")]
pub struct ActorView {
    /// `token`, `command-line`, `job`, `twilio`, `person` or `application`.
    pub kind: String,
    /// The token, the system's user, the job, the account whose key signed it, or the id of the person or the application.
    pub name: String,
}

impl Views<'_> {
    /// A page of the log; of one target (`account AC…`, `breaker LIMIT of AC…`), if one is given.
    pub async fn audit(&self, target: Option<&str>, page: &Page) -> Result<AuditRows, NotSeen> {
        let before = read_cursor(page)?;
        let size = page.size.max(1);
        let rows = self.store.audit_rows(target, before, size.saturating_add(1)).await?;
        Ok(AuditRows::of(rows, size))
    }
}

impl Views<'_> {
    /// A page of the rows that the filter lets through.
    pub async fn search_audit(&self, filter: &AuditFilter, page: &Page) -> Result<AuditRows, NotSeen> {
        let before = read_cursor(page)?;
        let size = page.size.max(1);
        let rows = self.store.search_audit(filter, before, size.saturating_add(1)).await?;
        Ok(AuditRows::of(rows, size))
    }
}

impl AuditRows {
    /// `rows` has one more than a page holds, where there are more.
    fn of(mut rows: Vec<AuditRow>, size: usize) -> Self {
        let has_more = rows.len() > size;
        rows.truncate(size);
        let next = rows.last().filter(|_| has_more).map(|row| row.id.to_string());
        Self { rows: rows.into_iter().map(AuditRowView::of).collect(), next }
    }
}

/// The cursor of a list whose rows count up.
pub(super) fn read_cursor(page: &Page) -> Result<Option<i64>, NotSeen> {
    page.cursor.as_deref().map(|cursor| cursor.parse().map_err(|_| NotSeen::Cursor)).transpose()
}

impl AuditRowView {
    pub(super) fn of(row: AuditRow) -> Self {
        Self {
            id: row.id,
            at: row.at,
            actor: ActorView::of(&row.actor),
            action: row.action,
            target: row.target,
            detail: row.detail,
        }
    }
}

impl ActorView {
    pub(super) fn of(actor: &Actor) -> Self {
        Self { kind: actor.kind().to_owned(), name: actor.name().to_owned() }
    }
}

fn object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object" })
}
