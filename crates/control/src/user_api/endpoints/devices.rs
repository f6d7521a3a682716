//! Browsers that are trusted for a user.

use bytes::Bytes;
use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::access::Needs;
use super::super::body::{Address, Token};
use super::super::views::{DeviceChecked, DeviceView, Devices, Ended, TokenView};
use super::{Call, Endpoint};
use crate::json_api::endpoint::Answer;
use crate::json_api::problem::{Kind, Problem};
use crate::json_api::{body, json};

pub(super) const LIST: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/users/{user}/devices",
    name: "listDevices",
    summary: "The browsers that are trusted for a user.",
    scope: Needs::Credential,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<Devices>()),
    refusals: &[Kind::InvalidUser],
    run: |call| Box::pin(list(call)),
};

pub(super) const CHECK: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/users/{user}/devices/check",
    name: "checkDevice",
    summary: "Is this browser trusted for this user? Where it is, it gets another token, and keeps that from now on.",
    scope: Needs::Credential,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<CheckDevice>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<DeviceChecked>()),
    refusals: &[Kind::InvalidUser],
    run: |call| Box::pin(check(call)),
};

pub(super) const END_ALL: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/users/{user}/devices",
    name: "revokeDevices",
    summary: "Trusts none of a user's browsers any more, and ends the sign-ins that wait: after a change of the password or of the phone.",
    scope: Needs::Manage,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<Ended>()),
    refusals: &[Kind::InvalidUser, Kind::MayNotManage],
    run: |call| Box::pin(end_all(call)),
};

pub(super) const END: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/users/{user}/devices/{device}",
    name: "revokeDevice",
    summary: "Trusts one browser no more.",
    scope: Needs::Manage,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<Ended>()),
    refusals: &[Kind::InvalidUser, Kind::MayNotManage, Kind::NoDevice],
    run: |call| Box::pin(end(call)),
};

/// What a browser shows.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckDevice {
    /// What the browser keeps.
    device_token: Token,
    /// From where it comes.
    address: Option<Address>,
}

async fn list(call: Call<'_>) -> Result<Bytes, Problem> {
    let devices = call.store().user_devices(&call.user()?, call.factor.now()).await?;
    json(&Devices { devices: devices.into_iter().map(DeviceView::from).collect() })
}

async fn check(call: Call<'_>) -> Result<Bytes, Problem> {
    let (user, CheckDevice { device_token: Token(token), address }) = (call.user()?, body::read(call.body)?);
    let address = address.map(|address| address.0.to_string());
    let (actor, now) = (call.actor(), call.factor.now());
    let used = call.store().use_user_device(&actor, &user, &token, address.as_deref(), now);
    let (judgement, next) = used.await?;
    json(&DeviceChecked { device: judgement.into(), device_token: next.map(TokenView::from) })
}

async fn end_all(call: Call<'_>) -> Result<Bytes, Problem> {
    let user = call.user()?;
    let ended = call.store().end_user_devices(&call.actor(), &user, None, call.factor.now()).await?;
    json(&Ended { ended })
}

async fn end(call: Call<'_>) -> Result<Bytes, Problem> {
    let (user, missing) =
        (call.user()?, || Problem::new(Kind::NoDevice, "no browser that is trusted is called so"));
    let device = call.id("device", "dv_", 16).ok_or_else(missing)?;
    let ended = call.store().end_user_devices(&call.actor(), &user, Some(&device), call.factor.now()).await?;
    if ended == 0 { Err(missing()) } else { json(&Ended { ended }) }
}
