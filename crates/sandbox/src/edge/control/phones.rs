//! `/_sandbox/phones/{number}`: what a phone does when it rings.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use super::{Json, Problem, phone_number};
use crate::edge;
use crate::settings::PhoneBehaviour;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// `null`: what the settings say.
    #[serde(default)]
    behaviour: Option<PhoneBehaviour>,
}

#[derive(Debug, Serialize)]
pub(super) struct Shown {
    phone_number: String,
    /// What it was told; absent: what the settings say.
    behaviour: Option<PhoneBehaviour>,
}

/// Also puts the phone onto the page, if it is not there.
pub(super) async fn change(
    State(state): State<Arc<edge::State>>,
    Path(number): Path<String>,
    Json(change): Json<Change>,
) -> Result<Json<Shown>, Problem> {
    let number = phone_number("number", &number)?;
    state.engine.with(|world| {
        world.phones.add(number);
        world.phones.set_behaviour(number, change.behaviour);
        world.touch();
    });
    Ok(Json(Shown { phone_number: number.to_string(), behaviour: change.behaviour }))
}

pub(super) async fn remove(
    State(state): State<Arc<edge::State>>,
    Path(number): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let number = phone_number("number", &number)?;
    let was_there = state.engine.with(|world| {
        world.phones.set_behaviour(number, None);
        world.touch();
        world.phones.remove(number)
    });
    if was_there {
        Ok(Json(Shown { phone_number: number.to_string(), behaviour: None }))
    } else {
        Err(Problem::not_found(format!("{number} was not added")))
    }
}
