//! What the forms of the phones do. With the script the answer is empty and the page stays; without it the answer is
//! a redirect back to the phones, or a page that says what was wrong.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::{html_with, wants_html};
use crate::edge;
use crate::edge::control::body::Form;
use crate::edge::control::{calls, clock, messages, phone_number};
use crate::edge::problem::Problem;
use crate::settings::PhoneBehaviour;

#[derive(Debug, Deserialize)]
pub(super) struct Phone {
    number: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Behave {
    number: String,
    /// Empty: what the settings say.
    #[serde(default)]
    behaviour: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Send {
    from: String,
    to: String,
    #[serde(default)]
    body: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Call {
    call: String,
    #[serde(default)]
    digits: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Advance {
    advance: String,
}

pub(super) async fn add(
    State(state): State<Arc<edge::State>>,
    headers: HeaderMap,
    Form(phone): Form<Phone>,
) -> Response {
    let added = phone_number("number", &phone.number).map(|number| {
        state.engine.with(|world| {
            world.phones.add(number);
            world.touch();
        });
    });
    done(&headers, added)
}

pub(super) async fn remove(
    State(state): State<Arc<edge::State>>,
    headers: HeaderMap,
    Form(phone): Form<Phone>,
) -> Response {
    let removed = phone_number("number", &phone.number).map(|number| {
        state.engine.with(|world| {
            world.phones.remove(number);
            world.touch();
        });
    });
    done(&headers, removed)
}

pub(super) async fn behave(
    State(state): State<Arc<edge::State>>,
    headers: HeaderMap,
    Form(behave): Form<Behave>,
) -> Response {
    done(&headers, change_behaviour(&state, &behave))
}

fn change_behaviour(state: &edge::State, behave: &Behave) -> Result<(), Problem> {
    let number = phone_number("number", &behave.number)?;
    let behaviour: Option<PhoneBehaviour> = match behave.behaviour.as_str() {
        "" => None,
        word => Some(
            serde_json::from_value(word.into()).map_err(|error| Problem::bad_request(error.to_string()))?,
        ),
    };
    state.engine.with(|world| {
        world.phones.add(number);
        world.phones.set_behaviour(number, behaviour);
        world.touch();
    });
    Ok(())
}

pub(super) async fn text(
    State(state): State<Arc<edge::State>>,
    headers: HeaderMap,
    Form(text): Form<Send>,
) -> Response {
    let sent = messages::text_number(&state, &text.from, &text.to, text.body, Vec::new());
    done(&headers, sent.map(drop))
}

pub(super) async fn call(
    State(state): State<Arc<edge::State>>,
    headers: HeaderMap,
    Form(call): Form<Send>,
) -> Response {
    done(&headers, calls::call_number(&state, &call.from, &call.to).map(drop))
}

pub(super) async fn press(
    State(state): State<Arc<edge::State>>,
    headers: HeaderMap,
    Form(call): Form<Call>,
) -> Response {
    done(&headers, calls::press_keys(&state, &call.call, &call.digits))
}

pub(super) async fn answer(
    State(state): State<Arc<edge::State>>,
    headers: HeaderMap,
    Form(call): Form<Call>,
) -> Response {
    done(&headers, calls::pick_up(&state, &call.call))
}

pub(super) async fn hang_up(
    State(state): State<Arc<edge::State>>,
    headers: HeaderMap,
    Form(call): Form<Call>,
) -> Response {
    done(&headers, calls::put_down(&state, &call.call))
}

pub(super) async fn advance(
    State(state): State<Arc<edge::State>>,
    headers: HeaderMap,
    Form(wanted): Form<Advance>,
) -> Response {
    done(&headers, clock::advance_by(&state, &wanted.advance).await)
}

#[derive(Debug, Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    error: &'a str,
    hint: Option<&'a str>,
}

fn done(headers: &HeaderMap, result: Result<(), Problem>) -> Response {
    match (result, wants_html(headers)) {
        (Ok(()), true) => Redirect::to("/_sandbox/phones").into_response(),
        (Ok(()), false) => StatusCode::NO_CONTENT.into_response(),
        (Err(problem), true) => {
            html_with(problem.status, &ProblemPage { error: problem.error(), hint: problem.hint_text() })
        }
        (Err(problem), false) => problem.into_response(),
    }
}
