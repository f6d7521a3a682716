//! What proxies and frameworks do to hosts, paths and queries.

use super::{Cause, variants::Piece};

/// Other spellings of the host, and the names that stand in its place behind a proxy.
pub(super) fn hosts(host: &[u8]) -> Vec<Vec<u8>> {
    let mut variants = vec![host.to_ascii_lowercase()];
    variants.push(match host.strip_suffix(b".") {
        Some(bare) => bare.to_vec(),
        None => [host, b"."].concat(),
    });
    variants.push(match host.strip_prefix(b"www.") {
        Some(bare) => bare.to_vec(),
        None => [b"www.", host].concat(),
    });
    variants.extend([b"localhost".to_vec(), b"127.0.0.1".to_vec()]);
    variants.retain(|variant| variant != host);
    variants
}

/// Other forms of the path. `prefix` is the configured one, which stands before it.
pub(super) fn paths(prefix: &[u8], path: &[u8], other_prefixes: &[&str]) -> Vec<Piece> {
    let whole = [prefix, path].concat();
    let mut variants: Vec<(Cause, Vec<u8>)> = Vec::new();
    variants.push((
        Cause::TrailingSlash,
        match whole.strip_suffix(b"/") {
            Some(bare) => bare.to_vec(),
            None => [&whole[..], b"/"].concat(),
        },
    ));
    if !prefix.is_empty() {
        variants.push((Cause::PathPrefix, path.to_vec()));
    }
    for other in other_prefixes {
        let other = other.trim_end_matches('/').as_bytes();
        variants.push((Cause::PathPrefix, [other, &whole].concat()));
        variants.extend(whole.strip_prefix(other).map(|rest| (Cause::PathPrefix, rest.to_vec())));
    }
    // A prefix that a proxy put in: cut off one, two, three segments.
    let segments = memchr::memchr_iter(b'/', whole.get(1..).unwrap_or_default()).take(3);
    variants.extend(segments.map(|at| (Cause::PathPrefix, whole[at + 1..].to_vec())));
    variants.push((Cause::PathPrefix, [&whole[..], &whole].concat()));
    let mut merged = whole.clone();
    merged.dedup_by(|left, right| *left == b'/' && *right == b'/');
    variants.push((Cause::PathRewritten, merged));
    variants.push((Cause::PathRewritten, [b"/", &whole[..]].concat()));
    variants.push((Cause::PathRewritten, percent_decode(&whole, false)));
    variants.push((Cause::PathRewritten, percent_decode(&percent_decode(&whole, false), false)));
    for upper in [true, false] {
        variants.push((Cause::PathRewritten, hex_case(&whole, upper)));
        variants.push((Cause::PathRewritten, encode(&whole, b"/-._~!$&'()*+,;=:@%", upper)));
        variants.push((Cause::PathRewritten, encode(&percent_decode(&whole, false), b"/-._~", upper)));
        variants.push((
            Cause::PathRewritten,
            encode(&percent_decode(&whole, false), b"/-._~!$&'()*+,;=:@", upper),
        ));
    }
    variants.push((Cause::PathRewritten, whole.to_ascii_lowercase()));
    distinct(variants, &whole)
}

/// Other forms of the query. `query` begins with its `?` where there is one.
pub(super) fn queries(query: &[u8]) -> Vec<Piece> {
    let mut variants: Vec<(Cause, Vec<u8>)> = Vec::new();
    if let Some(at) = memchr::memchr(b'#', query) {
        variants.push((Cause::Fragment, query[..at].to_vec()));
    }
    let Some(raw) = query.strip_prefix(b"?") else {
        variants.push((Cause::EmptyQuery, [b"?", query].concat()));
        return distinct(variants, query);
    };
    variants.push((if raw.is_empty() { Cause::EmptyQuery } else { Cause::QueryDropped }, Vec::new()));
    let pairs: Vec<&[u8]> = raw.split(|byte| *byte == b'&').collect();
    let name = |pair: &[u8]| pair.split(|byte| *byte == b'=').next().unwrap_or_default().to_vec();
    let mut sorted = pairs.clone();
    sorted.sort_unstable();
    variants.push((Cause::QueryOrder, sorted.join(&b'&')));
    let mut sorted = pairs.clone();
    sorted.sort_by_key(|pair| name(pair));
    variants.push((Cause::QueryOrder, sorted.join(&b'&')));
    variants.push((Cause::QueryOrder, pairs.iter().rev().copied().collect::<Vec<_>>().join(&b'&')));
    // A framework that keeps `bodySHA256`, or whatever it adds, elsewhere.
    for turned in 1..pairs.len().min(6) {
        variants.push((Cause::QueryOrder, [&pairs[turned..], &pairs[..turned]].concat().join(&b'&')));
    }
    variants.push((Cause::PlusOrPercent20, replace(raw, b"+", b"%20")));
    variants.push((Cause::PlusOrPercent20, replace(raw, b"%20", b"+")));
    for upper in [true, false] {
        variants.push((Cause::QueryHexCase, hex_case(raw, upper)));
    }
    variants.push((Cause::QueryEncoding, percent_decode(raw, false)));
    variants.push((Cause::QueryEncoding, percent_decode(raw, true)));
    variants.push((Cause::QueryEncoding, encode(&percent_decode(raw, true), b"-._~&=", true)));
    for upper in [true, false] {
        // What browsers, `encodeURIComponent`, PHP, Java and URL parsers leave alone.
        for kept in
            [&b"-._~"[..], b"-._", b"*-._", b"-._~!*'()", b"-._~!$'()*,;:@/?", b"-._~!$'()*,;:@/?+[]|{}^`"]
        {
            for space in [&b"%20"[..], b"+"] {
                let again =
                    |part: &[u8]| replace(&encode(&percent_decode(part, true), kept, upper), b"%20", space);
                let rebuilt = pairs.iter().map(|pair| match memchr::memchr(b'=', pair) {
                    Some(at) => [again(&pair[..at]), again(&pair[at + 1..])].join(&b'='),
                    None => again(pair),
                });
                variants.push((Cause::QueryEncoding, rebuilt.collect::<Vec<_>>().join(&b'&')));
            }
        }
    }
    for (plain, escaped) in [
        (&b"'"[..], &b"%27"[..]),
        (b"@", b"%40"),
        (b":", b"%3A"),
        (b"[", b"%5B"),
        (b"|", b"%7C"),
        (b"!", b"%21"),
    ] {
        variants.push((Cause::QueryEncoding, replace(raw, plain, escaped)));
        variants.push((Cause::QueryEncoding, replace(raw, escaped, plain)));
    }
    let empty_left_out: Vec<&[u8]> = pairs.iter().copied().filter(|pair| !pair.is_empty()).collect();
    variants.push((Cause::QueryEncoding, empty_left_out.join(&b'&')));
    for (_, text) in variants
        .iter_mut()
        .filter(|(cause, _)| !matches!(cause, Cause::QueryDropped | Cause::EmptyQuery | Cause::Fragment))
    {
        text.insert(0, b'?');
    }
    distinct(variants, query)
}

fn distinct(variants: Vec<(Cause, Vec<u8>)>, as_received: &[u8]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (cause, text) in variants {
        if text != as_received && pieces.iter().all(|(_, known)| *known != text) {
            pieces.push((Some((cause, None)), text));
        }
    }
    pieces
}

/// Undoes percent escapes once, and `+` where asked; a bad escape stays.
pub(super) fn percent_decode(text: &[u8], plus: bool) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail.get(..2).and_then(super::variants::from_hex)) {
            (b'%', Some(unescaped)) => {
                decoded.extend(unescaped);
                rest = &tail[2..];
            }
            (b'+', _) if plus => decoded.push(b' '),
            _ => decoded.push(byte),
        }
    }
    decoded
}

fn encode(text: &[u8], kept: &[u8], upper: bool) -> Vec<u8> {
    let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    let mut encoded = Vec::with_capacity(text.len());
    for &byte in text {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            encoded.push(byte);
        } else {
            encoded.extend([b'%', digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
        }
    }
    encoded
}

fn hex_case(text: &[u8], upper: bool) -> Vec<u8> {
    let mut text = text.to_vec();
    let mut at = 0;
    while at + 2 < text.len() {
        if text[at] == b'%' && text[at + 1].is_ascii_hexdigit() && text[at + 2].is_ascii_hexdigit() {
            // A percent sign has no case.
            let escape = &mut text[at..at + 3];
            if upper {
                escape.make_ascii_uppercase();
            } else {
                escape.make_ascii_lowercase();
            }
            at += 2;
        }
        at += 1;
    }
    text
}

/// All occurrences of one text put in place of another.
pub(super) fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut done = 0;
    for at in memchr::memmem::find_iter(text, from) {
        replaced.extend_from_slice(&text[done..at]);
        replaced.extend_from_slice(to);
        done = at + from.len();
    }
    replaced.extend_from_slice(&text[done..]);
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pieces: &[Piece]) -> Vec<String> {
        pieces.iter().map(|(_, text)| String::from_utf8_lossy(text).into_owned()).collect()
    }

    #[test]
    fn the_case_of_escapes_changes_and_of_nothing_else() {
        let text = b"abc%c3%a9x%zz%4g%gf%2";
        assert_eq!(hex_case(text, true), b"abc%C3%A9x%zz%4g%gf%2");
        assert_eq!(hex_case(b"ABC%C3%A9X%ZZ%2", false), b"ABC%c3%a9X%ZZ%2");
        assert_eq!(hex_case(b"%c3zz%c3-x%a9", true), b"%C3zz%C3-x%A9", "wherever it stands");
    }

    #[test]
    fn escapes_are_undone_once_and_a_plus_where_asked() {
        assert_eq!(percent_decode(b"a+%2B%2541%zz%4", true), b"a +%41%zz%4");
        assert_eq!(percent_decode(b"a+%2B%2541%zz%4", false), b"a++%41%zz%4");
    }

    #[test]
    fn each_form_of_a_query_is_there_once_and_none_is_as_it_came() {
        for (query, form) in [
            ("?b=1&c=3&a=2&a=1", "?a=2&a=1&b=1&c=3"),
            ("?a=b%20c&d=e'f", "?a=b+c&d=e%27f"),
            ("?a=1&&b=2", "?a=1&b=2"),
        ] {
            let forms = texts(&queries(query.as_bytes()));
            assert!(forms.contains(&form.to_owned()), "{query}: {forms:?}");
            assert!(!forms.contains(&query.to_owned()));
            let distinct: std::collections::BTreeSet<_> = forms.iter().collect();
            assert_eq!(distinct.len(), forms.len(), "{query}");
        }
    }

    #[test]
    fn a_configured_prefix_is_left_out_whole_however_long_it_is() {
        let forms = texts(&paths(b"/a/b/c/d/e", b"/sms", &[]));
        assert!(forms.contains(&"/sms".to_owned()), "{forms:?}");
    }
}
