//! The admin listener: is it alive, is it ready, what has it counted; and the control plane's API, where there is one.
//!
//! Not for the open internet: it has no TLS. Its own pages have no password; the API is handed over with its own checks,
//! and bearer tokens that are sent to it can be read by whoever is on the way. Loopback, a private network, or a proxy
//! with TLS in front.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::http_rules::is_last;
use crate::respond::last_if;
use crate::server::Shared;
use crate::whole::{Desk, Form, text};

/// Requests to the API that are in work at once.
const IN_WORK_MAX: usize = 64;

/// What all connections share.
struct Admin {
    shared: Arc<Shared>,
    desk: Desk,
}

/// Serves until the runtime ends; it goes on answering while the gate drains.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let admin = Arc::new(Admin { shared, desk: Desk::new("admin API", IN_WORK_MAX, |_| Form::Problem) });
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let admin = Arc::clone(&admin);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let (admin, is_last) = (Arc::clone(&admin), is_last(&request));
                async move {
                    let answer = answer(&admin, peer, request).await.map(Full::new);
                    Ok::<_, Infallible>(last_if(is_last, answer))
                }
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
        let api = Arc::clone(api);
        return admin.desk.ask(peer.ip(), request, move |request| api(peer, request)).await;
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
