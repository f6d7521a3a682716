//! What Twilio Verify lacks, for the same applications with the same credentials: what is needed for this sign-in, by which
//! factor it was passed, which browsers are trusted, authenticator applications and recovery codes.
//!
//! The one idea: an application asks one question after the password, and the answer says everything:
//! [`sign_ins`](endpoints). There is a single table of endpoints, by which requests are routed and the OpenAPI document is
//! written. A user is called what the application calls them, and a wrong code is never a success.
//!
//! Codes to phones are the challenges of [`crate::second_factor`], under the same budgets and counters as those of
//! [`crate::verify`]. It knows requests and answers whole; who listens is the gateway's.

mod access;
mod body;
mod endpoints;
mod openapi;
mod views;

use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;
use http::{Method, Request, Response};

pub use self::access::MAY_MANAGE;

#[cfg(any(test, fuzzing))]
pub(crate) use self::endpoints::BODIES;
use self::endpoints::{Call, ENDPOINTS};
use crate::api::EngineSource;
use crate::json_api::problem::{Kind, Problem};
use crate::json_api::{self, body as json_body, endpoint, query};

/// Where the document is that describes the rest. It needs no credential.
pub const DOCUMENT: &str = "/v1/openapi.json";

/// What all endpoints are below.
const PREFIX: &str = "/v1/";

/// The API.
#[derive(Clone)]
pub struct UserApi {
    engine: EngineSource,
    document: Bytes,
}

impl UserApi {
    /// An API that asks this engine.
    pub fn new(engine: EngineSource) -> Self {
        Self { engine, document: Bytes::from(openapi::document().to_string()) }
    }

    /// Whether a request for this path is for this API, and not for Verify's.
    pub fn has(path: &str) -> bool {
        path.starts_with(PREFIX) || path == PREFIX.trim_end_matches('/')
    }

    /// Answers a request whose body was read whole. `from` is who sent it.
    pub async fn answer(&self, from: IpAddr, request: Request<Bytes>) -> Response<Bytes> {
        let is_head = request.method() == Method::HEAD;
        json_api::response(self.body_of(from, &request).await, is_head)
    }

    async fn body_of(
        &self,
        from: IpAddr,
        request: &Request<Bytes>,
    ) -> Result<(&'static str, Bytes), Problem> {
        let path = request.uri().path();
        if path == DOCUMENT {
            return endpoint::document(request.method(), &self.document);
        }
        // Who it is comes first: strangers learn nothing of what there is.
        let password = access::password(request.headers())?;
        let engine = (self.engine)().map_err(|why| Problem::new(Kind::NotReady, why))?;
        let factor = engine
            .second_factor()
            .ok_or_else(|| Problem::new(Kind::NotReady, "the second factor is not configured"))?;
        let caller = access::admit(factor, &password, from).await?;
        let (endpoint, parts) = endpoint::find(ENDPOINTS, request.method(), path, DOCUMENT)?;
        access::may(&caller, endpoint.scope)?;
        query::read(request.uri().query().unwrap_or_default(), endpoint.query)?;
        if endpoint.body.is_some() {
            json_body::expect_json(request)?;
        }
        let call = Call { factor, caller: &caller, parts, body: request.body() };
        Ok((endpoint.answer.media_type(), (endpoint.run)(call).await?))
    }
}

impl fmt::Debug for UserApi {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UserApi").finish_non_exhaustive()
    }
}
