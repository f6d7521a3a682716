//! Sessions of the console. The browser holds 32 random bytes, the store their hash.
//!
//! A session only ever grows: password, then the second factor, then inside. Each step gives it a new token, and the old
//! one is worth nothing (OWASP ASVS 7.2.4), so a token that somebody planted or saw before is none of the session inside.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Actor, Secret};
use ringfence_second_factor::device::SecretHash;
use ringfence_second_factor::policy::{Assurance, Kind};
use serde_json::json;

use super::{Because, Person, SignInOutcome, Told, Where, find, lock, note, sign_ins};
use crate::error::Error;
use crate::seal::{Keyring, Place};
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store, hex};

/// Unused for so long, it is over.
const IDLE: SignedDuration = SignedDuration::from_mins(30);

/// However much it is used, it is over after this time (NIST SP 800-63B-4, 2.2.3: 24 hours at most).
const LONGEST: SignedDuration = SignedDuration::from_hours(12);

/// A session that is between the password and the second factor has this long.
const UNFINISHED: SignedDuration = SignedDuration::from_mins(15);

/// Whoever binds their first factors has this long, used or not: they may have to install an application, and to print codes.
const BINDING: SignedDuration = SignedDuration::from_hours(1);

/// That it was used is written down when so much has passed since.
const SEEN_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A right password; the second factor is asked for.
    SecondFactor,
    /// A code of an administrator's; factors are being bound.
    Binding,
    /// Inside.
    Inside,
}

/// A session to begin.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Whose.
    pub person: String,
    /// Which account is looked at; everywhere for the installation as a whole.
    pub place: Where,
    /// How far it has come.
    pub stage: Stage,
    /// How it was proved.
    pub assurance: Assurance,
    /// Of which time the password is that was shown; nothing where none was. With another one set since, nothing begins.
    pub password_of: Option<Timestamp>,
    /// The sign-in that it belongs to.
    pub sign_in: String,
    /// From where, for its owner.
    pub address: String,
    /// Which browser, for its owner.
    pub agent: String,
}

/// A session, and the person whose it is as they are now.
#[derive(Debug, Clone)]
pub struct Session {
    /// What it is called in lists.
    pub id: String,
    /// Whose.
    pub person: Person,
    /// Which account is looked at.
    pub place: Where,
    /// How far it has come.
    pub stage: Stage,
    /// How it was proved.
    pub assurance: Assurance,
    /// The sign-in that it belongs to.
    pub sign_in: String,
    /// From where it was begun.
    pub address: String,
    /// Which browser.
    pub agent: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub seen_at: Timestamp,
    /// When it is over, however much it is used.
    pub expires_at: Timestamp,
}

impl Store {
    /// Begins a session, in the place of the one that this token was of, if there was one. Gives out its token.
    ///
    /// A conflict says that the person was locked out, or has another password, since it was looked at.
    pub async fn begin_session(
        &self,
        session: NewSession,
        before: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Secret> {
        let token = Secret::new(hex::write(&crate::random::<32>()));
        let id = format!("se_{}", hex::write(&crate::random::<8>()));
        let before = before.map(|before| SecretHash::of(before.expose()));
        let data = (id, SecretHash::of(token.expose()), session, before, now);
        self.write(data, |(id, hash, session, before, now), transaction| {
            Box::pin(async move {
                lock(transaction, &session.person).await?;
                let person = find(transaction, &session.person).await?;
                let is_of_before =
                    session.password_of.is_some_and(|of| person.password_changed_at != Some(of));
                if person.locked_at.is_some() || is_of_before {
                    return Err(Error::conflict(format!("person {}", person.id)));
                }
                if let Some(before) = before {
                    let delete = "DELETE FROM sessions WHERE hash = $1";
                    transaction.execute(delete, values![before.bytes().as_slice()]).await?;
                }
                insert(transaction, id, hash, session, Life::new(session.stage, *now), *now).await
            })
        })
        .await?;
        Ok(token)
    }

    /// Gives a session another token and another state: the old token is worth nothing from then on.
    ///
    /// [`Missing`](Error::Missing) where the token is of no session (any more): of two steps at once, one is made.
    pub async fn change_session(&self, before: &Secret, to: NewSession, now: Timestamp) -> Result<Secret> {
        let token = Secret::new(hex::write(&crate::random::<32>()));
        let data = (SecretHash::of(before.expose()), SecretHash::of(token.expose()), to, now);
        self.write(data, |(before, hash, to, now), transaction| {
            Box::pin(async move {
                lock(transaction, &to.person).await?;
                let delete = "DELETE FROM sessions WHERE hash = $1 AND person = $2 RETURNING *";
                let bound = values![before.bytes().as_slice(), &to.person];
                let row = transaction.find(delete, bound).await?;
                let row = row.ok_or_else(|| Error::missing("session".to_owned()))?;
                // Being asked again, or going to another account, makes no session longer: one that was inside keeps its
                // life, also where it waits for another factor on the way.
                let life = Life { began: row.time("created_at")?, ends: row.time("expires_at")? };
                let was_inside = life.ends.duration_since(life.began) > BINDING;
                // Only a step further on begins anew: whoever waits for the second factor of one account, and then of another, waits on.
                let stays = row.text("stage")? == to.stage.word();
                let life = if was_inside || stays { life } else { Life::new(to.stage, *now) };
                insert(transaction, &row.text("id")?, hash, to, life, *now).await
            })
        })
        .await?;
        Ok(token)
    }

    /// The session of a token, if it is not over. That it was used is written down now and then.
    pub async fn session(&self, token: &Secret, now: Timestamp) -> Result<Option<Session>> {
        let hash = SecretHash::of(token.expose());
        let sql = "SELECT * FROM sessions WHERE hash = $1";
        let Some(row) = self.find(sql, values![hash.bytes().as_slice()]).await? else { return Ok(None) };
        let Some(person) = self.person(&row.text("person")?).await? else { return Ok(None) };
        let session = read(&self.keys, &row, person)?;
        let idle = now.duration_since(session.seen_at);
        let is_idle = idle >= if session.stage == Stage::Binding { BINDING } else { IDLE };
        if now >= session.expires_at || is_idle || session.person.locked_at.is_some() {
            return Ok(None);
        }
        if idle >= SEEN_AGAIN {
            let noted = self.write((hash, now), |(hash, now), transaction| {
                Box::pin(async move {
                    let update = "UPDATE sessions SET seen_at = $2 WHERE hash = $1 AND seen_at < $2";
                    transaction.execute(update, values![hash.bytes().as_slice(), *now]).await
                })
            });
            // What is not noted ends sooner; whoever is in is not kept out for it.
            if let Err(error) = noted.await {
                tracing::warn!(%error, "that a session was used is not noted");
            }
        }
        Ok(Some(session))
    }

    /// Whose session it was, however it ended, as long as it is kept; none of one that was ended on purpose.
    pub async fn session_owner(&self, token: &Secret) -> Result<Option<String>> {
        let hash = SecretHash::of(token.expose());
        let sql = "SELECT person FROM sessions WHERE hash = $1";
        let row = self.find(sql, values![hash.bytes().as_slice()]).await?;
        row.map(|row| row.text("person")).transpose()
    }

    /// The sessions of a person that are not over, the last used first: those too that are used at a protected host alone.
    pub async fn sessions(&self, person: &str, now: Timestamp) -> Result<Vec<Session>> {
        let Some(owner) = self.person(person).await? else { return Ok(Vec::new()) };
        let sql = "SELECT * FROM sessions WHERE person = $1 AND expires_at > $2 AND (seen_at > $3 OR id IN \
                   (SELECT session FROM host_sessions WHERE expires_at > $2 AND seen_at > $3)) \
                   ORDER BY seen_at DESC, id";
        let idle = now.saturating_sub(IDLE).unwrap_or(Timestamp::MIN);
        let rows = self.fetch(sql, values![person, now, idle]).await?;
        rows.iter().map(|row| read(&self.keys, row, owner.clone())).collect()
    }

    /// Ends one session of a person by its id, or all but `except`. How many there were.
    pub async fn end_sessions(
        &self,
        by: &Actor,
        person: &str,
        session: Option<&str>,
        except: Option<&str>,
        now: Timestamp,
    ) -> Result<u64> {
        let text = |id: Option<&str>| id.unwrap_or_default().to_owned();
        let data = (by.clone(), person.to_owned(), text(session), text(except), now);
        self.write(data, |(by, person, session, except, now), transaction| {
            Box::pin(async move {
                lock(transaction, person).await?;
                let delete = "DELETE FROM sessions WHERE person = $1 AND ($2 = '' OR id = $2) AND id <> $3";
                let ended = transaction.execute(delete, values![person, session, except]).await?;
                if ended > 0 {
                    let detail = json!({ "sessions": ended });
                    note(transaction, by, "session.end", person, detail, *now).await?;
                }
                Ok(ended)
            })
        })
        .await
    }

    /// Ends all sessions of a person, who is told in the same transaction if there were any. How many there were.
    pub async fn end_all_sessions(
        &self,
        by: impl Into<Because>,
        person: &str,
        told: Told,
        now: Timestamp,
    ) -> Result<u64> {
        let data = (by.into(), person.to_owned(), told, now);
        self.write(data, |(by, person, told, now), transaction| {
            Box::pin(async move {
                lock(transaction, person).await?;
                let delete = "DELETE FROM sessions WHERE person = $1";
                let ended = transaction.execute(delete, values![person]).await?;
                if ended > 0 {
                    let detail = by.detail(json!({ "sessions": ended }));
                    note(transaction, &by.by, "session.end", person, detail, *now).await?;
                    told.write(transaction, &[], *now).await?;
                }
                Ok(ended)
            })
        })
        .await
    }
}

impl Store {
    /// Ends a session that was inside and in which the password or the second factor was wrong again and again, the last time from this address
    /// with this browser. It is noted among the sign-ins of its owner, who is told: all of it, or nothing where the session
    /// had ended already.
    pub async fn end_guessed_session(
        &self,
        session: &Session,
        address: &str,
        agent: &str,
        told: Told,
        now: Timestamp,
    ) -> Result<bool> {
        let (id, person) = (session.id.clone(), session.person.id.clone());
        let data = (id, person, sign_ins::new_id(), (address.to_owned(), agent.to_owned()), told, now);
        self.write(data, |(id, person, sign_in, (address, agent), told, now), transaction| {
            Box::pin(async move {
                lock(transaction, person).await?;
                let delete = "DELETE FROM sessions WHERE id = $1 AND person = $2";
                if transaction.execute(delete, values![id, person]).await? == 0 {
                    return Ok(false);
                }
                let from = (address.as_str(), agent.as_str());
                sign_ins::insert(transaction, sign_in, person, from, SignInOutcome::Guessed, *now).await?;
                let why = "the password or the second factor was wrong again and again";
                let detail = json!({ "sessions": 1, "sign_in": sign_in, "why": why });
                note(transaction, &Actor::Person(person.clone()), "session.end", person, detail, *now)
                    .await?;
                told.write(transaction, &[], *now).await?;
                Ok(true)
            })
        })
        .await
    }
}

/// Ends the sessions of a person that were opened by the trust in a computer. How many there were.
pub(super) async fn end_remembered(transaction: &mut Transaction, person: &str) -> Result<u64> {
    let (remembered, _) = write_assurance(Assurance::RememberedComputer);
    let delete = "DELETE FROM sessions WHERE person = $1 AND assurance = $2";
    transaction.execute(delete, values![person, remembered]).await
}

/// From when to when a session is, however much it is used.
#[derive(Clone, Copy)]
struct Life {
    began: Timestamp,
    ends: Timestamp,
}

impl Life {
    fn new(stage: Stage, now: Timestamp) -> Self {
        let longest = match stage {
            Stage::Inside => LONGEST,
            Stage::Binding => BINDING,
            Stage::SecondFactor => UNFINISHED,
        };
        Self { began: now, ends: now.saturating_add(longest).unwrap_or(Timestamp::MAX) }
    }
}

async fn insert(
    transaction: &mut Transaction,
    id: &str,
    hash: &SecretHash,
    session: &NewSession,
    life: Life,
    now: Timestamp,
) -> Result<()> {
    let seal = |column: &'static str, text: &str| transaction.keys.seal(place(column, id), text.as_bytes());
    let (address, agent) = (seal("address", &session.address), seal("agent", &session.agent));
    let (assurance, factor_at) = write_assurance(session.assurance);
    let insert = "INSERT INTO sessions (hash, id, person, account, stage, assurance, factor_at, sign_in, address, \
                  agent, created_at, seen_at, expires_at) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let bound = values![
        hash.bytes().as_slice(),
        id,
        &session.person,
        session.place.text(),
        session.stage.word(),
        assurance,
        factor_at,
        &session.sign_in,
        address,
        agent,
        life.began,
        now,
        life.ends
    ];
    transaction.execute(insert, bound).await?;
    Ok(())
}

impl Stage {
    const ALL: [Self; 3] = [Self::SecondFactor, Self::Binding, Self::Inside];

    const fn word(self) -> &'static str {
        match self {
            Self::SecondFactor => "second-factor",
            Self::Binding => "binding",
            Self::Inside => "inside",
        }
    }
}

fn write_assurance(assurance: Assurance) -> (&'static str, Option<Timestamp>) {
    match assurance {
        Assurance::Password => ("password", None),
        Assurance::RememberedComputer => ("remembered-computer", None),
        Assurance::SecondFactor { kind, at } => (kind.word(), Some(at)),
    }
}

fn read_assurance(row: &Row) -> Result<Assurance> {
    let word = row.text("assurance")?;
    match (word.as_str(), row.maybe_time("factor_at")?) {
        ("password", None) => Ok(Assurance::Password),
        ("remembered-computer", None) => Ok(Assurance::RememberedComputer),
        (word, Some(at)) if let Some(kind) = Kind::from_word(word) => {
            Ok(Assurance::SecondFactor { kind, at })
        }
        _ => Err(Error::corrupt("sessions", format!("`{word}` is no assurance"))),
    }
}

fn place<'a>(column: &'static str, id: &'a str) -> Place<'a> {
    Place { table: "sessions", column, row: id }
}

fn read(keys: &Keyring, row: &Row, person: Person) -> Result<Session> {
    let id = row.text("id")?;
    let (account, stage) = (row.text("account")?, row.text("stage")?);
    let unknown = |text: &str| Error::corrupt("sessions", format!("`{text}` is not known"));
    let open = |column: &'static str| -> Result<String> {
        Ok(keys.open_text(place(column, &id), &row.bytes(column)?)?.as_str().to_owned())
    };
    Ok(Session {
        person,
        place: Where::from_text(&account).ok_or_else(|| unknown(&account))?,
        stage: Stage::ALL.into_iter().find(|it| it.word() == stage).ok_or_else(|| unknown(&stage))?,
        assurance: read_assurance(row)?,
        sign_in: row.text("sign_in")?,
        address: open("address")?,
        agent: open("agent")?,
        created_at: row.time("created_at")?,
        seen_at: row.time("seen_at")?,
        expires_at: row.time("expires_at")?,
        id,
    })
}
