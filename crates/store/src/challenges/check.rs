//! Checking a code, and the other ends of a challenge.
//!
//! One transaction: the challenge and its failures are locked, the attempt is counted in both, and only then the code is
//! derived and compared, in constant time. So of many checks at once at most five are compared, and one is accepted.

use jiff::Timestamp;
use ringfence_model::{Actor, Secret};
use ringfence_second_factor::challenge::{Refused, State};
use ringfence_second_factor::failures::Barred;
use ringfence_second_factor::pumping;
use serde_json::json;

use super::{CONSOLE, Challenge, Counter, Expected, Which, lock, sends, write_course};
use crate::audit::{self, NewAudit};
use crate::factor_keys::FactorKeys;
use crate::sql::Transaction;
use crate::{Result, Store, conversions, failures};

/// A code that somebody entered.
#[derive(Debug, Clone)]
pub struct Check {
    /// What the challenge is for, in the caller's eyes.
    pub expected: Expected,
    /// Which one.
    pub which: Which,
    /// What was entered.
    pub code: Secret,
    /// What the attempt counts under.
    pub counter: Counter,
}

/// What a check found.
#[derive(Debug, Clone)]
pub enum Checked {
    /// The code is right, this once.
    Approved(Box<Challenge>),
    /// It is not.
    Wrong(Box<Challenge>),
    /// It was not compared.
    Not(NotChecked),
}

/// Why a code is not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotChecked {
    /// Nothing waits for a code here: never started, approved before, canceled, expired, or of something else.
    Missing,
    /// Too many codes were tried. The challenge ends at this time.
    MaxChecks(Timestamp),
    /// Too many failures in a row.
    Barred(Barred),
}

/// How a challenge ends without its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Whoever started it says that it is approved.
    Approved,
    /// It is called off.
    Canceled,
}

impl Store {
    /// Checks a code. Whatever happens at once, a challenge is approved once and five codes are compared at most.
    pub async fn check_challenge(&self, by: &Actor, check: Check, now: Timestamp) -> Result<Checked> {
        let data = (by.clone(), check, self.factor_keys().await?, now);
        self.write(data, |(by, check, keys, now), transaction| {
            Box::pin(check_in(transaction, by, check, keys, *now))
        })
        .await
    }

    /// Ends a challenge that waits, on the word of whoever started it. `None`: nothing waits there.
    pub async fn end_challenge(
        &self,
        by: &Actor,
        expected: &Expected,
        which: Which,
        end: End,
        now: Timestamp,
    ) -> Result<Option<Challenge>> {
        let data = (by.clone(), expected.clone(), which, end, self.factor_keys().await?, now);
        self.write(data, |(by, expected, which, end, keys, now), transaction| {
            Box::pin(async move {
                let now = *now;
                let Some(mut challenge) = lock(transaction, keys, expected, *which).await? else {
                    return Ok(None);
                };
                let course = match end {
                    End::Approved => challenge.course.approve(now),
                    End::Canceled => challenge.course.cancel(now),
                };
                let Ok(course) = course else { return Ok(None) };
                challenge.now_at(course, now);
                write_course(transaction, &challenge, now).await?;
                match end {
                    End::Approved => approved(transaction, by, &challenge, "application", now).await?,
                    End::Canceled => {
                        note(transaction, by, "challenge.cancel", &challenge, "asked", now).await?;
                    }
                }
                Ok(Some(challenge))
            })
        })
        .await
    }
}

/// Checks a code in a transaction that something else follows in.
pub(crate) async fn check_in(
    transaction: &mut Transaction,
    by: &Actor,
    check: &Check,
    keys: &FactorKeys,
    now: Timestamp,
) -> Result<Checked> {
    let Some(mut challenge) = lock(transaction, keys, &check.expected, check.which).await? else {
        return Ok(Checked::Not(NotChecked::Missing));
    };
    let expires_at = challenge.course.expires_at;
    let (course, right) = challenge.course.count(now);
    let right = match right {
        Ok(right) => right,
        Err(refused) => {
            let not = match refused {
                Refused::MaxChecks => NotChecked::MaxChecks(expires_at),
                _ => NotChecked::Missing,
            };
            if course != challenge.course {
                challenge.now_at(course, now);
                write_course(transaction, &challenge, now).await?;
            }
            return refuse(transaction, by, &challenge, not, now).await;
        }
    };
    let subject = check.counter.subject(&check.expected.application, &challenge.number_tag);
    if let Err(barred) = failures::count(transaction, &subject, check.counter.rule(), now).await? {
        return refuse(transaction, by, &challenge, NotChecked::Barred(barred), now).await;
    }
    challenge.now_at(course, now);
    write_course(transaction, &challenge, now).await?;

    let is_right = challenge.code(keys).is(check.code.expose());
    let course = challenge.course.compared(right, is_right, now);
    if !is_right {
        note(transaction, by, "challenge.refuse", &challenge, "wrong", now).await?;
        return Ok(Checked::Wrong(Box::new(challenge)));
    }
    challenge.now_at(course, now);
    write_course(transaction, &challenge, now).await?;
    failures::forget(transaction, &subject).await?;
    approved(transaction, by, &challenge, "code", now).await?;
    Ok(Checked::Approved(Box::new(challenge)))
}

/// What follows from an approval.
async fn approved(
    transaction: &mut Transaction,
    by: &Actor,
    challenge: &Challenge,
    why: &str,
    now: Timestamp,
) -> Result<()> {
    sends::converted(transaction, challenge.sid, now).await?;
    let application = &challenge.expected.application;
    if application != CONSOLE {
        let prefix = pumping::prefix(challenge.number);
        conversions::entered(transaction, application, &prefix, now).await?;
    }
    note(transaction, by, "challenge.approve", challenge, why, now).await
}

async fn refuse(
    transaction: &mut Transaction,
    by: &Actor,
    challenge: &Challenge,
    not: NotChecked,
    now: Timestamp,
) -> Result<Checked> {
    let why = match not {
        NotChecked::Missing => challenge.course.at(now).state.as_str(),
        NotChecked::MaxChecks(_) => State::MaxAttemptsReached(now).as_str(),
        NotChecked::Barred(Barred::Until(_)) => "paused",
        NotChecked::Barred(Barred::BoundAnew) => "bind-anew",
    };
    note(transaction, by, "challenge.refuse", challenge, why, now).await?;
    Ok(Checked::Not(not))
}

async fn note(
    transaction: &mut Transaction,
    by: &Actor,
    action: &str,
    challenge: &Challenge,
    why: &str,
    now: Timestamp,
) -> Result<()> {
    let audit = NewAudit::new(action, format!("challenge {}", challenge.sid)).with(json!({
        "application": challenge.expected.application,
        "purpose": challenge.expected.purpose,
        "why": why,
    }));
    audit::append(transaction, by, &audit, now).await?;
    Ok(())
}
