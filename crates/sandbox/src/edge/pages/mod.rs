//! Pages for people: the phones, and one webhook at full length. Server-rendered, so they show everything without
//! JavaScript, and forms work by POST and redirect; a small script sends the forms without leaving the page and
//! follows the world by server-sent events.

mod actions;
mod assets;
mod call;
mod delivery;
mod events;
mod phones;
mod view;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::header::{ACCEPT, ALLOW, CONNECTION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::problem::Problem;
use super::{Body, State};

pub(super) use delivery::page as delivery_page;

pub(super) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/_sandbox/phones", get(phones::show))
        .route("/_sandbox/phones/add", post(actions::add))
        .route("/_sandbox/phones/remove", post(actions::remove))
        .route("/_sandbox/phones/behaviour", post(actions::behave))
        .route("/_sandbox/phones/text", post(actions::text))
        .route("/_sandbox/phones/call", post(actions::call))
        .route("/_sandbox/phones/keys", post(actions::press))
        .route("/_sandbox/phones/words", post(actions::speak))
        .route("/_sandbox/phones/answer", post(actions::answer))
        .route("/_sandbox/phones/hang-up", post(actions::hang_up))
        .route("/_sandbox/phones/clock", post(actions::advance))
        .route("/_sandbox/events", get(events::follow))
        .route("/_sandbox/assets/sandbox.css", get(assets::style))
        .route("/_sandbox/assets/sandbox.js", get(assets::script))
}

/// A browser asks for pages; everything else gets JSON.
pub(super) fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

pub(super) fn html(page: &impl Template) -> Response {
    html_with(StatusCode::OK, page)
}

/// What was refused, as a page: a person reads no JSON.
pub(super) fn for_people(response: Response) -> Response {
    let Some(problem) = response.extensions().get::<Problem>() else { return response };
    let page = ProblemPage { error: problem.error(), hint: problem.hint_text() };
    let mut page = html_with(problem.status, &page);
    for name in [ALLOW, CONNECTION] {
        if let Some(value) = response.headers().get(&name) {
            page.headers_mut().insert(name, value.clone());
        }
    }
    page
}

/// From the front door to where people want to go.
pub(super) fn to_phones() -> Response {
    Redirect::to("/_sandbox/phones").into_response()
}

#[derive(Debug, Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    error: &'a str,
    hint: Option<&'a str>,
}

fn html_with(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => {
            let mut response = Response::new(Body::from(text));
            *response.status_mut() = status;
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            response
        }
        // Only a formatter that fails does this, and ours writes into memory.
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
