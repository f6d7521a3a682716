//! What a node does about SharedKeys, if that is its job.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use jiff::SignedDuration;
use ringfence_model::{Actor, Sid};
use ringfence_store::{SharedKeyStep, Store};

use super::jobs::is_there;
use super::{Done, Job, JobFailed, Node};
use crate::engine::Engine;
use crate::shared_keys::{Change, url_of};

/// Twilio is asked so often whether what was as it should be still is.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(5);

/// For so many accounts Twilio is asked at the same time.
const AT_ONCE: usize = 4;

impl Node {
    /// There are new accounts: all are looked at the next time.
    pub(super) fn look_at_all_shared_keys(&self) {
        *self.shared_keys_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Brings SharedKeys in line: of accounts of which something is under way each time, of all others every few minutes.
    pub(super) async fn bring_shared_keys(&self, engine: &Arc<Engine>) -> Result<Done, JobFailed> {
        let Some(settings) = &self.setup.shared_keys else { return Ok(Done::default()) };
        let now = self.now();
        let last = *self.shared_keys_at.lock().unwrap_or_else(PoisonError::into_inner);
        let looks_at_all = last.is_none_or(|last| now.duration_since(last) >= LOOK_AGAIN);
        let mut accounts = self.setup.store.accounts().await?;
        accounts.retain(is_there);
        if !looks_at_all {
            let under_way = under_way(&self.setup.store).await?;
            accounts.retain(|account| under_way.contains(&account.sid));
        }
        let by = Actor::job(Job::SharedKeys.name());
        let brought = engine.bring_shared_keys(settings, &accounts, Some(&by), AT_ONCE).await?;
        if looks_at_all {
            *self.shared_keys_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
        let mut done = Done::default();
        for account in brought {
            done.count += account.changes.len();
            for change in &account.changes {
                if let Change::MendRule { edited, .. } = change {
                    let (url, is_for) = (url_of(&edited.matches), url_of(&edited.is_for));
                    tracing::warn!(account = %account.account, rule = edited.rule, url, is_for, "a rule at Twilio was edited, and is made again");
                }
            }
            if let Some(trouble) = account.trouble {
                done.troubles.push((account.account, trouble.to_string()));
            }
            let others = account.left.in_the_way.iter().map(|other| {
                let url = url_of(&other.matches);
                format!(
                    "the rule {} for {url}, which Ringfence did not make, is in the way of its own",
                    other.rule
                )
            });
            let edited = account.left.edited.iter().map(|it| {
                let url = url_of(&it.matches);
                let is_for = url_of(&it.is_for);
                format!(
                    "Twilio shows the rule {} for {url} with {is_for}, and lets none be made for {url}",
                    it.rule
                )
            });
            done.troubles.extend(others.chain(edited).map(|what| (account.account, what)));
        }
        Ok(done)
    }
}

/// The accounts of which something is under way.
async fn under_way(store: &Store) -> ringfence_store::Result<BTreeSet<Sid>> {
    let keys = store.shared_keys().await?;
    let moving = keys.iter().filter(|key| key.step != SharedKeyStep::Signing);
    Ok(moving.map(|key| key.account).collect())
}
