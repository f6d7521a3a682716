//! The JSON API of an installation: what `ringfence status` shows and what `trip`, `reset`, `suspend` and `resume` do, for
//! programs.
//!
//! The one idea: there is a single table of [`endpoints`]. Requests are routed by it, permissions are read off it, and the
//! OpenAPI document is written from it, so that none of them can say something else. What an endpoint answers is a view
//! ([`crate::views`]); what it does is a method of the [`Engine`].
//!
//! It knows requests and answers whole; who listens, and how they come over a socket, is the gateway's.

mod access;
mod body;
mod endpoints;
mod openapi;
mod problem;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use ringfence_model::Sid;

pub use access::Scope;

#[cfg(any(test, fuzzing))]
pub(crate) use self::endpoints::BODIES;
use self::endpoints::{Call, ENDPOINTS};
use crate::engine::Engine;
use crate::json_api::problem::{Kind, Problem};
use crate::json_api::{self, body as json_body, endpoint, query};

/// Where the document is that describes the rest. It needs no token.
pub const DOCUMENT: &str = "/openapi.json";

/// What all endpoints are below.
pub const PREFIX: &str = "/v1/";

/// Gives the engine of this moment, or says why there is none: the store is away, the limits differ from other nodes'.
pub type EngineSource = Arc<dyn Fn() -> Result<Arc<Engine>, String> + Send + Sync>;

/// What the API needs.
#[derive(Clone)]
pub struct ApiSetup {
    /// Whom it asks.
    pub engine: EngineSource,
}

/// The API.
#[derive(Clone)]
pub struct Api {
    engine: EngineSource,
    document: Bytes,
}

/// What the queries of the endpoints may say, for the laws.
#[cfg(any(test, fuzzing))]
pub(crate) fn queries() -> impl Iterator<Item = &'static [query::Parameter]> {
    ENDPOINTS.iter().map(|endpoint| endpoint.query)
}

impl Api {
    /// An API that asks this engine.
    pub fn new(setup: ApiSetup) -> Self {
        Self { engine: setup.engine, document: Bytes::from(openapi::document().to_string()) }
    }

    /// Whether a request for this path is for the API.
    pub fn has(path: &str) -> bool {
        path == DOCUMENT || path.starts_with(PREFIX) || path == PREFIX.trim_end_matches('/')
    }

    /// Answers a request whose body was read whole. `peer` is who sent it, as the socket says.
    pub async fn answer(&self, peer: SocketAddr, request: Request<Bytes>) -> Response<Bytes> {
        let is_head = request.method() == Method::HEAD;
        json_api::response(self.body_of(peer, &request).await, is_head)
    }

    async fn body_of(
        &self,
        peer: SocketAddr,
        request: &Request<Bytes>,
    ) -> Result<(&'static str, Bytes), Problem> {
        let path = request.uri().path();
        if path == DOCUMENT {
            return endpoint::document(request.method(), &self.document);
        }
        let (endpoint, parts) = endpoint::find(ENDPOINTS, request.method(), path, DOCUMENT)?;
        let secret = access::bearer(request.headers())?;
        let engine = (self.engine)().map_err(|why| Problem::new(Kind::NotReady, why))?;
        let token = access::admit(&engine, &secret, peer.ip(), endpoint.scope).await?;
        let query = query::read(request.uri().query().unwrap_or_default(), endpoint.query)?;
        let account = parts.first().map(|(_, text)| account_of(text)).transpose()?;
        if endpoint.body.is_some() {
            json_body::expect_json(request)?;
        }
        let call =
            Call { engine: &engine, account, query, body: request.body(), actor: access::actor(&token) };
        Ok((endpoint.answer.media_type(), (endpoint.run)(call).await?))
    }
}

fn account_of(text: &str) -> Result<Sid, Problem> {
    let sid = Sid::parse(text).ok().filter(|sid| sid.is("AC"));
    sid.ok_or_else(|| {
        Problem::new(Kind::NoAccount, "this is no SID of an account: `AC` and 32 hex digits".to_owned())
    })
}

impl fmt::Debug for Api {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Api").finish_non_exhaustive()
    }
}

impl fmt::Debug for ApiSetup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ApiSetup").finish_non_exhaustive()
    }
}
