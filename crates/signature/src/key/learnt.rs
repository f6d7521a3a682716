//! A keyring with further keys, learnt while it was in use.
//!
//! The one idea: what is learnt only ever adds. Every key that was given stays, in its place, so what was admitted
//! before is admitted afterwards.

use std::collections::HashMap;

use super::{Account, AccountKeys, AccountSid, Key, Keyring, MAX_KEYS, SharedKeyPlace};

impl Keyring {
    /// This keyring with further keys of its accounts, and further accounts.
    ///
    /// - An account's keys of this keyring come first, then the learnt ones that it did not have, as long as it has no
    ///   more than [`MAX_KEYS`] altogether.
    /// - The parent that an account has here stays; one that has none gets the learnt one. It goes on to be tried where
    ///   no account is named, if it was before. An account is never its own parent.
    /// - Nothing that is learnt is an error: keys without an account, accounts without a key or with an empty secret,
    ///   and SharedKeys whose id is taken, are left out.
    ///
    /// Finding keys costs what it cost before; making this costs a copy of each account.
    ///
    /// ```
    /// # use ringfence_signature::{AccountKeys, AccountSid, Keyring};
    /// let parent: AccountSid = "AC0123456789abcdef0123456789abcdef".parse()?;
    /// let child: AccountSid = "AC00000000000000000000000000000001".parse()?;
    /// let configured = Keyring::new([AccountKeys::new(parent).primary("0123456789abcdef0123456789abcdef")])?;
    /// let learnt = AccountKeys::new(child).child_of(parent).primary("00000000000000000000000000000001");
    /// let keyring = configured.with_learnt([learnt]);
    /// assert_eq!(keyring.parent_of(&child), Some(parent));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_learnt(&self, learnt: impl IntoIterator<Item = AccountKeys>) -> Self {
        let mut keyring = self.clone();
        for given in learnt {
            keyring.learn(given);
        }
        keyring
    }

    /// Whether this account has the SharedKey of this id.
    pub fn has_shared_key(&self, account: &AccountSid, id: &str) -> bool {
        self.find_shared_key(id.as_bytes()).is_some_and(|(of, _)| of.sid.as_ref() == Some(account))
    }

    fn learn(&mut self, given: AccountKeys) {
        let Some(sid) = given.account.filter(|_| !given.has_empty_secret) else { return };
        let ids: HashMap<usize, Box<str>> = given.shared.into_iter().map(|(id, place)| (place, id)).collect();
        let keys: Vec<(Option<&str>, Key)> = given
            .keys
            .into_iter()
            .enumerate()
            .map(|(place, key)| (ids.get(&place).map(|id| &**id), key))
            .filter(|(id, _)| id.is_none_or(|id| !self.by_shared_key.contains_key(id.as_bytes())))
            .collect();
        let Ok(next) = u32::try_from(self.accounts.len()) else { return };
        if keys.is_empty() {
            return;
        }
        let parent = given.parent.filter(|parent| *parent != sid);
        let index = *self.by_sid.entry(sid).or_insert(next);
        if index == next {
            self.accounts.push(Account { sid: Some(sid), parent, keys: Vec::new() });
            if parent.is_none() {
                self.parents.push(index);
            }
        }
        let Some(account) = self.accounts.get_mut(index as usize) else { return };
        account.parent = account.parent.or(parent);
        for (id, key) in keys {
            let place = match account.keys.iter().position(|known| known.is_same_as(&key)) {
                Some(place) => place,
                None if account.keys.len() == MAX_KEYS => continue,
                None => {
                    account.keys.push(key);
                    account.keys.len() - 1
                }
            };
            if let Some(id) = id {
                let place = SharedKeyPlace { account: index, key: place };
                self.by_shared_key.entry(id.as_bytes().into()).or_insert(place);
            }
        }
    }
}

impl Key {
    /// Whether both sign alike. Secrets are not kept, so it is by what they sign.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.algorithm() == other.algorithm() && self.signed(b"", &other.sign(b""))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Algorithm, KeyKind, Policy, Refusal, Scratch, Signer, Verdict, verify};

    use super::*;

    const URL: &str = "https://hooks.example.com/sms";

    fn sid(number: u8) -> AccountSid {
        format!("AC{number:032x}").parse().unwrap()
    }

    fn verdict(keyring: &Keyring, token: &str, account: AccountSid) -> Verdict {
        let signed = Signer::token(token).form(URL, [("AccountSid", account.as_str())]);
        verify(&signed.request(), keyring, &Policy::default(), &mut Scratch::default())
    }

    fn key_kind(verdict: &Verdict) -> Option<KeyKind> {
        match verdict {
            Verdict::Allow(allowed) => Some(allowed.key),
            Verdict::Refuse(_) => None,
        }
    }

    fn configured() -> Keyring {
        Keyring::new([
            AccountKeys::new(sid(1)).primary("parent"),
            AccountKeys::new(sid(2)).child_of(sid(1)).primary("child").shared_key(
                "k",
                "shared",
                Algorithm::HmacSha256,
            ),
        ])
        .unwrap()
    }

    #[test]
    fn what_nobody_could_be_held_to_is_not_learnt() {
        let keyring = configured().with_learnt([
            AccountKeys::anonymous().primary("anybody"),
            AccountKeys::new(sid(3)).primary(""),
            AccountKeys::new(sid(4)),
        ]);
        assert!(keyring.anonymous().is_none());
        assert_eq!(keyring.accounts().copied().collect::<Vec<_>>(), [sid(1), sid(2)]);
        assert_eq!(verdict(&keyring, "anybody", sid(2)), Verdict::Refuse(Refusal::SignatureMismatch));
        assert_eq!(verdict(&keyring, "", sid(3)), Verdict::Refuse(Refusal::UnknownAccount));
    }

    #[test]
    fn a_learnt_shared_key_signs_for_its_account_and_is_none_where_there_is_no_room_for_it() {
        let learnt = |sid| AccountKeys::new(sid).shared_key("l", "learnt", Algorithm::HmacSha256);
        let keyring = configured().with_learnt([learnt(sid(2))]);
        assert!(keyring.has_shared_key(&sid(2), "l") && !keyring.has_shared_key(&sid(1), "l"));
        let signer = Signer::shared_key("l", "learnt", Algorithm::HmacSha256);
        let verdict = |keyring: &Keyring, account: AccountSid| {
            let signed = signer.form(URL, [("AccountSid", account.as_str())]);
            verify(&signed.request(), keyring, &Policy::default(), &mut Scratch::default())
        };
        assert_eq!(key_kind(&verdict(&keyring, sid(2))), Some(KeyKind::Shared));
        assert_eq!(verdict(&keyring, sid(1)), Verdict::Refuse(Refusal::AccountMismatch));
        let full = (0..MAX_KEYS).fold(AccountKeys::new(sid(2)), |keys, n| keys.previous(&format!("{n}")));
        let full = Keyring::new([full]).unwrap().with_learnt([learnt(sid(2))]);
        assert!(!full.has_shared_key(&sid(2), "l"));
        assert_eq!(verdict(&full, sid(2)), Verdict::Refuse(Refusal::UnknownSharedKey));
    }

    #[test]
    fn a_learnt_key_signs_for_its_account_and_for_no_other() {
        let learnt = AccountKeys::new(sid(3)).child_of(sid(1)).primary("learnt");
        let keyring = configured().with_learnt([learnt]);
        assert!(key_kind(&verdict(&keyring, "learnt", sid(3))).is_some());
        for account in [sid(1), sid(2)] {
            assert_eq!(key_kind(&verdict(&keyring, "learnt", account)), None);
        }
        for token in ["parent", "child"] {
            assert_eq!(
                verdict(&keyring, token, sid(3)),
                Verdict::Refuse(Refusal::AccountMismatch),
                "{token}"
            );
        }
        assert!(key_kind(&verdict(&configured(), "learnt", sid(3))).is_none(), "the other one is as it was");
    }

    #[test]
    fn configured_keys_come_first_and_are_never_pushed_out() {
        let mut many = AccountKeys::new(sid(2)).primary("child");
        for number in 0..20 {
            many = many.previous(&format!("token {number}"));
        }
        let keyring = configured().with_learnt([many]);
        let keys = &keyring.find(&sid(2)).unwrap().keys;
        assert_eq!(keys.len(), MAX_KEYS);
        assert_eq!((keys[0].kind, keys[1].kind), (KeyKind::Primary, KeyKind::Shared));
        assert!(key_kind(&verdict(&keyring, "child", sid(2))).is_some());
        assert!(key_kind(&verdict(&keyring, "token 5", sid(2))).is_some());
        assert!(key_kind(&verdict(&keyring, "token 6", sid(2))).is_none(), "the ninth key");
    }

    #[test]
    fn a_key_that_is_there_already_is_not_there_twice() {
        let keyring = configured().with_learnt([
            AccountKeys::new(sid(2)).primary("child").previous("older"),
            AccountKeys::new(sid(2)).previous("older"),
        ]);
        assert_eq!(keyring.find(&sid(2)).unwrap().keys.len(), 3);
        assert_eq!(keyring.accounts().count(), 2);
    }

    #[test]
    fn a_parent_that_was_given_stays_and_nobody_is_his_own() {
        let keyring = configured().with_learnt([
            AccountKeys::new(sid(1)).child_of(sid(1)).primary("parent"),
            AccountKeys::new(sid(2)).child_of(sid(9)).primary("child"),
            AccountKeys::new(sid(3)).child_of(sid(3)).primary("other"),
            AccountKeys::new(sid(4)).child_of(sid(1)).primary("another"),
        ]);
        let parents = [1, 2, 3, 4].map(|number| keyring.parent_of(&sid(number)));
        assert_eq!(parents, [None, Some(sid(1)), None, Some(sid(1))]);
        let tried: Vec<_> = keyring.parents().filter_map(|account| account.sid).collect();
        assert_eq!(tried, [sid(1), sid(3)]);
    }

    #[test]
    fn an_account_that_turns_out_to_be_a_subaccount_still_signs_where_none_is_named() {
        let configured = Keyring::new([AccountKeys::new(sid(2)).primary("child")]).unwrap();
        let keyring = configured.with_learnt([AccountKeys::new(sid(2)).child_of(sid(1)).primary("child")]);
        assert_eq!(keyring.parent_of(&sid(2)), Some(sid(1)));
        let nameless = Signer::token("child").get(URL);
        let verdict = verify(&nameless.request(), &keyring, &Policy::default(), &mut Scratch::default());
        assert!(key_kind(&verdict).is_some());
    }

    #[test]
    fn a_shared_key_is_learnt_unless_its_id_is_taken() {
        let learnt = AccountKeys::new(sid(3)).shared_key("k", "thief", Algorithm::HmacSha256).shared_key(
            "new",
            "honest",
            Algorithm::HmacSha256,
        );
        let keyring = configured().with_learnt([learnt]);
        let ask = |id, secret| {
            let signer = Signer::shared_key(id, secret, Algorithm::HmacSha256);
            let signed = signer.form(URL, [("Body", "hello")]);
            match verify(&signed.request(), &keyring, &Policy::default(), &mut Scratch::default()) {
                Verdict::Allow(allowed) => allowed.account,
                Verdict::Refuse(_) => None,
            }
        };
        assert_eq!(ask("k", "thief"), None);
        assert_eq!(ask("k", "shared"), Some(sid(2)));
        assert_eq!(ask("new", "honest"), Some(sid(3)));
    }
}
