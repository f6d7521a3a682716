//! Sessions of protected hosts, and the codes that begin them.
//!
//! A host's session stands on the session of the console that it came from: it names it, and is looked up together with it,
//! so whatever ends the one has ended the other. The browser holds 32 random bytes of each, the store their hash.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Actor, Secret};
use ringfence_second_factor::device::SecretHash;
use serde_json::json;

use super::{Person, find, note};
use crate::error::Error;
use crate::sql::{Transaction, values};
use crate::{Result, Store, hex};

/// A code is on its way through one redirect.
const HAND_OVER_FOR: SignedDuration = SignedDuration::from_mins(1);

/// Unused for so long, a host's session is over.
const IDLE: SignedDuration = SignedDuration::from_mins(30);

/// That it was used is written down when so much has passed since.
const SEEN_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// A session of a protected host.
#[derive(Debug, Clone)]
pub struct HostSession {
    /// Whose, as they are now.
    pub person: Person,
    /// The session of the console that it stands on.
    pub session: String,
    /// When it is over, however much it is used: when that one is.
    pub expires_at: Timestamp,
}

/// What became of a code.
#[derive(Debug, Clone)]
pub enum HandedOver {
    /// It was good: the token of the host's session, and whose it is.
    Session(Secret, Box<Person>),
    /// It is no code of this host and this browser, or not any more. It is used up all the same.
    Refused,
}

impl Store {
    /// Makes a code that takes this session of the console to a host, in the browser that holds `began`.
    ///
    /// [`Missing`](Error::Missing) where the session is not there any more.
    pub async fn begin_hand_over(
        &self,
        session: &str,
        host: &str,
        began: &SecretHash,
        now: Timestamp,
    ) -> Result<Secret> {
        let code = Secret::new(hex::write(&crate::random::<32>()));
        let data = (SecretHash::of(code.expose()), session.to_owned(), host.to_owned(), *began, now);
        self.write(data, |(hash, session, host, began, now), transaction| {
            Box::pin(async move {
                living(transaction, session, *now)
                    .await?
                    .ok_or_else(|| Error::missing("session".to_owned()))?;
                // Nobody can have more of them waiting than he can ask for in a minute.
                let delete = "DELETE FROM hand_overs WHERE session = $1 AND expires_at <= $2";
                transaction.execute(delete, values![&*session, *now]).await?;
                let insert = "INSERT INTO hand_overs (hash, host, began, session, expires_at) \
                              VALUES ($1, $2, $3, $4, $5)";
                let expires_at = now.saturating_add(HAND_OVER_FOR).unwrap_or(Timestamp::MAX);
                let (hash, began) = (hash.bytes().as_slice(), began.bytes().as_slice());
                transaction.execute(insert, values![hash, &*host, began, &*session, expires_at]).await
            })
        })
        .await?;
        Ok(code)
    }

    /// Uses a code at a host, in the browser that holds the secret with which it began, and begins a session there, in the
    /// place of the one that `before` was of. Whatever comes of it, the code is used up.
    pub async fn end_hand_over(
        &self,
        code: &Secret,
        host: &str,
        began: Option<&Secret>,
        before: Option<&Secret>,
        now: Timestamp,
    ) -> Result<HandedOver> {
        let token = Secret::new(hex::write(&crate::random::<32>()));
        let of = |secret: &Secret| SecretHash::of(secret.expose());
        let data = (of(code), of(&token), host.to_owned(), began.map(of), before.map(of), now);
        let person = self
            .write(data, |(code, token, host, began, before, now), transaction| {
                Box::pin(async move {
                    let delete = "DELETE FROM hand_overs WHERE hash = $1 RETURNING *";
                    let row = transaction.find(delete, values![code.bytes().as_slice()]).await?;
                    let Some(row) = row else { return Ok(None) };
                    let is_began = began.is_some_and(|it| it.bytes().as_slice() == row.bytes("began").unwrap_or_default());
                    if row.text("host")? != *host || !is_began || row.time("expires_at")? <= *now {
                        return Ok(None);
                    }
                    let session = row.text("session")?;
                    let Some((person, expires_at)) = living(transaction, &session, *now).await? else {
                        return Ok(None);
                    };
                    if let Some(before) = before {
                        let delete = "DELETE FROM host_sessions WHERE hash = $1";
                        transaction.execute(delete, values![before.bytes().as_slice()]).await?;
                    }
                    let insert = "INSERT INTO host_sessions (hash, host, session, created_at, seen_at, expires_at) \
                                  VALUES ($1, $2, $3, $4, $5, $6)";
                    let hash = token.bytes().as_slice();
                    let bound = values![hash, &*host, &session, *now, *now, expires_at];
                    transaction.execute(insert, bound).await?;
                    let by = Actor::Person(person.id.clone());
                    note(transaction, &by, "host.enter", &person.id, json!({ "host": &*host }), *now).await?;
                    Ok(Some(person))
                })
            })
            .await?;
        Ok(person.map_or(HandedOver::Refused, |person| HandedOver::Session(token, Box::new(person))))
    }

    /// The session of a host that this token is of, if it is not over. It costs three reads; that it was used is written
    /// down now and then.
    pub async fn host_session(
        &self,
        token: &Secret,
        host: &str,
        now: Timestamp,
    ) -> Result<Option<HostSession>> {
        let hash = SecretHash::of(token.expose());
        let sql = "SELECT h.session, h.seen_at, h.expires_at, s.person FROM host_sessions h \
                   JOIN sessions s ON s.id = h.session WHERE h.hash = $1 AND h.host = $2 AND s.expires_at > $3";
        let row = self.find(sql, values![hash.bytes().as_slice(), host, now]).await?;
        let Some(row) = row else { return Ok(None) };
        let idle = now.duration_since(row.time("seen_at")?);
        let expires_at = row.time("expires_at")?;
        if now >= expires_at || idle >= IDLE {
            return Ok(None);
        }
        let Some(person) = self.person(&row.text("person")?).await? else { return Ok(None) };
        if person.locked_at.is_some() {
            return Ok(None);
        }
        if idle >= SEEN_AGAIN {
            let noted = self.write((hash, now), |(hash, now), transaction| {
                Box::pin(async move {
                    let update = "UPDATE host_sessions SET seen_at = $2 WHERE hash = $1 AND seen_at < $2";
                    transaction.execute(update, values![hash.bytes().as_slice(), *now]).await
                })
            });
            // What is not noted ends sooner; whoever is in is not kept out for it.
            if let Err(error) = noted.await {
                tracing::warn!(%error, "that a session was used is not noted");
            }
        }
        Ok(Some(HostSession { person, session: row.text("session")?, expires_at }))
    }

    /// Whose session of the console a session of a host stands on, and which, also where nothing is entered with it any
    /// more: whoever leaves a host leaves that one too. `None` where it is over itself.
    pub async fn stands_on(
        &self,
        token: &Secret,
        host: &str,
        now: Timestamp,
    ) -> Result<Option<(Person, String)>> {
        let hash = SecretHash::of(token.expose());
        let sql = "SELECT h.session, s.person FROM host_sessions h JOIN sessions s ON s.id = h.session \
                   WHERE h.hash = $1 AND h.host = $2 AND s.expires_at > $3";
        let row = self.find(sql, values![hash.bytes().as_slice(), host, now]).await?;
        let Some(row) = row else { return Ok(None) };
        let session = row.text("session")?;
        Ok(self.person(&row.text("person")?).await?.map(|person| (person, session)))
    }

    /// The hosts that sessions of a person are at, with the session of the console that each stands on.
    pub async fn hosts_of(&self, person: &str, now: Timestamp) -> Result<Vec<(String, String)>> {
        let sql = "SELECT DISTINCT h.session, h.host FROM host_sessions h JOIN sessions s ON s.id = h.session \
                   WHERE s.person = $1 AND h.expires_at > $2 AND h.seen_at > $3 ORDER BY h.host, h.session";
        let idle = now.saturating_sub(IDLE).unwrap_or(Timestamp::MIN);
        let rows = self.fetch(sql, values![person, now, idle]).await?;
        rows.iter().map(|row| Ok((row.text("session")?, row.text("host")?))).collect()
    }
}

/// Whose session this is and when it is over, if it is inside and not over.
async fn living(
    transaction: &mut Transaction,
    session: &str,
    now: Timestamp,
) -> Result<Option<(Person, Timestamp)>> {
    let select =
        "SELECT person, expires_at FROM sessions WHERE id = $1 AND stage = 'inside' AND expires_at > $2";
    let Some(row) = transaction.find(select, values![session, now]).await? else { return Ok(None) };
    let person = find(transaction, &row.text("person")?).await?;
    let expires_at = row.time("expires_at")?;
    Ok(Some((person, expires_at)).filter(|(person, _)| person.locked_at.is_none()))
}
