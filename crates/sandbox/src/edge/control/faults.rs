//! `/_sandbox/faults`: what goes wrong on demand.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::{Json, Problem, webhook_kind};
use crate::edge;
use crate::world::World;
use crate::world::faults::{ApiFault, UsageDelay, WebhookFault};
use crate::world::usage;

/// Ten years.
const LAG_MAX_S: u64 = 10 * 366 * 24 * 3600;
/// More than anybody plans; each request looks through them.
const FAULTS_MAX: usize = 1000;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::edge) struct Shown {
    /// What happens to requests of Twilio's API.
    api: Vec<ApiFault>,
    /// What happens to webhooks.
    webhooks: Vec<WebhookFault>,
    /// How usage data is later than the settings say.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageDelay>,
}

pub(super) async fn show(State(state): State<Arc<edge::State>>) -> Json<Shown> {
    Json(state.engine.with(|world| shown(world)))
}

/// Puts these behind those that there are. A delay of usage data takes the place of the one before.
pub(super) async fn add(
    State(state): State<Arc<edge::State>>,
    Json(new): Json<Shown>,
) -> Result<Json<Shown>, Problem> {
    check(&new)?;
    state.engine.with(|world| {
        let faults = &mut world.faults;
        if faults.api.len() + faults.webhooks.len() + new.api.len() + new.webhooks.len() > FAULTS_MAX {
            return Err(Problem::conflict(format!("there are at most {FAULTS_MAX} faults at a time"))
                .hint("DELETE /_sandbox/faults takes all away"));
        }
        faults.api.extend(new.api);
        faults.webhooks.extend(new.webhooks);
        if let Some(delay) = new.usage {
            usage::set_delay(world, delay);
        }
        world.touch();
        Ok(Json(shown(world)))
    })
}

pub(super) async fn remove(State(state): State<Arc<edge::State>>) -> Json<Shown> {
    state.engine.with(|world| {
        world.faults.api.clear();
        world.faults.webhooks.clear();
        usage::set_delay(world, UsageDelay::default());
        world.touch();
        Json(shown(world))
    })
}

pub(in crate::edge) fn shown(world: &World) -> Shown {
    let UsageDelay { extra_lag_s, frozen_until } = &world.faults.usage;
    Shown {
        api: world.faults.api.clone(),
        webhooks: world.faults.webhooks.clone(),
        usage: (*extra_lag_s > 0 || frozen_until.is_some()).then(|| world.faults.usage.clone()),
    }
}

/// A fault that does nothing, or what no answer can be, is a mistake of whoever wrote it.
fn check(new: &Shown) -> Result<(), Problem> {
    let lag = new.usage.as_ref().map_or(0, |usage| usage.extra_lag_s);
    if lag > LAG_MAX_S {
        return Err(Problem::bad_request("`usage.extra_lag_s` is longer than ten years")
            .hint(format!("at most {LAG_MAX_S}")));
    }
    let never = |times: Option<u32>| times == Some(0);
    for (at, fault) in new.api.iter().enumerate() {
        let blank = ApiFault {
            method: fault.method.clone(),
            path: fault.path.clone(),
            times: fault.times,
            ..ApiFault::default()
        };
        if *fault == blank || never(fault.times) {
            return Err(Problem::bad_request(format!("`api[{at}]` does nothing")).hint(
                "it needs latency_ms, status, or drop (\"before\", \"after\"), and `times` is at least 1",
            ));
        }
        if fault.status != 0 && !(400..=599).contains(&fault.status) {
            return Err(Problem::bad_request(format!(
                "`api[{at}].status` is {}, which is no error",
                fault.status
            ))
            .hint("400 to 599"));
        }
    }
    for (at, fault) in new.webhooks.iter().enumerate() {
        if !fault.kind.is_empty() {
            webhook_kind(&format!("webhooks[{at}].kind"), &fault.kind)?;
        }
        let blank = WebhookFault {
            kind: fault.kind.clone(),
            url: fault.url.clone(),
            times: fault.times,
            ..WebhookFault::default()
        };
        if *fault == blank || never(fault.times) {
            return Err(Problem::bad_request(format!("`webhooks[{at}]` does nothing"))
                .hint("it needs lose, double, delay_ms or forge, and `times` is at least 1"));
        }
    }
    Ok(())
}
