//! SharedKeys that are learnt while the gate runs: the control plane makes them at Twilio, and webhooks that they sign
//! verify from then on.
//!
//! A request names the SharedKey that signed it, so a key that is learnt takes the place of no other one, as long as its
//! account has room for it.

use std::collections::BTreeSet;

use ringfence_model::{Secret, Sid};
use ringfence_signature::{AccountKeys, AccountSid, Algorithm, Keyring};

/// A SharedKey of an account, with the algorithm that is pinned for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearntSharedKey {
    /// Whose webhooks it signs, `AC…`.
    pub account: Sid,
    /// Its id at Twilio, which requests name.
    pub id: String,
    /// What it signs with.
    pub secret: Secret,
    /// How it signs, whatever a request says.
    pub algorithm: Algorithm,
}

/// What was learnt last.
#[derive(Debug, Default)]
pub(crate) struct SharedKeys(Vec<LearntSharedKey>);

impl SharedKeys {
    /// Puts these in the place of all that were there; whether anything is different now.
    pub(crate) fn replace(&mut self, keys: Vec<LearntSharedKey>) -> bool {
        let keys: Vec<_> = keys.into_iter().filter(|key| !key.secret.is_empty()).collect();
        let is_different = keys != self.0;
        self.0 = keys;
        is_different
    }

    /// A keyring with these keys of the accounts that it has. One that it does not have gets none: it is not configured here, or
    /// gone at Twilio.
    pub(crate) fn on(&self, keyring: Keyring) -> Keyring {
        if self.0.is_empty() {
            return keyring;
        }
        let keys: Vec<_> = self.known_to(&keyring).collect();
        keyring.with_learnt(
            keys.into_iter().map(|(sid, key)| {
                AccountKeys::new(sid).shared_key(&key.id, key.secret.expose(), key.algorithm)
            }),
        )
    }

    /// The accounts of this keyring that lack one of theirs: they have too many keys besides.
    pub(crate) fn missing_in(&self, keyring: &Keyring) -> BTreeSet<Sid> {
        let lacking = self.known_to(keyring).filter(|(sid, key)| !keyring.has_shared_key(sid, &key.id));
        lacking.map(|(_, key)| key.account).collect()
    }

    fn known_to<'k>(
        &'k self,
        keyring: &'k Keyring,
    ) -> impl Iterator<Item = (AccountSid, &'k LearntSharedKey)> {
        let sid = |key: &LearntSharedKey| AccountSid::parse(key.account.to_string().as_bytes());
        self.0.iter().filter_map(move |key| Some((sid(key)?, key))).filter(|(sid, _)| keyring.contains(sid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(account: u128, id: &str) -> LearntSharedKey {
        LearntSharedKey {
            account: Sid::new(*b"AC", account),
            id: id.to_owned(),
            secret: Secret::new("swordfish"),
            algorithm: Algorithm::HmacSha256,
        }
    }

    fn sid(account: u128) -> AccountSid {
        AccountSid::parse(Sid::new(*b"AC", account).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_key_of_an_account_that_is_not_known_here_is_none() {
        let mut keys = SharedKeys::default();
        assert!(keys.replace(vec![key(1, "a"), key(2, "b")]));
        assert!(!keys.replace(vec![key(1, "a"), key(2, "b")]), "nothing is new");
        let keyring = keys.on(Keyring::new([AccountKeys::new(sid(1)).learns_keys()]).unwrap());
        assert!(keyring.has_shared_key(&sid(1), "a") && !keyring.contains(&sid(2)));
        assert!(keys.missing_in(&keyring).is_empty());
    }

    #[test]
    fn an_account_without_room_for_its_key_is_named() {
        let mut keys = SharedKeys::default();
        keys.replace(vec![key(1, "a"), LearntSharedKey { secret: Secret::new(""), ..key(1, "empty") }]);
        let full = (0..8).fold(AccountKeys::new(sid(1)), |keys, n| keys.previous(&n.to_string()));
        let keyring = keys.on(Keyring::new([full]).unwrap());
        assert_eq!(keys.missing_in(&keyring).into_iter().collect::<Vec<_>>(), [Sid::new(*b"AC", 1)]);
        assert!(!format!("{keys:?}").contains("swordfish"));
    }
}
