//! Whoever is signed in at the console, by the word of the console itself: a proxy asked it before it sent the request on
//! (`docs/sign-in-page.md`).
//!
//! The one idea: the name counts for nothing without the stamp over it, and the stamp of a minute ago for nothing either. So
//! whoever reaches this listener past the proxy is nobody.

use std::time::Duration;

use http::HeaderMap;
use ringfence_model::Sid;

use super::refusal::Refusal;
use super::settings::MediaSignIn;

/// How far the console's clock may be from this one, either way.
const MAX_AGE: Duration = Duration::from_mins(1);

/// Whether a request says who is signed in; it need not be true.
pub(crate) fn is_told(headers: &HeaderMap) -> bool {
    headers.contains_key("ringfence-user") || headers.contains_key("ringfence-assertion")
}

/// Whether somebody is signed in who may see the files of this account.
pub(crate) fn check(
    sign_in: Option<&MediaSignIn>,
    headers: &HeaderMap,
    account: Sid,
    now_unix: u64,
) -> Result<(), Refusal> {
    let sign_in = sign_in.ok_or(Refusal::NoProof)?;
    let one = |name: &str| {
        let mut all = headers.get_all(name).iter();
        all.next().filter(|_| all.next().is_none()).map(http::HeaderValue::as_bytes)
    };
    let user = one("ringfence-user").filter(|user| !user.is_empty()).ok_or(Refusal::SignInForged)?;
    let stamp = one("ringfence-assertion").ok_or(Refusal::SignInForged)?;
    let lines = [sign_in.host.as_bytes(), user];
    sign_in.key.check(stamp, &lines, now_unix, MAX_AGE).map_err(|_| Refusal::SignInForged)?;
    match sign_in.account {
        Some(own) if own != account => Err(Refusal::OtherAccount),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use ringfence_model::{Secret, StampKey};

    use super::*;

    const HOST: &str = "media.example.com";
    const NOW: u64 = 1_800_000_000;

    fn key(letter: &str) -> StampKey {
        StampKey::new(&Secret::new(letter.repeat(32))).unwrap()
    }

    fn account(number: u128) -> Sid {
        Sid::new(*b"AC", number)
    }

    fn told(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &[u8])| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn appended(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_name_without_a_fresh_stamp_of_the_console_is_nobody() {
        let sign_in = MediaSignIn { host: HOST.to_owned(), key: key("k"), account: Some(account(1)) };
        let (user, other) = (b"alice@example.com", b"mallory@example.com");
        let stamp = |key: &StampKey, host: &str, user: &[u8]| key.make(NOW, &[host.as_bytes(), user]);
        let good = stamp(&key("k"), HOST, user);
        let good = good.as_bytes();
        let check = |headers: &HeaderMap, number, now| check(Some(&sign_in), headers, account(number), now);
        let forged = Err(Refusal::SignInForged);
        for headers in [
            told(&[("ringfence-user", user)]),
            told(&[("ringfence-assertion", good)]),
            told(&[("ringfence-user", b""), ("ringfence-assertion", good)]),
            told(&[("ringfence-user", other), ("ringfence-assertion", good)]),
            told(&[
                ("ringfence-user", user),
                ("ringfence-assertion", stamp(&key("x"), HOST, user).as_bytes()),
            ]),
            told(&[
                ("ringfence-user", user),
                ("ringfence-assertion", stamp(&key("k"), "wiki", user).as_bytes()),
            ]),
            appended(&[("ringfence-user", user), ("ringfence-user", other), ("ringfence-assertion", good)]),
            appended(&[
                ("ringfence-user", user),
                ("ringfence-assertion", good),
                ("ringfence-assertion", good),
            ]),
        ] {
            assert_eq!(check(&headers, 1, NOW), forged, "{headers:?}");
        }
        let headers = told(&[("ringfence-user", user), ("ringfence-assertion", good)]);
        assert_eq!(check(&headers, 1, NOW + 61), forged);
        assert_eq!(check(&headers, 1, NOW - 61), forged);
        assert_eq!(check(&headers, 2, NOW), Err(Refusal::OtherAccount));
        assert_eq!(super::check(None, &headers, account(1), NOW), Err(Refusal::NoProof));
        assert_eq!(check(&headers, 1, NOW + 60), Ok(()));
        let everywhere = MediaSignIn { account: None, ..sign_in.clone() };
        assert_eq!(super::check(Some(&everywhere), &headers, account(2), NOW), Ok(()));
    }
}
