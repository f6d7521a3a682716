//! Relative URLs in TwiML and in redirects.

/// A reference, seen from the document that it stands in (RFC 3986, 5.2, for http and https). Empty: the document
/// itself. The base's credentials go along, its fragment does not.
pub(in crate::world) fn join(base: &str, reference: &str) -> String {
    let base = base.split('#').next().unwrap_or_default();
    let reference = reference.trim();
    if reference.is_empty() {
        return base.to_owned();
    }
    let Some((scheme, rest)) = base.split_once("://") else { return reference.to_owned() };
    if has_scheme(reference) {
        return reference.to_owned();
    }
    if let Some(rest) = reference.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    let path_at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path_at);
    let path = path.split('?').next().unwrap_or_default();
    if reference.starts_with(['?', '#']) {
        return format!("{scheme}://{authority}{path}{reference}");
    }
    let (wanted, tail) = reference.split_at(reference.find(['?', '#']).unwrap_or(reference.len()));
    let wanted = if wanted.starts_with('/') {
        wanted.to_owned()
    } else {
        format!("{}/{wanted}", path.rsplit_once('/').map_or("", |(folder, _)| folder))
    };
    format!("{scheme}://{authority}{}{tail}", without_dots(&wanted))
}

/// Whether a reference names its own scheme, whichever it is.
pub(super) fn has_scheme(reference: &str) -> bool {
    reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|it: char| it.is_ascii_alphabetic())
            && scheme.bytes().all(|it| it.is_ascii_alphanumeric() || b"+-.".contains(&it))
    })
}

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
            _ => kept.push(segment),
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
            ("x", "/a/x"),
            ("./x?y=/z", "/a/x?y=/z"),
            ("../x", "/x"),
            ("../../../x", "/x"),
            ("..", "/"),
            ("/x/y/", "/x/y/"),
            ("?e=f", "/a/b?e=f"),
            ("x:y/", ""),
        ] {
            let expected =
                if expected.is_empty() { reference.to_owned() } else { format!("{origin}{expected}") };
            assert_eq!(join(base, reference), expected, "{reference}");
        }
        assert_eq!(join(base, "http://other.example/x"), "http://other.example/x");
        assert_eq!(join(base, "//other.example/x"), "https://other.example/x");
        assert_eq!(join("http://app.example", "x"), "http://app.example/x");
    }
}
