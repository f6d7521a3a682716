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

    /// Judges a secret that a browser presents for this person and account, without giving out another: what is asked for
    /// before it is known whether the trust is needed. A copy ends the trust here too.
    pub async fn judge_device(
        &self,
        by: &Actor,
        secret: &Secret,
        person: &str,
        place: Where,
        address: &str,
        now: Timestamp,
    ) -> Result<Judgement> {
        self.present(by, secret, None, (person, place), address, now).await
    }

    /// Judges a secret that a browser presents for this person and account, and gives out the next one if it is good. The
    /// one that was presented stays good until the next one is [seen](Store::see_devices).
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
        let next = new_secret(id);
        let hash = SecretHash::of(next.expose());
        Ok(match self.present(by, secret, Some(hash), (person, place), address, now).await? {
            Judgement::Trusted => DeviceUsed::Trusted(next),
            Judgement::JustChanged => DeviceUsed::JustChanged,
            Judgement::Copied => DeviceUsed::Copied,
            Judgement::Refused => DeviceUsed::Refused,
        })
    }

    async fn present(
        &self,
        by: &Actor,
        secret: &Secret,
        next: Option<SecretHash>,
        (person, place): (&str, Where),
        address: &str,
        now: Timestamp,
    ) -> Result<Judgement> {
        let Some((id, _)) = secret.expose().split_once('.') else { return Ok(Judgement::Refused) };
        let presented = SecretHash::of(secret.expose());
        let owner = (person.to_owned(), place.text());
        let data = (by.clone(), id.to_owned(), owner, presented, next, address.to_owned(), now);
        self.write(data, |(by, id, (person, account), presented, next, address, now), transaction| {
            Box::pin(async move {
                // The lock of the row: of two tabs, the second sees what the first has made of it.
                let lock =
                    "UPDATE devices SET used_at = used_at WHERE id = $1 AND person = $2 AND account = $3";
                if transaction.execute(lock, values![id, person, account]).await? == 0 {
                    return Ok(Judgement::Refused);
                }
                let row = transaction.find("SELECT * FROM devices WHERE id = $1", values![id]).await?;
                let row = row.ok_or_else(|| Error::missing(format!("device {id}")))?;
                let trust = read_trust(&transaction.keys, &row)?;
                let judgement = trust.judge(presented, address, *now);
                match (judgement, next) {
                    (Judgement::Trusted, Some(next)) => {
                        let trust = trust.seen(presented, address, *now).renewed(*next, *now);
                        write_trust(transaction, id, &trust, address, *now).await?;
                    }
                    (Judgement::Copied, _) => {
                        let why = "a secret that was used up came again";
                        end(transaction, id, why, *now).await?;
                        let detail = json!({ "device": id, "why": why });
                        note(transaction, by, "device.end", person, detail, *now).await?;
                    }
                    (Judgement::Trusted | Judgement::JustChanged | Judgement::Refused, _) => {}
                }
                Ok(judgement)
            })
        })
        .await
    }

    /// The browser of a session sends these secrets: one that was on its way to a device of this person has arrived, and
    /// the one before it is used up.
    pub async fn see_devices(
        &self,
        secrets: &[Secret],
        person: &str,
        address: &str,
        now: Timestamp,
    ) -> Result<()> {
        let waiting = "SELECT id, next_hash FROM devices WHERE person = $1 AND ended_at IS NULL \
                       AND next_hash IS NOT NULL";
        for row in self.fetch(waiting, values![person]).await? {
            let (id, next) = (row.text("id")?, row.bytes("next_hash")?);
            let arrived = secrets.iter().map(|secret| SecretHash::of(secret.expose()));
            let Some(arrived) = arrived.into_iter().find(|hash| hash.bytes().as_slice() == next) else {
                continue;
            };
            self.write((id, arrived, address.to_owned(), now), |(id, arrived, address, now), transaction| {
                Box::pin(async move {
                    let lock = "UPDATE devices SET used_at = used_at WHERE id = $1 AND next_hash = $2";
                    if transaction.execute(lock, values![id, arrived.bytes().as_slice()]).await? == 0 {
                        return Ok(());
                    }
                    let row = transaction.find("SELECT * FROM devices WHERE id = $1", values![id]).await?;
                    let row = row.ok_or_else(|| Error::missing(format!("device {id}")))?;
                    let trust = read_trust(&transaction.keys, &row)?.seen(arrived, address, *now);
                    write_trust(transaction, id, &trust, address, *now).await
                })
            })
            .await?;
        }
        Ok(())
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
    let next = match (row.maybe_bytes("next_hash")?, row.maybe_time("next_since")?) {
        (Some(bytes), Some(since)) => Some((hash(bytes)?, since)),
        _ => None,
    };
    let used_up = row.maybe_bytes("used_up")?.unwrap_or_default();
    let used_up: Result<Vec<_>> = used_up.chunks(32).map(|bytes| hash(bytes.to_vec())).collect();
    Ok(Trust {
        expires_at: row.time("expires_at")?,
        revoked: row.maybe_time("ended_at")?.is_some(),
        current: hash(row.bytes("hash")?)?,
        next,
        before,
        used_up: used_up?,
    })
}

async fn write_trust(
    transaction: &mut Transaction,
    id: &str,
    trust: &Trust,
    address: &str,
    now: Timestamp,
) -> Result<()> {
    let (address, _) = sealed(&transaction.keys, id, address, "");
    let bytes = |hash: &SecretHash| hash.bytes().to_vec();
    let before = trust.before.as_ref().map(|before| bytes(&before.hash));
    let before_since = trust.before.as_ref().map(|before| before.since);
    let next = trust.next.as_ref().map(|(hash, _)| bytes(hash));
    let next_since = trust.next.map(|(_, since)| since);
    let used_up: Vec<u8> = trust.used_up.iter().flat_map(|hash| *hash.bytes()).collect();
    let update = "UPDATE devices SET hash = $2, before_hash = $3, before_since = $4, next_hash = $5, next_since = $6, \
                  used_up = $7, used_at = $8, address = $9 WHERE id = $1";
    let bound = values![
        id,
        trust.current.bytes().as_slice(),
        before,
        before_since,
        next,
        next_since,
        used_up,
        now,
        address
    ];
    transaction.execute(update, bound).await?;
    Ok(())
}
