//! `POST /_sandbox/messages`: somebody texts a number.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Json, Problem, phone_number};
use crate::edge;
use crate::world::messages::{self, Inbound};

/// Ten pictures at most, as Twilio takes them.
const MEDIA_MAX: usize = 10;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    from: String,
    to: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    media: Vec<String>,
}

pub(super) async fn receive(
    State(state): State<Arc<edge::State>>,
    Json(text): Json<Text>,
) -> Result<Json<Value>, Problem> {
    let sid = text_number(&state, &text.from, &text.to, text.body, text.media)?;
    Ok(Json(json!({ "sid": sid })))
}

/// The same for the form of the phones.
pub(in crate::edge) fn text_number(
    state: &edge::State,
    from: &str,
    to: &str,
    body: String,
    media: Vec<String>,
) -> Result<String, Problem> {
    let inbound = Inbound { from: phone_number("from", from)?, to: phone_number("to", to)?, body, media };
    if inbound.body.is_empty() && inbound.media.is_empty() {
        return Err(Problem::bad_request("a text needs `body` or `media`"));
    }
    if inbound.media.len() > MEDIA_MAX {
        return Err(Problem::bad_request(format!("a text carries at most {MEDIA_MAX} `media`")));
    }
    let to = inbound.to;
    let from = inbound.from;
    let sid = state.engine.with(|world| {
        world.phones.add(from);
        messages::receive(world, inbound)
    });
    sid.map(|sid| sid.to_string()).ok_or_else(|| nobody_owns(&to.to_string()))
}

pub(super) fn nobody_owns(to: &str) -> Problem {
    Problem::not_found(format!("no account owns {to}"))
        .hint("GET /_sandbox/ lists the numbers that there are")
}
