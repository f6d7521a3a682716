//! The gate before an application that is spoken to over TLS.

use std::sync::Arc;
use std::time::Duration;

use ringfence_gateway::proof::ProofKey;
use ringfence_gateway::settings::{Settings, Upstream as LeadsTo};
use ringfence_gateway::upstream::{UpstreamAddress, UpstreamTls};
use ringfence_model::Secret;
use ringfence_testkit::{
    Answer, Certificates, Handshaken, RawClient, RawUpstream, Upstream, certificates, read_request,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::websocket::HANDSHAKE;
use crate::world::{ACCOUNT, World, call, settings, sms, twilio, url, wire, wire_with};

/// Has the only route lead to this port of `localhost`, whose certificate the authority of `files` must have signed.
fn lead_to(port: u16, files: &Certificates, settings: &mut Settings) {
    let address: UpstreamAddress = format!("https://localhost:{port}").parse().unwrap();
    let tls = UpstreamTls::load(Some(&files.authority_path()), None).unwrap();
    settings.routes[0].upstream = LeadsTo::Application(address.with_tls(&tls, None));
}

/// An application with the certificate that the files hold now, behind a gate that trusts their authority.
async fn world(files: &Certificates) -> World {
    let config = files.server_config(&[b"h2", b"http/1.1"]);
    let upstream = Upstream::start_tls(config, |_| async { Answer::new(200, "<Response/>") }).await;
    let port = upstream.address().port();
    World::before(upstream, |settings| lead_to(port, files, settings))
}

/// Whatever the test makes of a connection whose handshake has succeeded.
async fn raw_upstream<Fut>(files: &Certificates, script: fn(TlsStream<TcpStream>) -> Fut) -> RawUpstream
where
    Fut: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(files.server_config(&[]));
    RawUpstream::start(move |_, stream| {
        let acceptor = acceptor.clone();
        async move { script(acceptor.accept(stream).await.unwrap()).await }
    })
    .await
}

async fn assert_502(world: &World, error: &str) {
    let response = world.send_signed(&twilio().form(&url("/twilio/voice"), call(ACCOUNT))).await;
    assert_eq!((response.status, response.text()), (502, ""), "a caller learns nothing: {error}");
    assert_eq!(world.upstream.requests(), [], "{error}");
    let counted = format!("ringfence_upstream_errors_total{{route=\"/twilio/\",error=\"{error}\"}} 1");
    let metrics = world.metrics().await;
    assert!(metrics.contains(&counted), "{counted} is not in\n{metrics}");
}

#[tokio::test]
async fn an_application_that_does_not_prove_who_it_is_gets_no_webhook_and_the_metric_says_why() {
    let files = certificates();
    files.renew_for_years(2001, 2002);
    assert_502(&world(&files).await, "tls_expired").await;
    let of_another_name = ringfence_testkit::certificates_for(&["app.internal"]);
    assert_502(&world(&of_another_name).await, "tls_wrong_name").await;
    let (trusted, unknown) = (certificates(), certificates());
    let upstream =
        Upstream::start_tls(unknown.server_config(&[]), |_| async { Answer::new(200, "never") }).await;
    let port = upstream.address().port();
    let world = World::before(upstream, |settings| lead_to(port, &trusted, settings));
    assert_502(&world, "tls_unknown_authority").await;
    let plain = Upstream::saying("never").await;
    let port = plain.address().port();
    assert_502(&World::before(plain, |settings| lead_to(port, &trusted, settings)), "tls_not_spoken").await;
}

#[tokio::test]
async fn an_application_that_hangs_in_the_handshake_is_a_504_within_the_time_of_the_route() {
    let files = certificates();
    let silent = RawUpstream::silent().await;
    let world = World::with(|settings| {
        lead_to(silent.address().port(), &files, settings);
        settings.routes[0].timeout = Duration::from_secs(1);
    })
    .await;
    let response = world.send_signed(&twilio().form(&url("/twilio/voice"), call(ACCOUNT))).await;
    assert_eq!((response.status, response.text()), (504, ""));
    let counted = "ringfence_upstream_errors_total{route=\"/twilio/\",error=\"tls_timeout\"} 1";
    assert!(world.metrics().await.contains(counted));
}

#[tokio::test]
async fn a_webhook_goes_over_tls_as_it_goes_in_clear() {
    let files = certificates();
    let config = files.server_config(&[b"h2", b"http/1.1"]);
    let upstream = Upstream::start_tls(config, |_| async { Answer::new(200, "<Response/>") }).await;
    let port = upstream.address().port();
    let world = World::before(upstream, |settings| {
        lead_to(port, &files, settings);
        settings.routes[0].proof = Some(ProofKey::new(&Secret::new("k".repeat(32))).unwrap());
    });
    let mut client = RawClient::connect(world.gate()).await.unwrap();
    for _ in 0..2 {
        let signed = twilio().form(&url("/twilio/sms"), sms(ACCOUNT));
        let response = client.exchange(wire(&signed)).await.unwrap();
        assert_eq!((response.status, response.text()), (200, "<Response/>"));
    }
    let requests = world.upstream.requests();
    assert_eq!((requests.len(), world.upstream.connections()), (2, 1), "the connection is kept");
    let seen = &requests[0];
    let handshaken = Handshaken {
        server_name: Some("localhost".to_owned()),
        protocol: Some("http/1.1".to_owned()),
        has_certificate: false,
    };
    assert_eq!(seen.tls, Some(handshaken));
    assert_eq!(seen.header("host"), Some("hooks.example.com"));
    assert_eq!(seen.header("x-ringfence-account"), Some(ACCOUNT));
    assert!(seen.header("x-ringfence-proof").is_some());
}

#[tokio::test]
async fn what_a_reload_trusts_holds_from_the_next_webhook_on() {
    let (old, new) = (certificates(), certificates());
    let world = world(&old).await;
    let send = async || world.send_signed(&twilio().form(&url("/twilio/sms"), sms(ACCOUNT))).await.status;
    let reload = |files: &Certificates| {
        let mut changed = settings(world.upstream.address());
        lead_to(world.upstream.address().port(), files, &mut changed);
        world.gateway.reload(changed).unwrap();
    };
    assert_eq!(send().await, 200);
    // The connection that was kept proved itself to the old authority.
    reload(&new);
    assert_eq!(send().await, 502);
    reload(&old);
    assert_eq!(send().await, 200);
}

#[tokio::test]
async fn an_answer_that_breaks_off_within_tls_is_not_a_clean_end() {
    let files = certificates();
    let upstream = raw_upstream(&files, |mut stream| async move {
        read_request(&mut stream).await;
        let half = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
        stream.write_all(half).await.unwrap();
        stream.flush().await.unwrap();
    })
    .await;
    let world = World::with(|settings| lead_to(upstream.address().port(), &files, settings)).await;
    let mut client = RawClient::connect(world.gate()).await.unwrap();
    let signed = twilio().form(&url("/twilio/voice"), call(ACCOUNT));
    assert!(client.exchange(wire(&signed)).await.is_err(), "the caller must see that the answer was cut");
    let counted = "ringfence_upstream_errors_total{route=\"/twilio/\",error=\"cut_short\"} 1";
    assert!(world.metrics().await.contains(counted));
}

#[tokio::test]
async fn a_signed_handshake_opens_a_tunnel_over_tls() {
    let files = certificates();
    let upstream = raw_upstream(&files, |mut stream| async move {
        read_request(&mut stream).await;
        let answer =
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let mut heard = vec![0; 200_000];
        stream.read_exact(&mut heard).await.unwrap();
        stream.write_all(&heard).await.unwrap();
        stream.shutdown().await.unwrap();
    })
    .await;
    let world = World::with(|settings| lead_to(upstream.address().port(), &files, settings)).await;
    let mut client = RawClient::connect(world.gate()).await.unwrap();
    let signed = twilio().websocket("wss://hooks.example.com/twilio/media");
    client.send(wire_with(&signed, &HANDSHAKE)).await.unwrap();
    assert_eq!(client.read_head().await.unwrap().status, 101);
    assert_eq!(client.read_exactly(5).await.unwrap(), b"early");
    let spoken: Arc<[u8]> = (0..200_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
    client.send(&spoken).await.unwrap();
    assert!(client.read_exactly(spoken.len()).await.unwrap() == *spoken, "it came back changed");
}

#[tokio::test]
async fn a_signed_handshake_to_an_application_that_does_not_prove_who_it_is_opens_nothing() {
    let (files, unknown) = (certificates(), certificates());
    let upstream =
        Upstream::start_tls(unknown.server_config(&[]), |_| async { Answer::new(200, "never") }).await;
    let port = upstream.address().port();
    let world = World::before(upstream, |settings| lead_to(port, &files, settings));
    let signed = twilio().websocket("wss://hooks.example.com/twilio/media");
    let response = world.send(wire_with(&signed, &HANDSHAKE)).await;
    assert_eq!((response.status, response.text()), (502, ""));
    assert_eq!(world.upstream.requests(), []);
}
