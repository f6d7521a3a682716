//! `POST /_sandbox/reset`: as it was at the start. Webhooks under way come to nothing.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Json;
use crate::edge;
use crate::world::Beginning;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(super) struct Wanted {
    /// Another seed from now on; absent: the one that the sandbox was started with.
    seed: Option<u64>,
    /// The settings stay as they were changed.
    keep_settings: bool,
}

pub(super) async fn reset(State(state): State<Arc<edge::State>>, Json(wanted): Json<Wanted>) -> Json<Value> {
    let mut beginning = state.beginning.clone();
    if let Some(seed) = wanted.seed {
        beginning.seed = seed;
    }
    if wanted.keep_settings {
        beginning.settings = state.engine.with(|world| world.settings.clone());
    }
    let Beginning { seed, .. } = beginning;
    state.reset(beginning);
    state.engine.with(|world| {
        let main = world.accounts.main();
        let token = world.accounts.find(main).map(|account| account.auth_token.clone());
        Json(json!({ "seed": seed, "account_sid": main.to_string(), "auth_token": token, "now": world.now }))
    })
}
