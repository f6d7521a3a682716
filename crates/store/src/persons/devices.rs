//! Trusted devices, one row for each browser, person and account. The rules are `second_factor::device`'s.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Actor, Secret};
use ringfence_second_factor::device::{Before, Judgement, MOST, SecretHash, Trust};
use serde_json::json;

use super::{Where, note};
use crate::error::Error;
use crate::seal::{Keyring, Place};
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store, hex};

/// A device to trust.
#[derive(Debug, Clone)]
pub struct NewDevice {
    /// Whose.
    pub person: String,
    /// For which account.
    pub place: Where,
    /// From where, for its owner.
    pub address: String,
    /// Which browser, for its owner.
    pub agent: String,
    /// For how long.
    pub trusted_for: SignedDuration,
}

/// A trusted device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What it is called in lists and in the audit log.
    pub id: String,
    /// Whose.
    pub person: String,
    /// For which account.
    pub place: Where,
    /// From where it was last used.
    pub address: String,
    /// Which browser.
    pub agent: String,
    /// Since when it is trusted.
    pub created_at: Timestamp,
    /// When it was last used.
    pub used_at: Timestamp,
    /// Until when it is trusted.
    pub expires_at: Timestamp,
}

/// What came of a device's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceUsed {
    /// It is trusted; the browser keeps this secret from now on.
    Trusted(Secret),
    /// It is trusted; its new secret is on its way already.
    JustChanged,
    /// There was a copy of it: the trust is over.
    Copied,
    /// It is not trusted.
    Refused,
}

impl Store {
    /// Trusts a device; gives out its secret, `id.secret`. Where there are too many, the one that was unused for the longest
    /// gives way.
    pub async fn trust_device(&self, by: &Actor, device: NewDevice, now: Timestamp) -> Result<Secret> {
        let id = format!("dv_{}", hex::write(&crate::random::<8>()));
        let secret = new_secret(&id);
        let data = (by.clone(), id, SecretHash::of(secret.expose()), device, now);
        self.write(data, |(by, id, hash, device, now), transaction| {
            Box::pin(async move {
                let (address, agent) = sealed(&transaction.keys, id, &device.address, &device.agent);
                let insert = "INSERT INTO devices (id, person, account, hash, address, agent, created_at, used_at, \
                              expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)";
                let expires_at = now.saturating_add(device.trusted_for).unwrap_or(Timestamp::MAX);
                let account = device.place.text();
                let hash = hash.bytes().as_slice();
                let bound = values![id, &device.person, &account, hash, address, agent, *now, expires_at];
                transaction.execute(insert, bound).await?;
                let surplus = "UPDATE devices SET ended_at = $3, ended_why = 'too many' WHERE id IN (SELECT id FROM devices \
                               WHERE person = $1 AND account = $2 AND ended_at IS NULL AND expires_at > $3 \
                               ORDER BY used_at DESC, id LIMIT 1000 OFFSET $4)";
                transaction.execute(surplus, values![&device.person, &account, *now, MOST]).await?;
                let detail = json!({ "device": id, "account": account });
                note(transaction, by, "device.trust", &device.person, detail, *now).await
            })
        })
        .await?;
        Ok(secret)
    }

    /// Judges a secret that a browser presents for this person and account, and changes it if it is good.
    pub async fn use_device(
        &self,
        by: &Actor,
        secret: &Secret,
        person: &str,
        place: Where,
        address: &str,
        now: Timestamp,
    ) -> Result<DeviceUsed> {
        let Some((id, _)) = secret.expose().split_once('.') else { return Ok(DeviceUsed::Refused) };
        let (id, next) = (id.to_owned(), new_secret(id));
        let presented = SecretHash::of(secret.expose());
        let owner = (person.to_owned(), place.text());
        let data = (by.clone(), id, owner, presented, SecretHash::of(next.expose()), address.to_owned(), now);
        let judgement = self
            .write(data, |(by, id, (person, account), presented, next, address, now), transaction| {
                Box::pin(async move {
                    // The lock of the row: of two tabs, the second sees what the first has made of it.
                    let lock = "UPDATE devices SET used_at = used_at WHERE id = $1 AND person = $2 AND account = $3";
                    if transaction.execute(lock, values![id, person, account]).await? == 0 {
                        return Ok(Judgement::Refused);
                    }
                    let row = transaction.find("SELECT * FROM devices WHERE id = $1", values![id]).await?;
                    let row = row.ok_or_else(|| Error::missing(format!("device {id}")))?;
                    let trust = read_trust(&transaction.keys, &row)?;
                    let judgement = trust.judge(presented, address, *now);
                    match judgement {
                        Judgement::Trusted => {
                            let (sealed, _) = sealed(&transaction.keys, id, address, "");
                            let update = "UPDATE devices SET before_hash = hash, before_since = $3, hash = $2, \
                                          used_at = $3, address = $4 WHERE id = $1";
                            let bound = values![id, next.bytes().as_slice(), *now, sealed];
                            transaction.execute(update, bound).await?;
                        }
                        Judgement::Copied => {
                            let why = "a secret that was used up came again";
                            end(transaction, id, why, *now).await?;
                            let detail = json!({ "device": id, "why": why });
                            note(transaction, by, "device.end", person, detail, *now).await?;
                        }
                        Judgement::JustChanged | Judgement::Refused => {}
                    }
                    Ok(judgement)
                })
            })
            .await?;
        Ok(match judgement {
            Judgement::Trusted => DeviceUsed::Trusted(next),
            Judgement::JustChanged => DeviceUsed::JustChanged,
            Judgement::Copied => DeviceUsed::Copied,
            Judgement::Refused => DeviceUsed::Refused,
        })
    }

    /// The devices that a person has trusted, the last used first.
    pub async fn devices(&self, person: &str, now: Timestamp) -> Result<Vec<Device>> {
        let sql = "SELECT * FROM devices WHERE person = $1 AND ended_at IS NULL AND expires_at > $2 \
                   ORDER BY used_at DESC, id";
        self.fetch(sql, values![person, now]).await?.iter().map(|row| read(&self.keys, row)).collect()
    }

    /// Ends the trust in one device of a person, or in all. How many there were.
    pub async fn end_devices(
        &self,
        by: &Actor,
        person: &str,
        device: Option<&str>,
        now: Timestamp,
    ) -> Result<u64> {
        let data = (by.clone(), person.to_owned(), device.map(str::to_owned), now);
        self.write(data, |(by, person, device, now), transaction| {
            Box::pin(async move {
                let why = "revoked";
                let ended = end_all(transaction, person, device.as_deref(), why, *now).await?;
                if ended > 0 {
                    let detail = json!({ "device": device.as_deref().unwrap_or("all"), "why": why });
                    note(transaction, by, "device.end", person, detail, *now).await?;
                }
                Ok(ended)
            })
        })
        .await
    }
}

pub(super) async fn end_all(
    transaction: &mut Transaction,
    person: &str,
    device: Option<&str>,
    why: &str,
    now: Timestamp,
) -> Result<u64> {
    let update = "UPDATE devices SET ended_at = $2, ended_why = $3 WHERE person = $1 AND ended_at IS NULL \
                  AND ($4 = '' OR id = $4)";
    transaction.execute(update, values![person, now, why, device.unwrap_or_default()]).await
}

pub(super) async fn end_all_of_account(
    transaction: &mut Transaction,
    place: Where,
    why: &str,
    now: Timestamp,
) -> Result<u64> {
    let update = "UPDATE devices SET ended_at = $2, ended_why = $3 WHERE account = $1 AND ended_at IS NULL";
    transaction.execute(update, values![place.text(), now, why]).await
}

async fn end(transaction: &mut Transaction, id: &str, why: &str, now: Timestamp) -> Result<()> {
    let update = "UPDATE devices SET ended_at = $2, ended_why = $3 WHERE id = $1";
    transaction.execute(update, values![id, now, why]).await?;
    Ok(())
}

fn new_secret(id: &str) -> Secret {
    Secret::new(format!("{id}.{}", hex::write(&crate::random::<32>())))
}

fn sealed(keys: &Keyring, id: &str, address: &str, agent: &str) -> (Vec<u8>, Vec<u8>) {
    (keys.seal(place("address", id), address.as_bytes()), keys.seal(place("agent", id), agent.as_bytes()))
}

fn place<'a>(column: &'static str, id: &'a str) -> Place<'a> {
    Place { table: "devices", column, row: id }
}

fn read(keys: &Keyring, row: &Row) -> Result<Device> {
    let (id, account) = (row.text("id")?, row.text("account")?);
    let unknown = || Error::corrupt("devices", format!("`{account}` is no account"));
    let open = |column: &'static str| -> Result<String> {
        Ok(keys.open_text(place(column, &id), &row.bytes(column)?)?.as_str().to_owned())
    };
    Ok(Device {
        person: row.text("person")?,
        place: Where::from_text(&account).ok_or_else(unknown)?,
        address: open("address")?,
        agent: open("agent")?,
        created_at: row.time("created_at")?,
        used_at: row.time("used_at")?,
        expires_at: row.time("expires_at")?,
        id,
    })
}

fn read_trust(keys: &Keyring, row: &Row) -> Result<Trust> {
    let hash = |bytes: Vec<u8>| {
        let bytes = <[u8; 32]>::try_from(bytes.as_slice());
        bytes.map(SecretHash::from_bytes).map_err(|_| Error::corrupt("devices", "a hash has not 32 bytes"))
    };
    let before = match (row.maybe_bytes("before_hash")?, row.maybe_time("before_since")?) {
        (Some(bytes), Some(since)) => {
            Some(Before { hash: hash(bytes)?, since, address: read(keys, row)?.address })
        }
        _ => None,
    };
    Ok(Trust {
        expires_at: row.time("expires_at")?,
        revoked: row.maybe_time("ended_at")?.is_some(),
        current: hash(row.bytes("hash")?)?,
        before,
    })
}
