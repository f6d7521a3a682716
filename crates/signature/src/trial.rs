//! Which keys are tried, and which of them signed.
//!
//! At most [`MAX_KEYS`] of them. Those of the account that is named come first. Keys of others are tried after
//! them only to say truthfully that another account signed: what they match is refused (see `Claims::admit`).

use crate::{
    Accounts, Candidate, Keyring, MAX_KEYS, Policy, Refusal, Request,
    canonical::CanonicalString,
    claims::Claims,
    header::{Settings, Signature},
    key::{Account, Key},
};

/// The keys to try, the likeliest first.
pub(crate) struct Keys<'k> {
    keys: [Option<(&'k Account, &'k Key)>; MAX_KEYS],
    /// What to say if none of them signed.
    pub(crate) no_match: Refusal,
}

impl<'k> Keys<'k> {
    pub(crate) fn choose(
        keyring: &'k Keyring,
        policy: &Policy<'_>,
        settings: &Settings<'_>,
        claims: &Claims,
        signature: Signature,
    ) -> Result<Self, Refusal> {
        let mut chosen = Chosen { keys: [None; MAX_KEYS], count: 0, was_any_passed_over: false };
        let fits = |key: &Key| signature.fits(key) && settings.agrees_with(key);
        let mut no_match = Refusal::SignatureMismatch;
        if let Some(id) = settings.key {
            match (keyring.find_shared_key(id), keyring.anonymous()) {
                (Some((account, key)), _) => chosen.add(account, key, fits(key)),
                // Keys without an account come from a hand that need not know the id.
                (None, Some(account)) => chosen.add_all(account, fits),
                (None, None) => return Err(Refusal::UnknownSharedKey),
            }
        } else {
            let named = claims.account.as_ref().and_then(|sid| keyring.find(sid));
            // Keys without an account may be anybody's, so an account that has none here is not the fault.
            if named.is_none() && claims.names_account && keyring.anonymous().is_none() {
                no_match = Refusal::UnknownAccount;
            }
            chosen.add_by_account(keyring, policy, claims, named, |key| signature.fits(key));
        }
        match (chosen.count, chosen.was_any_passed_over) {
            (0, true) => Err(Refusal::AlgorithmMismatch),
            (0, false) => Err(Refusal::UnknownAccount),
            _ => Ok(Self { keys: chosen.keys, no_match }),
        }
    }

    pub(crate) fn find_signer(
        &self,
        request: &Request<'_>,
        policy: &Policy<'_>,
        canonical: &mut CanonicalString,
        signature: Signature,
    ) -> Option<(&'k Account, &'k Key, Candidate)> {
        for candidate in request.url.candidates(request.websocket, policy.try_userinfo) {
            let message = canonical.of(&request.url, candidate);
            for (account, key) in self.keys.iter().flatten() {
                if key.signed(message, signature.as_bytes()) {
                    return Some((account, key, candidate));
                }
            }
        }
        None
    }
}

struct Chosen<'k> {
    keys: [Option<(&'k Account, &'k Key)>; MAX_KEYS],
    count: usize,
    /// Whether a key was left out because it signs by another algorithm.
    was_any_passed_over: bool,
}

impl<'k> Chosen<'k> {
    /// The keys of the account that is named, if it is known; then those that may sign where none is named.
    fn add_by_account(
        &mut self,
        keyring: &'k Keyring,
        policy: &Policy<'_>,
        claims: &Claims,
        named: Option<&'k Account>,
        fits: impl Fn(&Key) -> bool + Copy,
    ) {
        // The parent of a named child comes next to it, since it may stand in for it.
        let parent = named.and_then(|account| account.parent.as_ref()).and_then(|sid| keyring.find(sid));
        for account in named.into_iter().chain(parent) {
            self.add_all(account, fits);
        }
        match policy.accounts {
            Accounts::Listed(listed) => {
                let listed = listed.iter().filter_map(|sid| keyring.find(sid));
                for account in keyring.anonymous().into_iter().chain(listed).take(MAX_KEYS) {
                    self.add_all(account, fits);
                }
            }
            Accounts::Any => {
                // Where one is named, no key but its own or its parent's admits, and all others only tell why.
                let others = if claims.names_account { keyring.all() } else { &[] };
                for account in keyring.parents().take(MAX_KEYS).chain(others.iter().take(MAX_KEYS)) {
                    self.add_all(account, fits);
                }
            }
        }
    }

    fn add_all(&mut self, account: &'k Account, fits: impl Fn(&Key) -> bool) {
        let is_there = self.keys.iter().flatten().any(|(other, _)| std::ptr::eq(*other, account));
        if !is_there {
            for key in &account.keys {
                self.add(account, key, fits(key));
            }
        }
    }

    fn add(&mut self, account: &'k Account, key: &'k Key, fits: bool) {
        if !fits {
            self.was_any_passed_over = true;
        } else if let Some(slot) = self.keys.get_mut(self.count) {
            *slot = Some((account, key));
            self.count += 1;
        }
    }
}
