//! Accounts: what they are, holding them and letting them go.

use bytes::Bytes;
use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::access::Scope;
use super::super::body::Reason;
use super::{Call, Endpoint, json};
use crate::json_api::body;
use crate::json_api::endpoint::Answer;
use crate::json_api::problem::{Kind, Problem};
use crate::json_api::query::{CURSOR, PAGE_SIZE};
use crate::views::{AccountView, Accounts};

pub(super) const LIST: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/accounts",
    name: "listAccounts",
    summary: "All accounts, those that Twilio's list no longer has among them.",
    scope: Scope::Read,
    query: &[CURSOR, PAGE_SIZE],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<Accounts>()),
    refusals: &[],
    run: |call| Box::pin(list(call)),
};

pub(super) const ONE: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/accounts/{sid}",
    name: "getAccount",
    summary: "One account: its status at Twilio, and what it is to be.",
    scope: Scope::Read,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<AccountView>()),
    refusals: &[Kind::NoAccount],
    run: |call| Box::pin(one(call)),
};

pub(super) const SUSPEND: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/accounts/{sid}/suspend",
    name: "suspendAccount",
    summary: "Suspends an account until somebody resumes it. Suspending again what is suspended is success.",
    scope: Scope::Operate,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<Because>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<AccountView>()),
    refusals: &[Kind::NoAccount, Kind::ParentAccount],
    run: |call| Box::pin(suspend(call)),
};

pub(super) const RESUME: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/accounts/{sid}/resume",
    name: "resumeAccount",
    summary: "Lets an account go that an operator holds. Refused while breakers hold it: reset those.",
    scope: Scope::Operate,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<Because>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<AccountView>()),
    refusals: &[Kind::NoAccount, Kind::ParentAccount],
    run: |call| Box::pin(resume(call)),
};

/// Why an account is suspended or resumed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Because {
    reason: Reason,
}

async fn list(call: Call<'_>) -> Result<Bytes, Problem> {
    json(&call.engine.views().accounts(&call.query.page()).await?)
}

async fn one(call: Call<'_>) -> Result<Bytes, Problem> {
    json(&call.engine.views().account(call.account()?).await?)
}

async fn suspend(call: Call<'_>) -> Result<Bytes, Problem> {
    let (account, Because { reason }) = (call.account()?, body::read(call.body)?);
    call.engine.suspend_account(account, &call.actor, &reason.0).await?;
    json(&call.engine.views().account(account).await?)
}

async fn resume(call: Call<'_>) -> Result<Bytes, Problem> {
    let (account, Because { reason }) = (call.account()?, body::read(call.body)?);
    call.engine.resume_account(account, &call.actor, &reason.0).await?;
    json(&call.engine.views().account(account).await?)
}
