//! Second factors of people.
//!
//! Attempts are counted before anything is compared, in the transaction that compares: however many come at once, each
//! has its own count, and one that is right is taken once.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Actor, PhoneNumber};
use ringfence_second_factor::failures::{Barred, Rule};
use ringfence_second_factor::policy::{Demands, Kind};
use ringfence_second_factor::recovery::{self, RecoveryCode};
use ringfence_second_factor::totp::{Seed, Step};
use serde_json::json;

use super::{Because, Purpose, Told, counting, devices, find, lock, lock_in, note, passkeys, single_use};
use crate::error::Error;
use crate::failures;
use crate::seal::{Keyring, Place};
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store, hex};

/// How long a factor that was begun waits for its first code.
const CONFIRMED_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// The purpose of saved recovery codes among the codes that are good once.
const RECOVERY: &str = "recovery";

/// What a factor is made of.
#[derive(Debug, Clone)]
pub enum FactorSecret {
    /// A phone.
    Phone(PhoneNumber),
    /// An authenticator application.
    Totp(Seed),
    /// Saved recovery codes, which are kept apart.
    RecoveryCodes,
    /// A passkey, by the name that its owner gave it; its key is kept apart.
    Passkey(String),
}

impl FactorSecret {
    /// The kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Phone(_) => Kind::Phone,
            Self::Totp(_) => Kind::Totp,
            Self::RecoveryCodes => Kind::RecoveryCode,
            Self::Passkey(_) => Kind::Passkey,
        }
    }
}

/// A factor to add.
#[derive(Debug, Clone)]
pub struct NewFactor {
    /// What it is made of.
    pub secret: FactorSecret,
    /// Whether it was shown to work, and so counts from now on.
    pub verified: bool,
}

/// A factor as it is stored.
#[derive(Debug, Clone)]
pub struct Factor {
    /// What it is called in the audit log.
    pub id: String,
    /// Whose.
    pub person: String,
    /// What it is made of.
    pub secret: FactorSecret,
    /// When it was added.
    pub created_at: Timestamp,
    /// In which session it was begun, as long as it waits for its first code.
    pub session: Option<String>,
    /// Since when it counts.
    pub verified_at: Option<Timestamp>,
    /// When it last let somebody in.
    pub used_at: Option<Timestamp>,
    /// It was wrong too often, and counts no more until it is bound anew.
    pub is_worn_out: bool,
}

impl Store {
    /// Adds a factor; one that is not verified yet takes the place of another of its kind that never was, and waits for its first code
    /// [in this session](Factor::waits_in).
    ///
    /// [`Missing`](Error::Missing) where the session is over in which it was to be added, as with all that somebody changes in one.
    pub async fn add_factor(
        &self,
        by: impl Into<Because>,
        person: &str,
        factor: NewFactor,
        now: Timestamp,
    ) -> Result<String> {
        let id = Factor::new_id();
        self.add_factor_as(by, person, &id, factor, now).await?;
        Ok(id)
    }

    /// The same under an id that was made before, and under which something may have been counted already.
    pub async fn add_factor_as(
        &self,
        by: impl Into<Because>,
        person: &str,
        id: &str,
        factor: NewFactor,
        now: Timestamp,
    ) -> Result<()> {
        let data = (by.into(), id.to_owned(), person.to_owned(), factor, now);
        self.write(data, |(by, id, person, factor, now), transaction| {
            Box::pin(async move {
                lock_in(transaction, person, by.session.as_deref()).await?;
                find(transaction, person).await?;
                let kind = factor.secret.kind();
                let delete = "DELETE FROM factors WHERE person = $1 AND kind = $2 AND verified_at IS NULL \
                              RETURNING id";
                let replaced = transaction.fetch(delete, values![person, kind.word()]).await?;
                forget_failures_of(transaction, &replaced).await?;
                add(transaction, by, id, person, factor, *now).await
            })
        })
        .await
    }

    /// Makes new recovery codes in the place of those that are left, and gives them out this once. The trust in devices that
    /// rests on the old ones ends. Whoever is told is told in the same transaction.
    pub async fn new_recovery_codes(
        &self,
        by: impl Into<Because>,
        person: &str,
        told: Told,
        now: Timestamp,
    ) -> Result<Vec<RecoveryCode>> {
        let codes: Vec<RecoveryCode> =
            (0..recovery::COUNT).map(|_| RecoveryCode::new(crate::random())).collect();
        let id = Factor::new_id();
        let keys = self.factor_keys().await?;
        let tags: Vec<String> = codes.iter().map(|code| code.tag(&keys.tags, person)).collect();
        let data = (by.into(), id, person.to_owned(), tags, told, now);
        self.write(data, |(by, id, person, tags, told, now), transaction| {
            Box::pin(async move {
                lock_in(transaction, person, by.session.as_deref()).await?;
                find(transaction, person).await?;
                let kind = Kind::RecoveryCode.word();
                let delete = "DELETE FROM single_use_codes WHERE person = $1 AND purpose = $2";
                transaction.execute(delete, values![person, RECOVERY]).await?;
                let delete = "DELETE FROM factors WHERE person = $1 AND kind = $2 RETURNING id";
                let replaced = transaction.fetch(delete, values![person, kind]).await?;
                forget_failures_of(transaction, &replaced).await?;
                devices::end_all_by_codes(transaction, person, *now).await?;
                for tag in tags {
                    let insert = "INSERT INTO single_use_codes (tag, person, purpose, created_at) \
                                  VALUES ($1, $2, $3, $4)";
                    transaction.execute(insert, values![tag, person, RECOVERY, *now]).await?;
                }
                let factor = NewFactor { secret: FactorSecret::RecoveryCodes, verified: true };
                add(transaction, by, id, person, &factor, *now).await?;
                told.write(transaction, &[], *now).await
            })
        })
        .await?;
        Ok(codes)
    }

    /// How many recovery codes a person has left.
    pub async fn recovery_codes_left(&self, person: &str) -> Result<u64> {
        let sql = "SELECT count(*) AS codes FROM single_use_codes WHERE person = $1 AND purpose = $2 \
                   AND used_at IS NULL";
        let row = self.find(sql, values![person, RECOVERY]).await?;
        row.map_or(Ok(0), |row| row.count("codes"))
    }

    /// All factors of a person, the oldest first.
    pub async fn factors(&self, person: &str) -> Result<Vec<Factor>> {
        let sql = "SELECT f.*, (SELECT x.count FROM failures x WHERE x.subject = 'factor/' || f.id) AS failures \
                   FROM factors f WHERE f.person = $1 ORDER BY f.created_at, f.id";
        let rows = self.fetch(sql, values![person]).await?;
        let read = |row: &Row| {
            let failures = row.maybe_int("failures")?.unwrap_or_default();
            let factor = read(&self.keys, row)?;
            Ok(Factor { is_worn_out: failures >= counting::most(factor.secret.kind()), ..factor })
        };
        rows.iter().map(read).collect()
    }

    /// Takes a factor away, and with it the trust in devices, which may rest on it: whoever had it may have used it to have
    /// a device of theirs trusted. Saved codes, which are made anew all the time, take those alone that one of them made
    /// trusted. `None`, and nothing is taken, where what is left does not do for one of the demands. Whoever is told is told
    /// in the same transaction.
    pub async fn remove_factor(
        &self,
        by: impl Into<Because>,
        person: &str,
        factor: &str,
        demands: Vec<Demands>,
        told: Told,
        now: Timestamp,
    ) -> Result<Option<Factor>> {
        let data = (by.into(), person.to_owned(), factor.to_owned(), demands, told, now);
        self.write(data, |(by, person, factor, demands, told, now), transaction| {
            Box::pin(async move {
                lock_in(transaction, person, by.session.as_deref()).await?;
                let left = counting::kinds_without(transaction, person, factor).await?;
                if !demands.iter().all(|demands| demands.are_met_by(&left)) {
                    return Ok(None);
                }
                let removed = remove(transaction, by, person, factor, *now).await?;
                told.write(transaction, std::slice::from_ref(&removed), *now).await?;
                Ok(Some(removed))
            })
        })
        .await
    }

    /// Takes all factors of a person away, and with them every session and device: what follows is bound anew, with a code
    /// that an administrator gives out. Whoever is told is told in the same transaction.
    pub async fn remove_all_factors(
        &self,
        by: impl Into<Because>,
        person: &str,
        told: Told,
        now: Timestamp,
    ) -> Result<()> {
        self.write((by.into(), person.to_owned(), told, now), |(by, person, told, now), transaction| {
            Box::pin(async move {
                lock(transaction, person).await?;
                find(transaction, person).await?;
                let delete = "DELETE FROM factors WHERE person = $1 RETURNING *";
                let mut removed = Vec::new();
                for row in transaction.fetch(delete, values![person]).await? {
                    failures::forget(transaction, &subject(&row.text("id")?)).await?;
                    removed.push(read(&transaction.keys, &row)?);
                }
                let delete = "DELETE FROM single_use_codes WHERE person = $1 AND purpose = $2";
                transaction.execute(delete, values![person, RECOVERY]).await?;
                passkeys::forget(transaction, person, None).await?;
                // Whoever has one that was given out before is not let in by it between this and the next.
                single_use::end_unused(transaction, person, Purpose::Bind).await?;
                super::end_trust(transaction, person, "the second factor was reset", *now).await?;
                note(transaction, &by.by, "factor.reset", person, by.detail(json!({})), *now).await?;
                told.write(transaction, &removed, *now).await
            })
        })
        .await
    }

    /// Whether somebody typed the code that the application shows now. A right one verifies the factor, which from its first
    /// one on takes the place of another application; then those who are told are told in the same transaction.
    pub async fn check_totp(
        &self,
        by: impl Into<Because>,
        factor: &Factor,
        typed: &str,
        told: Told,
        now: Timestamp,
    ) -> Result<Result<bool, Barred>> {
        let data = (by.into(), factor.clone(), typed.to_owned(), told, now);
        self.write(data, |(by, factor, typed, told, now), transaction| {
            Box::pin(async move {
                let id = &factor.id;
                // One that is yet to be confirmed is bound by it. Their person comes before their failures, as where all are taken away.
                if factor.verified_at.is_none() {
                    lock_in(transaction, &factor.person, by.session.as_deref()).await?;
                }
                let wrong_before =
                    match failures::count(transaction, &subject(id), Rule::PersonTotp, *now).await? {
                        Ok(wrong_before) => wrong_before,
                        Err(barred) => return Ok(Err(barred)),
                    };
                let row = transaction.find("SELECT * FROM factors WHERE id = $1", values![id]).await?;
                let row = row.ok_or_else(|| Error::missing(format!("factor {id}")))?;
                let factor = read(&transaction.keys, &row)?;
                let FactorSecret::Totp(seed) = &factor.secret else { return Ok(Ok(false)) };
                let is_first = factor.verified_at.is_none();
                if is_first && !factor.waits_in(by.session.as_deref(), *now) {
                    return Err(Error::missing(format!("factor {id}")));
                }
                let last = row.maybe_int("last_step")?.map(Step::from_number);
                let Some(step) = seed.check(typed, last, wrong_before, *now) else {
                    if !is_first {
                        let what = (id.as_str(), Kind::Totp);
                        counting::wrong(transaction, &by.by, &factor.person, what, told, *now).await?;
                    }
                    return Ok(Ok(false));
                };
                let update = "UPDATE factors SET last_step = $2, used_at = $3, \
                              verified_at = coalesce(verified_at, $3), session = NULL WHERE id = $1";
                transaction.execute(update, values![id, step.number(), *now]).await?;
                passed(transaction, &by.by, &factor, *now).await?;
                if is_first {
                    take_the_place(transaction, &by.by, &factor, told, *now).await?;
                }
                Ok(Ok(true))
            })
        })
        .await
    }

    /// Whether somebody typed a recovery code that is left; it is gone then. Whoever is told of the last one that may be wrong is
    /// told in the same transaction.
    pub async fn use_recovery_code(
        &self,
        by: &Actor,
        factor: &Factor,
        typed: &RecoveryCode,
        told: Told,
        now: Timestamp,
    ) -> Result<Result<bool, Barred>> {
        let tag = typed.tag(&self.factor_keys().await?.tags, &factor.person);
        let data = (by.clone(), factor.clone(), tag, told, now);
        self.write(data, |(by, factor, tag, told, now), transaction| {
            Box::pin(async move {
                if let Err(barred) = failures::count(transaction, &subject(&factor.id), Rule::Person, *now).await? {
                    return Ok(Err(barred));
                }
                let update = "UPDATE single_use_codes SET used_at = $4 WHERE tag = $1 AND person = $2 AND purpose = $3 \
                              AND used_at IS NULL";
                let bound = values![tag, &factor.person, RECOVERY, *now];
                if transaction.execute(update, bound).await? == 0 {
                    let what = (factor.id.as_str(), Kind::RecoveryCode);
                    counting::wrong(transaction, by, &factor.person, what, told, *now).await?;
                    return Ok(Ok(false));
                }
                let update = "UPDATE factors SET used_at = $2 WHERE id = $1";
                transaction.execute(update, values![&factor.id, *now]).await?;
                passed(transaction, by, factor, *now).await?;
                Ok(Ok(true))
            })
        })
        .await
    }

    /// A phone whose code was typed. From the first time on it counts, and takes the place of another phone; then those who
    /// are told are told in the same transaction.
    pub async fn verify_factor(
        &self,
        by: impl Into<Because>,
        factor: &Factor,
        told: Told,
        now: Timestamp,
    ) -> Result<()> {
        let data = (by.into(), factor.clone(), told, now);
        self.write(data, |(by, factor, told, now), transaction| {
            Box::pin(async move {
                let id = &factor.id;
                lock_in(transaction, &factor.person, by.session.as_deref()).await?;
                let row = transaction.find("SELECT * FROM factors WHERE id = $1", values![id]).await?;
                let row = row.ok_or_else(|| Error::missing(format!("factor {id}")))?;
                let factor = read(&transaction.keys, &row)?;
                if factor.verified_at.is_none() && !factor.waits_in(by.session.as_deref(), *now) {
                    return Err(Error::missing(format!("factor {id}")));
                }
                let update = "UPDATE factors SET used_at = $2, verified_at = coalesce(verified_at, $2), \
                              session = NULL WHERE id = $1";
                transaction.execute(update, values![id, *now]).await?;
                passed(transaction, &by.by, &factor, *now).await?;
                if factor.verified_at.is_none() {
                    take_the_place(transaction, &by.by, &factor, told, *now).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

impl Factor {
    /// Whether it lets somebody in: it was shown to work, and was not wrong too often since.
    pub fn counts(&self) -> bool {
        self.verified_at.is_some() && !self.is_worn_out
    }

    /// Whether it waits for its first code there: in the session that began it and in no other, since whoever had that one knows the
    /// secret, and not for longer than an hour.
    pub fn waits_in(&self, session: Option<&str>, now: Timestamp) -> bool {
        let is_new = now.duration_since(self.created_at) < CONFIRMED_WITHIN;
        self.verified_at.is_none() && self.session.as_deref() == session && is_new
    }

    /// An id for one that is about to be added.
    pub fn new_id() -> String {
        format!("fa_{}", hex::write(&crate::random::<8>()))
    }

    /// What its failures are counted under, whoever compares.
    pub fn subject(&self) -> String {
        subject(&self.id)
    }

    /// The same of one that is about to be added.
    pub fn subject_of(id: &str) -> String {
        subject(id)
    }
}

/// Takes the other factors of the same kind away: what was there before would go on letting in whoever has it, and computers
/// of theirs.
async fn take_the_place(
    transaction: &mut Transaction,
    by: &Actor,
    factor: &Factor,
    told: &Told,
    now: Timestamp,
) -> Result<()> {
    let select =
        "SELECT id FROM factors WHERE person = $1 AND kind = $2 AND id <> $3 ORDER BY created_at, id";
    let kind = factor.secret.kind().word();
    let others = transaction.fetch(select, values![&factor.person, kind, &factor.id]).await?;
    let because = Because::from(by);
    let mut removed = Vec::with_capacity(others.len());
    for row in others {
        removed.push(remove(transaction, &because, &factor.person, &row.text("id")?, now).await?);
    }
    told.write(transaction, &removed, now).await
}

async fn remove(
    transaction: &mut Transaction,
    by: &Because,
    person: &str,
    factor: &str,
    now: Timestamp,
) -> Result<Factor> {
    let delete = "DELETE FROM factors WHERE id = $1 AND person = $2 RETURNING *";
    let row = transaction.find(delete, values![factor, person]).await?;
    let row = row.ok_or_else(|| Error::missing(format!("factor {factor}")))?;
    let removed = read(&transaction.keys, &row)?;
    let ended = match removed.secret.kind() {
        Kind::RecoveryCode => {
            let delete = "DELETE FROM single_use_codes WHERE person = $1 AND purpose = $2";
            transaction.execute(delete, values![person, RECOVERY]).await?;
            devices::end_all_by_codes(transaction, person, now).await?
        }
        Kind::Phone => devices::end_all(transaction, person, None, "the number was changed", now).await?,
        Kind::Passkey => {
            passkeys::forget(transaction, person, Some(factor)).await?;
            devices::end_all(transaction, person, None, "a passkey was taken away", now).await?
        }
        Kind::Totp => {
            let why = "the authenticator application was taken away";
            devices::end_all(transaction, person, None, why, now).await?
        }
    };
    failures::forget(transaction, &subject(factor)).await?;
    let kind = removed.secret.kind().word();
    let detail = by.detail(json!({ "factor": factor, "kind": kind, "devices_ended": ended }));
    note(transaction, &by.by, "factor.remove", person, detail, now).await?;
    Ok(removed)
}

/// Of factors that are gone nothing is counted any more, and nothing else would delete it.
async fn forget_failures_of(transaction: &mut Transaction, gone: &[Row]) -> Result<()> {
    for row in gone {
        failures::forget(transaction, &subject(&row.text("id")?)).await?;
    }
    Ok(())
}

/// What the failures of a factor are counted under.
pub(crate) fn subject(factor: &str) -> String {
    format!("factor/{factor}")
}

async fn passed(transaction: &mut Transaction, by: &Actor, factor: &Factor, now: Timestamp) -> Result<()> {
    failures::forget(transaction, &subject(&factor.id)).await?;
    let action = if factor.verified_at.is_none() { "factor.verify" } else { "factor.use" };
    let detail = json!({ "factor": factor.id, "kind": factor.secret.kind().word() });
    note(transaction, by, action, &factor.person, detail, now).await
}

pub(super) async fn add(
    transaction: &mut Transaction,
    by: &Because,
    id: &str,
    person: &str,
    factor: &NewFactor,
    now: Timestamp,
) -> Result<()> {
    let kind = factor.secret.kind();
    let secret: Option<Vec<u8>> = match &factor.secret {
        FactorSecret::Phone(number) => Some(number.to_string().into_bytes()),
        FactorSecret::Totp(seed) => Some(seed.bytes().to_vec()),
        FactorSecret::Passkey(text) => Some(text.clone().into_bytes()),
        FactorSecret::RecoveryCodes => None,
    };
    let sealed = secret.map(|secret| transaction.keys.seal(place(id), &secret));
    let verified_at = factor.verified.then_some(now);
    let session = by.session.as_deref().filter(|_| !factor.verified);
    let insert = "INSERT INTO factors (id, person, kind, secret, created_at, verified_at, session) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7)";
    transaction.execute(insert, values![id, person, kind.word(), sealed, now, verified_at, session]).await?;
    let detail = json!({ "factor": id, "kind": kind.word() });
    note(transaction, &by.by, "factor.add", person, detail, now).await
}

fn place(id: &str) -> Place<'_> {
    Place { table: "factors", column: "secret", row: id }
}

fn read(keys: &Keyring, row: &Row) -> Result<Factor> {
    let id = row.text("id")?;
    let corrupt = |why: &str| Error::corrupt(place(&id).to_string(), why);
    let kind = row.text("kind")?;
    let secret = match row.maybe_bytes("secret")? {
        Some(sealed) => Some(keys.open(place(&id), &sealed)?),
        None => None,
    };
    let text = |secret: &[u8]| String::from_utf8(secret.to_vec()).map_err(|_| corrupt("it is no text"));
    let secret = match (Kind::from_word(&kind), secret) {
        (Some(Kind::RecoveryCode), _) => FactorSecret::RecoveryCodes,
        (Some(Kind::Phone), Some(secret)) => {
            let number = PhoneNumber::parse(&text(&secret)?);
            FactorSecret::Phone(number.map_err(|_| corrupt("it is no phone number"))?)
        }
        (Some(Kind::Totp), Some(secret)) => {
            let bytes = secret.as_slice().try_into();
            FactorSecret::Totp(Seed::new(bytes.map_err(|_| corrupt("it has not 20 bytes"))?))
        }
        (Some(Kind::Passkey), Some(secret)) => FactorSecret::Passkey(text(&secret)?),
        (None, _) | (Some(_), None) => return Err(corrupt("its kind and its secret do not belong together")),
    };
    Ok(Factor {
        person: row.text("person")?,
        secret,
        created_at: row.time("created_at")?,
        session: row.maybe_text("session")?,
        verified_at: row.maybe_time("verified_at")?,
        used_at: row.maybe_time("used_at")?,
        is_worn_out: false,
        id,
    })
}
