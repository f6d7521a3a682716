//! Rotations of auth tokens: how far each one is, and which tokens count in the place of configured ones.
//!
//! A rotation is a row that holds what its step knows, and no more. Whoever carries it on moves it from the step that they
//! read to the next one; of two that do so at once, one is told that it was moved already. Each step that changes what nodes
//! ask or verify with has a new *generation*, a number that counts up for all accounts together. A node says which generation
//! it has taken over, so that whoever goes on knows what every node does.
//!
//! Of a token that was replaced no more is kept than a keyed hash: by it a configuration that still has it is told.

use jiff::Timestamp;
use ringfence_model::{Actor, Secret, Sid};
use serde_json::json;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::factor_keys::FactorKeys;
use crate::nodes::Life;
use crate::seal::{Keyring, Place};
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store};

/// So many replaced tokens of an account are known again in a configuration: those of nodes that were not updated for long.
const REPLACED_MAX: usize = 16;

/// A rotation that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Whose token it is.
    pub account: Sid,
    /// A node that has taken over this generation does what the step wants.
    pub generation: i64,
    /// How far it is.
    pub step: RotationStep,
    /// The token that is replaced.
    pub old: Secret,
    /// When it began.
    pub begun_at: Timestamp,
    /// Since when it is in this step.
    pub since: Timestamp,
}

/// How far a rotation is, with what is known then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotationStep {
    /// A second token was asked for. Whether Twilio has made one is not known, unless it gave one out.
    Asked {
        /// The second token, which Twilio did not take yet when it was tried.
        new: Option<Secret>,
    },
    /// It is there. Nodes verify with both, and ask with the new one, which Twilio takes from its making on.
    Made {
        /// The second token.
        new: Secret,
    },
    /// Its promotion was asked for. Whether Twilio has done it is not known.
    Promoting {
        /// The second token, or the only one.
        new: Secret,
    },
    /// The new token is the only one at Twilio. The old one is verified with until a request was signed with the new one.
    Promoted {
        /// The token.
        new: Secret,
        /// What gates saw since.
        seen: SeenSignatures,
    },
    /// It is taken back: nodes ask with the old token again, then the second one is deleted.
    Undoing {
        /// The second token.
        new: Secret,
    },
}

/// With which token requests were signed that a gate let through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeenSignatures {
    /// The last one with the new token.
    pub new: Option<Timestamp>,
    /// The last one with the old token.
    pub old: Option<Timestamp>,
}

/// How a rotation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationEnd {
    /// A gate saw a request that was signed with the new token.
    Confirmed,
    /// An operator did not wait for one.
    Unconfirmed,
    /// It was taken back.
    Undone,
    /// It was taken back, and a second token that may be there is left: nobody knows whether it is ours.
    SecondLeft,
    /// It was given up: somebody else has replaced both of its tokens.
    Superseded,
}

/// A token that counts although a configuration may say another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotatedToken {
    /// Whose it is.
    pub account: Sid,
    /// The generation that brought it, or that ended its rotation.
    pub generation: i64,
    /// The token.
    pub token: Secret,
    /// The [tags](Store::token_tag) of those that it replaced: a configuration that has one of them is out of date.
    pub replaced: Vec<String>,
    /// When it became the only one at Twilio.
    pub promoted_at: Timestamp,
    /// When a request that it signed had been seen; nothing where nobody waited for one, or not yet.
    pub confirmed_at: Option<Timestamp>,
}

impl RotationStep {
    /// Its name, which audit rows and scripts rely on.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Asked { .. } => ASKED,
            Self::Made { .. } => MADE,
            Self::Promoting { .. } => PROMOTING,
            Self::Promoted { .. } => PROMOTED,
            Self::Undoing { .. } => UNDOING,
        }
    }

    /// The new token, once there is one.
    pub const fn new_token(&self) -> Option<&Secret> {
        match self {
            Self::Asked { new } => new.as_ref(),
            Self::Made { new }
            | Self::Promoting { new }
            | Self::Promoted { new, .. }
            | Self::Undoing { new } => Some(new),
        }
    }
}

impl Store {
    /// What counts up with every change of what nodes ask or verify with because of a rotation.
    pub async fn token_generation(&self) -> Result<i64> {
        let row = self.find("SELECT generation FROM token_generation", values![]).await?;
        row.ok_or_else(|| Error::corrupt("token_generation", "it has no row"))?.int("generation")
    }

    /// What a token is known by when it is gone: a keyed hash.
    pub async fn token_tag(&self, token: &Secret) -> Result<String> {
        Ok(tag(&*self.factor_keys().await?, token))
    }

    /// All rotations that are under way, by account.
    pub async fn rotations(&self) -> Result<Vec<Rotation>> {
        let rows = self.fetch("SELECT * FROM token_rotations ORDER BY account", values![]).await?;
        rows.iter().map(|row| read(&self.keys, row)).collect()
    }

    /// The rotation of an account, if one is under way.
    pub async fn rotation(&self, account: Sid) -> Result<Option<Rotation>> {
        let row = self.find("SELECT * FROM token_rotations WHERE account = $1", values![account]).await?;
        row.map(|row| read(&self.keys, &row)).transpose()
    }

    /// The tokens that rotations brought, by account.
    pub async fn rotated_tokens(&self) -> Result<Vec<RotatedToken>> {
        let rows = self.fetch("SELECT * FROM rotated_tokens ORDER BY account", values![]).await?;
        rows.iter().map(|row| read_rotated(&self.keys, row)).collect()
    }

    /// Begins a rotation: a second token is about to be asked for. None where one of this account is under way.
    pub async fn begin_rotation(
        &self,
        by: &Actor,
        account: Sid,
        old: &Secret,
        reason: &str,
        now: Timestamp,
    ) -> Result<Option<Rotation>> {
        let data = (by.clone(), account, old.clone(), reason.to_owned(), now);
        self.write(data, |(by, account, old, reason, now), transaction| {
            Box::pin(async move {
                // It is of no consequence for nodes; the number is what two that carry it on are told apart by.
                let generation = next_generation(transaction).await?;
                let sid = account.to_string();
                let sealed = transaction.keys.seal(place("old_token", &sid), old.expose().as_bytes());
                let insert = "INSERT INTO token_rotations (account, generation, step, old_token, begun_at, since) \
                              VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (account) DO NOTHING RETURNING *";
                let bound = values![*account, generation, ASKED, sealed, *now];
                let Some(row) = transaction.find(insert, bound).await? else { return Ok(None) };
                note(transaction, by, "token.rotate", *account, json!({ "reason": reason }), *now).await?;
                read(&transaction.keys, &row).map(Some)
            })
        })
        .await
    }

    /// Moves a rotation to another step. None where somebody else has moved or ended it since it was read.
    pub async fn move_rotation(
        &self,
        by: &Actor,
        from: &Rotation,
        step: RotationStep,
        now: Timestamp,
    ) -> Result<Option<Rotation>> {
        self.write((by.clone(), from.clone(), step, now), |(by, from, step, now), transaction| {
            Box::pin(async move {
                let row = put_step(transaction, from, step, *now).await?;
                let Some(row) = row else { return Ok(None) };
                let action = match step {
                    RotationStep::Asked { .. } => "token.ask",
                    RotationStep::Made { .. } => "token.made",
                    RotationStep::Promoting { .. } => "token.promote",
                    RotationStep::Promoted { .. } => "token.promoted",
                    RotationStep::Undoing { .. } => "token.undo",
                };
                note(transaction, by, action, from.account, json!({ "from": from.step.name() }), *now)
                    .await?;
                read(&transaction.keys, &row).map(Some)
            })
        })
        .await
    }

    /// The new token is the only one at Twilio, and counts from now on in the place of those that it `replaced`. None where
    /// somebody else has moved the rotation since it was read.
    pub async fn promoted_rotation(
        &self,
        by: &Actor,
        from: &Rotation,
        new: &Secret,
        replaced: Vec<String>,
        now: Timestamp,
    ) -> Result<Option<Rotation>> {
        let data = (by.clone(), from.clone(), new.clone(), replaced, now);
        self.write(data, |(by, from, new, replaced, now), transaction| {
            Box::pin(async move {
                let step = RotationStep::Promoted { new: new.clone(), seen: SeenSignatures::default() };
                let Some(row) = put_step(transaction, from, &step, *now).await? else { return Ok(None) };
                let moved = read(&transaction.keys, &row)?;
                let before = rotated_token(transaction, from.account).await?;
                let mut all = before.map(|it| it.replaced).unwrap_or_default();
                all.retain(|tag| !replaced.contains(tag));
                all.extend(replaced.iter().cloned());
                let all = all.split_off(all.len().saturating_sub(REPLACED_MAX));
                let sid = from.account.to_string();
                let sealed =
                    transaction.keys.seal(rotated_place(&sid), new.expose().as_bytes());
                let upsert = "INSERT INTO rotated_tokens (account, generation, token, replaced, promoted_at) \
                              VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account) DO UPDATE SET \
                              generation = excluded.generation, token = excluded.token, \
                              replaced = excluded.replaced, promoted_at = excluded.promoted_at, confirmed_at = NULL";
                let bound = values![from.account, moved.generation, sealed, json!(all).to_string(), *now];
                transaction.execute(upsert, bound).await?;
                // What Twilio's list said of it is as old as the list.
                let place = Place { table: "accounts", column: "auth_token", row: &sid };
                let sealed = transaction.keys.seal(place, new.expose().as_bytes());
                let update = "UPDATE accounts SET auth_token = $2 WHERE sid = $1";
                transaction.execute(update, values![from.account, sealed]).await?;
                note(transaction, by, "token.promoted", from.account, json!({ "from": from.step.name() }), *now)
                    .await?;
                Ok(Some(moved))
            })
        })
        .await
    }

    /// Ends a rotation; its old token, or the second one that was taken back, is forgotten. False where somebody else has
    /// moved it since it was read.
    pub async fn end_rotation(
        &self,
        by: &Actor,
        from: &Rotation,
        end: RotationEnd,
        now: Timestamp,
    ) -> Result<bool> {
        self.write((by.clone(), from.clone(), end, now), |(by, from, end, now), transaction| {
            Box::pin(async move {
                let delete = "DELETE FROM token_rotations WHERE account = $1 AND generation = $2";
                if transaction.execute(delete, values![from.account, from.generation]).await? == 0 {
                    return Ok(false);
                }
                let generation = next_generation(transaction).await?;
                let (action, confirmed) = match end {
                    RotationEnd::Confirmed => ("token.confirmed", Some(*now)),
                    RotationEnd::Unconfirmed => ("token.unconfirmed", None),
                    RotationEnd::Undone => ("token.undone", None),
                    RotationEnd::SecondLeft => ("token.second-left", None),
                    RotationEnd::Superseded => ("token.superseded", None),
                };
                if matches!(from.step, RotationStep::Promoted { .. }) {
                    let update =
                        "UPDATE rotated_tokens SET generation = $2, confirmed_at = $3 WHERE account = $1";
                    transaction.execute(update, values![from.account, generation, confirmed]).await?;
                }
                note(transaction, by, action, from.account, json!({ "from": from.step.name() }), *now)
                    .await?;
                Ok(true)
            })
        })
        .await
    }

    /// Notes with which token requests were signed that a gate let through; earlier ones change nothing.
    pub async fn see_signatures(&self, account: Sid, seen: SeenSignatures) -> Result<()> {
        self.write((account, seen), |(account, seen), transaction| {
            Box::pin(async move {
                let update = "UPDATE token_rotations SET \
                              seen_new_at = CASE WHEN seen_new_at > $2 THEN seen_new_at ELSE coalesce($2, seen_new_at) END, \
                              seen_old_at = CASE WHEN seen_old_at > $3 THEN seen_old_at ELSE coalesce($3, seen_old_at) END \
                              WHERE account = $1 AND step = $4";
                transaction.execute(update, values![*account, seen.new, seen.old, PROMOTED]).await?;
                Ok(())
            })
        })
        .await
    }

    /// A node has taken over this generation: its gate, its egress and its own requests. What a life that was buried says
    /// changes nothing.
    pub async fn take_over_tokens(&self, life: &Life, generation: i64) -> Result<()> {
        self.write((life.clone(), generation), |(life, generation), transaction| {
            Box::pin(async move {
                let update = "UPDATE nodes SET token_generation = $3 WHERE node = $1 AND life = $2";
                transaction.execute(update, values![life.node(), life.id(), *generation]).await?;
                Ok(())
            })
        })
        .await
    }
}

/// Forgets what rotations brought to accounts that are gone for long, and their SharedKeys, in the transaction that forgets these.
pub(crate) async fn forget(transaction: &mut Transaction, before: Timestamp, batch: usize) -> Result<()> {
    for delete in [
        "DELETE FROM token_rotations WHERE account IN (SELECT sid FROM accounts \
         WHERE gone_at < $1 ORDER BY gone_at LIMIT $2)",
        "DELETE FROM rotated_tokens WHERE account IN (SELECT sid FROM accounts \
         WHERE gone_at < $1 ORDER BY gone_at LIMIT $2)",
        "DELETE FROM shared_keys WHERE account IN (SELECT sid FROM accounts \
         WHERE gone_at < $1 ORDER BY gone_at LIMIT $2)",
    ] {
        transaction.execute(delete, values![before, batch]).await?;
    }
    Ok(())
}

/// The tag of a token.
pub(crate) fn tag(keys: &FactorKeys, token: &Secret) -> String {
    keys.tags.tag("auth-token", token.expose())
}

/// What rotations brought to an account, as a transaction sees it.
pub(crate) async fn rotated_token(
    transaction: &mut Transaction,
    account: Sid,
) -> Result<Option<RotatedToken>> {
    let select = "SELECT * FROM rotated_tokens WHERE account = $1";
    let row = transaction.find(select, values![account]).await?;
    row.map(|row| read_rotated(&transaction.keys, &row)).transpose()
}

/// What nodes verify or ask with is different from now on.
pub(crate) async fn next_generation(transaction: &mut Transaction) -> Result<i64> {
    let update = "UPDATE token_generation SET generation = generation + 1 WHERE one = 1 RETURNING generation";
    let row = transaction.find(update, values![]).await?;
    row.ok_or_else(|| Error::corrupt("token_generation", "it has no row"))?.int("generation")
}

/// Writes a step, if the rotation is still the one that was read. What was seen belongs to the step before.
async fn put_step(
    transaction: &mut Transaction,
    from: &Rotation,
    step: &RotationStep,
    now: Timestamp,
) -> Result<Option<Row>> {
    let generation = next_generation(transaction).await?;
    let sid = from.account.to_string();
    let new = step.new_token();
    let new = new.map(|new| transaction.keys.seal(place("new_token", &sid), new.expose().as_bytes()));
    let update = "UPDATE token_rotations SET generation = $3, step = $4, new_token = $5, since = $6, \
                  seen_new_at = NULL, seen_old_at = NULL WHERE account = $1 AND generation = $2 RETURNING *";
    let bound = values![from.account, from.generation, generation, step.name(), new, now];
    transaction.find(update, bound).await
}

/// Writes into the audit log what was done with a token or a key of an account.
pub(crate) async fn note(
    transaction: &mut Transaction,
    by: &Actor,
    action: &str,
    account: Sid,
    detail: serde_json::Value,
    now: Timestamp,
) -> Result<()> {
    let audit = NewAudit::new(action, format!("account {account}")).with(detail);
    audit::append(transaction, by, &audit, now).await?;
    Ok(())
}

const ASKED: &str = "asked";
const MADE: &str = "made";
const PROMOTING: &str = "promoting";
const PROMOTED: &str = "promoted";
const UNDOING: &str = "undoing";

fn place<'a>(column: &'a str, sid: &'a str) -> Place<'a> {
    Place { table: "token_rotations", column, row: sid }
}

fn rotated_place(sid: &str) -> Place<'_> {
    Place { table: "rotated_tokens", column: "token", row: sid }
}

fn read(keys: &Keyring, row: &Row) -> Result<Rotation> {
    let sid = row.text("account")?;
    let open = |column, sealed: &[u8]| -> Result<Secret> {
        Ok(Secret::new(keys.open_text(place(column, &sid), sealed)?.as_str()))
    };
    let corrupt = |why: &str| Error::corrupt(format!("token_rotations.step of {sid}"), why);
    let new = || open("new_token", &row.maybe_bytes("new_token")?.ok_or_else(|| corrupt("it has no token"))?);
    let step = match row.text("step")?.as_str() {
        ASKED => {
            let new = row.maybe_bytes("new_token")?;
            RotationStep::Asked { new: new.map(|sealed| open("new_token", &sealed)).transpose()? }
        }
        MADE => RotationStep::Made { new: new()? },
        PROMOTING => RotationStep::Promoting { new: new()? },
        PROMOTED => RotationStep::Promoted {
            new: new()?,
            seen: SeenSignatures { new: row.maybe_time("seen_new_at")?, old: row.maybe_time("seen_old_at")? },
        },
        UNDOING => RotationStep::Undoing { new: new()? },
        _ => return Err(corrupt("it is none of the words")),
    };
    Ok(Rotation {
        account: row.sid("account")?,
        generation: row.int("generation")?,
        step,
        old: open("old_token", &row.bytes("old_token")?)?,
        begun_at: row.time("begun_at")?,
        since: row.time("since")?,
    })
}

fn read_rotated(keys: &Keyring, row: &Row) -> Result<RotatedToken> {
    let sid = row.text("account")?;
    Ok(RotatedToken {
        account: row.sid("account")?,
        generation: row.int("generation")?,
        token: Secret::new(keys.open_text(rotated_place(&sid), &row.bytes("token")?)?.as_str()),
        replaced: row.json("replaced")?,
        promoted_at: row.time("promoted_at")?,
        confirmed_at: row.maybe_time("confirmed_at")?,
    })
}
