//! What is demanded of users: by the application of all of them, or of one.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::{Actor, Sid};
use ringfence_second_factor::policy::{Demands, Policy, Strength};
use serde_json::{Value, json};

use super::sign_ins::holds;
use super::{UserName, devices, lock, note};
use crate::audit::{self, NewAudit};
use crate::error::Error;
use crate::sql::{Row, Transaction, values};
use crate::{Result, Store};

/// What is demanded of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserPolicy {
    /// How often the second factor is asked for, and whether a code to a phone does.
    pub demands: Demands,
    /// For how many days a computer is trusted.
    pub trust_days: u16,
}

/// What holds where an application has said nothing. A computer is trusted only where the application wishes it.
impl Default for UserPolicy {
    fn default() -> Self {
        Self { demands: Demands { policy: Policy::OncePerComputer, strength: Strength::Any }, trust_days: 30 }
    }
}

impl UserPolicy {
    /// For how long a computer is trusted.
    pub fn trusted_for(self) -> SignedDuration {
        SignedDuration::from_hours(24 * i64::from(self.trust_days))
    }

    /// Whether computers are trusted at all.
    pub fn trusts(self) -> bool {
        self.demands.policy == Policy::OncePerComputer
    }

    /// Whether computers that were trusted under the policy before are asked again: none is trusted any more, or what they
    /// showed is not enough now.
    fn ends_trust_of(self, before: Self) -> bool {
        !self.trusts() || self.demands.strength > before.demands.strength
    }

    fn detail(self) -> Value {
        let Demands { policy, strength } = self.demands;
        let strong = strength != Strength::Any;
        json!({ "policy": policy.word(), "strong": strong, "trust_days": self.trust_days })
    }
}

impl Store {
    /// What an application demands of its users.
    pub async fn application_policy(&self, application: Sid) -> Result<UserPolicy> {
        let select = "SELECT * FROM application_policies WHERE application = $1";
        let row = self.find(select, values![application]).await?;
        row.map_or(Ok(UserPolicy::default()), |row| read(&row))
    }

    /// Sets what an application demands of its users. Where it does not trust computers any more, those of all users that
    /// have no policy of their own are trusted no longer.
    pub async fn set_application_policy(
        &self,
        by: &Actor,
        application: Sid,
        policy: UserPolicy,
        now: Timestamp,
    ) -> Result<()> {
        self.write((by.clone(), application, policy, now), |(by, application, policy, now), transaction| {
            Box::pin(async move {
                let before = of_application(transaction, *application).await?;
                let upsert = "INSERT INTO application_policies (application, policy, strong, trust_days, set_at) \
                              VALUES ($1, $2, $3, $4, $5) ON CONFLICT (application) DO UPDATE SET \
                              policy = excluded.policy, strong = excluded.strong, \
                              trust_days = excluded.trust_days, set_at = excluded.set_at";
                let Demands { policy: word, strength } = policy.demands;
                let bound = values![
                    *application,
                    word.word(),
                    strength.number(),
                    i64::from(policy.trust_days),
                    *now
                ];
                transaction.execute(upsert, bound).await?;
                if policy.ends_trust_of(before) {
                    devices::end_of_application(transaction, *application, *now).await?;
                }
                let audit = NewAudit::new("application.policy", format!("application {application}"))
                    .with(policy.detail());
                audit::append(transaction, by, &audit, *now).await?;
                Ok(())
            })
        })
        .await
    }

    /// Gives a user a policy of their own, or takes it away. A policy that does not trust computers ends the trust in
    /// theirs.
    pub async fn set_user_policy(
        &self,
        by: &Actor,
        user: &UserName,
        policy: Option<UserPolicy>,
        now: Timestamp,
    ) -> Result<()> {
        let data = (by.clone(), self.tagged(user).await?, policy, now);
        self.write(data, |(by, tagged, policy, now), transaction| {
            Box::pin(async move {
                let user = lock(transaction, tagged, *now).await?;
                let before = holds(transaction, &user).await?;
                let update = "UPDATE users SET policy = $2, strong = $3, trust_days = $4 WHERE id = $1";
                let bound = values![
                    &user.id,
                    policy.map(|it| it.demands.policy.word()),
                    policy.map(|it| it.demands.strength.number()),
                    policy.map(|it| i64::from(it.trust_days)),
                ];
                transaction.execute(update, bound).await?;
                let holds = match policy {
                    Some(own) => *own,
                    None => of_application(transaction, user.application).await?,
                };
                if holds.ends_trust_of(before) {
                    devices::end(transaction, &user.id, None, "the policy ended the trust", *now).await?;
                }
                let detail = policy.map_or_else(|| json!({ "policy": null }), UserPolicy::detail);
                note(transaction, by, "user.policy", &user, detail, *now).await
            })
        })
        .await
    }
}

/// What an application demands of its users.
pub(super) async fn of_application(transaction: &mut Transaction, application: Sid) -> Result<UserPolicy> {
    let select = "SELECT * FROM application_policies WHERE application = $1";
    let row = transaction.find(select, values![application]).await?;
    row.map_or(Ok(UserPolicy::default()), |row| read(&row))
}

/// The policy of a user's own.
pub(super) fn read_own(row: &Row) -> Result<Option<UserPolicy>> {
    if row.maybe_text("policy")?.is_none() { Ok(None) } else { read(row).map(Some) }
}

fn read(row: &Row) -> Result<UserPolicy> {
    let word = row.text("policy")?;
    let corrupt = |why: String| Error::corrupt("policies of an application's users", why);
    let policy = Policy::from_word(&word).ok_or_else(|| corrupt(format!("`{word}` is no policy")))?;
    let trust_days = u16::try_from(row.int("trust_days")?).map_err(|error| corrupt(error.to_string()))?;
    let strength = Strength::from_number(row.int("strong")?);
    let strength = strength.ok_or_else(|| corrupt("its strength is not known".to_owned()))?;
    Ok(UserPolicy { demands: Demands { policy, strength }, trust_days })
}
