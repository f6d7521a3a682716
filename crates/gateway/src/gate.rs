//! One webhook, from its head to its answer: take, route, read, decide, forward, answer.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{EXPECT, HeaderMap};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use ringfence_signature::{Scratch, Subject};
use tokio::time::{Instant, timeout_at};

use crate::admission::{Received, VerifiedWebhook, admissible, admit};
use crate::explain::offer_explanation;
use crate::forward::{Forward, forward};
use crate::forwarded::client_address;
use crate::http_rules::{self, Head, SIGNATURE};
use crate::reason::Reason;
use crate::replay::{Begin, Keep, KeptAnswer, Known, Recorder, Recording, ReplayKey, Ticket};
use crate::respond::{self, GateBody};
use crate::route_table::{self, Found};
use crate::settings::{Mode, Replay, Route};
use crate::snapshot::{ActiveRoute, Snapshot};
use crate::upstream::{Answer, Outcome, Stage, UpstreamError};
use crate::websocket;
use crate::worker::Worker;

/// Answers one request. Never fails: every way out is an answer.
pub(crate) async fn handle(worker: &Worker, peer: IpAddr, request: Request<Incoming>) -> Response<GateBody> {
    let started = worker.shared.clock.monotonic();
    let snapshot = worker.shared.snapshot.load_full();
    let (mut parts, body) = request.into_parts();
    // Until its forwarded headers are read and believed, the client is the peer.
    let exchange = Exchange { worker, client: peer, snapshot: &snapshot, now: Instant::now() };
    let (found, response) = exchange.answer(&mut parts, body).await;
    if let Some(active) = found {
        let elapsed = worker.shared.clock.monotonic().saturating_duration_since(started);
        active.metrics.duration(elapsed.as_secs_f64());
    }
    response
}

/// What stays the same while one request is worked on.
#[derive(Clone, Copy)]
struct Exchange<'a> {
    worker: &'a Worker,
    client: IpAddr,
    snapshot: &'a Arc<Snapshot>,
    /// For timers; it moves with the runtime's clock.
    now: Instant,
}

impl<'a> Exchange<'a> {
    async fn answer(
        mut self,
        parts: &mut Parts,
        body: Incoming,
    ) -> (Option<&'a ActiveRoute>, Response<GateBody>) {
        // hyper hides the way to the raw connection in the extensions; it is taken out before they are borrowed.
        let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        let head = match http_rules::check_webhook(parts) {
            Ok(head) => head,
            Err(reason) => return (None, self.refuse_without_route(reason, parts)),
        };
        match client_address(self.client, &parts.headers, &self.snapshot.trusted_proxies) {
            Ok(client) => self.client = client,
            Err(error) => {
                return (None, self.refuse_without_route(Reason::BadRequest(error.as_str()), parts));
            }
        }
        let active =
            match route_table::find(&self.snapshot.routes, head.authority, head.target, &parts.method) {
                Found::Route(active) => active,
                Found::OtherMethods(active) => {
                    return (Some(active), self.refuse(active, Reason::MethodNotAllowed, parts));
                }
                Found::Nothing => return (None, self.refuse_without_route(Reason::NoRoute, parts)),
            };
        let response = match self.admitted(active, parts, head, body).await {
            Err(reason) => self.refuse(active, reason, parts),
            Ok(webhook) if active.route.mode == Mode::Shadow => {
                drop(webhook);
                respond::empty(StatusCode::NO_CONTENT)
            }
            Ok(webhook) => self.deliver(active, parts, head, webhook, upgrade).await,
        };
        (Some(active), response)
    }

    /// Reads the body and decides.
    async fn admitted(
        self,
        active: &ActiveRoute,
        parts: &Parts,
        head: Head<'_>,
        body: Incoming,
    ) -> Result<VerifiedWebhook, Reason> {
        let limits = &self.snapshot.limits;
        let _in_work = self.worker.shared.metrics.enter(limits.in_flight_max).ok_or(Reason::Overloaded)?;
        let deadline = self.now + limits.body_timeout;
        let may_discard = !parts.headers.contains_key(EXPECT);
        if let Err(reason) = admissible(&active.route, &parts.headers) {
            discard_if(may_discard, body, deadline).await;
            return Err(reason);
        }
        let body = read_body(body, active.route.body_cap, deadline, may_discard).await?;
        let received = Received { method: &parts.method, head, headers: &parts.headers, body: &body };
        let verdict = decide(active, self.snapshot, &received);
        match &verdict {
            Ok(webhook) => count_admitted(active, webhook),
            Err(Reason::Signature(refusal)) => {
                let now_unix = self.worker.shared.clock.unix_seconds();
                offer_explanation(active, self.snapshot, &received, *refusal, now_unix);
            }
            Err(_) => {}
        }
        verdict
    }

    /// Forwards a verified request, unless it came before.
    async fn deliver(
        self,
        active: &ActiveRoute,
        parts: &Parts,
        head: Head<'_>,
        webhook: VerifiedWebhook,
        upgrade: Option<hyper::upgrade::OnUpgrade>,
    ) -> Response<GateBody> {
        let route = &active.route;
        let deadline = self.now + route.timeout;
        let ticket = match repeats(route, &webhook, head.websocket) {
            Repeats::Forwarded => None,
            Repeats::Remembered(keep) => {
                match self.first_or_answer(active, parts, &webhook, keep, deadline).await {
                    Ok(ticket) => ticket.map(|ticket| (ticket, keep)),
                    Err(response) => return response,
                }
            }
        };
        let job = Forward {
            active,
            snapshot: self.snapshot,
            parts,
            target: head.target,
            websocket: head.websocket,
            client: self.client,
            now_unix: self.worker.shared.clock.unix_seconds(),
            deadline,
        };
        match forward(&self.worker.client, &job, &webhook).await {
            Ok(Outcome::Answer(answer)) => answered(answer, ticket),
            Ok(Outcome::Upgraded { headers, stream, leftover }) => match upgrade {
                Some(caller) => websocket::open(caller, stream, leftover, headers, &self.worker.tracker),
                None => respond::empty(StatusCode::BAD_GATEWAY),
            },
            // The ticket drops: a failed first is forgotten, and a repeat is forwarded anew.
            Err(error) => upstream_failed(active, &error),
        }
    }

    /// A ticket for the first of its kind, an answer for a repeat; nothing where the first was so long ago, or so
    /// long, that no answer was kept and the route wants one.
    async fn first_or_answer(
        self,
        active: &ActiveRoute,
        parts: &Parts,
        webhook: &VerifiedWebhook,
        keep: Keep,
        deadline: Instant,
    ) -> Result<Option<Ticket>, Response<GateBody>> {
        let replay = &self.worker.shared.replay;
        let signature = parts.headers.get(SIGNATURE).map_or(&b""[..], |value| value.as_bytes());
        let key = ReplayKey::new(active.replay_id, webhook.account(), signature);
        let mut begin = replay.begin(key, self.worker.shared.clock.monotonic());
        loop {
            match begin {
                Begin::First(ticket) => return Ok(Some(ticket)),
                Begin::Known(_) if keep == Keep::Fact => {
                    replay.count_refused();
                    return Err(self.refuse(active, Reason::Replayed, parts));
                }
                Begin::Known(Known::Answer(kept)) => {
                    replay.count_answered();
                    return Err(kept_answer(&kept));
                }
                Begin::Known(Known::WithoutAnswer) => return Ok(None),
                Begin::Running(waiter) => match timeout_at(deadline, waiter.wait()).await {
                    Ok(next) => begin = next,
                    Err(_) => {
                        return Err(upstream_failed(active, &UpstreamError::TimedOut(Stage::Answering)));
                    }
                },
            }
        }
    }

    fn refuse(self, active: &ActiveRoute, reason: Reason, parts: &Parts) -> Response<GateBody> {
        active.metrics.refused(reason);
        let response = if active.route.mode == Mode::Shadow {
            respond::empty(StatusCode::NO_CONTENT)
        } else {
            respond::refusal(reason, Some(&active.route))
        };
        log_refusal(&active.route.label, reason, response.status(), &parts.method, self.client);
        response
    }

    fn refuse_without_route(self, reason: Reason, parts: &Parts) -> Response<GateBody> {
        self.worker.shared.metrics.refused_without_route(reason);
        let response = respond::refusal(reason, None);
        log_refusal("", reason, response.status(), &parts.method, self.client);
        response
    }
}

/// Decides with this thread's buffers.
pub(crate) fn decide(
    active: &ActiveRoute,
    snapshot: &Snapshot,
    received: &Received<'_>,
) -> Result<VerifiedWebhook, Reason> {
    thread_local! {
        static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::default());
    }
    SCRATCH.with_borrow_mut(|scratch| admit(&active.route, &snapshot.keyring, received, scratch))
}

/// Counts what the check of an admitted request found.
pub(crate) fn count_admitted(active: &ActiveRoute, webhook: &VerifiedWebhook) {
    match webhook.allowed() {
        Some(allowed) => {
            active.metrics.allowed(allowed.candidate.as_str());
            if let Some(finding) = &allowed.finding {
                active.metrics.finding(finding.as_str());
                tracing::info!(
                    route = &*active.route.label,
                    finding = finding.as_str(),
                    "strict mode would refuse this request"
                );
            }
        }
        None => active.metrics.allowed("as-received"),
    }
}

/// One line for each refusal, with nothing in it that a caller could have made personal or long.
pub(crate) fn log_refusal(route: &str, reason: Reason, status: StatusCode, method: &Method, client: IpAddr) {
    tracing::info!(
        route,
        reason = reason.as_str(),
        status = status.as_u16(),
        method = method.as_str(),
        client = %client,
        "request refused"
    );
}

/// The whole body, if it fits and comes in time.
///
pub(crate) async fn read_body(
    mut body: Incoming,
    cap: usize,
    deadline: Instant,
    may_discard: bool,
) -> Result<Bytes, Reason> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let too_large = body.size_hint().lower() > cap as u64;
    let read = async {
        if too_large {
            return Err(Reason::BodyTooLarge);
        }
        let Some(first) = next_piece(&mut body).await? else { return Ok(Bytes::new()) };
        if first.len() > cap {
            return Err(Reason::BodyTooLarge);
        }
        if body.is_end_stream() {
            return Ok(first);
        }
        let mut whole = BytesMut::from(first);
        while let Some(piece) = next_piece(&mut body).await? {
            if whole.len() + piece.len() > cap {
                return Err(Reason::BodyTooLarge);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    };
    match timeout_at(deadline, read).await {
        Err(_) => Err(Reason::BodyTimeout),
        Ok(Err(Reason::BodyTooLarge)) => {
            discard_if(may_discard, body, deadline).await;
            Err(Reason::BodyTooLarge)
        }
        Ok(result) => result,
    }
}

/// Reads on and throws away the body of a refused request, up to a bound, so that the caller sees the answer
/// rather than a reset; not where it waits for a 100 (`Expect`) and has not sent the body yet.
async fn discard_if(may_discard: bool, mut body: Incoming, deadline: Instant) {
    if !may_discard || body.is_end_stream() {
        return;
    }
    let read = async {
        let mut seen = 0;
        while let Ok(Some(piece)) = next_piece(&mut body).await {
            seen += piece.len();
            if seen > DISCARD_BYTES_MAX {
                return;
            }
        }
    };
    // However it ends, the answer is the same.
    let _ended = timeout_at(deadline.min(Instant::now() + DISCARD_TIME_MAX), read).await;
}

/// How long and how much of a refused body is read on before the answer.
const DISCARD_TIME_MAX: Duration = Duration::from_secs(2);
const DISCARD_BYTES_MAX: usize = 16 * 1024 * 1024;

async fn next_piece(body: &mut Incoming) -> Result<Option<Bytes>, Reason> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(_)) => return Err(Reason::BodyBroken),
            // Trailers are dropped: nobody signs them.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// What a repeat of a request meets.
enum Repeats {
    Forwarded,
    Remembered(Keep),
}

/// Without a signature there is nothing that ties a repeat to its first.
fn repeats(route: &Route, webhook: &VerifiedWebhook, websocket: bool) -> Repeats {
    let Some(allowed) = webhook.allowed().filter(|_| !websocket) else { return Repeats::Forwarded };
    match (route.replay, allowed.subject) {
        (Replay::AnswerAgain, _) | (Replay::Auto, Subject::Message | Subject::UsageTrigger) => {
            Repeats::Remembered(Keep::Answer)
        }
        (Replay::Refuse, _) => Repeats::Remembered(Keep::Fact),
        (Replay::Auto | Replay::Off, _) => Repeats::Forwarded,
    }
}

/// The upstream's answer, kept for a repeat where it can be.
fn answered(answer: Answer, ticket: Option<(Ticket, Keep)>) -> Response<GateBody> {
    let Answer { status, headers, body } = answer;
    let Some((ticket, keep)) = ticket else { return response(status, headers, GateBody::Answer(body)) };
    let mut recording = Recording::new(ticket, keep, status, &headers);
    let body = if let Some(whole) = body.as_whole() {
        recording.data(whole);
        recording.end();
        GateBody::Answer(body)
    } else {
        GateBody::Recorded(Box::new(Recorder::new(recording, body)))
    };
    response(status, headers, body)
}

fn kept_answer(kept: &Arc<KeptAnswer>) -> Response<GateBody> {
    response(kept.status(), kept.headers().clone(), GateBody::Full(kept.body().clone()))
}

fn response(status: StatusCode, headers: HeaderMap, body: GateBody) -> Response<GateBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// 504 where the upstream was too slow, 502 for everything else; the reason is for the log alone.
fn upstream_failed(active: &ActiveRoute, error: &UpstreamError) -> Response<GateBody> {
    let status = if error.is_timeout() { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
    active.metrics.upstream_error(error.kind());
    tracing::error!(
        route = &*active.route.label,
        upstream = active.route.upstream.authority(),
        error = %error,
        status = status.as_u16(),
        "upstream failed"
    );
    respond::empty(status)
}
