//! The admin listener: is it alive, is it ready, what has it counted; and the control plane's API, where there is one.
//!
//! Not for the open internet: it has no TLS. Its own pages have no password; the API is handed over with its own checks,
//! and bearer tokens that are sent to it can be read by whoever is on the way. Loopback, a private network, or a proxy
//! with TLS in front.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, EXPECT, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::body::{BodyBound, read_body};
use crate::hooks::AdminApi;
use crate::reason::Reason;
use crate::server::Shared;

/// Bytes of a request's body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// From the end of the head to the last byte of the body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests to the API that are in work at once.
const IN_WORK_MAX: usize = 64;

/// What all connections share.
struct Admin {
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
    /// Bytes of bodies that are still arriving.
    body_memory: AtomicUsize,
}

/// Serves until the runtime ends; it goes on answering while the gate drains.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(IN_WORK_MAX));
    let admin = Arc::new(Admin { shared, places, body_memory: AtomicUsize::new(0) });
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let admin = Arc::clone(&admin);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let admin = Arc::clone(&admin);
                async move { Ok::<_, Infallible>(answer(&admin, peer, request).await.map(Full::new)) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
            // How a scraper hangs up does not matter.
            let _ended = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(admin: &Admin, peer: SocketAddr, request: Request<Incoming>) -> Response<Bytes> {
    let shared = &admin.shared;
    let path = request.uri().path();
    if let Some(api) = shared.hooks.admin.as_ref().filter(|_| is_of_api(path)) {
        return ask(admin, api, peer, request).await;
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/livez" => text(StatusCode::OK, "alive\n"),
        "/readyz" => match shared.readiness() {
            Ok(()) => text(StatusCode::OK, "ready\n"),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        },
        "/metrics" => {
            let mut response = text(StatusCode::OK, shared.metrics.exposition());
            let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format));
            response
        }
        _ if shared.hooks.admin.is_some() => {
            text(StatusCode::NOT_FOUND, "here are /livez, /readyz, /metrics, /openapi.json and /v1/\n")
        }
        _ => text(StatusCode::NOT_FOUND, "here are /livez, /readyz and /metrics\n"),
    }
}

fn is_of_api(path: &str) -> bool {
    path == "/openapi.json" || path.starts_with("/v1/")
}

/// Has the API answer, once the body is whole. It runs in a task of its own: a caller that hangs up does not break off
/// what he has begun, and a panic is an answer.
async fn ask(admin: &Admin, api: &AdminApi, peer: SocketAddr, request: Request<Incoming>) -> Response<Bytes> {
    let (mut parts, body) = request.into_parts();
    // hyper keeps the way to the raw connection there, which is not handed over.
    parts.extensions.clear();
    let bound = BodyBound {
        cap: BODY_BYTES_MAX,
        deadline: Instant::now() + BODY_TIMEOUT,
        may_discard: !parts.headers.contains_key(EXPECT),
        memory: &admin.body_memory,
        memory_max: IN_WORK_MAX * BODY_BYTES_MAX,
    };
    let body = match read_body(body, &bound).await {
        Ok(body) => body,
        Err(Reason::BodyTooLarge) => {
            return text(StatusCode::PAYLOAD_TOO_LARGE, format!("at most {BODY_BYTES_MAX} bytes\n"));
        }
        Err(Reason::BodyTimeout) => {
            let seconds = BODY_TIMEOUT.as_secs();
            return text(StatusCode::REQUEST_TIMEOUT, format!("the body did not come within {seconds} s\n"));
        }
        Err(Reason::Overloaded) => return overloaded(),
        Err(_) => return text(StatusCode::BAD_REQUEST, "the body broke off\n"),
    };
    let Ok(place) = Arc::clone(&admin.places).try_acquire_owned() else { return overloaded() };
    let api = Arc::clone(api);
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let work = tokio::spawn(async move {
        let _place = place;
        api(peer, Request::from_parts(parts, body)).await
    });
    work.await.unwrap_or_else(|error| {
        tracing::error!(%method, path, %error, "a request to the admin API failed");
        text(StatusCode::INTERNAL_SERVER_ERROR, "this is a bug in Ringfence; its log says more\n")
    })
}

fn overloaded() -> Response<Bytes> {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, "too many requests are in work\n");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
