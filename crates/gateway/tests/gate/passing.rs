//! What gets in, and what the application then sees.

use std::time::Duration;

use ringfence_gateway::forwarded::TrustedPeers;
use ringfence_gateway::proof::{PROOF_MAX_AGE, ProofKey, Proven};
use ringfence_gateway::settings::Settings;
use ringfence_model::{Clock, Secret};
use ringfence_signature::{
    AccountKeys, Algorithm, Keyring, Policy, PublicUrl, Request, Scratch, Signer, Verdict, verify,
};
use ringfence_testkit::{Answer, RawClient, RawUpstream, Upstream};
use sha2::{Digest, Sha256};

use crate::world::{
    ACCOUNT, NEIGHBOUR, NEIGHBOUR_TOKEN, TOKEN, World, call, sid, sms, twilio, url, wire, wire_with,
};

#[tokio::test]
async fn a_genuine_form_reaches_the_application_byte_for_byte() {
    let world = World::new().await;
    let signed = twilio().form(&url("/twilio/a%2Fb//c/./d?x=%41&y=1+2"), sms(ACCOUNT));
    let response = world.send_signed(&signed).await;
    assert_eq!((response.status, response.header("content-type")), (200, Some("text/xml")));
    assert_eq!(response.text(), "<Response>/twilio/a%2Fb//c/./d?x=%41&y=1+2</Response>");
    let seen = world.upstream.only_request();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/twilio/a%2Fb//c/./d?x=%41&y=1+2"));
    assert_eq!(seen.body, signed.body);
    assert_eq!(seen.header("content-length"), Some(signed.body.len().to_string().as_str()));
    assert_eq!(seen.header("x-twilio-signature"), signed.header("x-twilio-signature"));
}

#[tokio::test]
async fn the_application_is_told_who_signed_and_what_only_the_gate_may_tell() {
    let world = World::new().await;
    let signed = Signer::token(NEIGHBOUR_TOKEN).form(&format!("{}:443/twilio/sms", url("")), sms(NEIGHBOUR));
    let spoofed = [
        "X-Ringfence-Account: AC99",
        "X-Ringfence-Proof: t=1,v1=00",
        "X-Ringfence-Anything: x",
        "X-Forwarded-For: 203.0.113.9",
        "X-Forwarded-Proto: http",
        "Forwarded: for=203.0.113.9",
        "X-Real-IP: 203.0.113.9",
        "Connection: keep-alive, X-Secret",
        "X-Secret: for this hop",
        "TE: trailers",
        "X-Kept: yes",
    ];
    assert_eq!(world.send(wire_with(&signed, &spoofed)).await.status, 200);
    let seen = world.upstream.only_request();
    assert_eq!(seen.header("x-ringfence-account"), Some(NEIGHBOUR));
    assert_eq!(seen.header("x-ringfence-matched"), Some("default-port-added"));
    assert_eq!(seen.header("x-ringfence-proof"), None);
    assert_eq!(seen.header("x-ringfence-anything"), None);
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-forwarded-host"), Some("hooks.example.com"));
    assert_eq!(seen.header("host"), Some("hooks.example.com"));
    for gone in ["forwarded", "x-real-ip", "x-secret", "te", "connection"] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    assert_eq!(seen.header("x-kept"), Some("yes"));
}

#[tokio::test]
async fn json_get_and_shared_keys_pass() {
    let world = World::with(|settings| {
        let keys = AccountKeys::new(sid(ACCOUNT)).primary(TOKEN);
        let keys = keys.shared_key("key_1", "shared secret", Algorithm::HmacSha256);
        settings.keyring = Keyring::new([keys]).unwrap();
    })
    .await;
    assert_eq!(
        world.send_signed(&twilio().json(&url("/twilio/events?x=1"), "[{\"a\":1}]")).await.status,
        200
    );
    assert_eq!(world.send_signed(&twilio().get(&url("/twilio/status?a=%20b+c"))).await.status, 200);
    let shared = Signer::shared_key("key_1", "shared secret", Algorithm::HmacSha256);
    assert_eq!(world.send_signed(&shared.form(&url("/twilio/sms"), sms(ACCOUNT))).await.status, 200);
    let weaker = Signer::shared_key("key_1", "shared secret", Algorithm::HmacSha1);
    assert_eq!(world.send_signed(&weaker.form(&url("/twilio/sms"), sms(ACCOUNT))).await.status, 403);
}

#[tokio::test]
async fn the_proof_holds_for_this_request_and_this_minute_alone() {
    let secret = Secret::new("0123456789abcdef0123456789abcdef");
    let world =
        World::with(|settings| settings.routes[0].proof = Some(ProofKey::new(&secret).unwrap())).await;
    let signed = twilio().form(&url("/twilio/sms?x=1"), sms(ACCOUNT));
    assert_eq!(world.send_signed(&signed).await.status, 200);
    let seen = world.upstream.only_request();
    let body: [u8; 32] = Sha256::digest(&seen.body).into();
    let account = sid(ACCOUNT);
    let proven =
        Proven { method: "POST", target: "/twilio/sms?x=1", body_sha256: &body, account: Some(&account) };
    let proof = seen.header("x-ringfence-proof").map(str::as_bytes);
    let key = ProofKey::new(&secret).unwrap();
    let now = world.clock.unix_seconds();
    assert_eq!(key.check(proof, &proven, now, PROOF_MAX_AGE), Ok(()));
    assert!(key.check(proof, &proven, now + 61, PROOF_MAX_AGE).is_err());
    assert!(key.check(proof, &Proven { target: "/twilio/sms?x=2", ..proven }, now, PROOF_MAX_AGE).is_err());
}

#[tokio::test]
async fn an_application_that_verifies_by_itself_gets_a_signature_for_its_own_url() {
    let world = World::with(|settings| {
        settings.routes[0].resign = Some(PublicUrl::parse("http://app.internal:3000").unwrap());
    })
    .await;
    assert_eq!(world.send_signed(&twilio().form(&url("/twilio/sms"), sms(ACCOUNT))).await.status, 200);
    let seen = world.upstream.only_request();
    assert_eq!(seen.header("host"), Some("app.internal:3000"));
    let own_url = PublicUrl::parse("http://app.internal:3000").unwrap();
    let request = Request {
        method: "POST",
        url: own_url.receive(b"/twilio/sms"),
        websocket: false,
        content_type: seen.header("content-type").map(str::as_bytes),
        body: &seen.body,
        signature: seen.header("x-twilio-signature").map(str::as_bytes),
        settings: None,
    };
    let keyring = Keyring::new([AccountKeys::new(sid(ACCOUNT)).primary(TOKEN)]).unwrap();
    let verdict = verify(&request, &keyring, &Policy::default(), &mut Scratch::default());
    assert!(matches!(verdict, Verdict::Allow(_)), "{verdict:?}");

    let handshake = twilio().websocket("wss://hooks.example.com/twilio/media");
    let lines = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ];
    world.send(wire_with(&handshake, &lines)).await;
    let seen = world.upstream.requests().pop().unwrap();
    let expected = twilio().websocket("ws://app.internal:3000/twilio/media");
    assert_eq!(
        seen.header("x-twilio-signature"),
        expected.header("x-twilio-signature"),
        "a handshake as such"
    );
}

fn trust_loopback(settings: &mut Settings) {
    settings.listen.trusted_proxies = TrustedPeers::parse(["127.0.0.1"]).unwrap();
}

#[tokio::test]
async fn a_listed_peer_may_say_who_the_client_is() {
    let world = World::with(trust_loopback).await;
    let signed = twilio().form(&url("/twilio/sms"), sms(ACCOUNT));
    assert_eq!(world.send(wire_with(&signed, &["X-Forwarded-For: 203.0.113.9"])).await.status, 200);
    assert_eq!(world.upstream.only_request().header("x-forwarded-for"), Some("203.0.113.9"));
}

#[tokio::test]
async fn a_proxy_protocol_header_of_a_listed_peer_counts() {
    let world = World::with(|settings| {
        trust_loopback(settings);
        settings.listen.proxy_protocol = true;
    })
    .await;
    let mut request = b"PROXY TCP4 203.0.113.9 192.0.2.1 5000 443\r\n".to_vec();
    request.extend(wire(&twilio().form(&url("/twilio/sms"), sms(ACCOUNT))));
    assert_eq!(world.send(request).await.status, 200);
    assert_eq!(world.upstream.only_request().header("x-forwarded-for"), Some("203.0.113.9"));
}

#[tokio::test]
async fn upstream_connections_are_kept_whatever_the_client_asks() {
    let world = World::with(|settings| {
        // One worker's pool would do; two connections at the most stand for two workers.
        settings.limits.in_flight_max = 1;
    })
    .await;
    for _ in 0..20 {
        let signed = twilio().form(&url("/twilio/voice"), call(ACCOUNT));
        assert_eq!(world.send(wire_with(&signed, &["Connection: close"])).await.status, 200);
    }
    assert!(world.upstream.connections() <= 2, "{} connections", world.upstream.connections());
}

#[tokio::test]
async fn an_answer_is_streamed_piece_by_piece() {
    let (pieces, wait) = tokio::sync::mpsc::channel::<()>(1);
    let wait = std::sync::Arc::new(tokio::sync::Mutex::new(wait));
    let upstream = Upstream::start(move |_| {
        let wait = std::sync::Arc::clone(&wait);
        async move {
            let (mut sender, answer) = Answer::streamed(200, 4);
            tokio::spawn(async move {
                sender.send_data("first".into()).await.unwrap();
                wait.lock().await.recv().await;
                sender.send_data("second".into()).await.unwrap();
            });
            answer
        }
    })
    .await;
    let world = World::before(upstream, |_| {});
    let mut client = RawClient::connect(world.gate()).await.unwrap();
    client.send(wire(&twilio().form(&url("/twilio/voice"), call(ACCOUNT)))).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("first") {
        seen.extend(client.read_some().await.unwrap());
    }
    assert!(!String::from_utf8_lossy(&seen).contains("second"));
    pieces.send(()).await.unwrap();
    while !String::from_utf8_lossy(&seen).contains("second") {
        seen.extend(client.read_some().await.unwrap());
    }
}

#[tokio::test]
async fn a_dead_upstream_is_a_502_and_a_slow_one_a_504() {
    let upstream = Upstream::saying("never").await;
    let silent = RawUpstream::silent().await;
    let closed = ringfence_testkit::free_port();
    let world = World::before(upstream, |settings| {
        settings.routes[0].upstream = format!("http://127.0.0.1:{closed}").parse().unwrap();
        let mut slow = crate::world::route(silent.address());
        slow.path = ringfence_gateway::settings::PathRule::Exact("/slow".to_owned());
        slow.timeout = Duration::from_millis(50);
        settings.routes.push(slow);
    });
    let response = world.send_signed(&twilio().form(&url("/twilio/voice"), call(ACCOUNT))).await;
    assert_eq!((response.status, response.text()), (502, ""));
    let response = world.send_signed(&twilio().form(&url("/slow"), call(ACCOUNT))).await;
    assert_eq!((response.status, response.text()), (504, ""));
    assert!(
        world
            .metrics()
            .await
            .contains("ringfence_upstream_errors_total{route=\"/twilio/\",error=\"connect\"} 1")
    );
}

#[tokio::test]
async fn a_verified_trigger_that_nobody_takes_is_a_503_each_time_and_reaches_no_application() {
    let world = World::with(|settings| settings.routes[0].upstream = "breaker".parse().unwrap()).await;
    let fields = [
        ("AccountSid", ACCOUNT.to_owned()),
        ("UsageTriggerSid", format!("UT{}", "1".repeat(32))),
        ("IdempotencyToken", "once".to_owned()),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    let signed = twilio().form(&url("/twilio/trigger"), fields);
    for _ in 0..2 {
        let response = world.send_signed(&signed).await;
        assert_eq!((response.status, response.text()), (503, ""));
    }
    assert_eq!(world.upstream.requests().len(), 0, "nothing reaches the application");
}

#[tokio::test]
async fn an_upstream_that_dies_inside_its_answer_is_not_a_clean_end() {
    let upstream =
        RawUpstream::replying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    let other = Upstream::saying("never").await;
    let world = World::before(other, |settings| {
        settings.routes[0].upstream = format!("http://{}", upstream.address()).parse().unwrap();
    });
    let mut client = RawClient::connect(world.gate()).await.unwrap();
    let signed = twilio().form(&url("/twilio/voice"), call(ACCOUNT));
    assert!(client.exchange(wire(&signed)).await.is_err(), "the caller must see that the answer was cut");
    assert!(
        world
            .metrics()
            .await
            .contains("ringfence_upstream_errors_total{route=\"/twilio/\",error=\"cut_short\"} 1")
    );
}
