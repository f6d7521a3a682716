//! What the JSON APIs share: the one that operators have on the admin listener ([`crate::api`]), and the one that
//! applications have on the listener of the second factor ([`crate::user_api`]).
//!
//! Each has a single table of [endpoints](endpoint). Requests are routed by it, permissions are read off it, and the
//! [OpenAPI document](openapi) is written from it. Bodies and queries have known shapes, each deviation is named by its
//! place, and whatever is refused is a [problem document](problem).

pub(crate) mod body;
pub(crate) mod endpoint;
pub(crate) mod openapi;
pub(crate) mod problem;
pub(crate) mod query;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use self::problem::{Kind, Problem};

/// An answer as it is sent, with its media type. `is_head`: only its head is wanted.
pub(crate) fn response(answer: Result<(&'static str, Bytes), Problem>, is_head: bool) -> Response<Bytes> {
    let mut response = match answer {
        Ok((media_type, body)) => {
            let mut response = Response::new(body);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
            response
        }
        Err(problem) => problem.response(),
    };
    // What is true now may be false in a moment, and is not for caches between here and there.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    if is_head {
        let length = response.body().len();
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        *response.body_mut() = Bytes::new();
    }
    response
}

/// A view as the body of an answer.
pub(crate) fn json(view: &impl Serialize) -> Result<Bytes, Problem> {
    serde_json::to_vec(view).map(Bytes::from).map_err(|error| {
        tracing::error!(%error, "an API could not write its answer");
        Problem::new(Kind::Fault, "Ringfence failed to write the answer; its log says why")
    })
}

/// A status of the table of problems, for documents and answers alike.
fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
