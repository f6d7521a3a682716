//! A keyring without auth tokens that were replaced while it was in use.
//!
//! The one idea: a token that somebody stole is not good any more because it still stands in a configuration. Whoever
//! replaced it says so, and what is learnt comes in its place.

use super::{AccountSid, Algorithm, Key, KeyKind, Keyring};

impl Keyring {
    /// This keyring without these auth tokens of these accounts, whatever [kind](KeyKind) they are of. SharedKeys stay, and so do
    /// accounts that have no key left: nothing of theirs passes until one is [learnt](Self::with_learnt).
    ///
    /// ```
    /// # use ringfence_signature::{AccountKeys, AccountSid, Keyring};
    /// let account: AccountSid = "AC0123456789abcdef0123456789abcdef".parse()?;
    /// let keyring = Keyring::new([AccountKeys::new(account).primary("stolen")])?;
    /// let replaced = keyring.without_tokens([(account, "stolen")]);
    /// assert!(keyring.has_token(&account, "stolen") && !replaced.has_token(&account, "stolen"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn without_tokens<'t>(&self, replaced: impl IntoIterator<Item = (AccountSid, &'t str)>) -> Self {
        let mut keyring = self.clone();
        for (sid, token) in replaced {
            keyring.remove(sid, &token_key(token));
        }
        keyring
    }

    /// Whether this is one of the auth tokens that are tried for the account.
    pub fn has_token(&self, account: &AccountSid, token: &str) -> bool {
        let token = token_key(token);
        self.find(account).is_some_and(|account| account.keys.iter().any(|key| is_token(key, &token)))
    }

    fn remove(&mut self, sid: AccountSid, token: &Key) {
        let Some(&index) = self.by_sid.get(&sid) else { return };
        let Some(account) = self.accounts.get_mut(index as usize) else { return };
        while let Some(gone) = account.keys.iter().position(|key| is_token(key, token)) {
            account.keys.remove(gone);
            // SharedKeys are found by their place.
            let behind = self.by_shared_key.values_mut().filter(|place| place.account == index);
            for place in behind.filter(|place| place.key > gone) {
                place.key -= 1;
            }
        }
    }
}

fn token_key(token: &str) -> Key {
    Key::new(KeyKind::Primary, token.as_bytes(), Algorithm::HmacSha1)
}

impl Key {
    /// Whether it is this auth token.
    pub(crate) fn is_token(&self, token: &str) -> bool {
        is_token(self, &token_key(token))
    }
}

fn is_token(key: &Key, token: &Key) -> bool {
    key.kind != KeyKind::Shared && key.is_same_as(token)
}

#[cfg(test)]
mod tests {
    use crate::{AccountKeys, Policy, Refusal, Scratch, Signer, Verdict, verify};

    use super::*;

    const URL: &str = "https://hooks.example.com/sms";

    fn sid(number: u8) -> AccountSid {
        format!("AC{number:032x}").parse().unwrap()
    }

    fn keyring() -> Keyring {
        Keyring::new([
            AccountKeys::new(sid(1))
                .primary("stolen")
                .previous("older")
                .shared_key("a", "shared a", Algorithm::HmacSha256)
                .previous("stolen")
                .shared_key("b", "stolen", Algorithm::HmacSha256),
            AccountKeys::new(sid(2)).primary("stolen"),
        ])
        .unwrap()
    }

    fn verdict(keyring: &Keyring, signer: &Signer, account: AccountSid) -> Verdict {
        let signed = signer.form(URL, [("AccountSid", account.as_str())]);
        verify(&signed.request(), keyring, &Policy::default(), &mut Scratch::default())
    }

    #[test]
    fn a_replaced_token_is_refused_for_its_account_and_for_no_other() {
        let replaced = keyring().without_tokens([(sid(1), "stolen"), (sid(3), "stolen")]);
        let stolen = Signer::token("stolen");
        let refused = verdict(&replaced, &stolen, sid(1));
        // That of another account is the same here.
        assert!(
            matches!(refused, Verdict::Refuse(Refusal::SignatureMismatch | Refusal::AccountMismatch)),
            "{refused:?}"
        );
        assert!(matches!(verdict(&replaced, &stolen, sid(2)), Verdict::Allow(_)));
        assert!(matches!(verdict(&replaced, &Signer::token("older"), sid(1)), Verdict::Allow(_)));
        assert!(
            matches!(verdict(&keyring(), &stolen, sid(1)), Verdict::Allow(_)),
            "the other one is as it was"
        );
    }

    #[test]
    fn shared_keys_are_found_in_their_new_places_and_are_no_tokens() {
        let replaced = keyring().without_tokens([(sid(1), "stolen")]);
        for (id, secret, algorithm) in
            [("a", "shared a", Algorithm::HmacSha256), ("b", "stolen", Algorithm::HmacSha256)]
        {
            let signer = Signer::shared_key(id, secret, algorithm);
            assert!(matches!(verdict(&replaced, &signer, sid(1)), Verdict::Allow(_)), "{id}");
        }
        let shared = AccountKeys::new(sid(4)).shared_key("c", "stolen", Algorithm::HmacSha1);
        let shared = Keyring::new([shared]).unwrap();
        assert!(!shared.has_token(&sid(4), "stolen"), "a SharedKey of the same bytes is none");
        let signer = Signer::shared_key("c", "stolen", Algorithm::HmacSha1);
        let left = shared.without_tokens([(sid(4), "stolen")]);
        assert!(matches!(verdict(&left, &signer, sid(4)), Verdict::Allow(_)));
        assert!(replaced.has_token(&sid(1), "older") && !replaced.has_token(&sid(9), "older"));
    }

    #[test]
    fn an_account_without_a_key_is_refused_until_one_is_learnt() {
        let empty = keyring().without_tokens([(sid(2), "stolen")]);
        assert!(matches!(verdict(&empty, &Signer::token("stolen"), sid(2)), Verdict::Refuse(_)));
        let learnt = empty.with_learnt([AccountKeys::new(sid(2)).primary("new")]);
        assert!(matches!(verdict(&learnt, &Signer::token("new"), sid(2)), Verdict::Allow(_)));
    }
}
