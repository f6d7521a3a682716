//! Checking a code, and the other ends of a challenge.
//!
//! Many are checked in one transaction: the challenges are locked, then their failures. Then each check in its turn: the attempt
//! is counted in both, and only then the code is derived and compared, in constant time. Nobody learns what came of it before
//! all of that is written. So of many checks at once at most five are compared, and one is accepted.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use ringfence_model::{Actor, Secret, Sid};
use ringfence_second_factor::challenge::{Refused, State};
use ringfence_second_factor::failures::{Barred, Rule};
use ringfence_second_factor::policy::Kind;
use serde_json::json;

use super::locked::Locked;
use super::{Challenge, Counter, Expected, Which, sends};
use crate::audit::{self, NewAudit};
use crate::conversions::Destination;
use crate::error::Error;
use crate::factor_keys::FactorKeys;
use crate::outbox::{self, NewEffect};
use crate::queue::Batched;
use crate::sql::Transaction;
use crate::write::Outcome;
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
    /// Who hears of it where it is a factor of a person, and counts no more after this one.
    pub worn_out: Option<NewEffect>,
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

/// A code that somebody entered, in the line of those that are checked together.
pub(crate) struct Entered {
    by: Actor,
    check: Check,
    keys: Arc<FactorKeys>,
    now: Timestamp,
}

impl Batched for Entered {
    type Did = Checked;

    fn carry_out<'a>(acts: &'a [Self], transaction: &'a mut Transaction) -> Outcome<'a, Vec<Checked>> {
        Box::pin(async move {
            let all: Vec<_> = acts.iter().map(|it| (&it.by, &it.check, it.now)).collect();
            match acts {
                [] => Ok(Vec::new()),
                [first, ..] => check_all(transaction, &first.keys, &all).await,
            }
        })
    }
}

impl Store {
    /// Checks a code. Whatever happens at once, a challenge is approved once and five codes are compared at most.
    pub async fn check_challenge(&self, by: &Actor, check: Check, now: Timestamp) -> Result<Checked> {
        let keys = self.factor_keys().await?;
        self.checks.carry_out(Entered { by: by.clone(), check, keys, now }).await
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
                let mut batch = Batch::read(transaction, keys, [(expected, *which)]).await?;
                let ended = batch.end(by, expected, *which, *end, *now);
                batch.write(transaction).await?;
                Ok(ended)
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
    let mut all = check_all(transaction, keys, &[(by, check, now)]).await?;
    all.pop().ok_or_else(|| Error::corrupt("challenges", "a check found nothing")) // one check finds one thing
}

/// Checks codes, each in its turn, and says what each found.
async fn check_all(
    transaction: &mut Transaction,
    keys: &FactorKeys,
    all: &[(&Actor, &Check, Timestamp)],
) -> Result<Vec<Checked>> {
    let wanted = all.iter().map(|(_, check, _)| (&check.expected, check.which));
    let mut batch = Batch::read(transaction, keys, wanted).await?;
    batch.lock_failures(transaction, all).await?;
    let checked = all.iter().map(|(by, check, now)| batch.check(by, check, *now)).collect::<Result<_>>()?;
    batch.write(transaction).await?;
    Ok(checked)
}

/// All that the acts of one transaction look at and change.
struct Batch<'a> {
    keys: &'a FactorKeys,
    challenges: Locked,
    failures: failures::Locked,
    /// What was approved, when.
    approved: BTreeMap<Sid, Timestamp>,
    /// Of what was sent to which prefixes by whose codes, when.
    entered: Vec<(Destination, Timestamp)>,
    audits: Vec<(&'a Actor, NewAudit, Timestamp)>,
    letters: Vec<(NewEffect, Timestamp)>,
}

impl<'a> Batch<'a> {
    async fn read(
        transaction: &mut Transaction,
        keys: &'a FactorKeys,
        wanted: impl IntoIterator<Item = (&Expected, Which)>,
    ) -> Result<Self> {
        Ok(Self {
            keys,
            challenges: Locked::lock(transaction, keys, wanted).await?,
            failures: failures::Locked::default(),
            approved: BTreeMap::new(),
            entered: Vec::new(),
            audits: Vec::new(),
            letters: Vec::new(),
        })
    }

    /// Locks what failures are counted under, of those that may be compared.
    async fn lock_failures(
        &mut self,
        transaction: &mut Transaction,
        all: &[(&Actor, &Check, Timestamp)],
    ) -> Result<()> {
        let subjects = all.iter().filter_map(|(_, check, now)| {
            let challenge = self.challenges.find(self.keys, &check.expected, check.which)?;
            challenge.course.count(*now).1.is_ok().then(|| subject(check, challenge))
        });
        self.failures = failures::Locked::lock(transaction, subjects.collect()).await?;
        Ok(())
    }

    /// Counts an attempt, and only then derives the code and compares it.
    fn check(&mut self, by: &'a Actor, check: &Check, now: Timestamp) -> Result<Checked> {
        let found = self.challenges.find(self.keys, &check.expected, check.which);
        let Some(mut challenge) = found.cloned() else {
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
                    self.challenges.put(challenge.clone(), now);
                }
                return Ok(self.refuse(by, &challenge, not, now));
            }
        };
        let subject = subject(check, &challenge);
        if let Err(barred) = self.failures.count(&subject, check.counter.rule(), now)? {
            return Ok(self.refuse(by, &challenge, NotChecked::Barred(barred), now));
        }
        challenge.now_at(course, now);
        self.challenges.put(challenge.clone(), now);

        let is_right = challenge.code(self.keys).is(check.code.expose());
        let course = challenge.course.compared(right, is_right, now);
        if !is_right {
            self.note(by, "challenge.refuse", &challenge, "wrong", now);
            self.wear_out(by, check, &subject, now);
            return Ok(Checked::Wrong(Box::new(challenge)));
        }
        challenge.now_at(course, now);
        self.failures.forget(&subject)?;
        self.approve(by, &challenge, "code", now);
        Ok(Checked::Approved(Box::new(challenge)))
    }

    /// Ends one without a code, if it waits.
    fn end(
        &mut self,
        by: &'a Actor,
        expected: &Expected,
        which: Which,
        end: End,
        now: Timestamp,
    ) -> Option<Challenge> {
        let mut challenge = self.challenges.find(self.keys, expected, which)?.clone();
        let course = match end {
            End::Approved => challenge.course.approve(now),
            End::Canceled => challenge.course.cancel(now),
        };
        challenge.now_at(course.ok()?, now);
        match end {
            End::Approved => self.approve(by, &challenge, "application", now),
            End::Canceled => {
                self.challenges.put(challenge.clone(), now);
                self.note(by, "challenge.cancel", &challenge, "asked", now);
            }
        }
        Some(challenge)
    }

    /// What follows from an approval.
    fn approve(&mut self, by: &'a Actor, challenge: &Challenge, why: &str, now: Timestamp) {
        self.challenges.put(challenge.clone(), now);
        self.approved.insert(challenge.sid, now);
        self.entered.extend(challenge.watched().map(|to| (to, now)));
        self.note(by, "challenge.approve", challenge, why, now);
    }

    fn refuse(&mut self, by: &'a Actor, challenge: &Challenge, not: NotChecked, now: Timestamp) -> Checked {
        let why = match not {
            NotChecked::Missing => challenge.course.at(now).state.as_str(),
            NotChecked::MaxChecks(_) => State::MaxAttemptsReached(now).as_str(),
            NotChecked::Barred(Barred::Until(_)) => "paused",
            NotChecked::Barred(Barred::BoundAnew) => "bind-anew",
        };
        self.note(by, "challenge.refuse", challenge, why, now);
        Checked::Not(not)
    }

    /// A factor of a person that was wrong for the last time counts no more.
    fn wear_out(&mut self, by: &'a Actor, check: &Check, subject: &str, now: Timestamp) {
        let (Counter::Factor(_), Some(failures)) = (&check.counter, self.failures.get(subject)) else {
            return;
        };
        if !failures.is_disabled(Rule::Person) {
            return;
        }
        let factor = subject.strip_prefix("factor/").unwrap_or(subject);
        let detail = json!({ "factor": factor, "kind": Kind::Phone.word(), "failures": failures.count });
        let audit = NewAudit::new("factor.disable", format!("person {}", by.name())).with(detail);
        self.audits.push((by, audit, now));
        self.letters.extend(check.worn_out.clone().map(|letter| (letter, now)));
    }

    fn note(&mut self, by: &'a Actor, action: &str, challenge: &Challenge, why: &str, now: Timestamp) {
        let audit = NewAudit::new(action, format!("challenge {}", challenge.sid)).with(json!({
            "application": challenge.expected.application,
            "purpose": challenge.expected.purpose,
            "why": why,
        }));
        self.audits.push((by, audit, now));
    }

    /// Writes what has changed.
    async fn write(self, transaction: &mut Transaction) -> Result<()> {
        if let Some(latest) = self.approved.values().max() {
            let destinations = self.entered.iter().map(|(to, _)| to.clone()).collect();
            let mut prefixes = conversions::Locked::lock(transaction, &destinations, *latest).await?;
            for (to, at) in &self.entered {
                prefixes.entered(to, *at)?;
            }
            sends::converted(transaction, &self.approved).await?;
            prefixes.write(transaction).await?;
        }
        // What is written goes together where nothing is read in between.
        self.challenges.write(transaction).await?;
        self.failures.write(transaction).await?;
        for (letter, at) in &self.letters {
            outbox::add(transaction, &Actor::job("letters"), letter, *at).await?;
        }
        audit::append_all(transaction, &self.audits).await
    }
}

/// What an attempt counts under.
fn subject(check: &Check, challenge: &Challenge) -> String {
    check.counter.subject(&check.expected.application, &challenge.number_tag)
}
