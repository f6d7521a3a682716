//! URLs in TwiML, and in redirects of an application, as they are seen from the document that they stand in.

/// The absolute URL of a reference (RFC 3986, section 5.2, for http and https).
///
/// `base` is the URL of the document. Its user and password go along, its fragment does not, since in it Twilio takes settings
/// of one connection; the reference's own fragment stays. An empty reference is the document itself. Where the base is no
/// absolute URL, and where the reference names a scheme, whichever it is, the reference stays as it is.
pub fn resolve(base: &str, reference: &str) -> String {
    let base = base.split('#').next().unwrap_or_default();
    let reference = reference.trim_matches(|char: char| char.is_ascii_whitespace());
    let Some((scheme, rest)) = base.split_once("://") else { return reference.to_owned() };
    if has_scheme(reference) {
        return reference.to_owned();
    }
    if reference.starts_with("//") {
        return format!("{scheme}:{reference}");
    }
    let (reference, fragment) = reference.split_at(reference.find('#').unwrap_or(reference.len()));
    if reference.is_empty() {
        return format!("{base}{fragment}");
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let path = path.split('?').next().unwrap_or_default();
    let (wanted, query) = reference.split_at(reference.find('?').unwrap_or(reference.len()));
    let wanted = match wanted.chars().next() {
        None => path.to_owned(),
        Some('/') => without_dots(wanted),
        Some(_) => {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            without_dots(&format!("{folder}/{wanted}"))
        }
    };
    format!("{scheme}://{authority}{wanted}{query}{fragment}")
}

/// Whether a reference names its own scheme, whichever it is.
pub fn has_scheme(reference: &str) -> bool {
    reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|char: char| char.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// A path without `.` and `..` (section 5.2.4). Those that are written with escapes stay.
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
    fn references_are_seen_from_their_document() {
        let base = "https://user:pass@app.example:8443/a/b?c=d#rc=2";
        let origin = "https://user:pass@app.example:8443";
        for (reference, expected) in [
            ("", "/a/b?c=d"),
            (" \n", "/a/b?c=d"),
            ("#rc=3", "/a/b?c=d#rc=3"),
            ("x", "/a/x"),
            ("./", "/a/"),
            ("./x?y=/../z", "/a/x?y=/../z"),
            ("../x", "/x"),
            ("../../../x", "/x"),
            ("..", "/"),
            ("x/%2e%2e/y", "/a/x/%2e%2e/y"),
            ("/x/y/#rc=3?z", "/x/y/#rc=3?z"),
            ("?e=f", "/a/b?e=f"),
            ("?", "/a/b?"),
        ] {
            assert_eq!(resolve(base, reference), format!("{origin}{expected}"), "{reference}");
        }
        assert_eq!(resolve("http://app.example", "x"), "http://app.example/x");
        assert_eq!(resolve("http://app.example", "?x"), "http://app.example?x");
    }

    #[test]
    fn what_names_another_place_leads_there() {
        let base = "https://app.example/a/b";
        assert_eq!(resolve(base, "//other.example/x"), "https://other.example/x");
        for reference in ["http://other.example/x", "x:y/", "tel:+1"] {
            assert_eq!(resolve(base, reference), reference);
        }
        assert_eq!(resolve("no URL", "/x"), "/x");
    }
}
