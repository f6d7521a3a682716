//! URLs inside TwiML: each is resolved as Twilio resolves it, against the URL of the document, and must then lead to a
//! route of the gate that is held to the limits too: what it answers is carried out next.

use http::Method;

use crate::egress::route_of;
use crate::settings::Twiml;
use crate::snapshot::ActiveRoute;

/// The URL under which Twilio asked for a document, in parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Base<'a> {
    pub(crate) scheme: &'a str,
    pub(crate) authority: &'a str,
    /// Path and query.
    pub(crate) target: &'a str,
}

/// Where a reference leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leads {
    /// To a route whose answers are held to the limits.
    Held,
    /// To one whose answers are passed on as they are.
    Passed,
    /// To none.
    Elsewhere,
}

/// Where a reference leads that Twilio asks with this method. Without a base only an absolute URL leads here.
pub(crate) fn leads(
    reference: &str,
    method: &Method,
    base: Option<Base<'_>>,
    routes: &[ActiveRoute],
) -> Leads {
    let reference = reference.trim_matches(|char: char| char.is_ascii_whitespace());
    let url = resolve(reference, base);
    match url.and_then(|url| route_of(&url, method, routes)).map(|active| active.route.twiml) {
        Some(Twiml::Limits) => Leads::Held,
        Some(Twiml::Pass) => Leads::Passed,
        None => Leads::Elsewhere,
    }
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
