//! `PATCH /_sandbox/accounts/{sid}`: what Twilio itself does to an account. Its API has subaccounts suspended by their
//! parent; only Twilio can suspend a main account, and what it suspended no parent can open again (error 21478).

use std::sync::Arc;

use axum::extract::{Path, State};
use ringfence_twilio::wire::AccountStatus;
use serde::{Deserialize, Serialize};

use super::{Json, Problem, account};
use crate::edge;
use crate::world::accounts;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    suspended_by_twilio: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Shown {
    sid: String,
    status: AccountStatus,
    suspended_by_twilio: bool,
}

pub(super) async fn change(
    State(state): State<Arc<edge::State>>,
    Path(sid): Path<String>,
    Json(change): Json<Change>,
) -> Result<Json<Shown>, Problem> {
    state.engine.with(|world| {
        let sid = account(world, Some(&sid))?;
        if world.accounts.find(sid).is_some_and(|account| account.status == AccountStatus::Closed) {
            return Err(Problem::bad_request(format!("{sid} is closed")).hint("that is final"));
        }
        accounts::set_suspended_by_twilio(world, sid, change.suspended_by_twilio);
        let status = world.accounts.find(sid).map_or(AccountStatus::Closed, |it| it.status.clone());
        Ok(Json(Shown { sid: sid.to_string(), status, suspended_by_twilio: change.suspended_by_twilio }))
    })
}
