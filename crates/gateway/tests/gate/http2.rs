//! HTTP/2, here with prior knowledge on a plain connection; over TLS it is the same after the handshake.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ringfence_signature::Signed;
use tokio::net::TcpStream;

use crate::world::{ACCOUNT, World, call, twilio, url};

async fn connect(world: &World) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(world.gate()).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(signed: &Signed, fields: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut builder = Request::builder().method(signed.method).uri(&signed.url);
    let signed_fields = signed.headers.iter().map(|(name, value)| (*name, value.as_str()));
    for (name, value) in signed_fields.chain(fields.iter().copied()) {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(Bytes::from(signed.body.clone()))).unwrap()
}

async fn send(world: &World, request: Request<Full<Bytes>>) -> Response<Incoming> {
    connect(world).await.send_request(request).await.unwrap()
}

fn signed_call() -> Signed {
    twilio().form(&url("/twilio/voice?x=%41"), call(ACCOUNT))
}

#[tokio::test]
async fn a_forged_stream_is_refused_and_the_connection_goes_on() {
    let world = World::new().await;
    let mut sender = connect(&world).await;
    let mut forged = signed_call();
    forged.body.push(b'1');
    assert_eq!(sender.send_request(request(&forged, &[])).await.unwrap().status(), 403);
    assert_eq!(world.upstream.requests().len(), 0);
    assert_eq!(sender.send_request(request(&signed_call(), &[])).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_host_that_differs_from_the_authority_is_refused() {
    let world = World::new().await;
    let response = send(&world, request(&signed_call(), &[("host", "evil.example")])).await;
    assert_eq!(response.status(), 400);
    assert_eq!(world.refused("host_differs_from_target").await, 1);
    assert_eq!(send(&world, request(&signed_call(), &[("host", "hooks.example.com")])).await.status(), 200);
}

#[tokio::test]
async fn the_application_gets_it_as_http_1_with_its_cookies_in_one_field() {
    let world = World::new().await;
    let crumbs = [("cookie", "a=1"), ("cookie", "b=2")];
    let response = send(&world, request(&signed_call(), &crumbs)).await;
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "<Response>/twilio/voice?x=%41</Response>");
    let seen = world.upstream.only_request();
    assert_eq!((seen.target.as_str(), seen.header("cookie")), ("/twilio/voice?x=%41", Some("a=1; b=2")));
    assert_eq!(seen.header("host"), Some("hooks.example.com"));
    assert_eq!(seen.body, signed_call().body);
}

#[tokio::test]
async fn many_streams_at_once_each_get_their_own_answer() {
    let world = World::new().await;
    let sender = connect(&world).await;
    let streams: Vec<_> = (0..50)
        .map(|number| {
            let mut sender = sender.clone();
            let signed = twilio().get(&url(&format!("/twilio/{number}")));
            tokio::spawn(async move {
                let response = sender.send_request(request(&signed, &[])).await.unwrap();
                response.into_body().collect().await.unwrap().to_bytes()
            })
        })
        .collect();
    for (number, stream) in streams.into_iter().enumerate() {
        assert_eq!(stream.await.unwrap(), format!("<Response>/twilio/{number}</Response>"));
    }
}
