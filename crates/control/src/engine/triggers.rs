//! The usage triggers at Twilio are as the limits want them: compared, changed, and put back where somebody took one away.

use std::collections::{BTreeMap, BTreeSet};

use ringfence_breaker::{State, Subject, Threshold};
use ringfence_model::{Actor, Amount, Sid};
use ringfence_store::{Account, NewTrigger, Trigger};
use ringfence_twilio::client::{self, Client, TriggerFilter};
use ringfence_twilio::wire::{AccountStatus, UsageTrigger};
use serde_json::json;

use super::{Engine, named};
use crate::notices::{self, Event, Notice, TriggerChange};
use crate::plan::{Change, Kept, Mark, Plan, Wanted, plan, redirected};
use crate::wanted::scoped;

/// What triggers call, and whose they are.
#[derive(Debug, Clone)]
pub struct Triggers {
    /// The URL of the gate's route for them.
    pub callback_url: String,
    /// Tells ours from others'.
    pub mark: Mark,
}

/// What is to change, and what could not be asked.
#[derive(Debug, Default)]
pub struct Planned {
    /// For the accounts that could be asked.
    pub plan: Plan,
    /// The others.
    pub unread: Vec<(Sid, Trouble)>,
    /// Suspended accounts whose triggers are not as they should be: Twilio changes nothing there, and nothing is spent. They
    /// are compared again when the account is let go.
    pub suspended: Vec<Sid>,
}

/// What was changed.
#[derive(Debug, Default)]
pub struct Applied {
    /// How many changes were made.
    pub changed: usize,
    /// What could not be done.
    pub failed: Vec<(Sid, Trouble)>,
}

/// Why triggers of an account are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Nobody's credentials reach it.
    #[error("there are no credentials that reach it")]
    NoCredentials,
    /// Twilio did not do it.
    #[error(transparent)]
    Twilio(#[from] client::Error),
}

impl Engine {
    /// Compares the triggers of these accounts with what the limits want. It changes nothing.
    pub async fn plan_triggers(
        &self,
        triggers: &Triggers,
        accounts: &[Account],
    ) -> ringfence_store::Result<Planned> {
        let mut planned = Planned::default();
        let mut wanted = Vec::new();
        let mut existing: BTreeMap<Sid, Vec<UsageTrigger>> = BTreeMap::new();
        let mut suspended = BTreeSet::new();
        for account in accounts.iter().filter(|it| it.gone_at.is_none() && it.status != "closed") {
            let is_suspended = account.status == AccountStatus::Suspended.as_str();
            if is_suspended {
                suspended.insert(account.sid);
            }
            match self.read_triggers(account).await {
                Ok(triggers) => {
                    wanted.extend(self.wanted_triggers(account).await?);
                    existing.insert(account.sid, triggers);
                }
                Err(Trouble::Twilio(error)) if is_suspended && error.inactive().is_some() => {
                    planned.suspended.push(account.sid);
                }
                Err(trouble) => planned.unread.push((account.sid, trouble)),
            }
        }
        planned.plan = plan(&wanted, &existing, &triggers.mark, &triggers.callback_url);
        planned.plan.changes.retain(|change| {
            let waits = suspended.contains(&change.account());
            if waits && planned.suspended.last() != Some(&change.account()) {
                planned.suspended.push(change.account());
            }
            !waits
        });
        planned.suspended.sort_unstable();
        planned.suspended.dedup();
        Ok(planned)
    }

    /// Makes the changes of a plan. Whoever is told, hears of triggers that somebody else took away or changed.
    pub async fn apply_triggers(
        &self,
        triggers: &Triggers,
        plan: &Plan,
        by: &Actor,
    ) -> ringfence_store::Result<Applied> {
        let known = self.store.triggers().await?;
        let mut applied = Applied::default();
        // A node may have died between Twilio's answer and its row: without one the trigger's webhook means nothing.
        for kept in &plan.kept {
            if !known.iter().any(|it| it.sid == kept.trigger)
                && let Some(wanted) = self.wanted_trigger(kept).await?
            {
                self.keep(triggers, &wanted, kept.trigger, by).await?;
            }
        }
        for change in &plan.changes {
            let Some(account) = self.store.find_account(change.account()).await? else { continue };
            let Some(client) = self.clients.for_account(&account) else {
                applied.failed.push((account.sid, Trouble::NoCredentials));
                continue;
            };
            match self.apply_change(triggers, change, &account, &client, &known, by).await? {
                Ok(()) => applied.changed += 1,
                Err(error) => applied.failed.push((account.sid, error.into())),
            }
        }
        Ok(applied)
    }

    async fn apply_change(
        &self,
        triggers: &Triggers,
        change: &Change,
        account: &Account,
        client: &Client,
        known: &[Trigger],
        by: &Actor,
    ) -> ringfence_store::Result<Result<(), client::Error>> {
        let resource = client.usage_triggers(account.sid);
        let before = |limit: &str| known.iter().find(|it| it.account == account.sid && it.limit == limit);
        match change {
            Change::Create(wanted) => {
                if let Err(error) = self.create(triggers, wanted, account, client, by).await? {
                    return Ok(Err(error));
                }
                // The same one was there before: somebody deleted it, if it is not the limit that changed.
                if let Some(trigger) = before(&wanted.limit) {
                    if trigger.value == wanted.value.to_string() {
                        let event = restored(account, &wanted.limit, trigger.sid, TriggerChange::Deleted);
                        self.tell(by, &Notice { at: self.now(), event }).await?;
                    }
                    self.store
                        .remove_trigger(by, trigger.sid, "it is not at Twilio any more", self.now())
                        .await?;
                }
            }
            Change::Replace { wanted, old } => {
                if let Err(error) = self.create(triggers, wanted, account, client, by).await? {
                    return Ok(Err(error));
                }
                if let Err(error) = resource.delete(*old).await {
                    return Ok(Err(error));
                }
                self.store
                    .remove_trigger(by, *old, "another one watches what is wanted now", self.now())
                    .await?;
            }
            Change::Redirect { wanted, trigger } => {
                let updated = match resource.update(*trigger, &redirected(&triggers.callback_url)).await {
                    Ok(updated) => updated,
                    Err(error) => return Ok(Err(error)),
                };
                self.keep(triggers, wanted, *trigger, by).await?;
                if let Some(before) = before(&wanted.limit)
                    && before.definition.get("callback_url") == Some(&json!(triggers.callback_url))
                {
                    let changed = updated.date_updated.map_or(self.now(), |at| at.0);
                    let what = "the callback URL".to_owned();
                    let change = TriggerChange::Changed { what, changed };
                    let event = restored(account, &wanted.limit, *trigger, change);
                    self.tell(by, &Notice { at: self.now(), event }).await?;
                }
            }
            Change::Delete { trigger, .. } => {
                if let Err(error) = resource.delete(*trigger).await {
                    return Ok(Err(error));
                }
                self.store.remove_trigger(by, *trigger, "no limit wants it any more", self.now()).await?;
            }
        }
        Ok(Ok(()))
    }

    async fn create(
        &self,
        triggers: &Triggers,
        wanted: &Wanted,
        account: &Account,
        client: &Client,
        by: &Actor,
    ) -> ringfence_store::Result<Result<(), client::Error>> {
        let request = wanted.request(&triggers.mark, &triggers.callback_url);
        let created = match client.usage_triggers(account.sid).create(&request).await {
            Ok(created) => created,
            Err(error) => return Ok(Err(error)),
        };
        if let Ok(sid) = Sid::parse(&created.sid) {
            self.keep(triggers, wanted, sid, by).await?;
        }
        Ok(Ok(()))
    }

    /// Our row of a trigger at Twilio.
    async fn keep(
        &self,
        triggers: &Triggers,
        wanted: &Wanted,
        sid: Sid,
        by: &Actor,
    ) -> ringfence_store::Result<()> {
        let applied = self.limits.iter().find(|applied| applied.limit.name == wanted.limit);
        let subject = match applied.map(|applied| applied.limit.per) {
            Some(ringfence_breaker::Per::Together) => Subject::Together,
            _ => Subject::Account(wanted.account),
        };
        let trigger = NewTrigger {
            sid,
            account: wanted.account,
            limit: wanted.limit.clone(),
            subject: subject.to_string(),
            value: wanted.value.to_string(),
            definition: json!({ "callback_url": triggers.callback_url }),
        };
        self.store.add_trigger(by, trigger, self.now()).await?;
        Ok(())
    }

    /// The triggers that the limits want on an account.
    async fn wanted_triggers(&self, account: &Account) -> ringfence_store::Result<Vec<Wanted>> {
        let mut wanted = Vec::new();
        for applied in &self.limits {
            let Some(subject) = applied.subject(&scoped(account)) else { continue };
            let baseline = match applied.limit.at {
                Threshold::At(_) | Threshold::Share(_) => None,
                Threshold::More(_) => self.baseline(&applied.limit.name, subject).await?,
            };
            wanted.extend(Wanted::of(&applied.limit, account.sid, baseline));
        }
        Ok(wanted)
    }

    async fn wanted_trigger(&self, kept: &Kept) -> ringfence_store::Result<Option<Wanted>> {
        let Some(account) = self.store.find_account(kept.account).await? else { return Ok(None) };
        Ok(self.wanted_triggers(&account).await?.into_iter().find(|wanted| wanted.limit == kept.limit))
    }

    async fn baseline(&self, limit: &str, subject: Subject) -> ringfence_store::Result<Option<Amount>> {
        let breaker = self.store.find_breaker::<State>(limit, &subject.to_string()).await?;
        Ok(breaker.and_then(|breaker| breaker.state.baseline))
    }

    async fn read_triggers(&self, account: &Account) -> Result<Vec<UsageTrigger>, Trouble> {
        let client = self.clients.for_account(account).ok_or(Trouble::NoCredentials)?;
        let list = client.usage_triggers(account.sid).list(&TriggerFilter::default());
        Ok(list.page_size(1000).all().await?)
    }
}

fn restored(account: &Account, limit: &str, trigger: Sid, change: TriggerChange) -> Event {
    let account: notices::Account = named(account);
    Event::TriggerRestored { account, limit: limit.to_owned(), trigger, change }
}
