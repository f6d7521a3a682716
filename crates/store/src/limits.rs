//! The operator's limits as they were last applied.
//!
//! The configuration says what is wanted; this says what the accounts were last brought to, so that a plan can be told as a
//! difference, and a node that was started with another configuration is noticed.

use jiff::Timestamp;
use ringfence_model::Actor;
use serde_json::json;

use crate::audit::{self, NewAudit};
use crate::breakers::{self, BreakerChange};
use crate::outbox::{self, NewEffect};
use crate::sql::{Row, values};
use crate::{Result, Store};

/// A limit to apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLimit {
    /// Its name in the configuration.
    pub name: String,
    /// What it says.
    pub definition: serde_json::Value,
    /// A hash of what it says, by which a change is noticed.
    pub hash: String,
    /// From when on it holds, if it is new or says something else.
    pub since: Timestamp,
}

/// A limit that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedLimit {
    /// Its name in the configuration.
    pub name: String,
    /// What it says.
    pub definition: serde_json::Value,
    /// A hash of what it says.
    pub hash: String,
    /// From when on it holds.
    pub applied_at: Timestamp,
    /// Since when it says what it says.
    pub changed_at: Timestamp,
}

/// What applying limits changed, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitsApplied {
    /// Limits that are new.
    pub added: Vec<String>,
    /// Limits that say something else now.
    pub changed: Vec<String>,
    /// Limits that are no longer there.
    pub removed: Vec<String>,
}

/// All limits, and what follows where some are taken out. All of it is written, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewLimits {
    /// The limits, all of them: others are removed.
    pub limits: Vec<NewLimit>,
    /// Breakers of limits that are removed.
    pub breakers: Vec<BreakerChange>,
    /// Whom to tell.
    pub effects: Vec<NewEffect>,
}

impl Store {
    /// Makes these the limits, all of them: others are removed.
    pub async fn apply_limits(
        &self,
        by: &Actor,
        limits: Vec<NewLimit>,
        now: Timestamp,
    ) -> Result<LimitsApplied> {
        self.change_limits(by, NewLimits { limits, ..NewLimits::default() }, now).await
    }

    /// Makes these the limits, with what follows for breakers of those that are removed. A
    /// [conflict](crate::Error::Conflict) says that one of these has another version than was read.
    pub async fn change_limits(
        &self,
        by: &Actor,
        mut new: NewLimits,
        now: Timestamp,
    ) -> Result<LimitsApplied> {
        new.breakers.sort_by(|one, other| (&one.limit, &one.subject).cmp(&(&other.limit, &other.subject)));
        self.write((by.clone(), new, now), |(by, new, now), transaction| {
            Box::pin(async move {
                let NewLimits { limits, breakers: changes, effects } = new;
                let mut outcome = LimitsApplied::default();
                let mut known = std::collections::BTreeMap::new();
                for row in transaction.fetch("SELECT * FROM limits", values![]).await? {
                    let limit = read(&row)?;
                    known.insert(limit.name, limit.hash);
                }
                for limit in limits {
                    let action = match known.remove(&limit.name) {
                        Some(hash) if hash == limit.hash => continue,
                        Some(_) => (&mut outcome.changed, "limit.change"),
                        None => (&mut outcome.added, "limit.add"),
                    };
                    let upsert = "INSERT INTO limits (name, definition, hash, applied_at, changed_at) \
                                  VALUES ($1, $2, $3, $4, $5) \
                                  ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, \
                                  hash = excluded.hash, applied_at = excluded.applied_at, \
                                  changed_at = excluded.changed_at";
                    let definition = limit.definition.to_string();
                    let bound = values![&limit.name, definition, &limit.hash, limit.since, *now];
                    transaction.execute(upsert, bound).await?;
                    // Its sums may be of other accounts, or of the time before it was taken away: the egress waits until
                    // Twilio was asked again.
                    let unread = "UPDATE ledger SET read_back = NULL WHERE limit_name = $1";
                    transaction.execute(unread, values![&limit.name]).await?;
                    let (names, action) = action;
                    names.push(limit.name.clone());
                    let audit = NewAudit::new(action, format!("limit {}", limit.name))
                        .with(json!({ "definition": limit.definition }));
                    audit::append(transaction, by, &audit, *now).await?;
                }
                for name in known.into_keys() {
                    transaction.execute("DELETE FROM limits WHERE name = $1", values![&name]).await?;
                    let audit = NewAudit::new("limit.remove", format!("limit {name}"));
                    audit::append(transaction, by, &audit, *now).await?;
                    outcome.removed.push(name);
                }
                for change in changes {
                    breakers::write_change(transaction, by, change, *now).await?;
                }
                for effect in effects {
                    outbox::add(transaction, by, effect, *now).await?;
                }
                Ok(outcome)
            })
        })
        .await
    }

    /// The limits that were applied, by name.
    pub async fn applied_limits(&self) -> Result<Vec<AppliedLimit>> {
        self.fetch("SELECT * FROM limits ORDER BY name", values![]).await?.iter().map(read).collect()
    }
}

fn read(row: &Row) -> Result<AppliedLimit> {
    Ok(AppliedLimit {
        name: row.text("name")?,
        definition: row.json("definition")?,
        hash: row.text("hash")?,
        applied_at: row.time("applied_at")?,
        changed_at: row.time("changed_at")?,
    })
}
