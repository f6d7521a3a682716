//! The decision: may this request pass? A function from bytes to a [`VerifiedWebhook`] or a [`Reason`]; it does
//! no I/O.
//!
//! `VerifiedWebhook` is the proof that the check was made: its field is private, [`admit`] is its only
//! constructor, and everything that talks to an upstream demands one.

use std::borrow::Cow;

use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use ringfence_model::Secret;
use ringfence_signature::{
    AccountSid, Accounts, Allowed, Keyring, Policy, Request, Scratch, Verdict, check_header, fields, verify,
};

use crate::basic::{BasicRefusal, BasicUsers};
use crate::http_rules::{Head, SETTINGS, SIGNATURE};
use crate::reason::Reason;
use crate::settings::{Check, Route, SignedBy, Upstream};

/// A complete request that passed every check of its route.
#[derive(Debug)]
pub(crate) struct VerifiedWebhook {
    body: Bytes,
    allowed: Option<Allowed>,
}

impl VerifiedWebhook {
    /// The body, byte for byte as it was verified.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// What the signature proved; `None` on a route that asks for Basic credentials alone.
    pub(crate) fn allowed(&self) -> Option<&Allowed> {
        self.allowed.as_ref()
    }

    /// The account whose key signed.
    pub(crate) fn account(&self) -> Option<&AccountSid> {
        self.allowed.as_ref()?.account.as_ref()
    }
}

/// A request whose body has arrived whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    pub(crate) method: &'a Method,
    pub(crate) head: Head<'a>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a Bytes,
}

/// A request whose head lets it pass so far: where its route asks for Basic credentials, they are somebody's.
#[derive(Debug)]
pub(crate) struct Admissible {
    /// The presented `user:password`.
    credentials: Option<Secret>,
}

impl Admissible {
    /// The presented `user:password`, which Twilio may have signed its URL with.
    pub(crate) fn credentials(&self) -> Option<&[u8]> {
        self.credentials.as_ref().map(|credentials| credentials.expose().as_bytes())
    }
}

/// Whether a request can pass at all, by its head alone: so that a stranger without a signature or credentials
/// makes nobody read and keep a body.
pub(crate) fn admissible(route: &Route, headers: &HeaderMap) -> Result<Admissible, Reason> {
    let credentials = match &route.check {
        Check::Signature => None,
        Check::Basic(users) | Check::SignatureAndBasic(users) => Some(check_basic(users, headers)?),
    };
    match route.check {
        Check::Basic(_) => {}
        Check::Signature | Check::SignatureAndBasic(_) => {
            let signature = headers.get(SIGNATURE).map(|value| value.as_bytes());
            check_header(signature).map_err(Reason::Signature)?;
        }
    }
    Ok(Admissible { credentials })
}

/// Decides about one request, by the check of its route.
pub(crate) fn admit(
    route: &Route,
    keyring: &Keyring,
    admissible: &Admissible,
    received: &Received<'_>,
    scratch: &mut Scratch,
) -> Result<VerifiedWebhook, Reason> {
    let credentials = admissible.credentials();
    let allowed = match &route.check {
        Check::Basic(_) => None,
        Check::Signature | Check::SignatureAndBasic(_) => {
            Some(check_signature(route, keyring, received, credentials, scratch)?)
        }
    };
    Ok(VerifiedWebhook { body: received.body.clone(), allowed })
}

/// The presented `user:password`, if it is somebody's.
fn check_basic(users: &BasicUsers, headers: &HeaderMap) -> Result<Secret, Reason> {
    match users.check(headers.get(AUTHORIZATION).map(|value| value.as_bytes())) {
        // Configured names and passwords are text, so what matched one is.
        Ok(found) => Ok(Secret::new(String::from_utf8_lossy(found.userinfo()))),
        Err(BasicRefusal::Missing) => Err(Reason::BasicMissing),
        Err(BasicRefusal::Malformed) => Err(Reason::BasicMalformed),
        Err(BasicRefusal::WrongCredentials) => Err(Reason::BasicWrong),
    }
}

fn check_signature(
    route: &Route,
    keyring: &Keyring,
    received: &Received<'_>,
    credentials: Option<&[u8]>,
    scratch: &mut Scratch,
) -> Result<Allowed, Reason> {
    match verify(&signed_request(route, received, credentials), keyring, &policy(route), scratch) {
        Verdict::Allow(allowed) => Ok(allowed),
        Verdict::Refuse(refusal) => Err(Reason::Signature(refusal)),
    }
}

/// The request as the verifier sees it: under the public URL of the configuration. Twilio takes the credentials
/// that a URL carries out of what it signs on some products and leaves them in on others, so those that were
/// just proven good are offered as a candidate.
pub(crate) fn signed_request<'a>(
    route: &'a Route,
    received: &Received<'a>,
    credentials: Option<&'a [u8]>,
) -> Request<'a> {
    let mut url = route.public_url.receive(received.head.target.as_bytes());
    if let Some(credentials) = credentials {
        url = url.with_userinfo(credentials);
    }
    let field = |name| received.headers.get(name).map(|value: &http::HeaderValue| value.as_bytes());
    Request {
        method: received.method.as_str(),
        url,
        websocket: received.head.websocket,
        content_type: field(CONTENT_TYPE),
        body: received.body,
        signature: field(SIGNATURE),
        settings: field(SETTINGS),
    }
}

/// The parameters, read where the verifier reads them: those of a form, or of the query where there is no form.
pub(crate) fn parameters<'a>(
    request: &Request<'a>,
) -> impl Iterator<Item = (Cow<'a, [u8]>, Cow<'a, [u8]>)> + use<'a> {
    let has_form = !request.body.is_empty() && request.is_form();
    fields(if has_form { request.body } else { request.url.query().unwrap_or_default() })
}

/// What the route asks of a signature.
pub(crate) fn policy(route: &Route) -> Policy<'_> {
    Policy {
        accounts: route.accounts.as_deref().map_or(Accounts::Any, Accounts::Listed),
        strict: route.strict,
        try_userinfo: route.public_url.has_userinfo() || matches!(route.check, Check::SignatureAndBasic(_)),
        // Which of the two signs for a trigger under a subaccount, Twilio does not say.
        parent_may_stand_in: route.upstream == Upstream::Breaker,
        needs_shared_key: route.signed_by == SignedBy::SharedKey,
    }
}
