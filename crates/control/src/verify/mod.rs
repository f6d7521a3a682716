//! The second factor as a service for other applications, in the words of Twilio Verify v2: a program that uses one of
//! Twilio's libraries changes the base URL and its credentials, and nothing else.
//!
//! The one idea: there is a single table of [`ENDPOINTS`], by which requests are routed. An application's service (`VA…`)
//! is the application itself; each credential is of one and reaches no other. Shapes are those of
//! [`ringfence_twilio::wire`], which the sandbox answers with too; errors are Twilio's, with its codes.
//!
//! What is different from Twilio, on purpose: failures count across verifications, so 60202 may come sooner; codes go to
//! no country that was not allowed; a code is sent again after pauses that grow; `approved` on the application's own
//! word takes a scope.
//!
//! It knows requests and answers whole; who listens, and how they come over a socket, is the gateway's.

pub(crate) mod access;
mod attempts;
mod page;
mod params;
mod rate_limits;
mod refusal;
mod services;
mod start;
mod verifications;

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use ringfence_model::{Actor, Sid};
use ringfence_twilio::wire::Form;
use serde::Serialize;

pub use self::access::{KIND, MAY_APPROVE};

use self::access::Caller;
use self::refusal::Refusal;
use crate::engine::Engine;
use crate::second_factor::{Application, SecondFactor};

/// Gives the engine of this moment, or says why there is none.
pub type EngineSource = Arc<dyn Fn() -> Result<Arc<Engine>, String> + Send + Sync>;

/// What the API needs.
#[derive(Clone)]
pub struct VerifySetup {
    /// Whom it asks.
    pub engine: EngineSource,
}

/// The API.
#[derive(Clone)]
pub struct Verify {
    setup: VerifySetup,
}

/// A request that was let in.
struct Call<'c> {
    factor: SecondFactor<'c>,
    caller: &'c Caller,
    /// What stands in the path for the names in braces, decoded.
    params: Params,
    path: String,
    query: Form,
    form: Form,
    base_url: String,
}

/// An answer that says yes.
struct Reply {
    status: StatusCode,
    body: Option<serde_json::Value>,
}

type Answer<'c> = Pin<Box<dyn Future<Output = Result<Reply, Refusal>> + Send + 'c>>;

/// What stands in a path for the names in braces of a template, decoded.
type Params = Vec<(&'static str, String)>;

/// One operation.
struct Endpoint {
    method: Method,
    /// As Twilio's document writes it.
    template: &'static str,
    run: for<'c> fn(&'c Call<'c>) -> Answer<'c>,
}

macro_rules! endpoint {
    // What is known without asking anybody.
    ($method:ident $template:literal now $($run:ident)::+) => {
        Endpoint {
            method: Method::$method,
            template: $template,
            run: |call| Box::pin(std::future::ready($($run)::+(call))),
        }
    };
    ($method:ident $template:literal $($run:ident)::+) => {
        Endpoint { method: Method::$method, template: $template, run: |call| Box::pin($($run)::+(call)) }
    };
}

const ENDPOINTS: &[Endpoint] = &[
    endpoint!(POST "/v2/Services/{ServiceSid}/Verifications" verifications::start),
    endpoint!(GET "/v2/Services/{ServiceSid}/Verifications/{Sid}" verifications::fetch),
    endpoint!(POST "/v2/Services/{ServiceSid}/Verifications/{Sid}" verifications::update),
    endpoint!(POST "/v2/Services/{ServiceSid}/VerificationCheck" verifications::check),
    endpoint!(GET "/v2/Services" now services::list),
    endpoint!(GET "/v2/Services/{ServiceSid}" now services::fetch),
    endpoint!(POST "/v2/Services/{ServiceSid}/RateLimits" rate_limits::create),
    endpoint!(GET "/v2/Services/{ServiceSid}/RateLimits" rate_limits::list),
    endpoint!(GET "/v2/Services/{ServiceSid}/RateLimits/{Sid}" rate_limits::fetch),
    endpoint!(POST "/v2/Services/{ServiceSid}/RateLimits/{Sid}" rate_limits::update),
    endpoint!(DELETE "/v2/Services/{ServiceSid}/RateLimits/{Sid}" rate_limits::delete),
    endpoint!(POST "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets" rate_limits::create_bucket),
    endpoint!(GET "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets" rate_limits::list_buckets),
    endpoint!(GET "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets/{Sid}" rate_limits::fetch_bucket),
    endpoint!(POST "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets/{Sid}" rate_limits::update_bucket),
    endpoint!(DELETE "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets/{Sid}" rate_limits::delete_bucket),
    endpoint!(GET "/v2/Attempts" attempts::list),
    endpoint!(GET "/v2/Attempts/Summary" attempts::summary),
    endpoint!(GET "/v2/Attempts/{Sid}" attempts::fetch),
];

impl Verify {
    /// An API that asks this engine.
    pub fn new(setup: VerifySetup) -> Self {
        Self { setup }
    }

    /// Answers a request whose body was read whole. `from` is who sent it, and `is_https` whether he used TLS.
    pub async fn answer(&self, from: IpAddr, is_https: bool, request: Request<Bytes>) -> Response<Bytes> {
        let is_head = request.method() == Method::HEAD;
        let mut response = match self.reply(from, is_https, &request).await {
            Ok(reply) => reply.response(),
            Err(refusal) => refused(&refusal),
        };
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        if is_head {
            let length = response.body().len();
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
            *response.body_mut() = Bytes::new();
        }
        response
    }

    async fn reply(&self, from: IpAddr, is_https: bool, request: &Request<Bytes>) -> Result<Reply, Refusal> {
        let path = request.uri().path();
        // Who it is comes first: strangers learn nothing of what there is.
        let password = access::basic(request.headers()).ok_or_else(Refusal::unauthenticated)?;
        let engine = (self.setup.engine)().map_err(|why| Refusal::unavailable(&why))?;
        let Some(factor) = engine.second_factor() else {
            return Err(Refusal::unavailable("the second factor is not configured"));
        };
        let caller = access::admit(factor, &password, from).await?.ok_or_else(Refusal::unauthenticated)?;
        let (endpoint, params) = find(request.method(), path)?;
        let form = params::form(request)?;
        let call = Call {
            factor,
            caller: &caller,
            params,
            path: path.to_owned(),
            query: Form::parse(request.uri().query().unwrap_or_default().as_bytes()),
            form,
            base_url: base_url(factor, is_https, request),
        };
        (endpoint.run)(&call).await
    }
}

/// What URLs in answers begin with.
fn base_url(factor: SecondFactor<'_>, is_https: bool, request: &Request<Bytes>) -> String {
    if let Some(url) = &factor.settings().public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let scheme = if is_https { "https" } else { "http" };
    let host = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
    // What is no host is not repeated.
    let is_host = |host: &&str| {
        host.parse::<http::uri::Authority>().is_ok_and(|authority| !authority.as_str().contains('@'))
    };
    format!("{scheme}://{}", host.filter(is_host).unwrap_or("localhost"))
}

/// The endpoint that a request means, with what its path has for the names in braces.
fn find(method: &Method, path: &str) -> Result<(&'static Endpoint, Params), Refusal> {
    // A HEAD is a GET whose body is not wanted.
    let meant = if method == Method::HEAD { &Method::GET } else { method };
    let mut is_there = false;
    // Where two templates fit, the one with fewer names in braces is meant.
    let mut found: Option<(&'static Endpoint, Params)> = None;
    for endpoint in ENDPOINTS {
        let Some(params) = matched(endpoint.template, path) else { continue };
        is_there = true;
        if endpoint.method == *meant && found.as_ref().is_none_or(|(_, before)| params.len() < before.len()) {
            found = Some((endpoint, params));
        }
    }
    match found {
        Some(found) => Ok(found),
        None if is_there => Err(Refusal::method_not_allowed(method.as_str(), path, &allowed(path))),
        None => Err(Refusal::not_found(path)),
    }
}

fn allowed(path: &str) -> String {
    let mut methods: Vec<&str> = ENDPOINTS
        .iter()
        .filter(|endpoint| matched(endpoint.template, path).is_some())
        .map(|endpoint| endpoint.method.as_str())
        .collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.join(", ")
}

fn matched(template: &'static str, path: &str) -> Option<Params> {
    let mut params = Vec::new();
    let mut segments = path.split('/');
    for wanted in template.split('/') {
        let segment = segments.next()?;
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if !segment.is_empty() => {
                params.push((name, percent_decode_str(segment).decode_utf8().ok()?.into_owned()));
            }
            None if wanted == segment => {}
            _ => return None,
        }
    }
    segments.next().is_none().then_some(params)
}

impl Call<'_> {
    /// What stands in the path for a name.
    fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// The SID in the path; what is none is not there.
    fn sid(&self, name: &str) -> Result<Sid, Refusal> {
        Sid::parse(self.param(name)).map_err(|_| self.not_found())
    }

    /// The application that the path names, which is the caller's own.
    fn application(&self) -> Result<&Application, Refusal> {
        let named = self.sid("ServiceSid")?;
        if named == self.caller.application.sid {
            Ok(&self.caller.application)
        } else {
            Err(self.not_found())
        }
    }

    fn not_found(&self) -> Refusal {
        Refusal::not_found(&self.path)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// The account that is shown as everything's: the one that codes go out from.
    fn account(&self) -> String {
        self.factor.settings().account.to_string()
    }

    fn actor(&self) -> Actor {
        Actor::Application(self.caller.credential.sid.to_string())
    }
}

impl Reply {
    fn ok(shape: &impl Serialize) -> Self {
        Self::with(StatusCode::OK, shape)
    }

    fn created(shape: &impl Serialize) -> Self {
        Self::with(StatusCode::CREATED, shape)
    }

    fn deleted() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: None }
    }

    fn with(status: StatusCode, shape: &impl Serialize) -> Self {
        let body = serde_json::to_value(shape).expect("wire shapes have text keys and finite numbers");
        Self { status, body: Some(body) }
    }

    fn response(self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = self.status;
        if let Some(body) = self.body {
            *response.body_mut() = Bytes::from(body.to_string());
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        response
    }
}

fn refused(refusal: &Refusal) -> Response<Bytes> {
    let body = serde_json::to_string(&refusal.error).unwrap_or_default();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() =
        StatusCode::from_u16(refusal.error.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = refusal.retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.error.status == 401 {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Ringfence second factor\""));
    }
    if let Some(allowed) = refusal.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
        headers.insert(ALLOW, allowed);
    }
    response
}

impl fmt::Debug for Verify {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Verify").finish_non_exhaustive()
    }
}

impl fmt::Debug for VerifySetup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("VerifySetup").finish_non_exhaustive()
    }
}
