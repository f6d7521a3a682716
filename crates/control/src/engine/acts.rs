//! What an operator does: stops spending, lifts a trip, holds an account suspended, lets it go. Each has a reason on record.

use ringfence_breaker::{Action, DialPrefix, Observation, Per, Phase, State, Subject, is_of_accounts};
use ringfence_model::{Actor, Amount, Sid};
use ringfence_store::{Account, NewAudit, Step, Wanted, Wish, WishedBy};
use serde_json::json;

use super::{Engine, GEO, named};
use crate::decide::{By, geo_order, status_order};
use crate::wanted::{AppliedLimit, in_force, scoped};

/// Why an operator's act was refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ActRefused {
    /// No limit has this name.
    #[error("there is no limit \"{0}\"; the configuration names them")]
    NoLimit(String),
    /// The limit does not hold for it.
    #[error("the limit \"{limit}\" does not hold for {subject}")]
    OutOfScope {
        /// The limit's name.
        limit: String,
        /// What it was asked about.
        subject: String,
    },
    /// The limit counts under one shorter beginning: a breaker here would stop nothing.
    #[error(
        "numbers that begin with {beginning} are counted under {counted}, and stopped with all that begin so: name {counted}"
    )]
    CountedUnder {
        /// What was named.
        beginning: DialPrefix,
        /// What is to be named.
        counted: DialPrefix,
    },
    /// The limit counts under several longer beginnings: a breaker here would stop nothing.
    #[error(
        "numbers that begin with {0} are counted under several beginnings, by the country code and a digit, in North America by \
         the area code: name one of these"
    )]
    CountedUnderSeveral(DialPrefix),
    /// Twilio's list never had it.
    #[error("{0} is no account that is known here")]
    NoAccount(Sid),
    /// Twilio suspends subaccounts only.
    #[error("{0} is a parent account, and Twilio suspends only subaccounts")]
    Parent(Sid),
    /// There is nothing to lift.
    #[error("the limit \"{limit}\" is not tripped for {subject}")]
    NotTripped {
        /// The limit's name.
        limit: String,
        /// Whose.
        subject: String,
    },
    /// Breakers hold the account: each is reset for itself.
    #[error("{account} is held by {}: reset that first", .limits.join(", "))]
    Held {
        /// Which account.
        account: Sid,
        /// The limits that are tripped.
        limits: Vec<String>,
    },
    /// An amount that lets nothing be spent would trip again at once.
    #[error("a reset must allow more than 0, or the limit would trip again at once")]
    AllowsNothing,
    /// The audit log wants to know why.
    #[error("give a reason: the audit log keeps it")]
    NoReason,
    /// It could not be written down.
    #[error(transparent)]
    Store(#[from] ringfence_store::Error),
}

/// Whom a limit is about, as a sentence ends with it.
fn in_words(subject: Subject) -> String {
    match subject {
        Subject::Together => "its accounts together".to_owned(),
        Subject::Account(_) | Subject::Prefix(_) => subject.to_string(),
    }
}

impl Engine {
    /// Stops a subject of a limit now, on every node: the limit's actions are ordered.
    pub async fn trip(
        &self,
        limit: &str,
        subject: Subject,
        actor: &Actor,
        reason: &str,
    ) -> Result<State, ActRefused> {
        let applied = self.act_on(limit, subject, reason).await?;
        if let Subject::Prefix(beginning) = subject {
            match beginning.counted() {
                Some(counted) if counted == beginning => {}
                Some(counted) => return Err(ActRefused::CountedUnder { beginning, counted }),
                None => return Err(ActRefused::CountedUnderSeveral(beginning)),
            }
        }
        let by = By { actor, reason: Some(reason) };
        self.observe(applied, subject, &Observation::Trip, &by, None).await?;
        self.state(applied, subject).await
    }

    /// Lifts a trip. `allow` is how much more may be used in this window; what the limit says if none is given. The
    /// state says what holds now.
    pub async fn reset(
        &self,
        limit: &str,
        subject: Subject,
        allow: Option<Amount>,
        actor: &Actor,
        reason: &str,
    ) -> Result<State, ActRefused> {
        let applied = self.act_on(limit, subject, reason).await?;
        if allow.is_some_and(|allow| allow <= Amount::ZERO) {
            return Err(ActRefused::AllowsNothing);
        }
        if !matches!(self.state(applied, subject).await?.phase, Phase::Tripped { .. }) {
            return Err(ActRefused::NotTripped { limit: limit.to_owned(), subject: in_words(subject) });
        }
        let by = By { actor, reason: Some(reason) };
        self.observe(applied, subject, &Observation::Reset { allow }, &by, None).await?;
        self.state(applied, subject).await
    }

    /// Suspends an account until somebody resumes it, whatever its breakers say.
    pub async fn suspend_account(&self, sid: Sid, actor: &Actor, reason: &str) -> Result<(), ActRefused> {
        let account = self.subaccount(sid, reason).await?;
        let wish = Wish { by: WishedBy::Operator, reason: reason.to_owned(), since: self.now() };
        self.want(&account, Wanted::Suspended(wish), actor, false).await
    }

    /// Lets an account go that an operator held, or that a limit has left suspended, or without countries, which is taken out of
    /// the configuration. Refused while breakers hold it.
    pub async fn resume_account(&self, sid: Sid, actor: &Actor, reason: &str) -> Result<(), ActRefused> {
        let account = self.known_account(sid, reason).await?;
        let is_parent = account.parent.is_none();
        let is_closed = self.store.find_taken(sid, GEO).await?.is_some();
        if is_parent && !is_closed {
            return Err(ActRefused::Parent(sid));
        }
        let breakers = self.breakers_of(&account).await?;
        let holds = if is_parent { Action::CloseGeo } else { Action::Suspend };
        let limits: Vec<_> = in_force(&scoped(&account), &self.limits, &breakers, holds)
            .map(|limit| format!("\"{}\"", limit.name))
            .collect();
        if !limits.is_empty() {
            return Err(ActRefused::Held { account: sid, limits });
        }
        if is_closed {
            // Its countries stay closed all the same while a limit wants it.
            let now = self.now();
            let order = geo_order(&named(&account), &format!("resume/{now}"), now);
            let reason = json!({ "reason": reason });
            let audit = NewAudit::new("account.open-geo", format!("account {sid}")).with(reason);
            self.store.audit(actor, audit, now).await?;
            self.store.add_effect(actor, order, now).await?;
            self.announce();
        }
        if is_parent {
            return Ok(());
        }
        let wish = Wish { by: WishedBy::Operator, reason: reason.to_owned(), since: self.now() };
        self.want(&account, Wanted::Active(wish), actor, true).await
    }

    async fn want(
        &self,
        account: &Account,
        wanted: Wanted,
        actor: &Actor,
        lifts: bool,
    ) -> Result<(), ActRefused> {
        let now = self.now();
        let word = if lifts { "resume" } else { "suspend" };
        let order = status_order(&named(account), "", &format!("{word}/{now}"), lifts, now);
        let step = Step { wants: vec![(account.sid, wanted)], effects: vec![order], ..Step::default() };
        self.store.step(actor, step, now).await?;
        self.announce();
        Ok(())
    }

    async fn known_account(&self, sid: Sid, reason: &str) -> Result<Account, ActRefused> {
        if reason.trim().is_empty() {
            return Err(ActRefused::NoReason);
        }
        self.store.find_account(sid).await?.ok_or(ActRefused::NoAccount(sid))
    }

    async fn subaccount(&self, sid: Sid, reason: &str) -> Result<Account, ActRefused> {
        let account = self.known_account(sid, reason).await?;
        if account.parent.is_none() { Err(ActRefused::Parent(sid)) } else { Ok(account) }
    }

    /// The limit that an act is about, if it holds for the subject.
    async fn act_on(&self, limit: &str, subject: Subject, reason: &str) -> Result<&AppliedLimit, ActRefused> {
        if reason.trim().is_empty() {
            return Err(ActRefused::NoReason);
        }
        let applied = self.limits.iter().find(|applied| applied.limit.name == limit);
        let applied = applied.ok_or_else(|| ActRefused::NoLimit(limit.to_owned()))?;
        let holds = match subject {
            Subject::Together => applied.limit.per == Per::Together,
            Subject::Prefix(_) => applied.limit.per == Per::Prefix,
            Subject::Account(sid) => {
                let account = self.store.find_account(sid).await?.ok_or(ActRefused::NoAccount(sid))?;
                // Requests of any account may be in a scope of the egress. A trip outlives the account's place in the scope,
                // and so must the way to lift it.
                (applied.limit.per == Per::Account && !is_of_accounts(&applied.limit.scope))
                    || applied.subject(&scoped(&account)) == Some(subject)
                    || self.state(applied, subject).await?.stops()
            }
        };
        if holds {
            Ok(applied)
        } else {
            Err(ActRefused::OutOfScope { limit: limit.to_owned(), subject: in_words(subject) })
        }
    }

    /// Where a breaker stands; one that was never moved passes.
    async fn state(&self, applied: &AppliedLimit, subject: Subject) -> Result<State, ActRefused> {
        let kept = self.store.find_breaker::<State>(&applied.limit.name, &subject.to_string()).await?;
        Ok(kept.map_or_else(|| State::new(&applied.limit, self.now()), |breaker| breaker.state))
    }
}
