//! What usage triggers told: kept by the gate, taken from the store here.
//!
//! A trigger that fires trips at once, since the money goes on flowing meanwhile; the usage records, which say how much
//! it is, are read when all that fired have tripped. Whoever has one account's token can sign for a trigger of that account. So
//! a trigger is believed that its value is reached, which is what it is for, and no more: the amount that it tells could use up
//! days of the limit, or of others'. Where it would trip more than its own account, only the records are read: a limit that
//! accounts have together, and an account that has subaccounts, whose usage its amount may count.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use ringfence_breaker::{Observation, Subject};
use ringfence_model::{Actor, Amount, Sid};
use ringfence_store::{Observation as Delivery, Result};
use serde::Deserialize;
use tokio::task::JoinSet;

use super::{Engine, ledger};
use crate::decide::By;
use crate::wanted::AppliedLimit;

/// The source of deliveries of usage triggers, as the gate writes it.
const SOURCE: &str = "trigger";

/// So many are taken from the store at once.
const TAKEN: usize = 100;
/// Those of so many accounts are dealt with at once.
const AT_ONCE: usize = 16;

/// What a trigger says: <https://www.twilio.com/docs/usage/api/usage-trigger>.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Callback {
    usage_trigger_sid: Option<String>,
    date_fired: Option<String>,
    current_value: Option<String>,
}

/// What became of the deliveries that were there.
#[derive(Debug, Default)]
pub struct Triggered {
    /// How many are dealt with.
    pub settled: usize,
    /// The accounts that they told of: their usage records say how much it is, and move every other breaker.
    pub accounts: BTreeSet<Sid>,
    /// Why one of them could not be dealt with. It comes again, and keeps no other back.
    pub failed: Option<ringfence_store::Error>,
}

impl Triggered {
    fn add(&mut self, other: Self) {
        self.settled += other.settled;
        self.accounts.extend(other.accounts);
        self.failed = self.failed.take().or(other.failed);
    }
}

impl Engine {
    /// Deals with what triggers have told and nobody has dealt with yet. Safe to be done by several nodes at once.
    ///
    /// Those of one account one after another, since they move the same breakers; several accounts at once, so that their
    /// writes share commits.
    pub async fn take_triggered(self: &Arc<Self>) -> Result<Triggered> {
        let mut of_accounts: BTreeMap<String, Vec<Delivery>> = BTreeMap::new();
        for delivery in self.store.unprocessed_observations(TAKEN).await? {
            of_accounts.entry(delivery.account.clone()).or_default().push(delivery);
        }
        let mut waiting = of_accounts.into_values();
        let mut dealing = JoinSet::new();
        let mut triggered = Triggered::default();
        loop {
            while dealing.len() < AT_ONCE
                && let Some(deliveries) = waiting.next()
            {
                let engine = Arc::clone(self);
                dealing.spawn(async move { engine.take_deliveries(deliveries).await });
            }
            match dealing.join_next().await {
                None => return Ok(triggered),
                Some(Ok(dealt)) => triggered.add(dealt?),
                // Nobody cancels it.
                Some(Err(ended)) => resume_unwind(ended.into_panic()),
            }
        }
    }

    async fn take_deliveries(&self, deliveries: Vec<Delivery>) -> Result<Triggered> {
        let mut triggered = Triggered::default();
        for delivery in deliveries {
            match self.take_delivery(&delivery).await {
                Ok(()) => triggered.settled += 1,
                // Then it is the same for all.
                Err(error) if error.is_away() => return Err(error),
                Err(error) => triggered.failed = triggered.failed.or(Some(error)),
            }
            triggered.accounts.extend(Sid::parse(&delivery.account));
        }
        Ok(triggered)
    }

    async fn take_delivery(&self, delivery: &Delivery) -> Result<()> {
        let actor = if delivery.source == ledger::SOURCE {
            Actor::job("egress")
        } else {
            Actor::Twilio(delivery.account.clone())
        };
        let by = By { actor: &actor, reason: None };
        match self.understood(delivery).await? {
            Some((applied, subject, observation)) => {
                self.observe(applied, subject, &observation, &by, Some(&delivery.key)).await
            }
            // A trigger that is not ours, or a number that is none: the records say what there is to know.
            None => self.settle(&by, &delivery.key).await,
        }
    }

    /// The breaker that a delivery is about, and what it observes.
    async fn understood(&self, delivery: &Delivery) -> Result<Option<(&AppliedLimit, Subject, Observation)>> {
        if delivery.source == ledger::SOURCE {
            return Ok(self.told_by_ledger(delivery));
        }
        if delivery.source != SOURCE {
            return Ok(None);
        }
        let Ok(fired) = serde_json::from_value::<Callback>(delivery.payload.clone()) else { return Ok(None) };
        let Some(trigger) = fired.usage_trigger_sid.as_deref().and_then(|sid| Sid::parse(sid).ok()) else {
            return Ok(None);
        };
        let Some(trigger) = self.store.find_trigger(trigger).await? else { return Ok(None) };
        // Whoever has one account's token must not speak of another's trigger.
        if trigger.account.to_string() != delivery.account {
            return Ok(None);
        }
        // What the records say of the account alone trips it: they are read at once.
        if self.may_count_others(trigger.account).await? {
            return Ok(None);
        }
        let applied = self.limits.iter().find(|applied| applied.limit.name == trigger.limit);
        let subject =
            Subject::from_str(&trigger.subject).ok().filter(|subject| *subject != Subject::Together);
        let told: Option<Amount> = fired.current_value.and_then(|text| text.parse().ok());
        let proven: Option<Amount> = trigger.value.parse().ok();
        let amount = told.zip(proven).map(|(told, proven)| told.min(proven));
        // It did not fire after it came: a moment to come would begin the next window, and lift what trips until then.
        let told_at = fired.date_fired.as_deref().and_then(date).unwrap_or(delivery.received_at);
        let at = told_at.min(delivery.received_at);
        Ok(match (applied, subject, amount) {
            (Some(applied), Some(subject), Some(amount)) => {
                Some((applied, subject, Observation::Usage { at, amount }))
            }
            _ => None,
        })
    }

    /// Whether a trigger of the account may count what other accounts use: Twilio does not say whether one of a parent counts
    /// its subaccounts' usage, each of which has its own limits. Where nobody looks for subaccounts, there may be some.
    async fn may_count_others(&self, account: Sid) -> Result<bool> {
        if self.store.find_account(account).await?.is_some_and(|it| it.parent.is_some()) {
            return Ok(false);
        }
        if !self.clients.finds_subaccounts_of(account) {
            return Ok(true);
        }
        Ok(self.store.accounts().await?.iter().any(|it| it.parent == Some(account)))
    }
}

/// `Thu, 04 Oct 2012 20:00:00 +0000`, or as newer resources write dates.
fn date(text: &str) -> Option<Timestamp> {
    rfc2822::parse(text).map(|zoned| zoned.timestamp()).or_else(|_| text.parse()).ok()
}
