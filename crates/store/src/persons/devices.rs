//! Trusted devices, one row for each browser, person and account. The rules are `second_factor::device`'s.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Actor, Secret};
use ringfence_second_factor::device::{Before, DeviceKey, Judgement, MOST, Trust, device_of};
use ringfence_second_factor::policy::Kind;
use serde_json::json;

use super::{Because, Told, Where, lock, lock_in, note, sessions};
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
    /// By which kind of factor: where that does not do any more, neither does the trust.
    pub kind: Kind,
    /// From where, for its owner.
    pub address: String,
    /// Which browser, for its owner.
    pub agent: String,
    /// For how long.
    pub trusted_for: SignedDuration,
    /// In which session: where that has ended meanwhile, so has what it would have trusted.
    pub session: Option<String>,
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
    /// By which kind of factor it was trusted.
    pub kind: Kind,
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

/// What the trust in a device rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// What the device is called.
    pub device: String,
    /// By which kind of factor it was trusted.
    pub kind: Kind,
    /// When.
    pub since: Timestamp,
}

/// A secret that a browser presents as that of a trusted device.
#[derive(Debug, Clone)]
pub struct ShownDevice {
    /// The secret, [`DeviceKey::token`].
    pub secret: Secret,
    /// Whose the device is to be.
    pub person: String,
    /// For which account.
    pub place: Where,
    /// From where it comes.
    pub address: String,
    /// Who hears of it where there is a copy: then the person's sessions that stand on a remembered computer end as well.
    pub told: Told,
}

/// What came of a device's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceUsed {
    /// It is trusted; the browser keeps this secret from now on.
    Trusted(Secret),
    /// It is trusted; its secret was changed just now.
    JustChanged,
    /// There was a copy of it: the trust is over, and so are sessions that stand on a remembered computer.
    Copied,
    /// It is not trusted.
    Refused,
}

impl Store {
    /// Trusts a device; gives out its secret, [`DeviceKey::token`]. Where there are too many, the one that was unused for
    /// the longest gives way. [`Missing`](Error::Missing) where the session is over in which it was to be trusted.
    pub async fn trust_device(&self, by: &Actor, device: NewDevice, now: Timestamp) -> Result<Secret> {
        let id = format!("dv_{}", hex::write(&crate::random::<8>()));
        let key = DeviceKey::new(crate::random());
        let expires_at = now.saturating_add(device.trusted_for).unwrap_or(Timestamp::MAX);
        let trust = Trust::begun(expires_at);
        let secret = key.token(&id, trust.current);
        let data = (by.clone(), id, key, trust, device, now);
        self.write(data, |(by, id, key, trust, device, now), transaction| {
            Box::pin(async move {
                lock_in(transaction, &device.person, device.session.as_deref()).await?;
                let (address, agent) = sealed(&transaction.keys, id, &device.address, &device.agent);
                let key = transaction.keys.seal(place("key", id), key.bytes());
                let insert = "INSERT INTO devices (id, person, account, key, number, address, agent, created_at, \
                              used_at, expires_at, kind) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10)";
                let (account, kind) = (device.place.text(), device.kind.word());
                let (number, expires_at) = (i64::from(trust.current), trust.expires_at);
                let bound =
                    values![id, &device.person, &account, key, number, address, agent, *now, expires_at, kind];
                transaction.execute(insert, bound).await?;
                let surplus = "UPDATE devices SET ended_at = $3, ended_why = 'too many' WHERE id IN (SELECT id FROM devices \
                               WHERE person = $1 AND account = $2 AND ended_at IS NULL AND expires_at > $3 \
                               ORDER BY used_at DESC, id LIMIT 1000 OFFSET $4)";
                transaction.execute(surplus, values![&device.person, &account, *now, MOST]).await?;
                let detail = json!({ "device": id, "account": account, "by": kind });
                note(transaction, by, "device.trust", &device.person, detail, *now).await
            })
        })
        .await?;
        Ok(secret)
    }

    /// Judges a secret that a browser presents, without giving out another: what is asked for before it is known whether the
    /// trust is needed. A copy ends the trust here too.
    pub async fn judge_device(&self, by: &Actor, shown: &ShownDevice, now: Timestamp) -> Result<Judgement> {
        Ok(self.present(by, shown, false, now).await?.0)
    }

    /// Judges a secret that a browser presents, and gives out the next one if it is good and was not changed just now. The one
    /// that was presented stays good until the next one is [seen](Store::see_devices).
    pub async fn use_device(&self, by: &Actor, shown: &ShownDevice, now: Timestamp) -> Result<DeviceUsed> {
        let (judgement, next) = self.present(by, shown, true, now).await?;
        Ok(match (judgement, next) {
            (Judgement::Trusted, Some(next)) => DeviceUsed::Trusted(next),
            (Judgement::Trusted | Judgement::JustChanged, _) => DeviceUsed::JustChanged,
            (Judgement::Copied, _) => DeviceUsed::Copied,
            (Judgement::Refused, _) => DeviceUsed::Refused,
        })
    }

    async fn present(
        &self,
        by: &Actor,
        shown: &ShownDevice,
        is_used: bool,
        now: Timestamp,
    ) -> Result<(Judgement, Option<Secret>)> {
        let Some(id) = device_of(&shown.secret) else { return Ok((Judgement::Refused, None)) };
        let data = (by.clone(), id.to_owned(), shown.clone(), is_used, now);
        self.write(data, |(by, id, shown, is_used, now), transaction| {
            Box::pin(async move {
                let ShownDevice { secret, person, place, address, told } = shown;
                lock(transaction, person).await?;
                // The lock of the row: of two tabs, the second sees what the first has made of it.
                let own =
                    "UPDATE devices SET used_at = used_at WHERE id = $1 AND person = $2 AND account = $3";
                if transaction.execute(own, values![id, person, place.text()]).await? == 0 {
                    return Ok((Judgement::Refused, None));
                }
                let row = transaction.find("SELECT * FROM devices WHERE id = $1", values![id]).await?;
                let row = row.ok_or_else(|| Error::missing(format!("device {id}")))?;
                let (key, trust) = (read_key(&transaction.keys, &row)?, read_trust(&transaction.keys, &row)?);
                let presented = key.number(id, secret);
                let judgement = trust.judge(presented, address, *now);
                match (judgement, presented) {
                    (Judgement::Trusted, Some(presented)) if *is_used => {
                        let (trust, next) = trust.seen(presented, address, *now).renewed(*now);
                        write_trust(transaction, id, &trust, address, *now).await?;
                        return Ok((judgement, Some(key.token(id, next))));
                    }
                    (Judgement::JustChanged, Some(presented)) if *is_used => {
                        let seen = trust.clone().seen(presented, address, *now);
                        if seen != trust {
                            write_trust(transaction, id, &seen, address, *now).await?;
                        }
                    }
                    (Judgement::Copied, _) => {
                        let why = "a secret that was used up came again";
                        end(transaction, id, why, *now).await?;
                        // Which of the two browsers a session is of nobody knows, nor whether a thief got it by this trust.
                        let sessions = sessions::end_remembered(transaction, person).await?;
                        let detail = json!({ "device": id, "why": why, "sessions": sessions });
                        note(transaction, by, "device.end", person, detail, *now).await?;
                        told.write(transaction, &[], *now).await?;
                    }
                    _ => {}
                }
                Ok((judgement, None))
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
        let waiting =
            "SELECT * FROM devices WHERE person = $1 AND ended_at IS NULL AND next_number IS NOT NULL";
        for row in self.fetch(waiting, values![person]).await? {
            let (id, next) = (row.text("id")?, read_number(&row, "next_number")?);
            let key = read_key(&self.keys, &row)?;
            let shown = |secret: &Secret| next.is_some_and(|next| key.number(&id, secret) == Some(next));
            let Some(arrived) = next.filter(|_| secrets.iter().any(shown)) else { continue };
            self.write((id, arrived, address.to_owned(), now), |(id, arrived, address, now), transaction| {
                Box::pin(async move {
                    let lock = "UPDATE devices SET used_at = used_at WHERE id = $1 AND next_number = $2";
                    if transaction.execute(lock, values![id, i64::from(*arrived)]).await? == 0 {
                        return Ok(());
                    }
                    let row = transaction.find("SELECT * FROM devices WHERE id = $1", values![id]).await?;
                    let row = row.ok_or_else(|| Error::missing(format!("device {id}")))?;
                    let trust = read_trust(&transaction.keys, &row)?.seen(*arrived, address, *now);
                    write_trust(transaction, id, &trust, address, *now).await
                })
            })
            .await?;
        }
        Ok(())
    }

    /// The devices that a person has trusted for this account, and by what.
    pub async fn trusted_devices(&self, person: &str, place: Where, now: Timestamp) -> Result<Vec<Trusted>> {
        let sql = "SELECT id, kind, created_at FROM devices WHERE person = $1 AND account = $2 AND ended_at IS NULL \
                   AND expires_at > $3 ORDER BY used_at DESC, id";
        let rows = self.fetch(sql, values![person, place.text(), now]).await?;
        let trusted = |row: &Row| {
            Ok(Trusted { device: row.text("id")?, kind: read_kind(row)?, since: row.time("created_at")? })
        };
        rows.iter().map(trusted).collect()
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
                lock(transaction, person).await?;
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

    /// Ends the trust in all devices of a person, who is told in the same transaction if there were any. How many there were.
    pub async fn end_all_devices(
        &self,
        by: impl Into<Because>,
        person: &str,
        told: Told,
        now: Timestamp,
    ) -> Result<u64> {
        let data = (by.into(), person.to_owned(), told, now);
        self.write(data, |(by, person, told, now), transaction| {
            Box::pin(async move {
                let why = "revoked";
                lock(transaction, person).await?;
                let ended = end_all(transaction, person, None, why, *now).await?;
                if ended > 0 {
                    let detail = by.detail(json!({ "device": "all", "why": why }));
                    note(transaction, &by.by, "device.end", person, detail, *now).await?;
                    told.write(transaction, &[], *now).await?;
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

/// Those that one of the saved codes made trusted.
pub(super) async fn end_all_by_codes(
    transaction: &mut Transaction,
    person: &str,
    now: Timestamp,
) -> Result<u64> {
    let update = "UPDATE devices SET ended_at = $2, ended_why = 'the saved codes were taken away' \
                  WHERE person = $1 AND kind = $3 AND ended_at IS NULL";
    transaction.execute(update, values![person, now, Kind::RecoveryCode.word()]).await
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
        kind: read_kind(row)?,
        address: open("address")?,
        agent: open("agent")?,
        created_at: row.time("created_at")?,
        used_at: row.time("used_at")?,
        expires_at: row.time("expires_at")?,
        id,
    })
}

fn read_kind(row: &Row) -> Result<Kind> {
    let kind = row.text("kind")?;
    Kind::from_word(&kind).ok_or_else(|| Error::corrupt("devices", format!("`{kind}` is no kind of factor")))
}

fn read_key(keys: &Keyring, row: &Row) -> Result<DeviceKey> {
    let id = row.text("id")?;
    let opened = keys.open(place("key", &id), &row.bytes("key")?)?;
    let bytes = <[u8; 32]>::try_from(opened.as_slice());
    bytes.map(DeviceKey::new).map_err(|_| Error::corrupt("devices", "a key has not 32 bytes"))
}

fn read_number(row: &Row, column: &str) -> Result<Option<u32>> {
    let number = row.maybe_int(column)?.map(u32::try_from).transpose();
    number.map_err(|_| Error::corrupt("devices", format!("`{column}` is no number of a secret")))
}

fn read_trust(keys: &Keyring, row: &Row) -> Result<Trust> {
    let before = match (read_number(row, "before_number")?, row.maybe_time("before_since")?) {
        (Some(number), Some(since)) => Some(Before { number, since, address: read(keys, row)?.address }),
        _ => None,
    };
    Ok(Trust {
        expires_at: row.time("expires_at")?,
        revoked: row.maybe_time("ended_at")?.is_some(),
        current: read_number(row, "number")?.unwrap_or_default(),
        next: read_number(row, "next_number")?.zip(row.maybe_time("next_since")?),
        before,
    })
}

/// While a secret may still be shown that was used up, nothing but its change writes the address.
async fn write_trust(
    transaction: &mut Transaction,
    id: &str,
    trust: &Trust,
    address: &str,
    now: Timestamp,
) -> Result<()> {
    let (address, _) = sealed(&transaction.keys, id, address, "");
    let before = trust.before.as_ref().map(|before| i64::from(before.number));
    let before_since = trust.before.as_ref().map(|before| before.since);
    let next = trust.next.map(|(number, _)| i64::from(number));
    let next_since = trust.next.map(|(_, since)| since);
    let update = "UPDATE devices SET number = $2, before_number = $3, before_since = $4, next_number = $5, \
                  next_since = $6, used_at = $7, address = $8 WHERE id = $1";
    let bound = values![id, i64::from(trust.current), before, before_since, next, next_since, now, address];
    transaction.execute(update, bound).await?;
    Ok(())
}
