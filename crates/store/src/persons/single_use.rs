//! Codes that are given out by somebody, to be used once: to bind a first factor, to reset a password, to lock.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Actor, Secret};
use ringfence_second_factor::recovery::RecoveryCode;
use serde_json::json;

use super::{Because, Lock, Told, find, lock_out, note, set_password};
use crate::sql::{Transaction, values};
use crate::{Result, Store};

/// What a code is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To set a password where there is none, and to bind factors: an administrator gives it out.
    Bind,
    /// To set another password: it was mailed.
    ResetPassword,
    /// To lock the person out: it was mailed with a notice.
    Lock,
}

impl Purpose {
    /// As it is stored.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::ResetPassword => "reset-password",
            Self::Lock => "lock",
        }
    }
}

/// Whose code it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// The person.
    pub person: String,
}

impl Store {
    /// Gives out a code. One to bind takes the place of those that were given out before; a mailed one does not, since a
    /// stranger causes mails too, and the link of an earlier mail must not be dead because of it.
    pub async fn give_out_code(
        &self,
        by: &Actor,
        person: &str,
        purpose: Purpose,
        good_for: SignedDuration,
        now: Timestamp,
    ) -> Result<RecoveryCode> {
        let code = RecoveryCode::new(crate::random());
        let tag = self.tag_of(purpose, &code).await?;
        let data = (by.clone(), person.to_owned(), purpose, tag, good_for, now);
        self.write(data, |(by, person, purpose, tag, good_for, now), transaction| {
            Box::pin(async move {
                find(transaction, person).await?;
                if *purpose == Purpose::Bind {
                    end_unused(transaction, person, Purpose::Bind).await?;
                }
                let expires_at = now.saturating_add(*good_for).unwrap_or(Timestamp::MAX);
                let insert = "INSERT INTO single_use_codes (tag, person, purpose, created_at, expires_at) \
                              VALUES ($1, $2, $3, $4, $5)";
                let bound = values![tag, person, purpose.word(), *now, expires_at];
                transaction.execute(insert, bound).await?;
                let detail = json!({ "purpose": purpose.word(), "expires_at": expires_at.to_string() });
                note(transaction, by, "code.give-out", person, detail, *now).await
            })
        })
        .await?;
        Ok(code)
    }

    /// Whose code this is, without using it: to show a page for it.
    pub async fn look_at_code(
        &self,
        purpose: Purpose,
        typed: &RecoveryCode,
        now: Timestamp,
    ) -> Result<Option<Redeemed>> {
        let tag = self.tag_of(purpose, typed).await?;
        let select = "SELECT person FROM single_use_codes WHERE tag = $1 AND purpose = $2 \
                      AND used_at IS NULL AND expires_at > $3";
        let row = self.find(select, values![tag, purpose.word(), now]).await?;
        row.map(|row| Ok(Redeemed { person: row.text("person")? })).transpose()
    }

    /// Uses a code; nobody uses it again.
    pub async fn redeem_code(
        &self,
        purpose: Purpose,
        typed: &RecoveryCode,
        now: Timestamp,
    ) -> Result<Option<Redeemed>> {
        let tag = self.tag_of(purpose, typed).await?;
        self.write((purpose, tag, now), |(purpose, tag, now), transaction| {
            Box::pin(async move {
                let person = redeem(transaction, *purpose, tag, *now).await?;
                Ok(person.map(|person| Redeemed { person }))
            })
        })
        .await
    }

    /// Uses a code, sets the password that it was for and tells whoever is told, all or nothing. False where it is no code of
    /// this person (any more).
    pub async fn redeem_for_password(
        &self,
        purpose: Purpose,
        typed: &RecoveryCode,
        person: &str,
        hash: &Secret,
        told: Told,
        now: Timestamp,
    ) -> Result<bool> {
        let tag = self.tag_of(purpose, typed).await?;
        let data = (purpose, tag, person.to_owned(), hash.clone(), told, now);
        self.write(data, |(purpose, tag, person, hash, told, now), transaction| {
            Box::pin(async move {
                let select = "SELECT person FROM single_use_codes WHERE tag = $1 AND person = $2";
                if transaction.find(select, values![tag, person]).await?.is_none()
                    || redeem(transaction, *purpose, tag, *now).await?.is_none()
                {
                    return Ok(false);
                }
                let by = Actor::Person(person.clone());
                set_password(transaction, &by, person, hash, *now).await?;
                told.write(transaction, &[], *now).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Uses a code to lock out whose it is, whoever that is, and tells whoever is told: all of it, or nothing.
    pub async fn redeem_to_lock(
        &self,
        typed: &RecoveryCode,
        told: Told,
        now: Timestamp,
    ) -> Result<Option<Redeemed>> {
        let tag = self.tag_of(Purpose::Lock, typed).await?;
        self.write((tag, told, now), |(tag, told, now), transaction| {
            Box::pin(async move {
                let Some(person) = redeem(transaction, Purpose::Lock, tag, *now).await? else {
                    return Ok(None);
                };
                let by = Because::from(&Actor::Person(person.clone()));
                if lock_out(transaction, &by, &person, Lock::OutEvenTheLastOwner, *now).await? {
                    told.write(transaction, &[], *now).await?;
                }
                Ok(Some(Redeemed { person }))
            })
        })
        .await
    }

    async fn tag_of(&self, purpose: Purpose, code: &RecoveryCode) -> Result<String> {
        Ok(code.tag(&self.factor_keys().await?.tags, purpose.word()))
    }
}

/// Uses a code. Whose it was.
async fn redeem(
    transaction: &mut Transaction,
    purpose: Purpose,
    tag: &str,
    now: Timestamp,
) -> Result<Option<String>> {
    let update = "UPDATE single_use_codes SET used_at = $3 WHERE tag = $1 AND purpose = $2 \
                  AND used_at IS NULL AND expires_at > $3 RETURNING person";
    let row = transaction.find(update, values![tag, purpose.word(), now]).await?;
    let Some(row) = row else { return Ok(None) };
    let person = row.text("person")?;
    let by = Actor::Person(person.clone());
    let detail = json!({ "purpose": purpose.word() });
    note(transaction, &by, "code.use", &person, detail, now).await?;
    Ok(Some(person))
}

/// Codes of a person that nobody used are worth nothing any more.
pub(super) async fn end_unused(transaction: &mut Transaction, person: &str, purpose: Purpose) -> Result<()> {
    let delete = "DELETE FROM single_use_codes WHERE person = $1 AND purpose = $2 AND used_at IS NULL";
    transaction.execute(delete, values![person, purpose.word()]).await?;
    Ok(())
}
