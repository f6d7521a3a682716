//! `POST /_sandbox/messages`: somebody texts a number.

use std::sync::Arc;

use axum::extract::State;
use ringfence_model::PhoneNumber;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Json, Problem, phone_number};
use crate::api::shortened;
use crate::edge;
use crate::world::messages::{self, Inbound};
use crate::world::numbers;

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
        return Err(Problem::bad_request("a text needs `body` or `media`")
            .hint("`body`, the words; `media`, a list of URLs"));
    }
    if inbound.media.len() > MEDIA_MAX {
        return Err(Problem::bad_request(format!("a text carries at most {MEDIA_MAX} `media`")));
    }
    if let Some(url) = inbound.media.iter().find(|url| !is_web(url)) {
        return Err(Problem::bad_request(format!(
            "`media` has {:?}, which is no URL of the web",
            shortened(url)
        ))
        .hint("like [\"https://example.com/picture.png\"]"));
    }
    let to = inbound.to;
    let from = inbound.from;
    let sid = state.engine.with(|world| {
        let sid = messages::receive(world, inbound)?;
        world.phones.add(from);
        Some(sid)
    });
    sid.map(|sid| sid.to_string()).ok_or_else(|| not_taken(state, to))
}

/// What a phone may load as a picture: never a script in the clothes of a URL.
pub(in crate::edge) fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// Why a text or a call came to no application.
pub(super) fn not_taken(state: &edge::State, to: PhoneNumber) -> Problem {
    let owner = state.engine.with(|world| {
        let account = numbers::find_by_number(world, to)?.account;
        Some((account, world.accounts.is_active(account)))
    });
    match owner {
        None => Problem::not_found(format!("no account owns {to}"))
            .hint("GET /_sandbox/ lists the numbers that there are"),
        Some((account, false)) => {
            Problem::conflict(format!("{to} belongs to {account}, which is not active: nothing comes in"))
                .hint("the parent account can set its Status to active")
        }
        Some((_, true)) => Problem::conflict(format!("{to} takes nothing in"))
            .hint("its Messaging Service has UseInboundWebhookOnNumber off and no InboundRequestUrl"),
    }
}
