//! SharedKeys of Twilio's Webhooks configuration API, kept in step with the configuration. Experimental: the API is a beta.
//!
//! Twilio signs an account's webhooks with a SharedKey in the place of the auth token where a *rule* for their URL names a
//! *setting* that names the key (<https://www.twilio.com/docs/usage/webhooks/webhook-configuration>). A leaked auth token then
//! forges no webhook, and the key is replaced without touching the token.
//!
//! `plan` says what is wanted against what is there, and what has to wait; it is pure. Here it is carried out, one change after
//! the other, each of which may be the last: whoever looks again goes on from what is so. Nodes take keys over, and say so,
//! together with the tokens of rotations ([`crate::rotation`]).

mod plan;

use std::panic::resume_unwind;
use std::sync::Arc;

use jiff::Timestamp;
use ringfence_model::{Actor, Sid};
use ringfence_store::{self as store, Account, KeyOfTwilio, NewAudit, SharedKey, SharedKeyStep, Store};
use ringfence_twilio::client::{CarriedOut, Client};
use ringfence_twilio::wire::RuleMatch;
use serde_json::json;
use tokio::task::JoinSet;

pub use self::plan::{
    ALGORITHM, Accounts, AtTwilio, Change, Edited, Foreign, Given, Plan, RULES_MAX, Settings, Waits, plan,
};

use crate::engine::{Engine, Trouble, named};
use crate::notices::{Event, Notice};
use crate::plan::Mark;
use crate::rotation::behind;

/// Looks so often whether something more can be done at once: a key, its setting, its rules, and what goes with the one before.
const ROUNDS_MAX: usize = 12;

/// There is a rule for these URLs already (<https://www.twilio.com/docs/api/errors/59103>).
const THERE_ALREADY: u32 = 59103;

/// What came of one account.
#[derive(Debug)]
pub struct Brought {
    /// Whose keys they are.
    pub account: Sid,
    /// What there was to do, in the order in which it was done, or would be.
    pub changes: Vec<Change>,
    /// What is left: it has to wait, or is in the way.
    pub left: Plan,
    /// Why it came no further.
    pub trouble: Option<Trouble>,
}

/// Why no other key was begun.
#[derive(Debug, thiserror::Error)]
pub enum NotBegun {
    /// The configuration has the auth token sign.
    #[error("[shared_keys] does not name {0}: its auth token signs its webhooks")]
    NotWanted(Sid),
    /// There is no configuration of them.
    #[error("the configuration has no [shared_keys]")]
    NotConfigured,
    /// There is none that could be replaced.
    #[error("no SharedKey signs for {0} yet, so there is none to replace")]
    NoneSigns(Sid),
    /// There is none that a gate could be given.
    #[error("no SharedKey of {0} signs, nor is one held")]
    NoneToShow(Sid),
    /// One is prepared already.
    #[error("another SharedKey of {0} is prepared already")]
    UnderWay(Sid),
    /// There is none that could be taken back.
    #[error("no other SharedKey of {0} is prepared")]
    NotUnderWay(Sid),
    /// Somebody else did something about it at this moment.
    #[error("somebody else moved the SharedKeys of {0} at this moment")]
    Moved(Sid),
    /// Twilio did not make it, or did not say so.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// It could not be written down.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The keys that gates verify with, as they are in the store.
pub async fn in_use(store: &Store) -> store::Result<Vec<SharedKey>> {
    let mut keys = store.shared_keys().await?;
    keys.retain(|key| key.step != SharedKeyStep::Asked && key.key.is_some());
    Ok(keys)
}

impl Engine {
    /// What is wanted of accounts' SharedKeys.
    pub fn shared_keys(&self) -> Result<&Settings, NotBegun> {
        self.shared_keys.as_ref().ok_or(NotBegun::NotConfigured)
    }

    /// Brings the keys of these accounts in line in the name of `by`; only compares where there is nobody. `at_once` says for
    /// how many accounts Twilio is asked at the same time. Accounts that are not concerned are left out.
    pub async fn bring_shared_keys(
        self: &Arc<Self>,
        settings: &Settings,
        accounts: &[Account],
        by: Option<&Actor>,
        at_once: usize,
    ) -> store::Result<Vec<Brought>> {
        let mark = Mark::new(&self.store().instance().await?);
        let known = self.store().shared_keys().await?;
        let is_concerned = |account: &&Account| {
            let is_there = account.gone_at.is_none() && account.status != "closed";
            is_there && (settings.wants(account.sid) || known.iter().any(|key| key.account == account.sid))
        };
        let mut waiting = accounts.iter().filter(is_concerned);
        let mut at_it: JoinSet<store::Result<Brought>> = JoinSet::new();
        let mut all = Vec::new();
        loop {
            while at_it.len() < at_once.max(1)
                && let Some(account) = waiting.next()
            {
                let (engine, settings, mark) = (Arc::clone(self), settings.clone(), mark.clone());
                let (account, by) = (account.clone(), by.cloned());
                at_it.spawn(
                    async move { engine.bring_keys_of(&settings, &mark, &account, by.as_ref()).await },
                );
            }
            match at_it.join_next().await {
                None => break,
                Some(Ok(brought)) => all.push(brought?),
                // Nobody cancels it, so it panicked, and so does this.
                Some(Err(error)) => resume_unwind(error.into_panic()),
            }
        }
        all.sort_by_key(|brought| brought.account);
        Ok(all)
    }

    /// Begins another key of an account, which takes the place of the one that signs. What is left to do is done by
    /// [`Self::bring_shared_keys`]. With `holds` it waits before it signs; called again without it lets that one go on.
    pub async fn rotate_shared_key(
        &self,
        settings: &Settings,
        account: &Account,
        by: &Actor,
        reason: &str,
        holds: bool,
    ) -> Result<(), NotBegun> {
        let sid = account.sid;
        if !settings.wants(sid) {
            return Err(NotBegun::NotWanted(sid));
        }
        let keys = self.keys_of(sid).await?;
        let step = |step| keys.iter().find(|key| key.step == step);
        match (step(SharedKeyStep::Made), step(SharedKeyStep::Signing)) {
            (Some(made), _) if made.held && !holds => {
                let released = self.store().release_shared_key(by, made, reason, self.now()).await?;
                return if released { Ok(()) } else { Err(NotBegun::Moved(sid)) };
            }
            (Some(_), _) => return Err(NotBegun::UnderWay(sid)),
            (None, None) => return Err(NotBegun::NoneSigns(sid)),
            (None, Some(_)) => {}
        }
        let client = self.clients().own(account).ok_or(Trouble::NoCredentials)?;
        let mark = Mark::new(&self.store().instance().await?);
        let begun = self.store().begin_shared_key(by, sid, holds, reason, self.now()).await?;
        let begun = begun.ok_or(NotBegun::UnderWay(sid))?;
        self.ask_for_key(&client, &mark, begun, by).await??;
        Ok(())
    }

    /// Takes back a key that is prepared: the one before goes on signing.
    pub async fn undo_shared_key(&self, account: Sid, by: &Actor, reason: &str) -> Result<(), NotBegun> {
        let keys = self.keys_of(account).await?;
        let prepared = |key: &&SharedKey| matches!(key.step, SharedKeyStep::Asked | SharedKeyStep::Made);
        let key = keys.iter().find(prepared).ok_or(NotBegun::NotUnderWay(account))?;
        if keys.iter().all(|key| key.step != SharedKeyStep::Signing) {
            return Err(NotBegun::NoneSigns(account));
        }
        let retired = self.store().retire_shared_key(by, key, reason, self.now()).await?;
        if retired { Ok(()) } else { Err(NotBegun::Moved(account)) }
    }

    async fn keys_of(&self, account: Sid) -> store::Result<Vec<SharedKey>> {
        let mut keys = self.store().shared_keys().await?;
        keys.retain(|key| key.account == account);
        Ok(keys)
    }

    async fn bring_keys_of(
        &self,
        settings: &Settings,
        mark: &Mark,
        account: &Account,
        by: Option<&Actor>,
    ) -> store::Result<Brought> {
        let mut brought =
            Brought { account: account.sid, changes: Vec::new(), left: Plan::default(), trouble: None };
        let Some(client) = self.clients().own(account) else {
            brought.trouble = Some(Trouble::NoCredentials);
            return Ok(brought);
        };
        let (mut taken, mut mended) = (Vec::new(), false);
        for _ in 0..ROUNDS_MAX {
            // First, so that no key is missing below that was made meanwhile.
            let there = match read(&client).await {
                Ok(there) => there,
                Err(trouble) => {
                    brought.trouble = Some(trouble);
                    break;
                }
            };
            let (keys, nodes) = (self.keys_of(account.sid).await?, self.store().nodes().await?);
            let made = keys.iter().find(|key| key.step == SharedKeyStep::Made);
            let late = made.map(|key| behind(key.generation, &nodes)).unwrap_or_default();
            let wanted = settings.wants(account.sid);
            let (now, there) = (self.now(), &there);
            let (late, taken_before) = (&*late, &*taken);
            let given =
                Given { wanted, settings, keys: &keys, there, mark, late, taken: taken_before, mended, now };
            brought.left = plan(&given);
            let changes = std::mem::take(&mut brought.left.changes);
            let Some(by) = by else {
                brought.changes = changes;
                break;
            };
            if changes.is_empty() {
                break;
            }
            for change in changes {
                match self.make_so(&client, mark, account.sid, &change, by).await? {
                    Ok(()) => {
                        if let Change::MendRule { edited, .. } = &change {
                            mended = true;
                            self.tell_of_mended(by, account, edited).await?;
                        }
                        brought.changes.push(change);
                    }
                    Err(trouble) => {
                        if let (Trouble::Twilio(error), Change::MendRule { edited, .. }) = (&trouble, &change)
                            && error.code() == Some(THERE_ALREADY)
                        {
                            taken.push(edited.matches.clone());
                            continue;
                        }
                        brought.trouble = Some(trouble);
                        return Ok(brought);
                    }
                }
            }
        }
        Ok(brought)
    }

    /// Makes one change.
    async fn make_so(
        &self,
        client: &Client,
        mark: &Mark,
        account: Sid,
        change: &Change,
        by: &Actor,
    ) -> store::Result<Result<(), Trouble>> {
        let store = self.store();
        let webhooks = client.webhooks();
        let asked = match change {
            Change::CreateKey { again, why } => {
                let begun = match again {
                    Some(row) => store.renew_shared_key(row, self.now()).await?,
                    None => store.begin_shared_key(by, account, false, why, self.now()).await?,
                };
                // Somebody else does it.
                let Some(begun) = begun else { return Ok(Ok(())) };
                return self.ask_for_key(client, mark, begun, by).await;
            }
            Change::Signs(key) => {
                store.shared_key_signs(by, key, self.now()).await?;
                return Ok(Ok(()));
            }
            Change::Retire { key, why } => {
                store.retire_shared_key(by, key, why, self.now()).await?;
                return Ok(Ok(()));
            }
            Change::Forget(key) => {
                store.forget_shared_key(by, key, self.now()).await?;
                return Ok(Ok(()));
            }
            Change::CreateSetting(key) => {
                let Some(of) = &key.key else { return Ok(Ok(())) };
                let made = webhooks.create_setting(&mark.name(&key.mark), &of.id, ALGORITHM).await;
                if made.is_ok() && key.step == SharedKeyStep::Made {
                    // It gets everywhere from now on.
                    store.renew_shared_key(key, self.now()).await?;
                }
                made.map(drop)
            }
            Change::CreateRule { matches, setting }
            | Change::MendRule { edited: Edited { matches, .. }, setting } => {
                store.rules_change(account, self.now()).await?;
                webhooks.create_rule(&plan::rule_name(mark, matches), matches, setting).await
            }
            Change::PointRule { rule, setting, .. } => {
                store.rules_change(account, self.now()).await?;
                webhooks.set_rule(rule, setting).await
            }
            Change::DeleteRule { rule, .. } => {
                store.rules_change(account, self.now()).await?;
                gone(webhooks.delete_rule(rule).await)
            }
            Change::DeleteSetting(id) => gone(webhooks.delete_setting(id).await),
            Change::DeleteKey(id) => gone(webhooks.delete_shared_key(id).await),
        };
        if let Err(error) = asked {
            return Ok(Err(error.into()));
        }
        if let Some((action, url)) = of_a_rule(change) {
            store.rules_change(account, self.now()).await?;
            let mut detail = json!({ "url": url });
            if let Change::MendRule { edited, .. } = change {
                detail["was_for"] = url_of(&edited.is_for).into();
            }
            let audit = NewAudit::new(action, format!("account {account}")).with(detail);
            store.audit(by, audit, self.now()).await?;
        }
        Ok(Ok(()))
    }

    /// People hear of a rule that somebody else edited: whoever did it has credentials of the account.
    async fn tell_of_mended(&self, by: &Actor, account: &Account, edited: &Edited) -> store::Result<()> {
        let (url, is_for) = (url_of(&edited.matches).to_owned(), url_of(&edited.is_for).to_owned());
        let event = Event::RuleRestored { account: named(account), url, rule: edited.rule.clone(), is_for };
        self.tell(by, &Notice { at: self.now(), event }).await
    }

    /// The key that a gate without a store is given: the one that is held, or the one that signs. That it is given out is
    /// written down first.
    pub async fn show_shared_key(
        &self,
        account: Sid,
        by: &Actor,
        reason: Option<&str>,
    ) -> Result<KeyOfTwilio, NotBegun> {
        let key = self.key_to_show(account).await?;
        let detail = json!({ "reason": reason });
        let audit = NewAudit::new("shared-key.show", format!("account {account}")).with(detail);
        self.store().audit(by, audit, self.now()).await?;
        Ok(key)
    }

    /// The same, for whoever writes it down.
    pub async fn key_to_show(&self, account: Sid) -> Result<KeyOfTwilio, NotBegun> {
        let keys = self.keys_of(account).await?;
        let step = |step| keys.iter().find(|key| key.step == step);
        let held = step(SharedKeyStep::Made).filter(|key| key.held);
        let key = held.or_else(|| step(SharedKeyStep::Signing)).and_then(|key| key.key.clone());
        key.ok_or(NotBegun::NoneToShow(account))
    }

    /// Has Twilio make a key whose row is there.
    async fn ask_for_key(
        &self,
        client: &Client,
        mark: &Mark,
        begun: SharedKey,
        by: &Actor,
    ) -> store::Result<Result<(), Trouble>> {
        match client.webhooks().create_shared_key(&mark.name(&begun.mark)).await {
            Ok(made) => {
                if let Some(secret) = made.secret.filter(|secret| !secret.is_empty()) {
                    let key = KeyOfTwilio { id: made.key.id, secret };
                    self.store().made_shared_key(by, &begun, &key, self.now()).await?;
                }
                // Without its secret it is as if the answer had been lost.
                Ok(Ok(()))
            }
            Err(error) => {
                if error.carried_out() == CarriedOut::No {
                    self.store().forget_shared_key(by, &begun, self.now()).await?;
                }
                Ok(Err(error.into()))
            }
        }
    }
}

/// What an account has at Twilio.
async fn read(client: &Client) -> Result<AtTwilio, Trouble> {
    let webhooks = client.webhooks();
    // What names something is read before what it names: nothing looks as if it were named by nobody.
    let rules = webhooks.rules().await?;
    let settings = webhooks.settings().await?;
    let keys = webhooks.shared_keys().await?;
    Ok(AtTwilio { keys, settings, rules })
}

/// What is not there any more is gone as it should be.
fn gone(deleted: Result<(), ringfence_twilio::client::Error>) -> Result<(), ringfence_twilio::client::Error> {
    match deleted {
        Err(error) if error.is_not_found() => Ok(()),
        deleted => deleted,
    }
}

/// The audit's word for what happened to a rule, and its URLs.
fn of_a_rule(change: &Change) -> Option<(&'static str, Option<&str>)> {
    match change {
        Change::CreateRule { matches, .. } => Some(("webhook-rule.create", Some(url_of(matches)))),
        Change::MendRule { edited, .. } => Some(("webhook-rule.mend", Some(url_of(&edited.matches)))),
        Change::PointRule { matches, .. } => Some(("webhook-rule.point", Some(url_of(matches)))),
        Change::DeleteRule { matches, .. } => Some(("webhook-rule.delete", matches.as_ref().map(url_of))),
        _ => None,
    }
}

/// What a rule is about, for people: `https://hooks.example.com/twilio/…`, say.
pub fn url_of(matches: &RuleMatch) -> &str {
    match matches {
        RuleMatch::Exact(url) | RuleMatch::Prefix(url) => url,
        RuleMatch::Default => "everything else",
    }
}

impl Waits {
    /// When it is worth to look again; none where that is not known.
    pub const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Spreads(until) | Self::Answer(until) | Self::Settles(until) => Some(*until),
            Self::Nodes(_) | Self::Operator | Self::Mended => None,
        }
    }
}
