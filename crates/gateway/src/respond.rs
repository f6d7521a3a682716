//! Answers of the gate itself, and the one body type that all its answers share.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use crate::basic::CHALLENGE;
use crate::reason::Reason;
use crate::replay::Recorder;
use crate::settings::Route;
use crate::upstream::{AnswerBody, UpstreamError};

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum GateBody {
    /// Nothing, or what is known whole.
    Full(Bytes),
    /// Streamed from the upstream.
    Answer(AnswerBody),
    /// Streamed from the upstream and kept for a repeat of the request.
    Recorded(Box<Recorder<AnswerBody>>),
}

impl GateBody {
    pub(crate) fn empty() -> Self {
        Self::Full(Bytes::new())
    }
}

impl Body for GateBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        match self.get_mut() {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Answer(body) => Pin::new(body).poll_frame(context),
            Self::Recorded(body) => Pin::new(body.as_mut()).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_empty(),
            Self::Answer(body) => body.is_end_stream(),
            Self::Recorded(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Answer(body) => body.size_hint(),
            Self::Recorded(body) => body.size_hint(),
        }
    }
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
