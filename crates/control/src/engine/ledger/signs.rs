//! Shares of what was sent are held against the limits of them, and what is heard late of a message is noted.
//!
//! The decision is the breaker's (`step`), and what is judged stands in [`crate::shares`]; here a beginning of numbers whose
//! share is too small is told to its breaker.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{DialPrefix, Measure, Observation, Phase, State, Subject, Window};
use ringfence_model::{Actor, Sid};
use ringfence_store::{Account, Arrival, Result};
use ringfence_twilio::client::{self, Client};
use ringfence_twilio::wire::Message;

use super::lists::{message, read_back};
use super::{CLOCKS_APART, Engine, Reconciled};
use crate::decide::By;
use crate::shares::{Judged, judged};
use crate::wanted::{AppliedLimit, scoped};

/// So often shares are judged: they are counted by the minute.
const JUDGED_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// So often it is looked whether messages have arrived whose price is known.
const HEARD_EVERY: SignedDuration = SignedDuration::from_mins(5);
/// So many messages of an account are looked for at once.
const AWAITED_MAX: usize = 20_000;

impl Engine {
    /// Tells the breakers of the beginnings to which too little was delivered, or from where too few codes came back; once a
    /// minute at most.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn judge_shares(&self) -> Result<()> {
        let now = self.now();
        let limits: Vec<&AppliedLimit> =
            self.limits.iter().filter(|applied| applied.limit.sign().is_some()).collect();
        if limits.is_empty() || !is_due(&self.judged_at, JUDGED_EVERY, now) {
            return Ok(());
        }
        let accounts = self.store.accounts().await?;
        let breakers = self.store.breakers::<State>().await?;
        for applied in limits {
            let known: HashMap<DialPrefix, &State> = breakers
                .iter()
                .filter(|breaker| breaker.limit == applied.limit.name)
                .filter_map(|breaker| match breaker.subject.parse() {
                    Ok(Subject::Prefix(beginning)) => Some((beginning, &breaker.state)),
                    _ => None,
                })
                .collect();
            self.judge(applied, &accounts, &known, now).await?;
        }
        Ok(())
    }

    async fn judge(
        &self,
        applied: &AppliedLimit,
        accounts: &[Account],
        known: &HashMap<DialPrefix, &State>,
        now: Timestamp,
    ) -> Result<()> {
        let Some(sign) = applied.limit.sign() else { return Ok(()) };
        let actor = Actor::job("egress");
        let by = By { actor: &actor, reason: None };
        for Judged { beginning, from, share, .. } in
            judged(&self.store, applied, accounts, known, now).await?
        {
            let state = known.get(&beginning);
            let is_tripped = state.is_some_and(|state| matches!(state.phase, Phase::Tripped { .. }));
            if !is_tripped && sign.fails(share) {
                let observation = Observation::Share { from, at: now, share };
                self.observe(applied, Subject::Prefix(beginning), &observation, &by, None).await?;
            }
        }
        Ok(())
    }

    /// Looks in Twilio's lists for what has become of messages whose price was known before it was known whether they arrived,
    /// as long as a limit may judge them.
    pub(super) async fn hear_of_arrivals(&self, reconciled: &mut Reconciled) -> Result<()> {
        let judges = |applied: &&AppliedLimit| applied.limit.measure == Measure::Delivery;
        let limits: Vec<&AppliedLimit> = self.limits.iter().filter(judges).collect();
        let longest = limits.iter().filter_map(|applied| looks_back(applied)).max();
        let (Some(longest), true) = (longest, is_due(&self.heard_at, HEARD_EVERY, self.now())) else {
            return Ok(());
        };
        let since = self.now().saturating_sub(longest).unwrap_or(Timestamp::MIN);
        for account in self.store.accounts().await? {
            let is_judged =
                |applied: &&AppliedLimit| applied.limit.scope.contains(&scoped(&account), applied.since);
            if account.gone_at.is_some() || !limits.iter().any(is_judged) {
                continue;
            }
            let awaited = self.store.awaited_arrivals(account.sid, since, AWAITED_MAX).await?;
            let Some(first) = awaited.iter().map(|it| it.sent_at).min() else { continue };
            // Without a token nothing of it goes through the egress either.
            let Some(client) = self.clients.for_account(&account) else { continue };
            let (listed, cut_off) = self.arrivals(&client, account.sid, first).await;
            let arrived =
                awaited.into_iter().filter_map(|it| Some((it.reservation, *listed.get(&it.message)?)));
            reconciled.changed += self.store.arrived_each(arrived.collect(), self.ledger_now()).await?;
            reconciled.troubles.extend(cut_off.map(|error| (account.sid, error.to_string())));
        }
        Ok(())
    }

    /// What is known of the messages of an account since then; and where it could not be read to the end, why.
    async fn arrivals(
        &self,
        client: &Client,
        account: Sid,
        since: Timestamp,
    ) -> (HashMap<Sid, Arrival>, Option<client::Error>) {
        let now = self.now();
        let since = since.saturating_sub(CLOCKS_APART).unwrap_or(Timestamp::MIN);
        let pages = client.messages(account).list(&client::MessageFilter::default());
        let (listed, cut_off) =
            read_back(pages, since, |it: &Message| it.date_created.as_ref(), |it| message(it, now)).await;
        let known = listed.into_iter().filter(|it| it.arrival != Arrival::Unknown);
        (known.map(|it| (it.sid, it.arrival)).collect(), cut_off)
    }
}

/// How long ago it was sent what a limit judges, at most.
fn looks_back(applied: &AppliedLimit) -> Option<SignedDuration> {
    let (Some(sign), Window::Rolling { seconds }) = (applied.limit.sign(), applied.limit.window) else {
        return None;
    };
    Some(SignedDuration::from_secs(i64::from(sign.settle) + i64::from(seconds)))
}

/// Whether it is time to do something again; then it is done.
fn is_due(last: &Mutex<Option<Timestamp>>, every: SignedDuration, now: Timestamp) -> bool {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let is_due = last.is_none_or(|at| now.duration_since(at).abs() >= every);
    if is_due {
        *last = Some(now);
    }
    is_due
}
