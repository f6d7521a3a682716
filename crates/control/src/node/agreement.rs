//! Which limits hold: those that were applied last, and every node at work has the same.
//!
//! Two nodes with different limits would undo each other's decisions. So the limits that were applied last are in the store, and a
//! node whose own differ does nothing until it is the only one, or until nobody at work has the applied ones any more
//! (a new configuration has reached every node). `limits apply` makes the limits of a file the applied ones at once; where
//! no node has that file, those at work hold what it says until they are reloaded, so that no limit is ever held by nobody.

use std::fmt::Write as _;

use jiff::Timestamp;
use ringfence_breaker::Limit;
use ringfence_model::Actor;
use ringfence_store::{self as store, LimitsApplied, NewLimit, NewLimits, Node, Store};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::left::{self, Left};
use crate::wanted::AppliedLimit;

/// So many accounts that are left are logged each by itself.
const LOGGED: usize = 20;

/// So often somebody else may move a breaker that is ended meanwhile.
const TRIES: usize = 20;

/// The operator's limits with what tells them from others.
#[derive(Debug, Clone)]
pub struct Limits {
    limits: Vec<Limit>,
    hash: String,
}

/// How a node's limits stand to those that were applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    /// They are the same; since when each holds.
    Agreed(Vec<AppliedLimit>),
    /// Nobody at work holds to what was applied: these may be applied.
    Free,
    /// These nodes are at work with the applied limits, which are others.
    Differs(Vec<String>),
}

impl Limits {
    /// The limits of a configuration.
    pub fn new(limits: Vec<Limit>) -> Self {
        let each = limits.iter().map(|limit| (limit.name.as_str(), hash_of(limit)));
        let hash = hash_of_all(each.collect());
        Self { limits, hash }
    }

    /// The same for the same limits, in whatever order.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The limits, in the order of the configuration.
    pub fn as_slice(&self) -> &[Limit] {
        &self.limits
    }

    /// Compares these limits with those that were applied. `me` is left out of the nodes at work.
    pub async fn agreement(&self, store: &Store, me: Option<&str>) -> store::Result<Agreement> {
        let applied = store.applied_limits().await?;
        let hash =
            hash_of_all(applied.iter().map(|limit| (limit.name.as_str(), limit.hash.clone())).collect());
        if hash == self.hash {
            return Ok(Agreement::Agreed(self.since(&applied)));
        }
        let holds = |node: &Node| node.limits_hash == hash && Some(node.node.as_str()) != me;
        let others: Vec<_> = store.nodes().await?.into_iter().filter(holds).map(|node| node.node).collect();
        Ok(if others.is_empty() { Agreement::Free } else { Agreement::Differs(others) })
    }

    /// Makes these the limits that hold. Nodes that have others stop deciding, if any at work has these; else they hold these.
    pub async fn apply(&self, store: &Store, by: &Actor, now: Timestamp) -> store::Result<LimitsApplied> {
        let mut tries = 0;
        loop {
            let applied = store.applied_limits().await?;
            let (would, left) = self.would_leave(store, &applied, now).await?;
            let new = self.limits.iter().map(|limit| NewLimit {
                name: limit.name.clone(),
                definition: json!(limit),
                hash: hash_of(limit),
                since: would_hold_since(limit, &applied, now),
            });
            let new = NewLimits {
                limits: new.collect(),
                breakers: left::ended(store, &applied, &would, now).await?,
                effects: left::notices(&left, by, now),
            };
            tries += 1;
            match store.change_limits(by, new, now).await {
                Err(error) if error.is_conflict() && tries < TRIES => {}
                Err(error) => return Err(error),
                Ok(changes) => {
                    for it in left.iter().take(LOGGED) {
                        tracing::warn!(
                            account = %it.account.sid,
                            limits = ?it.limits,
                            stays = ?it.actions,
                            "a limit was taken out that holds this account: it stays so until `ringfence account resume`"
                        );
                    }
                    if left.len() > LOGGED {
                        let more = left.len() - LOGGED;
                        tracing::warn!(more, "and more accounts stay so: `ringfence status` has them");
                    }
                    return Ok(changes);
                }
            }
        }
    }

    /// The accounts that [`Self::apply`] would leave as limits have made them that are not among these. It changes nothing.
    pub async fn leaves(&self, store: &Store, now: Timestamp) -> store::Result<Vec<Left>> {
        let applied = store.applied_limits().await?;
        Ok(self.would_leave(store, &applied, now).await?.1)
    }

    async fn would_leave(
        &self,
        store: &Store,
        applied: &[store::AppliedLimit],
        now: Timestamp,
    ) -> store::Result<(Vec<AppliedLimit>, Vec<Left>)> {
        let would = self
            .limits
            .iter()
            .map(|limit| AppliedLimit { since: would_hold_since(limit, applied, now), limit: limit.clone() });
        let would: Vec<_> = would.collect();
        let left = left::left(store, applied, &would).await?;
        Ok((would, left))
    }

    /// What [`Self::apply`] would change, and the limits as they would hold then. It changes nothing.
    pub async fn preview(
        &self,
        store: &Store,
        now: Timestamp,
    ) -> store::Result<(LimitsApplied, Vec<AppliedLimit>)> {
        let applied = store.applied_limits().await?;
        let mut changes = LimitsApplied::default();
        let mut limits = Vec::new();
        for limit in &self.limits {
            match applied.iter().find(|it| it.name == limit.name) {
                None => changes.added.push(limit.name.clone()),
                Some(before) if before.hash != hash_of(limit) => changes.changed.push(limit.name.clone()),
                Some(_) => {}
            }
            limits.push(AppliedLimit { since: would_hold_since(limit, &applied, now), limit: limit.clone() });
        }
        let is_gone = |name: &String| !self.limits.iter().any(|limit| limit.name == *name);
        changes.removed = applied.into_iter().map(|it| it.name).filter(is_gone).collect();
        Ok((changes, limits))
    }

    /// The limits that hold, whatever a configuration says; by name. None where another version wrote what this one cannot
    /// read.
    pub async fn applied(store: &Store) -> store::Result<Option<Vec<AppliedLimit>>> {
        let read = |it: store::AppliedLimit| {
            let limit = serde_json::from_value(it.definition).ok()?;
            Some(AppliedLimit { since: it.applied_at, limit })
        };
        Ok(store.applied_limits().await?.into_iter().map(read).collect())
    }

    fn since(&self, applied: &[store::AppliedLimit]) -> Vec<AppliedLimit> {
        let since = |limit: &Limit| applied.iter().find(|it| it.name == limit.name).map(|it| it.applied_at);
        let with = |limit: &Limit| Some(AppliedLimit { since: since(limit)?, limit: limit.clone() });
        self.limits.iter().filter_map(with).collect()
    }
}

/// From when on a limit holds if it is applied now. One that was changed goes on counting the subaccounts that it counted as
/// new.
fn would_hold_since(limit: &Limit, applied: &[store::AppliedLimit], now: Timestamp) -> Timestamp {
    applied
        .iter()
        .find(|it| it.name == limit.name)
        .filter(|before| before.definition.get("scope") == json!(limit).get("scope"))
        .map_or(now, |before| before.applied_at)
}

fn hash_of(limit: &Limit) -> String {
    hex(&Sha256::digest(json!(limit).to_string()))
}

fn hash_of_all(each: Vec<(&str, String)>) -> String {
    store::limits_fingerprint(each.into_iter().map(|(name, hash)| (name.to_owned(), hash)).collect())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a text cannot fail.
        let _written = write!(text, "{byte:02x}");
    }
    text
}
