//! `/_sandbox/deliveries`: the log of webhooks.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::body::Query;
use super::{Json, Problem, account, sid, webhook_kind};
use crate::edge::deliveries::{Shown, show as shown, state_name};
use crate::edge::{self, pages};

const LIMIT: usize = 50;
const LIMIT_MAX: usize = 1000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    /// Part of the URL.
    url: Option<String>,
    kind: Option<String>,
    /// `pending`, `done`, `failed`, `lost`.
    state: Option<String>,
    account: Option<String>,
    limit: Option<usize>,
}

#[derive(Debug, Serialize)]
pub(super) struct List {
    deliveries: Vec<Shown>,
    /// How many there are in the log, whatever was asked for.
    total: usize,
}

pub(super) async fn list(
    State(state): State<Arc<edge::State>>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List>, Problem> {
    const STATES: [&str; 4] = ["pending", "done", "failed", "lost"];
    if let Some(text) = wanted.state.as_deref().filter(|text| !STATES.contains(text)) {
        return Err(Problem::bad_request(format!("`state` is {:?}", crate::api::shortened(text)))
            .hint(STATES.join(", ")));
    }
    if let Some(kind) = wanted.kind.as_deref() {
        webhook_kind("kind", kind)?;
    }
    let limit = wanted.limit.unwrap_or(LIMIT).min(LIMIT_MAX);
    state.engine.with(|world| {
        let owner = match wanted.account.as_deref() {
            Some(text) => Some(account(world, Some(text))?),
            None => None,
        };
        let deliveries = world
            .webhooks
            .log
            .newest_first()
            .filter(|it| owner.is_none_or(|owner| it.webhook.account == owner))
            .filter(|it| wanted.kind.as_deref().is_none_or(|kind| it.webhook.kind == kind))
            .filter(|it| wanted.state.as_deref().is_none_or(|state| state_name(it.state) == state))
            .filter(|it| wanted.url.as_deref().is_none_or(|url| it.webhook.target.url.contains(url)))
            .take(limit)
            .map(shown)
            .collect();
        Ok(Json(List { deliveries, total: world.webhooks.log.len() }))
    })
}

/// JSON for programs, a page for people.
pub(super) async fn show(
    State(state): State<Arc<edge::State>>,
    headers: HeaderMap,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let delivery = sid("delivery", &text)?;
    let found = state.engine.with(|world| world.webhooks.log.find(delivery).map(shown));
    let found = found.ok_or_else(|| {
        Problem::not_found(format!("there is no delivery {delivery}"))
            .hint("the oldest are dropped when there are more than `keep.deliveries` of the settings")
    })?;
    Ok(if pages::wants_html(&headers) {
        pages::delivery_page(format!("http://{}", state.address), found)
    } else {
        Json(found).into_response()
    })
}
