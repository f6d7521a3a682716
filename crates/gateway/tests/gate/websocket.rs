//! Media Streams and ConversationRelay: a verified handshake, then bytes both ways.

use ringfence_gateway::settings::Replay;
use ringfence_testkit::{RawClient, RawUpstream, read_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{World, twilio, url, wire, wire_with};

pub(crate) const HANDSHAKE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

async fn world_before(upstream: &RawUpstream) -> World {
    let address = upstream.address();
    World::with(move |settings| settings.routes[0].upstream = format!("http://{address}").parse().unwrap())
        .await
}

#[tokio::test]
async fn an_unsigned_handshake_is_refused_and_no_connection_is_opened() {
    let upstream = RawUpstream::silent().await;
    let world = world_before(&upstream).await;
    let head = format!("GET /twilio/media HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", HANDSHAKE.join("\r\n"));
    assert_eq!(world.send(head).await.status, 403);
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_handshake_with_a_body_is_refused_before_anything_is_sent() {
    let upstream = RawUpstream::silent().await;
    let world = world_before(&upstream).await;
    let smuggled = "POST /admin HTTP/1.1\r\nHost: a\r\n\r\n";
    let signed = twilio().json(&url("/twilio/media"), smuggled);
    let mut captured = signed.clone();
    captured.method = "GET";
    for framing in [format!("Content-Length: {}", smuggled.len()), "Transfer-Encoding: chunked".to_owned()] {
        let lines = [&HANDSHAKE[..], &[framing.as_str()]].concat();
        let response = world.send(wire_with(&captured, &lines)).await;
        assert_eq!(response.status, 400, "{framing}");
    }
    assert_eq!(world.refused("websocket_with_body").await, 2);
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_handshake_signed_for_another_path_is_refused() {
    let upstream = RawUpstream::silent().await;
    let world = world_before(&upstream).await;
    let signed = twilio().websocket("wss://hooks.example.com/twilio/other");
    let moved = String::from_utf8(wire_with(&signed, &HANDSHAKE)).unwrap().replacen(
        "/twilio/other",
        "/twilio/media",
        1,
    );
    assert_eq!(world.send(moved).await.status, 403);
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_signed_handshake_opens_a_tunnel_both_ways() {
    let upstream = RawUpstream::start(|_, mut stream| async move {
        let head = read_request(&mut stream).await;
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        assert!(
            head.contains("upgrade: websocket\r\n") && head.contains("connection: upgrade\r\n"),
            "{head}"
        );
        assert!(head.contains("x-ringfence-matched: as-received+wss\r\n"), "{head}");
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nearly";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).await.unwrap();
        stream.write_all(&[b"heard ", &heard[..]].concat()).await.unwrap();
    })
    .await;
    let world = world_before(&upstream).await;
    let mut client = RawClient::connect(world.gate()).await.unwrap();
    let signed = twilio().websocket("wss://hooks.example.com/twilio/media");
    client.send(wire_with(&signed, &HANDSHAKE)).await.unwrap();
    let head = client.read_head().await.unwrap();
    assert_eq!(head.status, 101);
    assert_eq!(head.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(client.read_exactly(5).await.unwrap(), b"early");
    client.send("hello").await.unwrap();
    assert_eq!(client.read_exactly(11).await.unwrap(), b"heard hello");
}

#[tokio::test]
async fn an_upstream_that_declines_the_handshake_is_passed_on() {
    let upstream = RawUpstream::replying("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno").await;
    let world = world_before(&upstream).await;
    let signed = twilio().websocket("wss://hooks.example.com/twilio/media");
    let response = world.send(wire_with(&signed, &HANDSHAKE)).await;
    assert_eq!((response.status, response.text()), (404, "no"));
}

#[tokio::test]
async fn an_upgrade_to_something_else_is_an_ordinary_request() {
    let upstream = RawUpstream::replying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let world = world_before(&upstream).await;
    let signed = twilio().get(&url("/twilio/x"));
    let request = wire_with(
        &signed,
        &["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"],
    );
    assert_eq!(world.send(request).await.status, 200);
    assert_eq!(world.send(wire(&signed)).await.status, 200);
}

/// Three headers that nobody signed must not switch the protection off.
#[tokio::test]
async fn a_repeat_dressed_as_a_handshake_is_a_repeat() {
    let world = World::with(|settings| settings.routes[0].replay = Replay::Refuse).await;
    let signed = twilio().get(&url("/twilio/status?MessageSid=SM1"));
    assert_eq!(world.send(wire(&signed)).await.status, 200);
    assert_eq!(world.send(wire_with(&signed, &HANDSHAKE)).await.status, 403);
    let media = twilio().websocket("wss://hooks.example.com/twilio/media");
    assert_eq!(
        world.send(wire_with(&media, &HANDSHAKE)).await.status,
        200,
        "an application that does not switch"
    );
    assert_eq!(world.send(wire_with(&media, &HANDSHAKE)).await.status, 403);
    assert_eq!(world.upstream.requests().len(), 2);
}
