//! One observation moves one breaker, in one transaction.

use std::sync::PoisonError;

use ringfence_breaker::{Limit, Measure, Observation, Phase, State, Subject};
use ringfence_model::{Actor, Sid};
use ringfence_store::{Account, Breaker, BreakerChange, Currencies, Error, Result, Step};
use ringfence_twilio::wire::AccountStatus;
use serde_json::json;

use super::{Engine, named};
use crate::decide::{By, Watched, decide, without_trip};
use crate::notices;
use crate::views::currency_of;
use crate::wanted::{AppliedLimit, scoped};

/// So often somebody else may be quicker before this node gives way for now. What was observed is observed again.
const TRIES: usize = 20;

impl Engine {
    /// Moves a breaker, and orders what follows. `settles` is the key of the delivery that told of it.
    ///
    /// Where another node moves the same breaker at the same time, one of them decides again from what the other wrote.
    pub(crate) async fn observe(
        &self,
        applied: &AppliedLimit,
        subject: Subject,
        observation: &Observation,
        by: &By<'_>,
        settles: Option<&str>,
    ) -> Result<()> {
        if let Observation::Usage { at, .. } = observation
            && applied.came_after(*at)
        {
            return match settles {
                Some(key) => self.settle(by, key).await,
                None => Ok(()),
            };
        }
        let mut accounts: Option<Vec<notices::Account>> = None;
        let mut unit = None;
        let mut tries = 0;
        loop {
            tries += 1;
            let limit = &applied.limit;
            let known = self.store.find_breaker::<State>(&limit.name, &subject.to_string()).await?;
            let now = self.now();
            // Most observations change nothing that concerns an account: who they are is asked when something does.
            let nobody = Watched { limit, subject, accounts: &[], unit: "" };
            let mut step = match decide(&nobody, known.as_ref(), observation, by, settles, now) {
                None => return Ok(()),
                Some(step) if step.effects.is_empty() && !moves(&step) => step,
                Some(_) => {
                    let of_scope = match accounts.take() {
                        Some(accounts) => accounts,
                        None => self.accounts_of(applied, subject).await?,
                    };
                    if unit.is_none() {
                        unit = Some(self.unit(applied, subject).await);
                    }
                    let unit = unit.as_deref().unwrap_or_default();
                    let watched = Watched { accounts: &of_scope, unit, ..nobody };
                    let step = decide(&watched, known.as_ref(), observation, by, settles, now);
                    accounts = Some(of_scope);
                    step.unwrap_or_default()
                }
            };
            for change in &mut step.changes {
                self.note_reserved(applied, subject, change).await;
            }
            let has_orders = !step.effects.is_empty();
            let moves = step.changes.iter().find_map(|change| Some(change.audit.as_ref()?.action.clone()));
            match self.store.step(by.actor, step, now).await {
                Ok(()) => {
                    if let Some(action) = moves {
                        tracing::warn!(action, limit = limit.name, %subject, "a breaker moved");
                    }
                    if has_orders {
                        self.announce();
                    }
                    return Ok(());
                }
                Err(error) if error.is_settled_conflict() => return Ok(()),
                Err(error) if error.is_conflict() && tries < TRIES => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Beside a trip stands what was set aside at that moment, which no usage record tells. No trip waits for it or fails
    /// by it: it is only told.
    async fn note_reserved(&self, applied: &AppliedLimit, subject: Subject, change: &mut BreakerChange) {
        let Some(audit) = &mut change.audit else { return };
        let is_trip = matches!(audit.action.as_str(), "breaker.trip" | "breaker.would-trip");
        if self.egress.is_none() || !is_trip {
            return;
        }
        let limit = &applied.limit.name;
        match self.store.find_ledger(limit, &subject.to_string()).await {
            Ok(Some(row)) => audit.detail["reserved"] = json!(row.ledger.reserved),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, limit, %subject, "a trip is noted without what was set aside");
            }
        }
    }

    /// Lets the breakers that do not just pass see what time it is, and what their limits say now: a window that has ended
    /// may lift a trip. How many there are.
    pub async fn tick(&self) -> Result<usize> {
        let actor = Actor::job("windows");
        let by = By { actor: &actor, reason: None };
        let mut ticked = 0;
        for breaker in self.store.breakers::<State>().await? {
            if matches!(breaker.state.phase, Phase::Passing) {
                continue;
            }
            let applied = self.limits.iter().find(|applied| applied.limit.name == breaker.limit);
            match (applied, breaker.subject.parse()) {
                (Some(applied), Ok(Subject::Account(sid))) if self.is_closed(sid).await? => {
                    ticked += usize::from(self.end_for_good(&applied.limit, &breaker, &actor).await?);
                }
                (Some(applied), Ok(subject)) => {
                    self.observe(applied, subject, &Observation::Tick, &by, None).await?;
                    ticked += 1;
                }
                (None, _) if matches!(breaker.state.phase, Phase::Tripped { .. }) => {
                    ticked += usize::from(self.forget(&breaker, &actor).await?);
                }
                _ => {}
            }
        }
        Ok(ticked)
    }

    /// Whether an account is closed at Twilio, which is for good.
    async fn is_closed(&self, sid: Sid) -> Result<bool> {
        let account = self.store.find_account(sid).await?;
        Ok(account.is_some_and(|account| account.status == AccountStatus::Closed.as_str()))
    }

    /// Ends the trip of an account that is closed: nothing is spent there, and there is nothing to let go. Says whether it did.
    async fn end_for_good(&self, limit: &Limit, breaker: &Breaker<State>, by: &Actor) -> Result<bool> {
        let now = self.now();
        let Some(change) = without_trip(limit, breaker, "the account was closed at Twilio", now) else {
            return Ok(false);
        };
        match self.store.step(by, Step { changes: vec![change], ..Step::default() }, now).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes away a trip that no limit has any more: a node that had yet to hear of it moved the breaker after the limit was
    /// taken out. Says whether it did.
    async fn forget(&self, breaker: &Breaker<State>, by: &Actor) -> Result<bool> {
        // This node may be the one that has yet to hear of a new limit.
        if self.store.applied_limits().await?.iter().any(|applied| applied.name == breaker.limit) {
            return Ok(false);
        }
        let (limit, subject) = (&breaker.limit, &breaker.subject);
        match self.store.remove_breaker(by, limit, subject, breaker.version, self.now()).await {
            Ok(()) => {
                tracing::warn!(
                    limit,
                    subject,
                    "a trip is forgotten whose limit is not in the configuration any more"
                );
                Ok(true)
            }
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Notes that a delivery moves no breaker.
    pub(crate) async fn settle(&self, by: &By<'_>, key: &str) -> Result<()> {
        let step = Step { observation: Some(key.to_owned()), ..Step::default() };
        match self.store.step(by.actor, step, self.now()).await {
            Err(error) if error.is_settled_conflict() => Ok(()),
            done => done,
        }
    }

    /// The accounts that the breaker's actions meet.
    async fn accounts_of(&self, applied: &AppliedLimit, subject: Subject) -> Result<Vec<notices::Account>> {
        let is_meant = |account: &&Account| match subject {
            Subject::Account(_) => true,
            Subject::Together => {
                account.gone_at.is_none() && applied.subject(&scoped(account)) == Some(subject)
            }
            Subject::Prefix(_) => false,
        };
        let accounts: Vec<Account> = match subject {
            Subject::Account(sid) => self.store.find_account(sid).await?.into_iter().collect(),
            Subject::Together => self.store.accounts().await?,
            Subject::Prefix(_) => Vec::new(),
        };
        Ok(accounts.iter().filter(is_meant).map(named).collect())
    }

    /// What amounts of this breaker are of, for people. Nothing waits for it or fails by it: it is only told.
    async fn unit(&self, applied: &AppliedLimit, subject: Subject) -> String {
        let limit = &applied.limit;
        if limit.measure != Measure::Price {
            return limit.category.clone();
        }
        let known = async {
            let accounts = match subject {
                Subject::Account(sid) => self.store.find_account(sid).await?.into_iter().collect(),
                Subject::Together | Subject::Prefix(_) => self.store.accounts().await?,
            };
            Ok::<_, Error>(currency_of(applied, subject, &accounts, &self.store.currencies().await?))
        };
        match known.await {
            Ok(currency) => currency.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, limit = limit.name, %subject, "amounts are told without their currency");
                String::new()
            }
        }
    }

    /// The store knows what an account pays in, so that whoever tells an amount can name it.
    pub(super) async fn learn_currency(&self, account: Sid, currency: &str) -> Result<()> {
        let is_known = |currencies: &Currencies| currencies.get(&account).is_some_and(|it| it == currency);
        if is_known(&self.currencies.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        let mut kept = self.store.currencies().await?;
        if !is_known(&kept) {
            self.store.keep_currency(account, currency).await?;
            kept.insert(account, currency.to_owned());
        }
        *self.currencies.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(())
    }
}

/// Whether the audit log names accounts because of it.
fn moves(step: &Step) -> bool {
    step.changes.iter().any(|change| change.audit.is_some())
}
