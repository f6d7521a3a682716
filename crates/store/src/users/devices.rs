//! Browsers that are trusted for one user of an application. The rules are `second_factor::device`'s.

use jiff::Timestamp;
use ringfence_model::{Actor, Secret, Sid};
use ringfence_second_factor::device::{Before, DeviceKey, Judgement, MOST, Trust, device_of};
use ringfence_second_factor::policy::Kind;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::sign_ins::{end_waiting, holds};
use super::{Locked, UserName, UserPolicy, lock, note};
use crate::error::Error;
use crate::seal::{Keyring, Place};
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store, hex};

/// A browser to trust.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewUserDevice {
    /// What its user calls it.
    pub name: Option<String>,
    /// From where it came.
    pub address: Option<String>,
    /// What it says it is.
    pub agent: Option<String>,
}

/// A trusted browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserDevice {
    /// What it is called in lists and in the audit log.
    pub id: String,
    /// What its user calls it.
    pub name: Option<String>,
    /// From where it came last.
    pub address: Option<String>,
    /// What it says it is.
    pub agent: Option<String>,
    /// Since when it is trusted.
    pub created_at: Timestamp,
    /// When it was last used.
    pub used_at: Timestamp,
    /// Until when it is trusted.
    pub expires_at: Timestamp,
}

/// What a trusted browser keeps.
#[derive(Debug, Clone)]
pub struct DeviceToken {
    /// [`DeviceKey::token`], for a cookie.
    pub token: Secret,
    /// Until when it is trusted.
    pub expires_at: Timestamp,
}

/// What came of a token that a browser showed.
#[derive(Debug, Clone)]
pub(super) struct Presented {
    pub(super) judgement: Judgement,
    /// The next one, where the browser needs one.
    pub(super) next: Option<DeviceToken>,
}

impl Presented {
    pub(super) fn is_trusted(&self) -> bool {
        matches!(self.judgement, Judgement::Trusted | Judgement::JustChanged)
    }
}

/// What of a device is personal or secret, sealed as one value.
#[derive(Serialize, Deserialize)]
struct Sealed {
    name: Option<String>,
    address: Option<String>,
    agent: Option<String>,
    /// The kind of factor that made it trusted; of old ones it is not known.
    #[serde(default)]
    by: Option<String>,
    key: String,
    current: u32,
    /// With microseconds since 1970, like the one before.
    next: Option<(u32, i64)>,
    before: Option<(u32, i64, String)>,
}

impl Store {
    /// Whether a browser is trusted for a user; where it is, it gets the next token, unless it got one just now. See
    /// [`Trust::judge`].
    pub async fn use_user_device(
        &self,
        by: &Actor,
        user: &UserName,
        token: &Secret,
        address: Option<&str>,
        now: Timestamp,
    ) -> Result<(Judgement, Option<DeviceToken>)> {
        let data = (by.clone(), self.tagged(user).await?, token.clone(), address.map(str::to_owned), now);
        self.write(data, |(by, tagged, token, address, now), transaction| {
            Box::pin(async move {
                let user = lock(transaction, tagged, *now).await?;
                let policy = holds(transaction, &user).await?;
                let Presented { judgement, next } =
                    present(transaction, by, &user, policy, token, address.as_deref(), *now).await?;
                Ok((judgement, next))
            })
        })
        .await
    }

    /// The browsers that are trusted for a user, the last used first.
    pub async fn user_devices(&self, user: &UserName, now: Timestamp) -> Result<Vec<UserDevice>> {
        let known = self.user(user).await?;
        let Some(id) = known.id.filter(|_| known.policy.trusts()) else { return Ok(Vec::new()) };
        let select = "SELECT * FROM user_devices WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 \
                      ORDER BY used_at DESC, id";
        let rows = self.fetch(select, values![id, now]).await?;
        let devices: Result<Vec<_>> = rows.iter().map(|row| device(&self.keys, row, known.policy)).collect();
        Ok(devices?.into_iter().filter(|device| now < device.expires_at).collect())
    }

    /// Ends the trust in one browser of a user, or in all. How many there were. With all end the sign-ins that wait for a
    /// factor: they were begun with the password of before, or for the phone of before, and could have a browser trusted.
    pub async fn end_user_devices(
        &self,
        by: &Actor,
        user: &UserName,
        device: Option<&str>,
        now: Timestamp,
    ) -> Result<u64> {
        let data = (by.clone(), self.tagged(user).await?, device.map(str::to_owned), now);
        self.write(data, |(by, tagged, device, now), transaction| {
            Box::pin(async move {
                let user = lock(transaction, tagged, *now).await?;
                let ended = end(transaction, &user.id, device.as_deref(), "revoked", *now).await?;
                let waiting = match device {
                    Some(_) => 0,
                    None => end_waiting(transaction, &user.id, *now).await?,
                };
                if ended > 0 || waiting > 0 {
                    let device = device.as_deref().unwrap_or("all");
                    let detail = json!({ "device": device, "why": "revoked", "sign_ins": waiting });
                    note(transaction, by, "user.device_end", &user, detail, *now).await?;
                }
                Ok(ended)
            })
        })
        .await
    }
}

/// Judges a token that a browser shows for this user, and gives out the next one where it is good. A copy ends the trust.
pub(super) async fn present(
    transaction: &mut Transaction,
    by: &Actor,
    user: &Locked,
    policy: UserPolicy,
    token: &Secret,
    address: Option<&str>,
    now: Timestamp,
) -> Result<Presented> {
    let refused = Presented { judgement: Judgement::Refused, next: None };
    let Some(id) = id_of(token).filter(|_| policy.trusts()) else {
        return Ok(refused);
    };
    let select = "SELECT * FROM user_devices WHERE id = $1 AND user_id = $2";
    let Some(row) = transaction.find(select, values![id, &user.id]).await? else { return Ok(refused) };
    let known = device(&transaction.keys, &row, policy)?;
    let (key, trust, by_kind) = read_trust(&transaction.keys, &row, known.expires_at)?;
    let presented = key.number(id, token);
    let from = address.unwrap_or_default();
    let judgement = trust.judge(presented, from, now);
    let about = |known: UserDevice| NewUserDevice {
        name: known.name,
        address: address.map(str::to_owned).or(known.address),
        agent: known.agent,
    };
    let mut next = None;
    match (judgement, presented) {
        (Judgement::Trusted, Some(presented)) => {
            let (trust, number) = trust.seen(presented, from, now).renewed(now);
            next = Some(DeviceToken { token: key.token(id, number), expires_at: known.expires_at });
            write(transaction, id, (&about(known), by_kind), &key, &trust, now).await?;
        }
        (Judgement::JustChanged, Some(presented)) => {
            let seen = trust.clone().seen(presented, from, now);
            if seen != trust {
                write(transaction, id, (&about(known), by_kind), &key, &seen, now).await?;
            }
        }
        (Judgement::Copied, _) => {
            let why = "a token that was used up came again";
            end(transaction, &user.id, Some(id), why, now).await?;
            let detail = json!({ "device": id, "why": why });
            note(transaction, by, "user.device_end", user, detail, now).await?;
        }
        _ => {}
    }
    Ok(Presented { judgement, next })
}

async fn write(
    transaction: &mut Transaction,
    id: &str,
    about: (&NewUserDevice, Option<Kind>),
    key: &DeviceKey,
    trust: &Trust,
    now: Timestamp,
) -> Result<()> {
    let sealed = seal(&transaction.keys, id, about, key, trust);
    let update = "UPDATE user_devices SET sealed = $2, used_at = $3 WHERE id = $1";
    transaction.execute(update, values![id, sealed, now]).await?;
    Ok(())
}

/// Trusts a browser, by the kind of factor that was shown in it. Where there are too many, the one that was unused for the
/// longest gives way.
pub(super) async fn trust(
    transaction: &mut Transaction,
    by: &Actor,
    user: &Locked,
    policy: UserPolicy,
    about: (&NewUserDevice, Option<Kind>),
    now: Timestamp,
) -> Result<DeviceToken> {
    let id = format!("dv_{}", hex::write(&crate::random::<8>()));
    let key = DeviceKey::new(crate::random());
    let expires_at = now.saturating_add(policy.trusted_for()).unwrap_or(Timestamp::MAX);
    let trust = Trust::begun(expires_at);
    let token = key.token(&id, trust.current);
    let insert = "INSERT INTO user_devices (id, user_id, sealed, created_at, used_at, expires_at) \
                  VALUES ($1, $2, $3, $4, $4, $5)";
    let sealed = seal(&transaction.keys, &id, about, &key, &trust);
    transaction.execute(insert, values![&id, &user.id, sealed, now, expires_at]).await?;
    let surplus = "UPDATE user_devices SET ended_at = $2, ended_why = 'too many' WHERE id IN (SELECT id \
                   FROM user_devices WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 \
                   ORDER BY used_at DESC, created_at DESC, id LIMIT 1000 OFFSET $3)";
    transaction.execute(surplus, values![&user.id, now, MOST]).await?;
    note(transaction, by, "user.device_trust", user, json!({ "device": id }), now).await?;
    Ok(DeviceToken { token, expires_at })
}

/// Ends the trust in one browser of a user, or in all.
pub(super) async fn end(
    transaction: &mut Transaction,
    user: &str,
    device: Option<&str>,
    why: &str,
    now: Timestamp,
) -> Result<u64> {
    let update = "UPDATE user_devices SET ended_at = $2, ended_why = $3 WHERE user_id = $1 AND ended_at IS NULL \
                  AND ($4 = '' OR id = $4)";
    transaction.execute(update, values![user, now, why, device.unwrap_or_default()]).await
}

/// Ends the trust that may rest on a factor which is taken away or replaced: whoever had it may have used it to have a browser
/// of theirs trusted. Recovery codes, which are made anew all the time, take those alone that one of them made trusted.
pub(super) async fn end_by(
    transaction: &mut Transaction,
    by: &Actor,
    user: &Locked,
    kind: Kind,
    now: Timestamp,
) -> Result<()> {
    let mut rests = vec![None];
    if kind == Kind::RecoveryCode {
        let select = "SELECT * FROM user_devices WHERE user_id = $1 AND ended_at IS NULL";
        let rows = transaction.fetch(select, values![&user.id]).await?;
        rests.clear();
        for row in rows {
            let trusted_by = open(&transaction.keys, &row)?.by;
            if trusted_by.is_none_or(|trusted_by| trusted_by == kind.word()) {
                rests.push(Some(row.text("id")?));
            }
        }
    }
    let why = "the factor was taken away or replaced";
    for device in rests {
        if end(transaction, &user.id, device.as_deref(), why, now).await? > 0 {
            let device = device.as_deref().unwrap_or("all");
            note(transaction, by, "user.device_end", user, json!({ "device": device, "why": why }), now)
                .await?;
        }
    }
    Ok(())
}

/// Ends the trust in all browsers of the users that have no policy of their own.
pub(super) async fn end_of_application(
    transaction: &mut Transaction,
    application: Sid,
    now: Timestamp,
) -> Result<u64> {
    let update = "UPDATE user_devices SET ended_at = $2, ended_why = 'the policy ended the trust' \
                  WHERE ended_at IS NULL AND user_id IN (SELECT id FROM users WHERE application = $1 \
                  AND policy IS NULL)";
    transaction.execute(update, values![application, now]).await
}

/// The device that a token is of, if it looks like one of ours: a browser can send anything.
fn id_of(token: &Secret) -> Option<&str> {
    let id = device_of(token)?;
    let digits = id.strip_prefix("dv_")?;
    (digits.len() == 16 && digits.bytes().all(|it| it.is_ascii_hexdigit())).then_some(id)
}

fn place(id: &str) -> Place<'_> {
    Place { table: "user_devices", column: "sealed", row: id }
}

fn seal(
    keys: &Keyring,
    id: &str,
    (about, by): (&NewUserDevice, Option<Kind>),
    key: &DeviceKey,
    trust: &Trust,
) -> Vec<u8> {
    let sealed = Sealed {
        name: about.name.clone(),
        address: about.address.clone(),
        agent: about.agent.clone(),
        by: by.map(|kind| kind.word().to_owned()),
        key: hex::write(key.bytes()),
        current: trust.current,
        next: trust.next.map(|(number, since)| (number, since.as_microsecond())),
        before: trust.before.as_ref().map(|it| (it.number, it.since.as_microsecond(), it.address.clone())),
    };
    keys.seal(place(id), json!(sealed).to_string().as_bytes())
}

fn open(keys: &Keyring, row: &Row) -> Result<Sealed> {
    let id = row.text("id")?;
    let opened = keys.open(place(&id), &row.bytes("sealed")?)?;
    serde_json::from_slice(&opened).map_err(|error| Error::corrupt(place(&id).to_string(), error.to_string()))
}

/// A device, which is trusted no longer than the policy says now.
fn device(keys: &Keyring, row: &Row, policy: UserPolicy) -> Result<UserDevice> {
    let Sealed { name, address, agent, .. } = open(keys, row)?;
    let created_at = row.time("created_at")?;
    let by_policy = created_at.saturating_add(policy.trusted_for()).unwrap_or(Timestamp::MAX);
    Ok(UserDevice {
        id: row.text("id")?,
        name,
        address,
        agent,
        created_at,
        used_at: row.time("used_at")?,
        expires_at: row.time("expires_at")?.min(by_policy),
    })
}

fn read_trust(keys: &Keyring, row: &Row, expires_at: Timestamp) -> Result<(DeviceKey, Trust, Option<Kind>)> {
    let sealed = open(keys, row)?;
    let key = hex::parse(&sealed.key).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let key = key.ok_or_else(|| Error::corrupt("user_devices", "a key has not 32 bytes"))?;
    let time = |micros: i64| {
        Timestamp::from_microsecond(micros).map_err(|error| Error::corrupt("user_devices", error.to_string()))
    };
    let next = sealed.next.map(|(number, since)| Ok::<_, Error>((number, time(since)?))).transpose()?;
    let before = sealed
        .before
        .map(|(number, since, address)| Ok::<_, Error>(Before { number, since: time(since)?, address }))
        .transpose()?;
    let revoked = row.maybe_time("ended_at")?.is_some();
    let trust = Trust { expires_at, revoked, current: sealed.current, next, before };
    Ok((DeviceKey::new(key), trust, sealed.by.as_deref().and_then(Kind::from_word)))
}
