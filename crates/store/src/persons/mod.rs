//! People who sign in: who they are, what they may do, how they prove it.
//!
//! A person is an id that says nothing, a login (a mail address) that is sealed and found by its tag, and rows in the
//! tables beside this file. What ends trust ends it here, in the transaction that gives the reason: a changed password
//! ends sessions and trusted devices, a removed person leaves nothing but the audit log.

mod attempts;
mod because;
mod counting;
mod devices;
mod factors;
mod hosts;
mod passkeys;
mod roles;
mod sessions;
mod sign_ins;
mod single_use;
mod told;

use std::collections::HashMap;

use jiff::Timestamp;
use ringfence_model::{Actor, Secret};
use serde_json::json;
use unicode_normalization::UnicodeNormalization as _;

pub use because::Because;
pub use devices::{Device, DeviceUsed, NewDevice, ShownDevice, Trusted};
pub use factors::{Factor, FactorSecret, NewFactor};
pub use hosts::{HandedOver, HostSession};
pub use passkeys::{NewPasskey, PasskeyPurpose, ShownPasskey, StoredPasskey};
pub(crate) use passkeys::{known as known_transports, read_passkey};
pub use roles::{AccountPolicy, Grant, Role, Where};
pub use sessions::{NewSession, Session, Stage};
pub use sign_ins::{SignIn, SignInOutcome};
pub use single_use::{Purpose, Redeemed};
pub use told::Told;

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::seal::{Keyring, Place};
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store, hex, people};

/// What tags of logins are made for.
const LOGIN: &str = "login";

/// Somebody who signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// What they are called in the audit log.
    pub id: String,
    /// The mail address that they sign in with, in lower case.
    pub login: String,
    /// What they may do, and where.
    pub grants: Vec<Grant>,
    /// Whether they have set a password.
    pub has_password: bool,
    /// When they last set it.
    pub password_changed_at: Option<Timestamp>,
    /// Since when nobody can sign in as them.
    pub locked_at: Option<Timestamp>,
    /// When they were added.
    pub created_at: Timestamp,
}

/// A login as it is compared: without spaces around it, in lower case, however a keyboard composes its letters (NFC).
pub fn normal_login(login: &str) -> String {
    login.trim().to_lowercase().nfc().collect()
}

/// What is done to somebody's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// They are locked out, unless that leaves no owner of everything who is not: nobody could let them in again.
    Out,
    /// They are locked out, whoever they are: by themselves, or where it was said explicitly.
    OutEvenTheLastOwner,
    /// They are let in again.
    Off,
}

impl Store {
    /// Adds a person. A conflict says that somebody has this login.
    pub async fn add_person(
        &self,
        by: impl Into<Because>,
        login: &str,
        grants: Vec<Grant>,
        now: Timestamp,
    ) -> Result<Person> {
        let id = format!("ps_{}", hex::write(&crate::random::<8>()));
        let login = normal_login(login);
        let tag = self.factor_keys().await?.tags.tag(LOGIN, &login);
        let data = (by.into(), id, login, tag, grants, now);
        self.write(data, |(by, id, login, tag, grants, now), transaction| {
            Box::pin(async move {
                let sealed = transaction.keys.seal(place("login", id), login.as_bytes());
                let insert = "INSERT INTO persons (id, login_tag, login, created_at) VALUES ($1, $2, $3, $4) \
                              ON CONFLICT (login_tag) DO NOTHING";
                if transaction.execute(insert, values![id, tag, sealed, *now]).await? == 0 {
                    return Err(Error::conflict("a person with this login"));
                }
                let audit = NewAudit::new("person.add", format!("person {id}")).about(id, login);
                let audit = audit.with(by.detail(json!({})));
                audit::append(transaction, &by.by, &audit, *now).await?;
                for grant in grants {
                    roles::set(transaction, by, id, grant, *now).await?;
                }
                find(transaction, id).await
            })
        })
        .await
    }

    /// The person with this id.
    pub async fn person(&self, id: &str) -> Result<Option<Person>> {
        let row = self.find("SELECT * FROM persons WHERE id = $1", values![id]).await?;
        let Some(row) = row else { return Ok(None) };
        let grants =
            self.fetch("SELECT * FROM roles WHERE person = $1 ORDER BY account", values![id]).await?;
        Ok(Some(read(&self.keys, &row, &grants)?))
    }

    /// The person who signs in so, with the hash of their password. It is looked for somebody and nobody by the same
    /// statements, so that the time that it takes does not tell who there is.
    pub async fn person_by_login(&self, login: &str) -> Result<Option<(Person, Option<Secret>)>> {
        let tag = self.factor_keys().await?.tags.tag(LOGIN, &normal_login(login));
        let row = self.find("SELECT * FROM persons WHERE login_tag = $1", values![tag]).await?;
        let id = row.as_ref().map(|row| row.text("id")).transpose()?.unwrap_or_default();
        let roles = "SELECT * FROM roles WHERE person = $1 ORDER BY account";
        let grants = self.fetch(roles, values![id.as_str()]).await?;
        let Some(row) = row else { return Ok(None) };
        let password = match row.maybe_bytes("password")? {
            Some(sealed) => {
                let text = self.keys.open_text(place("password", &id), &sealed)?;
                Some(Secret::new(text.as_str()))
            }
            None => None,
        };
        Ok(Some((read(&self.keys, &row, &grants)?, password)))
    }

    /// Everybody, those who came first at the front.
    pub async fn persons(&self) -> Result<Vec<Person>> {
        let rows = self.fetch("SELECT * FROM persons ORDER BY created_at, id", values![]).await?;
        let mut grants: HashMap<String, Vec<Row>> = HashMap::new();
        for grant in self.fetch("SELECT * FROM roles ORDER BY account", values![]).await? {
            grants.entry(grant.text("person")?).or_default().push(grant);
        }
        let of =
            |row: &Row| -> Result<&[Row]> { Ok(grants.get(&row.text("id")?).map_or(&[], Vec::as_slice)) };
        rows.iter().map(|row| read(&self.keys, row, of(row)?)).collect()
    }

    /// Whether there is anybody yet.
    pub async fn has_persons(&self) -> Result<bool> {
        Ok(self.find("SELECT id FROM persons LIMIT 1", values![]).await?.is_some())
    }

    /// Sets the hash of a password, which ends all sessions and trusted devices, and links to set another one. Whoever is told
    /// is told in the same transaction.
    pub async fn set_password(
        &self,
        by: &Actor,
        person: &str,
        hash: &Secret,
        told: Told,
        now: Timestamp,
    ) -> Result<()> {
        let data = (by.clone(), person.to_owned(), hash.clone(), told, now);
        self.write(data, |(by, person, hash, told, now), transaction| {
            Box::pin(async move {
                set_password(transaction, by, person, hash, *now).await?;
                told.write(transaction, &[], *now).await
            })
        })
        .await
    }

    /// Locks a person out, which ends all sessions and devices, or lets them in again. Says whether it changed anything.
    ///
    /// # Errors
    ///
    /// A conflict where [`Lock::Out`] would leave no owner of everything who is not locked out.
    pub async fn lock_person(
        &self,
        by: impl Into<Because>,
        person: &str,
        how: Lock,
        now: Timestamp,
    ) -> Result<bool> {
        let data = (by.into(), person.to_owned(), how, now);
        self.write(data, |(by, person, how, now), transaction| {
            Box::pin(async move { lock_out(transaction, by, person, *how, *now).await })
        })
        .await
    }

    /// Removes a person and everything that is theirs; what the audit log says about them becomes unreadable.
    pub async fn remove_person(&self, by: impl Into<Because>, person: &str, now: Timestamp) -> Result<()> {
        self.write((by.into(), person.to_owned(), now), |(by, person, now), transaction| {
            Box::pin(async move {
                lock(transaction, person).await?;
                roles::keep_an_owner(transaction, by, person, None).await?;
                let deletes = [
                    "DELETE FROM roles WHERE person = $1",
                    "DELETE FROM failures WHERE subject IN (SELECT 'factor/' || id FROM factors WHERE person = $1)",
                    "DELETE FROM factors WHERE person = $1",
                    "DELETE FROM passkeys WHERE person = $1",
                    "DELETE FROM passkey_challenges WHERE person = $1",
                    "DELETE FROM single_use_codes WHERE person = $1",
                    "DELETE FROM host_sessions WHERE session IN (SELECT id FROM sessions WHERE person = $1)",
                    "DELETE FROM hand_overs WHERE session IN (SELECT id FROM sessions WHERE person = $1)",
                    "DELETE FROM sessions WHERE person = $1",
                    "DELETE FROM devices WHERE person = $1",
                    "DELETE FROM sign_ins WHERE person = $1",
                ];
                for delete in deletes {
                    transaction.execute(delete, values![person]).await?;
                }
                let gone = transaction.execute("DELETE FROM persons WHERE id = $1", values![person]).await?;
                changed(gone, person)?;
                people::erase(transaction, person, *now).await?;
                note(transaction, &by.by, "person.remove", person, by.detail(json!({})), *now).await
            })
        })
        .await
    }
}

async fn set_password(
    transaction: &mut Transaction,
    by: &Actor,
    person: &str,
    hash: &Secret,
    now: Timestamp,
) -> Result<()> {
    let sealed = transaction.keys.seal(place("password", person), hash.expose().as_bytes());
    let update = "UPDATE persons SET password = $2, password_changed_at = $3 WHERE id = $1";
    changed(transaction.execute(update, values![person, sealed, now]).await?, person)?;
    single_use::end_unused(transaction, person, Purpose::ResetPassword).await?;
    end_trust(transaction, person, "the password was changed", now).await?;
    note(transaction, by, "person.password", person, json!({}), now).await
}

/// Ends every session and trusted device of a person.
async fn end_trust(transaction: &mut Transaction, person: &str, why: &str, now: Timestamp) -> Result<()> {
    transaction.execute("DELETE FROM sessions WHERE person = $1", values![person]).await?;
    devices::end_all(transaction, person, None, why, now).await?;
    Ok(())
}

/// Locks a person out, or lets them in again. Says whether it changed anything.
async fn lock_out(
    transaction: &mut Transaction,
    by: &Because,
    person: &str,
    how: Lock,
    now: Timestamp,
) -> Result<bool> {
    find(transaction, person).await?;
    let (update, action) = match how {
        Lock::Out | Lock::OutEvenTheLastOwner => {
            ("UPDATE persons SET locked_at = $2 WHERE id = $1 AND locked_at IS NULL", "person.lock")
        }
        Lock::Off => (
            "UPDATE persons SET locked_at = NULL WHERE id = $1 AND locked_at IS NOT NULL AND $2 > 0",
            "person.unlock",
        ),
    };
    if transaction.execute(update, values![person, now]).await? == 0 {
        return Ok(false);
    }
    if how == Lock::Out {
        roles::keep_an_owner(transaction, by, person, None).await?;
    }
    if how != Lock::Off {
        end_trust(transaction, person, "the person was locked", now).await?;
    }
    note(transaction, &by.by, action, person, by.detail(json!({})), now).await?;
    Ok(true)
}

/// Of two changes of what lets a person in, the second sees what the first has left: a session or a device that is just made
/// is in no snapshot of what ends them all.
async fn lock(transaction: &mut Transaction, person: &str) -> Result<()> {
    let lock = "UPDATE persons SET created_at = created_at WHERE id = $1";
    transaction.execute(lock, values![person]).await?;
    Ok(())
}

async fn find(transaction: &mut Transaction, id: &str) -> Result<Person> {
    let row = transaction.find("SELECT * FROM persons WHERE id = $1", values![id]).await?;
    let row = row.ok_or_else(|| Error::missing(format!("person {id}")))?;
    let grants = "SELECT * FROM roles WHERE person = $1 ORDER BY account";
    let grants = transaction.fetch(grants, values![id]).await?;
    read(&transaction.keys, &row, &grants)
}

/// A person, with the rows of what they may do.
fn read(keys: &Keyring, row: &Row, grants: &[Row]) -> Result<Person> {
    let id = row.text("id")?;
    Ok(Person {
        login: keys.open_text(place("login", &id), &row.bytes("login")?)?.as_str().to_owned(),
        grants: grants.iter().map(roles::read).collect::<Result<_>>()?,
        has_password: row.maybe_bytes("password")?.is_some(),
        password_changed_at: row.maybe_time("password_changed_at")?,
        locked_at: row.maybe_time("locked_at")?,
        created_at: row.time("created_at")?,
        id,
    })
}

fn place<'a>(column: &'static str, id: &'a str) -> Place<'a> {
    Place { table: "persons", column, row: id }
}

fn changed(rows: u64, person: &str) -> Result<()> {
    if rows == 0 { Err(Error::missing(format!("person {person}"))) } else { Ok(()) }
}

async fn note(
    transaction: &mut Transaction,
    by: &Actor,
    action: &str,
    person: &str,
    detail: serde_json::Value,
    now: Timestamp,
) -> Result<()> {
    let audit = NewAudit::new(action, format!("person {person}")).with(detail);
    audit::append(transaction, by, &audit, now).await?;
    Ok(())
}
