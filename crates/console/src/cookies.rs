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

/// All that the browser sends, by their names. Pages of anybody keep what they like beside ours, in any bytes: ours are found all the
/// same. No more is taken off a name than what separates two: an odd space before it makes it another, which a neighbour below the same
/// domain may set.
pub(crate) fn sent(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(|pair| std::str::from_utf8(pair.trim_ascii()).ok()?.split_once('='))
}

/// The value of the cookie of this name. Two of one name: one of them is somebody else's.
pub(crate) fn the_one<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let mut found = sent(headers).filter(|(name, _)| *name == wanted).map(|(_, value)| value);
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

    fn session_of(cookie: &str, is_https: bool) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_bytes(cookie.as_bytes()).expect("a value"));
        session(&headers, is_https).map(|token| token.expose().to_owned())
    }

    #[test]
    fn a_cookie_of_the_wrong_kind_or_there_twice_is_no_session() {
        assert_eq!(session_of("ringfence=a", true), None, "over TLS only what TLS protects counts");
        assert_eq!(session_of("__Host-ringfence=a", false), None);
        assert_eq!(session_of("__Host-ringfence=a; __Host-ringfence=b", true), None);
        assert_eq!(session_of("__Host-ringfence=; x=y", true), None);
        assert_eq!(session_of("x__Host-ringfence=a", true), None);
    }

    #[test]
    fn what_others_keep_beside_it_in_whatever_bytes_hides_no_session() {
        for others in ["name=Zoë", "é", "=", "x=\u{2000}y", "\t"] {
            for cookie in [format!("{others}; __Host-ringfence=a"), format!("__Host-ringfence=a; {others}")] {
                assert_eq!(session_of(&cookie, true).as_deref(), Some("a"), "{cookie}");
            }
        }
        let mut headers = HeaderMap::new();
        let latin = HeaderValue::from_bytes(b"name=Zo\xeb; __Host-ringfence=a; \xff=\xfe").expect("a value");
        headers.insert(COOKIE, latin);
        assert!(session(&headers, true).is_some());
        // A browser takes this one from any page of the domain: it is none.
        assert_eq!(session_of("\u{2000}__Host-ringfence=a", true), None);
        assert_eq!(session_of("\u{a0}__Host-ringfence=b; __Host-ringfence=a", true).as_deref(), Some("a"));
    }

    #[test]
    fn what_was_set_is_what_is_sent() {
        for is_https in [true, false] {
            let set = set(&Secret::new("0123abcd"), is_https).expect("a value");
            let text = set.to_str().expect("a text");
            let (pair, attributes) = text.split_once("; ").expect("attributes");
            assert_eq!(session_of(&format!("a=b; {pair}"), is_https).as_deref(), Some("0123abcd"));
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
