//! What the forms of the phones do. With the script the answer is empty and the page stays; without it the answer is
//! a redirect back to the phone, or the phones again with what was wrong and what was typed.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use http::request::Parts;
use ringfence_model::{PhoneNumber, Sid};
use serde::Deserialize;

use super::phones::{self, Typed, Wanted};
use super::{html_with, wants_html};
use crate::edge;
use crate::edge::control::body::{Form, Query};
use crate::edge::control::{calls, clock, explain, messages, phone_number};
use crate::edge::problem::Problem;
use crate::settings::PhoneBehaviour;
use crate::world::phones::Delivery;

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
    /// Empty: as it was.
    #[serde(default)]
    delivery: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Send {
    from: String,
    to: String,
    #[serde(default)]
    body: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct OnCall {
    call: String,
    #[serde(default)]
    digits: String,
    #[serde(default)]
    words: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Advance {
    advance: String,
}

/// Where a form stood, and who sent it.
pub(super) struct Desk {
    state: Arc<edge::State>,
    /// Only one phone was shown.
    alone: Wanted,
    /// There is no script, so the answer is a page.
    wants_page: bool,
}

impl FromRequestParts<Arc<edge::State>> for Desk {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<edge::State>) -> Result<Self, Problem> {
        let Query(alone) = Query::from_request_parts(parts, state).await?;
        Ok(Self { state: Arc::clone(state), alone, wants_page: wants_html(&parts.headers) })
    }
}

impl Desk {
    /// `at` is the phone that the page should come back to.
    fn done(&self, at: Option<PhoneNumber>, typed: Typed, result: Result<(), Problem>) -> Response {
        match (result, self.wants_page) {
            (Ok(()), false) => StatusCode::NO_CONTENT.into_response(),
            (Err(problem), false) => problem.into_response(),
            (Ok(()), true) => Redirect::to(&self.alone.place(at)).into_response(),
            (Err(problem), true) => {
                let status = problem.status;
                match phones::page_again(&self.state, &self.alone, typed, &problem) {
                    Ok(page) => html_with(status, &page),
                    Err(problem) => problem.into_response(),
                }
            }
        }
    }

    /// What is done during a call, on the phone that has it.
    fn on_call(&self, call: &OnCall, result: Result<(), Problem>) -> Response {
        let sid = Sid::parse(&call.call).ok();
        let at = self.state.engine.with(|world| world.calls.find(sid?)?.phone());
        let typed =
            Typed { action: "words", on: call.call.clone(), text: call.words.clone(), ..Typed::default() };
        self.done(at, typed, result)
    }

    fn on_composer(&self, send: &Send, result: Result<(), Problem>) -> Response {
        let typed = Typed {
            action: "text",
            on: send.from.trim().to_owned(),
            to: send.to.clone(),
            text: send.body.clone(),
        };
        self.done(phone_number("from", &send.from).ok(), typed, result)
    }

    fn on_phone(&self, number: &str, result: Result<(), Problem>) -> Response {
        let typed = Typed { action: "add", text: number.to_owned(), ..Typed::default() };
        self.done(phone_number("number", number).ok(), typed, result)
    }
}

pub(super) async fn add(desk: Desk, Form(phone): Form<Phone>) -> Response {
    let added = phone_number("number", &phone.number).map(|number| {
        desk.state.engine.with(|world| {
            world.phones.add(number);
            world.touch();
        });
    });
    desk.on_phone(&phone.number, added)
}

pub(super) async fn remove(desk: Desk, Form(phone): Form<Phone>) -> Response {
    let removed = phone_number("number", &phone.number).map(|number| {
        desk.state.engine.with(|world| {
            world.phones.remove(number);
            world.touch();
        });
    });
    desk.done(None, Typed::default(), removed)
}

pub(super) async fn behave(desk: Desk, Form(behave): Form<Behave>) -> Response {
    let at = phone_number("number", &behave.number).ok();
    let changed = change_behaviour(&desk.state, &behave);
    desk.done(at, Typed::default(), changed)
}

fn change_behaviour(state: &edge::State, behave: &Behave) -> Result<(), Problem> {
    let number = phone_number("number", &behave.number)?;
    let behaviour: Option<PhoneBehaviour> = match behave.behaviour.as_str() {
        "" => None,
        word => Some(one_of("behaviour", word)?),
    };
    let delivery: Option<Delivery> = match behave.delivery.as_str() {
        "" => None,
        word => Some(one_of("delivery", word)?),
    };
    state.engine.with(|world| {
        world.phones.add(number);
        world.phones.set_behaviour(number, behaviour);
        if delivery.is_some() {
            world.phones.set_delivery(number, delivery);
        }
        world.touch();
    });
    Ok(())
}

fn one_of<T: serde::de::DeserializeOwned>(name: &str, word: &str) -> Result<T, Problem> {
    serde_json::from_value(word.into()).map_err(|error| explain::explain(name, &error.to_string()))
}

pub(super) async fn text(desk: Desk, Form(text): Form<Send>) -> Response {
    // A browser sends the lines of a text with CR LF, whatever was typed; a phone has LF.
    let body = text.body.replace("\r\n", "\n");
    let sent = messages::text_number(&desk.state, &text.from, &text.to, body, Vec::new());
    desk.on_composer(&text, sent.map(drop))
}

pub(super) async fn call(desk: Desk, Form(call): Form<Send>) -> Response {
    let called = calls::call_number(&desk.state, &call.from, &call.to);
    desk.on_composer(&call, called.map(drop))
}

pub(super) async fn press(desk: Desk, Form(call): Form<OnCall>) -> Response {
    let pressed = calls::press_keys(&desk.state, &call.call, &call.digits);
    desk.on_call(&call, pressed)
}

pub(super) async fn speak(desk: Desk, Form(call): Form<OnCall>) -> Response {
    let said = calls::say(&desk.state, &call.call, &call.words);
    desk.on_call(&call, said)
}

pub(super) async fn answer(desk: Desk, Form(call): Form<OnCall>) -> Response {
    let answered = calls::pick_up(&desk.state, &call.call);
    desk.on_call(&call, answered)
}

pub(super) async fn hang_up(desk: Desk, Form(call): Form<OnCall>) -> Response {
    let ended = calls::put_down(&desk.state, &call.call);
    desk.on_call(&call, ended)
}

pub(super) async fn advance(desk: Desk, Form(wanted): Form<Advance>) -> Response {
    let moved = clock::advance_by(&desk.state, &wanted.advance).await;
    desk.done(None, Typed::default(), moved)
}
