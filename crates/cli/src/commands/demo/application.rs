//! The application behind the gate: it believes everything it gets, and counts it.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;

/// A running application.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Application {
    pub(super) address: SocketAddr,
    seen: Arc<AtomicU64>,
}

impl Application {
    /// Requests that reached it.
    pub(super) fn seen(&self) -> u64 {
        self.seen.load(Ordering::SeqCst)
    }
}

pub(super) fn start(listener: TcpListener) -> std::io::Result<Application> {
    listener.set_nonblocking(true)?;
    let application = Application { address: listener.local_addr()?, seen: Arc::default() };
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let seen = Arc::clone(&application.seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(Arc::clone(&seen), request));
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // How the gate hangs up does not matter.
                let _ended = connection.with_upgrades().await;
            });
        }
    });
    Ok(application)
}

async fn answer(
    seen: Arc<AtomicU64>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let number = seen.fetch_add(1, Ordering::SeqCst) + 1;
    if request.headers().contains_key(UPGRADE) {
        return Ok(switch(&request));
    }
    let account = request.headers().get("x-ringfence-account").and_then(|value| value.to_str().ok());
    let who = account.map_or_else(String::new, |account| format!(" from {account}"));
    let path = request.uri().path().to_owned();
    let length = request.into_body().collect().await.map_or(0, |body| body.to_bytes().len());
    let told = format!("This is request {number} at {path}{who}, {length} bytes.");
    let told = told.replace('&', "&amp;").replace('<', "&lt;");
    let verbs = if path.contains("voice") {
        format!("<Say>{told}</Say><Hangup/>")
    } else {
        format!("<Message>{told}</Message>")
    };
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>{verbs}</Response>\n");
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    Ok(response)
}

/// Accepts the example handshake of RFC 6455 section 1.3, which is the one the tour sends.
fn switch(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let known =
        request.headers().get("sec-websocket-key").is_some_and(|key| key == super::client::WEBSOCKET_KEY);
    if !known {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    }
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    response
}
