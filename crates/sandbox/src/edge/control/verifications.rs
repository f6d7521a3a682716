//! `GET /_sandbox/verifications`: verifications with their codes, which Twilio's own API never tells.

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::body::Query;
use super::{Json, Problem, phone_number};
use crate::edge;
use crate::world::World;
use crate::world::verify::{self, Verification};

/// What a person or a test looks at.
const LIMIT: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only those of this number.
    #[serde(default)]
    to: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct List {
    /// Newest first.
    verifications: Vec<Shown>,
}

#[derive(Debug, Serialize)]
pub(in crate::edge) struct Shown {
    sid: String,
    account: String,
    service: String,
    to: String,
    channel: String,
    status: String,
    /// While it waits for it.
    code: Option<String>,
    /// When and how it was sent.
    sends: Vec<Send>,
    created: Timestamp,
    updated: Timestamp,
}

#[derive(Debug, Serialize)]
struct Send {
    at: Timestamp,
    channel: String,
    attempt: String,
}

pub(super) async fn list(
    State(state): State<Arc<edge::State>>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List>, Problem> {
    let to = wanted.to.as_deref().map(|to| phone_number("to", to)).transpose()?.map(|to| to.to_string());
    Ok(Json(state.engine.with(|world| {
        List {
            verifications: world
                .verify
                .verifications
                .newest_first()
                .filter(|it| to.as_ref().is_none_or(|to| it.to == *to))
                .take(LIMIT)
                .map(|it| shown(world, it))
                .collect(),
        }
    })))
}

pub(in crate::edge) fn shown(world: &World, verification: &Verification) -> Shown {
    let send = |send: &verify::Send| Send {
        at: send.at,
        channel: send.channel.as_str().to_owned(),
        attempt: send.attempt.to_string(),
    };
    Shown {
        sid: verification.sid.to_string(),
        account: verification.account.to_string(),
        service: verification.service.to_string(),
        to: verification.to.clone(),
        channel: verification.channel.as_str().to_owned(),
        status: verify::status_of(world, verification).as_str().to_owned(),
        code: verify::code(world, verification.sid).map(str::to_owned),
        sends: verification.sends.iter().map(send).collect(),
        created: verification.created,
        updated: verification.updated,
    }
}
