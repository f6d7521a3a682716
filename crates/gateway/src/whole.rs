//! A request that is handed over whole to the rest of Ringfence: its body first read to the end, then the answer made by
//! a hook, which may fail without anybody else noticing.
//!
//! For: the admin API, the console, the second factor. Not for: webhooks, whose answers are streamed.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, EXPECT, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::body::{BodyBound, read_body};
use crate::hooks::Answer;
use crate::reason::Reason;

/// Bytes of a request's body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// From the end of the head to the last byte of the body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The places of one listener for requests in work.
#[derive(Debug)]
pub(crate) struct Desk {
    /// Of whom the log speaks when an answer fails.
    name: &'static str,
    places: Arc<Semaphore>,
    in_work_max: usize,
    /// Bytes of bodies that are still arriving.
    body_memory: AtomicUsize,
}

impl Desk {
    pub(crate) fn new(name: &'static str, in_work_max: usize) -> Self {
        let places = Arc::new(Semaphore::new(in_work_max));
        Self { name, places, in_work_max, body_memory: AtomicUsize::new(0) }
    }

    /// Has `hook` answer, once the body is whole. It runs in a task of its own: a caller that hangs up does not break
    /// off what he has begun, and a panic is an answer.
    pub(crate) async fn ask(
        &self,
        request: Request<Incoming>,
        hook: impl FnOnce(Request<Bytes>) -> Answer + Send + 'static,
    ) -> Response<Bytes> {
        let (mut parts, body) = request.into_parts();
        // hyper keeps the way to the raw connection there, which is not handed over.
        parts.extensions.clear();
        let bound = BodyBound {
            cap: BODY_BYTES_MAX,
            deadline: Instant::now() + BODY_TIMEOUT,
            may_discard: !parts.headers.contains_key(EXPECT),
            memory: &self.body_memory,
            memory_max: self.in_work_max * BODY_BYTES_MAX,
        };
        let body = match read_body(body, &bound).await {
            Ok(body) => body,
            Err(Reason::BodyTooLarge) => {
                return text(StatusCode::PAYLOAD_TOO_LARGE, format!("at most {BODY_BYTES_MAX} bytes\n"));
            }
            Err(Reason::BodyTimeout) => {
                let seconds = BODY_TIMEOUT.as_secs();
                return text(
                    StatusCode::REQUEST_TIMEOUT,
                    format!("the body did not come within {seconds} s\n"),
                );
            }
            Err(Reason::Overloaded) => return overloaded(),
            Err(_) => return text(StatusCode::BAD_REQUEST, "the body broke off\n"),
        };
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return overloaded() };
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        let work = tokio::spawn(async move {
            let _place = place;
            hook(Request::from_parts(parts, body)).await
        });
        work.await.unwrap_or_else(|error| {
            tracing::error!(%method, path, %error, "a request to the {} failed", self.name);
            text(StatusCode::INTERNAL_SERVER_ERROR, "this is a bug in Ringfence; its log says more\n")
        })
    }
}

fn overloaded() -> Response<Bytes> {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, "too many requests are in work\n");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// An answer in plain words.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
