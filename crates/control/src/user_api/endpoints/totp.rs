//! Authenticator applications: enrolled, confirmed by a code before they count, taken away. Their codes are checked as a
//! sign-in's.

use bytes::Bytes;
use http::Method;
use ringfence_store::TotpConfirmed;
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::access::Needs;
use super::super::body::{Code, Label};
use super::super::views::{Enrolled, UserView};
use super::{Call, Endpoint, sign_ins, users};
use crate::json_api::endpoint::Answer;
use crate::json_api::problem::{Kind, Problem};
use crate::json_api::{body, json};

pub(super) const ENROL: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/users/{user}/totp",
    name: "enrolTotp",
    summary: "Makes what an authenticator application shares with us, and shows it once. It counts once it is confirmed; \
              until then one that counts already goes on counting.",
    scope: Needs::Manage,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<Enrol>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<Enrolled>()),
    refusals: &[Kind::InvalidUser, Kind::MayNotManage],
    run: |call| Box::pin(enrol(call)),
};

pub(super) const CONFIRM: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/users/{user}/totp/confirm",
    name: "confirmTotp",
    summary: "Confirms what was enrolled in the last hour, by a code that the authenticator application shows.",
    scope: Needs::Manage,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<Confirm>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<UserView>()),
    refusals: &[Kind::InvalidUser, Kind::MayNotManage, Kind::NoTotp, Kind::WrongCode, Kind::TooManyFailures],
    run: |call| Box::pin(confirm(call)),
};

pub(super) const REMOVE: Endpoint = Endpoint {
    method: Method::DELETE,
    path: "/v1/users/{user}/totp",
    name: "removeTotp",
    summary: "Takes the authenticator application away.",
    scope: Needs::Manage,
    query: &[],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<UserView>()),
    refusals: &[Kind::InvalidUser, Kind::MayNotManage],
    run: |call| Box::pin(remove(call)),
};

/// What the authenticator application shows beside its codes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Enrol {
    /// Who has the account, such as a mail address; what the user is called if it is not given.
    account: Option<Label>,
    /// Whose account it is; the name of the application if it is not given.
    issuer: Option<Label>,
}

/// A code that confirms.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirm {
    /// The code that is shown now.
    code: Code,
}

async fn enrol(call: Call<'_>) -> Result<Bytes, Problem> {
    let (user, Enrol { account, issuer }) = (call.user()?, body::read(call.body)?);
    let seed = call.store().enrol_user_totp(&call.actor(), &user, call.factor.now()).await?;
    let account = account.map_or_else(|| user.name.clone(), |label| label.0);
    let issuer = issuer.map_or_else(|| call.caller.application.name.clone(), |label| label.0);
    let secret = seed.spelled().replace(' ', "");
    json(&Enrolled { secret, uri: seed.uri(&issuer, &account).as_str().to_owned() })
}

async fn confirm(call: Call<'_>) -> Result<Bytes, Problem> {
    let (user, Confirm { code }) = (call.user()?, body::read(call.body)?);
    let now = call.factor.now();
    match call.store().confirm_user_totp(&call.actor(), &user, code.0.expose(), now).await? {
        TotpConfirmed::Confirmed => users::one(&call, &user).await,
        TotpConfirmed::Wrong => Err(sign_ins::wrong()),
        TotpConfirmed::Missing => Err(Problem::new(
            Kind::NoTotp,
            "nothing that was enrolled in the last hour waits to be confirmed",
        )),
        TotpConfirmed::Barred(until) => Err(sign_ins::paused(until, now)),
    }
}

async fn remove(call: Call<'_>) -> Result<Bytes, Problem> {
    let user = call.user()?;
    call.store().remove_user_totp(&call.actor(), &user, call.factor.now()).await?;
    users::one(&call, &user).await
}
