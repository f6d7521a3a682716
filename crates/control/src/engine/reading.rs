//! An account's usage records are read, and every breaker of it observes what they say.

use std::sync::PoisonError;

use jiff::Timestamp;
use ringfence_breaker::{Observation, State, Subject, Threshold};
use ringfence_model::{Actor, Sid};
use ringfence_store::Account;
use ringfence_twilio::client;

use super::Engine;
use crate::decide::By;
use crate::usage::{MixedCurrencies, Unreadable, Used, nothing_ever, readings, used};
use crate::wanted::{AppliedLimit, scoped};

/// Why an account's usage is not known.
#[derive(Debug, thiserror::Error)]
pub enum ReadingFailed {
    /// Nobody's credentials reach it.
    #[error("there are no credentials that reach {0}")]
    NoCredentials(Sid),
    /// Twilio did not say.
    #[error(transparent)]
    Twilio(#[from] client::Error),
    /// Twilio said what cannot be understood.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The limit has no sum.
    #[error("the limit \"{limit}\" has no sum: {why}")]
    Mixed {
        /// Its name.
        limit: String,
        /// Why.
        why: MixedCurrencies,
    },
    /// It could not be written down.
    #[error(transparent)]
    Store(#[from] ringfence_store::Error),
}

impl Engine {
    /// Reads what an account used and lets its breakers observe it. How many requests it took.
    ///
    /// One thing that cannot be read keeps no other from being observed; the first such is the error.
    pub async fn read_usage(&self, account: &Account, job: &str) -> Result<usize, ReadingFailed> {
        let actor = Actor::job(job);
        let by = By { actor: &actor, reason: None };
        let of_account: Vec<(&AppliedLimit, Subject)> =
            self.limits.iter().filter_map(|limit| Some((limit, limit.subject(&scoped(account))?))).collect();
        let readings = readings(of_account.iter().map(|(applied, _)| &applied.limit));
        if readings.is_empty() {
            return Ok(0);
        }
        let client = self.clients.for_account(account).ok_or(ReadingFailed::NoCredentials(account.sid))?;
        let epoch = self.reading_epoch().await?;
        let mut failed = None;
        for reading in &readings {
            // A parent's records hold its subaccounts' usage too, which is counted where it arises.
            let (span, filter) = reading.request(self.now(), false);
            let list = client.usage_records(account.sid).list(span, &filter).page_size(1000);
            let records = match list.all().await {
                Ok(records) => records,
                Err(error) => {
                    failed.get_or_insert(ReadingFailed::Twilio(error));
                    continue;
                }
            };
            for (applied, subject) in &of_account {
                if applied.limit.window != reading.window {
                    continue;
                }
                let (mut is_told, mut is_of_now) = (false, false);
                for record in &records {
                    let result = match used(&applied.limit, record) {
                        Ok(None) => continue,
                        Ok(Some(used)) => {
                            is_of_now |= self.is_of_now(applied, used.at);
                            self.observe_used(applied, *subject, account.sid, used, epoch.as_deref(), &by)
                                .await
                        }
                        Err(error) => {
                            is_of_now = true;
                            Err(error.into())
                        }
                    };
                    is_told = true;
                    if let Err(error) = result {
                        failed.get_or_insert(error);
                    }
                }
                // What has no record was never used, and of a day on which nothing was used there is none: the egress waits for
                // that too.
                if !is_of_now
                    && let Err(error) =
                        self.book_nothing(applied, *subject, account.sid, epoch.as_deref()).await
                {
                    failed.get_or_insert(error);
                }
                // A sum that begins when everybody was heard of does not wait for one that never used any of it.
                if !is_told
                    && begins_with_all(applied, *subject)
                    && let Err(error) = self
                        .observe_used(applied, *subject, account.sid, nothing_ever(), epoch.as_deref(), &by)
                        .await
                {
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(readings.len()), Err)
    }

    async fn observe_used(
        &self,
        applied: &AppliedLimit,
        subject: Subject,
        account: Sid,
        used: Used,
        epoch: Option<&str>,
        by: &By<'_>,
    ) -> Result<(), ReadingFailed> {
        if let Some(currency) = &used.currency {
            self.learn_currency(account, currency).await?;
        }
        self.book(applied, subject, account, &used, epoch).await?;
        let used = match subject {
            // Of prefixes Twilio says nothing, so nothing is read.
            Subject::Account(_) | Subject::Prefix(_) => used,
            Subject::Together => self.sum(applied, account, &used)?,
        };
        if begins_with_all(applied, subject) && !self.may_begin(applied).await? {
            return Ok(());
        }
        if matches!(applied.limit.at, Threshold::More(_)) {
            let baseline = Observation::Baseline { amount: used.amount };
            self.observe(applied, subject, &baseline, by, None).await?;
        }
        Ok(self.observe(applied, subject, &used.observation(), by, None).await?)
    }

    pub(super) fn sum(
        &self,
        applied: &AppliedLimit,
        account: Sid,
        used: &Used,
    ) -> Result<Used, ReadingFailed> {
        let limit = &applied.limit;
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = sums.entry(limit.name.clone()).or_default();
        sum.add(limit.window, account, used)
            .map_err(|why| ReadingFailed::Mixed { limit: limit.name.clone(), why })
    }

    /// Whether a sum is there to count from: it was resolved before, or each account of the scope was heard of. One that
    /// cannot be read is among what `serve` says goes wrong; until it can be, the limit has no beginning and holds nobody.
    async fn may_begin(&self, applied: &AppliedLimit) -> Result<bool, ReadingFailed> {
        let limit = &applied.limit;
        let breaker = self.store.find_breaker::<State>(&limit.name, &Subject::Together.to_string()).await?;
        if breaker.is_some_and(|breaker| breaker.state.baseline.is_some()) {
            return Ok(true);
        }
        Ok(self.has_heard_of_all(applied, nothing_ever().at).await?)
    }

    /// Whether each account of the scope was heard of in the window of `at`.
    pub(super) async fn has_heard_of_all(
        &self,
        applied: &AppliedLimit,
        at: Timestamp,
    ) -> ringfence_store::Result<bool> {
        let accounts = self.store.accounts().await?;
        let of_scope = accounts
            .iter()
            .filter(|account| account.gone_at.is_none() && account.status != "closed")
            .filter(|account| applied.subject(&scoped(account)) == Some(Subject::Together));
        let sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = sums.get(&applied.limit.name);
        Ok(sum.is_some_and(|sum| sum.has(applied.limit.window, at, of_scope.map(|account| account.sid))))
    }
}

/// Whether a limit counts from what several accounts had used together at the first look.
const fn begins_with_all(applied: &AppliedLimit, subject: Subject) -> bool {
    matches!((applied.limit.at, subject), (Threshold::More(_), Subject::Together))
}
