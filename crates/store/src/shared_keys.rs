//! SharedKeys of Twilio's Webhooks configuration API that Ringfence made: whose webhooks each signs, and how far it is.
//!
//! A key is a row that goes one way, `asked` → `made` → `signing` → `retiring`, and is deleted then. Whoever carries it on moves
//! it from the step that they read; of two that do so at once, one is told that it was moved already. Each step that changes
//! what nodes verify with is a new generation, the same number that [rotations](crate::Rotation) of auth tokens count up, so
//! that what a node says it has taken over holds for both.

use jiff::Timestamp;
use ringfence_model::{Actor, Secret, Sid};
use serde_json::json;

use crate::error::Error;
use crate::rotations::{next_generation, note};
use crate::seal::{Keyring, Place};
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store};

/// A SharedKey that Ringfence made, or is making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedKey {
    /// What tells it from others of the installation, in its names at Twilio: hexadecimal digits.
    pub mark: String,
    /// Whose webhooks it signs.
    pub account: Sid,
    /// A node that has taken over this generation verifies with it, or no more.
    pub generation: i64,
    /// How far it is.
    pub step: SharedKeyStep,
    /// Whether it waits before it signs, until an operator lets it go on.
    pub held: bool,
    /// The key, once Twilio has given it out.
    pub key: Option<KeyOfTwilio>,
    /// When it was asked for.
    pub begun_at: Timestamp,
    /// Since when it is in this step.
    pub since: Timestamp,
}

/// What Twilio gave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOfTwilio {
    /// What requests name it by.
    pub id: String,
    /// What it signs with. Twilio gives it out once.
    pub secret: Secret,
}

/// How far a SharedKey is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SharedKeyStep {
    /// It was asked for. Whether Twilio has made it is not known.
    Asked,
    /// It is there, and nodes verify with it. Rules at Twilio may begin to name it.
    Made,
    /// Rules at Twilio name it.
    Signing,
    /// No rule at Twilio names it any more. Nodes verify with it until no request can come that it signed.
    Retiring,
}

impl SharedKeyStep {
    /// Its name, which the store, audit rows and scripts rely on.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Made => "made",
            Self::Signing => "signing",
            Self::Retiring => "retiring",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::Asked, Self::Made, Self::Signing, Self::Retiring].into_iter().find(|it| it.name() == name)
    }
}

impl Store {
    /// All of them, by account, the oldest first.
    pub async fn shared_keys(&self) -> Result<Vec<SharedKey>> {
        let select = "SELECT * FROM shared_keys ORDER BY account, begun_at, mark";
        let rows = self.fetch(select, values![]).await?;
        rows.iter().map(|row| read(&self.keys, row)).collect()
    }

    /// Begins a SharedKey of an account: it is about to be asked for. None where one is prepared already.
    pub async fn begin_shared_key(
        &self,
        by: &Actor,
        account: Sid,
        held: bool,
        reason: &str,
        now: Timestamp,
    ) -> Result<Option<SharedKey>> {
        let mark = crate::hex::write(&crate::random::<8>());
        let data = (by.clone(), account, mark, held, reason.to_owned(), now);
        self.write(data, |(by, account, mark, held, reason, now), transaction| {
            Box::pin(async move {
                let generation = next_generation(transaction).await?;
                let insert = "INSERT INTO shared_keys (mark, account, generation, step, held, begun_at, since) \
                              VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT DO NOTHING RETURNING *";
                let step = SharedKeyStep::Asked.name();
                let bound = values![mark.as_str(), *account, generation, step, i64::from(*held), *now];
                let Some(row) = transaction.find(insert, bound).await? else { return Ok(None) };
                let detail = json!({ "mark": mark, "reason": reason });
                note(transaction, by, "shared-key.ask", *account, detail, *now).await?;
                read(&transaction.keys, &row).map(Some)
            })
        })
        .await
    }

    /// Twilio has made it: nodes verify with it from now on. None where somebody else has moved it since it was read.
    pub async fn made_shared_key(
        &self,
        by: &Actor,
        from: &SharedKey,
        key: &KeyOfTwilio,
        now: Timestamp,
    ) -> Result<Option<SharedKey>> {
        self.write((by.clone(), from.clone(), key.clone(), now), |(by, from, key, now), transaction| {
            Box::pin(async move {
                let sealed = transaction.keys.seal(place(&from.mark), key.secret.expose().as_bytes());
                let update = "UPDATE shared_keys SET generation = $3, step = $4, since = $5, key_id = $6, secret = $7 \
                              WHERE mark = $1 AND generation = $2 RETURNING *";
                let generation = next_generation(transaction).await?;
                let step = SharedKeyStep::Made.name();
                let bound = values![
                    from.mark.as_str(),
                    from.generation,
                    generation,
                    step,
                    *now,
                    key.id.as_str(),
                    sealed
                ];
                let Some(row) = transaction.find(update, bound).await? else { return Ok(None) };
                let detail = json!({ "mark": from.mark, "key": key.id });
                note(transaction, by, "shared-key.made", from.account, detail, *now).await?;
                read(&transaction.keys, &row).map(Some)
            })
        })
        .await
    }

    /// It stays in its step, which begins anew: it was asked for again, or has to get everywhere once more. None where somebody
    /// else has moved it since it was read.
    pub async fn renew_shared_key(&self, from: &SharedKey, now: Timestamp) -> Result<Option<SharedKey>> {
        self.write((from.clone(), now), |(from, now), transaction| {
            Box::pin(async move {
                let row = put_step(transaction, from, from.step, *now).await?;
                row.map(|row| read(&transaction.keys, &row)).transpose()
            })
        })
        .await
    }

    /// Rules of the account are changed at this moment: what requests its keys that retire have signed may come for as long
    /// from now on.
    pub async fn rules_change(&self, account: Sid, now: Timestamp) -> Result<()> {
        self.write((account, now), |(account, now), transaction| {
            Box::pin(async move {
                let update =
                    "UPDATE shared_keys SET since = $2 WHERE account = $1 AND step = $3 AND since < $2";
                let bound = values![*account, *now, SharedKeyStep::Retiring.name()];
                transaction.execute(update, bound).await?;
                Ok(())
            })
        })
        .await
    }

    /// Lets a key that is held go on. False where somebody else has moved it since it was read.
    pub async fn release_shared_key(
        &self,
        by: &Actor,
        from: &SharedKey,
        reason: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let data = (by.clone(), from.clone(), reason.to_owned(), now);
        self.write(data, |(by, from, reason, now), transaction| {
            Box::pin(async move {
                // What nodes verify with stays as it is, and so do the generation and the time.
                let update = "UPDATE shared_keys SET held = $3 WHERE mark = $1 AND generation = $2";
                let bound = values![from.mark.as_str(), from.generation, 0_i64];
                if transaction.execute(update, bound).await? == 0 {
                    return Ok(false);
                }
                let detail = json!({ "mark": from.mark, "reason": reason });
                note(transaction, by, "shared-key.release", from.account, detail, *now).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Rules at Twilio name this key: the one that signed before retires. False where somebody else has moved it since it was
    /// read.
    pub async fn shared_key_signs(&self, by: &Actor, from: &SharedKey, now: Timestamp) -> Result<bool> {
        self.write((by.clone(), from.clone(), now), |(by, from, now), transaction| {
            Box::pin(async move {
                let retire = "UPDATE shared_keys SET generation = $2, step = $3, since = $4 \
                              WHERE account = $1 AND step = $5";
                let (retiring, signing) = (SharedKeyStep::Retiring.name(), SharedKeyStep::Signing.name());
                let generation = next_generation(transaction).await?;
                transaction
                    .execute(retire, values![from.account, generation, retiring, *now, signing])
                    .await?;
                let Some(_) = put_step(transaction, from, SharedKeyStep::Signing, *now).await? else {
                    return Err(Error::conflict("a SharedKey was moved by somebody else"));
                };
                let detail = json!({ "mark": from.mark });
                note(transaction, by, "shared-key.signs", from.account, detail, *now).await?;
                Ok(true)
            })
        })
        .await
        .or_else(|error| if error.is_conflict() { Ok(false) } else { Err(error) })
    }

    /// No rule at Twilio names this key any more, or it is not to be used. False where somebody else has moved it since it was
    /// read.
    pub async fn retire_shared_key(
        &self,
        by: &Actor,
        from: &SharedKey,
        reason: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let data = (by.clone(), from.clone(), reason.to_owned(), now);
        self.write(data, |(by, from, reason, now), transaction| {
            Box::pin(async move {
                let moved = put_step(transaction, from, SharedKeyStep::Retiring, *now).await?;
                if moved.is_none() {
                    return Ok(false);
                }
                let detail = json!({ "mark": from.mark, "from": from.step.name(), "reason": reason });
                note(transaction, by, "shared-key.retire", from.account, detail, *now).await?;
                Ok(true)
            })
        })
        .await
    }

    /// It is at Twilio no more: nodes forget it. False where somebody else has moved it since it was read.
    pub async fn forget_shared_key(&self, by: &Actor, from: &SharedKey, now: Timestamp) -> Result<bool> {
        self.write((by.clone(), from.clone(), now), |(by, from, now), transaction| {
            Box::pin(async move {
                let delete = "DELETE FROM shared_keys WHERE mark = $1 AND generation = $2";
                if transaction.execute(delete, values![from.mark.as_str(), from.generation]).await? == 0 {
                    return Ok(false);
                }
                next_generation(transaction).await?;
                let detail = json!({ "mark": from.mark, "from": from.step.name() });
                note(transaction, by, "shared-key.forget", from.account, detail, *now).await?;
                Ok(true)
            })
        })
        .await
    }
}

/// Writes a step, if the key is still where it was read.
async fn put_step(
    transaction: &mut Transaction,
    from: &SharedKey,
    step: SharedKeyStep,
    now: Timestamp,
) -> Result<Option<Row>> {
    let generation = next_generation(transaction).await?;
    let update = "UPDATE shared_keys SET generation = $3, step = $4, since = $5 \
                  WHERE mark = $1 AND generation = $2 RETURNING *";
    let bound = values![from.mark.as_str(), from.generation, generation, step.name(), now];
    transaction.find(update, bound).await
}

fn place(mark: &str) -> Place<'_> {
    Place { table: "shared_keys", column: "secret", row: mark }
}

fn read(keys: &Keyring, row: &Row) -> Result<SharedKey> {
    let mark = row.text("mark")?;
    let corrupt = |why: &str| Error::corrupt(format!("shared_keys of {mark}"), why);
    let step =
        SharedKeyStep::of(&row.text("step")?).ok_or_else(|| corrupt("its step is none of the words"))?;
    let key = match (row.maybe_text("key_id")?, row.maybe_bytes("secret")?) {
        (Some(id), Some(sealed)) => {
            let secret = Secret::new(keys.open_text(place(&mark), &sealed)?.as_str());
            Some(KeyOfTwilio { id, secret })
        }
        _ if matches!(step, SharedKeyStep::Made | SharedKeyStep::Signing) => {
            return Err(corrupt("it has no key"));
        }
        _ => None,
    };
    Ok(SharedKey {
        account: row.sid("account")?,
        generation: row.int("generation")?,
        step,
        held: row.int("held")? != 0,
        key,
        begun_at: row.time("begun_at")?,
        since: row.time("since")?,
        mark,
    })
}
