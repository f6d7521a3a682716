//! Accounts, their keys, and an immutable snapshot of all of them.
//!
//! The one idea: a secret is turned into HMAC state the moment it is handed over, and only that state is kept.
//! A snapshot is built once and shared; finding the keys of one account costs the same for one and for 100,000.

use std::{collections::HashMap, fmt};

use hmac::{Hmac, KeyInit, Mac, digest::CtOutput};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::AccountSid;

mod learnt;
mod replaced;

/// The most keys one account may have, and the most that are tried for one request.
pub const MAX_KEYS: usize = 8;

/// How a key signs. Auth tokens always use [`HmacSha1`](Self::HmacSha1); a SharedKey has its algorithm pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `HMAC_SHA1`: a signature of 20 bytes, 28 characters of base64.
    HmacSha1,
    /// `HMAC_SHA256`: a signature of 32 bytes, 44 characters of base64.
    HmacSha256,
}

impl Algorithm {
    /// Reads `HMAC_SHA1` or `HMAC_SHA256` in any case.
    ///
    /// ```
    /// # use ringfence_signature::Algorithm;
    /// assert_eq!(Algorithm::parse("hmac_sha256"), Some(Algorithm::HmacSha256));
    /// assert_eq!(Algorithm::parse("HMAC_MD5"), None);
    /// ```
    pub fn parse(name: &str) -> Option<Self> {
        [Self::HmacSha1, Self::HmacSha256].into_iter().find(|it| it.as_str().eq_ignore_ascii_case(name))
    }

    /// The name that Twilio's settings header uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HMAC_SHA1",
            Self::HmacSha256 => "HMAC_SHA256",
        }
    }

    /// Length of a signature before base64, in bytes.
    pub(crate) fn signature_len(self) -> usize {
        match self {
            Self::HmacSha1 => 20,
            Self::HmacSha256 => 32,
        }
    }
}

/// Which of an account's keys signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// The primary auth token: what Twilio signs with.
    Primary,
    /// The secondary auth token: it signs once it has been promoted.
    Secondary,
    /// The token that was primary before a rotation.
    Previous,
    /// A SharedKey of the webhooks configuration.
    Shared,
}

impl KeyKind {
    /// A short name for logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Previous => "previous",
            Self::Shared => "shared",
        }
    }
}

/// The keys of one account, to be put into a [`Keyring`]. Secrets are not kept, and never printed.
///
/// ```
/// use ringfence_signature::{AccountKeys, AccountSid, Algorithm, Keyring};
///
/// let account: AccountSid = "AC0123456789abcdef0123456789abcdef".parse()?;
/// let keys = AccountKeys::new(account)
///     .primary("0123456789abcdef0123456789abcdef")
///     .shared_key("webhooks_sharedkey_1", "a secret", Algorithm::HmacSha256);
/// let keyring = Keyring::new([keys])?;
/// assert_eq!(keyring.accounts().next(), Some(&account));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AccountKeys {
    account: Option<AccountSid>,
    parent: Option<AccountSid>,
    keys: Vec<Key>,
    shared: Vec<(Box<str>, usize)>,
    has_empty_secret: bool,
    learns_keys: bool,
}

impl AccountKeys {
    /// An account without keys yet.
    pub fn new(account: AccountSid) -> Self {
        Self {
            account: Some(account),
            parent: None,
            keys: Vec::new(),
            shared: Vec::new(),
            has_empty_secret: false,
            learns_keys: false,
        }
    }

    /// Keys that belong to no account: `AccountSid` is then not checked. For checking a single request by hand,
    /// where the key is all that is known; never for a server of several accounts.
    pub fn anonymous() -> Self {
        Self {
            account: None,
            parent: None,
            keys: Vec::new(),
            shared: Vec::new(),
            has_empty_secret: false,
            learns_keys: false,
        }
    }

    /// Says that this account is a subaccount of `parent`.
    #[must_use]
    pub fn child_of(mut self, parent: AccountSid) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Says that keys of this account are [learnt](Keyring::with_learnt) later, so that it may have none yet: nothing of it
    /// passes until then.
    #[must_use]
    pub fn learns_keys(mut self) -> Self {
        self.learns_keys = true;
        self
    }

    /// Adds the primary auth token.
    #[must_use]
    pub fn primary(self, token: &str) -> Self {
        self.with(KeyKind::Primary, token, Algorithm::HmacSha1)
    }

    /// Adds the secondary auth token, so that nothing breaks at the moment it is promoted.
    #[must_use]
    pub fn secondary(self, token: &str) -> Self {
        self.with(KeyKind::Secondary, token, Algorithm::HmacSha1)
    }

    /// Adds the token that was primary until lately, for requests signed before a rotation reached all of Twilio.
    #[must_use]
    pub fn previous(self, token: &str) -> Self {
        self.with(KeyKind::Previous, token, Algorithm::HmacSha1)
    }

    /// Adds a SharedKey. `algorithm` is pinned: the unsigned settings header can select this key by its id, but
    /// never another algorithm for it.
    #[must_use]
    pub fn shared_key(mut self, id: &str, secret: &str, algorithm: Algorithm) -> Self {
        self.shared.push((id.into(), self.keys.len()));
        self.with(KeyKind::Shared, secret, algorithm)
    }

    fn with(mut self, kind: KeyKind, secret: &str, algorithm: Algorithm) -> Self {
        self.has_empty_secret |= secret.is_empty();
        self.keys.push(Key::new(kind, secret.as_bytes(), algorithm));
        self
    }
}

impl fmt::Debug for AccountKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountKeys")
            .field("account", &self.account)
            .field("parent", &self.parent)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// All keys that may sign, as an immutable snapshot. Replace it whole when configuration changes.
#[derive(Clone, Debug)]
pub struct Keyring {
    accounts: Vec<Account>,
    by_sid: HashMap<AccountSid, u32>,
    by_shared_key: HashMap<Box<[u8]>, SharedKeyPlace>,
    /// Accounts that were given as nobody's child, in the order they were given.
    parents: Vec<u32>,
    anonymous: Option<u32>,
}

impl Keyring {
    /// Takes the keys of all accounts, in the order in which accounts are to be tried where none is named.
    pub fn new(accounts: impl IntoIterator<Item = AccountKeys>) -> Result<Self, KeyringError> {
        let mut keyring = Self {
            accounts: Vec::new(),
            by_sid: HashMap::new(),
            by_shared_key: HashMap::new(),
            parents: Vec::new(),
            anonymous: None,
        };
        for given in accounts {
            let account = given.account;
            if given.has_empty_secret {
                return Err(KeyringError::EmptySecret { account });
            }
            if given.keys.is_empty() && !given.learns_keys {
                return Err(KeyringError::NoKeys { account });
            }
            if given.keys.len() > MAX_KEYS {
                return Err(KeyringError::TooManyKeys { account, count: given.keys.len() });
            }
            let index = u32::try_from(keyring.accounts.len()).map_err(|_| KeyringError::TooManyAccounts)?;
            let is_duplicate = match account {
                Some(sid) => keyring.by_sid.insert(sid, index).is_some(),
                None => keyring.anonymous.replace(index).is_some(),
            };
            if is_duplicate {
                return Err(KeyringError::DuplicateAccount { account });
            }
            for (id, key) in given.shared {
                let place = SharedKeyPlace { account: index, key };
                if keyring.by_shared_key.insert(id.as_bytes().into(), place).is_some() {
                    return Err(KeyringError::DuplicateSharedKey { id: id.into() });
                }
            }
            if given.parent.is_none() {
                keyring.parents.push(index);
            }
            keyring.accounts.push(Account { sid: account, parent: given.parent, keys: given.keys });
        }
        Ok(keyring)
    }

    /// The accounts that have keys here, in the order they were given. Anonymous keys have none.
    pub fn accounts(&self) -> impl Iterator<Item = &AccountSid> {
        self.accounts.iter().filter_map(|account| account.sid.as_ref())
    }

    /// Whether `account` has keys here.
    pub fn contains(&self, account: &AccountSid) -> bool {
        self.by_sid.contains_key(account)
    }

    /// The parent that `account` was given, if it is known here and is a subaccount.
    pub fn parent_of(&self, account: &AccountSid) -> Option<AccountSid> {
        self.find(account)?.parent
    }

    pub(crate) fn find(&self, sid: &AccountSid) -> Option<&Account> {
        // Most installations have one account, and a comparison is quicker than a hash.
        match &self.accounts[..] {
            [only] => (only.sid.as_ref() == Some(sid)).then_some(only),
            accounts => accounts.get(*self.by_sid.get(sid)? as usize),
        }
    }

    pub(crate) fn find_shared_key(&self, id: &[u8]) -> Option<(&Account, &Key)> {
        let place = self.by_shared_key.get(id)?;
        let account = self.accounts.get(place.account as usize)?;
        Some((account, account.keys.get(place.key)?))
    }

    /// Accounts that are nobody's child: what is tried where no account is named or listed.
    pub(crate) fn parents(&self) -> impl Iterator<Item = &Account> {
        self.parents.iter().filter_map(|&index| self.accounts.get(index as usize))
    }

    /// Keys that belong to no account.
    pub(crate) fn anonymous(&self) -> Option<&Account> {
        self.accounts.get(self.anonymous? as usize)
    }

    /// Every account with its keys, for trials off the hot path.
    pub(crate) fn all(&self) -> &[Account] {
        &self.accounts
    }
}

/// Why a [`Keyring`] cannot be made. `account` is `None` for anonymous keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// A token or secret is empty: anybody could sign with it.
    #[error("a key of {} is empty", name(account.as_ref()))]
    EmptySecret {
        /// Whose key it is.
        account: Option<AccountSid>,
    },
    /// An account has more than [`MAX_KEYS`] keys.
    #[error("{} has {count} keys; at most {MAX_KEYS} are tried", name(account.as_ref()))]
    TooManyKeys {
        /// Whose keys they are.
        account: Option<AccountSid>,
        /// How many were given.
        count: usize,
    },
    /// An account was given twice.
    #[error("{} is given twice", name(account.as_ref()))]
    DuplicateAccount {
        /// Which account.
        account: Option<AccountSid>,
    },
    /// A SharedKey's id was given twice.
    #[error("the SharedKey {id} is given twice")]
    DuplicateSharedKey {
        /// The id; it is no secret.
        id: String,
    },
    /// An account has no key at all, and [learns](AccountKeys::learns_keys) none.
    #[error("{} has no key", name(account.as_ref()))]
    NoKeys {
        /// Which account.
        account: Option<AccountSid>,
    },
    /// More than four thousand million accounts.
    #[error("there are too many accounts")]
    TooManyAccounts,
}

fn name(account: Option<&AccountSid>) -> &str {
    account.map_or("the account without a SID", AccountSid::as_str)
}

#[derive(Clone, Debug)]
struct SharedKeyPlace {
    account: u32,
    key: usize,
}

/// One account of the snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// `None` for anonymous keys.
    pub(crate) sid: Option<AccountSid>,
    pub(crate) parent: Option<AccountSid>,
    pub(crate) keys: Vec<Key>,
}

/// HMAC state made of one secret.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) kind: KeyKind,
    state: State,
}

#[derive(Clone)]
enum State {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
}

impl Key {
    pub(crate) fn new(kind: KeyKind, secret: &[u8], algorithm: Algorithm) -> Self {
        const ANY_LENGTH: &str = "HMAC takes a key of any length";
        let state = match algorithm {
            Algorithm::HmacSha1 => State::Sha1(Hmac::new_from_slice(secret).expect(ANY_LENGTH)),
            Algorithm::HmacSha256 => State::Sha256(Hmac::new_from_slice(secret).expect(ANY_LENGTH)),
        };
        Self { kind, state }
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match self.state {
            State::Sha1(_) => Algorithm::HmacSha1,
            State::Sha256(_) => Algorithm::HmacSha256,
        }
    }

    /// Whether `signature` (decoded) is this key's over `message`. Constant in time for one length of message;
    /// a signature of another length than the algorithm's never matches.
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.state {
            State::Sha1(state) => mac(state, message).into_bytes().ct_eq(signature).into(),
            State::Sha256(state) => mac(state, message).into_bytes().ct_eq(signature).into(),
        }
    }

    /// The signature of `message`, before base64.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.state {
            State::Sha1(state) => mac(state, message).into_bytes().to_vec(),
            State::Sha256(state) => mac(state, message).into_bytes().to_vec(),
        }
    }
}

/// The HMAC of one message. It is made in place: state that is moved is copied, and each copy has to be wiped.
fn mac<M: Mac + Clone>(state: &M, message: &[u8]) -> CtOutput<M> {
    let mut mac = state.clone();
    mac.update(message);
    mac.finalize()
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.kind.as_str(), self.algorithm().as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "AC00000000000000000000000000000001";

    fn account() -> AccountSid {
        ACCOUNT.parse().unwrap()
    }

    #[test]
    fn an_empty_token_is_no_key() {
        let error = Keyring::new([AccountKeys::new(account()).primary("")]).unwrap_err();
        assert_eq!(error, KeyringError::EmptySecret { account: Some(account()) });
    }

    #[test]
    fn an_account_without_keys_is_refused() {
        let error = Keyring::new([AccountKeys::new(account())]).unwrap_err();
        assert_eq!(error, KeyringError::NoKeys { account: Some(account()) });
    }

    #[test]
    fn an_account_that_learns_its_keys_may_begin_with_none() {
        let keyring = Keyring::new([AccountKeys::new(account()).learns_keys()]).unwrap();
        assert!(keyring.contains(&account()));
        let request = crate::Signer::token("").form("https://h.example/", [("AccountSid", ACCOUNT)]);
        let verdict = |keyring: &Keyring| {
            let (policy, mut scratch) = (crate::Policy::default(), crate::Scratch::default());
            crate::verify(&request.request(), keyring, &policy, &mut scratch)
        };
        assert!(matches!(verdict(&keyring), crate::Verdict::Refuse(_)), "nothing passes yet");
        let learnt = AccountKeys::new(account()).primary("token");
        assert!(keyring.with_learnt([learnt]).has_token(&account(), "token"));
    }

    #[test]
    fn a_ninth_key_is_refused() {
        let mut keys = AccountKeys::new(account()).primary("a");
        for n in 0..8 {
            keys = keys.shared_key(&format!("key{n}"), "b", Algorithm::HmacSha1);
        }
        let error = Keyring::new([keys]).unwrap_err();
        assert_eq!(error, KeyringError::TooManyKeys { account: Some(account()), count: 9 });
    }

    #[test]
    fn an_account_or_a_shared_key_given_twice_is_refused() {
        let twice = [AccountKeys::new(account()).primary("a"), AccountKeys::new(account()).primary("b")];
        let error = Keyring::new(twice).unwrap_err();
        assert_eq!(error, KeyringError::DuplicateAccount { account: Some(account()) });

        let keys = AccountKeys::anonymous().shared_key("k", "a", Algorithm::HmacSha1);
        let error = Keyring::new([keys.shared_key("k", "b", Algorithm::HmacSha256)]).unwrap_err();
        assert_eq!(error, KeyringError::DuplicateSharedKey { id: "k".into() });
    }

    #[test]
    fn no_secret_is_printed() {
        let keys =
            AccountKeys::new(account()).primary("swordfish").shared_key("id", "tuna", Algorithm::HmacSha256);
        let printed = format!("{keys:?}");
        assert_eq!(
            printed,
            format!(
                "AccountKeys {{ account: Some({ACCOUNT}), parent: None, keys: [primary(HMAC_SHA1), shared(HMAC_SHA256)], .. }}"
            )
        );
        let printed = format!("{:?}", Keyring::new([keys]).unwrap());
        assert!(printed.contains("[primary(HMAC_SHA1), shared(HMAC_SHA256)]"), "{printed}");
        assert!(!printed.contains("swordfish") && !printed.contains("tuna"), "{printed}");
    }

    #[test]
    fn what_is_wrong_with_keys_is_told_with_whose_they_are() {
        let none = Keyring::new([AccountKeys::new(account())]).unwrap_err();
        assert_eq!(none.to_string(), format!("{ACCOUNT} has no key"));
        let empty = Keyring::new([AccountKeys::anonymous().primary("")]).unwrap_err();
        assert_eq!(empty.to_string(), "a key of the account without a SID is empty");
    }

    #[test]
    fn the_names_of_keys_never_change() {
        let kinds = [KeyKind::Primary, KeyKind::Secondary, KeyKind::Previous, KeyKind::Shared];
        assert_eq!(kinds.map(KeyKind::as_str), ["primary", "secondary", "previous", "shared"]);
    }

    #[test]
    fn a_keyring_holds_the_accounts_that_it_was_given_and_no_others() {
        let keyring = Keyring::new([AccountKeys::new(account()).primary("a")]).unwrap();
        let other = "AC00000000000000000000000000000002".parse().unwrap();
        assert!(keyring.contains(&account()) && !keyring.contains(&other));
    }
}
