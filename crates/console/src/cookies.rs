//! The session's cookie.
//!
//! Under TLS its name begins with `__Host-`, which browsers take only from the very host, over TLS, for every path: no
//! neighbour below the same domain can plant one (RFC 6265bis, 4.1.3.2). On this machine's loopback there is no TLS, and
//! the name is another, so that a cookie of one kind never stands in for the other.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use ringfence_model::Secret;

const UNDER_TLS: &str = "__Host-ringfence";
const ON_LOOPBACK: &str = "ringfence";

fn name(is_https: bool) -> &'static str {
    if is_https { UNDER_TLS } else { ON_LOOPBACK }
}

/// The token of the session that the browser sends.
pub(crate) fn session(headers: &HeaderMap, is_https: bool) -> Option<Secret> {
    the_one(headers, name(is_https)).map(Secret::new)
}

/// The value of the cookie of this name. Two of one name: one of them is somebody else's.
pub(crate) fn the_one<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = cookies
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == wanted)
        .map(|(_, value)| value);
    let first = found.next()?;
    if found.next().is_some() || first.is_empty() { None } else { Some(first) }
}

/// Has the browser keep this session until it is closed.
pub(crate) fn set(token: &Secret, is_https: bool) -> Option<HeaderValue> {
    let secure = if is_https { "; Secure" } else { "" };
    let text = format!("{}={}; Path=/; HttpOnly; SameSite=Lax{secure}", name(is_https), token.expose());
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Has the browser forget it.
pub(crate) fn forget(is_https: bool) -> HeaderValue {
    HeaderValue::from_static(if is_https {
        "__Host-ringfence=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
    } else {
        "ringfence=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(cookie: &str, is_https: bool) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(cookie).expect("a value"));
        session(&headers, is_https).map(|token| token.expose().to_owned())
    }

    #[test]
    fn a_cookie_of_the_wrong_kind_or_there_twice_is_no_session() {
        assert_eq!(sent("ringfence=a", true), None, "over TLS only what TLS protects counts");
        assert_eq!(sent("__Host-ringfence=a", false), None);
        assert_eq!(sent("__Host-ringfence=a; __Host-ringfence=b", true), None);
        assert_eq!(sent("__Host-ringfence=; x=y", true), None);
        assert_eq!(sent("x__Host-ringfence=a", true), None);
    }

    #[test]
    fn what_was_set_is_what_is_sent() {
        for is_https in [true, false] {
            let set = set(&Secret::new("0123abcd"), is_https).expect("a value");
            let text = set.to_str().expect("a text");
            let (pair, attributes) = text.split_once("; ").expect("attributes");
            assert_eq!(sent(&format!("a=b; {pair}"), is_https).as_deref(), Some("0123abcd"));
            assert_eq!(attributes.contains("Secure"), is_https);
            assert!(attributes.contains("HttpOnly") && attributes.contains("SameSite=Lax"), "{attributes}");
            assert!(attributes.contains("Path=/") && !attributes.contains("Domain"), "{attributes}");
            let forgotten = forget(is_https);
            assert_eq!(
                forgotten.to_str().expect("a text").split_once('=').map(|it| it.0),
                pair.split_once('=').map(|it| it.0)
            );
        }
    }
}
