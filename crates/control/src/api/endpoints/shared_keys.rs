//! SharedKeys that sign webhooks: how far they are, what differs at Twilio, and having it brought in line. No secret of a key goes
//! in here, and one goes out alone where it is asked for, which is written down.

use bytes::Bytes;
use http::Method;
use ringfence_store::Account;
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::access::Scope;
use super::super::body::Reason;
use super::{Call, Endpoint, json};
use crate::json_api::body;
use crate::json_api::endpoint::Answer;
use crate::json_api::problem::{Kind, Problem};
use crate::shared_keys::NotBegun;
use crate::views::{SharedKeyPlan, SharedKeys, ShownSharedKey};

/// For so many accounts Twilio is asked at the same time.
const AT_ONCE: usize = 8;

pub(super) const LIST: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/shared-keys",
    name: "listSharedKeys",
    summary: "The SharedKeys that sign webhooks, those to come and those that went. No secret is among it.",
    scope: Scope::Read,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<SharedKeys>()),
    refusals: &[],
    run: |call| Box::pin(async move { json(&call.engine.views().shared_keys().await?) }),
};

pub(super) const PLAN: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/shared-keys/plan",
    name: "planSharedKeys",
    summary: "What keys, settings and rules at Twilio would be changed, as Twilio shows them now. It changes nothing.",
    scope: Scope::Read,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<SharedKeyPlan>()),
    refusals: &[Kind::NoSharedKeys],
    run: |call| Box::pin(bring(call, false)),
};

pub(super) const APPLY: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/shared-keys/apply",
    name: "applySharedKeys",
    summary: "Does what can be done at once to bring keys, settings and rules at Twilio in line; `serve` goes on.",
    scope: Scope::Admin,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<SharedKeyPlan>()),
    refusals: &[Kind::NoSharedKeys],
    run: |call| Box::pin(bring(call, true)),
};

pub(super) const ROTATE: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/accounts/{sid}/shared-key/rotate",
    name: "rotateSharedKey",
    summary: "Begins another key in the place of the one that signs, or lets one that is held go on; `serve` goes on.",
    scope: Scope::Admin,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<Rotate>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<SharedKeyPlan>()),
    refusals: &[Kind::NoSharedKeys, Kind::NotReplaced, Kind::TwilioAway],
    run: |call| Box::pin(rotate(call)),
};

pub(super) const UNDO: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/accounts/{sid}/shared-key/undo",
    name: "undoSharedKey",
    summary: "Takes back a key that is prepared, before it signs.",
    scope: Scope::Admin,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<Undo>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<SharedKeyPlan>()),
    refusals: &[Kind::NoSharedKeys, Kind::NotReplaced, Kind::TwilioAway],
    run: |call| Box::pin(undo(call)),
};

pub(super) const SHOW: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/accounts/{sid}/shared-key/show",
    name: "showSharedKey",
    summary: "Gives out the key that signs, or the one that is held, with its secret, for a gate without a store. The audit log \
              keeps that.",
    scope: Scope::Admin,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<Show>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<ShownSharedKey>()),
    refusals: &[Kind::NoKeySigns],
    run: |call| Box::pin(show(call)),
};

/// How a key is replaced.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RotateSharedKey")]
pub(super) struct Rotate {
    reason: Reason,
    /// Whether it stops before it signs. Asked again without it, it goes on.
    #[serde(default)]
    hold: bool,
}

/// Why it is taken back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UndoSharedKey")]
pub(super) struct Undo {
    reason: Reason,
}

/// Why it is given out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ShowSharedKey")]
pub(super) struct Show {
    #[serde(default)]
    reason: Option<Reason>,
}

async fn bring(call: Call<'_>, applies: bool) -> Result<Bytes, Problem> {
    call.engine.shared_keys()?;
    if applies {
        // The accounts may not be known yet, and a key goes to one that is there.
        call.engine.synchronise_accounts().await?;
    }
    let accounts = call.engine.store().accounts().await?;
    brought(&call, &accounts, applies).await
}

async fn rotate(call: Call<'_>) -> Result<Bytes, Problem> {
    let Rotate { reason, hold } = body::read(call.body)?;
    let (settings, account) = (call.engine.shared_keys()?, find(&call).await?);
    call.engine.rotate_shared_key(settings, &account, &call.actor, &reason.0, hold).await?;
    brought(&call, &[account], true).await
}

async fn undo(call: Call<'_>) -> Result<Bytes, Problem> {
    let Undo { reason } = body::read(call.body)?;
    call.engine.shared_keys()?;
    let account = find(&call).await?;
    call.engine.undo_shared_key(account.sid, &call.actor, &reason.0).await?;
    brought(&call, &[account], true).await
}

async fn show(call: Call<'_>) -> Result<Bytes, Problem> {
    let Show { reason } = body::read(call.body)?;
    let account = find(&call).await?;
    let reason = reason.as_ref().map(|reason| reason.0.as_str());
    let key = call.engine.show_shared_key(account.sid, &call.actor, reason).await?;
    json(&ShownSharedKey { id: key.id, secret: key.secret })
}

async fn find(call: &Call<'_>) -> Result<Account, Problem> {
    let sid = call.account()?;
    let account = call.engine.store().find_account(sid).await?;
    account.ok_or_else(|| Problem::new(Kind::NoAccount, format!("{sid} is no account that is known here")))
}

/// Does at once what can be done at once, or compares.
async fn brought(call: &Call<'_>, accounts: &[Account], applies: bool) -> Result<Bytes, Problem> {
    let (settings, by) = (call.engine.shared_keys()?, applies.then_some(&call.actor));
    let brought = call.engine.bring_shared_keys(settings, accounts, by, AT_ONCE).await?;
    json(&call.engine.views().shared_key_plan(&brought, applies).await?)
}

impl From<NotBegun> for Problem {
    fn from(error: NotBegun) -> Self {
        match error {
            NotBegun::Store(error) => error.into(),
            NotBegun::NotConfigured => Self::new(Kind::NoSharedKeys, error.to_string()),
            NotBegun::NoneToShow(_) => Self::new(Kind::NoKeySigns, error.to_string()),
            NotBegun::Trouble(ref trouble) if !trouble.is_refusal() => {
                Self::new(Kind::TwilioAway, error.to_string())
            }
            error => Self::new(Kind::NotReplaced, error.to_string()),
        }
    }
}
