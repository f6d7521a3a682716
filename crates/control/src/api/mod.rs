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
mod query;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use ringfence_model::Sid;

pub use access::Scope;

use self::endpoints::{Call, ENDPOINTS, Endpoint};
use self::problem::{Kind, Problem};
use crate::engine::Engine;

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
        let mut response = match self.body_of(peer, &request).await {
            Ok((media_type, body)) => {
                let mut response = Response::new(body);
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
                response
            }
            Err(problem) => problem.response(),
        };
        // What is true now may be false in a moment, and is not for caches between here and there.
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let nosniff = HeaderValue::from_static("nosniff");
        response.headers_mut().insert("x-content-type-options", nosniff);
        if is_head {
            let length = response.body().len();
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
            *response.body_mut() = Bytes::new();
        }
        response
    }

    /// An answer and its media type.
    async fn body_of(
        &self,
        peer: SocketAddr,
        request: &Request<Bytes>,
    ) -> Result<(&'static str, Bytes), Problem> {
        let path = request.uri().path();
        // A HEAD is a GET whose body is not wanted.
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        if path == DOCUMENT {
            return if method == Method::GET {
                Ok(("application/json", self.document.clone()))
            } else {
                Err(not_allowed(request.method(), [Method::GET].iter()))
            };
        }
        let (endpoint, account) = find(method, path, request.method())?;
        let secret = access::bearer(request.headers())?;
        let engine = (self.engine)().map_err(|why| Problem::new(Kind::NotReady, why))?;
        let token = access::admit(&engine, &secret, peer.ip(), endpoint.scope).await?;
        let query = query::read(request.uri().query().unwrap_or_default(), endpoint.query)?;
        let account = (!account.is_empty()).then(|| account_of(account)).transpose()?;
        if endpoint.body.is_some() {
            body::expect_json(request)?;
        }
        let call =
            Call { engine: &engine, account, query, body: request.body(), actor: access::actor(&token) };
        Ok((endpoint.answer.media_type(), (endpoint.run)(call).await?))
    }
}

/// The endpoint that a request means, with what its path has for the SID of an account.
fn find<'p>(
    method: &Method,
    path: &'p str,
    as_sent: &Method,
) -> Result<(&'static Endpoint, &'p str), Problem> {
    let mut allowed = Vec::new();
    for endpoint in ENDPOINTS {
        let Some(account) = endpoint.matches(path) else { continue };
        if endpoint.method == *method {
            return Ok((endpoint, account));
        }
        allowed.push(&endpoint.method);
    }
    if allowed.is_empty() {
        return Err(Problem::new(
            Kind::NotFound,
            format!("nothing is at this path; {DOCUMENT} says what there is"),
        ));
    }
    Err(not_allowed(as_sent, allowed.into_iter()))
}

fn not_allowed<'m>(method: &Method, allowed: impl Iterator<Item = &'m Method>) -> Problem {
    let mut names = Vec::new();
    for allowed in allowed {
        names.push(allowed.as_str());
        if *allowed == Method::GET {
            names.push("HEAD");
        }
    }
    let names = names.join(", ");
    Problem::new(Kind::MethodNotAllowed, format!("{method} is not possible here, only {names}"))
        .with_header(ALLOW, &names)
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

/// A status of the table of problems, for documents and answers alike.
fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
