//! The request to the upstream, made anew: our request line, our framing, the fields that may pass, and what the
//! upstream needs to trust it. Nothing of the inbound framing survives, so no disagreement about it can.

use std::fmt::Display;
use std::io::Write as _;
use std::net::IpAddr;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONNECTION, COOKIE, HeaderMap, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use http::{Method, request::Parts};
use ringfence_signature::Request;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::admission::{Received, VerifiedWebhook, signed_request};
use crate::forwarded::{is_named_by_connection, is_stripped};
use crate::http_rules::{SETTINGS, SIGNATURE};
use crate::proof::{ACCOUNT_HEADER, PROOF_HEADER};
use crate::settings::{Route, Twiml};
use crate::snapshot::{ActiveRoute, Snapshot};
use crate::upstream::{Client, Exchange, Outcome, UpstreamAddress, UpstreamError};

/// The form of the URL that was signed.
pub(crate) const MATCHED_HEADER: &str = "x-ringfence-matched";

/// Fields for which an answer may be encoded, left out, or given in part.
const SHORTENS_THE_ANSWER: [HeaderName; 7] =
    [ACCEPT_ENCODING, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE];

/// Everything that one forwarding needs besides the proof that it may happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forward<'a> {
    pub(crate) active: &'a ActiveRoute,
    pub(crate) address: &'a UpstreamAddress,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) parts: &'a Parts,
    pub(crate) target: &'a str,
    pub(crate) websocket: bool,
    pub(crate) client: IpAddr,
    pub(crate) now_unix: u64,
    pub(crate) deadline: Instant,
}

/// Sends a verified request upstream.
pub(crate) async fn forward(
    client: &Client,
    forward: &Forward<'_>,
    webhook: &VerifiedWebhook,
) -> Result<Outcome, UpstreamError> {
    let head = request_head(forward, webhook);
    let method = &forward.parts.method;
    client
        .send(Exchange {
            address: forward.address,
            head: &head,
            // A handshake was refused long before if it had a body; here it has none whatever happened.
            body: if forward.websocket { Bytes::new() } else { webhook.body().clone() },
            method_is_head: method == Method::HEAD,
            // GET would be by the book, but webhooks act whatever their method.
            idempotent: method == Method::HEAD,
            deadline: forward.deadline,
            upgrade: forward.websocket,
        })
        .await
}

/// The whole head, ready to be written.
fn request_head(forward: &Forward<'_>, webhook: &VerifiedWebhook) -> Vec<u8> {
    let route = &forward.active.route;
    let mut head = HeadWriter(Vec::with_capacity(1024));
    head.0.extend_from_slice(forward.parts.method.as_str().as_bytes());
    head.0.push(b' ');
    head.0.extend_from_slice(forward.target.as_bytes());
    head.0.extend_from_slice(b" HTTP/1.1\r\n");
    head.0.extend_from_slice(&forward.active.fixed_fields);
    head.passed_fields(&forward.parts.headers, route);
    head.shown("x-forwarded-for", forward.client);
    if let Some(allowed) = webhook.allowed() {
        if let Some(account) = &allowed.account {
            head.field(ACCOUNT_HEADER, account.as_str().as_bytes());
        }
        head.field(MATCHED_HEADER, allowed.candidate.as_str().as_bytes());
    }
    if let Some(proof) = &route.proof {
        let body: [u8; 32] = Sha256::digest(webhook.body()).into();
        let method = forward.parts.method.as_str();
        let value = proof.make(forward.now_unix, method, forward.target, &body, webhook.account());
        head.field(PROOF_HEADER, value.as_bytes());
    }
    if let Some(signature) = signed_anew(forward, webhook) {
        head.field(SIGNATURE.as_str(), signature.as_bytes());
    }
    if forward.websocket {
        head.field("connection", b"Upgrade");
        head.field("upgrade", b"websocket");
    } else if has_body(&forward.parts.method, webhook.body()) {
        head.shown("content-length", webhook.body().len());
    }
    head.0.extend_from_slice(b"\r\n");
    head.0
}

/// A signature for the upstream's own URL, by the primary token of the account that signed the first one.
fn signed_anew(forward: &Forward<'_>, webhook: &VerifiedWebhook) -> Option<String> {
    let route: &Route = &forward.active.route;
    let url = route.resign.as_ref()?;
    let received = Received {
        method: &forward.parts.method,
        head: crate::http_rules::Head { authority: "", target: forward.target, websocket: forward.websocket },
        headers: &forward.parts.headers,
        body: webhook.body(),
    };
    let request =
        Request { url: url.receive(forward.target.as_bytes()), ..signed_request(route, &received, None) };
    forward.snapshot.keyring.sign(webhook.account()?, &request)
}

/// RFC 9110 section 8.6: a method that anticipates content says so even when there is none.
fn has_body(method: &Method, body: &Bytes) -> bool {
    !body.is_empty() || matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// Writes header fields in wire form. Names and values come from `http`'s types, which hold no line break.
struct HeadWriter(Vec<u8>);

impl HeadWriter {
    fn field(&mut self, name: &str, value: &[u8]) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        self.0.extend_from_slice(value);
        self.0.extend_from_slice(b"\r\n");
    }

    /// A value that is written as it is shown.
    fn shown(&mut self, name: &str, value: impl Display) {
        // Writing to memory does not fail.
        let _never = write!(self.0, "{name}: {value}\r\n");
    }

    /// RFC 9113 section 8.2.3: HTTP/2 may send cookies apart, HTTP/1.1 takes them as one field.
    fn cookies(&mut self, headers: &HeaderMap) {
        let mut cookies = headers.get_all(COOKIE).iter();
        let Some(first) = cookies.next() else { return };
        self.0.extend_from_slice(b"cookie: ");
        self.0.extend_from_slice(first.as_bytes());
        for cookie in cookies {
            self.0.extend_from_slice(b"; ");
            self.0.extend_from_slice(cookie.as_bytes());
        }
        self.0.extend_from_slice(b"\r\n");
    }

    /// The fields of the request that may pass.
    fn passed_fields(&mut self, headers: &HeaderMap, route: &Route) {
        let connection = headers.get(CONNECTION).is_some();
        let (signed_anew, is_held) = (route.resign.is_some(), route.twiml == Twiml::Limits);
        self.cookies(headers);
        for (name, value) in headers {
            let replaced = *name == COOKIE || signed_anew && (*name == SIGNATURE || *name == SETTINGS);
            // Who reads the answer must get all of it, and plainly.
            let replaced = replaced || is_held && SHORTENS_THE_ANSWER.contains(name);
            let dropped =
                replaced || is_stripped(name) || (connection && is_named_by_connection(name, headers));
            if !dropped {
                self.field(name.as_str(), value.as_bytes());
            }
        }
    }
}
