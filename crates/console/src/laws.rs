//! What must hold of any bytes at all that a browser, or whoever poses as one, sends as cookies and as places to go to.
//!
//! Each law is one function that panics where it does not hold. The tests below ask them with the seeds that fuzzing has
//! found, the fuzz targets (`crates/console/fuzz`) with whatever the fuzzer comes upon.
//! Neither is in a release.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use ringfence_model::Secret;
use url::Url;

use crate::{cookies, door, form, hosts, words};

/// Cookies: one of ours is found where a reader that goes byte by byte finds one of its name and no second, and what is
/// found can be set again and is then found again, alone or among others.
pub fn cookies(first: &[u8], second: &[u8]) {
    let mut headers = HeaderMap::new();
    let values = [first, second].into_iter().filter_map(|bytes| HeaderValue::from_bytes(bytes).ok());
    for value in values {
        headers.append(COOKIE, value);
    }
    let pairs = pairs(&headers);
    let only = |name: &str| match &*pairs.iter().filter(|(found, _)| found == name).collect::<Vec<_>>() {
        [(_, value)] if !value.is_empty() => Some(value.clone()),
        _ => None,
    };
    let is_token = |value: &String| value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    let exposed = |secret: Option<Secret>| secret.map(|secret| secret.expose().to_owned());

    for (is_https, name) in [(true, "__Host-ringfence"), (false, "ringfence")] {
        let found = exposed(cookies::session(&headers, is_https));
        assert_eq!(found, only(name));
        if let Some(found) = found {
            let set = cookies::set(&Secret::new(found.clone()), is_https).expect("it came in a header");
            let sent = sent_back(&set, &headers, name);
            assert_eq!(exposed(cookies::session(&sent, is_https)), Some(found));
        }
    }
    for (cookie, name) in
        [(hosts::SESSION, "__Host-ringfence-session"), (hosts::BEGAN, "__Host-ringfence-began")]
    {
        let found = exposed(cookie.sent(&headers));
        assert_eq!(found, only(name).filter(is_token));
        if let Some(found) = found {
            let set = cookie.set(&Secret::new(found.clone())).expect("digits are a header's value");
            assert_eq!(exposed(cookie.sent(&sent_back(&set, &headers, name))), Some(found));
        }
    }
    for (is_https, prefix) in [(true, "__Host-ringfence-"), (false, "ringfence-")] {
        let kept = [door::kept::devices(&headers, is_https), door::kept::marks(&headers, is_https)];
        for secret in kept.into_iter().flatten() {
            let id = secret.expose().split('.').next().unwrap_or_default();
            let is_there = |(name, value): &(String, String)| {
                name.strip_prefix(prefix) == Some(id) && value == secret.expose()
            };
            assert!(pairs.iter().any(is_there), "a secret of another name was taken");
        }
    }
}

/// What comes back when this is set, in one header with whatever else was there.
fn sent_back(set: &HeaderValue, others: &HeaderMap, name: &str) -> HeaderMap {
    let set = set.to_str().expect("it is a text");
    let (pair, attributes) = set.split_once("; ").expect("it has attributes");
    assert!(attributes.starts_with("Path=/; "), "{set}");
    let others = pairs(others).into_iter().filter(|(other, _)| other != name);
    let mut all: Vec<String> = others.map(|(name, value)| format!("{name}={value}")).collect();
    all.insert(all.len() / 2, pair.to_owned());
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, HeaderValue::from_bytes(all.join("; ").as_bytes()).expect("it came in a header"));
    headers
}

/// The pairs of all headers that are texts, each for itself, read byte by byte (RFC 6265, 4.2.1).
fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for value in headers.get_all(COOKIE) {
        let bytes = value.as_bytes();
        let (mut name, mut text, mut has_value) = (Vec::new(), Vec::new(), false);
        for byte in bytes.iter().chain(b";") {
            match byte {
                b';' => {
                    if has_value {
                        // White space beside the sign is part of what it stands at.
                        let text_of = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
                        pairs.extend(text_of(name.trim_ascii_start()).zip(text_of(text.trim_ascii_end())));
                    }
                    (name, text, has_value) = (Vec::new(), Vec::new(), false);
                }
                b'=' if !has_value => has_value = true,
                byte if has_value => text.push(*byte),
                byte => name.push(*byte),
            }
        }
    }
    pairs
}

/// A place to go to after the sign-in: what is taken as a page of ours is on our host to whoever reads it as browsers do,
/// and comes out of a query as it went in.
pub fn own_page(to: &str) {
    let escaped = words::query_value(to);
    assert_eq!(form::Fields::of(format!("a=1&to={escaped}&b=2").as_bytes()).raw("to"), to);
    if !door::is_own_page(to) {
        return;
    }
    let here = Url::parse("https://console.example:8443/sign-in?to=x").expect("a URL");
    let there = here.join(to).expect("a browser goes there");
    assert_eq!(there.origin(), here.origin(), "{to}");
    assert_eq!((there.username(), there.password()), ("", None), "{to}");
    let location = words::redirect(to);
    let location = location.headers().get(http::header::LOCATION).expect("it leads somewhere");
    assert_eq!(location.as_bytes(), to.as_bytes());
}

#[cfg(test)]
mod tests {
    use ringfence_testkit::each_seed;

    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

    #[test]
    fn a_cookie_of_ours_is_found_where_there_is_one_and_no_second() {
        each_seed(FOLDER, "cookies", |(first, second): (&[u8], &[u8])| super::cookies(first, second));
    }

    #[test]
    fn a_place_that_is_taken_is_on_our_host_to_every_browser() {
        each_seed(FOLDER, "own_page", super::own_page);
    }
}
