//! What users hold: an authenticator application, saved recovery codes. A phone's number is the application's to know.
//!
//! Attempts are counted before anything is compared, in the transaction that compares, and the row of failures is locked
//! meanwhile: of the same code at once one is taken. Failures delay, and a hundred in a row disable the factor: it counts
//! no more until it is bound anew. Of passkeys, which nobody guesses, none are counted.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Actor;
use ringfence_second_factor::failures::{Barred, Rule};
use ringfence_second_factor::policy::Kind;
use ringfence_second_factor::recovery::{self, RecoveryCode};
use ringfence_second_factor::totp::{Seed, Step};
use serde_json::json;

use super::{Locked, UserName, devices, lock, note};
use crate::error::Error;
use crate::failures;
use crate::seal::{Keyring, Place};
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store, hex};

/// How long what was enrolled waits to be confirmed.
const CONFIRMED_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// How many recovery codes a user has left.
pub(super) const CODES_LEFT: &str =
    "SELECT count(*) AS codes FROM user_codes WHERE user_id = $1 AND used_at IS NULL";

/// A factor that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFactor {
    /// What it is called in the audit log.
    pub id: String,
    /// Of which kind.
    pub kind: Kind,
    /// What its owner calls it, where it is a passkey.
    pub name: Option<String>,
    /// Since when it counts.
    pub confirmed_at: Timestamp,
    /// When it was last good.
    pub used_at: Option<Timestamp>,
    /// Whether it counts no more, after too many wrong codes in a row, until it is bound anew.
    pub is_disabled: bool,
}

/// What came of a code that should confirm an authenticator application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TotpConfirmed {
    /// It counts from now on, in the place of one that did before.
    Confirmed,
    /// The code is wrong.
    Wrong,
    /// Nothing waits to be confirmed.
    Missing,
    /// Too many codes were wrong; not before this time.
    Barred(Timestamp),
}

/// What an attempt at a factor came to.
pub(super) enum Attempt {
    Right,
    Wrong,
    /// The user has no such factor.
    Missing,
    Barred(Timestamp),
    /// It was wrong too often in a row.
    Disabled,
}

impl Attempt {
    pub(super) fn barred(barred: Barred) -> Self {
        match barred {
            Barred::Until(until) => Self::Barred(until),
            Barred::BoundAnew => Self::Disabled,
        }
    }
}

impl Store {
    /// Makes what an authenticator application shares with us. It counts once it is
    /// [confirmed](Store::confirm_user_totp), and takes the place of what waited before.
    pub async fn enrol_user_totp(&self, by: &Actor, user: &UserName, now: Timestamp) -> Result<Seed> {
        let seed = Seed::new(crate::random());
        let data = (by.clone(), self.tagged(user).await?, seed.clone(), now);
        self.write(data, |(by, tagged, seed, now), transaction| {
            Box::pin(async move {
                let user = lock(transaction, tagged, *now).await?;
                let delete = "DELETE FROM user_factors WHERE user_id = $1 AND kind = $2 AND confirmed_at IS NULL";
                transaction.execute(delete, values![&user.id, Kind::Totp.word()]).await?;
                let id = format!("uf_{}", hex::write(&crate::random::<8>()));
                let sealed = transaction.keys.seal(place(&id), seed.bytes());
                let insert =
                    "INSERT INTO user_factors (id, user_id, kind, secret, created_at) VALUES ($1, $2, $3, $4, $5)";
                transaction.execute(insert, values![&id, &user.id, Kind::Totp.word(), sealed, *now]).await?;
                let detail = json!({ "factor": id, "kind": Kind::Totp.word() });
                note(transaction, by, "user.factor_add", &user, detail, *now).await
            })
        })
        .await?;
        Ok(seed)
    }

    /// Confirms the authenticator application that waits for it, by a code that it shows.
    pub async fn confirm_user_totp(
        &self,
        by: &Actor,
        user: &UserName,
        typed: &str,
        now: Timestamp,
    ) -> Result<TotpConfirmed> {
        let data = (by.clone(), self.tagged(user).await?, typed.to_owned(), now);
        self.write(data, |(by, tagged, typed, now), transaction| {
            Box::pin(async move {
                let user = lock(transaction, tagged, *now).await?;
                let select = "SELECT * FROM user_factors WHERE user_id = $1 AND kind = $2 AND confirmed_at IS NULL \
                              AND created_at > $3";
                let since = now.checked_sub(CONFIRMED_WITHIN).unwrap_or(Timestamp::MIN);
                let waits = transaction.find(select, values![&user.id, Kind::Totp.word(), since]).await?;
                let Some(row) = waits else { return Ok(TotpConfirmed::Missing) };
                // What waits has failures of its own: nobody delays the one that counts by confirming.
                let subject = subject(&user.id, "totp-waiting");
                if let Err(barred) = failures::count(transaction, &subject, Rule::Application, *now).await? {
                    return Ok(TotpConfirmed::Barred(until(barred)));
                }
                let seed = read_seed(&transaction.keys, &row)?;
                let Some(step) = seed.check(typed, None, 0, *now) else { return Ok(TotpConfirmed::Wrong) };
                let id = row.text("id")?;
                let delete = "DELETE FROM user_factors WHERE user_id = $1 AND kind = $2 AND id <> $3";
                if transaction.execute(delete, values![&user.id, Kind::Totp.word(), &id]).await? > 0 {
                    devices::end_by(transaction, by, &user, Kind::Totp, *now).await?;
                }
                let update =
                    "UPDATE user_factors SET confirmed_at = $2, used_at = $2, last_step = $3 WHERE id = $1";
                transaction.execute(update, values![&id, *now, step.number()]).await?;
                failures::forget(transaction, &subject).await?;
                failures::forget(transaction, &totp(&user.id)).await?;
                let detail = json!({ "factor": id, "kind": Kind::Totp.word() });
                note(transaction, by, "user.factor_confirm", &user, detail, *now).await?;
                Ok(TotpConfirmed::Confirmed)
            })
        })
        .await
    }

    /// Takes a user's authenticator application away, and what waits to be confirmed. Says whether there was one.
    pub async fn remove_user_totp(&self, by: &Actor, user: &UserName, now: Timestamp) -> Result<bool> {
        let data = (by.clone(), self.tagged(user).await?, now);
        self.write(data, |(by, tagged, now), transaction| {
            Box::pin(async move {
                let user = lock(transaction, tagged, *now).await?;
                let delete =
                    "DELETE FROM user_factors WHERE user_id = $1 AND kind = $2 RETURNING confirmed_at";
                let removed = transaction.fetch(delete, values![&user.id, Kind::Totp.word()]).await?;
                let mut counted = false;
                for row in &removed {
                    counted |= row.maybe_time("confirmed_at")?.is_some();
                }
                if counted {
                    devices::end_by(transaction, by, &user, Kind::Totp, *now).await?;
                }
                if !removed.is_empty() {
                    failures::forget(transaction, &totp(&user.id)).await?;
                    let detail = json!({ "kind": Kind::Totp.word() });
                    note(transaction, by, "user.factor_remove", &user, detail, *now).await?;
                }
                Ok(!removed.is_empty())
            })
        })
        .await
    }

    /// Makes new recovery codes in the place of those that are left, and gives them out this once.
    pub async fn new_user_recovery_codes(
        &self,
        by: &Actor,
        user: &UserName,
        now: Timestamp,
    ) -> Result<Vec<RecoveryCode>> {
        let codes: Vec<RecoveryCode> =
            (0..recovery::COUNT).map(|_| RecoveryCode::new(crate::random())).collect();
        let keys = self.factor_keys().await?;
        let data = (by.clone(), self.tagged(user).await?, keys, codes.clone(), now);
        self.write(data, |(by, tagged, keys, codes, now), transaction| {
            Box::pin(async move {
                let user = lock(transaction, tagged, *now).await?;
                transaction.execute("DELETE FROM user_codes WHERE user_id = $1", values![&user.id]).await?;
                devices::end_by(transaction, by, &user, Kind::RecoveryCode, *now).await?;
                for code in codes {
                    let insert = "INSERT INTO user_codes (tag, user_id, created_at) VALUES ($1, $2, $3)";
                    let tag = code.tag(&keys.tags, &user.id);
                    transaction.execute(insert, values![tag, &user.id, *now]).await?;
                }
                failures::forget(transaction, &recovery(&user.id)).await?;
                let detail = json!({ "kind": Kind::RecoveryCode.word(), "codes": codes.len() });
                note(transaction, by, "user.factor_add", &user, detail, *now).await
            })
        })
        .await?;
        Ok(codes)
    }

    /// Takes a user's recovery codes away. Says whether there were any left.
    pub async fn remove_user_recovery_codes(
        &self,
        by: &Actor,
        user: &UserName,
        now: Timestamp,
    ) -> Result<bool> {
        let data = (by.clone(), self.tagged(user).await?, now);
        self.write(data, |(by, tagged, now), transaction| {
            Box::pin(async move {
                let user = lock(transaction, tagged, *now).await?;
                let row = transaction.find(CODES_LEFT, values![&user.id]).await?;
                let left = row.map_or(Ok(0), |row| row.count("codes"))?;
                transaction.execute("DELETE FROM user_codes WHERE user_id = $1", values![&user.id]).await?;
                devices::end_by(transaction, by, &user, Kind::RecoveryCode, *now).await?;
                if left > 0 {
                    let detail = json!({ "kind": Kind::RecoveryCode.word() });
                    note(transaction, by, "user.factor_remove", &user, detail, *now).await?;
                }
                Ok(left > 0)
            })
        })
        .await
    }
}

async fn is_disabled(transaction: &mut Transaction, subject: &str) -> Result<bool> {
    Ok(failures::look(transaction, subject).await?.is_disabled(Rule::User))
}

/// The kinds of factors that a user has here, and that count.
pub(super) async fn kinds(transaction: &mut Transaction, user: &str) -> Result<Vec<Kind>> {
    let select = "SELECT DISTINCT kind FROM user_factors WHERE user_id = $1 AND confirmed_at IS NOT NULL";
    let mut kinds = Vec::new();
    for row in transaction.fetch(select, values![user]).await? {
        let word = row.text("kind")?;
        let unknown = || Error::corrupt(format!("factors of {user}"), format!("`{word}` is no kind"));
        kinds.push(Kind::from_word(&word).ok_or_else(unknown)?);
    }
    if kinds.contains(&Kind::Totp) && is_disabled(transaction, &totp(user)).await? {
        kinds.retain(|kind| *kind != Kind::Totp);
    }
    if codes_left(transaction, user).await? > 0 {
        kinds.push(Kind::RecoveryCode);
    }
    Ok(kinds)
}

/// How many recovery codes are left that count.
pub(super) async fn codes_left(transaction: &mut Transaction, user: &str) -> Result<u64> {
    if is_disabled(transaction, &recovery(user)).await? {
        return Ok(0);
    }
    let row = transaction.find(CODES_LEFT, values![user]).await?;
    row.map_or(Ok(0), |row| row.count("codes"))
}

/// Compares a code of the user's authenticator application. A right one is used up with its step and all before it.
pub(super) async fn try_totp(
    transaction: &mut Transaction,
    by: &Actor,
    user: &Locked,
    typed: &str,
    now: Timestamp,
) -> Result<Attempt> {
    let subject = totp(&user.id);
    let wrong_before = match failures::count(transaction, &subject, Rule::User, now).await? {
        Ok(wrong_before) => wrong_before,
        Err(barred) => return Ok(Attempt::barred(barred)),
    };
    let select = "SELECT * FROM user_factors WHERE user_id = $1 AND kind = $2 AND confirmed_at IS NOT NULL";
    let row = transaction.find(select, values![&user.id, Kind::Totp.word()]).await?;
    let Some(row) = row else { return Ok(Attempt::Missing) };
    let last = row.maybe_int("last_step")?.map(Step::from_number);
    let Some(step) = read_seed(&transaction.keys, &row)?.check(typed, last, wrong_before, now) else {
        return wrong(transaction, by, user, Kind::Totp, &subject, now).await;
    };
    let update = "UPDATE user_factors SET last_step = $2, used_at = $3 WHERE id = $1";
    transaction.execute(update, values![row.text("id")?, step.number(), now]).await?;
    failures::forget(transaction, &subject).await?;
    Ok(Attempt::Right)
}

/// Compares a recovery code, by its tag. A right one is used up.
pub(super) async fn try_recovery_code(
    transaction: &mut Transaction,
    by: &Actor,
    user: &Locked,
    tag: Option<&str>,
    now: Timestamp,
) -> Result<Attempt> {
    let subject = recovery(&user.id);
    if let Err(barred) = failures::count(transaction, &subject, Rule::User, now).await? {
        return Ok(Attempt::barred(barred));
    }
    let update = "UPDATE user_codes SET used_at = $3 WHERE tag = $1 AND user_id = $2 AND used_at IS NULL";
    let is_it = match tag {
        Some(tag) => transaction.execute(update, values![tag, &user.id, now]).await? > 0,
        // What has not even the form of one counts like a wrong one.
        None => false,
    };
    if !is_it {
        return wrong(transaction, by, user, Kind::RecoveryCode, &subject, now).await;
    }
    failures::forget(transaction, &subject).await?;
    Ok(Attempt::Right)
}

/// What a wrong code comes to: the last that may be wrong in a row disables the factor.
async fn wrong(
    transaction: &mut Transaction,
    by: &Actor,
    user: &Locked,
    kind: Kind,
    subject: &str,
    now: Timestamp,
) -> Result<Attempt> {
    let failures = failures::look(transaction, subject).await?;
    if !failures.is_disabled(Rule::User) {
        return Ok(Attempt::Wrong);
    }
    let detail = json!({ "kind": kind.word(), "failures": failures.count });
    note(transaction, by, "user.factor_disable", user, detail, now).await?;
    Ok(Attempt::Disabled)
}

/// What failures with the authenticator application are counted under.
pub(super) fn totp(user: &str) -> String {
    subject(user, "totp")
}

/// What failures with recovery codes are counted under.
pub(super) fn recovery(user: &str) -> String {
    subject(user, "recovery-code")
}

fn subject(user: &str, what: &str) -> String {
    format!("user/{user}/{what}")
}

/// Under the rule of applications there is no other bar than a pause.
fn until(barred: Barred) -> Timestamp {
    match barred {
        Barred::Until(until) => until,
        Barred::BoundAnew => Timestamp::MAX,
    }
}

pub(super) fn place(id: &str) -> Place<'_> {
    Place { table: "user_factors", column: "secret", row: id }
}

fn read_seed(keys: &Keyring, row: &Row) -> Result<Seed> {
    let id = row.text("id")?;
    let bytes = keys.open(place(&id), &row.bytes("secret")?)?;
    let bytes = bytes.as_slice().try_into();
    bytes.map(Seed::new).map_err(|_| Error::corrupt(place(&id).to_string(), "it has not 20 bytes"))
}

/// A factor out of its row. `disabled` is the kind that counts no more, if one does not.
pub(super) fn read(keys: &Keyring, row: &Row, disabled: Option<Kind>) -> Result<UserFactor> {
    let (id, word) = (row.text("id")?, row.text("kind")?);
    let unknown = || Error::corrupt("user_factors", format!("`{word}` is no kind"));
    let kind = Kind::from_word(&word).ok_or_else(unknown)?;
    let name = if kind == Kind::Passkey {
        let bytes = keys.open(place(&id), &row.bytes("secret")?)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    } else {
        None
    };
    Ok(UserFactor {
        kind,
        name,
        confirmed_at: row.time("confirmed_at")?,
        used_at: row.maybe_time("used_at")?,
        is_disabled: disabled == Some(kind),
        id,
    })
}
