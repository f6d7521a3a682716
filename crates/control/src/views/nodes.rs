//! The nodes at work.

use std::collections::BTreeSet;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Views, schema};

/// So much of a hash tells limits apart, for people.
const HASH_SHOWN: usize = 12;

/// The nodes at work, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Nodes {
    /// Whether all of them have the same limits; those that differ do nothing.
    pub limits_agree: bool,
    /// Each of them.
    pub nodes: Vec<NodeView>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Node")]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// Since when it is at work, by its own clock.
    #[schemars(schema_with = "schema::time")]
    pub since: Timestamp,
    /// Its last sign of life, by its own clock.
    #[schemars(schema_with = "schema::time")]
    pub seen_at: Timestamp,
    /// The beginning of the hash of its limits: the same on nodes that have the same.
    pub limits_hash: String,
    /// The jobs that it does, and no other node meanwhile: `accounts`, `usage`, `triggers`, `windows`, `seal`, `forget`.
    pub jobs: Vec<String>,
}

impl Views<'_> {
    /// The nodes at work.
    pub async fn nodes(&self) -> ringfence_store::Result<Nodes> {
        let (nodes, jobs) = (self.store.nodes().await?, self.store.held_jobs().await?);
        let hashes: BTreeSet<_> = nodes.iter().map(|node| &node.limits_hash).collect();
        Ok(Nodes {
            limits_agree: hashes.len() <= 1,
            nodes: nodes
                .iter()
                .map(|node| NodeView {
                    name: node.node.clone(),
                    since: node.joined_at,
                    seen_at: node.seen_at,
                    limits_hash: node.limits_hash.chars().take(HASH_SHOWN).collect(),
                    jobs: jobs
                        .iter()
                        .filter(|job| job.is_of(&node.life))
                        .map(|job| job.name.clone())
                        .collect(),
                })
                .collect(),
        })
    }
}
