//! One key for each person: erasing it is how something personal is taken out of a log that never changes.
//!
//! A person is named by an id that says nothing about them. What is sealed under their key (texts in the audit log, say)
//! stays where it is, hash and all, and can be read by nobody once the key is gone. Something new about the same person
//! gets a new key, which opens nothing old.

use jiff::Timestamp;
use ringfence_model::Actor;
use zeroize::Zeroizing;

use crate::audit::{self, NewAudit};
use crate::error::{Error, SealedError};
use crate::keys::MasterKey;
use crate::seal::{self, Keyring, Place, SealingKey};
use crate::sql::{Transaction, values};
use crate::{Result, Store};

impl Store {
    /// Erases a person's key, and with it whatever is sealed under it. Says whether there was one.
    ///
    /// It is final in this database. Backups that were made before still have the key, as long as they are kept.
    pub async fn erase_person(&self, by: &Actor, person: &str, now: Timestamp) -> Result<bool> {
        self.write((by.clone(), person.to_owned(), now), |(by, person, now), transaction| {
            Box::pin(async move {
                let erased = erase(transaction, person, *now).await?;
                if erased {
                    let audit = NewAudit::new("person.erase", format!("person {person}"));
                    audit::append(transaction, by, &audit, *now).await?;
                }
                Ok(erased)
            })
        })
        .await
    }
}

/// Erases the key of a person; whether there was one.
pub(crate) async fn erase(transaction: &mut Transaction, person: &str, now: Timestamp) -> Result<bool> {
    let erase = "UPDATE person_keys SET key = NULL, erased_at = $2 WHERE person = $1 AND key IS NOT NULL";
    Ok(transaction.execute(erase, values![person, now]).await? > 0)
}

/// The key of a person, which is made if there is none.
pub(crate) async fn key(transaction: &mut Transaction, person: &str, now: Timestamp) -> Result<SealingKey> {
    let new = MasterKey::random();
    let place = place(person);
    let sealed = transaction.keys.seal(place, new.bytes());
    // Where two nodes do this at once, one waits for the other and both read the same key below.
    let upsert = "INSERT INTO person_keys (person, key, created_at) VALUES ($1, $2, $3) \
                  ON CONFLICT (person) DO UPDATE SET key = excluded.key, created_at = excluded.created_at \
                  WHERE person_keys.key IS NULL";
    transaction.execute(upsert, values![person, sealed, now]).await?;
    let select = "SELECT key FROM person_keys WHERE person = $1";
    let row = transaction.find(select, values![person]).await?;
    let sealed = row.ok_or_else(|| Error::corrupt(place.to_string(), "it is missing"))?.bytes("key")?;
    Ok(open_key(&transaction.keys, place, &sealed)?)
}

/// Opens a text that was sealed under a person's key, of which `key` is the sealed form.
pub(crate) fn open(
    keys: &Keyring,
    person: &str,
    key: Option<&[u8]>,
    place: Place<'_>,
    sealed: &[u8],
) -> Result<Zeroizing<String>, SealedError> {
    let erased = || SealedError::Erased { place: place.to_string() };
    let key = open_key(keys, self::place(person), key.ok_or_else(erased)?)?;
    if seal::key_id(sealed) != Some(key.id()) {
        return Err(erased()); // of a key that was erased before this one was made
    }
    seal::text(place, &key.open(place, sealed)?)
}

fn open_key(keys: &Keyring, place: Place<'_>, sealed: &[u8]) -> Result<SealingKey, SealedError> {
    let bytes = keys.open(place, sealed)?;
    let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| seal::forged(place))?;
    let key = MasterKey::from_bytes(bytes);
    Ok(SealingKey::new(key.id_bytes(), key.bytes()))
}

fn place(person: &str) -> Place<'_> {
    Place { table: "person_keys", column: "key", row: person }
}
