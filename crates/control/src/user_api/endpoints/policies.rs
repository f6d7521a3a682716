//! What is demanded at sign-in: of all users of an application, or of one.

use bytes::Bytes;
use http::Method;
use ringfence_second_factor::policy::{Demands, Strength};
use ringfence_store::UserPolicy;
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::access::Needs;
use super::super::body::{PolicyWord, TrustDays};
use super::super::views::{PolicyView, UserView};
use super::{Call, Endpoint, users};
use crate::json_api::endpoint::Answer;
use crate::json_api::problem::{Kind, Problem};
use crate::json_api::{body, json};

pub(super) const OF_APPLICATION: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/policy",
    name: "getPolicy",
    summary: "What the application demands of its users.",
    scope: Needs::Credential,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<PolicyView>()),
    refusals: &[],
    run: |call| Box::pin(of_application(call)),
};

pub(super) const SET_OF_APPLICATION: Endpoint = Endpoint {
    method: Method::PUT,
    path: "/v1/policy",
    name: "setPolicy",
    summary: "Sets what the application demands of its users that have no policy of their own.",
    scope: Needs::Manage,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<NewPolicy>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<PolicyView>()),
    refusals: &[Kind::MayNotManage],
    run: |call| Box::pin(set_of_application(call)),
};

pub(super) const SET: Endpoint = Endpoint {
    method: Method::PUT,
    path: "/v1/users/{user}/policy",
    name: "setUserPolicy",
    summary: "Gives a user a policy of their own.",
    scope: Needs::Manage,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<NewPolicy>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<UserView>()),
    refusals: &[Kind::InvalidUser, Kind::MayNotManage],
    run: |call| Box::pin(set(call)),
};

pub(super) const CLEAR: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/users/{user}/policy",
    name: "clearUserPolicy",
    summary: "Takes a user's own policy away: the application's holds.",
    scope: Needs::Manage,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<UserView>()),
    refusals: &[Kind::InvalidUser, Kind::MayNotManage],
    run: |call| Box::pin(clear(call)),
};

/// What is to be demanded.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPolicy {
    /// How often the second factor is asked for.
    policy: PolicyWord,
    /// Whether a code to a phone does not do; if it is not given, it does.
    strong: Option<bool>,
    /// For how many days a computer is trusted; 30 if it is not given.
    trust_days: Option<TrustDays>,
}

async fn of_application(call: Call<'_>) -> Result<Bytes, Problem> {
    let policy = call.store().application_policy(call.caller.application.sid).await?;
    json(&PolicyView::from(policy))
}

async fn set_of_application(call: Call<'_>) -> Result<Bytes, Problem> {
    let policy = UserPolicy::from(body::read::<NewPolicy>(call.body)?);
    let application = call.caller.application.sid;
    call.store().set_application_policy(&call.actor(), application, policy, call.factor.now()).await?;
    json(&PolicyView::from(policy))
}

async fn set(call: Call<'_>) -> Result<Bytes, Problem> {
    let (user, policy) = (call.user()?, UserPolicy::from(body::read::<NewPolicy>(call.body)?));
    call.store().set_user_policy(&call.actor(), &user, Some(policy), call.factor.now()).await?;
    users::one(&call, &user).await
}

async fn clear(call: Call<'_>) -> Result<Bytes, Problem> {
    let user = call.user()?;
    call.store().set_user_policy(&call.actor(), &user, None, call.factor.now()).await?;
    users::one(&call, &user).await
}

impl From<NewPolicy> for UserPolicy {
    fn from(new: NewPolicy) -> Self {
        let NewPolicy { policy, strong, trust_days } = new;
        // To take passkeys and nothing else is not offered: an application may have no host for them.
        let strength = if strong.unwrap_or_default() { Strength::NoPhone } else { Strength::Any };
        let demands = Demands { policy: policy.into(), strength };
        Self { demands, trust_days: trust_days.map_or(Self::default().trust_days, |days| days.0) }
    }
}
