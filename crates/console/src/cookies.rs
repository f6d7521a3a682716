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
    let mut found = pairs(headers).filter(|(name, _)| *name == wanted).map(|(_, value)| value);
    let first = found.next()?;
    if found.next().is_some() || first.is_empty() { None } else { Some(first) }
}

/// All cookies that have a name of ASCII alone, as all of ours have; a value that has other bytes counts as an empty one.
///
/// Cookies of others may have any bytes in them, and ours are found beside them all the same. White space is that of ASCII
/// alone, as it is to browsers: a name that begins with any other does not begin with `__Host-` to them, so that a
/// neighbour may plant it.
pub(crate) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let cookies = headers.get_all(COOKIE).iter();
    cookies.flat_map(|value| value.as_bytes().split(|byte| *byte == b';')).filter_map(|pair| {
        let pair = pair.trim_ascii();
        let (name, value) = pair.split_at(pair.iter().position(|byte| *byte == b'=')?);
        Some((ascii(name)?, ascii(&value[1..]).unwrap_or_default()))
    })
}

fn ascii(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes).ok().filter(|text| text.is_ascii())
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
    fn a_session_is_found_beside_whatever_bytes_others_keep() {
        for others in [&b"name=Zo\xc3\xab"[..], b"name=Zo\xeb", b"\xff=x", b"\x80", b"\xe2\x80\x80=x"] {
            for cookies in [[others, b"__Host-ringfence=a"], [b"__Host-ringfence=a", others]] {
                let mut headers = HeaderMap::new();
                headers.insert(COOKIE, HeaderValue::from_bytes(&cookies.join(&b"; "[..])).expect("a value"));
                assert!(session(&headers, true).is_some_and(|token| token.expose() == "a"), "{headers:?}");
            }
        }
    }

    #[test]
    fn a_name_or_a_value_with_other_bytes_than_ascii_is_not_ours() {
        // To a browser these names do not begin with `__Host-`: it keeps them for a neighbour too.
        for space in ["\u{2000}", "\u{a0}", "\u{85}", "\u{3000}", "\u{feff}"] {
            assert_eq!(sent(&format!("{space}__Host-ringfence=a"), true), None, "{space:?}");
            assert_eq!(sent(&format!("__Host-ringfence{space}=a"), true), None, "{space:?}");
        }
        assert_eq!(sent("__Host-ringfence=\u{e9}", true), None);
        assert_eq!(sent("__Host-ringfence=\u{e9}; __Host-ringfence=a", true), None, "it is there twice");
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
