//! Auth tokens: how far their replacing is, and its next step. No token goes in or out here.

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
use crate::rotation::{NotRotated, Wish};
use crate::views::{Tokens, TurnView};

pub(super) const LIST: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/tokens",
    name: "listTokens",
    summary: "The auth tokens that are being replaced, and those that were. No token is among it.",
    scope: Scope::Read,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<Tokens>()),
    refusals: &[],
    run: |call| Box::pin(list(call)),
};

pub(super) const ROTATE: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/accounts/{sid}/token/rotate",
    name: "rotateToken",
    summary: "Does the next step of replacing an account's auth token; the first one begins it. Ask again until it has ended.",
    scope: Scope::Admin,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<Rotate>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<TurnView>()),
    refusals: &[Kind::NotRotated, Kind::TwilioAway],
    run: |call| Box::pin(rotate(call)),
};

pub(super) const UNDO: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/accounts/{sid}/token/undo",
    name: "undoToken",
    summary: "Does the next step of taking a replacing back, before the promotion. Ask again until it has ended.",
    scope: Scope::Admin,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<Undo>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<TurnView>()),
    refusals: &[Kind::NotRotated, Kind::TwilioAway],
    run: |call| Box::pin(undo(call)),
};

/// How a token is replaced.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rotate {
    reason: Reason,
    /// Whether it stops before the promotion. Ask so until it waits for `operator`, give requests that were begun with the
    /// old token five seconds, then ask without it.
    #[serde(default)]
    hold: bool,
    /// Whether the old token is forgotten after the promotion although no request came that the new one signed.
    #[serde(default)]
    unconfirmed: bool,
    /// Whether a second token that is there already is deleted, whoever made it.
    #[serde(default)]
    replace_second: bool,
    /// Whether a token is replaced once more that was replaced in the last 24 hours.
    #[serde(default)]
    again: bool,
}

/// Why it is taken back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Undo {
    reason: Reason,
}

async fn list(call: Call<'_>) -> Result<Bytes, Problem> {
    json(&Tokens { tokens: call.engine.views().tokens().await? })
}

async fn rotate(call: Call<'_>) -> Result<Bytes, Problem> {
    let (account, body): (_, Rotate) = (call.account()?, body::read(call.body)?);
    let wish = Wish {
        reason: &body.reason.0,
        holds: body.hold,
        unconfirmed: body.unconfirmed,
        replaces_second: body.replace_second,
        again: body.again,
    };
    let turn = call.engine.rotate(account, &call.actor, &wish).await?;
    json(&TurnView::of(&turn))
}

async fn undo(call: Call<'_>) -> Result<Bytes, Problem> {
    let (account, Undo { reason }) = (call.account()?, body::read(call.body)?);
    let turn = call.engine.undo_rotation(account, &call.actor, &reason.0).await?;
    json(&TurnView::of(&turn))
}

impl From<NotRotated> for Problem {
    fn from(error: NotRotated) -> Self {
        match error {
            NotRotated::Store(error) => error.into(),
            error if error.may_pass() => Self::new(Kind::TwilioAway, error.to_string()),
            error => Self::new(Kind::NotRotated, error.to_string()),
        }
    }
}
