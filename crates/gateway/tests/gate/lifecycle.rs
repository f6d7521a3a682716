//! Start, reload, stop, and peers that dawdle.

use std::time::Duration;

use ringfence_gateway::settings::Tls;
use ringfence_gateway::tls::CertificatePaths;
use ringfence_testkit::{PATIENCE, RawClient, certificates};

use crate::world::{ACCOUNT, World, call, settings, twilio, url, waiting_upstream, wire};

async fn admin(world: &World, target: &str) -> (u16, String) {
    let address = world.gateway.admin_address().unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nhost: admin\r\n\r\n");
    let response = RawClient::connect(address).await.unwrap().exchange(request).await.unwrap();
    (response.status, response.text().to_owned())
}

#[tokio::test]
async fn the_admin_listener_tells_life_and_readiness() {
    let world = World::new().await;
    assert_eq!(admin(&world, "/livez").await, (200, "alive\n".to_owned()));
    assert_eq!(admin(&world, "/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(admin(&world, "/nothing").await.0, 404);
    assert!(admin(&world, "/metrics").await.1.ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_sender_of_half_a_head_is_hung_up_on() {
    let world = World::with(|settings| settings.limits.head_timeout = Duration::from_millis(50)).await;
    let mut client = RawClient::connect(world.gate()).await.unwrap();
    client.send("POST /twilio/sms HTTP/1.1\r\nHost: hooks").await.unwrap();
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_sender_of_half_a_body_gets_a_408() {
    let world = World::with(|settings| settings.limits.body_timeout = Duration::from_millis(50)).await;
    let request = wire(&twilio().form(&url("/twilio/voice"), call(ACCOUNT)));
    let mut client = RawClient::connect(world.gate()).await.unwrap();
    client.send(&request[..request.len() - 5]).await.unwrap();
    assert_eq!(client.read_response().await.unwrap().status, 408);
    assert_eq!(world.upstream.requests().len(), 0);
}

#[tokio::test]
async fn a_thousand_idle_connections_hold_up_nobody() {
    let world = World::new().await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(RawClient::connect(world.gate()).await.unwrap());
    }
    let response = world.send_signed(&twilio().form(&url("/twilio/voice"), call(ACCOUNT))).await;
    assert_eq!(response.status, 200);
    // A worker may still be taking its share of them.
    let taken = async {
        while world.metric("ringfence_connections").await < 1000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.expect("all of them are held");
}

#[tokio::test]
async fn more_verified_requests_in_work_than_the_limit_get_a_503() {
    let (go, upstream) = waiting_upstream("done").await;
    let world = World::before(upstream, |settings| settings.limits.in_flight_max = 1);
    let request = wire(&twilio().form(&url("/twilio/voice"), call(ACCOUNT)));
    let mut first = RawClient::connect(world.gate()).await.unwrap();
    first.send(&request).await.unwrap();
    while world.upstream.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let response = world.send(&request).await;
    assert_eq!((response.status, response.header("retry-after")), (503, Some("1")));
    go.send(true).unwrap();
    assert_eq!(first.read_response().await.unwrap().status, 200);
    assert_eq!(world.send(&request).await.status, 200, "the place is free again");
}

#[tokio::test]
async fn strangers_with_half_a_body_take_no_place_from_anybody() {
    let world = World::with(|settings| settings.limits.in_flight_max = 1).await;
    let head = "POST /twilio/sms HTTP/1.1\r\nHost: a\r\nX-Twilio-Signature: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n";
    let mut strangers = Vec::new();
    for _ in 0..20 {
        let mut stranger = RawClient::connect(world.gate()).await.unwrap();
        stranger.send(format!("{head}Content-Length: 100\r\n\r\nhalf")).await.unwrap();
        strangers.push(stranger);
    }
    let response = world.send_signed(&twilio().form(&url("/twilio/voice"), call(ACCOUNT))).await;
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn bodies_of_strangers_take_no_more_memory_than_allowed() {
    let world = World::with(|settings| settings.limits.body_memory_bytes = 10_000).await;
    let signed = twilio().form(&url("/twilio/voice"), [("Body", "x".repeat(50_000))]);
    let response = world.send_signed(&signed).await;
    assert_eq!((response.status, response.header("retry-after")), (503, Some("1")));
    assert_eq!(world.refused("overloaded").await, 1);
}

/// An HTTP/2 peer that says what it must and then nothing holds a connection only so long.
#[tokio::test]
async fn a_silent_http2_peer_is_hung_up_on() {
    let world = World::with(|settings| settings.limits.head_timeout = Duration::from_millis(50)).await;
    let settings_frame = b"\0\0\0\x04\0\0\0\0\0";
    let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], settings_frame].concat();
    for said in [&b"P"[..], b"PRI * ", b"PRI * HTTP/2.0\r\n", &preface] {
        let mut client = RawClient::connect(world.gate()).await.unwrap();
        client.send(said).await.unwrap();
        while !client.read_some().await.unwrap_or_default().is_empty() {}
    }
}

#[tokio::test]
async fn a_reload_takes_effect_on_open_connections() {
    let world = World::new().await;
    let request = wire(&twilio().form(&url("/twilio/voice"), call(ACCOUNT)));
    let mut client = RawClient::connect(world.gate()).await.unwrap();
    assert_eq!(client.exchange(&request).await.unwrap().status, 200);
    let mut changed = settings(world.upstream.address());
    changed.routes.clear();
    let reloaded = world.gateway.reload(changed).unwrap();
    assert_eq!(reloaded.needs_restart, Vec::<&str>::new());
    assert_eq!(client.exchange(&request).await.unwrap().status, 404);
    assert_eq!(world.metric("ringfence_reloads_total").await, 1);
}

#[tokio::test]
async fn a_reload_says_what_only_a_restart_changes() {
    let world = World::new().await;
    let mut changed = settings(world.upstream.address());
    changed.listen.gate = Some("127.0.0.1:1".parse().unwrap());
    changed.limits.replay_memory_bytes = 1;
    let reloaded = world.gateway.reload(changed).unwrap();
    assert_eq!(reloaded.needs_restart, ["listen.gate", "limits.replay_memory"]);
}

#[tokio::test]
async fn a_stop_waits_for_the_request_in_work_and_takes_no_other() {
    let (go, upstream) = waiting_upstream("done").await;
    let world = World::before(upstream, |_| {});
    let gate = world.gate();
    let mut idle = RawClient::connect(gate).await.unwrap();
    let mut client = RawClient::connect(gate).await.unwrap();
    client.send(wire(&twilio().form(&url("/twilio/voice"), call(ACCOUNT)))).await.unwrap();
    while world.upstream.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let World { gateway, upstream: _upstream, .. } = world;
    let admin = gateway.admin_address().unwrap();
    let stopping = tokio::task::spawn_blocking(move || gateway.stop());
    assert!(idle.is_closed().await, "idle connections close at once");
    let ready =
        RawClient::connect(admin).await.unwrap().exchange("GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(ready.unwrap().status, 503);
    go.send(true).unwrap();
    assert_eq!(client.read_response().await.unwrap().text(), "done");
    stopping.await.unwrap();
    assert!(RawClient::connect(gate).await.is_err(), "nobody listens any more");
}

/// Otherwise any stranger could make every stop take as long as it may.
#[tokio::test]
async fn a_stop_does_not_wait_for_http2_peers_that_say_nothing() {
    let world = World::new().await;
    let mut silent = RawClient::connect(world.gate()).await.unwrap();
    silent.send("PRI * HTTP/2.0\r\n").await.unwrap();
    while world.metric("ringfence_connections").await == 0 {
        tokio::task::yield_now().await;
    }
    let World { gateway, .. } = world;
    let stopping = tokio::task::spawn_blocking(move || gateway.stop());
    tokio::time::timeout(PATIENCE, stopping).await.expect("it stops at once").unwrap();
}

#[tokio::test]
async fn a_new_certificate_is_served_without_dropping_a_connection() {
    let certificates = certificates();
    let paths = CertificatePaths { chain: certificates.chain_path(), key: certificates.key_path() };
    let tls = || Some(Tls::Files(paths.clone()));
    let world = World::with(|settings| settings.tls = tls()).await;
    let request = wire(&twilio().form(&url("/twilio/voice"), call(ACCOUNT)));
    // A client of its own each time: one that resumes a session is not shown a certificate.
    let connect =
        || RawClient::connect_tls(world.gate(), "localhost", certificates.client_config(&[b"http/1.1"]));
    let mut old = connect().await.unwrap();
    assert_eq!(old.exchange(&request).await.unwrap().status, 200);
    let served = old.handshake().certificates[0].clone();

    std::fs::write(&paths.key, "not a key").unwrap();
    let mut changed = settings(world.upstream.address());
    changed.tls = tls();
    assert!(world.gateway.reload(changed).is_err(), "a wrong key replaces nothing");
    assert_eq!(connect().await.unwrap().handshake().certificates[0], served);

    let renewed = certificates.renew();
    let mut changed = settings(world.upstream.address());
    changed.tls = tls();
    world.gateway.reload(changed).unwrap();
    assert_eq!(old.exchange(&request).await.unwrap().status, 200, "the old connection goes on");
    assert_eq!(connect().await.unwrap().handshake().certificates[0], renewed);
}

/// As when certbot's folder gets another name.
#[tokio::test]
async fn a_certificate_that_lies_elsewhere_now_is_served_from_the_next_reload_on() {
    let certificates = certificates();
    let at = |chain, key| Some(Tls::Files(CertificatePaths { chain, key }));
    let world =
        World::with(|settings| settings.tls = at(certificates.chain_path(), certificates.key_path())).await;
    let served = || async {
        let config = certificates.client_config(&[]);
        let client = RawClient::connect_tls(world.gate(), "localhost", config).await.unwrap();
        client.handshake().certificates[0].clone()
    };
    let before = served().await;
    let renewed = certificates.renew();
    let [chain, key] = ["moved.pem", "moved.key"].map(|name| certificates.directory().join(name));
    std::fs::rename(certificates.chain_path(), &chain).unwrap();
    std::fs::rename(certificates.key_path(), &key).unwrap();
    let mut changed = settings(world.upstream.address());
    changed.tls = at(chain, key);
    assert_eq!(world.gateway.reload(changed).unwrap().needs_restart, Vec::<&str>::new());
    assert_eq!(served().await, renewed);
    assert_ne!(before, renewed);
    // Without TLS it goes on with what it has, until a restart.
    let reloaded = world.gateway.reload(settings(world.upstream.address())).unwrap();
    assert_eq!(reloaded.needs_restart, ["tls"]);
    assert_eq!(served().await, renewed);
}
