//! What must happen outside: written with the decision, performed later, at least once, by one node at a time.
//!
//! An effect has a key that makes it the same effect again, so a decision that is made twice acts once. Who performs it
//! claims it first; a claim belongs to the life of a node and is free again when that node is [buried](Store::bury_silent)
//! or its worker lets it run out. What was claimed by somebody else meanwhile cannot be ended by whoever lost it.
//! Payloads and errors are sealed, since they hold addresses and what outsiders answered.

use std::borrow::Borrow;

use jiff::Timestamp;
use ringfence_model::{Actor, Sid};
use serde_json::json;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::many::{PerDialect, insert};
use crate::nodes::{Life, must_live};
use crate::seal::{Keyring, Place};
use crate::sql::{Row, Transaction, storable, values};
use crate::{Result, Store, hex};

/// Something that must happen outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEffect {
    /// What performs it: `suspend`, `mail`. Each kind waits only for its own, so a mail server that hangs stops no
    /// suspension.
    pub kind: String,
    /// What makes it the same effect again. One that is about a single account has the form `kind/AC…/…`, by which
    /// [`Store::waiting_of_account`] finds it.
    pub key: String,
    /// What its performer needs to know.
    pub payload: serde_json::Value,
    /// Not before this time; `None` is at once, whatever the clocks of the nodes say.
    pub not_before: Option<Timestamp>,
}

/// Whether something was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is new.
    New,
    /// One with this key is there already, waiting or ended, and nothing was written.
    Before,
}

/// An effect as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Its number.
    pub id: i64,
    /// What performs it.
    pub kind: String,
    /// What makes it the same effect again.
    pub key: String,
    /// What its performer needs to know.
    pub payload: serde_json::Value,
    /// When it was decided.
    pub created_at: Timestamp,
    /// When it may be tried next; `None` is at once.
    pub not_before: Option<Timestamp>,
    /// How often somebody set out to perform it.
    pub attempts: u64,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// The life of the node that is at it.
    pub claimed_by: Option<String>,
    /// When and how it ended; `None` while it waits.
    pub end: Option<(Timestamp, EffectEnd)>,
}

/// How an effect ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectEnd {
    /// It happened.
    Done,
    /// It was given up.
    GivenUp,
}

/// The right to perform an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What to perform.
    pub effect: Effect,
    holder: String,
    number: i64,
}

/// How much has yet to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unfinished {
    /// What waits or is being performed, what failed before among it.
    pub waiting: u64,
    /// What waits and has failed before.
    pub failing: u64,
}

impl Store {
    /// Adds an effect by itself. Those that follow from a decision are a part of its [step](crate::Step).
    pub async fn add_effect(&self, by: &Actor, effect: NewEffect, now: Timestamp) -> Result<Added> {
        self.write((by.clone(), effect, now), |(by, effect, now), transaction| {
            Box::pin(add(transaction, by, effect, *now))
        })
        .await
    }

    /// Claims effects of a kind that are due, the longest due first, until `until` by this node's clock: a claim that its
    /// own node has let run out can be taken again by that node.
    pub async fn claim_effects(
        &self,
        me: &Life,
        kind: &str,
        limit: usize,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Claim>> {
        let data = (me.clone(), kind.to_owned(), limit, until, now);
        let rows = self
            .write(data, |(me, kind, limit, until, now), transaction| {
                Box::pin(async move {
                    must_live(transaction, me).await?;
                    // The condition stands twice: where another node was quicker, PostgreSQL looks again at the outer one.
                    let claim = "UPDATE outbox SET claimed_by = $1, claimed_until = $2, claim = claim + 1, \
                                 attempts = attempts + 1 WHERE id IN (SELECT id FROM outbox WHERE kind = $3 \
                                 AND ended_at IS NULL AND not_before <= $4 AND (claimed_by IS NULL \
                                 OR (claimed_by = $1 AND claimed_until <= $4)) ORDER BY not_before, id LIMIT $5) \
                                 AND ended_at IS NULL AND (claimed_by IS NULL OR (claimed_by = $1 \
                                 AND claimed_until <= $4)) RETURNING *";
                    let bound = values![me.to_string(), *until, kind, *now, *limit];
                    let rows = transaction.fetch(claim, bound).await?;
                    rows.iter()
                        .map(|row| {
                            let effect = read(&transaction.keys, row)?;
                            Ok(Claim { effect, holder: me.to_string(), number: row.int("claim")? })
                        })
                        .collect::<Result<Vec<_>>>()
                })
            })
            .await?;
        let mut claims = rows;
        claims.sort_by_key(|claim| (claim.effect.not_before, claim.effect.id));
        Ok(claims)
    }

    /// Lets go what this life has claimed of a kind and not ended: for whoever knows that nobody is at it, such as after a
    /// store that was away, when even the answer to a claim may be lost. How many there were.
    pub async fn release_claims(&self, me: &Life, kind: &str) -> Result<u64> {
        self.write((me.clone(), kind.to_owned()), |(me, kind), transaction| {
            Box::pin(async move {
                let update = "UPDATE outbox SET claimed_by = NULL, claimed_until = NULL \
                              WHERE claimed_by = $1 AND kind = $2 AND ended_at IS NULL";
                transaction.execute(update, values![me.to_string(), kind]).await
            })
        })
        .await
    }

    /// Keeps a claim for longer. A conflict says that it was lost: stop.
    pub async fn renew_claim(&self, claim: &Claim, until: Timestamp) -> Result<()> {
        self.write((claim.clone(), until), |(claim, until), transaction| {
            Box::pin(async move {
                let update = "UPDATE outbox SET claimed_until = $4 WHERE id = $1 AND claimed_by = $2 \
                              AND claim = $3 AND ended_at IS NULL";
                let bound = values![claim.effect.id, &claim.holder, claim.number, *until];
                lost_if(transaction.execute(update, bound).await? == 0, claim)
            })
        })
        .await
    }

    /// It happened. A conflict says that the claim was lost: another node performs it again.
    pub async fn complete_effect(&self, by: &Actor, claim: &Claim, now: Timestamp) -> Result<()> {
        self.write((by.clone(), claim.clone(), now), |(by, claim, now), transaction| {
            Box::pin(async move {
                end(transaction, claim, EffectEnd::Done, *now).await?;
                note(transaction, by, "effect.done", &claim.effect, *now).await
            })
        })
        .await
    }

    /// It did not happen. It is tried again from `again` on; `None` gives it up, which a person should hear of.
    pub async fn fail_effect(
        &self,
        by: &Actor,
        claim: &Claim,
        error: &str,
        again: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()> {
        let data = (by.clone(), claim.clone(), storable(error.to_owned()), again, now);
        self.write(data, |(by, claim, error, again, now), transaction| {
            Box::pin(async move {
                let place = Place { table: "outbox", column: "last_error", row: &claim.effect.key };
                let sealed = transaction.keys.seal(place, error.as_bytes());
                let update = "UPDATE outbox SET last_error = $4 WHERE id = $1 AND claimed_by = $2 AND claim = $3 \
                              AND ended_at IS NULL";
                let bound = values![claim.effect.id, &claim.holder, claim.number, sealed];
                lost_if(transaction.execute(update, bound).await? == 0, claim)?;
                let Some(again) = again else {
                    end(transaction, claim, EffectEnd::GivenUp, *now).await?;
                    return note(transaction, by, "effect.give-up", &claim.effect, *now).await;
                };
                let update = "UPDATE outbox SET claimed_by = NULL, claimed_until = NULL, not_before = $2 WHERE id = $1";
                transaction.execute(update, values![claim.effect.id, *again]).await?;
                note(transaction, by, "effect.fail", &claim.effect, *now).await
            })
        })
        .await
    }

    /// Lets an effect that was given up be tried again, at once.
    pub async fn retry_effect(&self, by: &Actor, key: &str, now: Timestamp) -> Result<()> {
        self.write((by.clone(), key.to_owned(), now), |(by, key, now), transaction| {
            Box::pin(async move {
                let update = "UPDATE outbox SET ended_at = NULL, outcome = NULL, claimed_by = NULL, \
                              claimed_until = NULL, not_before = 0 WHERE dedupe_key = $1 AND outcome = 'given-up' \
                              RETURNING *";
                let row = transaction.find(update, values![key]).await?;
                let row = row.ok_or_else(|| Error::missing(format!("effect {key} that was given up")))?;
                let effect = read(&transaction.keys, &row)?;
                note(transaction, by, "effect.retry", &effect, *now).await
            })
        })
        .await
    }

    /// What waits to happen or is being performed, the longest due first.
    pub async fn waiting_effects(&self, limit: usize) -> Result<Vec<Effect>> {
        let sql = "SELECT * FROM outbox WHERE ended_at IS NULL ORDER BY not_before, id LIMIT $1";
        self.fetch(sql, values![limit]).await?.iter().map(|row| read(&self.keys, row)).collect()
    }

    /// What waits to happen or is being performed, what fails most often first.
    pub async fn troubled_effects(&self, limit: usize) -> Result<Vec<Effect>> {
        let sql = "SELECT * FROM outbox WHERE ended_at IS NULL \
                   ORDER BY CASE WHEN last_error IS NULL THEN 0 ELSE attempts END DESC, id LIMIT $1";
        self.fetch(sql, values![limit]).await?.iter().map(|row| read(&self.keys, row)).collect()
    }

    /// What was given up at this time or later but for these kinds, the newest first.
    pub async fn given_up_effects(
        &self,
        since: Timestamp,
        but: [&str; 2],
        limit: usize,
    ) -> Result<Vec<Effect>> {
        let sql = "SELECT * FROM outbox WHERE outcome = 'given-up' AND ended_at >= $1 AND kind NOT IN ($2, $3) \
                   ORDER BY id DESC LIMIT $4";
        self.fetch(sql, values![since, but[0], but[1], limit])
            .await?
            .iter()
            .map(|row| read(&self.keys, row))
            .collect()
    }

    /// What waits, is being performed or was given up, in the order in which it was decided, from the effect after `after` on.
    pub async fn unfinished_after(&self, after: i64, limit: usize) -> Result<Vec<Effect>> {
        // Two queries, each with an index of its own: what has happened is by far the most, and is never looked at.
        let waiting = "SELECT * FROM outbox WHERE ended_at IS NULL AND id > $1 ORDER BY id LIMIT $2";
        let given_up = "SELECT * FROM outbox WHERE outcome = 'given-up' AND id > $1 ORDER BY id LIMIT $2";
        let mut effects = Vec::new();
        for sql in [waiting, given_up] {
            for row in self.fetch(sql, values![after, limit]).await? {
                effects.push(read(&self.keys, &row)?);
            }
        }
        effects.sort_by_key(|effect| effect.id);
        // One that was given up between the two is in both.
        effects.dedup_by_key(|effect| effect.id);
        effects.truncate(limit);
        Ok(effects)
    }

    /// How much was given up at this time or later but for these kinds.
    pub async fn count_given_up(&self, since: Timestamp, but: [&str; 2]) -> Result<u64> {
        let sql = "SELECT count(*) AS given_up FROM outbox \
                   WHERE outcome = 'given-up' AND ended_at >= $1 AND kind NOT IN ($2, $3)";
        self.find(sql, values![since, but[0], but[1]]).await?.map_or(Ok(0), |row| row.count("given_up"))
    }

    /// How much has yet to happen.
    pub async fn unfinished_effects(&self) -> Result<Unfinished> {
        let sql =
            "SELECT count(*) AS waiting, count(last_error) AS failing FROM outbox WHERE ended_at IS NULL";
        self.find(sql, values![]).await?.map_or(Ok(Unfinished::default()), |row| {
            Ok(Unfinished { waiting: row.count("waiting")?, failing: row.count("failing")? })
        })
    }

    /// What waits to happen to one account or is being performed, in the order in which it was decided: effects whose keys
    /// [name it](NewEffect::key).
    pub async fn waiting_of_account(&self, account: Sid) -> Result<Vec<Effect>> {
        let sql = "SELECT * FROM outbox WHERE account = $1 AND ended_at IS NULL ORDER BY id";
        self.fetch(sql, values![account]).await?.iter().map(|row| read(&self.keys, row)).collect()
    }

    /// Of which accounts an effect of this kind has not ended.
    pub async fn accounts_waiting(&self, kind: &str) -> Result<Vec<Sid>> {
        let sql = "SELECT DISTINCT account FROM outbox WHERE kind = $1 AND ended_at IS NULL \
                   AND account IS NOT NULL ORDER BY account";
        self.fetch(sql, values![kind]).await?.iter().map(|row| row.sid("account")).collect()
    }

    /// When the next effect of this kind is due that nobody performs; `None` if none waits.
    pub async fn next_effect_at(&self, kind: &str) -> Result<Option<Timestamp>> {
        let sql = "SELECT min(not_before) AS due FROM outbox \
                   WHERE kind = $1 AND ended_at IS NULL AND claimed_by IS NULL";
        match self.find(sql, values![kind]).await? {
            Some(row) => row.maybe_time("due"),
            None => Ok(None),
        }
    }

    /// How many effects of this kind this life could [claim](Self::claim_effects) now, up to `at_most`.
    pub async fn count_due(&self, me: &Life, kind: &str, at_most: usize, now: Timestamp) -> Result<usize> {
        let sql = "SELECT count(*) AS due FROM (SELECT 1 FROM outbox WHERE kind = $1 AND ended_at IS NULL \
                   AND not_before <= $2 AND (claimed_by IS NULL OR (claimed_by = $4 AND claimed_until <= $2)) \
                   LIMIT $3) AS waiting";
        match self.find(sql, values![kind, now, at_most, me.to_string()]).await? {
            Some(row) => Ok(usize::try_from(row.count("due")?).unwrap_or(usize::MAX)),
            None => Ok(0),
        }
    }

    /// One effect by its key, ended or not.
    pub async fn find_effect(&self, key: &str) -> Result<Option<Effect>> {
        let row = self.find("SELECT * FROM outbox WHERE dedupe_key = $1", values![key]).await?;
        row.map(|row| read(&self.keys, &row)).transpose()
    }
}

/// Adds an effect in the transaction that decided it.
pub(crate) async fn add(
    transaction: &mut Transaction,
    by: &Actor,
    effect: &NewEffect,
    now: Timestamp,
) -> Result<Added> {
    if add_unnoted(transaction, effect, now).await? == Added::Before {
        return Ok(Added::Before);
    }
    let audit = NewAudit::new("effect.add", format!("effect {}", effect.key))
        .with(serde_json::json!({ "kind": effect.kind }));
    audit::append(transaction, by, &audit, now).await?;
    Ok(Added::New)
}

/// Adds an effect of a decision whose own row of the audit log says all about it.
pub(crate) async fn add_unnoted(
    transaction: &mut Transaction,
    effect: &NewEffect,
    now: Timestamp,
) -> Result<Added> {
    let added = add_all_unnoted(transaction, [(effect, now)]).await?;
    Ok(if added == 0 { Added::Before } else { Added::New })
}

/// The same of many effects. How many of them are new.
pub(crate) async fn add_all_unnoted(
    transaction: &mut Transaction,
    effects: impl IntoIterator<Item = (impl Borrow<NewEffect>, Timestamp)>,
) -> Result<usize> {
    let rows: Vec<_> = effects
        .into_iter()
        .map(|(effect, now)| {
            let effect = effect.borrow();
            let key = storable(effect.key.clone());
            let place = Place { table: "outbox", column: "payload", row: &key };
            let payload = transaction.keys.seal(place, effect.payload.to_string().as_bytes());
            json!({
                "kind": effect.kind,
                "dedupe_key": key,
                "account": account_of(effect).map(|sid| sid.to_string()),
                "payload": hex::write(&payload),
                "created_at": now.as_microsecond(),
                "not_before": effect.not_before.map_or(0, Timestamp::as_microsecond),
            })
        })
        .collect();
    Ok(INSERT.run(transaction, rows).await?.len())
}

const INSERT: PerDialect = insert!(
    "outbox", kind text, dedupe_key text, account text, payload bytes, created_at int, not_before int;
    "ON CONFLICT (dedupe_key) DO NOTHING RETURNING id"
);

/// The account that an effect's key names, `kind/AC…/…`.
fn account_of(effect: &NewEffect) -> Option<Sid> {
    let (account, _) = effect.key.strip_prefix(&effect.kind)?.strip_prefix('/')?.split_once('/')?;
    Sid::parse(account).ok().filter(|sid| sid.is("AC"))
}

async fn end(transaction: &mut Transaction, claim: &Claim, end: EffectEnd, now: Timestamp) -> Result<()> {
    let update = "UPDATE outbox SET ended_at = $4, outcome = $5, claimed_by = NULL, claimed_until = NULL \
                  WHERE id = $1 AND claimed_by = $2 AND claim = $3 AND ended_at IS NULL";
    let bound = values![claim.effect.id, &claim.holder, claim.number, now, end.word()];
    lost_if(transaction.execute(update, bound).await? == 0, claim)
}

async fn note(
    transaction: &mut Transaction,
    by: &Actor,
    action: &str,
    effect: &Effect,
    now: Timestamp,
) -> Result<()> {
    let audit = NewAudit::new(action, format!("effect {}", effect.key))
        .with(serde_json::json!({ "kind": effect.kind, "attempts": effect.attempts }));
    audit::append(transaction, by, &audit, now).await?;
    Ok(())
}

fn lost_if(lost: bool, claim: &Claim) -> Result<()> {
    if lost {
        return Err(Error::conflict(format!("the claim of effect {}", claim.effect.key)));
    }
    Ok(())
}

fn read(keys: &Keyring, row: &Row) -> Result<Effect> {
    let key = row.text("dedupe_key")?;
    let place = Place { table: "outbox", column: "payload", row: &key };
    let payload = keys.open(place, &row.bytes("payload")?)?;
    let payload = serde_json::from_slice(&payload)
        .map_err(|error| Error::corrupt(format!("outbox.payload of {key}"), error.to_string()))?;
    let place = Place { column: "last_error", ..place };
    let last_error = match row.maybe_bytes("last_error")? {
        Some(sealed) => Some(keys.open_text(place, &sealed)?.to_string()),
        None => None,
    };
    let not_before = row.time("not_before")?;
    let end = match row.maybe_time("ended_at")? {
        Some(at) => Some((at, EffectEnd::of(&row.text("outcome")?, &key)?)),
        None => None,
    };
    Ok(Effect {
        id: row.int("id")?,
        kind: row.text("kind")?,
        payload,
        created_at: row.time("created_at")?,
        not_before: (not_before != Timestamp::UNIX_EPOCH).then_some(not_before),
        attempts: row.count("attempts")?,
        last_error,
        claimed_by: row.maybe_text("claimed_by")?,
        end,
        key,
    })
}

impl EffectEnd {
    fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::GivenUp => "given-up",
        }
    }

    fn of(word: &str, key: &str) -> Result<Self> {
        match word {
            "done" => Ok(Self::Done),
            "given-up" => Ok(Self::GivenUp),
            _ => Err(Error::corrupt(format!("outbox.outcome of {key}"), format!("`{word}` is no outcome"))),
        }
    }
}
