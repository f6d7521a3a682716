//! The application behind the gate: it believes everything it gets, counts it, and keeps the last of it to be shown.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::request::Parts;
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
    seen: Arc<Mutex<Seen>>,
}

/// What has reached it.
#[derive(Debug, Default)]
struct Seen {
    count: u64,
    last: Option<Received>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) number: u64,
    /// The account that the gate says it is from.
    pub(super) account: String,
    /// The fields of its form.
    pub(super) fields: Vec<(String, String)>,
}

impl Application {
    /// Requests that reached it.
    pub(super) fn seen(&self) -> u64 {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    /// The last of them, if it is younger than this many.
    pub(super) fn last_after(&self, count: u64) -> Option<Received> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.last.clone().filter(|last| last.number > count)
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
    seen: Arc<Mutex<Seen>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let account = head.headers.get("x-ringfence-account").and_then(|value| value.to_str().ok());
    let account = account.unwrap_or_default().to_owned();
    let path = head.uri.path().to_owned();
    let body = body.collect().await.map_or_else(|_| Bytes::new(), |body| body.to_bytes());
    let fields = form_urlencoded::parse(&body).into_owned().collect();
    let number = {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.count += 1;
        seen.last = Some(Received { number: seen.count, account: account.clone(), fields });
        seen.count
    };
    if head.headers.contains_key(UPGRADE) {
        return Ok(switch(&head));
    }
    let who = if account.is_empty() { account } else { format!(" from {account}") };
    let told = format!("This is request {number} at {path}{who}, {} bytes.", body.len());
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
fn switch(request: &Parts) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let known =
        request.headers.get("sec-websocket-key").is_some_and(|key| key == super::client::WEBSOCKET_KEY);
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
