//! Forward-auth: another proxy holds the request and asks whether it may pass. It answers 200, 401 or 403 and
//! nothing else, since nginx makes a 500 of anything else. The one exception wants that: a delivery for the circuit
//! breaker that nobody takes is a 503, so that Twilio comes again.
//!
//! A signature covers a form's parameters, so a proxy that does not hand over the body cannot have a form
//! checked. Such a request is refused at once, and the log says what to change; it is never waited for and never
//! waved through on its URL alone.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderMap, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::admission::{Received, VerifiedWebhook, admissible};
use crate::body::{BodyBound, read_body};
use crate::connection::Connection;
use crate::explain::offer_explanation;
use crate::forward::MATCHED_HEADER;
use crate::forwarded::{self, client_address};
use crate::gate::{NotTaken, decide, not_taken};
use crate::http_rules::{self, Head, SIGNATURE};
use crate::inspector::{self, Note};
use crate::proof::{ACCOUNT_HEADER, PROOF_HEADER};
use crate::reason::Reason;
use crate::replay::{Begin, ReplayKey};
use crate::respond::{self, GateBody};
use crate::route_table::{self, Found};
use crate::settings::{Check, Mode, Replay, Upstream};
use crate::snapshot::{ActiveRoute, Snapshot};
use crate::told::{Refused, count_admitted, known_method, log_refusal};
use crate::worker::Worker;

/// A GET subrequest whose `Content-Length` is the original's promises bytes that nginx never sends; a proxy that
/// does send them sends them with the head.
const PROMISED_BODY_TIMEOUT: Duration = Duration::from_millis(250);

/// Answers one question.
pub(crate) async fn handle(connection: &Connection, request: Request<Incoming>) -> Response<GateBody> {
    let snapshot = connection.worker.shared.snapshot.load_full();
    let shared = &connection.worker.shared;
    let note = Note::begin(shared, snapshot.inspect, "forward-auth", shared.clock.monotonic());
    let response = answer(connection, request, &snapshot, &note).await;
    note.answered(response)
}

async fn answer(
    connection: &Connection,
    request: Request<Incoming>,
    snapshot: &Arc<Snapshot>,
    note: &Note<'_>,
) -> Response<GateBody> {
    let (worker, peer) = (&*connection.worker, connection.peer);
    let (parts, body) = request.into_parts();
    // Whom the proxy asks for. What it says of that and cannot be believed changes no answer: it decides nothing.
    let client = client_address(peer, &parts.headers, &snapshot.trusted_proxies).unwrap_or(peer);
    // Until it is known what the proxy asks about, it is its own request.
    let mut about = About { method: &parts.method, target: http_rules::target(&parts), client };
    let refuse = |active: Option<&ActiveRoute>, refused: Refused, about: About<'_>| {
        refuse(worker, active, refused, &about.with(&parts.headers), note)
    };
    if !snapshot.trusted_proxies.contains(peer) {
        return refuse(None, Reason::UntrustedPeer.into(), about);
    }
    let asked = match Asked::of(&parts) {
        Ok(asked) => asked,
        Err(reason) => return refuse(None, reason.into(), about),
    };
    about = About { method: &asked.method, target: asked.head.target, client };
    let active =
        match route_table::find(&snapshot.routes, asked.head.authority, asked.head.target, &asked.method) {
            Found::Route(active) => active,
            Found::OtherMethods(active) => {
                return refuse(Some(active), Reason::MethodNotAllowed.into(), about);
            }
            Found::Nothing => return refuse(None, Reason::NoRoute.into(), about),
        };
    let admissible = match admissible(&active.route, &parts.headers) {
        Ok(admissible) => admissible,
        Err(reason) => return refuse(Some(active), reason.into(), about),
    };
    let limits = &snapshot.limits;
    let promised = parts.method == Method::GET && !body.is_end_stream();
    let body_timeout = if promised { PROMISED_BODY_TIMEOUT } else { limits.body_timeout };
    let bound = BodyBound {
        cap: active.route.body_cap,
        deadline: Instant::now() + body_timeout,
        may_discard: !parts.headers.contains_key(EXPECT),
        memory: &worker.shared.body_memory,
        memory_max: limits.body_memory_bytes,
    };
    let body = match read_body(body, &bound).await {
        Ok(body) => body,
        Err(Reason::BodyTimeout) if promised && matches!(active.route.check, Check::Basic(_)) => Bytes::new(),
        Err(Reason::BodyTimeout) if promised => {
            return refuse(Some(active), Reason::FormWithoutBody.into(), about);
        }
        Err(reason) => return refuse(Some(active), reason.into(), about),
    };
    // Basic credentials cover no body, so there the proxy need not hand it over.
    let body_counts = !matches!(active.route.check, Check::Basic(_));
    if body_counts && body.is_empty() && asked.had_a_body(&parts) {
        return refuse(Some(active), Reason::FormWithoutBody.into(), about);
    }
    let received = Received { method: &asked.method, head: asked.head, headers: &parts.headers, body: &body };
    match decide(active, snapshot, &admissible, &received) {
        Ok(webhook) => {
            if is_refused_repeat(worker, active, &parts.headers, &webhook) {
                return refuse(Some(active), Reason::Replayed.into(), about);
            }
            count_admitted(active, &webhook);
            let mut about = about.with(&parts.headers);
            (about.route, about.body) = (&active.route.label, Some(&body));
            note.admitted(&about, &webhook);
            // A 200 would send the delivery to the application behind the proxy, and we would never hear of it.
            if !matches!(active.route.upstream, Upstream::Application(_)) {
                return not_taken(&active.route, NotTaken::ForwardAuth);
            }
            let now_unix = worker.shared.clock.unix_seconds();
            admitted(active, &asked, &webhook, now_unix)
        }
        Err(reason) => {
            let mut refused = Refused::from(reason);
            if let Reason::Signature(refusal) = reason {
                refused.explanation = offer_explanation(&worker.shared, active, snapshot, &received, refusal);
                worker.shared.hooks.tell_stale(&active.route, &received, refusal);
            }
            refused.body = Some(body.clone());
            refuse(Some(active), refused, about)
        }
    }
}

/// What a proxy asks about, as it is remembered.
#[derive(Debug, Clone, Copy)]
struct About<'a> {
    method: &'a Method,
    target: &'a str,
    /// Who asked the proxy, by its word.
    client: IpAddr,
}

impl<'a> About<'a> {
    fn with(self, headers: &'a HeaderMap) -> inspector::About<'a> {
        let Self { method, target, client } = self;
        inspector::About { route: "", method, target, client, headers, body: None }
    }
}

/// Whether the route refuses repeats and this is one. Other modes of replay have no place here, where no answer is
/// seen: a repeat is the proxy's to forward.
fn is_refused_repeat(
    worker: &Worker,
    active: &ActiveRoute,
    headers: &HeaderMap,
    webhook: &VerifiedWebhook,
) -> bool {
    let route = &active.route;
    if route.replay != Replay::Refuse || route.mode == Mode::Shadow || webhook.allowed().is_none() {
        return false;
    }
    let signature = headers.get(SIGNATURE).map_or(&b""[..], |value| value.as_bytes());
    let key = ReplayKey::new(active.replay_id, webhook.account(), signature);
    match worker.shared.replay.begin(key, worker.shared.clock.monotonic()) {
        Begin::First(ticket) => {
            ticket.complete(None);
            false
        }
        Begin::Running(_) | Begin::Known(_) => {
            worker.shared.replay.count_refused();
            true
        }
    }
}

/// The request that the proxy holds.
struct Asked<'a> {
    method: Method,
    head: Head<'a>,
}

impl<'a> Asked<'a> {
    fn of(parts: &'a Parts) -> Result<Self, Reason> {
        let own = http_rules::check(parts)?;
        let headers = &parts.headers;
        let method = match forwarded::the_one(headers, &forwarded::METHOD)? {
            Some(method) => Method::from_bytes(method.as_bytes())
                .map_err(|_| Reason::BadRequest("forwarded_method_malformed"))?,
            None => parts.method.clone(),
        };
        let target = forwarded::the_one(headers, &forwarded::TARGET)?.unwrap_or(own.target);
        if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Reason::BadRequest("forwarded_uri_malformed"));
        }
        let authority = forwarded::the_one(headers, &forwarded::HOST)?.unwrap_or(own.authority);
        let websocket = [UPGRADE.as_str(), "x-forwarded-upgrade"].iter().any(|name| {
            headers.get(*name).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        });
        Ok(Self { method, head: Head { authority, target, websocket } })
    }

    /// Whether the request may have a body although none was handed over. In doubt it may.
    fn had_a_body(&self, parts: &Parts) -> bool {
        let headers = &parts.headers;
        let told = |name: &str| headers.get(name).is_some_and(|value| !value.is_empty() && value != "0");
        if told("x-original-content-length") || told("x-original-transfer-encoding") {
            return true;
        }
        if matches!(self.method, Method::GET | Method::HEAD) {
            return false;
        }
        let form = headers.get(CONTENT_TYPE).is_some_and(|value| {
            value.as_bytes().to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded")
        });
        let known_empty =
            parts.method == self.method && headers.get(CONTENT_LENGTH).is_some_and(|value| value == "0");
        form || !known_empty
    }
}

/// 200, with what the proxy may copy into the request to the upstream.
fn admitted(
    active: &ActiveRoute,
    asked: &Asked<'_>,
    webhook: &VerifiedWebhook,
    now_unix: u64,
) -> Response<GateBody> {
    let mut response = respond::empty(StatusCode::OK);
    let headers = response.headers_mut();
    if let Some(allowed) = webhook.allowed() {
        let account = allowed.account.and_then(|account| HeaderValue::from_str(account.as_str()).ok());
        if let Some(account) = account {
            headers.insert(ACCOUNT_HEADER, account);
        }
        headers.insert(MATCHED_HEADER, HeaderValue::from_static(allowed.candidate.as_str()));
    }
    if let Some(proof) = &active.route.proof {
        let body: [u8; 32] = Sha256::digest(webhook.body()).into();
        let (method, target) = (asked.method.as_str(), asked.head.target);
        headers.insert(PROOF_HEADER, proof.make(now_unix, method, target, &body, webhook.account()));
    }
    response
}

/// 401 or 403; 200 on a route that only watches.
fn refuse(
    worker: &Worker,
    active: Option<&ActiveRoute>,
    refused: Refused,
    about: &inspector::About<'_>,
    note: &Note<'_>,
) -> Response<GateBody> {
    let Refused { reason, explanation, body } = refused;
    match active {
        Some(active) => active.metrics.refused(reason),
        None => worker.shared.metrics.refused_without_route(reason),
    }
    let route = active.map(|active| &active.route);
    let mut response = if route.is_some_and(|route| route.mode == Mode::Shadow) {
        respond::empty(StatusCode::OK)
    } else {
        respond::refusal(reason, route)
    };
    if !matches!(response.status(), StatusCode::OK | StatusCode::UNAUTHORIZED) {
        response = respond::empty(StatusCode::FORBIDDEN);
    }
    let label = route.map_or("", |route| &*route.label);
    log_refusal(label, reason, response.status(), known_method(about.method), about.client);
    note.refused(&inspector::About { route: label, body: body.as_ref(), ..*about }, reason, explanation);
    if reason == Reason::FormWithoutBody {
        tracing::warn!(
            route = label,
            hint = "the proxy asks without the request's body, so its signature cannot be checked: on nginx and \
                    Caddy proxy through the gate; on Traefik set forwardBody and preserveRequestMethod; on Envoy \
                    set with_request_body",
            "a request came for checking without its body"
        );
    }
    response
}
