//! Sign-ins whose password was right, and what became of them: what their owner is told.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Actor;
use serde_json::json;

use super::{Session, lock, note};
use crate::error::Error;
use crate::seal::{Keyring, Place};
use crate::sql::{Pool, Row, Transaction, values};
use crate::{NewEffect, Result, Store, hex, outbox};

/// A second factor that is wrong so long after its owner was told of the sign-in is told in another mail.
const TOLD_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(3);

/// What became of a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInOutcome {
    /// The second factor is asked for, and has not come.
    Waiting,
    /// The second factor was wrong at least once, and has not come.
    Failed,
    /// It is inside, on a computer that was trusted, or where no factor is asked for.
    Known,
    /// It is inside, from a device that was not known.
    New,
    /// No sign-in: in a session that was inside already the password or the second factor was wrong again and again, which ended it.
    Guessed,
}

impl SignInOutcome {
    const ALL: [Self; 5] = [Self::Waiting, Self::Failed, Self::Known, Self::New, Self::Guessed];

    /// As it is stored.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Known => "known",
            Self::New => "new",
            Self::Guessed => "guessed",
        }
    }
}

/// A sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Its id.
    pub id: String,
    /// Whose password was right.
    pub person: String,
    /// When.
    pub at: Timestamp,
    /// From where.
    pub address: String,
    /// With which browser.
    pub agent: String,
    /// What became of it.
    pub outcome: SignInOutcome,
    /// When its owner was told.
    pub told_at: Option<Timestamp>,
}

impl Store {
    /// A password was right.
    pub async fn begin_sign_in(
        &self,
        person: &str,
        address: &str,
        agent: &str,
        now: Timestamp,
    ) -> Result<String> {
        let id = new_id();
        let data = (id.clone(), person.to_owned(), address.to_owned(), agent.to_owned(), now);
        self.write(data, |(id, person, address, agent, now), transaction| {
            Box::pin(async move {
                insert(transaction, id, person, (address, agent), SignInOutcome::Waiting, *now).await?;
                let by = Actor::Person(person.clone());
                note(transaction, &by, "sign-in.password", person, json!({ "sign_in": id }), *now).await
            })
        })
        .await?;
        Ok(id)
    }

    /// What became of it. One that is inside stays inside; that it is inside from a device that was not known is told to
    /// its owner, whatever they were told of it before.
    pub async fn end_sign_in(&self, id: &str, outcome: SignInOutcome, now: Timestamp) -> Result<()> {
        self.write((id.to_owned(), outcome, now), |(id, outcome, now), transaction| {
            Box::pin(async move { end(transaction, id, *outcome, *now).await })
        })
        .await
    }

    /// The same of one that is inside by the trust in a computer. A second factor that was wrong before stays so: whoever has copied
    /// the cookie of that computer, and the password, proves nothing by it.
    pub async fn end_sign_in_by_trust(&self, id: &str, outcome: SignInOutcome, now: Timestamp) -> Result<()> {
        self.write((id.to_owned(), outcome, now), |(id, outcome, now), transaction| {
            Box::pin(async move {
                let failed = "SELECT id FROM sign_ins WHERE id = $1 AND outcome = 'failed'";
                let has_failed = transaction.find(failed, values![id]).await?.is_some();
                if has_failed && *outcome == SignInOutcome::Known {
                    return Ok(());
                }
                end(transaction, id, *outcome, *now).await
            })
        })
        .await
    }

    /// In a session that the password had opened, alone or on a trusted computer, the second factor was wrong. Whoever has the
    /// password comes as far, so this is an attempt as one at the door is: one more sign-in from this address with this browser, which
    /// [`factor_followed`](Store::factor_followed) ends. There is one for each session's sign-in, however often it was wrong.
    pub async fn fail_inside(
        &self,
        session: &Session,
        address: &str,
        agent: &str,
        now: Timestamp,
    ) -> Result<()> {
        let (person, sign_in) = (session.person.id.clone(), session.sign_in.clone());
        let data = (person, sign_in, address.to_owned(), agent.to_owned(), now);
        self.write(data, |(person, sign_in, address, agent, now), transaction| {
            Box::pin(async move {
                lock(transaction, person).await?;
                let id = inside_id(sign_in);
                let there = "SELECT id FROM sign_ins WHERE id = $1";
                if transaction.find(there, values![&id]).await?.is_none() {
                    insert(transaction, &id, person, (address, agent), SignInOutcome::Waiting, *now).await?;
                }
                end(transaction, &id, SignInOutcome::Failed, *now).await
            })
        })
        .await
    }

    /// In such a session the second factor has followed: what was wrong before was a slip.
    pub async fn factor_followed(
        &self,
        session: &Session,
        outcome: SignInOutcome,
        now: Timestamp,
    ) -> Result<()> {
        self.end_sign_in(&inside_id(&session.sign_in), outcome, now).await
    }

    /// Sign-ins of a person, the newest first.
    pub async fn sign_ins(&self, person: &str, limit: usize) -> Result<Vec<SignIn>> {
        let sql = "SELECT * FROM sign_ins WHERE person = $1 ORDER BY at DESC, id LIMIT $2";
        self.fetch(sql, values![person, limit]).await?.iter().map(|row| read(&self.keys, row)).collect()
    }

    /// When each of these people last typed the right password; nothing of those who never did.
    pub async fn last_sign_ins(&self, persons: &[String]) -> Result<Vec<(String, Timestamp)>> {
        let sql = match self.pool {
            Pool::Sqlite(_) => {
                "SELECT person, max(at) AS at FROM sign_ins WHERE person IN (SELECT value FROM json_each($1)) \
                 GROUP BY person"
            }
            Pool::Postgres(_) => {
                "SELECT person, max(at) AS at FROM sign_ins \
                 WHERE person IN (SELECT jsonb_array_elements_text($1::jsonb)) GROUP BY person"
            }
        };
        let rows = self.fetch(sql, values![json!(persons).to_string()]).await?;
        rows.iter().map(|row| Ok((row.text("person")?, row.time("at")?))).collect()
    }

    /// Everybody's sign-ins since then, the newest first.
    pub async fn sign_ins_since(&self, since: Timestamp, limit: usize) -> Result<Vec<SignIn>> {
        let sql = "SELECT * FROM sign_ins WHERE at >= $1 ORDER BY at DESC, id LIMIT $2";
        self.fetch(sql, values![since, limit]).await?.iter().map(|row| read(&self.keys, row)).collect()
    }

    /// Sign-ins that their owners should hear of and have not: from a new device, or older than `waited` and not inside. Those
    /// inside come first: whoever makes thousands that got no further hides none of them. Each person's oldest comes before anybody's
    /// second, so that it puts off nobody else's. Whoever is
    /// binding their factors by an administrator's code is not heard of while their session for it goes on.
    pub async fn sign_ins_to_tell(&self, waited: Timestamp, limit: usize) -> Result<Vec<SignIn>> {
        let sql = "SELECT * FROM sign_ins WHERE told_at IS NULL AND (outcome = 'new' OR (at <= $1 \
                   AND outcome IN ('waiting', 'failed') AND NOT EXISTS (SELECT 1 FROM sessions \
                   WHERE sessions.person = sign_ins.person AND sessions.sign_in = sign_ins.id \
                   AND stage = 'binding' AND expires_at > $1))) \
                   ORDER BY CASE outcome WHEN 'new' THEN 0 ELSE 1 END, \
                   row_number() OVER (PARTITION BY person, CASE outcome WHEN 'new' THEN 0 ELSE 1 END ORDER BY at, id), \
                   at, id LIMIT $2";
        self.fetch(sql, values![waited, limit]).await?.iter().map(|row| read(&self.keys, row)).collect()
    }

    /// Adds a letter about these sign-ins as they came out, and notes that their owner was told: both, or neither. One that has come
    /// out otherwise since is told of next time, as that. False where the owner was told of all of them already.
    pub async fn tell_of_sign_ins(
        &self,
        letter: NewEffect,
        sign_ins: Vec<(String, SignInOutcome)>,
        now: Timestamp,
    ) -> Result<bool> {
        self.write((letter, sign_ins, now), |(letter, sign_ins, now), transaction| {
            Box::pin(async move {
                let mut told = 0;
                for (id, outcome) in sign_ins {
                    let update = "UPDATE sign_ins SET told_at = $2 WHERE id = $1 AND told_at IS NULL \
                                  AND outcome = $3";
                    told += transaction.execute(update, values![id, *now, outcome.word()]).await?;
                }
                if told > 0 {
                    outbox::add(transaction, &Actor::job("letters"), letter, *now).await?;
                }
                Ok(told > 0)
            })
        })
        .await
    }
}

/// What becomes of a sign-in that is not inside.
async fn end(transaction: &mut Transaction, id: &str, outcome: SignInOutcome, now: Timestamp) -> Result<()> {
    let update = "UPDATE sign_ins SET outcome = $2, told_at = CASE WHEN $2 = 'new' OR ($2 = 'failed' AND told_at < $3) \
                  THEN NULL ELSE told_at END WHERE id = $1 AND outcome IN ('waiting', 'failed') RETURNING person";
    let told_before = now.saturating_sub(TOLD_AGAIN_AFTER).unwrap_or(Timestamp::MIN);
    let Some(row) = transaction.find(update, values![id, outcome.word(), told_before]).await? else {
        return Ok(());
    };
    let person = row.text("person")?;
    let action = match outcome {
        SignInOutcome::Waiting | SignInOutcome::Guessed => return Ok(()),
        SignInOutcome::Failed => "sign-in.failed",
        SignInOutcome::Known | SignInOutcome::New => "sign-in.inside",
    };
    let by = Actor::Person(person.clone());
    note(transaction, &by, action, &person, json!({ "sign_in": id }), now).await
}

/// What the attempt is called that was made in a session of this sign-in.
fn inside_id(sign_in: &str) -> String {
    format!("{sign_in}/inside")
}

pub(super) fn new_id() -> String {
    format!("si_{}", hex::write(&crate::random::<8>()))
}

/// A row of it, from this address with this browser.
pub(super) async fn insert(
    transaction: &mut Transaction,
    id: &str,
    person: &str,
    (address, agent): (&str, &str),
    outcome: SignInOutcome,
    now: Timestamp,
) -> Result<()> {
    let seal = |column: &'static str, text: &str| transaction.keys.seal(place(column, id), text.as_bytes());
    let (address, agent) = (seal("address", address), seal("agent", agent));
    let insert =
        "INSERT INTO sign_ins (id, person, at, address, agent, outcome) VALUES ($1, $2, $3, $4, $5, $6)";
    transaction.execute(insert, values![id, person, now, address, agent, outcome.word()]).await?;
    Ok(())
}

fn place<'a>(column: &'static str, id: &'a str) -> Place<'a> {
    Place { table: "sign_ins", column, row: id }
}

fn read(keys: &Keyring, row: &Row) -> Result<SignIn> {
    let (id, outcome) = (row.text("id")?, row.text("outcome")?);
    let unknown = || Error::corrupt("sign_ins", format!("`{outcome}` is not known"));
    let open = |column: &'static str| -> Result<String> {
        Ok(keys.open_text(place(column, &id), &row.bytes(column)?)?.as_str().to_owned())
    };
    Ok(SignIn {
        person: row.text("person")?,
        at: row.time("at")?,
        address: open("address")?,
        agent: open("agent")?,
        outcome: SignInOutcome::ALL.into_iter().find(|it| it.word() == outcome).ok_or_else(unknown)?,
        told_at: row.maybe_time("told_at")?,
        id,
    })
}
