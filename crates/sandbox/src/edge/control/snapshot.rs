//! `GET /_sandbox/snapshot`: the whole world as JSON, for tests that compare and people who look.
//!
//! Nothing is hidden: tokens and codes are there. What Twilio's API shows has the shape that it has there. Lists are oldest first, maps are sorted, so two worlds that went the
//! same way give the same bytes.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};

use super::{Json, calls, faults, usage as control_usage, verifications};
use crate::api::shapes;
use crate::edge;
use crate::edge::deliveries;
use crate::world::{World, usage};

pub(super) async fn show(State(state): State<Arc<edge::State>>) -> Json<Value> {
    Json(state.engine.with(|world| of(world, state.engine.is_virtual())))
}

/// Everything in this world.
pub(in crate::edge) fn of(world: &mut World, is_virtual: bool) -> Value {
    usage::catch_up(world);
    let mut parts = [first(world, is_virtual), spending(world), traffic(world)].into_iter();
    let mut whole = parts.next().unwrap_or_default();
    for part in parts {
        if let (Value::Object(whole), Value::Object(part)) = (&mut whole, part) {
            whole.extend(part);
        }
    }
    whole
}

/// What there is before anything happens.
fn first(world: &World, is_virtual: bool) -> Value {
    json!({
        "clock": { "now": world.now, "virtual": is_virtual, "planned": world.planned(), "next": world.next_at() },
        "settings": world.settings,
        "faults": faults::shown(world),
        "accounts": oldest_first(world.accounts.newest_first(), |account| json!({
            "sid": account.sid.to_string(),
            "owner": account.owner.to_string(),
            "friendly_name": account.friendly_name,
            "status": account.status,
            "suspended_by_twilio": account.suspended_by_twilio,
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
        "numbers": oldest_first(world.numbers.newest_first(), shapes::number),
        "applications": oldest_first(world.applications.newest_first(), shapes::application),
        "outgoing_caller_ids": oldest_first(world.caller_ids.proven.newest_first(), shapes::caller_id),
        "messaging_services": oldest_first(world.messaging_services.newest_first(), |service| json!({
            "sid": service.sid.to_string(),
            "account": service.account.to_string(),
            "friendly_name": service.friendly_name,
            "inbound_request_url": service.inbound_request_url,
            "status_callback": service.status_callback,
            "numbers": service.numbers.iter().map(|it| it.number.to_string()).collect::<Vec<_>>(),
            "alpha_senders": service.names.iter().map(|it| &it.name).collect::<Vec<_>>(),
        })),
        "sip_domains": oldest_first(world.sip.domains.newest_first(), |domain| json!({
            "sid": domain.sid.to_string(),
            "account": domain.account.to_string(),
            "domain_name": domain.domain_name,
            "voice_url": domain.voice.as_ref().map(|it| &it.url),
            "ip_access_control_lists": domain.mapped.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })),
        "verify_services": oldest_first(world.verify.services.newest_first(), |service| json!({
            "sid": service.sid.to_string(),
            "account": service.account.to_string(),
            "friendly_name": service.rules.friendly_name,
            "code_length": service.rules.code_length,
        })),
        "sms_geo_permissions": world.geo.changed_texts().iter().map(|(account, country, may)| json!({
            "account": account.to_string(), "country": country, "enabled": may,
        })).collect::<Vec<_>>(),
        "dialing_permissions": world.geo.changed_calls().iter().map(|(account, country, dialing)| json!({
            "account": account.to_string(),
            "country": country,
            "low_risk_numbers_enabled": dialing.low_risk,
            "high_risk_special_numbers_enabled": dialing.special,
            "high_risk_tollfraud_numbers_enabled": dialing.toll_fraud,
        })).collect::<Vec<_>>(),
    })
}

/// What was used, who watches it, and what is told of it.
fn spending(world: &World) -> Value {
    json!({
        "usage": control_usage::shown(world),
        "usage_triggers": oldest_first(world.triggers.table.newest_first(), |it| shapes::trigger(world, it)),
        "events": oldest_first(world.events.newest_first(), |event| json!({
            "sid": event.sid.to_string(),
            "account": event.account.to_string(),
            "at": event.at,
            "type": event.event_type,
            "resource": event.resource.to_string(),
        })),
        "alerts": oldest_first(world.alerts.newest_first(), |alert| json!({
            "sid": alert.sid.to_string(),
            "account": alert.new.account.to_string(),
            "at": alert.at,
            "code": alert.new.code,
            "level": alert.new.level.as_str(),
            "resource": alert.new.resource.to_string(),
            "text": alert.new.text,
        })),
    })
}

/// Messages, calls, verifications and webhooks.
fn traffic(world: &World) -> Value {
    json!({
        "messages": oldest_first(world.messages.newest_first(), shapes::message),
        "media": oldest_first(world.media.newest_first(), |media| json!({
            "sid": media.sid.to_string(),
            "account": media.account.to_string(),
            "message": media.message.to_string(),
            "content_type": media.content_type,
        })),
        "calls": oldest_first(world.calls.newest_first().filter(|call| !call.hidden), shapes::call),
        "recordings": oldest_first(world.recordings.newest_first(), |it| shapes::recording(world, it)),
        "calls_on_phones": oldest_first(world.calls.newest_first(), calls::shown),
        "verifications": oldest_first(world.verify.verifications.newest_first(), |it| verifications::shown(world, it)),
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
