//! The `tower` layer in front of an axum router, in process and without a network.
#![cfg(feature = "tower")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    http::{Request, Response, StatusCode},
    routing::{any, post},
};
use http_body_util::{BodyExt as _, Full};
use ringfence_signature::{
    AccountKeys, AccountSid, Allowed, Keyring, PublicUrl, Signed, Signer, Strict,
    layer::{KeyringHandle, VerifyLayer},
};
use tower_layer::Layer as _;
use tower_service::Service;

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "swordfish";
const URL: &str = "https://hooks.example.com/sms?tenant=7";

fn account() -> AccountSid {
    ACCOUNT.parse().unwrap()
}

fn keyring(token: &str) -> Keyring {
    Keyring::new([AccountKeys::new(account()).primary(token)]).unwrap()
}

fn layer() -> VerifyLayer {
    VerifyLayer::new(PublicUrl::parse("https://hooks.example.com").unwrap(), keyring(TOKEN))
}

fn application(layer: VerifyLayer) -> Router {
    let echo = |Extension(allowed): Extension<Allowed>, body: Bytes| async move {
        assert_eq!(allowed.account, Some(account()));
        body
    };
    Router::new().route("/sms", post(echo)).route("/media", any(async || "upgraded")).layer(layer)
}

fn message() -> Signed {
    Signer::token(TOKEN).form(
        URL,
        [("AccountSid", ACCOUNT), ("Body", "Hi & bye ✓"), ("From", "+14155550101"), ("To", "+14155550100")],
    )
}

fn http_request(signed: &Signed) -> Request<Body> {
    let mut request = Request::builder().method(signed.method).uri(&*signed.target());
    for (name, value) in &signed.headers {
        request = request.header(*name, value);
    }
    request.body(Body::from(signed.body.clone())).unwrap()
}

async fn send(router: &mut Router, request: Request<Body>) -> (StatusCode, Bytes) {
    let response: Response<Body> = router.call(request).await.unwrap();
    let status = response.status();
    (status, response.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn a_request_without_a_signature_gets_an_empty_403() {
    let (status, body) =
        send(&mut application(layer()), Request::post("/sms").body(Body::from("Body=x")).unwrap()).await;
    assert_eq!((status, body.len()), (StatusCode::FORBIDDEN, 0));
}

#[tokio::test]
async fn a_forgery_is_refused_and_its_reason_told_to_the_operator_alone() {
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&reasons);
    let layer = layer().refusal_status(StatusCode::UNAUTHORIZED).on_refusal(move |refusal, parts| {
        told.lock().unwrap().push((refusal.as_str(), parts.uri.to_string()));
    });
    let mut forged = message();
    forged.body.extend(b"&Extra=1");
    let (status, body) = send(&mut application(layer), http_request(&forged)).await;
    assert_eq!((status, body.len()), (StatusCode::UNAUTHORIZED, 0));
    assert_eq!(*reasons.lock().unwrap(), [("signature_mismatch", "/sms?tenant=7".to_owned())]);
}

#[tokio::test]
async fn two_signatures_or_two_content_types_are_refused() {
    let mut request = http_request(&message());
    let signature = request.headers()["x-twilio-signature"].clone();
    request.headers_mut().append("x-twilio-signature", signature);
    assert_eq!(send(&mut application(layer()), request).await.0, StatusCode::FORBIDDEN);

    let mut request = http_request(&message());
    request.headers_mut().append("content-type", "application/json".parse().unwrap());
    assert_eq!(send(&mut application(layer()), request).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_body_over_the_cap_gets_413_and_one_at_the_cap_passes() {
    let signed = message();
    let small = layer().body_bytes_max(signed.body.len() - 1);
    assert_eq!(send(&mut application(small), http_request(&signed)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    // The same without a length known in advance.
    let small = layer().body_bytes_max(signed.body.len() - 1);
    let unsized_request = http_request(&signed).map(|body| Body::new(body.map_frame(|frame| frame)));
    assert_eq!(send(&mut application(small), unsized_request).await.0, StatusCode::PAYLOAD_TOO_LARGE);

    let exact = layer().body_bytes_max(signed.body.len());
    assert_eq!(send(&mut application(exact), http_request(&signed)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn where_no_cap_is_set_a_body_of_a_mebibyte_passes_and_one_byte_more_gets_413() {
    let of = |len: usize| {
        let without = Signer::token(TOKEN).form(URL, [("AccountSid", ACCOUNT), ("Body", "")]).body.len();
        let text = "a".repeat(len - without);
        http_request(&Signer::token(TOKEN).form(URL, [("AccountSid", ACCOUNT), ("Body", &text)]))
    };
    assert_eq!(send(&mut application(layer()), of(1_048_576)).await.0, StatusCode::OK);
    assert_eq!(send(&mut application(layer()), of(1_048_577)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn strict_mode_refuses_moved_text() {
    let signed = Signer::token(TOKEN).form(
        URL,
        [("AccountSid", ACCOUNT), ("Bodyh", "ello"), ("From", "+14155550101"), ("To", "+14155550100")],
    );
    assert_eq!(send(&mut application(layer()), http_request(&signed)).await.0, StatusCode::OK);
    assert_eq!(
        send(&mut application(layer().strict(Strict::Refuse)), http_request(&signed)).await.0,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn an_account_that_is_not_listed_is_refused() {
    let other = "AC00000000000000000000000000000009".parse().unwrap();
    assert_eq!(
        send(&mut application(layer().accounts([other])), http_request(&message())).await.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        send(&mut application(layer().accounts([account()])), http_request(&message())).await.0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn the_application_gets_the_verified_body() {
    let signed = message();
    let (status, body) = send(&mut application(layer()), http_request(&signed)).await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &signed.body[..]));

    let signed = Signer::token(TOKEN).json("https://hooks.example.com/sms", r#"{"a":1}"#);
    let (status, body) = send(&mut application(layer()), http_request(&signed)).await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &br#"{"a":1}"#[..]));
}

#[tokio::test]
async fn a_websocket_handshake_is_checked_as_one() {
    let signed = Signer::token(TOKEN).websocket("wss://hooks.example.com/media");
    let mut handshake = http_request(&signed);
    assert_eq!(send(&mut application(layer()), http_request(&signed)).await.0, StatusCode::FORBIDDEN);
    for (name, value) in [
        ("upgrade", "websocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        handshake.headers_mut().insert(name, value.parse().unwrap());
    }
    // Half of one would be an ordinary request to the application, with the signature of another URL.
    for name in ["connection", "sec-websocket-version", "sec-websocket-key"] {
        let mut half = http_request(&signed);
        *half.headers_mut() = handshake.headers().clone();
        half.headers_mut().remove(name);
        assert_eq!(send(&mut application(layer()), half).await.0, StatusCode::BAD_REQUEST, "{name}");
    }
    let mut posted = http_request(&signed);
    (*posted.headers_mut(), *posted.method_mut()) = (handshake.headers().clone(), "POST".parse().unwrap());
    assert_eq!(send(&mut application(layer()), posted).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(send(&mut application(layer()), handshake).await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_the_application_could_read_otherwise_than_it_was_verified_gets_400() {
    let form = "application/x-www-form-urlencoded";
    for (name, value, status) in [
        ("content-encoding", "gzip", StatusCode::BAD_REQUEST),
        ("content-encoding", "identity", StatusCode::OK),
        ("content-type", &*format!("{form}; charset=utf-16"), StatusCode::BAD_REQUEST),
        ("content-type", &*format!("{form};charset=UTF-8"), StatusCode::OK),
    ] {
        let mut request = http_request(&message());
        request.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(send(&mut application(layer()), request).await.0, status, "{name}: {value}");
    }
}

#[tokio::test]
async fn where_a_shared_key_is_demanded_an_auth_token_signs_nothing() {
    let demanding = layer().needs_shared_key();
    assert_eq!(send(&mut application(demanding), http_request(&message())).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_rotated_token_holds_from_the_next_request_on() {
    let handle = KeyringHandle::new(keyring("old"));
    let mut router =
        application(VerifyLayer::new(PublicUrl::parse("https://hooks.example.com").unwrap(), handle.clone()));
    assert_eq!(send(&mut router, http_request(&message())).await.0, StatusCode::FORBIDDEN);
    handle.replace(keyring(TOKEN));
    assert_eq!(send(&mut router, http_request(&message())).await.0, StatusCode::OK);
}

/// A service that has no room for a request.
#[derive(Clone, Debug)]
struct Busy;

impl Service<Request<Full<Bytes>>> for Busy {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Pending
    }

    fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
        ready(Ok(Response::default()))
    }
}

#[test]
fn the_layer_is_ready_when_what_is_behind_it_is() {
    let mut service = layer().layer(Busy);
    let polled =
        Service::<Request<Full<Bytes>>>::poll_ready(&mut service, &mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
}

#[test]
fn the_layer_prints_its_url_and_no_key() {
    let url = format!("{:?}", PublicUrl::parse("https://hooks.example.com").unwrap());
    assert_eq!(format!("{:?}", layer()), format!("VerifyLayer {{ public_url: {url}, .. }}"));
    assert_eq!(format!("{:?}", layer().layer(Busy)), "VerifyService { inner: Busy, .. }");
}
