//! The API that is handed over to the admin listener.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use ringfence_gateway::{Answer, Hooks};
use ringfence_testkit::{PATIENCE, RawClient, Response, Upstream};
use tokio::sync::watch;

use crate::world::World;

/// A gate whose admin API is this function.
async fn with_api<F>(api: impl Fn(std::net::SocketAddr, Request<Bytes>) -> F + Send + Sync + 'static) -> World
where
    F: Future<Output = http::Response<Bytes>> + Send + 'static,
{
    let admin = Arc::new(move |peer, request| Box::pin(api(peer, request)) as Answer);
    let hooks = Hooks { admin: Some(admin), ..Hooks::default() };
    World::hooked(Upstream::saying("application").await, hooks, |_| {})
}

/// Says what it was asked.
async fn echoing() -> World {
    with_api(async |peer, request: Request<Bytes>| {
        assert!(peer.ip().is_loopback());
        let (parts, body) = request.into_parts();
        let token = parts.headers.get("authorization").map_or("", |value| value.to_str().unwrap());
        let said = format!("{} {} {token} {}", parts.method, parts.uri, body.len());
        http::Response::builder()
            .status(StatusCode::ACCEPTED)
            .header("x-api", "yes")
            .body(said.into())
            .unwrap()
    })
    .await
}

async fn connect(world: &World) -> RawClient {
    RawClient::connect(world.gateway.admin_address().unwrap()).await.unwrap()
}

async fn send(world: &World, request: impl AsRef<[u8]>) -> Response {
    connect(world).await.exchange(request).await.unwrap()
}

fn post(length: usize) -> Vec<u8> {
    let head = format!("POST /v1/limits HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
    [head.into_bytes(), vec![b'x'; length]].concat()
}

#[tokio::test]
async fn without_an_api_there_is_none() {
    let world = World::new().await;
    for path in ["/v1/status", "/openapi.json", "/v1/", "/"] {
        let response = world.admin(path).await;
        assert_eq!((response.status, response.text()), (404, "here are /livez, /readyz and /metrics\n"));
    }
    assert_eq!(send(&world, post(1)).await.status, 405);
}

#[tokio::test]
async fn the_api_has_its_own_paths_and_no_others() {
    let world = echoing().await;
    for path in ["/v1", "/v10/x", "/openapi.jsonx", "/V1/x", "/", "//v1/x"] {
        let response = world.admin(path).await;
        assert_eq!((response.status, response.header("x-api")), (404, None), "{path}");
        assert!(response.text().contains("/v1/"), "{}", response.text());
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        let response = world.admin(path).await;
        assert_eq!((response.status, response.header("x-api")), (200, None), "{path}");
        let posted = send(&world, format!("POST {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert_eq!(posted.status, 405);
    }
}

#[tokio::test]
async fn a_request_reaches_the_api_with_method_query_headers_and_body() {
    let world = echoing().await;
    let response = world.admin("/openapi.json").await;
    assert_eq!((response.status, response.text()), (202, "GET /openapi.json  0"));
    let head = "content-length: 5\r\nauthorization: Bearer t\r\n\r\nhello";
    for method in ["POST", "PUT", "PATCH", "DELETE", "GET", "BREW"] {
        let response = send(&world, format!("{method} /v1/a%2Fb?c=d HTTP/1.1\r\nhost: a\r\n{head}")).await;
        assert_eq!(response.text(), format!("{method} /v1/a%2Fb?c=d Bearer t 5"));
        assert_eq!(response.header("x-api"), Some("yes"));
    }
}

#[tokio::test]
async fn a_body_over_64_kib_is_a_413_whatever_it_says_of_its_length() {
    let world = echoing().await;
    assert_eq!(send(&world, post(64 * 1024)).await.status, 202);
    let over = send(&world, post(64 * 1024 + 1)).await;
    assert_eq!((over.status, over.header("content-type")), (413, Some("application/problem+json")));
    assert!(over.text().contains("\"code\":\"too-large\""), "{}", over.text());
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    let head = "POST /v1/limits HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunked = |chunks: usize| format!("{head}{}0\r\n\r\n", chunk.repeat(chunks));
    assert_eq!(send(&world, chunked(2)).await.status, 202);
    assert_eq!(send(&world, chunked(3)).await.status, 413);
}

/// The runtime's timer is moved on, so that nobody has to wait.
#[tokio::test]
async fn a_body_that_does_not_come_is_a_408() {
    let world = echoing().await;
    let mut client = connect(&world).await;
    let request = post(10);
    client.send(&request[..request.len() - 1]).await.unwrap();
    // The API goes on with others meanwhile.
    assert_eq!(send(&world, post(1)).await.status, 202);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(9)).await;
    tokio::time::resume();
    assert_eq!(send(&world, post(1)).await.status, 202);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
    assert_eq!(client.read_response().await.unwrap().status, 408);
}

#[tokio::test]
async fn the_65th_request_in_work_is_a_503_and_the_pages_stay() {
    let (go, waiting) = watch::channel(false);
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&begun);
    let world = with_api(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        let mut waiting = waiting.clone();
        async move {
            waiting.wait_for(|go| *go).await.unwrap();
            http::Response::new(Bytes::from_static(b"done"))
        }
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..64 {
        let mut client = connect(&world).await;
        client.send(post(1)).await.unwrap();
        clients.push(client);
    }
    while begun.load(Ordering::SeqCst) < 64 {
        tokio::task::yield_now().await;
    }
    let refused = send(&world, post(1)).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(world.admin("/livez").await.status, 200);
    go.send(true).unwrap();
    for mut client in clients {
        assert_eq!(client.read_response().await.unwrap().text(), "done");
    }
    assert_eq!(send(&world, post(1)).await.text(), "done", "places are given back");
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_next_request_is_answered() {
    let world = with_api(|_, request: Request<Bytes>| {
        // Before there is a future, and within it.
        assert_ne!(request.uri().path(), "/v1/early");
        async move {
            assert_ne!(request.uri().path(), "/v1/late");
            http::Response::new(Bytes::new())
        }
    })
    .await;
    for _ in 0..70 {
        assert_eq!(world.admin("/v1/early").await.status, 500);
        assert_eq!(world.admin("/v1/late").await.status, 500);
    }
    assert_eq!(world.admin("/v1/other").await.status, 200);
}

#[tokio::test]
async fn what_was_begun_ends_though_its_caller_hangs_up() {
    let (go, waiting) = watch::channel(false);
    let (ended, mut end) = watch::channel(0);
    let ended = Arc::new(ended);
    let world = with_api(move |_, _| {
        let (mut waiting, ended) = (waiting.clone(), Arc::clone(&ended));
        async move {
            ended.send_modify(|count| *count += 1);
            waiting.wait_for(|go| *go).await.unwrap();
            ended.send_modify(|count| *count += 1);
            http::Response::new(Bytes::new())
        }
    })
    .await;
    let mut client = connect(&world).await;
    client.send(post(1)).await.unwrap();
    tokio::time::timeout(PATIENCE, end.wait_for(|count| *count == 1)).await.unwrap().unwrap();
    drop(client);
    assert_eq!(world.admin("/livez").await.status, 200);
    go.send(true).unwrap();
    tokio::time::timeout(PATIENCE, end.wait_for(|count| *count == 2)).await.unwrap().unwrap();
}
