//! A request that is handed over whole to the rest of Ringfence: its body first read to the end, then the answer made by
//! a hook, which may fail without anybody else noticing.
//!
//! For: the admin API, the console, the second factor. Not for: webhooks, whose answers are streamed.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, EXPECT, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::body::{BodyBound, read_body};
use crate::hooks::Answer;
use crate::reason::Reason;
use crate::shares::Shares;

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
    /// What of them one client address may have, where there are many clients.
    shares: Option<Arc<Shares>>,
    /// Bytes of bodies that are still arriving.
    body_memory: AtomicUsize,
    /// In what form a request for a path is answered where no hook has the word.
    form: fn(&str) -> Form,
}

/// In what form is said what no hook says: that of the API that was asked, which programs read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A sentence, for people.
    Text,
    /// A problem document (RFC 9457), as docs/api.md has it.
    Problem,
    /// As Twilio writes errors.
    Twilio,
}

/// Why no hook was asked, or none has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unanswered {
    pub(crate) status: StatusCode,
    /// A word for programs, which never changes.
    pub(crate) word: &'static str,
    pub(crate) why: String,
}

impl Desk {
    pub(crate) fn new(name: &'static str, in_work_max: usize, form: fn(&str) -> Form) -> Self {
        let places = Arc::new(Semaphore::new(in_work_max));
        Self { name, places, in_work_max, shares: None, body_memory: AtomicUsize::new(0), form }
    }

    /// The same, with so many of the places at most for one client address.
    pub(crate) fn shared(self, each_max: usize) -> Self {
        Self { shares: Some(Shares::new(each_max)), ..self }
    }

    /// Has `hook` answer whoever asks from this address, once the body is whole. It runs in a task of its own: a caller that
    /// hangs up does not break off what he has begun, and a panic is an answer.
    pub(crate) async fn ask(
        &self,
        from: IpAddr,
        request: Request<Incoming>,
        hook: impl FnOnce(Request<Bytes>) -> Answer + Send + 'static,
    ) -> Response<Bytes> {
        let form = (self.form)(request.uri().path());
        self.answered(from, request, hook).await.unwrap_or_else(|unanswered| unanswered.response(form))
    }

    /// What no hook is asked about, in the form that a request for this path is answered in.
    pub(crate) fn say(&self, path: &str, unanswered: &Unanswered) -> Response<Bytes> {
        unanswered.response((self.form)(path))
    }

    async fn answered(
        &self,
        from: IpAddr,
        request: Request<Incoming>,
        hook: impl FnOnce(Request<Bytes>) -> Answer + Send + 'static,
    ) -> Result<Response<Bytes>, Unanswered> {
        // Before the body, which may take its time and memory that is for all.
        let share = match &self.shares {
            Some(shares) => Some(shares.take(from).ok_or_else(crowded)?),
            None => None,
        };
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
        let body = read_body(body, &bound).await.map_err(not_whole)?;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| overloaded())?;
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        let work = tokio::spawn(async move {
            let _kept = (place, share);
            hook(Request::from_parts(parts, body)).await
        });
        work.await.map_err(|error| {
            tracing::error!(%method, path, %error, "a request to the {} failed", self.name);
            let why = "this is a bug in Ringfence; its log says more";
            Unanswered::new(StatusCode::INTERNAL_SERVER_ERROR, "fault", why)
        })
    }
}

fn not_whole(reason: Reason) -> Unanswered {
    match reason {
        Reason::BodyTooLarge => Unanswered::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            format!("a body has at most {BODY_BYTES_MAX} bytes"),
        ),
        Reason::BodyTimeout => Unanswered::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-timeout",
            format!("the body did not come within {} s", BODY_TIMEOUT.as_secs()),
        ),
        Reason::Overloaded => overloaded(),
        _ => Unanswered::new(StatusCode::BAD_REQUEST, "body-broken", "the body broke off"),
    }
}

fn overloaded() -> Unanswered {
    Unanswered::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "too many requests are in work")
}

fn crowded() -> Unanswered {
    let why = "too many requests from your address are in work: try again in a second";
    Unanswered::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", why)
}

impl Unanswered {
    pub(crate) fn new(status: StatusCode, word: &'static str, why: impl Into<String>) -> Self {
        Self { status, word, why: why.into() }
    }

    fn response(&self, form: Form) -> Response<Bytes> {
        let Self { status, word, why } = self;
        let (media_type, body) = match form {
            Form::Text => ("text/plain; charset=utf-8", format!("{why}\n")),
            Form::Problem => {
                let title = status.canonical_reason().unwrap_or_default();
                let document = json!({
                    "type": format!("https://github.com/ringfence/ringfence/blob/main/docs/api.md#{word}"),
                    "title": title,
                    "status": status.as_u16(),
                    "code": word,
                    "detail": why,
                });
                ("application/problem+json", document.to_string())
            }
            Form::Twilio => {
                // Twilio's own numbers for what HTTP has a status for: 20404, 20429, 20503.
                let code = 20_000 + u32::from(status.as_u16());
                let document = json!({
                    "code": code,
                    "message": why,
                    "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
                    "status": status.as_u16(),
                });
                ("application/json", document.to_string())
            }
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = *status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        if matches!(*status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// An answer in plain words.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
