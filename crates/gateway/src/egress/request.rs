//! The request that goes to Twilio: a new head, in which nothing is left of the caller but what he asks for.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE, USER_AGENT,
};
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use ringfence_model::{Secret, Sid};

use super::client::{Client, Failure};
use super::host::TwilioBase;
use super::refusal::Refusal;
use super::target::Target;

/// What an application may say to Twilio beside its request.
const PASSED: [HeaderName; 10] = [
    ACCEPT,
    ACCEPT_LANGUAGE,
    USER_AGENT,
    IF_MATCH,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_RANGE,
    RANGE,
    HeaderName::from_static("x-twilio-client"),
    HeaderName::from_static("idempotency-key"),
];

/// A request that is ready to be sent, once.
#[derive(Debug)]
pub(crate) struct Outgoing {
    client: Client,
    request: Request<Full<Bytes>>,
    within: Duration,
}

/// What is sent.
pub(crate) struct Head<'a> {
    pub(crate) method: &'a Method,
    pub(crate) target: &'a Target<'a>,
    /// In the place of the path and query that came, where they were written anew.
    pub(crate) path_and_query: Option<String>,
    /// As they came.
    pub(crate) headers: &'a HeaderMap,
    pub(crate) content_type: Option<HeaderValue>,
    /// Whether the answer may come compressed: a file, which nobody reads here.
    pub(crate) is_file: bool,
}

impl Outgoing {
    /// Writes the request for Twilio, with the credentials of the account.
    pub(crate) fn new(
        client: &Client,
        base: &TwilioBase,
        head: Head<'_>,
        body: Bytes,
        (account, token): (Sid, &Secret),
        within: Duration,
    ) -> Result<Self, Refusal> {
        let path_and_query = head.path_and_query.as_deref().unwrap_or(head.target.path_and_query);
        let uri =
            base.uri(head.target.host, path_and_query).ok_or(Refusal::BadRequest("target_malformed"))?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        for name in &PASSED {
            if let Some(value) = head.headers.get(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        if let Some(content_type) = head.content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        let coding = head.headers.get(ACCEPT_ENCODING).filter(|_| head.is_file);
        headers.insert(ACCEPT_ENCODING, coding.cloned().unwrap_or(HeaderValue::from_static("identity")));
        headers.insert(AUTHORIZATION, authorization(account, token)?);
        Ok(Self { client: client.clone(), request, within })
    }

    /// Sends it. It cannot be sent again: it is gone.
    pub(crate) async fn send(self) -> Result<Response<Incoming>, Failure> {
        self.client.send(self.request, self.within).await
    }
}

pub(crate) fn authorization(account: Sid, token: &Secret) -> Result<HeaderValue, Refusal> {
    let plain = Secret::new(format!("{account}:{}", token.expose()));
    let encoded = Secret::new(format!("Basic {}", STANDARD.encode(plain.expose())));
    let mut value = HeaderValue::from_str(encoded.expose()).map_err(|_| Refusal::NoToken)?;
    value.set_sensitive(true);
    Ok(value)
}
