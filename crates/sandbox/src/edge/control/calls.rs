//! `/_sandbox/calls`: somebody calls a number, what is heard on the phone, and what is done there during a call.

use std::sync::Arc;

use axum::extract::{Path, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::messages::not_taken;
use super::{Json, Problem, phone_number, sid};
use crate::api::shortened;
use crate::edge;
use crate::world::calls::{self, LineKind, WaitsFor};

/// More keys than anybody presses at once.
const DIGITS_MAX: usize = 64;
/// Longer than anybody speaks at once.
const WORDS_MAX: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    from: String,
    to: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    digits: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    words: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// A call as the phone has it.
#[derive(Debug, Clone, Serialize)]
pub(in crate::edge) struct Shown {
    pub(in crate::edge) sid: String,
    pub(in crate::edge) account: String,
    pub(in crate::edge) from: String,
    pub(in crate::edge) to: String,
    pub(in crate::edge) direction: &'static str,
    pub(in crate::edge) status: String,
    pub(in crate::edge) answered_by: Option<&'static str>,
    /// What it wants of the person with the phone.
    pub(in crate::edge) waits_for: WaitsFor,
    /// Of a product of Twilio's own: not among the account's calls.
    pub(in crate::edge) hidden: bool,
    pub(in crate::edge) created: Timestamp,
    pub(in crate::edge) ended: Option<Timestamp>,
    pub(in crate::edge) duration_s: Option<u64>,
    /// What was said and pressed, oldest first.
    pub(in crate::edge) lines: Vec<Line>,
}

/// A line of what was said and pressed.
#[derive(Debug, Clone, Serialize)]
pub(in crate::edge) struct Line {
    pub(in crate::edge) at: Timestamp,
    pub(in crate::edge) kind: LineKind,
    pub(in crate::edge) text: String,
}

/// Makes a call ready to be shown.
pub(in crate::edge) fn shown(call: &calls::Call) -> Shown {
    let line = |line: &calls::Line| Line { at: line.at, kind: line.kind, text: line.text.clone() };
    Shown {
        sid: call.sid.to_string(),
        account: call.account.to_string(),
        from: call.from.to_string(),
        to: call.to.to_string(),
        direction: call.direction.as_str(),
        status: call.status().as_str().to_owned(),
        answered_by: call.answered_by,
        waits_for: call.waits_for(),
        hidden: call.hidden,
        created: call.created,
        ended: call.ended(),
        duration_s: call.duration_s(),
        lines: call.lines.iter().map(line).collect(),
    }
}

/// What was said and pressed so far, and what the call waits for.
pub(super) async fn show(
    State(state): State<Arc<edge::State>>,
    Path(call): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let call = sid("call", &call)?;
    let found = state.engine.with(|world| world.calls.find(call).map(shown));
    found.map(Json).ok_or_else(|| Problem::not_found(format!("there is no call {call}")))
}

pub(super) async fn receive(
    State(state): State<Arc<edge::State>>,
    Json(call): Json<Call>,
) -> Result<Json<Value>, Problem> {
    let sid = call_number(&state, &call.from, &call.to)?;
    Ok(Json(json!({ "sid": sid })))
}

/// The same for the form of the phones.
pub(in crate::edge) fn call_number(state: &edge::State, from: &str, to: &str) -> Result<String, Problem> {
    let (from, to) = (phone_number("from", from)?, phone_number("to", to)?);
    let sid = state.engine.with(|world| {
        let sid = calls::receive(world, from, to)?;
        world.phones.add(from);
        Some(sid)
    });
    sid.map(|sid| sid.to_string()).ok_or_else(|| not_taken(state, to))
}

pub(super) async fn press(
    State(state): State<Arc<edge::State>>,
    Path(call): Path<String>,
    Json(keys): Json<Keys>,
) -> Result<Json<Value>, Problem> {
    press_keys(&state, &call, &keys.digits)?;
    Ok(Json(json!({ "sid": call })))
}

pub(in crate::edge) fn press_keys(state: &edge::State, call: &str, digits: &str) -> Result<(), Problem> {
    let are_keys = digits.bytes().all(|key| matches!(key, b'0'..=b'9' | b'*' | b'#'));
    if digits.is_empty() || digits.len() > DIGITS_MAX || !are_keys {
        return Err(Problem::bad_request(format!("`digits` is {:?}", shortened(digits)))
            .hint("the keys of a phone are 0 to 9, * and #"));
    }
    let call = sid("call", call)?;
    if state.engine.with(|world| calls::press(world, call, digits)) {
        Ok(())
    } else {
        Err(Problem::conflict(format!("{call} is no call in progress")))
    }
}

pub(super) async fn speak(
    State(state): State<Arc<edge::State>>,
    Path(call): Path<String>,
    Json(words): Json<Words>,
) -> Result<Json<Value>, Problem> {
    say(&state, &call, &words.words)?;
    Ok(Json(json!({ "sid": call })))
}

pub(in crate::edge) fn say(state: &edge::State, call: &str, words: &str) -> Result<(), Problem> {
    if words.trim().is_empty() || words.len() > WORDS_MAX {
        return Err(Problem::bad_request(format!("`words` is {:?}", shortened(words)))
            .hint(format!("something to say, of at most {WORDS_MAX} bytes")));
    }
    let call = sid("call", call)?;
    if state.engine.with(|world| calls::say_into(world, call, words)) {
        Ok(())
    } else {
        Err(Problem::conflict(format!("{call} does not listen for words"))
            .hint("only a Gather with the input \"speech\" does"))
    }
}

pub(super) async fn answer(
    State(state): State<Arc<edge::State>>,
    Path(call): Path<String>,
    Json(_): Json<Nothing>,
) -> Result<Json<Value>, Problem> {
    pick_up(&state, &call)?;
    Ok(Json(json!({ "sid": call })))
}

pub(in crate::edge) fn pick_up(state: &edge::State, call: &str) -> Result<(), Problem> {
    let call = sid("call", call)?;
    if state.engine.with(|world| calls::pick_up(world, call)) {
        Ok(())
    } else {
        Err(Problem::conflict(format!("{call} does not ring")))
    }
}

pub(super) async fn hang_up(
    State(state): State<Arc<edge::State>>,
    Path(call): Path<String>,
    Json(_): Json<Nothing>,
) -> Result<Json<Value>, Problem> {
    put_down(&state, &call)?;
    Ok(Json(json!({ "sid": call })))
}

pub(in crate::edge) fn put_down(state: &edge::State, call: &str) -> Result<(), Problem> {
    let call = sid("call", call)?;
    if state.engine.with(|world| calls::put_down(world, call)) {
        Ok(())
    } else {
        Err(Problem::conflict(format!("{call} neither rings nor is in progress")))
    }
}
