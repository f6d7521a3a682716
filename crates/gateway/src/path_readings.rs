//! How else a path could be read by what comes after the gate.
//!
//! The gate compares paths byte for byte. Applications do not: one decodes `%2F`, one takes `\` for `/`, one cuts what follows a
//! `;` (a parameter, RFC 3986 section 3.3), one takes several slashes for one, and many compare without regard to case or to a
//! slash at the end. A request must not come in by the rules of one route and be read as one of another.

use std::borrow::Cow;

use crate::http_rules::Head;
use crate::settings::{Mode, PathRule, Route};
use crate::snapshot::ActiveRoute;

/// So often a path may be decoded on its way: by the application, and by a proxy before it.
const DECODED_AT_MOST: usize = 2;

/// A longer path that can be read in several ways is not looked into: each way is a copy.
const LONGEST: usize = 4096;

/// Whether this request could be read as one of another route, which asks something else of whoever comes to the same
/// application. `found` is the route that takes it.
pub(crate) fn is_in_two_ways(routes: &[ActiveRoute], found: &ActiveRoute, head: &Head<'_>) -> bool {
    let rivals = found.rivals.iter().map(|rival| &routes[*rival].route);
    is_read_as_rivals(&found.route, &rivals, head)
}

/// The same by the routes of the configuration.
pub(crate) fn is_in_two_ways_by(routes: &[Route], found: &Route, head: &Head<'_>) -> bool {
    is_read_as_rivals(found, &rivals(routes, found).iter().map(|rival| &routes[*rival]), head)
}

fn is_read_as_rivals<'a>(
    found: &Route,
    rivals: &(impl ExactSizeIterator<Item = &'a Route> + Clone),
    head: &Head<'_>,
) -> bool {
    let path = head.target.split_once('?').map_or(head.target, |(path, _)| path);
    if rivals.len() == 0 {
        return false;
    }
    let Some(readings) = readings(path) else { return true };
    // Who named this very path knows it from its like.
    if matches!(&found.path, PathRule::Exact(exact) if exact == path) {
        return false;
    }
    let specific = |route: &Route, path: &str| {
        loosely(&route.path, path)
            .filter(|_| route.is_for(head.authority))
            .map(|it| (route.host.is_some(), it))
    };
    readings.iter().any(|path| {
        let own = specific(found, path);
        rivals.clone().any(|rival| specific(rival, path) > own)
    })
}

/// The routes that lead to the same application as this one and ask something else of whoever comes.
pub(crate) fn rivals(routes: &[Route], of: &Route) -> Vec<usize> {
    // Nothing is forwarded.
    if of.mode == Mode::Shadow {
        return Vec::new();
    }
    let is_rival = |it: &Route| it.upstream == of.upstream && !it.asks_as(of);
    routes.iter().enumerate().filter(|(_, it)| is_rival(it)).map(|(index, _)| index).collect()
}

fn is_plain(path: &str) -> bool {
    !path.contains(['%', '\\', ';']) && !path.contains("//")
}

/// The path, and each other one that it could be read as; `None` if one of them has a segment `..`, which clients remove before
/// they ask (RFC 3986 section 5.2.4), and with which it could be any path at all.
fn readings(path: &str) -> Option<Vec<Cow<'_, str>>> {
    let mut all = vec![Cow::Borrowed(path)];
    if !is_plain(path) {
        if path.len() > LONGEST {
            return None;
        }
        for _ in 0..DECODED_AT_MOST {
            with(&mut all, decoded);
        }
        with(&mut all, |path| path.replace('\\', "/"));
        with(&mut all, without_parameters);
        with(&mut all, with_single_slashes);
    }
    with(&mut all, without_dots);
    (!all.iter().any(|path| path.split('/').any(|segment| segment == ".."))).then_some(all)
}

/// How specific the rule is for this path where nobody looks at case and at a slash at the end: whether it is exact, and its
/// length. What is longer is more specific, as for the gate.
fn loosely(rule: &PathRule, path: &str) -> Option<(bool, usize)> {
    let begins = |path: &str, with: &str| {
        path.as_bytes().get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with.as_bytes()))
    };
    let trimmed = |path: &str| path.strip_suffix('/').unwrap_or(path).len();
    match rule {
        PathRule::Exact(exact) => (trimmed(exact) == trimmed(path) && begins(path, &exact[..trimmed(exact)]))
            .then_some((true, exact.len())),
        PathRule::Prefix(prefix) => {
            let is_its_folder =
                prefix.len() == path.len() + 1 && prefix.ends_with('/') && begins(prefix, path);
            (begins(path, prefix) || is_its_folder).then_some((false, prefix.len()))
        }
    }
}

/// Adds what each becomes, where it is another.
fn with(all: &mut Vec<Cow<'_, str>>, change: impl Fn(&str) -> String) {
    for index in 0..all.len() {
        let changed = change(&all[index]);
        if !all.iter().any(|known| *known == changed) {
            all.push(Cow::Owned(changed));
        }
    }
}

/// Every `%XX` once; what is no UTF-8 then is replaced, since only what is plain can be the path of a route.
fn decoded(path: &str) -> String {
    let (bytes, mut decoded, mut at) = (path.as_bytes(), Vec::with_capacity(path.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let digit = |at: usize| bytes.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        let escaped = digit(at + 1).zip(digit(at + 2)).filter(|_| byte == b'%');
        let value = escaped.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        decoded.push(value.unwrap_or(byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn without_parameters(path: &str) -> String {
    let segments: Vec<_> =
        path.split('/').map(|segment| segment.split_once(';').map_or(segment, |(name, _)| name)).collect();
    segments.join("/")
}

fn without_dots(path: &str) -> String {
    let segments: Vec<_> = path.split('/').filter(|segment| *segment != ".").collect();
    segments.join("/")
}

fn with_single_slashes(path: &str) -> String {
    let mut single = String::with_capacity(path.len());
    for piece in path.chars() {
        if piece != '/' || !single.ends_with('/') {
            single.push(piece);
        }
    }
    single
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_of_two_dots_is_found_however_it_is_spelled() {
        for path in [
            "/a/../b",
            "/a/./../b",
            "/a/..",
            "/a/%2e%2E/b",
            "/a/.%2e/b",
            "/a/%252e%252e/b",
            "/a/..%2fb",
            "/a\\..\\b",
            "/a/..%5cb",
            "/a/..;x=1/b",
            "/a/%2e.;/b",
            "/a/..%3b/b",
        ] {
            assert_eq!(readings(path), None, "{path}");
        }
        for path in ["/.well-known/x", "/a...b/..c/d..", "/a/%2e%2ea", "/", "", "/...", "/a%", "/a%2", "/%zz"]
        {
            assert!(readings(path).is_some(), "{path}");
        }
    }

    #[test]
    fn a_plain_path_is_read_in_one_way() {
        assert_eq!(readings("/twilio/sms").as_deref(), Some(&[Cow::Borrowed("/twilio/sms")][..]));
    }

    #[test]
    fn a_path_is_read_as_whoever_comes_after_the_gate_may_read_it() {
        for path in [
            "/%74wilio/sms",
            "/twilio%2Fsms",
            "/%2574wilio/sms",
            "//twilio///sms",
            "/twilio\\sms",
            "/twilio%5csms",
            "/twilio;a=b/sms;c",
            "/twilio%3ba/sms",
            "/%2f%74wilio;x%2fsms",
            "/./twilio/%2e/sms",
            "/.;/twilio/.%2fsms",
        ] {
            let read = readings(path).unwrap();
            assert!(read.iter().any(|it| it == "/twilio/sms"), "{path}: {read:?}");
        }
    }

    #[test]
    fn case_and_a_slash_at_the_end_make_no_difference_where_it_is_loose() {
        let exact = PathRule::Exact("/twilio/sms".into());
        for path in ["/twilio/sms", "/Twilio/SMS", "/twilio/sms/"] {
            assert_eq!(loosely(&exact, path), Some((true, 11)), "{path}");
        }
        for path in ["/twilio/smsx", "/twilio/sm", "/twilio/sms//", "/"] {
            assert_eq!(loosely(&exact, path), None, "{path}");
        }
        let prefix = PathRule::Prefix("/twilio/".into());
        for path in ["/twilio/sms", "/TWILIO/", "/twilio", "/twilio/"] {
            assert_eq!(loosely(&prefix, path), Some((false, 8)), "{path}");
        }
        for path in ["/twilio-docs", "/twili", "/x/twilio/", "é"] {
            assert_eq!(loosely(&prefix, path), None, "{path}");
        }
        assert_eq!(loosely(&PathRule::Exact("/".into()), "/"), Some((true, 1)));
        assert_eq!(loosely(&PathRule::Exact("/é/".into()), "/é"), Some((true, 4)));
    }
}
