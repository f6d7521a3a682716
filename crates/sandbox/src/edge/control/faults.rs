//! `/_sandbox/faults`: what goes wrong on demand.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::{Json, Problem};
use crate::edge;
use crate::world::World;
use crate::world::faults::{ApiFault, WebhookFault};

/// More than anybody plans; each request looks through them.
const FAULTS_MAX: usize = 1000;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::edge) struct Shown {
    /// What happens to requests of Twilio's API.
    api: Vec<ApiFault>,
    /// What happens to webhooks.
    webhooks: Vec<WebhookFault>,
}

pub(super) async fn show(State(state): State<Arc<edge::State>>) -> Json<Shown> {
    Json(state.engine.with(|world| shown(world)))
}

/// Puts these behind those that there are.
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
        world.touch();
        Ok(Json(shown(world)))
    })
}

pub(super) async fn remove(State(state): State<Arc<edge::State>>) -> Json<Shown> {
    state.engine.with(|world| {
        world.faults.api.clear();
        world.faults.webhooks.clear();
        world.touch();
        Json(shown(world))
    })
}

pub(in crate::edge) fn shown(world: &World) -> Shown {
    Shown { api: world.faults.api.clone(), webhooks: world.faults.webhooks.clone() }
}

/// A fault that does nothing, or what no answer can be, is a mistake of whoever wrote it.
fn check(new: &Shown) -> Result<(), Problem> {
    let never = |times: Option<u32>| times == Some(0);
    for fault in &new.api {
        let blank = ApiFault {
            method: fault.method.clone(),
            path: fault.path.clone(),
            times: fault.times,
            ..ApiFault::default()
        };
        if *fault == blank || never(fault.times) {
            return Err(Problem::bad_request("a fault of `api` does nothing")
                .hint("it needs latency_ms, status, or drop (\"before\", \"after\")"));
        }
        if fault.status != 0 && !(400..=599).contains(&fault.status) {
            return Err(Problem::bad_request(format!("`status` is {}, which is no error", fault.status))
                .hint("400 to 599"));
        }
    }
    for fault in &new.webhooks {
        let blank = WebhookFault {
            kind: fault.kind.clone(),
            url: fault.url.clone(),
            times: fault.times,
            ..WebhookFault::default()
        };
        if *fault == blank || never(fault.times) {
            return Err(Problem::bad_request("a fault of `webhooks` does nothing")
                .hint("it needs lose, double, delay_ms or forge"));
        }
    }
    Ok(())
}
