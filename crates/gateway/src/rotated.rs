//! Auth tokens whose rotation is under way, or which a rotation brought: what the gate verifies with and the egress asks with
//! in the place of what is configured and learnt.
//!
//! Around a promotion Twilio signs with either token, so both count. Once the old one is forgotten it is no key any more,
//! although a configuration may still have it: it was replaced because others may know it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringfence_model::{Secret, Sid};
use ringfence_signature::{AccountKeys, AccountSid, Allowed, KeyKind, Keyring, MAX_KEYS};

use crate::admission::policy;
use crate::settings::{Check, Route};

/// What an account is asked with, and what its webhooks may be signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotatedTokens {
    /// `AC…`.
    pub sid: Sid,
    /// What Twilio is asked with.
    pub ask: Secret,
    /// What Twilio signs with, as far as is known; what signs anew for an upstream that verifies by itself.
    pub signs: Secret,
    /// What it may sign with besides: about to be promoted, or the one before.
    pub or: Option<Secret>,
    /// Those that count no more, though they may be configured.
    pub replaced: Vec<Secret>,
    /// Whether it is told with which of the two requests are signed.
    pub is_watched: bool,
}

impl RotatedTokens {
    /// What requests are tried with.
    fn tried(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.signs).chain(&self.or)
    }
}

/// With which tokens requests of an account were signed that passed, since this was last asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedWith {
    /// Whose.
    pub account: Sid,
    /// One at least was signed with [`RotatedTokens::signs`].
    pub new: bool,
    /// One at least was signed with [`RotatedTokens::or`].
    pub old: bool,
}

/// All of them, by account.
#[derive(Debug, Default)]
pub(crate) struct Rotated(BTreeMap<AccountSid, Entry>);

#[derive(Debug)]
struct Entry {
    tokens: RotatedTokens,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    new: AtomicBool,
    old: AtomicBool,
}

/// The accounts that are watched, as a snapshot has them: mostly none.
#[derive(Clone, Default)]
pub(crate) struct Watched(Vec<(AccountSid, Arc<Seen>)>);

impl Rotated {
    /// Puts these in the place of all that were there; whether anything is different now. What was seen of an account stays
    /// as long as its tokens are the same.
    pub(crate) fn replace(&mut self, tokens: Vec<RotatedTokens>) -> bool {
        let mut new = BTreeMap::new();
        let mut is_different = false;
        for tokens in tokens {
            let Some(sid) = AccountSid::parse(tokens.sid.to_string().as_bytes()) else { continue };
            if tokens.ask.is_empty() || tokens.signs.is_empty() {
                continue;
            }
            let before = self.0.remove(&sid).filter(|before| before.tokens == tokens);
            is_different |= before.is_none();
            new.insert(sid, before.unwrap_or_else(|| Entry { tokens, seen: Arc::default() }));
        }
        // What is left there is in it no more.
        is_different |= !self.0.is_empty();
        self.0 = new;
        is_different
    }

    pub(crate) fn has(&self, sid: &AccountSid) -> bool {
        self.0.contains_key(sid)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The accounts that it has something of.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = AccountSid> {
        self.0.keys().copied()
    }

    /// The accounts whose tokens are not all tried wherever they should be, or take the place of a key that is tried
    /// without them: there are too many keys besides. Accounts that the gate has no keys of are none of its.
    pub(crate) fn missing_in<'r>(
        &self,
        without: &Keyring,
        with: &Keyring,
        routes: impl Iterator<Item = &'r Route>,
    ) -> Vec<Sid> {
        let of = |(sid, entry): (&AccountSid, &Entry)| (*sid, entry.tokens.clone());
        let here: Vec<_> = self.0.iter().map(of).filter(|(sid, _)| with.contains(sid)).collect();
        let mut missing: BTreeSet<Sid> = here
            .iter()
            .filter(|(sid, tokens)| tokens.tried().any(|token| !with.has_token(sid, token.expose())))
            .map(|(_, tokens)| tokens.sid)
            .collect();
        for route in routes.filter(|route| !matches!(route.check, Check::Basic(_))) {
            let accounts = policy(route).accounts;
            let (without, with) = (without.unnamed(accounts), with.unnamed(accounts));
            let is_crowded = without.count() <= MAX_KEYS && with.count() > MAX_KEYS;
            for (sid, RotatedTokens { sid: account, signs, or, .. }) in &here {
                let Some(or) = or.as_ref().filter(|_| with.has_account(sid)) else { continue };
                let is_tried = |token: &Secret| with.is_tried(sid, token.expose());
                if is_crowded || (is_tried(signs) && !is_tried(or)) {
                    missing.insert(*account);
                }
            }
        }
        missing.into_iter().collect()
    }

    /// A keyring with these tokens in the place of those that it has of them: each under the kind that it is of now. An account
    /// that it has no keys of gets none: it is not configured here, or gone at Twilio.
    pub(crate) fn on(&self, keyring: Keyring) -> Keyring {
        let here: Vec<_> = self.0.iter().filter(|(sid, _)| keyring.contains(sid)).collect();
        if here.is_empty() {
            return keyring;
        }
        let gone = here.iter().flat_map(|(sid, entry)| {
            let tokens = &entry.tokens;
            tokens.tried().chain(&tokens.replaced).map(|token| (**sid, token.expose()))
        });
        let keyring = keyring.without_tokens(gone);
        keyring.with_learnt(here.iter().map(|(sid, entry)| {
            let RotatedTokens { signs, or, is_watched, .. } = &entry.tokens;
            let keys = AccountKeys::new(**sid).primary(signs.expose());
            match or {
                Some(token) if *is_watched => keys.previous(token.expose()),
                Some(token) => keys.secondary(token.expose()),
                None => keys,
            }
        }))
    }

    /// What Twilio is asked with, by account.
    pub(crate) fn asked_with(&self) -> impl Iterator<Item = (Sid, &Secret)> {
        self.0.values().map(|entry| (entry.tokens.sid, &entry.tokens.ask))
    }

    pub(crate) fn watched(&self) -> Watched {
        let watched = self.0.iter().filter(|(_, entry)| entry.tokens.is_watched);
        Watched(watched.map(|(sid, entry)| (*sid, Arc::clone(&entry.seen))).collect())
    }

    /// Tells what was seen since it was last asked; accounts of which nothing was are left out.
    pub(crate) fn take_seen(&self) -> Vec<SignedWith> {
        let taken = self.0.values().map(|entry| SignedWith {
            account: entry.tokens.sid,
            new: entry.seen.new.swap(false, Ordering::Relaxed),
            old: entry.seen.old.swap(false, Ordering::Relaxed),
        });
        taken.filter(|seen| seen.new || seen.old).collect()
    }
}

impl Watched {
    /// A request has passed.
    pub(crate) fn note(&self, allowed: &Allowed) {
        for (sid, seen) in &self.0 {
            if allowed.account == Some(*sid) {
                match allowed.key {
                    KeyKind::Primary => seen.new.store(true, Ordering::Relaxed),
                    KeyKind::Previous => seen.old.store(true, Ordering::Relaxed),
                    KeyKind::Secondary | KeyKind::Shared => {}
                }
            }
        }
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|(sid, _)| sid)).finish()
    }
}
