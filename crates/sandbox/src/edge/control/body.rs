//! Reading what a client sent, with errors that name the field.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{endpoints_at, explain};
use crate::edge::Body;
use crate::edge::problem::Problem;

/// Far more than any request here needs.
const BODY_MAX: usize = 1024 * 1024;
const BODY_TIME: Duration = Duration::from_secs(15);

/// A JSON body in, or a JSON answer out. An absent body is an empty object. The content type is not looked at:
/// `curl -d` says it is a form.
#[derive(Debug)]
pub(in crate::edge) struct Json<T>(pub(in crate::edge) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let example = example(request.method(), request.uri().path());
        let bytes = read(request.into_body()).await?;
        let text = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes.as_ref() };
        // Read as a value first: that it is no JSON at all, and that a field is wrong, are two errors.
        let value: serde_json::Value = serde_json::from_slice(text).map_err(|error| {
            Problem::bad_request(format!("the body is no JSON: {error}"))
                .hint("like {\"name\": \"value\"}; in a shell, put it between single quotes")
        })?;
        if !value.is_object() {
            return Err(Problem::bad_request("the body must be a JSON object").hint_if_none(example));
        }
        explain::read(value).map(Self).map_err(|problem| problem.hint_if_none(example))
    }
}

/// What a body of this endpoint looks like.
fn example(method: &Method, path: &str) -> String {
    let example = endpoints_at(path).find(|it| *method == it.method).map_or("", |it| it.example);
    if example.is_empty() {
        "GET /_sandbox/ shows an example for each endpoint".to_owned()
    } else {
        format!("like {example}")
    }
}

/// The whole body, within bounds of size and time.
pub(in crate::edge) async fn read(body: Body) -> Result<Bytes, Problem> {
    let read = Limited::new(body, BODY_MAX).collect();
    match tokio::time::timeout(BODY_TIME, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is larger than {BODY_MAX} bytes"),
        )),
        Ok(Err(_)) => Err(Problem::bad_request("the body broke off")),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")),
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response<Body> {
        let mut body =
            serde_json::to_vec_pretty(&self.0).expect("shapes of ours have text keys and finite numbers");
        body.push(b'\n');
        let mut response = Response::new(Body::from(body));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// The parameters behind the `?`.
#[derive(Debug)]
pub(in crate::edge) struct Query<T>(pub(in crate::edge) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut http::request::Parts, _state: &S) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|error| in_form(&error.body_text()))
    }
}

/// A form of our own pages.
#[derive(Debug)]
pub(in crate::edge) struct Form<T>(pub(in crate::edge) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut head, body) = request.into_parts();
        let bytes = read(body).await?;
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let request = Request::from_parts(head, Body::from(bytes));
        axum::Form::from_request(request, state)
            .await
            .map(|axum::Form(form)| Self(form))
            .map_err(|error| in_form(&error.body_text()))
    }
}

/// An error in a form or a query, where axum writes the name before it.
fn in_form(text: &str) -> Problem {
    let text =
        text.split_once(": ").filter(|(start, _)| start.starts_with("Failed to")).map_or(text, |it| it.1);
    match text.split_once(": ") {
        Some((name, message)) if !name.contains(' ') => explain::explain(name, message),
        _ => explain::explain("", text),
    }
}
