//! Recovery codes: made ten at once, shown once, each good once. They are checked as a sign-in's codes.

use bytes::Bytes;
use http::Method;

use super::super::access::Needs;
use super::super::views::{RecoveryCodes, UserView};
use super::{Call, Endpoint, users};
use crate::json_api::endpoint::Answer;
use crate::json_api::json;
use crate::json_api::problem::{Kind, Problem};

pub(super) const MAKE: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/users/{user}/recovery-codes",
    name: "makeRecoveryCodes",
    summary: "Makes new recovery codes in the place of those that are left, and shows them once.",
    scope: Needs::Manage,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<RecoveryCodes>()),
    refusals: &[Kind::InvalidUser, Kind::MayNotManage],
    run: |call| Box::pin(make(call)),
};

pub(super) const REMOVE: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/users/{user}/recovery-codes",
    name: "removeRecoveryCodes",
    summary: "Takes the recovery codes away.",
    scope: Needs::Manage,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<UserView>()),
    refusals: &[Kind::InvalidUser, Kind::MayNotManage],
    run: |call| Box::pin(remove(call)),
};

async fn make(call: Call<'_>) -> Result<Bytes, Problem> {
    let codes = call.store().new_user_recovery_codes(&call.actor(), &call.user()?, call.factor.now()).await?;
    json(&RecoveryCodes { codes: codes.iter().map(|code| code.spelled().as_str().to_owned()).collect() })
}

async fn remove(call: Call<'_>) -> Result<Bytes, Problem> {
    let user = call.user()?;
    call.store().remove_user_recovery_codes(&call.actor(), &user, call.factor.now()).await?;
    users::one(&call, &user).await
}
