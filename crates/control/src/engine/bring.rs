//! The triggers of many accounts are compared with what the limits want, and changed, several accounts at once.

use std::panic::resume_unwind;
use std::sync::Arc;

use ringfence_model::{Actor, Sid};
use ringfence_store::{Account, Result};
use tokio::task::JoinSet;

use super::{Engine, Planned, Triggers, Trouble};

/// Accounts whose triggers are compared in one go: each go reads once what is known of all triggers.
const CHUNK: usize = 10;

/// What is to change, and what was changed.
#[derive(Debug, Default)]
pub struct Brought {
    /// The difference, as it was before.
    pub planned: Planned,
    /// How many changes were made.
    pub changed: usize,
    /// What could not be done.
    pub failed: Vec<(Sid, Trouble)>,
}

impl Brought {
    /// What could not be asked or done, and for which account.
    pub fn troubles(&self) -> impl Iterator<Item = &(Sid, Trouble)> {
        self.planned.unread.iter().chain(&self.failed)
    }
}

impl Trouble {
    /// Whether another try does not mend it.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::NoCredentials => true,
            Self::Twilio(error) => !error.is_transient(),
        }
    }
}

impl Engine {
    /// Compares the triggers of these accounts with what the limits want, and changes them in the name of `by`; only
    /// compares where there is nobody. `at_once` says for how many accounts Twilio is asked at the same time.
    pub async fn bring_triggers(
        self: &Arc<Self>,
        triggers: &Triggers,
        accounts: &[Account],
        by: Option<&Actor>,
        at_once: usize,
    ) -> Result<Brought> {
        let mut waiting = accounts.chunks(CHUNK).enumerate();
        let mut at_it: JoinSet<(usize, Result<Brought>)> = JoinSet::new();
        let mut parts = Vec::new();
        loop {
            while at_it.len() < at_once.max(1)
                && let Some((number, chunk)) = waiting.next()
            {
                let (engine, triggers, chunk, by) =
                    (Arc::clone(self), triggers.clone(), chunk.to_vec(), by.cloned());
                at_it.spawn(async move { (number, engine.bring_some(&triggers, &chunk, by.as_ref()).await) });
            }
            match at_it.join_next().await {
                None => break,
                Some(Ok((number, part))) => parts.push((number, part?)),
                // Nobody cancels it, so it panicked, and so does this.
                Some(Err(error)) => resume_unwind(error.into_panic()),
            }
        }
        parts.sort_by_key(|(number, _)| *number);
        let mut all = Brought::default();
        for (_, part) in parts {
            all.planned.plan.changes.extend(part.planned.plan.changes);
            all.planned.plan.kept.extend(part.planned.plan.kept);
            all.planned.plan.foreign += part.planned.plan.foreign;
            all.planned.unread.extend(part.planned.unread);
            all.planned.suspended.extend(part.planned.suspended);
            all.changed += part.changed;
            all.failed.extend(part.failed);
        }
        Ok(all)
    }

    async fn bring_some(
        &self,
        triggers: &Triggers,
        accounts: &[Account],
        by: Option<&Actor>,
    ) -> Result<Brought> {
        let planned = self.plan_triggers(triggers, accounts).await?;
        let mut brought = Brought { planned, ..Brought::default() };
        if let Some(by) = by {
            let applied = self.apply_triggers(triggers, &brought.planned.plan, by).await?;
            (brought.changed, brought.failed) = (applied.changed, applied.failed);
        }
        Ok(brought)
    }
}
