//! `/_sandbox/calls`: somebody calls a number, and what is done on the phone during a call.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::messages::nobody_owns;
use super::{Json, Problem, phone_number, sid};
use crate::api::shortened;
use crate::edge;
use crate::world::calls;

/// More keys than anybody presses at once.
const DIGITS_MAX: usize = 64;

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
pub(super) struct Nothing {}

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
        world.phones.add(from);
        calls::receive(world, from, to)
    });
    sid.map(|sid| sid.to_string()).ok_or_else(|| nobody_owns(&to.to_string()))
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
