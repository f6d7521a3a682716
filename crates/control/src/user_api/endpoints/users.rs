//! One user: what is known, and erasing it.

use bytes::Bytes;
use http::Method;
use ringfence_store::UserName;

use super::super::access::Needs;
use super::super::views::{Erased, UserView};
use super::{Call, Endpoint};
use crate::json_api::endpoint::Answer;
use crate::json_api::json;
use crate::json_api::problem::{Kind, Problem};

pub(super) const ONE: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/users/{user}",
    name: "getUser",
    summary: "What is known of a user.",
    scope: Needs::Credential,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<UserView>()),
    refusals: &[Kind::InvalidUser],
    run: |call| {
        Box::pin(async move {
            let user = call.user()?;
            one(&call, &user).await
        })
    },
};

pub(super) const ERASE: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/users/{user}",
    name: "eraseUser",
    summary: "Erases everything of a user: policy, factors, codes, trusted browsers, sign-ins.",
    scope: Needs::Manage,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<Erased>()),
    refusals: &[Kind::InvalidUser, Kind::MayNotManage],
    run: |call| Box::pin(erase(call)),
};

/// What is known of a user now.
pub(super) async fn one(call: &Call<'_>, user: &UserName) -> Result<Bytes, Problem> {
    json(&UserView::from(call.store().user(user).await?))
}

async fn erase(call: Call<'_>) -> Result<Bytes, Problem> {
    let erased = call.store().erase_user(&call.actor(), &call.user()?, call.factor.now()).await?;
    call.factor.give_back(erased.as_deref().unwrap_or_default()).await?;
    json(&Erased { erased: erased.is_some() })
}
