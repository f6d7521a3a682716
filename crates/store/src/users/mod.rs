//! Users of applications: what is demanded of them at sign-in, and what they hold.
//!
//! A user is an id that says nothing. What the application calls them is not stored: they are found by an HMAC of it under
//! a key of the installation's own, so any name is a user's, and one that nothing is known of is like one that has
//! nothing. Whatever is theirs goes with [`Store::erase_user`].
//!
//! Each method locks the row of the user first, so what one of them reads no other changes meanwhile.

mod devices;
mod factors;
mod passkeys;
mod policies;
mod sign_ins;

use std::fmt;

use jiff::Timestamp;
use ringfence_model::{Actor, Sid};
use ringfence_second_factor::failures::Rule;
use ringfence_second_factor::policy::Kind;
use serde_json::{Value, json};

pub use devices::{DeviceToken, NewUserDevice, UserDevice};
pub use factors::{TotpConfirmed, UserFactor};
pub use passkeys::{PasskeyAsked, PasskeyWanted};
pub use policies::UserPolicy;
pub use sign_ins::{
    BegunSignIn, CheckPasskey, CheckSignIn, NewUserSignIn, NotPassed, SIGN_IN, SignInChecked, SignInState,
    UserSignIn,
};

use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store, hex};

/// What tags of users are made for.
const USER: &str = "user";

/// A user in the words of their application.
#[derive(Clone, PartialEq, Eq)]
pub struct UserName {
    /// Whose user.
    pub application: Sid,
    /// What the application calls them. It is compared byte by byte and never stored.
    pub name: String,
}

/// It may be a mail address.
impl fmt::Debug for UserName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UserName").field("application", &self.application).finish_non_exhaustive()
    }
}

/// What is known of a user.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// What they are called in the audit log; none of a user that nothing is known of.
    pub id: Option<String>,
    /// What is demanded of them.
    pub policy: UserPolicy,
    /// Whether it is their own, and not the application's for everybody.
    pub has_own_policy: bool,
    /// The factors that count.
    pub factors: Vec<UserFactor>,
    /// How many recovery codes they have left that count.
    pub recovery_codes: u64,
}

/// A user as the tables know them.
#[derive(Debug, Clone)]
pub(crate) struct Tagged {
    application: Sid,
    tag: String,
}

/// The row of a user, which is the transaction's until it ends.
struct Locked {
    id: String,
    application: Sid,
    policy: Option<UserPolicy>,
}

impl Store {
    /// What is known of a user.
    pub async fn user(&self, user: &UserName) -> Result<User> {
        let of_all = self.application_policy(user.application).await?;
        let nothing =
            User { id: None, policy: of_all, has_own_policy: false, factors: Vec::new(), recovery_codes: 0 };
        let Some(found) = self.find_user(user).await? else { return Ok(nothing) };
        let confirmed = "SELECT * FROM user_factors WHERE user_id = $1 AND confirmed_at IS NOT NULL ORDER BY created_at, id";
        let factors = self.fetch(confirmed, values![&found.id]).await?;
        let left = self.find(factors::CODES_LEFT, values![&found.id]).await?;
        let left = left.map_or(Ok(0), |row| row.count("codes"))?;
        let totp = self.failures(&factors::totp(&found.id)).await?;
        let disabled = totp.is_disabled(Rule::User).then_some(Kind::Totp);
        let are_codes_disabled = self.failures(&factors::recovery(&found.id)).await?.is_disabled(Rule::User);
        Ok(User {
            policy: found.policy.unwrap_or(of_all),
            has_own_policy: found.policy.is_some(),
            factors: factors
                .iter()
                .map(|row| factors::read(&self.keys, row, disabled))
                .collect::<Result<_>>()?,
            recovery_codes: if are_codes_disabled { 0 } else { left },
            id: Some(found.id),
        })
    }

    /// Erases a user and everything that is theirs, if there is anything. What was set aside for codes that nobody has begun
    /// to send, and nobody will: it is the caller's to give back.
    pub async fn erase_user(
        &self,
        by: &Actor,
        user: &UserName,
        now: Timestamp,
    ) -> Result<Option<Vec<String>>> {
        let data = (by.clone(), self.tagged(user).await?, now);
        self.write(data, |(by, tagged, now), transaction| {
            Box::pin(async move {
                let lock =
                    "UPDATE users SET seen_at = seen_at WHERE application = $1 AND tag = $2 RETURNING *";
                let row = transaction.find(lock, values![tagged.application, &tagged.tag]).await?;
                let Some(found) = row.map(|row| read(&row)).transpose()? else { return Ok(None) };
                let unused = erase(transaction, &found.id).await?;
                note(transaction, by, "user.erase", &found, json!({}), *now).await?;
                Ok(Some(unused))
            })
        })
        .await
    }

    async fn find_user(&self, user: &UserName) -> Result<Option<Locked>> {
        let Tagged { application, tag } = self.tagged(user).await?;
        let select = "SELECT * FROM users WHERE application = $1 AND tag = $2";
        self.find(select, values![application, tag]).await?.map(|row| read(&row)).transpose()
    }

    async fn tagged(&self, user: &UserName) -> Result<Tagged> {
        let UserName { application, name } = user;
        let tag = self.factor_keys().await?.tags.tag(USER, &format!("{application} {name}"));
        Ok(Tagged { application: *application, tag })
    }
}

/// The user, who is made if they are not there yet.
async fn lock(transaction: &mut Transaction, tagged: &Tagged, now: Timestamp) -> Result<Locked> {
    let id = format!("us_{}", hex::write(&crate::random::<8>()));
    let upsert = "INSERT INTO users (id, application, tag, created_at, seen_at) VALUES ($1, $2, $3, $4, $4) \
                  ON CONFLICT (application, tag) DO UPDATE SET seen_at = excluded.seen_at RETURNING *";
    let row = transaction.find(upsert, values![id, tagged.application, &tagged.tag, now]).await?;
    read(&row.ok_or_else(|| Error::corrupt("users", "an upsert gave back no row"))?)
}

/// Deletes everything of a user. Failures of a phone number are the number's, and are forgotten in their time. What was set
/// aside for codes that nobody has begun to send.
async fn erase(transaction: &mut Transaction, user: &str) -> Result<Vec<String>> {
    let sends = "DELETE FROM code_sends WHERE challenge IN (SELECT sid FROM challenges WHERE purpose = 'sign-in' \
                 AND binding <> '' AND binding IN (SELECT id FROM user_sign_ins WHERE user_id = $1)) RETURNING \
                 CASE WHEN outcome = 'waiting' AND taken_up_at IS NULL THEN reservation END AS unused";
    let sends = transaction.fetch(sends, values![user]).await?;
    let unused =
        sends.iter().filter_map(|row| row.maybe_text("unused").transpose()).collect::<Result<_>>()?;
    let deletes = [
        "DELETE FROM challenges WHERE purpose = 'sign-in' AND binding <> '' \
         AND binding IN (SELECT id FROM user_sign_ins WHERE user_id = $1)",
        "DELETE FROM user_sign_ins WHERE user_id = $1",
        "DELETE FROM user_devices WHERE user_id = $1",
        "DELETE FROM user_codes WHERE user_id = $1",
        "DELETE FROM user_passkeys WHERE user_id = $1",
        "DELETE FROM user_passkey_challenges WHERE user_id = $1",
        "DELETE FROM user_factors WHERE user_id = $1",
        "DELETE FROM failures WHERE subject IN ('user/' || $1 || '/totp', 'user/' || $1 || '/totp-waiting', \
         'user/' || $1 || '/recovery-code', 'user/' || $1 || '/passkey')",
        "DELETE FROM users WHERE id = $1",
    ];
    for delete in deletes {
        transaction.execute(delete, values![user]).await?;
    }
    Ok(unused)
}

/// Erases at most so many users of applications that were removed, and, with the last, what these demanded of them; says how
/// many users. What is set aside for a code of theirs at this moment stays in doubt: an application is removed once.
pub(crate) async fn erase_of_removed(transaction: &mut Transaction, batch: usize) -> Result<u64> {
    let select = "SELECT id FROM users WHERE application IN (SELECT sid FROM applications \
                  WHERE removed_at IS NOT NULL) LIMIT $1";
    let users = transaction.fetch(select, values![batch]).await?;
    for user in &users {
        erase(transaction, &user.text("id")?).await?;
    }
    if users.len() < batch {
        let policies = "DELETE FROM application_policies WHERE application IN \
                        (SELECT sid FROM applications WHERE removed_at IS NOT NULL)";
        transaction.execute(policies, values![]).await?;
    }
    Ok(users.len() as u64)
}

/// Forgets what is over, and users that nothing is left of.
pub(crate) async fn forget(transaction: &mut Transaction, before: Timestamp, batch: usize) -> Result<u64> {
    let deletes = [
        // Each by an index of its own, which an OR would leave unused.
        "DELETE FROM user_devices WHERE id IN (SELECT id FROM user_devices WHERE ended_at < $1 \
         ORDER BY ended_at LIMIT $2)",
        "DELETE FROM user_devices WHERE id IN (SELECT id FROM user_devices WHERE expires_at < $1 \
         ORDER BY expires_at LIMIT $2)",
        "DELETE FROM user_codes WHERE tag IN (SELECT tag FROM user_codes WHERE used_at < $1 ORDER BY used_at LIMIT $2)",
        "DELETE FROM user_factors WHERE id IN (SELECT id FROM user_factors WHERE confirmed_at IS NULL \
         AND created_at < $1 ORDER BY id LIMIT $2)",
        "DELETE FROM user_passkey_challenges WHERE subject IN (SELECT subject FROM user_passkey_challenges \
         WHERE expires_at < $1 ORDER BY expires_at, subject LIMIT $2)",
        // Said twice: who comes back at this moment is locked, and looked at once more when the lock is let go.
        "DELETE FROM users WHERE seen_at < $1 AND policy IS NULL \
         AND id IN (SELECT id FROM users WHERE seen_at < $1 AND policy IS NULL \
         AND NOT EXISTS (SELECT 1 FROM user_factors WHERE user_id = users.id) \
         AND NOT EXISTS (SELECT 1 FROM user_codes WHERE user_id = users.id) \
         AND NOT EXISTS (SELECT 1 FROM user_devices WHERE user_id = users.id) \
         AND NOT EXISTS (SELECT 1 FROM user_sign_ins WHERE user_id = users.id) ORDER BY id LIMIT $2)",
        // Failures of a factor that counts stay, whatever their age: they are of one row. `user/us_…/…` Of passkeys there
        // were some once, which count for nothing.
        "DELETE FROM failures WHERE subject IN (SELECT subject FROM failures WHERE last < $1 \
         AND subject LIKE 'user/%' AND (subject LIKE '%/totp-waiting' OR subject LIKE '%/passkey' \
         OR NOT EXISTS (SELECT 1 FROM users WHERE id = substr(subject, 6, 19))) ORDER BY subject LIMIT $2)",
    ];
    let mut rows = 0;
    for delete in deletes {
        rows += transaction.execute(delete, values![before, batch]).await?;
    }
    Ok(rows)
}

/// Forgets sign-ins, which are over much earlier than the codes that were sent for them.
pub(crate) async fn forget_sign_ins(
    transaction: &mut Transaction,
    before: Timestamp,
    batch: usize,
) -> Result<u64> {
    let delete = "DELETE FROM user_sign_ins WHERE id IN (SELECT id FROM user_sign_ins \
                  WHERE expires_at < $1 ORDER BY expires_at, id LIMIT $2)";
    transaction.execute(delete, values![before, batch]).await
}

fn read(row: &Row) -> Result<Locked> {
    Ok(Locked { id: row.text("id")?, application: row.sid("application")?, policy: policies::read_own(row)? })
}

async fn note(
    transaction: &mut Transaction,
    by: &Actor,
    action: &str,
    user: &Locked,
    mut detail: Value,
    now: Timestamp,
) -> Result<()> {
    if let Some(fields) = detail.as_object_mut() {
        fields.insert("application".to_owned(), user.application.to_string().into());
    }
    let audit = NewAudit::new(action, format!("user {}", user.id)).with(detail);
    audit::append(transaction, by, &audit, now).await?;
    Ok(())
}
