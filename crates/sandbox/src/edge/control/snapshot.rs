//! `GET /_sandbox/snapshot`: the whole world as JSON, for tests that compare and people who look.
//!
//! Nothing is hidden: tokens and codes are there. Lists are oldest first, maps are sorted, so two worlds that went the
//! same way give the same bytes.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};

use super::{Json, faults};
use crate::edge;
use crate::edge::deliveries;
use crate::world::World;

pub(super) async fn show(State(state): State<Arc<edge::State>>) -> Json<Value> {
    Json(state.engine.with(|world| of(world, state.engine.is_virtual())))
}

/// Everything in this world.
pub(in crate::edge) fn of(world: &World, is_virtual: bool) -> Value {
    json!({
        "clock": { "now": world.now, "virtual": is_virtual, "planned": world.planned(), "next": world.next_at() },
        "settings": world.settings,
        "faults": faults::shown(world),
        "accounts": oldest_first(world.accounts.newest_first(), |account| json!({
            "sid": account.sid.to_string(),
            "owner": account.owner.to_string(),
            "friendly_name": account.friendly_name,
            "status": account.status,
            "auth_token": account.auth_token,
            "secondary_auth_token": account.secondary_auth_token.as_ref().map(|(token, _)| token),
            "created": account.created,
            "updated": account.updated,
            "credit_micros": account.credit_micros,
        })),
        "keys": oldest_first(world.keys.newest_first(), |key| json!({
            "sid": key.sid.to_string(),
            "account": key.account.to_string(),
            "friendly_name": key.friendly_name,
            "secret": key.secret,
            "created": key.created,
        })),
        "events": oldest_first(world.events.newest_first(), |event| json!({
            "sid": event.sid.to_string(),
            "account": event.account.to_string(),
            "at": event.at,
            "type": event.event_type,
            "resource": event.resource.to_string(),
        })),
        "texts": oldest_first(world.phones.texts.newest_first(), |text| json!({
            "at": text.at,
            "account": text.account.to_string(),
            "phone": text.phone.to_string(),
            "other": text.other,
            "from_phone": text.outgoing,
            "body": text.body,
            "media": text.media,
            "message": text.message.map(|sid| sid.to_string()),
        })),
        "deliveries": oldest_first(world.webhooks.log.newest_first(), deliveries::show),
    })
}

fn oldest_first<'a, T: 'a, V: serde::Serialize>(
    newest_first: impl Iterator<Item = &'a T>,
    show: impl Fn(&'a T) -> V,
) -> Value {
    let mut shown: Vec<Value> = newest_first
        .map(|row| serde_json::to_value(show(row)).expect("shapes of ours have text keys and finite numbers"))
        .collect();
    shown.reverse();
    Value::Array(shown)
}
