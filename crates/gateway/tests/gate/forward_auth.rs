//! Another proxy asks: 200, 401 or 403, and nothing else but the 503 of a trigger that nobody takes.

use ringfence_gateway::basic::{BasicUsers, PasswordCheck};
use ringfence_gateway::forwarded::TrustedPeers;
use ringfence_gateway::settings::{Check, Replay, Settings, Upstream};
use ringfence_model::Secret;
use ringfence_signature::Signed;
use ringfence_testkit::{RawClient, Response};

use crate::world::{ACCOUNT, World, call, twilio, url};

fn trust_loopback(settings: &mut Settings) {
    settings.listen.trusted_proxies = TrustedPeers::parse(["127.0.0.1/32"]).unwrap();
}

async fn ask(world: &World, question: &str) -> Response {
    let address = world.gateway.forward_auth_address().unwrap();
    RawClient::connect(address).await.unwrap().exchange(question).await.unwrap()
}

/// A question as a proxy asks it that hands over the body (or not).
fn question(signed: &Signed, method: &str, with_body: bool, lines: &[&str]) -> String {
    let mut text =
        format!("{method} /check HTTP/1.1\r\nHost: gate\r\nX-Forwarded-Method: {}\r\n", signed.method);
    text.extend(["X-Forwarded-Uri: ", &signed.target(), "\r\n"]);
    for (name, value) in &signed.headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    for line in lines {
        text.extend([line, "\r\n"]);
    }
    if with_body {
        text.extend(["Content-Length: ", &signed.body.len().to_string(), "\r\n\r\n"]);
        text.push_str(std::str::from_utf8(&signed.body).unwrap());
    } else {
        text.push_str("\r\n");
    }
    text
}

#[tokio::test]
async fn an_unlisted_peer_is_refused() {
    let world = World::new().await;
    let signed = twilio().get(&url("/twilio/x"));
    assert_eq!(ask(&world, &question(&signed, "GET", false, &[])).await.status, 403);
    assert_eq!(world.refused("untrusted_peer").await, 1);
}

#[tokio::test]
async fn a_form_without_its_body_is_refused_at_once() {
    let world = World::with(trust_loopback).await;
    let signed = twilio().form(&url("/twilio/voice"), call(ACCOUNT));
    for (method, line) in [("GET", "X-A: b"), ("POST", "X-A: b"), ("POST", "Content-Length: 0")] {
        assert_eq!(
            ask(&world, &question(&signed, method, false, &[line])).await.status,
            403,
            "{method} {line}"
        );
    }
    let promised = format!("Content-Length: {}", signed.body.len());
    assert_eq!(
        ask(&world, &question(&signed, "GET", false, &[&promised])).await.status,
        403,
        "as nginx does"
    );
    assert_eq!(world.refused("form_without_body").await, 4);
}

#[tokio::test]
async fn a_body_that_was_kept_back_is_not_blessed_by_its_url() {
    let world = World::with(trust_loopback).await;
    let mut posted = twilio().get(&url("/twilio/x"));
    posted.method = "POST";
    for lines in [vec![], vec!["Content-Type: text/plain"]] {
        assert_eq!(ask(&world, &question(&posted, "GET", false, &lines)).await.status, 403);
        assert_eq!(ask(&world, &question(&posted, "POST", false, &lines)).await.status, 403);
    }
    let got = twilio().get(&url("/twilio/x"));
    let told = question(&got, "GET", false, &["X-Original-Content-Length: 7"]);
    assert_eq!(ask(&world, &told).await.status, 403);
    let chunked = question(&got, "GET", false, &["X-Original-Transfer-Encoding: chunked"]);
    assert_eq!(ask(&world, &chunked).await.status, 403);
    assert_eq!(world.refused("form_without_body").await, 6);
}

#[tokio::test]
async fn whatever_is_wrong_the_answer_is_401_or_403() {
    let world = World::with(|settings| {
        trust_loopback(settings);
        settings.routes[0].body_cap = 10;
    })
    .await;
    let signed = twilio().form(&url("/twilio/voice"), call(ACCOUNT));
    let unknown = twilio().get(&url("/nowhere"));
    let mut deleted = twilio().get(&url("/twilio/x"));
    deleted.method = "DELETE";
    for wrong in [
        question(&signed, "POST", true, &[]),
        question(&unknown, "GET", false, &[]),
        question(&deleted, "GET", false, &[]),
        question(&unknown, "GET", false, &["X_Forwarded_For: 1"]),
        question(&unknown, "GET", false, &["X-Forwarded-Uri: /twilio/x"]),
        "GET /twilio/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-Method: G\u{e4}T\r\n\r\n".to_owned(),
        "GET /twilio/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-Uri: twilio\r\n\r\n".to_owned(),
        "GET /twilio/x HTTP/1.1\r\n\r\n".to_owned(),
    ] {
        assert_eq!(ask(&world, &wrong).await.status, 403, "{wrong}");
    }
}

#[tokio::test]
async fn a_genuine_form_with_its_body_passes() {
    let world = World::with(trust_loopback).await;
    let signed = twilio().form(&url("/twilio/voice"), call(ACCOUNT));
    let response = ask(&world, &question(&signed, "POST", true, &[])).await;
    assert_eq!((response.status, response.header("x-ringfence-account")), (200, Some(ACCOUNT)));
    assert_eq!(response.header("x-ringfence-matched"), Some("as-received"));
    assert_eq!(world.upstream.requests().len(), 0, "forward-auth forwards nothing");
    let sent_with_get = question(&signed, "GET", true, &[]);
    assert_eq!(ask(&world, &sent_with_get).await.status, 200, "a proxy that asks by GET and sends the body");
}

#[tokio::test]
async fn a_trigger_for_the_breaker_is_not_let_through_to_the_application() {
    let world = World::with(|settings| {
        trust_loopback(settings);
        settings.routes[0].upstream = Upstream::Breaker;
    });
    let signed = twilio().form(&url("/twilio/trigger"), call(ACCOUNT));
    assert_eq!(ask(&world.await, &question(&signed, "POST", true, &[])).await.status, 503);
}

#[tokio::test]
async fn get_websocket_and_basic_need_no_body() {
    let world = World::with(trust_loopback).await;
    assert_eq!(
        ask(&world, &question(&twilio().get(&url("/twilio/x?a=1")), "GET", false, &[])).await.status,
        200
    );
    let media = twilio().websocket("wss://hooks.example.com/twilio/media");
    let lines = ["X-Forwarded-Upgrade: websocket"];
    assert_eq!(ask(&world, &question(&media, "GET", false, &lines)).await.status, 200);
    assert_eq!(
        ask(&world, &question(&media, "GET", false, &[])).await.status,
        403,
        "not told of the upgrade"
    );

    let users = || BasicUsers::new([("u".to_owned(), PasswordCheck::Plain(Secret::new("p")))]).unwrap();
    let world = World::with(|settings| {
        trust_loopback(settings);
        settings.routes[0].check = Check::Basic(users());
    })
    .await;
    let unsigned = "GET /twilio/x HTTP/1.1\r\nHost: a\r\n\r\n";
    let challenged = ask(&world, unsigned).await;
    assert_eq!(
        (challenged.status, challenged.header("www-authenticate")),
        (401, Some("Basic realm=\"Twilio only!\""))
    );
    let right = "GET /twilio/x HTTP/1.1\r\nHost: a\r\nAuthorization: Basic dTpw\r\n\r\n";
    assert_eq!(ask(&world, right).await.status, 200);
}

#[tokio::test]
async fn two_families_of_forwarded_fields_must_agree() {
    let world = World::with(trust_loopback).await;
    let signed = twilio().get(&url("/twilio/x?a=1"));
    let same = question(&signed, "GET", false, &["X-Original-URI: /twilio/x?a=1"]);
    assert_eq!(ask(&world, &same).await.status, 200);
    let other = question(&signed, "GET", false, &["X-Original-URI: /twilio/y"]);
    assert_eq!(ask(&world, &other).await.status, 403);
    assert_eq!(world.refused("forwarded_fields_disagree").await, 1);
}

#[tokio::test]
async fn a_route_that_refuses_repeats_refuses_them_here_too() {
    let world = World::with(|settings| {
        trust_loopback(settings);
        settings.routes[0].replay = Replay::Refuse;
    })
    .await;
    let asked = question(&twilio().get(&url("/twilio/x?a=1")), "GET", false, &[]);
    assert_eq!(ask(&world, &asked).await.status, 200);
    assert_eq!(ask(&world, &asked).await.status, 403);
}

#[tokio::test]
async fn a_post_with_basic_credentials_needs_no_body() {
    let users = BasicUsers::new([("u".to_owned(), PasswordCheck::Plain(Secret::new("p")))]).unwrap();
    let world = World::with(|settings| {
        trust_loopback(settings);
        settings.routes[0].check = Check::Basic(users);
    })
    .await;
    let asked = "GET /check HTTP/1.1\r\nHost: a\r\nX-Forwarded-Method: POST\r\nX-Forwarded-Uri: /twilio/x\r\n\
                 Authorization: Basic dTpw\r\n\r\n";
    assert_eq!(ask(&world, asked).await.status, 200);
}
