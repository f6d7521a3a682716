//! Which nodes are at work, which node does a job, and how a dead one is replaced.
//!
//! No clock of one machine is compared with another's, since they may be a minute apart while a dead node must be
//! replaced within seconds. A node gives signs of life by counting up a number; each of the others notes, by its own
//! clock, since when it has not changed. A node that is silent for too long is buried: its row, its leases and its claims go,
//! in one transaction. Should it live after all, it is told so at its next sign, and joins again under a new life.

use std::collections::HashMap;
use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use jiff::Timestamp;
use ringfence_model::Actor;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::sql::{Row, Transaction, values};
use crate::{Location, Result, Store, hex};

/// One run of a node, from joining to leaving or being buried. Leases and claims belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Life {
    node: String,
    life: String,
}

/// A node at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub node: String,
    /// Its present life.
    pub life: Life,
    /// What its limits are; nodes that differ must not both decide.
    pub limits_hash: String,
    /// The generation of rotated tokens that it has taken over.
    pub token_generation: i64,
    /// Signs of life since it joined.
    pub beats: i64,
    /// When it joined, by its own clock.
    pub joined_at: Timestamp,
    /// Its last sign of life, by its own clock.
    pub seen_at: Timestamp,
}

/// A job that this node, and no other, does for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The name of the job.
    pub name: String,
    /// Counts up with every change of hands: what is done outside under a lower number is late.
    pub fence: i64,
    holder: String,
}

/// A job that some node does for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldJob {
    /// The name of the job.
    pub name: String,
    holder: String,
}

impl HeldJob {
    /// Whether it is done in this life of a node.
    pub fn is_of(&self, life: &Life) -> bool {
        self.holder == life.to_string()
    }
}

/// Per life: its last number, and when this node first saw it.
pub(crate) type Silence = HashMap<String, (i64, Timestamp)>;

impl Life {
    /// The name of the node.
    pub fn node(&self) -> &str {
        &self.node
    }

    pub(crate) fn id(&self) -> &str {
        &self.life
    }
}

impl fmt::Display for Life {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}#{}", self.node, self.life)
    }
}

impl Store {
    /// What the clock of a database server says; nothing of a file, which has this machine's. Nothing is decided by it.
    pub async fn database_clock(&self) -> Result<Option<Timestamp>> {
        if matches!(self.location(), Location::Sqlite(_)) {
            return Ok(None);
        }
        let clock = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now";
        self.find(clock, values![]).await?.map(|row| row.time("now")).transpose()
    }

    /// Joins as the node of this name. What an earlier life of the same name still held is free from now on, so a name
    /// belongs to one program at a time.
    pub async fn join(&self, node: &str, limits_hash: &str, now: Timestamp) -> Result<Life> {
        let life = Life { node: node.to_owned(), life: hex::write(&crate::random::<8>()) };
        self.write((life.clone(), limits_hash.to_owned(), now), |(life, limits_hash, now), transaction| {
            Box::pin(async move {
                let by = Actor::job("join");
                let earlier = "SELECT * FROM nodes WHERE node = $1";
                if let Some(row) = transaction.find(earlier, values![&life.node]).await? {
                    free(transaction, &read(&row)?.life).await?;
                }
                let upsert = "INSERT INTO nodes (node, life, limits_hash, beats, joined_at, seen_at) \
                              VALUES ($1, $2, $3, 0, $4, $4) ON CONFLICT (node) DO UPDATE SET life = excluded.life, \
                              limits_hash = excluded.limits_hash, beats = 0, token_generation = 0, joined_at = excluded.joined_at, \
                              seen_at = excluded.seen_at";
                transaction.execute(upsert, values![&life.node, &life.life, limits_hash, *now]).await?;
                let audit = NewAudit::new("node.join", format!("node {}", life.node));
                audit::append(transaction, &by, &audit, *now).await?;
                Ok(())
            })
        })
        .await?;
        Ok(life)
    }

    /// Gives a sign of life. [`Buried`](Error::Buried) says that the others have given this node up: it stops what it does
    /// and joins again.
    pub async fn beat(&self, life: &Life, limits_hash: &str, now: Timestamp) -> Result<()> {
        self.write((life.clone(), limits_hash.to_owned(), now), |(life, limits_hash, now), transaction| {
            Box::pin(async move {
                let update = "UPDATE nodes SET beats = beats + 1, limits_hash = $3, seen_at = $4 \
                              WHERE node = $1 AND life = $2";
                let bound = values![&life.node, &life.life, limits_hash, *now];
                match transaction.execute(update, bound).await? {
                    0 => Err(Error::Buried { node: life.node.clone() }),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    /// Leaves: leases and claims are free at once.
    pub async fn leave(&self, life: &Life, now: Timestamp) -> Result<()> {
        self.write((life.clone(), now), |(life, now), transaction| {
            Box::pin(async move {
                let delete = "DELETE FROM nodes WHERE node = $1 AND life = $2";
                if transaction.execute(delete, values![&life.node, &life.life]).await? == 1 {
                    free(transaction, life).await?;
                    let audit = NewAudit::new("node.leave", format!("node {}", life.node));
                    audit::append(transaction, &Actor::job("leave"), &audit, *now).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// The nodes at work, by name.
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        self.fetch("SELECT * FROM nodes ORDER BY node", values![]).await?.iter().map(read).collect()
    }

    /// Looks at the signs of life of the others, and buries those that gave none for as long as `patience` by the
    /// clock of `now`, on this node. Every node calls this every second or two. Gives back whom it buried.
    pub async fn bury_silent(&self, me: &Life, patience: Duration, now: Timestamp) -> Result<Vec<Node>> {
        let mut buried = Vec::new();
        for node in self.silent(self.nodes().await?, me, patience, now) {
            let was_silent = self
                .write((node.clone(), now), |(node, now), transaction| {
                    Box::pin(async move {
                        // Only if it has still given no sign: it may have while we were looking.
                        let delete = "DELETE FROM nodes WHERE node = $1 AND life = $2 AND beats = $3";
                        let bound = values![&node.node, &node.life.life, node.beats];
                        if transaction.execute(delete, bound).await? == 0 {
                            return Ok(false);
                        }
                        free(transaction, &node.life).await?;
                        let audit = NewAudit::new("node.bury", format!("node {}", node.node));
                        audit::append(transaction, &Actor::job("bury"), &audit, *now).await?;
                        Ok(true)
                    })
                })
                .await?;
            if was_silent {
                buried.push(node);
            }
        }
        Ok(buried)
    }

    /// Notes what changed since the last look; gives back who has been silent for too long.
    fn silent(&self, nodes: Vec<Node>, me: &Life, patience: Duration, now: Timestamp) -> Vec<Node> {
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        silence.retain(|life, _| nodes.iter().any(|node| node.life.to_string() == *life));
        let mut silent = Vec::new();
        for node in nodes.into_iter().filter(|node| node.life != *me) {
            let (beats, since) = silence.entry(node.life.to_string()).or_insert((node.beats, now));
            if *beats != node.beats {
                (*beats, *since) = (node.beats, now);
            }
            if now.duration_since(*since).unsigned_abs() >= patience && now > *since {
                silent.push(node);
            }
        }
        silent
    }

    /// Takes a job that nobody does, or that this node does already; `None` if another node does it.
    pub async fn acquire(&self, me: &Life, job: &str) -> Result<Option<Lease>> {
        self.write((me.clone(), job.to_owned()), |(me, job), transaction| {
            Box::pin(async move {
                must_live(transaction, me).await?;
                let upsert = "INSERT INTO leases (name, holder, fence) VALUES ($1, $2, 1) \
                              ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, \
                              fence = leases.fence + CASE WHEN leases.holder = excluded.holder THEN 0 ELSE 1 END \
                              WHERE leases.holder IS NULL OR leases.holder = excluded.holder RETURNING fence";
                let holder = me.to_string();
                let row = transaction.find(upsert, values![job, &holder]).await?;
                row.map(|row| Ok(Lease { name: job.clone(), fence: row.int("fence")?, holder })).transpose()
            })
        })
        .await
    }

    /// The jobs that some node does, by name.
    pub async fn held_jobs(&self) -> Result<Vec<HeldJob>> {
        let sql = "SELECT name, holder FROM leases WHERE holder IS NOT NULL ORDER BY name";
        let read = |row: &Row| Ok(HeldJob { name: row.text("name")?, holder: row.text("holder")? });
        self.fetch(sql, values![]).await?.iter().map(read).collect()
    }

    /// Whether the lease still holds. Before an effect that must not happen twice, ask.
    pub async fn holds(&self, lease: &Lease) -> Result<bool> {
        let sql = "SELECT fence FROM leases WHERE name = $1 AND holder = $2 AND fence = $3";
        let bound = values![&lease.name, &lease.holder, lease.fence];
        Ok(self.find(sql, bound).await?.is_some())
    }

    /// Gives a job up, for any node to take.
    pub async fn release(&self, lease: &Lease) -> Result<()> {
        self.write(lease.clone(), |lease, transaction| {
            Box::pin(async move {
                let update = "UPDATE leases SET holder = NULL WHERE name = $1 AND holder = $2 AND fence = $3";
                transaction.execute(update, values![&lease.name, &lease.holder, lease.fence]).await?;
                Ok(())
            })
        })
        .await
    }
}

/// Refuses a node that was buried. Its row stays as it is until the transaction ends, so it cannot be buried between this
/// and what is done in its name.
pub(crate) async fn must_live(transaction: &mut Transaction, life: &Life) -> Result<()> {
    let touch = "UPDATE nodes SET beats = beats + 1 WHERE node = $1 AND life = $2";
    match transaction.execute(touch, values![&life.node, &life.life]).await? {
        0 => Err(Error::Buried { node: life.node.clone() }),
        _ => Ok(()),
    }
}

/// Frees what a life held.
async fn free(transaction: &mut Transaction, life: &Life) -> Result<()> {
    let held = life.to_string();
    transaction.execute("UPDATE leases SET holder = NULL WHERE holder = $1", values![&held]).await?;
    let claims = "UPDATE outbox SET claimed_by = NULL, claimed_until = NULL \
                  WHERE claimed_by = $1 AND ended_at IS NULL";
    transaction.execute(claims, values![&held]).await?;
    Ok(())
}

fn read(row: &Row) -> Result<Node> {
    let node = row.text("node")?;
    Ok(Node {
        life: Life { node: node.clone(), life: row.text("life")? },
        node,
        limits_hash: row.text("limits_hash")?,
        token_generation: row.int("token_generation")?,
        beats: row.int("beats")?,
        joined_at: row.time("joined_at")?,
        seen_at: row.time("seen_at")?,
    })
}
