//! Breakers: where they stand, stopping and lifting.

use bytes::Bytes;
use http::Method;
use ringfence_breaker::{Per, Subject};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::access::Scope;
use super::super::body::{AccountSid, Allowed, Beginning, Reason};
use super::{Call, Endpoint, json};
use crate::engine::Engine;
use crate::json_api::body;
use crate::json_api::endpoint::Answer;
use crate::json_api::problem::{Kind, Problem};
use crate::json_api::query::{CURSOR, Form, PAGE_SIZE, Parameter};
use crate::views::{BreakerFilter, BreakerView, Breakers, PhaseName};

pub(super) const LIST: Endpoint = Endpoint {
    method: Method::GET,
    path: "/v1/breakers",
    name: "listBreakers",
    summary: "Where each limit stands for each account.",
    scope: Scope::Read,
    query: &[
        Parameter { name: "limit", form: Form::Text, description: "Of this limit." },
        Parameter {
            name: "account",
            form: Form::Account,
            description: "That hold for this account, alone or with others.",
        },
        Parameter {
            name: "phase",
            form: Form::Word(&["tripped", "probing", "passing"]),
            description: "In this phase.",
        },
        CURSOR,
        PAGE_SIZE,
    ],
    body: None,
    answer: Answer::Json(|shapes| shapes.subschema_for::<Breakers>()),
    refusals: &[Kind::NoLimit],
    run: |call| Box::pin(list(call)),
};

pub(super) const TRIP: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/breakers/trip",
    name: "tripBreaker",
    summary: "Stops an account of a limit now, on every node. Stopping again what is stopped is success.",
    scope: Scope::Operate,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<Trip>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<BreakerView>()),
    refusals: &[Kind::NoLimit, Kind::OutOfScope],
    run: |call| Box::pin(trip(call)),
};

pub(super) const RESET: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/breakers/reset",
    name: "resetBreaker",
    summary: "Lifts a trip, and says how much more may be used in this window.",
    scope: Scope::Operate,
    query: &[],
    body: Some(|shapes| shapes.subschema_for::<Lift>()),
    answer: Answer::Json(|shapes| shapes.subschema_for::<BreakerView>()),
    refusals: &[Kind::NoLimit, Kind::OutOfScope],
    run: |call| Box::pin(reset(call)),
};

/// What is to be stopped.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Trip {
    /// The limit's name.
    limit: String,
    /// The account; none for a limit that holds for all of them together, or for a beginning of numbers.
    account: Option<AccountSid>,
    /// The beginning of phone numbers, such as `+959`, of a limit that holds for each of them.
    prefix: Option<Beginning>,
    reason: Reason,
}

/// What is to be lifted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Reset")]
pub(super) struct Lift {
    /// The limit's name.
    limit: String,
    /// The account; none for a limit that holds for all of them together, or for a beginning of numbers.
    account: Option<AccountSid>,
    /// The beginning of phone numbers, such as `+959`, of a limit that holds for each of them.
    prefix: Option<Beginning>,
    /// How much more may be used in this window, as a text; what the limit says if it is not given.
    allow: Option<Allowed>,
    reason: Reason,
}

async fn list(call: Call<'_>) -> Result<Bytes, Problem> {
    let filter = BreakerFilter {
        limit: call.query.text("limit").map(str::to_owned),
        account: call.query.account("account"),
        phase: call.query.text("phase").and_then(|word| match word {
            "tripped" => Some(PhaseName::Tripped),
            "probing" => Some(PhaseName::Probing),
            "passing" => Some(PhaseName::Passing),
            _ => None,
        }),
    };
    json(&call.engine.views().breakers(&filter, &call.query.page()).await?)
}

async fn trip(call: Call<'_>) -> Result<Bytes, Problem> {
    let Trip { limit, account, prefix, reason } = body::read(call.body)?;
    let subject = subject(call.engine, &limit, account, prefix)?;
    call.engine.trip(&limit, subject, &call.actor, &reason.0).await?;
    json(&call.engine.views().breaker(&limit, subject).await?)
}

async fn reset(call: Call<'_>) -> Result<Bytes, Problem> {
    let Lift { limit, account, prefix, allow, reason } = body::read(call.body)?;
    let subject = subject(call.engine, &limit, account, prefix)?;
    let allow = allow.map(|allowed| allowed.0);
    call.engine.reset(&limit, subject, allow, &call.actor, &reason.0).await?;
    json(&call.engine.views().breaker(&limit, subject).await?)
}

/// Whose breaker is meant. A limit that is unknown, or does not hold for it, is for the engine to refuse.
fn subject(
    engine: &Engine,
    limit: &str,
    account: Option<AccountSid>,
    prefix: Option<Beginning>,
) -> Result<Subject, Problem> {
    let per = engine.limits().iter().find(|it| it.limit.name == limit).map(|it| it.limit.per);
    let out_of_scope = |detail: String| Err(Problem::new(Kind::OutOfScope, detail));
    match (account, prefix, per) {
        (Some(_), Some(_), _) => out_of_scope("name an `account` or a `prefix`, not both".to_owned()),
        (Some(AccountSid(sid)), None, _) => Ok(Subject::Account(sid)),
        (None, Some(Beginning(beginning)), _) => Ok(Subject::Prefix(beginning)),
        (None, None, Some(Per::Account)) => {
            out_of_scope(format!("the limit \"{limit}\" holds for each account: name one as `account`"))
        }
        (None, None, Some(Per::Prefix)) => out_of_scope(format!(
            "the limit \"{limit}\" holds for each beginning of a number: name one as `prefix`"
        )),
        (None, None, Some(Per::Together) | None) => Ok(Subject::Together),
    }
}
