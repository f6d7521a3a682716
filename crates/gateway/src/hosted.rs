//! The listeners of the console and of the second factor: what reaches them is checked as HTTP, told from whom it comes,
//! and handed over whole. Everything else about them is the business of whoever made the hook.
//!
//! The one idea: behind this border a request has one form, however it came. One `Host`, a target that is a path, one
//! `Cookie`, and no header in which anybody speaks for somebody else: that is in [`Caller`] already.

use std::sync::Arc;

use http::header::{COOKIE, HOST, HeaderMap};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::sync::Semaphore;

use crate::connection::Connection;
use crate::forwarded::{self, TrustedPeers, client_address};
use crate::hooks::{Caller, Hosted, Told};
use crate::http_rules;
use crate::reason::Reason;
use crate::respond::GateBody;
use crate::whole::{Desk, Unanswered};

/// One such listener.
#[derive(Debug)]
pub(crate) struct HostedEnd {
    hook: Option<Hook>,
    desk: Desk,
    /// For what proxies ask, where the listener is asked such things, and with what their paths begin.
    questions: Option<(&'static str, Desk)>,
    /// Whether connections begin with a TLS handshake.
    pub(crate) is_tls: bool,
    /// Places for connections; no listener takes another's.
    pub(crate) connections: Arc<Semaphore>,
}

/// What makes the answers, in a form that can be shown.
struct Hook(Hosted);

impl std::fmt::Debug for Hook {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Hook(…)")
    }
}

impl HostedEnd {
    pub(crate) fn new(hook: Option<Hosted>, desk: Desk, is_tls: bool, connections_max: usize) -> Self {
        let connections = Arc::new(Semaphore::new(connections_max));
        Self { hook: hook.map(Hook), desk, questions: None, is_tls, connections }
    }

    /// The same, with places of their own for what listed proxies ask: once for each picture of each page, of everybody who has an
    /// address in common. They have no share of that address's.
    pub(crate) fn asked_by_proxies(self, at: Option<&'static str>, questions: Desk) -> Self {
        Self { questions: at.map(|at| (at, questions)), ..self }
    }

    /// Where this request has its place. What has a body is no question, and waits for it where each has a share.
    fn desk_for(&self, caller: &Caller, path: &str, has_body: bool) -> &Desk {
        match &self.questions {
            Some((at, questions)) if caller.told.is_some() && !has_body && path.starts_with(at) => questions,
            _ => &self.desk,
        }
    }
}

/// Answers one request.
pub(crate) async fn handle(
    end: &HostedEnd,
    connection: &Connection,
    request: Request<Incoming>,
) -> Response<GateBody> {
    let Some(Hook(hook)) = &end.hook else {
        let nobody = Unanswered::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "nobody answers here");
        return end.desk.say(request.uri().path(), &nobody).map(GateBody::full);
    };
    let (mut parts, body) = request.into_parts();
    let has_body = !body.is_end_stream();
    let caller = {
        let snapshot = connection.worker.shared.snapshot.load();
        prepare(&mut parts, has_body, connection, end.is_tls, &snapshot.trusted_proxies)
    };
    let caller = match caller {
        Ok(caller) => caller,
        Err(reason) => {
            tracing::info!(client = %connection.peer, reason = reason.as_str(), "not a sound request");
            let why = format!("this request is refused: {reason}");
            let refused = Unanswered::new(StatusCode::BAD_REQUEST, "malformed-request", why);
            return end.desk.say(parts.uri.path(), &refused).map(GateBody::full);
        }
    };
    let hook = Arc::clone(hook);
    let desk = end.desk_for(&caller, parts.uri.path(), has_body);
    let (from, request) = (caller.address, Request::from_parts(parts, body));
    let answer = desk.ask(from, request, move |request| hook(caller, request)).await;
    answer.map(GateBody::full)
}

/// Gives the request its one form, and says who sent it.
fn prepare(
    parts: &mut Parts,
    has_body: bool,
    connection: &Connection,
    is_tls: bool,
    trusted: &TrustedPeers,
) -> Result<Caller, Reason> {
    let head = if has_body { http_rules::check(parts)? } else { http_rules::check_without_body(parts)? };
    let host = HeaderValue::from_str(head.authority).map_err(|_| Reason::BadRequest("host_malformed"))?;
    let target = head.target.parse().map_err(|_| Reason::BadRequest("target_not_a_path"))?;
    let peer = connection.peer;
    let address =
        client_address(peer, &parts.headers, trusted).map_err(|error| Reason::BadRequest(error.as_str()))?;
    let is_listed = trusted.contains(peer);
    let is_https = is_tls || (is_listed && forwarded::says_https(&parts.headers));
    let told = if is_listed { Some(told(&parts.headers)?) } else { None };
    parts.uri = target;
    parts.headers.insert(HOST, host);
    join_cookies(&mut parts.headers);
    let claims: Vec<_> = parts.headers.keys().filter(|name| forwarded::is_claim(name)).cloned().collect();
    for name in claims {
        parts.headers.remove(name);
    }
    Ok(Caller { address, is_https, told })
}

/// Which request a listed proxy speaks of.
fn told(headers: &HeaderMap) -> Result<Told, Reason> {
    let told = |names: &[&str]| Ok(forwarded::the_one(headers, names)?.map(str::to_owned));
    Ok(Told {
        method: told(&forwarded::METHOD)?,
        host: told(&forwarded::HOST)?,
        target: told(&forwarded::TARGET)?,
    })
}

/// HTTP/2 may bring cookies in several fields, which mean one (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() < 2 {
        return;
    }
    // Made of values, with nothing between them that a value could not have.
    let joined = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]));
    if let Ok(joined) = joined {
        headers.insert(COOKIE, joined);
    }
}
