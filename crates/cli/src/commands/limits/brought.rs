//! The triggers of many accounts, compared and changed several accounts at once.

use std::sync::Arc;

use ringfence_control::engine::{Engine, Planned, Triggers, Trouble};
use ringfence_model::{Actor, Sid};
use ringfence_store::{Account, Result};
use tokio::task::JoinSet;

/// Accounts whose triggers are compared in one go, and how many such goes there are at once.
const CHUNK: usize = 10;
const AT_ONCE: usize = 8;

/// What is to change, and what was changed.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// The difference, as it was before.
    pub(super) planned: Planned,
    /// How many changes were made.
    pub(super) changed: usize,
    /// What could not be done.
    pub(super) failed: Vec<(Sid, Trouble)>,
    /// Whether Twilio refused some of it, so that another try does not mend it.
    pub(super) is_refused: bool,
}

/// Compares the triggers of these accounts with what the limits want, and changes them in the name of `by`; only compares where
/// there is nobody.
pub(super) async fn bring(
    engine: &Arc<Engine>,
    triggers: &Triggers,
    accounts: &[Account],
    by: Option<&Actor>,
) -> Result<Brought> {
    let mut waiting = accounts.chunks(CHUNK).enumerate();
    let mut at_it: JoinSet<(usize, Result<Brought>)> = JoinSet::new();
    let mut parts = Vec::new();
    loop {
        while at_it.len() < AT_ONCE
            && let Some((number, chunk)) = waiting.next()
        {
            let (engine, triggers, chunk, by) =
                (Arc::clone(engine), triggers.clone(), chunk.to_vec(), by.cloned());
            at_it.spawn(async move { (number, part(&engine, &triggers, &chunk, by.as_ref()).await) });
        }
        match at_it.join_next().await {
            None => break,
            Some(ended) => {
                let (number, part) = ended.expect("it is not cancelled, and a panic here is a panic there");
                parts.push((number, part?));
            }
        }
    }
    parts.sort_by_key(|(number, _)| *number);
    let mut all = Brought::default();
    for (_, part) in parts {
        all.planned.plan.changes.extend(part.planned.plan.changes);
        all.planned.plan.kept.extend(part.planned.plan.kept);
        all.planned.plan.foreign += part.planned.plan.foreign;
        all.planned.unread.extend(part.planned.unread);
        all.changed += part.changed;
        all.failed.extend(part.failed);
    }
    let troubles = all.planned.unread.iter().chain(&all.failed);
    all.is_refused = troubles.into_iter().all(|(_, trouble)| is_refusal(trouble));
    Ok(all)
}

async fn part(
    engine: &Engine,
    triggers: &Triggers,
    accounts: &[Account],
    by: Option<&Actor>,
) -> Result<Brought> {
    let planned = engine.plan_triggers(triggers, accounts).await?;
    let mut brought = Brought { planned, ..Brought::default() };
    if let Some(by) = by {
        let applied = engine.apply_triggers(triggers, &brought.planned.plan, by).await?;
        (brought.changed, brought.failed) = (applied.changed, applied.failed);
    }
    Ok(brought)
}

fn is_refusal(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::NoCredentials => true,
        Trouble::Twilio(error) => !error.is_transient(),
    }
}
