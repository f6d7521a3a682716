//! What there is to ask: the table that routes requests, says what each needs, and is written down as the OpenAPI document.

mod accounts;
mod breakers;
mod incidents;
mod look;
mod requests;
mod shared_keys;
mod tokens;

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use ringfence_model::{Actor, Sid};

use super::access::Scope;
use crate::engine::Engine;
#[cfg(any(test, fuzzing))]
use crate::json_api::body as json_body;
use crate::json_api::endpoint;
use crate::json_api::json;
use crate::json_api::problem::{Kind, Problem};
use crate::json_api::query::Query;

/// One endpoint.
pub(super) type Endpoint = endpoint::Endpoint<Scope, Run>;

type Answering<'a> = Pin<Box<dyn Future<Output = Result<Bytes, Problem>> + Send + 'a>>;
pub(super) type Run = for<'a> fn(Call<'a>) -> Answering<'a>;

/// A request that may be carried out.
pub(super) struct Call<'a> {
    pub(super) engine: &'a Arc<Engine>,
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
    tokens::LIST,
    tokens::ROTATE,
    tokens::UNDO,
    shared_keys::LIST,
    shared_keys::PLAN,
    shared_keys::APPLY,
    shared_keys::ROTATE,
    shared_keys::UNDO,
    shared_keys::SHOW,
    look::REPORT,
    look::LEDGER,
    incidents::LIST,
    requests::LIST,
    look::AUDIT,
    look::AUDIT_EXPORT,
    look::ORDERS,
    look::NODES,
];

/// What the body of each endpoint that has one is read by, for the laws.
#[cfg(any(test, fuzzing))]
pub(crate) const BODIES: &[json_body::Reads] = &[
    json_body::reads::<breakers::Trip>,
    json_body::reads::<breakers::Lift>,
    json_body::reads::<accounts::Because>,
    json_body::reads::<shared_keys::Rotate>,
    json_body::reads::<shared_keys::Undo>,
    json_body::reads::<shared_keys::Show>,
];

impl Call<'_> {
    /// The account of a path that has one.
    fn account(&self) -> Result<Sid, Problem> {
        self.account.ok_or_else(|| Problem::new(Kind::NotFound, "the path names no account"))
    }
}
