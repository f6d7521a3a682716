//! What there is to ask: the table that routes requests, says what each needs, and is written down as the OpenAPI document.

mod accounts;
mod breakers;
mod look;

use std::pin::Pin;

use bytes::Bytes;
use http::Method;
use ringfence_model::{Actor, Sid};
use schemars::{Schema, SchemaGenerator};
use serde::Serialize;

use super::access::Scope;
use super::problem::{Kind, Problem};
use super::query::{Parameter, Query};
use crate::engine::Engine;

/// One endpoint.
pub(super) struct Endpoint {
    pub(super) method: Method,
    /// `{sid}` in it stands for the SID of an account.
    pub(super) path: &'static str,
    /// The name of the operation.
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) scope: Scope,
    pub(super) query: &'static [Parameter],
    pub(super) body: Option<ShapeOf>,
    pub(super) answer: Answer,
    /// What it may refuse, beside what every endpoint may.
    pub(super) refusals: &'static [Kind],
    pub(super) run: Run,
}

/// What an endpoint answers with.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// One document of this shape.
    Json(ShapeOf),
    /// One document a line (<https://jsonlines.org>), as many as the page holds, and none where there are none.
    Lines,
}

impl Answer {
    /// Its media type.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Json(_) => "application/json",
            Self::Lines => "application/jsonl",
        }
    }
}

pub(super) type ShapeOf = fn(&mut SchemaGenerator) -> Schema;
type Answering<'a> = Pin<Box<dyn Future<Output = Result<Bytes, Problem>> + Send + 'a>>;
type Run = for<'a> fn(Call<'a>) -> Answering<'a>;

/// A request that may be carried out.
pub(super) struct Call<'a> {
    pub(super) engine: &'a Engine,
    /// The account that the path names.
    pub(super) account: Option<Sid>,
    pub(super) query: Query,
    pub(super) body: &'a [u8],
    pub(super) actor: Actor,
}

/// All of them.
pub(super) static ENDPOINTS: &[Endpoint] = &[
    look::STATUS,
    look::LIMITS,
    breakers::LIST,
    breakers::TRIP,
    breakers::RESET,
    accounts::LIST,
    accounts::ONE,
    accounts::SUSPEND,
    accounts::RESUME,
    look::REPORT,
    look::AUDIT,
    look::AUDIT_EXPORT,
    look::ORDERS,
    look::NODES,
];

impl Endpoint {
    /// What a path has for `{sid}`, empty where there is none in it; nothing if it is another endpoint's.
    pub(super) fn matches<'p>(&self, path: &'p str) -> Option<&'p str> {
        let mut account = "";
        let mut given = path.split('/');
        for wanted in self.path.split('/') {
            let given = given.next()?;
            if wanted == "{sid}" {
                account = Some(given).filter(|given| !given.is_empty())?;
            } else if wanted != given {
                return None;
            }
        }
        given.next().is_none().then_some(account)
    }
}

impl Call<'_> {
    /// The account of a path that has one.
    fn account(&self) -> Result<Sid, Problem> {
        self.account.ok_or_else(|| Problem::new(Kind::NotFound, "the path names no account"))
    }
}

fn json(view: &impl Serialize) -> Result<Bytes, Problem> {
    serde_json::to_vec(view).map(Bytes::from).map_err(|error| {
        tracing::error!(%error, "the API could not write its answer");
        Problem::new(Kind::Fault, "Ringfence failed to write the answer; its log says why")
    })
}
