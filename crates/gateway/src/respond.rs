//! Answers of the gate itself, and the one body type that all its answers share.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, DATE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use ringfence_model::Clock;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::basic::CHALLENGE;
use crate::connection::Working;
use crate::inspector::Tail;
use crate::metrics::{InFlight, RouteMetrics};
use crate::passed::Passed;
use crate::reason::Reason;
use crate::replay::Recorder;
use crate::settings::Route;
use crate::streams::Owed;
use crate::upstream::{AnswerBody, UpstreamError};

/// The body of an answer, and the place among the requests in work that it holds to its end.
#[derive(Debug)]
pub(crate) struct GateBody {
    kind: Kind,
    /// Told when a streamed answer breaks off.
    route: Option<RouteMetrics>,
    _in_work: Option<InFlight>,
    _working: Option<Working>,
    /// Of a stream of HTTP/2, which is reset where the peer has room for nothing.
    owed: Option<Arc<Owed>>,
    /// Sees it pass, for what is kept of its request.
    tail: Option<Box<Tail>>,
    /// What must live to the body's end.
    _held: Option<Held>,
}

/// Something that is only kept.
struct Held(#[expect(dead_code, reason = "held, not used")] Box<dyn Send + Sync>);

impl std::fmt::Debug for Held {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Held(…)")
    }
}

#[derive(Debug)]
enum Kind {
    /// Nothing, or what is known whole.
    Full(Bytes),
    /// Streamed from the upstream.
    Answer(AnswerBody),
    /// Streamed from the upstream and kept for a repeat of the request.
    Recorded(ReadToEnd),
    /// A file, streamed from Twilio.
    Passed(Passed),
}

/// An answer that is read from the upstream to its end even if the caller hangs up within it, so that a repeat of
/// the request finds it. It keeps its place among the requests in work so long. `None` only while it is dropped.
#[derive(Debug)]
struct ReadToEnd {
    body: Option<Box<Recorder<AnswerBody>>>,
    in_work: Option<InFlight>,
}

/// What is left of an answer nobody waits for may take so long; Twilio itself waits no longer for a whole one.
const READ_TO_END_MAX: Duration = Duration::from_secs(15);

impl Drop for ReadToEnd {
    fn drop(&mut self) {
        let unsettled = self.body.take().filter(|body| !body.is_settled());
        let in_work = self.in_work.take();
        // Without a runtime the process is ending, and there is no later.
        if let (Some(mut body), Ok(runtime)) = (unsettled, Handle::try_current()) {
            runtime.spawn(async move {
                let _in_work = in_work;
                let read = async { while let Some(Ok(_)) = body.frame().await {} };
                // Too slow is as good as broken off: forgotten.
                let _ended = timeout(READ_TO_END_MAX, read).await;
            });
        }
    }
}

impl GateBody {
    /// The same, with its connection told that a request is in work until the body's end.
    pub(crate) fn working(self, working: Working) -> Self {
        Self { _working: Some(working), ..self.owed_to_stream() }
    }

    /// The same, which is no longer waited for than a peer may leave it unread.
    pub(crate) fn owed_to_stream(self) -> Self {
        let owed = Owed::of_this_stream();
        if let Some(owed) = &owed {
            owed.begin();
        }
        Self { owed, ..self }
    }

    pub(crate) fn empty() -> Self {
        Self::full(Bytes::new())
    }

    pub(crate) fn full(bytes: Bytes) -> Self {
        Self {
            kind: Kind::Full(bytes),
            route: None,
            _in_work: None,
            _working: None,
            owed: None,
            tail: None,
            _held: None,
        }
    }

    /// All of it, where that is known before it is sent.
    pub(crate) fn as_whole(&self) -> Option<&Bytes> {
        match &self.kind {
            Kind::Full(bytes) => Some(bytes),
            Kind::Answer(body) => body.as_whole(),
            Kind::Recorded(_) | Kind::Passed(_) => None,
        }
    }

    /// A file of Twilio's.
    pub(crate) fn passed(body: Passed) -> Self {
        Self {
            kind: Kind::Passed(body),
            route: None,
            _in_work: None,
            _working: None,
            owed: None,
            tail: None,
            _held: None,
        }
    }

    /// The same, seen by what is kept of its request.
    pub(crate) fn with_tail(self, tail: Tail) -> Self {
        Self { tail: Some(Box::new(tail)), ..self }
    }

    /// The same, with something that lives to the body's end.
    pub(crate) fn holding(self, held: impl Send + Sync + 'static) -> Self {
        Self { _held: Some(Held(Box::new(held))), ..self }
    }

    pub(crate) fn answer(body: AnswerBody, in_work: InFlight, route: &RouteMetrics) -> Self {
        let route = body.as_whole().is_none().then(|| route.clone());
        Self {
            kind: Kind::Answer(body),
            route,
            _in_work: Some(in_work),
            _working: None,
            owed: None,
            tail: None,
            _held: None,
        }
    }

    pub(crate) fn recorded(body: Recorder<AnswerBody>, in_work: InFlight, route: &RouteMetrics) -> Self {
        let body = ReadToEnd { body: Some(Box::new(body)), in_work: Some(in_work) };
        Self {
            kind: Kind::Recorded(body),
            route: Some(route.clone()),
            _in_work: None,
            _working: None,
            owed: None,
            tail: None,
            _held: None,
        }
    }
}

impl Body for GateBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let this = self.get_mut();
        let polled = match &mut this.kind {
            Kind::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Answer(body) => Pin::new(body).poll_frame(context),
            Kind::Passed(body) => Pin::new(body).poll_frame(context),
            Kind::Recorded(ReadToEnd { body: Some(body), .. }) => Pin::new(body.as_mut()).poll_frame(context),
            Kind::Recorded(ReadToEnd { body: None, .. }) => Poll::Ready(None),
        };
        if let Some(owed) = &this.owed {
            owed.asked(&polled);
        }
        if let (Poll::Ready(Some(Err(error))), Some(route)) = (&polled, &this.route) {
            route.broke_off(error);
        }
        if let Some(tail) = &mut this.tail {
            if let Poll::Ready(Some(Ok(frame))) = &polled
                && let Some(data) = frame.data_ref()
            {
                tail.pass(data);
            }
            if matches!(polled, Poll::Ready(None)) || this.is_end_stream() {
                this.tail = None;
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Answer(body) => body.is_end_stream(),
            Kind::Passed(body) => body.is_end_stream(),
            Kind::Recorded(ends) => ends.body.as_ref().is_none_or(|body| body.is_end_stream()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Answer(body) => body.size_hint(),
            Kind::Passed(body) => body.size_hint(),
            Kind::Recorded(ends) => {
                ends.body.as_ref().map_or_else(SizeHint::default, |body| body.size_hint())
            }
        }
    }
}

/// The same answer; after one that is the last of its connection that one ends, unless it has become something else.
pub(crate) fn last_if<B>(is_last: bool, mut response: Response<B>) -> Response<B> {
    if is_last && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<GateBody> {
    let mut response = Response::new(GateBody::empty());
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    response
}

/// The same with the time, where hyper is told to leave that out.
pub(crate) fn dated(clock: &dyn Clock, mut response: Response<GateBody>) -> Response<GateBody> {
    let now = i64::try_from(clock.unix_seconds()).ok().and_then(|it| Timestamp::from_second(it).ok());
    let written = now.and_then(|now| DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok());
    if let Some(date) = written.and_then(|date| HeaderValue::try_from(date).ok()) {
        response.headers_mut().entry(DATE).or_insert(date);
    }
    response
}

/// What a refused caller gets: a status, and never a word about why.
pub(crate) fn refusal(reason: Reason, route: Option<&Route>) -> Response<GateBody> {
    let mut response = empty(refusal_status(reason, route));
    let headers = response.headers_mut();
    match reason {
        Reason::MethodNotAllowed => {
            let methods: Vec<&str> =
                route.iter().flat_map(|route| &route.methods).map(|m| m.as_str()).collect();
            if let Ok(allow) = HeaderValue::from_str(&methods.join(", ")) {
                headers.insert(ALLOW, allow);
            }
        }
        Reason::Overloaded => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Reason::BasicMissing | Reason::BasicMalformed | Reason::BasicWrong => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        }
        // RFC 9110 section 15.5.2: a 401 names a scheme. Not Basic: that would ask Twilio for a password.
        Reason::Signature(_) | Reason::Replayed if response.status() == StatusCode::UNAUTHORIZED => {
            let scheme = HeaderValue::from_static("X-Twilio-Signature realm=\"Twilio only!\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        _ => {}
    }
    response
}

/// The status of a refusal.
pub(crate) fn refusal_status(reason: Reason, route: Option<&Route>) -> StatusCode {
    match reason {
        Reason::BadRequest(_) | Reason::BodyBroken => StatusCode::BAD_REQUEST,
        Reason::NoRoute => StatusCode::NOT_FOUND,
        Reason::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Reason::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
        Reason::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        Reason::BasicMissing | Reason::BasicMalformed | Reason::BasicWrong => StatusCode::UNAUTHORIZED,
        Reason::Signature(_) | Reason::Replayed => {
            route.map_or(StatusCode::FORBIDDEN, |route| route.refusal_status)
        }
        Reason::UntrustedPeer | Reason::FormWithoutBody => StatusCode::FORBIDDEN,
    }
}
