//! URLs inside TwiML: each is resolved as Twilio resolves it, against the URL of the document, and must then lead to a
//! route of the gate.

use http::Method;

use crate::egress::leads_to_a_route;
use crate::snapshot::ActiveRoute;

/// The URL under which Twilio asked for a document, in parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Base<'a> {
    pub(crate) scheme: &'a str,
    pub(crate) authority: &'a str,
    /// Path and query.
    pub(crate) target: &'a str,
}

/// Whether a reference leads to a route of the gate. Without a base only an absolute URL can.
pub(crate) fn leads_here(reference: &str, base: Option<Base<'_>>, routes: &[ActiveRoute]) -> bool {
    let reference = reference.trim_matches(|char: char| char.is_ascii_whitespace());
    let Some(url) = resolve(reference, base) else { return false };
    let either = [Method::POST, Method::GET];
    either.into_iter().any(|method| leads_to_a_route(&url, &method, routes))
}

/// The absolute URL of a reference (RFC 3986, section 5.2); nothing where there is none.
fn resolve(reference: &str, base: Option<Base<'_>>) -> Option<String> {
    if has_scheme(reference) {
        return Some(reference.to_owned());
    }
    let Base { scheme, authority, target } = base?;
    if reference.starts_with("//") {
        return Some(format!("{scheme}:{reference}"));
    }
    let path = target.split('?').next().unwrap_or_default();
    let reference = reference.split('#').next().unwrap_or_default();
    let (relative, query) = match reference.split_once('?') {
        Some((relative, query)) => (relative, Some(query)),
        None => (reference, None),
    };
    let target = match relative.chars().next() {
        None if query.is_none() => target.to_owned(),
        None => with_query(path, query),
        Some('/') => with_query(&without_dots(relative), query),
        Some(_) => {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            with_query(&without_dots(&format!("{folder}/{relative}")), query)
        }
    };
    Some(format!("{scheme}://{authority}{target}"))
}

fn with_query(path: &str, query: Option<&str>) -> String {
    query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

fn has_scheme(reference: &str) -> bool {
    reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|char: char| char.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// A path without `.` and `..` (RFC 3986, section 5.2.4). What is not written plainly stays, and leads nowhere.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_resolved_against_the_url_of_its_document() {
        let base = Base { scheme: "https", authority: "a.example", target: "/twilio/in/voice?x=1" };
        for (reference, url) in [
            ("", "https://a.example/twilio/in/voice?x=1"),
            ("#here", "https://a.example/twilio/in/voice?x=1"),
            ("?y=2", "https://a.example/twilio/in/voice?y=2"),
            ("menu", "https://a.example/twilio/in/menu"),
            ("../menu?a=/../b", "https://a.example/twilio/menu?a=/../b"),
            ("../../../../etc", "https://a.example/etc"),
            ("./", "https://a.example/twilio/in/"),
            ("/other#rc=2", "https://a.example/other"),
            ("//b.example/x", "https://b.example/x"),
            ("http://b.example", "http://b.example"),
            ("a:b", "a:b"),
            ("x/%2e%2e/y", "https://a.example/twilio/in/x/%2e%2e/y"),
        ] {
            assert_eq!(resolve(reference, Some(base)).as_deref(), Some(url), "{reference}");
        }
        assert_eq!(resolve("/x", None), None);
    }
}
