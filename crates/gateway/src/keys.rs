//! Keys that are learnt while the gate runs: the control plane finds accounts and their auth tokens at Twilio, and their
//! webhooks are verified from then on.
//!
//! The one idea: there are two sources, each of which is replaced whole, the configuration by a reload and what was
//! learnt by [`Keys::learn`], and whoever replaces one makes a new snapshot of both, under one lock. Requests read
//! snapshots and never wait for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ringfence_model::{Secret, Sid};
use ringfence_signature::{AccountKeys, AccountSid, Keyring};

use crate::egress::rules::{KnownAccount, Seen};
use crate::rotated::{Rotated, RotatedTokens, SignedWith, Watched};
use crate::server::Shared;
use crate::settings::EgressAccount;
use crate::shared_keys::{LearntSharedKey, SharedKeys};
use crate::snapshot::Snapshot;

/// For so long after a learnt auth token has changed, the one before it still counts.
const PREVIOUS_FOR: Duration = Duration::from_mins(5);

/// An account and its auth token, as the control plane found them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearntAccount {
    /// Its SID, `AC…`.
    pub sid: Sid,
    /// The account that it is a subaccount of; Twilio's way to say that there is none, the account itself, means the same
    /// as `None`.
    pub parent: Option<Sid>,
    /// What Twilio signs its webhooks with, and is asked with.
    pub auth_token: Secret,
    /// Its name at Twilio, which limits may look at.
    pub friendly_name: String,
    /// When it was created at Twilio.
    pub created: Timestamp,
}

/// All that the control plane knows of keys, which is replaced whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownKeys {
    /// Accounts with their auth tokens.
    pub accounts: Vec<LearntAccount>,
    /// What rotations of auth tokens have changed of these and of configured accounts.
    pub rotated: Vec<RotatedTokens>,
    /// SharedKeys of these and of configured accounts.
    pub shared: Vec<LearntSharedKey>,
}

/// Gives a running gate the keys of further accounts. Clones lead to the same gate; after its end they do nothing.
#[derive(Clone)]
pub struct Keys(Weak<Shared>);

impl Keys {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self(Arc::downgrade(shared))
    }

    /// Replaces everything that was learnt before: an account that is not in `accounts` loses its learnt keys at once.
    /// What is learnt only adds to the configuration: configured keys stay and are tried first, and a route that lists
    /// accounts admits none besides. Requests in work are decided by what held when they came. It costs well under a
    /// millisecond for a thousand accounts, and nothing where nothing is new.
    ///
    /// When the token of an account differs from the one learnt before, that one counts for five minutes more (six, where
    /// nothing is learnt meanwhile): around a change Twilio signs with either, and a token that somebody stole could
    /// have been used for as long before it was changed. To end it at once, leave the account out and learn it again.
    ///
    /// An entry that is no account's, or whose token is empty, is left out, and the log says how many were.
    pub fn learn(&self, accounts: Vec<LearntAccount>) {
        self.learn_with(KnownKeys { accounts, ..KnownKeys::default() });
    }

    /// The same, with what rotations of auth tokens have changed of these accounts and of configured ones: all of that is
    /// replaced too. Of an account that is in `rotated`, exactly the tokens that are said there count, beside what else is
    /// configured; of one that is neither configured nor in `accounts` none does. SharedKeys only add, to accounts that are
    /// known here. Gives back the accounts whose tokens are not all tried on every route, or would keep other keys from being
    /// tried there, or which have no room for their SharedKeys: there are too many.
    pub fn learn_with(&self, known: KnownKeys) -> Vec<Sid> {
        let Some(shared) = self.0.upgrade() else { return Vec::new() };
        let now = shared.clock.monotonic();
        shared.change_learnt(|learnt| learnt.learn(known, now));
        shared.hold_learnt().missing_in(&shared.snapshot.load())
    }

    /// With which tokens of watched accounts requests were signed that passed, since this was last asked.
    pub fn take_signed_with(&self) -> Vec<SignedWith> {
        self.0.upgrade().map(|shared| shared.hold_learnt().rotated.take_seen()).unwrap_or_default()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Keys(…)")
    }
}

/// The keys that a gate with these configured ones tries once it has learnt this ([`Keys::learn_with`]), for whoever judges a
/// request elsewhere.
pub fn keys_with(configured: &Keyring, known: KnownKeys) -> Keyring {
    let accounts = known.accounts.into_iter().filter_map(usable).collect();
    let mut learnt = LearntKeys { accounts, ..LearntKeys::default() };
    learnt.rotated.replace(known.rotated);
    learnt.shared.replace(known.shared);
    learnt.on(configured)
}

fn usable(account: LearntAccount) -> Option<(AccountSid, Learnt)> {
    let read = |sid: Sid| AccountSid::parse(sid.to_string().as_bytes());
    let sid = read(account.sid)?;
    if account.auth_token.is_empty() {
        return None;
    }
    let parent = account.parent.and_then(read);
    let seen = Seen { friendly_name: account.friendly_name.into(), created: account.created };
    Some((sid, Learnt { parent, token: account.auth_token, previous: None, seen }))
}

/// What was learnt last.
#[derive(Debug, Default)]
pub(crate) struct LearntKeys {
    accounts: BTreeMap<AccountSid, Learnt>,
    rotated: Rotated,
    shared: SharedKeys,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Learnt {
    parent: Option<AccountSid>,
    token: Secret,
    /// The token before this one, and until when it counts.
    previous: Option<(Secret, Instant)>,
    seen: Seen,
}

impl LearntKeys {
    /// What is known, in the place of all that was learnt; whether anything is different now.
    pub(crate) fn learn(&mut self, known: KnownKeys, now: Instant) -> bool {
        let KnownKeys { accounts, rotated, shared } = known;
        let given = accounts.len();
        let tokens: BTreeMap<AccountSid, Learnt> = accounts.into_iter().filter_map(usable).collect();
        if tokens.len() < given {
            let left_out = given - tokens.len();
            tracing::warn!(left_out, "accounts were learnt twice, or without a SID or an auth token");
        }
        let concerned: Vec<_> = self.rotated.accounts().collect();
        // Both, whatever the first says.
        let mut is_different = self.rotated.replace(rotated);
        is_different |= self.replace(tokens, now);
        is_different |= self.shared.replace(shared);
        // A token that a rotation forgot counts no more, also where its promotion was not seen here.
        for sid in concerned {
            if let Some(account) = self.accounts.get_mut(&sid) {
                account.previous = None;
            }
        }
        is_different
    }

    /// Whether anything is different now.
    fn replace(&mut self, mut new: BTreeMap<AccountSid, Learnt>, now: Instant) -> bool {
        for (sid, account) in &mut new {
            let Some(before) = self.accounts.get(sid) else { continue };
            account.previous = if self.rotated.has(sid) {
                // It says by itself which tokens count.
                None
            } else if before.token == account.token {
                before.previous.clone()
            } else {
                now.checked_add(PREVIOUS_FOR).map(|until| (before.token.clone(), until))
            };
        }
        retire(&mut new, now);
        let is_different = new != self.accounts;
        self.accounts = new;
        is_different
    }

    /// Drops previous tokens whose time is over; whether there were any.
    fn retire(&mut self, now: Instant) -> bool {
        retire(&mut self.accounts, now)
    }

    /// The accounts of which it is to be noted with which token requests are signed.
    pub(crate) fn watched(&self) -> Watched {
        self.rotated.watched()
    }

    /// What Twilio is asked with: the learnt token of a subaccount, which is Twilio's own word of this minute, before the
    /// configured one; of a parent the configured one, with which its subaccounts are found. What a rotation says comes before
    /// both.
    pub(crate) fn accounts(&self, configured: &[EgressAccount]) -> BTreeMap<Sid, KnownAccount> {
        let of_sid = |sid: &AccountSid| Sid::parse(sid.as_str()).ok();
        let learnt = self.accounts.iter().filter_map(|(sid, account)| {
            let sid = of_sid(sid)?;
            let parent = account.parent.as_ref().and_then(of_sid).filter(|parent| *parent != sid);
            let known =
                KnownAccount { parent, auth_token: account.token.clone(), seen: Some(account.seen.clone()) };
            Some((sid, known))
        });
        let mut accounts: BTreeMap<_, _> = learnt.collect();
        for account in configured {
            let known = accounts.entry(account.sid).or_insert_with(|| KnownAccount {
                parent: account.parent,
                auth_token: account.auth_token.clone(),
                seen: None,
            });
            if known.parent.is_none() {
                known.auth_token = account.auth_token.clone();
            }
        }
        for (sid, token) in self.rotated.asked_with() {
            if let Some(known) = accounts.get_mut(&sid) {
                known.auth_token = token.clone();
            }
        }
        accounts
    }

    /// The accounts whose keys cannot all be tried beside the others.
    fn missing_in(&self, snapshot: &Snapshot) -> Vec<Sid> {
        let mut missing = self.shared.missing_in(&snapshot.keyring);
        if !self.rotated.is_empty() {
            let routes = snapshot.routes.iter().map(|active| &active.route);
            let without = self.learnt_on(&snapshot.configured);
            missing.extend(self.rotated.missing_in(&without, &snapshot.keyring, routes));
        }
        missing.into_iter().collect()
    }

    /// The configured keys and these.
    pub(crate) fn on(&self, configured: &Keyring) -> Keyring {
        self.shared.on(self.rotated.on(self.learnt_on(configured)))
    }

    /// The same before what rotations have changed.
    fn learnt_on(&self, configured: &Keyring) -> Keyring {
        configured.with_learnt(self.accounts.iter().map(|(sid, account)| {
            let mut keys = AccountKeys::new(*sid).primary(account.token.expose());
            if let Some((token, _)) = &account.previous {
                keys = keys.previous(token.expose());
            }
            match account.parent {
                Some(parent) => keys.child_of(parent),
                None => keys,
            }
        }))
    }
}

fn retire(accounts: &mut BTreeMap<AccountSid, Learnt>, now: Instant) -> bool {
    let mut were_any = false;
    for account in accounts.values_mut() {
        if account.previous.as_ref().is_some_and(|(_, until)| *until <= now) {
            account.previous = None;
            were_any = true;
        }
    }
    were_any
}

impl Shared {
    /// Changes what is learnt, and puts it in force if the change says that it is different.
    fn change_learnt(&self, change: impl FnOnce(&mut LearntKeys) -> bool) {
        let mut learnt = self.hold_learnt();
        if change(&mut learnt) {
            let snapshot = self.snapshot.load_full().with_learnt(&learnt);
            self.metrics.accounts(&snapshot);
            self.snapshot.store(Arc::new(snapshot));
        }
    }

    /// Keeps everybody else from making a snapshot meanwhile.
    pub(crate) fn hold_learnt(&self) -> MutexGuard<'_, LearntKeys> {
        // Whoever panicked had changed nothing or all of it.
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends previous tokens whose time is over.
    pub(crate) fn retire_keys(&self, now: Instant) {
        self.change_learnt(|learnt| learnt.retire(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(sid: Sid, token: &str) -> LearntAccount {
        LearntAccount {
            sid,
            parent: Some(sid),
            auth_token: Secret::new(token),
            friendly_name: "shop".to_owned(),
            created: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_subaccount_is_asked_with_what_was_learnt_and_a_parent_with_what_is_configured() {
        let (parent, child) = (Sid::new(*b"AC", 1), Sid::new(*b"AC", 2));
        let mut keys = LearntKeys::default();
        let of_child = LearntAccount { parent: Some(parent), ..learnt(child, "learnt") };
        keys.replace(
            [learnt(parent, "learnt"), of_child].into_iter().filter_map(usable).collect(),
            Instant::now(),
        );
        let configured = [(parent, None), (child, Some(parent))].map(|(sid, parent)| EgressAccount {
            sid,
            parent,
            auth_token: Secret::new("configured"),
        });
        let accounts = keys.accounts(&configured);
        let token = |sid| accounts[&sid].auth_token.expose();
        assert_eq!((token(parent), token(child)), ("configured", "learnt"));
        assert_eq!(accounts[&parent].parent, None, "Twilio's way to say that there is none");
        assert_eq!(LearntKeys::default().accounts(&configured)[&child].auth_token.expose(), "configured");
    }

    #[test]
    fn what_a_rotation_says_is_asked_with_before_what_is_configured_and_learnt() {
        let (parent, child, unknown) = (Sid::new(*b"AC", 1), Sid::new(*b"AC", 2), Sid::new(*b"AC", 3));
        let rotated = |sid| RotatedTokens {
            sid,
            ask: Secret::new("new"),
            signs: Secret::new("old"),
            or: Some(Secret::new("new")),
            replaced: Vec::new(),
            is_watched: false,
        };
        let mut keys = LearntKeys::default();
        assert!(keys.rotated.replace([parent, child, unknown].map(rotated).into()));
        assert!(!keys.rotated.replace([parent, child, unknown].map(rotated).into()), "nothing is new");
        keys.replace(usable(learnt(child, "learnt")).into_iter().collect(), Instant::now());
        let configured = [EgressAccount { sid: parent, parent: None, auth_token: Secret::new("configured") }];
        let accounts = keys.accounts(&configured);
        assert_eq!(accounts.len(), 2, "a token alone makes no account that the egress asks for");
        assert!(accounts.values().all(|known| known.auth_token.expose() == "new"));
        // Nobody keeps the one before for a while, as with a token that Twilio's list changed.
        keys.replace(usable(learnt(child, "new")).into_iter().collect(), Instant::now());
        assert!(keys.accounts.values().all(|account| account.previous.is_none()));
        assert!(keys.rotated.replace(Vec::new()));
        assert_eq!(keys.accounts(&configured)[&parent].auth_token.expose(), "configured");
    }

    fn one(token: &str) -> BTreeMap<AccountSid, Learnt> {
        let sid = Sid::new(*b"AC", 1);
        let account = learnt(sid, token);
        usable(account).into_iter().collect()
    }

    #[test]
    fn what_is_no_account_or_has_no_token_is_no_key() {
        for (prefix, token) in [(*b"SK", "token"), (*b"AC", "")] {
            let sid = Sid::new(prefix, 1);
            assert_eq!(usable(learnt(sid, token)), None);
        }
    }

    #[test]
    fn the_token_before_counts_until_its_time_is_over_and_only_once() {
        let start = Instant::now();
        let mut learnt = LearntKeys::default();
        assert!(learnt.replace(one("old"), start));
        assert!(!learnt.replace(one("old"), start), "nothing is new");
        assert!(learnt.replace(one("new"), start));
        let almost = start + PREVIOUS_FOR.saturating_sub(Duration::from_millis(1));
        assert!(!learnt.replace(one("new"), almost), "the same list does not prolong it");
        assert!(!learnt.retire(almost));
        assert!(learnt.retire(start + PREVIOUS_FOR));
        assert!(learnt.accounts.values().all(|account| account.previous.is_none()));
    }

    #[test]
    fn an_account_that_was_forgotten_comes_back_without_its_former_token() {
        let start = Instant::now();
        let mut learnt = LearntKeys::default();
        learnt.replace(one("old"), start);
        learnt.replace(BTreeMap::new(), start);
        learnt.replace(one("new"), start);
        assert!(learnt.accounts.values().all(|account| account.previous.is_none()));
    }

    #[test]
    fn no_token_is_printed() {
        let mut learnt = LearntKeys::default();
        learnt.replace(one("swordfish"), Instant::now());
        learnt.replace(one("tuna"), Instant::now());
        let printed = format!("{learnt:?} {:?}", learnt.on(&Keyring::new([]).unwrap()));
        assert!(!printed.contains("swordfish") && !printed.contains("tuna"), "{printed}");
    }
}
