//! What must hold of any bytes at all that a stranger sends to this crate's readers.
//!
//! Each law is one function that panics where it does not hold. The property tests below ask them with texts that are
//! nearly right, the fuzz targets (`crates/gateway/fuzz`) with whatever the fuzzer comes upon. Neither is in a release.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{FORWARDED, HeaderName};
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;
use ringfence_model::Sid;
use serde_json::{Map, Value};

use crate::basic::{BasicUsers, PasswordCheck};
use crate::egress::form;
use crate::egress::host::TwilioBase;
use crate::egress::json::{self, LedBack, Links as _};
use crate::egress::target::{Target, Way};
use crate::forwarded::{TrustedPeers, check_forwarding_headers, client_address};
use crate::inspector::redact;
use crate::media::{FileHost, LinkKey, MediaPath, redirect};
use crate::proxy_protocol::read_header;

/// A target that the egress takes means the same to one who decodes it, to one who does not, and to one who normalises.
pub fn target(text: &str) {
    let Ok(read) = Target::parse(text, "egress", Way::BaseUrl) else { return };
    assert_eq!(format!("/{}{}", read.host.name(), read.path_and_query), text, "nothing is lost");
    assert!(read.host.name().ends_with(".twilio.com"));
    for segment in read.segments() {
        let decoded: Vec<u8> = percent_decode_str(segment).collect();
        assert!(!matches!(decoded.as_slice(), b"" | b"." | b".."), "{text}");
        let divides = |byte: &u8| matches!(byte, b'/' | b'\\' | b'%') || byte.is_ascii_control();
        assert!(!decoded.iter().any(divides), "{text}");
        assert!(!segment.contains(';'), "{text}");
    }
    let base = TwilioBase::Twilio.uri(read.host, read.path_and_query);
    let sent = base.expect("what was taken can be sent");
    assert_eq!(sent.host(), Some(read.host.name()));
    assert_eq!(
        sent.path_and_query().map(|it| it.as_str()),
        Some(read.path_and_query),
        "it is sent as it came"
    );
}

/// Any text as the target of a request for a file, and as where a redirect leads.
pub fn media(text: &str) {
    media_target(text);
    redirect(text);
}

/// The target of a request for a file: what is taken as a path is its own spelling and one alone, and nothing that was not
/// signed here is a link.
pub fn media_target(text: &str) {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let key = LinkKey::new(&[7; 32]);
    let Ok(read) = MediaPath::parse(path) else { return };
    assert_eq!(read.to_string(), path);
    assert!(read.account().is("AC") && read.is_recording() == read.sid().is("RE"));
    assert!(key.check(&read, query, 1).is_err(), "nobody knows the key");
    let made = key.link(read, 2).to_string();
    let (of, query) = made.split_once('?').expect("a link has a query");
    assert_eq!((of, key.check(&read, query, 1)), (path, Ok(())));
}

/// Where a redirect leads: what is followed is a listed name under TLS, as every reader of URLs reads it.
pub fn redirect(location: &str) {
    let here = "https://api.twilio.com/2010-04-01/x".parse().expect("a URL");
    let followed = redirect::decide(Some(location), &here, &TwilioBase::Twilio, &FileHost::usual());
    let Ok(next) = followed else { return };
    assert!(matches!(next, redirect::Next::Listed(_)), "there is no sandbox");
    let (redirect::Next::Listed(uri) | redirect::Next::Sandbox(uri)) = next;
    assert_eq!(uri.scheme_str(), Some("https"));
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let is_listed = host.ends_with(".twilio.com")
        || host.ends_with(".twiliocdn.com")
        || host == "s3-external-1.amazonaws.com";
    assert!(is_listed && host.parse::<IpAddr>().is_err(), "{uri}");
    assert!(uri.port_u16().is_none_or(|port| port == 443), "{uri}");
    assert!(!uri.authority().is_some_and(|authority| authority.as_str().contains('@')), "{uri}");
}

/// A form that the egress takes is, as it is written anew, the same to any reader: ours, the WHATWG's, and one for whom
/// the last of two fields counts.
pub fn form(bytes: &[u8]) {
    let Ok(read) = form::read(bytes) else { return };
    let written = read.encode();
    assert_eq!(form::read(written.as_bytes()).ok().as_ref(), Some(&read), "{written}");
    let theirs: Vec<(String, String)> = form_urlencoded::parse(written.as_bytes()).into_owned().collect();
    let ours: Vec<(String, String)> =
        read.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert_eq!(theirs, ours);
    for name in ["To", "From", "TimeLimit", "Url", "Twiml", "Body"] {
        let spellings: Vec<&str> = ours
            .iter()
            .map(|(found, _)| found.as_str())
            .filter(|found| found.eq_ignore_ascii_case(name))
            .collect();
        assert!(spellings.is_empty() || spellings == [name], "{spellings:?} in {written}");
        assert!(spellings.is_empty() || form::decides(&read), "{name} in {written}");
    }
    let set = form::with(&read, "TimeLimit", "60");
    assert_eq!(set.all("TimeLimit").collect::<Vec<_>>(), ["60"]);
}

/// A JSON answer without its secrets is what a real parser makes of it once they are taken out there.
pub fn json(bytes: &[u8]) {
    let links = LedBack { base: &TwilioBase::Twilio, own: Some("http://egress:8500") };
    let Ok(cleaned) = json::clean(&Bytes::copy_from_slice(bytes), &links) else { return };
    // Half a surrogate pair is JSON (RFC 8259, 8.2): half an emoji comes through as it came. This parser does not read it.
    if let Ok(whole) = serde_json::from_slice::<Value>(bytes) {
        let theirs: Value = serde_json::from_slice(&cleaned).expect("it is still JSON");
        assert_eq!(theirs, without_secrets(whole, false, false, &links));
    }
    let again = json::clean(&cleaned, &links).expect("it is still JSON");
    assert_eq!(again, cleaned, "there is nothing left to do");
}

/// What is kept of a body, read as a form and as JSON, holds no run of digits that could be a number but in a SID, and of
/// what somebody wrote there no piece of four characters.
pub fn redacted(body: &[u8], written: &str) {
    let pieces: Vec<char> = written.chars().collect();
    let pieces: Vec<String> = pieces.windows(4).map(|piece| piece.iter().collect()).collect();
    for (name, value) in [redact::form(body), redact::json(body)].into_iter().flatten().flatten() {
        for told in name.split('.').chain([&*value]) {
            let longest = told.split(|it: char| !it.is_ascii_digit()).map(str::len).max().unwrap_or(0);
            let may = Sid::parse(told).is_ok() || longest <= 4 || longest <= 6 && longest == told.len();
            assert!(may, "{name}={value}");
            assert!(!pieces.iter().any(|piece| told.contains(piece)), "{name}={value} of {written:?}");
        }
    }
}

fn without_secrets(value: Value, is_link: bool, in_links: bool, links: &LedBack<'_>) -> Value {
    match value {
        Value::Object(members) => {
            let is_key_uri = |value: &Value| value.as_str().is_some_and(json::is_key_uri);
            let kept = members.into_iter();
            let kept = kept.filter(|(name, value)| !json::is_secret_name(name) && !is_key_uri(value));
            let kept = kept.map(|(name, value)| {
                let is_link = name.ends_with("url") || name.ends_with("Url");
                let in_links = in_links || name == "links" || name == "urls";
                let value = without_secrets(value, is_link, in_links, links);
                (name, value)
            });
            Value::Object(kept.collect::<Map<_, _>>())
        }
        Value::Array(values) => {
            let values = values.into_iter();
            Value::Array(values.map(|it| without_secrets(it, is_link, in_links, links)).collect())
        }
        Value::String(text) if is_link || in_links => Value::String(links.lead_back(&text).unwrap_or(text)),
        other => other,
    }
}

/// What comes before a webhook is looked at: forwarding headers, credentials or the PROXY protocol.
pub fn headers((which, peer, one, two): (u8, [u8; 4], &[u8], &[u8])) {
    match which % 3 {
        0 => forwarded(peer.into(), one, two),
        1 => basic(one),
        _ => {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(proxy_header(one));
        }
    }
}

/// Headers in which somebody speaks of somebody else: who is not listed is not believed, and no text makes an address out
/// of nothing.
pub fn forwarded(peer: IpAddr, listed: &[u8], standard: &[u8]) {
    let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).ok();
    let mut headers = HeaderMap::new();
    if let Some(value) = value(listed) {
        headers.insert(HeaderName::from_static("x-forwarded-for"), value);
    }
    if let Some(value) = value(standard) {
        headers.insert(FORWARDED, value);
    }
    let _ = check_forwarding_headers(&headers);
    let trusted = TrustedPeers::parse(["10.0.0.0/8", "fd00::/8"]).expect("two networks");
    let nobody = TrustedPeers::default();
    assert_eq!(client_address(peer, &headers, &nobody), Ok(peer.to_canonical()));
    let Ok(client) = client_address(peer, &headers, &trusted) else {
        assert!(trusted.contains(peer), "a header of somebody who is not listed was read");
        return;
    };
    if !trusted.contains(peer) {
        assert_eq!(client, peer.to_canonical());
    }
    assert_eq!(client, client.to_canonical());
}

/// The value of `Authorization`: nothing but the one user's name and password is let in.
pub fn basic(authorization: &[u8]) {
    let check = PasswordCheck::Plain(ringfence_model::Secret::new("pass:word"));
    let users = BasicUsers::new([("user".to_owned(), check)]).expect("one user");
    if let Ok(found) = users.check(Some(authorization)) {
        assert_eq!(found.userinfo(), b"user:pass:word");
        assert_eq!(found.user(), "user");
    }
}

/// The bytes before everything else: at most the bound is read, and what is read does not depend on what follows.
pub async fn proxy_header(bytes: &[u8]) {
    let mut left = bytes;
    let verdict = read_header(&mut left).await;
    let taken = bytes.len() - left.len();
    assert!(taken <= 2048);
    let Ok(client) = verdict else { return };
    let header = bytes.get(..taken).expect("what was read");
    let alone = read_header(&mut &*header).await;
    assert_eq!(alone.ok(), Some(client), "what follows says nothing of the client");
    assert!(client.is_none_or(|it| it.ip() == it.ip().to_canonical()));
}

#[cfg(test)]
mod seeds {
    use ringfence_testkit::each_seed;

    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

    #[test]
    fn what_fuzzing_found_worth_keeping_is_held_to_the_same_laws() {
        each_seed(FOLDER, "egress_target", |text: &str| super::target(&format!("/api.twilio.com{text}")));
        each_seed(FOLDER, "egress_form", super::form);
        each_seed(FOLDER, "egress_json", super::json);
        each_seed(FOLDER, "media", super::media);
        each_seed(FOLDER, "headers", super::headers);
        each_seed(FOLDER, "redacted", |bytes: &[u8]| super::redacted(bytes, ""));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Texts made of the pieces that matter, in any order.
    fn of(pieces: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
        let any_letter = proptest::char::any().prop_map(String::from);
        let piece =
            prop_oneof![9 => proptest::sample::select(pieces).prop_map(str::to_owned), 1 => any_letter];
        prop::collection::vec(piece, 0..most).prop_map(|pieces| pieces.concat())
    }

    const TARGET: &[&str] = &[
        "/", "/", "a", "Accounts", ".", "..", "%", "2", "F", "E", "5C", "%2F", "%2E", "%3B", "%25", "%C3%A9",
        "%2B", "+", ";", ":", "@", "?", "=", "&", "\\", "#", "~", "|", "\t", " ",
    ];

    const FILE: &[&str] = &[
        "/Messages/MM00000000000000000000000000000002",
        "/Media/ME00000000000000000000000000000003",
        "/Recordings/RE00000000000000000000000000000004",
        ".mp3",
        ".wav",
        ".json",
        "?expires=9999999999",
        "&signature=0000000000000000000000000000000000000000000000000000000000000000",
        "/",
        ".",
        "%2F",
        "?",
        "&",
    ];

    const LOCATION: &[&str] = &[
        "mms.twiliocdn.com",
        "api.twilio.com",
        "s3-external-1.amazonaws.com",
        "evil.example",
        "10.0.0.1",
        "[::1]",
        "https://",
        "http://",
        "//",
        "/",
        "@",
        ":",
        "443",
        "80",
        "\\",
        "#",
        "?",
        ".",
        "%2F",
        "\t",
        "x",
    ];

    const FORM: &[&str] = &[
        "To",
        "to",
        "From",
        "Body",
        "TimeLimit",
        "Twiml",
        "Url",
        "MediaUrl",
        "Type",
        "&",
        "&",
        "=",
        "=",
        "+",
        "%",
        "%54",
        "%6f",
        "%26",
        "%3D",
        "%00",
        "%ff",
        "[]",
        "x",
        ".",
        "-",
        ";",
    ];

    const JSON: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"auth_token\"",
        "\"auth\\u005ftoken\"",
        "\"url\"",
        "\"links\"",
        "\"a\"",
        "\"https://api.twilio.com/x\"",
        "\"page_token\"",
        "1",
        "-1.5e3",
        "null",
        " ",
        "\n",
        "\"\\\"\"",
        "\"Secret\"",
    ];

    /// Values of JSON, which texts of pieces seldom are.
    fn value() -> impl Strategy<Value = String> {
        let name = proptest::sample::select(
            &["auth_token", "url", "links", "b", "AuthToken", "a\\u0062", "secret", "page_token", "voiceUrl"]
                [..],
        );
        let leaf = proptest::sample::select(
            &[
                "1",
                "null",
                "\"x\"",
                "\"https:\\/\\/api.twilio.com\\/2010\"",
                "\"https://evil.com/\"",
                "\"\\\\\"",
                "[]",
            ][..],
        );
        leaf.prop_map(str::to_owned).prop_recursive(4, 40, 5, move |inner| {
            let member = (name.clone(), inner.clone(), "[ \n]{0,2}")
                .prop_map(|(name, value, space)| format!("{space}\"{name}\"{space}:{space}{value}{space}"));
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(" ,"))),
                prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_target_that_is_taken_means_one_thing(rest in of(TARGET, 24)) {
            super::target(&format!("/api.twilio.com{rest}"));
        }

        #[test]
        fn a_path_of_a_file_has_one_spelling_and_no_text_is_a_link(rest in of(FILE, 12)) {
            super::media_target(&format!("/2010-04-01/Accounts/AC00000000000000000000000000000001{rest}"));
        }

        #[test]
        fn a_redirect_that_is_followed_leads_to_a_listed_name(location in of(LOCATION, 9)) {
            super::redirect(&location);
            super::redirect(&format!("https://{location}"));
        }

        #[test]
        fn a_form_that_is_taken_is_one_form(text in of(FORM, 24)) {
            super::form(text.as_bytes());
        }

        #[test]
        fn no_secret_is_left_in_any_answer(text in value()) {
            super::json(text.as_bytes());
        }

        #[test]
        fn no_text_that_is_nearly_json_gets_past(text in of(JSON, 16)) {
            super::json(text.as_bytes());
        }

        #[test]
        fn no_header_of_a_proxy_makes_an_address_of_nothing(
            peer in prop_oneof![Just("10.0.0.1"), Just("203.0.113.9"), Just("::ffff:10.0.0.1"), Just("fd00::1")],
            listed in of(&["10.0.0.2", "1.2.3.4", ",", " ", "::1", "[", "]", ":80", "unknown", "\""], 9),
            standard in of(&["for=", "1.2.3.4", ";", ",", "\"", "[::1]", ":80", "by=_x", "proto=https", " ", "FOR="], 12),
        ) {
            super::forwarded(peer.parse().expect("an address"), listed.as_bytes(), standard.as_bytes());
        }

        #[test]
        fn only_the_user_with_the_password_is_let_in(
            text in of(&["Basic ", "basic", " ", "dXNlcjpwYXNzOndvcmQ=", "dXNlcjpwYXNzOndvcmQ", "=", "dXNlcg==", ",", "\t"], 5),
        ) {
            super::basic(text.as_bytes());
        }

        #[test]
        fn what_follows_the_header_of_a_balancer_says_nothing(
            text in of(&["PROXY ", "TCP4 ", "TCP6 ", "UNKNOWN", "1.2.3.4 ", "::1 ", "80 ", "443", "\r\n", "\r", "\n"], 9),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(super::proxy_header(text.as_bytes()));
        }
    }
}
