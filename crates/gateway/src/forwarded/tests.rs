use http::HeaderValue;
use proptest::prelude::*;

use super::*;

// --- Who is listed ---

#[test]
fn what_is_no_network_is_refused_with_its_reason() {
    for text in ["", "localhost", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "::/129", "10.0.0.0/8 ", "*", "::1]"]
    {
        let refused = TrustedPeers::parse([text]).unwrap_err();
        assert_eq!(refused, TrustedPeersError::NotANetwork { text: text.to_owned() }, "{text}");
    }
    assert_eq!(
        TrustedPeers::parse(["10.1.2.3/8"]).unwrap_err(),
        TrustedPeersError::HostBits { text: "10.1.2.3/8".to_owned(), network: "10.0.0.0/8".parse().unwrap() }
    );
    for text in ["0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96"] {
        assert_eq!(
            TrustedPeers::parse([text]).unwrap_err(),
            TrustedPeersError::Everybody { text: text.to_owned() }
        );
    }
}

#[test]
fn a_bare_address_is_itself_alone() {
    let peers = TrustedPeers::parse(["10.0.0.1", "2001:db8::1"]).unwrap();
    for (address, listed) in
        [("10.0.0.1", true), ("10.0.0.2", false), ("2001:db8::1", true), ("2001:db8::2", false)]
    {
        assert_eq!(peers.contains(ip(address)), listed, "{address}");
    }
    assert!(!TrustedPeers::default().contains(ip("127.0.0.1")), "nobody is listed by default");
}

#[test]
fn ipv4_written_in_ipv6_is_ipv4_in_the_list_and_in_the_peer() {
    let plain = TrustedPeers::parse(["10.0.0.0/8"]).unwrap();
    let mapped = TrustedPeers::parse(["::ffff:10.0.0.0/104"]).unwrap();
    let bare = TrustedPeers::parse(["::ffff:10.9.9.9"]).unwrap();
    for peer in ["10.9.9.9", "::ffff:10.9.9.9"] {
        assert!(plain.contains(ip(peer)) && mapped.contains(ip(peer)) && bare.contains(ip(peer)), "{peer}");
    }
    assert!(!mapped.contains(ip("11.0.0.1")));
    assert!(!TrustedPeers::parse(["::/8"]).unwrap().contains(ip("10.9.9.9")));
}

// --- Who the client is ---

#[test]
fn headers_from_a_peer_that_is_not_listed_are_not_even_read() {
    for headers in [
        fields(&[("x-forwarded-for", "9.9.9.9")]),
        fields(&[("forwarded", "for=9.9.9.9")]),
        fields(&[("forwarded", "nonsense \""), ("x-forwarded-for", "1"), ("x-forwarded-for", "2")]),
    ] {
        assert_eq!(client("203.0.113.9", &headers), Ok(ip("203.0.113.9")));
    }
}

#[test]
fn without_headers_the_client_is_the_peer() {
    assert_eq!(client("10.0.0.1", &HeaderMap::new()), Ok(ip("10.0.0.1")));
    assert_eq!(client("::ffff:10.0.0.1", &HeaderMap::new()), Ok(ip("10.0.0.1")));
}

#[test]
fn the_right_most_address_that_is_not_listed_is_the_client() {
    for (value, expected) in [
        ("203.0.113.9", "203.0.113.9"),
        ("1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("1.1.1.1,203.0.113.9,10.0.0.3 ,\t10.0.0.2", "203.0.113.9"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("not an address at all, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:4711, 10.0.0.2:80", "203.0.113.9"),
        ("2001:db8::9", "2001:db8::9"),
        ("[2001:db8::9]:443", "2001:db8::9"),
        ("[2001:db8::9]", "2001:db8::9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("1.1.1.1, unknown", "10.0.0.1"),
        ("1.1.1.1, _hidden, 10.0.0.2", "10.0.0.2"),
    ] {
        assert_eq!(client("10.0.0.1", &fields(&[("x-forwarded-for", value)])), Ok(ip(expected)), "{value}");
    }
}

#[test]
fn a_malformed_list_from_a_listed_peer_is_refused() {
    for value in [
        "",
        ",",
        "203.0.113.9,",
        "localhost",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.4:",
        "1.2.3.4:123456",
        "1.2.3.4:x",
        "[2001:db8::1",
        "[1.2.3.4]",
        "[::1]x",
        "[::1]:",
        "2001:db8::1]:80",
        "1.2.3.4 5.6.7.8",
        "\"1.2.3.4\"",
        "01.2.3.4",
        "fe80::1%eth0",
        "_",
        "_a/b",
    ] {
        let refused = client("10.0.0.1", &fields(&[("x-forwarded-for", value)]));
        assert_eq!(refused, Err(ForwardedError::Malformed), "{value}");
    }
    let latin = HeaderValue::from_bytes(b"1.2.3.4\xff").unwrap();
    let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, latin)]);
    assert_eq!(client("10.0.0.1", &headers), Err(ForwardedError::Malformed));
}

#[test]
fn forwarded_is_read_as_its_rfc_has_it() {
    for (value, expected) in [
        ("for=203.0.113.9", "203.0.113.9"),
        ("For=\"203.0.113.9:4711\";proto=https;by=10.0.0.1", "203.0.113.9"),
        ("for=1.1.1.1, for=203.0.113.9;host=\"a, b; c\", for=10.0.0.2", "203.0.113.9"),
        ("proto=https ; FOR=\"[2001:db8::9]:_port\"", "2001:db8::9"),
        ("for=\"\\2\\03.0.113.9\"", "203.0.113.9"),
        ("for=[2001:db8::9]:80", "2001:db8::9"),
        ("for=1.1.1.1, for=unknown", "10.0.0.1"),
        ("for=1.1.1.1, for=_gazonk;by=_x, for=10.0.0.2", "10.0.0.2"),
        ("for=1.1.1.1, proto=https", "10.0.0.1"),
        ("for=10.0.0.3,for=10.0.0.2", "10.0.0.3"),
    ] {
        assert_eq!(client("10.0.0.1", &fields(&[("forwarded", value)])), Ok(ip(expected)), "{value}");
    }
}

#[test]
fn a_malformed_forwarded_is_refused_whole() {
    for value in [
        "",
        ",",
        "for",
        "for=",
        "=1.2.3.4",
        "for=1.2.3.4,",
        "for=1.2.3.4;",
        "for=1.2.3.4;for=1.2.3.5",
        "for=\"1.2.3.4",
        "for=\"1.2.3.4\\",
        "for=\"1.2.3.4\"x",
        "for =1.2.3.4",
        "for=1.2.3.4 for=1.2.3.5",
        "for=nobody",
        "for=1.2.3.4;proto",
        "for=\"unknown:\"",
    ] {
        let refused = client("10.0.0.1", &fields(&[("forwarded", value)]));
        assert_eq!(refused, Err(ForwardedError::Malformed), "{value}");
    }
}

#[test]
fn a_client_cannot_swallow_what_the_proxy_appends() {
    for own in ["for=\"1.1.1.1", "for=1.1.1.1;x=\"", "for=\"1.1.1.1\\", "for=1.1.1.1;host=\"a\\\""] {
        for appended in ["for=203.0.113.9", "for=\"[2001:db8::9]\"", "for=203.0.113.9, for=\"10.0.0.2\""] {
            let seen = client("10.0.0.1", &fields(&[("forwarded", &format!("{own}, {appended}"))]));
            assert_ne!(seen, Ok(ip("1.1.1.1")), "{own} {appended}");
            assert!(seen.is_err() || seen == Ok(ip("203.0.113.9")), "{own} {appended} {seen:?}");
        }
    }
}

#[test]
fn two_headers_must_agree_and_each_must_be_there_once() {
    let agree = fields(&[("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "1.1.1.1, 203.0.113.9")]);
    assert_eq!(client("10.0.0.1", &agree), Ok(ip("203.0.113.9")));
    let disagree = fields(&[("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "203.0.113.8")]);
    assert_eq!(client("10.0.0.1", &disagree), Err(ForwardedError::Disagree));
    let twice = fields(&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "203.0.113.9")]);
    assert_eq!(client("10.0.0.1", &twice), Err(ForwardedError::Repeated));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(value) = HeaderValue::from_bytes(&text) {
            for name in ["forwarded", "x-forwarded-for"] {
                let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value.clone())]);
                let _ = client("10.0.0.1", &headers);
            }
        }
    }

    #[test]
    fn whatever_stands_left_of_it_the_proxys_word_is_found(left in "[ -+\\--~]{0,40}", last in any::<[u8; 4]>()) {
        let seen = IpAddr::from(last);
        prop_assume!(!peers().contains(seen));
        let headers = fields(&[("x-forwarded-for", &format!("{left}, {seen}"))]);
        prop_assert_eq!(client("10.0.0.1", &headers), Ok(seen));
    }
}

// --- Which headers are refused, which are dropped ---

#[test]
fn a_name_that_some_program_folds_into_another_is_refused_whatever_it_is() {
    for name in [
        "x_forwarded_for",
        "x-forwarded_for",
        "x_custom",
        "_",
        "content_length",
        "x.forwarded.proto",
        "x~forwarded~for",
        "x!twilio",
    ] {
        assert_eq!(
            check_forwarding_headers(&fields(&[("host", "a"), (name, "b")])),
            Err(HeaderRefusal::Folds(name.parse().unwrap()))
        );
    }
}

#[test]
fn a_forwarding_header_that_is_there_twice_is_refused() {
    for name in [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-forwarded-uri",
        "x-forwarded-method",
        "x-forwarded-server",
        "x-real-ip",
        "x-original-url",
        "x-original-uri",
        "x-original-method",
        "x-rewrite-url",
        "x-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
    ] {
        assert_eq!(check_forwarding_headers(&fields(&[(name, "a")])), Ok(()), "{name}");
        assert_eq!(
            check_forwarding_headers(&fields(&[(name, "a"), ("accept", "b"), (name, "a")])),
            Err(HeaderRefusal::Repeated(name.parse().unwrap())),
            "{name}"
        );
    }
    assert_eq!(check_forwarding_headers(&fields(&[("accept", "a"), ("accept", "b")])), Ok(()));
}

#[test]
fn what_the_gate_makes_anew_and_what_lies_never_reaches_an_upstream() {
    for name in [
        "forwarded",
        "x-forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-anything",
        "x-real-ip",
        "x-real-port",
        "x-original-url",
        "x-original-host",
        "x-rewrite-url",
        "x-ringfence-proof",
        "x-ringfence-account",
        "x-ringfence-anything",
        "connection",
        "keep-alive",
        "proxy",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        "http2-settings",
        "content-length",
        "host",
        "true-client-ip",
        "cf-connecting-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-host",
        "x-http-method-override",
        "x-method-override",
        "x-http-host-override",
        "x-envoy-original-path",
        "x-envoy-external-address",
        "x-proxyuser-ip",
        "ringfence-user",
        "ringfence-assertion",
    ] {
        assert!(is_stripped(&name.parse().unwrap()), "{name}");
    }
}

#[test]
fn what_twilio_and_ordinary_clients_send_reaches_the_upstream() {
    for name in [
        "accept",
        "accept-encoding",
        "authorization",
        "cache-control",
        "content-type",
        "content-encoding",
        "cookie",
        "date",
        "etag",
        "from",
        "i-twilio-idempotency-token",
        "if-none-match",
        "origin",
        "range",
        "referer",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "traceparent",
        "user-agent",
        "via",
        "x",
        "x-",
        "x-api-version",
        "x-home-region",
        "x-request-id",
        "x-ringfenced",
        "x-realm",
        "x-twilio-signature",
        "x-twilio-webhooks-signature-settings",
        "prefer",
        "warning",
        "x-originator",
    ] {
        assert!(!is_stripped(&name.parse().unwrap()), "{name}");
    }
}

#[test]
fn connection_names_more_headers_but_never_what_was_verified() {
    let headers = fields(&[
        ("connection", "close, X-Hop"),
        ("connection", "x-twilio-signature,content-type , Cookie, I-Twilio-Idempotency-Token"),
    ]);
    for (name, named) in [
        ("x-hop", true),
        ("close", true),
        ("x-other", false),
        ("x-twilio-signature", false),
        ("content-type", false),
        ("cookie", false),
        ("i-twilio-idempotency-token", false),
    ] {
        assert_eq!(is_named_by_connection(&name.parse().unwrap(), &headers), named, "{name}");
    }
}

fn client(peer: &str, headers: &HeaderMap) -> Result<IpAddr, ForwardedError> {
    client_address(ip(peer), headers, &peers())
}

fn peers() -> TrustedPeers {
    TrustedPeers::parse(["10.0.0.0/8", "fd00::/8"]).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn fields(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}
