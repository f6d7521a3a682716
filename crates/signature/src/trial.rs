//! Which keys are tried, and which of them signed.
//!
//! At most [`MAX_KEYS`] of them. Those of the account that is named come first. Keys of others are tried after
//! them only to say truthfully that another account signed: what they match is refused (see `Claims::admit`).

use crate::{
    AccountSid, Accounts, Algorithm, Candidate, Keyring, MAX_KEYS, Policy, Refusal, Request,
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
        } else if policy.needs_shared_key {
            // Twilio names the key that it signs with.
            return Err(Refusal::SharedKeyRequired);
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

/// The accounts whose keys may sign where a request names none, in the order in which they are tried; `most` of them.
fn where_none_is_named<'k>(
    keyring: &'k Keyring,
    accounts: Accounts<'_>,
    most: usize,
    each: impl FnMut(&'k Account),
) {
    match accounts {
        Accounts::Listed(listed) => {
            let listed = listed.iter().filter_map(|sid| keyring.find(sid));
            keyring.anonymous().into_iter().chain(listed).take(most).for_each(each);
        }
        Accounts::Any => keyring.parents().take(most).for_each(each),
    }
}

/// The keys that may have signed a request that names no account, as auth tokens sign (HMAC-SHA1). The first [`MAX_KEYS`] of
/// them are tried; whoever adds a key can see by this whether it takes the place of another.
///
/// ```
/// # use ringfence_signature::{AccountKeys, AccountSid, Accounts, Keyring};
/// let account: AccountSid = "AC0123456789abcdef0123456789abcdef".parse()?;
/// let keyring = Keyring::new([AccountKeys::new(account).primary("token").previous("older")])?;
/// let unnamed = keyring.unnamed(Accounts::Any);
/// assert_eq!(unnamed.count(), 2);
/// assert!(unnamed.is_tried(&account, "older") && !unnamed.is_tried(&account, "another"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Unnamed<'k>(Vec<(&'k Account, &'k Key)>);

impl Keyring {
    /// The keys that may have signed a request that names no account, where these accounts may call. Where any may, children
    /// have the places that these leave, and are not among them.
    pub fn unnamed(&self, accounts: Accounts<'_>) -> Unnamed<'_> {
        let mut keys: Vec<(&Account, &Key)> = Vec::new();
        where_none_is_named(self, accounts, usize::MAX, |account| {
            if !keys.iter().any(|(other, _)| std::ptr::eq(*other, account)) {
                let tokens = account.keys.iter().filter(|key| key.algorithm() == Algorithm::HmacSha1);
                keys.extend(tokens.map(|key| (account, key)));
            }
        });
        Unnamed(keys)
    }
}

impl Unnamed<'_> {
    /// How many there are, of which [`MAX_KEYS`] are tried.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether one of them is of this account, tried or not.
    pub fn has_account(&self, account: &AccountSid) -> bool {
        self.0.iter().any(|(of, _)| of.sid.as_ref() == Some(account))
    }

    /// Whether this auth token of the account is tried.
    pub fn is_tried(&self, account: &AccountSid, token: &str) -> bool {
        let of = |(of, _): &&(&Account, &Key)| of.sid.as_ref() == Some(account);
        self.0.iter().take(MAX_KEYS).filter(of).any(|(_, key)| key.is_token(token))
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
        where_none_is_named(keyring, policy.accounts, MAX_KEYS, |account| self.add_all(account, fits));
        // Where one is named, no key but its own or its parent's admits, and all others only tell why. Where none is, as in
        // the handshake of a child's stream, children come after the parents, as far as the places go.
        if matches!(policy.accounts, Accounts::Any) {
            let others = keyring.all().iter().filter(|it| claims.names_account || it.parent.is_some());
            for account in others.take(MAX_KEYS) {
                self.add_all(account, fits);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountKeys, Scratch, Signer, Verdict, verify};

    fn sid(number: u8) -> AccountSid {
        format!("AC{number:032x}").parse().unwrap()
    }

    /// Some have a key that is never tried for a signature of a token.
    fn keyring(accounts: u8, keys: u8) -> Keyring {
        let of = |account: u8| {
            let mut given = AccountKeys::new(sid(account));
            for key in 0..keys {
                given = given.previous(&format!("{account}/{key}"));
            }
            given.shared_key(&format!("k{account}"), "shared", Algorithm::HmacSha256)
        };
        Keyring::new((0..accounts).map(of)).unwrap()
    }

    #[test]
    fn a_token_is_said_to_be_tried_where_it_admits_a_request_that_names_nobody() {
        let url = "https://hooks.example.com/sms";
        for (accounts, keys) in [(1, 1), (3, 3), (4, 2), (9, 1), (12, 2)] {
            let keyring = keyring(accounts, keys);
            // A list may name one twice, or one that is not there.
            let listed: Vec<_> = (0..accounts).rev().chain([1, 200]).map(sid).collect();
            for who in [Accounts::Any, Accounts::Listed(&listed)] {
                let policy = Policy { accounts: who, ..Policy::default() };
                let unnamed = keyring.unnamed(who);
                assert_eq!(unnamed.count(), usize::from(accounts) * usize::from(keys));
                assert!(unnamed.has_account(&sid(0)) && !unnamed.has_account(&sid(200)));
                for (account, key) in (0..accounts).flat_map(|it| (0..keys).map(move |key| (it, key))) {
                    let token = format!("{account}/{key}");
                    let signed = Signer::token(&token).get(url);
                    let verdict = verify(&signed.request(), &keyring, &policy, &mut Scratch::default());
                    let is_admitted = matches!(verdict, Verdict::Allow(_));
                    assert_eq!(unnamed.is_tried(&sid(account), &token), is_admitted, "{token} of {who:?}");
                }
            }
        }
    }
}
