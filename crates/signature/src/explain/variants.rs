//! What a request may have looked like when it was signed: origins (scheme to port) and tails (path, query, fields).
//!
//! Each variant is the altered piece of the signed text together with what was altered. The first of each list is
//! the request as it came. Nothing here signs or compares.

use base64::{Engine, engine::general_purpose};
use sha2::{Digest, Sha256};

use super::{Cause, Hints, params, rewrite};
use crate::{Candidate, Policy, Request, Userinfo, fields};

/// What was altered, with a detail for people.
pub(super) type Change = (Cause, Option<String>);

/// A piece of the signed text in one form.
pub(super) struct Variant {
    pub(super) changes: Vec<Change>,
    pub(super) text: Vec<u8>,
    /// Whether this form accounts for the body, where there is one that is no form.
    pub(super) covers_body: bool,
}

/// A piece with at most one alteration.
pub(super) type Piece = (Option<Change>, Vec<u8>);

/// A host to try, what that changes, and its own port (`None`: the port that was received).
type Host<'a> = (Option<Change>, Vec<u8>, Option<&'a [u8]>);

const COMMON_PORTS: [&str; 10] =
    ["80", "443", "8080", "8443", "3000", "5000", "8000", "8888", "4443", "4040"];

/// The URL up to its path. First come the forms that `verify` tries as well.
pub(super) fn origins(request: &Request<'_>, policy: &Policy<'_>, hints: &Hints<'_>) -> Vec<Variant> {
    let [scheme, _, userinfo, _, host, _, port, _] = request.url.prefix(Candidate::AS_RECEIVED);
    let extra_userinfo =
        request.url.prefix(Candidate { userinfo: Userinfo::Added, ..Candidate::AS_RECEIVED })[2];
    let mut hosts: Vec<Host<'_>> = Vec::new();
    let mut schemes = scheme_variants(scheme, request.websocket);
    if scheme.is_empty() {
        // A bare path: whatever stands before it is a guess.
        schemes =
            [&b"https"[..], b"http", b"wss"].map(|it| (Some((Cause::Scheme, shown(it))), it.to_vec())).into();
    } else {
        hosts.push((None, host.to_vec(), Some(port)));
    }
    for &other in hints.other_hosts {
        let (name, port) = match other.rsplit_once(':') {
            // A port may be empty (RFC 3986, section 3.2.3), and the end of an IPv6 address is none.
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port),
            _ => (other, ""),
        };
        // The same host on another port is not another host.
        let change = if name.as_bytes() == host && !port.is_empty() {
            (Cause::Port, shown(port.as_bytes()))
        } else {
            (Cause::Host, shown(name.as_bytes()))
        };
        hosts.push((Some(change), name.into(), Some(port.as_bytes())));
    }
    for other in rewrite::hosts(host) {
        hosts.push((Some((Cause::Host, shown(&other))), other, None));
    }
    let with_userinfo = [Some(userinfo), Some(&b""[..]), Some(extra_userinfo)];

    let mut variants = Vec::new();
    for (host_change, host, own_port) in &hosts {
        for (scheme_change, scheme) in &schemes {
            for candidate_userinfo in with_userinfo.iter().flatten() {
                let userinfo_change = (*candidate_userinfo != userinfo && !policy.try_userinfo)
                    .then_some((Cause::Userinfo, None));
                let default: &[u8] = if scheme.ends_with(b"s") { b"443" } else { b"80" };
                let own_port = own_port.unwrap_or(port);
                let mut ports: Vec<(Option<Change>, &[u8])> = vec![(None, own_port), (None, b"")];
                // A foreign port is itself the fault; with a foreign scheme, its default is only the other form.
                let default_is_ours = own_port.is_empty();
                ports.push(((!default_is_ours).then(|| (Cause::Port, shown(default))), default));
                if host_change.is_none() && userinfo_change.is_none() {
                    ports.extend(
                        COMMON_PORTS
                            .iter()
                            .map(|it| (Some((Cause::Port, shown(it.as_bytes()))), it.as_bytes())),
                    );
                }
                for (port_change, port) in ports {
                    let changes = [host_change, scheme_change, &userinfo_change, &port_change];
                    let changes: Vec<Change> = changes.into_iter().filter_map(|it| it.clone()).collect();
                    variants.push(Variant {
                        changes,
                        text: origin(scheme, candidate_userinfo, host, port),
                        covers_body: true,
                    });
                }
            }
        }
    }
    if scheme.is_empty() {
        variants.insert(0, Variant { changes: Vec::new(), text: Vec::new(), covers_body: true });
    }
    // A proxy that ends TLS is the cause of most failures; an odd port is the cause of few.
    let rank = |(cause, _): &Change| match cause {
        Cause::Scheme | Cause::WebSocketScheme => 0,
        Cause::Host => 1,
        Cause::Userinfo => 2,
        _ => 3,
    };
    variants.sort_by_key(|variant| (variant.changes.len(), variant.changes.iter().map(rank).max()));
    let mut seen = std::collections::HashSet::new();
    variants.retain(|variant| seen.insert(variant.text.clone()));
    variants.truncate(160);
    variants
}

fn origin(scheme: &[u8], userinfo: &[u8], host: &[u8], port: &[u8]) -> Vec<u8> {
    let at: &[u8] = if userinfo.is_empty() { b"" } else { b"@" };
    let colon: &[u8] = if port.is_empty() { b"" } else { b":" };
    [scheme, b"://", userinfo, at, host, colon, port].concat()
}

fn scheme_variants(seen: &[u8], websocket: bool) -> Vec<(Option<Change>, Vec<u8>)> {
    let lower = seen.to_ascii_lowercase();
    let mut variants = vec![(None, seen.to_vec())];
    for other in [&b"https"[..], b"http", b"wss", b"ws"] {
        let is_websocket = other.starts_with(b"ws");
        let allowed =
            websocket && ((lower == b"https" && other == b"wss") || (lower == b"http" && other == b"ws"));
        let cause =
            if is_websocket == lower.starts_with(b"ws") { Cause::Scheme } else { Cause::WebSocketScheme };
        if other != seen {
            variants.push(((!allowed).then(|| (cause, shown(other))), other.to_vec()));
        }
    }
    variants.sort_by_key(|(change, _)| change.is_some());
    variants
}

/// `signed for …`, unless it is long: the operator knows his hosts, and a log should not hold whole URLs.
fn shown(what: &[u8]) -> Option<String> {
    let text: String = String::from_utf8_lossy(what).chars().filter(|it| !it.is_control()).take(33).collect();
    (text.len() <= 32).then(|| format!("signed for {text}"))
}

/// Path, query and fields with one thing altered; first with none.
pub(super) fn tails(request: &Request<'_>, hints: &Hints<'_>) -> Vec<Variant> {
    let (paths, queries, params) = pieces(request, hints);
    let covered = hash_holds(request) || (request.body.is_empty() && body_hashes(request).is_empty());
    let mut variants = vec![join(&paths[0], &queries[0], &params[0], covered)];
    for query in &queries[1..] {
        variants.push(join(
            &paths[0],
            query,
            &params[0],
            covered || changed_to(query, Cause::BodyHashDropped),
        ));
    }
    for path in &paths[1..] {
        variants.push(join(path, &queries[0], &params[0], covered));
    }
    for (query, param) in params::query_as_form(request) {
        let mut variant = join(&paths[0], &(None, query), &(None, param), true);
        variant.changes.push((Cause::QueryAsForm, None));
        variants.push(variant);
    }
    for param in &params[1..] {
        variants.push(join(&paths[0], &queries[0], param, true));
    }
    variants
}

/// Two things altered in the tail.
pub(super) fn paired_tails(request: &Request<'_>, hints: &Hints<'_>) -> Vec<Variant> {
    let (paths, queries, params) = pieces(request, hints);
    let few = &params[1..params.len().min(40)];
    let (path, query, param) = (&paths[0], &queries[0], &params[0]);
    let mut pairs = Vec::new();
    for query in &queries[1..] {
        pairs.extend(paths[1..].iter().map(|path| (path, query, param)));
        pairs.extend(few.iter().map(|param| (path, query, param)));
    }
    for path in &paths[1..] {
        pairs.extend(few.iter().map(|param| (path, query, param)));
    }
    let mut bytes = 0;
    pairs
        .into_iter()
        .map(|(path, query, param)| join(path, query, param, true))
        .take_while(|variant| {
            bytes += variant.text.len();
            bytes <= PAIRS_BYTES_MAX
        })
        .collect()
}

/// Memory for pairs; more than enough for the requests that Twilio sends.
const PAIRS_BYTES_MAX: usize = 32 * 1024 * 1024;

fn join(path: &Piece, query: &Piece, params: &Piece, covers_body: bool) -> Variant {
    let changes = [&path.0, &query.0, &params.0].into_iter().flatten().cloned().collect();
    Variant { changes, text: [&path.1[..], &query.1, &params.1].concat(), covers_body }
}

fn changed_to(piece: &Piece, cause: Cause) -> bool {
    piece.0.as_ref().is_some_and(|(changed, _)| *changed == cause)
}

/// Paths, queries (each with its `?`), fields; the first of each as received.
fn pieces(request: &Request<'_>, hints: &Hints<'_>) -> (Vec<Piece>, Vec<Piece>, Vec<Piece>) {
    let prefix = request.url.prefix(Candidate::AS_RECEIVED)[7];
    let target = request.url.target();
    let path_len = target.iter().position(|byte| b"?#".contains(byte)).unwrap_or(target.len());
    let (path, query) = target.split_at(path_len);
    let mut paths = vec![(None, [prefix, path].concat())];
    paths.extend(rewrite::paths(prefix, path, hints.other_prefixes));
    let mut queries = vec![(None, query.to_vec())];
    queries.extend(rewrite::queries(query));
    if !request.body.is_empty() && !request.is_form() && body_hashes(request).is_empty() {
        let hash = hex(&Sha256::digest(request.body));
        for joint in [if request.url.query().is_some() { "&" } else { "?" }, "?"] {
            queries.push((
                Some((Cause::BodyHashDropped, None)),
                [query, joint.as_bytes(), b"bodySHA256=", hash.as_bytes()].concat(),
            ));
        }
    }
    (paths, queries, params::variants(request))
}

fn body_hashes(request: &Request<'_>) -> Vec<Vec<u8>> {
    let query = request.url.query().unwrap_or_default();
    fields(query)
        .filter(|(name, _)| &name[..] == b"bodySHA256")
        .map(|(_, value)| value.into_owned())
        .collect()
}

pub(super) fn hash_holds(request: &Request<'_>) -> bool {
    matches!(&body_hashes(request)[..], [one] if *one == hex(&Sha256::digest(request.body)).as_bytes())
}

/// What it means that the URL alone was signed where a form came with it.
pub(super) fn body_not_signed(request: &Request<'_>) -> Change {
    if hash_holds(request) {
        return (Cause::LabelledAsForm, Some("the hash in the URL fits the body".to_owned()));
    }
    let is_json = matches!(request.body.trim_ascii_start().first(), Some(b'{' | b'['));
    let cause = if is_json && !body_hashes(request).is_empty() {
        Cause::LabelledAsForm
    } else {
        Cause::FormNotSigned
    };
    (cause, None)
}

/// What is wrong with the body's hash, where the URL's signature is good and the hash does not hold.
pub(super) fn body_hash_fault(request: &Request<'_>) -> Change {
    let hashes = body_hashes(request);
    let [hash] = &hashes[..] else {
        return (if hashes.is_empty() { Cause::BodyHashMissing } else { Cause::BodyHashRepeated }, None);
    };
    let right = Sha256::digest(request.body);
    if hash.eq_ignore_ascii_case(hex(&right).as_bytes()) {
        return (Cause::BodyHashUpperCase, None);
    }
    // In a query a `+` of base64 has become a space.
    let base64: Vec<u8> = hash
        .iter()
        .filter(|byte| **byte != b'=')
        .map(|byte| match byte {
            b'-' | b' ' => b'+',
            b'_' => b'/',
            other => *other,
        })
        .collect();
    if general_purpose::STANDARD_NO_PAD.decode(base64).is_ok_and(|bytes| bytes == right[..]) {
        return (Cause::BodyHashBase64, None);
    }
    let line_end = [&b"\n"[..], b"\r\n"].into_iter().any(|end| {
        let added = || hex(&Sha256::digest([request.body, end].concat()));
        let cut = || request.body.strip_suffix(end).map(|body| hex(&Sha256::digest(body)));
        hash == added().as_bytes() || cut().is_some_and(|cut| hash == cut.as_bytes())
    });
    (Cause::BodyHashWrong, line_end.then(|| "a line end was added or cut at its end".to_owned()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

/// Bytes written as hexadecimal digits, if that is what these are.
pub(super) fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
    text.len().is_multiple_of(2).then(|| text.chunks(2).map(pair).collect()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReceivedUrl;

    fn request<'a>(url: &'a [u8], content_type: &'a [u8], body: &'a [u8]) -> Request<'a> {
        Request {
            method: "POST",
            url: ReceivedUrl::parse(url),
            websocket: false,
            content_type: Some(content_type),
            body,
            signature: None,
            settings: None,
        }
    }

    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    const JSON: &[u8] = b"application/json";

    #[test]
    fn a_handshake_is_signed_for_the_scheme_that_goes_with_it_and_any_other_is_a_fault() {
        use Cause::{Scheme, WebSocketScheme};
        let plain = None;
        for (seen, websocket, expected) in [
            (
                "https",
                false,
                [
                    ("https", plain),
                    ("http", Some(Scheme)),
                    ("wss", Some(WebSocketScheme)),
                    ("ws", Some(WebSocketScheme)),
                ],
            ),
            (
                "https",
                true,
                [("https", plain), ("wss", plain), ("http", Some(Scheme)), ("ws", Some(WebSocketScheme))],
            ),
            (
                "http",
                true,
                [("http", plain), ("ws", plain), ("https", Some(Scheme)), ("wss", Some(WebSocketScheme))],
            ),
            (
                "wss",
                true,
                [
                    ("wss", plain),
                    ("https", Some(WebSocketScheme)),
                    ("http", Some(WebSocketScheme)),
                    ("ws", Some(Scheme)),
                ],
            ),
            (
                "ws",
                true,
                [
                    ("ws", plain),
                    ("https", Some(WebSocketScheme)),
                    ("http", Some(WebSocketScheme)),
                    ("wss", Some(Scheme)),
                ],
            ),
        ] {
            let variants = scheme_variants(seen.as_bytes(), websocket);
            let variants: Vec<_> = variants
                .iter()
                .map(|(change, text)| {
                    (str::from_utf8(text).unwrap(), change.as_ref().map(|(cause, _)| *cause))
                })
                .collect();
            assert_eq!(variants, expected, "{seen} {websocket}");
        }
        let in_capitals = scheme_variants(b"HTTPS", true);
        assert!(in_capitals.contains(&(None, b"wss".to_vec())), "{in_capitals:?}");
    }

    #[test]
    fn one_fault_comes_before_two_and_the_likelier_one_first() {
        let url = ReceivedUrl::parse(b"https://u:p@h.example:8443/").with_userinfo(b"other");
        let request = Request { url, ..request(b"", FORM, b"") };
        let hints = Hints { other_hosts: &["other.example"], other_prefixes: &[] };
        let origins = origins(&request, &Policy::default(), &hints);
        let counts: Vec<usize> = origins.iter().map(|it| it.changes.len()).collect();
        assert!(counts.is_sorted(), "{counts:?}");
        let mut singles: Vec<Cause> = origins
            .iter()
            .filter_map(|it| <&[Change; 1]>::try_from(&it.changes[..]).ok())
            .map(|[(cause, _)]| *cause)
            .collect();
        singles.dedup_by_key(|cause| if *cause == Cause::WebSocketScheme { Cause::Scheme } else { *cause });
        assert_eq!(singles, [Cause::Scheme, Cause::Host, Cause::Userinfo, Cause::Port]);
        let added = |it: &Variant| it.text == b"https://other@h.example:8443";
        assert!(origins.iter().any(added), "what may stand before the host is tried");
    }

    #[test]
    fn a_host_that_may_be_meant_is_told_with_its_own_port_and_no_other() {
        let texts = |other: &str| -> Vec<(String, Vec<Change>)> {
            let hints = Hints { other_hosts: &[other], other_prefixes: &[] };
            let request = request(b"https://app:3000/", FORM, b"");
            let origins = origins(&request, &Policy::default(), &hints);
            origins.into_iter().map(|it| (String::from_utf8(it.text).unwrap(), it.changes)).collect()
        };
        for (other, text, told) in [
            ("h.example:8443", "https://h.example:8443", "signed for h.example"),
            ("h.example", "https://h.example:443", "signed for h.example"),
            ("h.example:", "https://h.example", "signed for h.example"),
            ("[2001:db8::1]", "https://[2001:db8::1]", "signed for [2001:db8::1]"),
        ] {
            let texts = texts(other);
            let (_, changes) = texts.iter().find(|(it, _)| it == text).unwrap_or_else(|| panic!("{texts:?}"));
            assert_eq!(changes[..], [(Cause::Host, Some(told.to_owned()))], "{other}");
        }
        let other_ports = ["https://h.example:3000", "https://h.example:8080", "https://h.example:"];
        assert!(texts("h.example").iter().all(|(it, _)| !other_ports.contains(&&**it)));
        let own = texts("h.example").into_iter().find(|(it, _)| it == "https://app:443").unwrap();
        assert_eq!(
            own.1,
            [(Cause::Port, Some("signed for 443".to_owned()))],
            "a port that was not received is a fault"
        );
    }

    #[test]
    fn a_name_is_told_if_it_is_short() {
        let name = |len: usize| shown("h".repeat(len).as_bytes()).is_some();
        assert!(name(1) && name(32) && !name(33) && !name(64));
        assert_eq!(shown(b"h\n.example").as_deref(), Some("signed for h.example"));
    }

    #[test]
    fn a_hash_that_was_dropped_is_put_back_where_one_may_have_been_and_accounts_for_the_body() {
        let has_hash = |text: &[u8]| memchr::memmem::find(text, b"bodySHA256=").is_some();
        let forms = |request: &Request<'_>| -> (usize, bool) {
            let tails = tails(request, &Hints::default());
            let put_back: Vec<_> = tails
                .iter()
                .filter(|it| it.changes.iter().any(|(cause, _)| *cause == Cause::BodyHashDropped))
                .collect();
            assert!(put_back.iter().all(|it| has_hash(&it.text) && it.covers_body));
            (put_back.len(), tails[0].covers_body)
        };
        let hash = hex(&Sha256::digest(b"{}"));
        let with_hash = format!("https://h.example/?bodySHA256={hash}");
        assert_eq!(forms(&request(b"https://h.example/?a=1", JSON, b"{}")), (2, false));
        assert_eq!(forms(&request(with_hash.as_bytes(), JSON, b"{}")), (0, true), "it is there");
        assert_eq!(forms(&request(with_hash.as_bytes(), JSON, b"[]")), (0, false), "and wrong");
        assert_eq!(forms(&request(b"https://h.example/?a=1", JSON, b"")), (0, true), "no body has none");
        assert_eq!(forms(&request(with_hash.as_bytes(), JSON, b"")), (0, false), "and none should be there");
        assert_eq!(forms(&request(b"https://h.example/?a=1", FORM, b"a=1")).0, 0, "nor has a form");
        let request = request(b"https://h.example/?b=1&a=2", JSON, b"{}");
        let reordered = |it: &&Variant| it.changes.iter().any(|(cause, _)| *cause == Cause::QueryOrder);
        assert!(tails(&request, &Hints::default()).iter().filter(reordered).all(|it| !it.covers_body));
    }

    #[test]
    fn two_faults_at_once_are_tried_within_the_bound_of_memory() {
        let body = format!("a={}", "1".repeat(32_000));
        let query: Vec<String> = (0..40).map(|nth| format!("a%2f{nth}=b'%20c")).collect();
        let url = format!("https://h.example/a%2fb//c/?{}", query.join("&"));
        let pairs = paired_tails(&request(url.as_bytes(), FORM, body.as_bytes()), &Hints::default());
        let bytes: usize = pairs.iter().map(|it| it.text.len()).sum();
        assert!((33_000_000..=32 * 1_048_576).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_line_end_that_was_added_or_cut_is_told() {
        let fault = |hashed: &[u8], received: &[u8]| {
            let url = format!("https://h.example/?bodySHA256={}", hex(&Sha256::digest(hashed)));
            body_hash_fault(&request(url.as_bytes(), JSON, received))
        };
        let told = Some("a line end was added or cut at its end".to_owned());
        for (hashed, received) in
            [(&b"{}\n"[..], &b"{}"[..]), (b"{}\r\n", b"{}"), (b"{}", b"{}\n"), (b"{}", b"{}\r\n")]
        {
            assert_eq!(fault(hashed, received), (Cause::BodyHashWrong, told.clone()), "{received:?}");
        }
        assert_eq!(fault(b"{}", b"[]"), (Cause::BodyHashWrong, None));
    }
}
