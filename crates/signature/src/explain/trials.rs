//! The search: which altered form of the request, with which key, fits the signature that came?
//!
//! What is likely comes first, and the number of signatures and of bytes hashed is bounded, so that a large body or
//! a large keyring costs a second and not an hour.

use std::collections::HashSet;

use super::{
    Cause, Hints, TRIALS_MAX, json, owner,
    variants::{self, Change, Variant},
};
use crate::{AccountSid, Accounts, Keyring, Policy, Request, fields, key::Account};

/// Bytes hashed at most. SHA-1 takes well under a second for these.
const BYTES_MAX: usize = 128 * 1024 * 1024;
/// Signatures spent at most, each time, on keys of accounts that have nothing to do with the request.
const FAR_TRIALS_MAX: usize = 800;

/// What fitted.
pub(super) struct Match {
    pub(super) changes: Vec<Change>,
    /// Whose key it was, where it is none of those that `verify` tries.
    pub(super) other_owner: Option<String>,
    /// Whether the fields of the body, or a hash of it, are in what was signed.
    pub(super) covers_body: bool,
}

pub(super) struct Trials<'a> {
    request: &'a Request<'a>,
    signature: Vec<u8>,
    near: Vec<&'a Account>,
    far: Vec<&'a Account>,
    spent: usize,
    bytes_left: usize,
    message: Vec<u8>,
    policy: &'a Policy<'a>,
}

impl<'a> Trials<'a> {
    pub(super) fn new(
        request: &'a Request<'a>,
        keyring: &'a Keyring,
        policy: &'a Policy<'a>,
        signature: Vec<u8>,
    ) -> Self {
        let (near, far) = near_and_far(request, keyring, policy);
        Self { request, signature, near, far, spent: 0, bytes_left: BYTES_MAX, message: Vec::new(), policy }
    }

    pub(super) fn spent(&self) -> usize {
        self.spent
    }

    pub(super) fn run(&mut self, hints: &Hints<'_>) -> Option<Match> {
        let origins = variants::origins(self.request, self.policy, hints);
        let singles = variants::tails(self.request, hints);
        let (plain, altered) = singles.split_first()?;
        let plain = std::slice::from_ref(plain);
        let same_origin = origins.iter().take_while(|origin| origin.changes.is_empty()).count();
        let (same, others) = origins.split_at(same_origin);
        let (few, more) = (&others[..others.len().min(8)], &others[..others.len().min(24)]);
        // Blank fields have hundreds of forms, too many to be tried together with something else.
        let is_blank =
            |tail: &Variant| tail.changes.iter().any(|(cause, _)| *cause == Cause::BlankFieldsDropped);
        let without_blanks = altered.iter().position(is_blank).unwrap_or(altered.len());

        // One thing changed; then a key of somebody else, and one thing more; then two things.
        self.near(&origins, plain)
            .or_else(|| self.near(same, altered))
            .or_else(|| self.far(same, plain))
            .or_else(|| self.far(more, plain))
            .or_else(|| self.near(few, &altered[..without_blanks]))
            .or_else(|| self.near(same, &variants::paired_tails(self.request, hints)))
    }

    fn near(&mut self, origins: &[Variant], tails: &[Variant]) -> Option<Match> {
        let accounts = std::mem::take(&mut self.near);
        let found = self.search(origins, tails, &accounts, TRIALS_MAX);
        self.near = accounts;
        found.map(|(found, _)| found)
    }

    fn far(&mut self, origins: &[Variant], tails: &[Variant]) -> Option<Match> {
        let accounts = std::mem::take(&mut self.far);
        let limit = TRIALS_MAX.min(self.spent + FAR_TRIALS_MAX);
        let found = self.search(origins, tails, &accounts, limit);
        self.far = accounts;
        found.map(|(found, owner)| Match { other_owner: Some(owner), ..found })
    }

    fn search(
        &mut self,
        origins: &[Variant],
        tails: &[Variant],
        accounts: &[&Account],
        limit: usize,
    ) -> Option<(Match, String)> {
        for tail in tails {
            for origin in origins {
                self.message.clear();
                self.message.extend_from_slice(&origin.text);
                self.message.extend_from_slice(&tail.text);
                for account in accounts {
                    for key in &account.keys {
                        if key.algorithm().signature_len() != self.signature.len() {
                            continue;
                        }
                        if self.spent >= limit {
                            return None;
                        }
                        self.bytes_left = self.bytes_left.checked_sub(self.message.len())?;
                        self.spent += 1;
                        if key.signed(&self.message, &self.signature) {
                            let changes = origin.changes.iter().chain(&tail.changes).cloned().collect();
                            let found = Match { changes, other_owner: None, covers_body: tail.covers_body };
                            return Some((found, owner(account.sid, key.kind)));
                        }
                    }
                }
            }
        }
        None
    }
}

/// The accounts whose keys `verify` tries, and all others.
fn near_and_far<'a>(
    request: &Request<'_>,
    keyring: &'a Keyring,
    policy: &Policy<'_>,
) -> (Vec<&'a Account>, Vec<&'a Account>) {
    let mut near: HashSet<Option<AccountSid>> = HashSet::new();
    match named_account(request) {
        Some(named) => {
            near.insert(Some(named));
            if policy.parent_may_stand_in {
                near.extend(keyring.parent_of(&named).map(Some));
            }
        }
        None => match policy.accounts {
            Accounts::Listed(listed) => near.extend(listed.iter().copied().map(Some)),
            Accounts::Any => near.extend(keyring.parents().map(|account| account.sid).take(8)),
        },
    }
    near.insert(None);
    keyring.all().iter().partition(|account| near.contains(&account.sid))
}

fn named_account(request: &Request<'_>) -> Option<AccountSid> {
    let named = |raw| fields(raw).find(|(name, _)| &name[..] == b"AccountSid");
    let named = |raw| named(raw).and_then(|(_, value)| AccountSid::parse(&value));
    let query = request.url.query().unwrap_or_default();
    let [first, second] = if request.is_form() { [request.body, query] } else { [query, request.body] };
    // The other place counts where the content type was changed, or the form became a query.
    named(first).or_else(|| named(second)).or_else(|| {
        let members = json::flat_members(request.body)?;
        members.iter().find(|(name, _)| name == b"AccountSid").and_then(|(_, value)| AccountSid::parse(value))
    })
}

#[cfg(test)]
mod tests {
    use super::super::explain;
    use super::*;
    use crate::{AccountKeys, Algorithm, ReceivedUrl, Signer};

    const URL: &str = "https://hooks.example.com/sms";
    const NAMED: &str = "AC0123456789abcdef0123456789abcdef";

    /// Accounts with a key each; none of them is [`NAMED`].
    fn strangers(count: usize) -> impl Iterator<Item = AccountKeys> {
        (0..count)
            .map(|nth| AccountKeys::new(format!("AC{nth:032}").parse().unwrap()).primary(&format!("t{nth}")))
    }

    fn named() -> AccountKeys {
        AccountKeys::new(NAMED.parse().unwrap()).primary("the token")
    }

    #[test]
    fn keys_of_others_are_tried_as_often_as_is_said_and_no_more() {
        let keyring = Keyring::new(strangers(3_000)).unwrap();
        let signed = Signer::token("nobody's").form(URL, [("AccountSid", NAMED)]);
        let trials = explain(&signed.request(), &keyring, &Policy::default()).trials;
        assert_eq!(trials, 2 * FAR_TRIALS_MAX, "once with the URL as it came, once with others");
        // What was spent before on keys that are likelier is not taken from it.
        let keyring = Keyring::new(strangers(3_000).chain([named()])).unwrap();
        assert!(explain(&signed.request(), &keyring, &Policy::default()).trials > trials + 100);
    }

    #[test]
    fn no_more_bytes_are_hashed_than_is_said() {
        let keyring = Keyring::new([named(), AccountKeys::anonymous().primary("another")]).unwrap();
        let signed = Signer::token("nobody's").form(URL, [("Body", "x".repeat(1024 * 1024))]);
        let explanation = explain(&signed.request(), &keyring, &Policy::default());
        assert_eq!(explanation.trials, 127, "128 MiB, and a little more than one each");
    }

    #[test]
    fn a_form_that_was_turned_into_json_is_tried_with_the_keys_of_whoever_it_names() {
        let keyring = Keyring::new(strangers(30).chain([named()])).unwrap();
        let signed = Signer::token("the token").form(URL, [("AccountSid", NAMED), ("Body", "Hi")]);
        for json in [
            format!("{{\"AccountSid\":\"{NAMED}\",\"Body\":\"Hi\"}}"),
            format!("{{\"Body\":\"Hi\",\"AccountSid\":\"{NAMED}\"}}"),
        ] {
            let request = Request {
                content_type: Some(b"application/json"),
                body: json.as_bytes(),
                ..signed.request()
            };
            let causes: Vec<_> = explain(&request, &keyring, &Policy::default())
                .findings
                .into_iter()
                .map(|it| it.cause)
                .collect();
            assert_eq!(causes, [Cause::JsonAsForm], "{json}");
        }
    }

    #[test]
    fn a_guess_is_told_beside_what_was_proven() {
        let keys =
            AccountKeys::anonymous().primary("a token").shared_key("k1", "its secret", Algorithm::HmacSha256);
        let keyring = Keyring::new([keys]).unwrap();
        let signed =
            Signer::shared_key("k1", "its secret", Algorithm::HmacSha256).form(URL, [("Body", "Hi")]);
        let url = URL.replace("https", "http");
        // Another algorithm is named than is pinned for the key.
        let request = Request {
            url: ReceivedUrl::parse(url.as_bytes()),
            settings: Some(b"key=k1,algorithm=HMAC_SHA1"),
            ..signed.request()
        };
        let findings = explain(&request, &keyring, &Policy::default()).findings;
        let told: Vec<_> = findings.iter().map(|it| (it.cause, it.proven)).collect();
        assert_eq!(told, [(Cause::WrongAlgorithm, false), (Cause::Scheme, true)]);
    }
}
