//! One webhook, from its head to its answer: take, route, read, decide, forward, answer.

use std::cell::RefCell;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{EXPECT, HeaderMap};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use ringfence_model::Sid;
use ringfence_signature::{Scratch, Subject, fields};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use crate::admission::{
    Admissible, Received, VerifiedWebhook, admissible, admit, parameters, signed_request,
};
use crate::body::{BodyBound, discard_if, read_body};
use crate::connection::Connection;
use crate::explain::offer_explanation;
use crate::forward::{Forward, forward};
use crate::forwarded::client_address;
use crate::http_rules::{self, Head, SIGNATURE};
use crate::inspector::{About, Note};
use crate::intake;
use crate::key_press::{self, KeyPress};
use crate::metrics::{InFlight, RouteMetrics};
use crate::path_readings::is_in_two_ways;
use crate::reason::Reason;
use crate::replay::{Begin, Keep, KeptAnswer, Known, Recorder, Recording, ReplayKey, Ticket};
use crate::respond::{self, GateBody};
use crate::route_table::{self, Found};
use crate::settings::{Mode, Replay, Route, Upstream};
use crate::snapshot::{ActiveRoute, Snapshot};
use crate::told::{Refused, count_admitted, known_method, log_refusal};
use crate::trigger::Fired;
use crate::twiml::{self, Costs, Holding};
use crate::upstream::{Answer, Outcome, Stage, UpstreamAddress, UpstreamError};
use crate::websocket;
use crate::worker::Worker;

/// Answers one request. Never fails: every way out is an answer.
pub(crate) async fn handle(connection: &Arc<Connection>, request: Request<Incoming>) -> Response<GateBody> {
    let worker = &connection.worker;
    let started = worker.shared.clock.monotonic();
    let snapshot = worker.shared.snapshot.load_full();
    let (parts, body) = request.into_parts();
    // Until its forwarded headers are read and believed, the client is the peer.
    let note = Note::begin(&worker.shared, snapshot.inspect, "gate", started);
    let (client, now) = (connection.peer, Instant::now());
    let exchange = Exchange { worker, connection, client, snapshot: &snapshot, note: &note, now };
    let (found, response) = exchange.answer(parts, body).await;
    if let Some(active) = found {
        let elapsed = worker.shared.clock.monotonic().saturating_duration_since(started);
        active.metrics.duration(elapsed.as_secs_f64());
    }
    note.answered(response)
}

/// What stays the same while one request is worked on.
#[derive(Clone, Copy)]
struct Exchange<'a> {
    worker: &'a Arc<Worker>,
    connection: &'a Arc<Connection>,
    client: IpAddr,
    snapshot: &'a Arc<Snapshot>,
    note: &'a Note<'a>,
    /// For timers; it moves with the runtime's clock.
    now: Instant,
}

impl<'a> Exchange<'a> {
    async fn answer(
        mut self,
        mut parts: Parts,
        body: Incoming,
    ) -> (Option<&'a ActiveRoute>, Response<GateBody>) {
        // hyper hides the way to the raw connection in the extensions; it is taken out before they are borrowed.
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let head = match http_rules::check_webhook(&parts) {
            Ok(head) => head,
            Err(reason) => return (None, self.refuse_without_route(reason, &parts)),
        };
        match client_address(self.client, &parts.headers, &self.snapshot.trusted_proxies) {
            Ok(client) => self.client = client,
            Err(error) => {
                return (None, self.refuse_without_route(Reason::BadRequest(error.as_str()), &parts));
            }
        }
        let active =
            match route_table::find(&self.snapshot.routes, head.authority, head.target, &parts.method) {
                Found::Route(active) => active,
                Found::OtherMethods(active) => {
                    return (Some(active), self.refuse(active, Reason::MethodNotAllowed, &parts));
                }
                Found::Nothing => return (None, self.refuse_without_route(Reason::NoRoute, &parts)),
            };
        let websocket = head.websocket;
        let response = match self.admitted(active, &parts, head, body).await {
            Err(refused) => self.refuse(active, refused, &parts),
            Ok(webhook) if active.route.mode == Mode::Shadow => {
                self.count_admitted(active, &webhook, &parts);
                respond::empty(StatusCode::NO_CONTENT)
            }
            Ok(webhook) => self.deliver(active, parts, websocket, webhook, upgrade).await,
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
    ) -> Result<VerifiedWebhook, Refused> {
        let limits = &self.snapshot.limits;
        let deadline = self.now + limits.body_timeout;
        let may_discard = !parts.headers.contains_key(EXPECT);
        let admissible = match admissible(&active.route, &parts.headers) {
            Ok(admissible) => admissible,
            Err(reason) => {
                discard_if(may_discard, body, deadline).await;
                return Err(reason.into());
            }
        };
        let bound = BodyBound {
            cap: active.route.body_cap,
            deadline,
            may_discard,
            memory: &self.worker.shared.body_memory,
            memory_max: limits.body_memory_bytes,
        };
        let body = read_body(body, &bound).await?;
        let received = Received { method: &parts.method, head, headers: &parts.headers, body: &body };
        decide(active, self.snapshot, &admissible, &received).map_err(|reason| {
            let mut refused = Refused::from(reason);
            if let Reason::Signature(refusal) = reason {
                let shared = &self.worker.shared;
                refused.explanation = offer_explanation(shared, active, self.snapshot, &received, refusal);
                shared.hooks.tell_stale(&active.route, &received, refusal);
            }
            refused.body = Some(body.clone());
            refused
        })
    }

    /// Forwards a verified request, unless it came before.
    async fn deliver(
        self,
        active: &ActiveRoute,
        parts: Parts,
        websocket: bool,
        webhook: VerifiedWebhook,
        upgrade: Option<OnUpgrade>,
    ) -> Response<GateBody> {
        let route = &active.route;
        let deadline = self.now + route.timeout;
        // Before the memory of repeats is asked: only what the store has may be answered with 200.
        if route.upstream == Upstream::Breaker {
            return self.take_trigger(active, &parts, websocket, &webhook, deadline).await;
        }
        if route.upstream == Upstream::SecondFactor {
            return self.take_key(active, &parts, websocket, &webhook, deadline).await;
        }
        let ticket = match repeats(route, &webhook) {
            Repeats::Forwarded => None,
            Repeats::Remembered(keep) => {
                match self.first_or_answer(active, &parts, &webhook, keep, deadline).await {
                    Ok(ticket) => ticket.map(|ticket| (ticket, keep)),
                    Err(response) => return response,
                }
            }
        };
        // Only verified requests compete for places: strangers cannot take them, nor can repeats.
        let Some(in_work) = self.worker.shared.metrics.enter(self.snapshot.limits.in_flight_max) else {
            return self.refuse(active, Reason::Overloaded, &parts);
        };
        self.count_admitted(active, &webhook, &parts);
        let is_remembered = ticket.is_some();
        let delivery = Delivery {
            worker: Arc::clone(self.worker),
            upgrade: upgrade.map(|upgrade| (upgrade, Arc::clone(self.connection))),
            snapshot: Arc::clone(self.snapshot),
            route: active.index,
            parts,
            websocket,
            client: self.client,
            deadline,
            webhook,
            ticket,
            in_work,
        };
        if is_remembered { RunToEnd::new(delivery.run()).await } else { delivery.run().await }
    }

    /// Takes a usage trigger. It needs no place among the requests in work, and has its own.
    async fn take_trigger(
        self,
        active: &ActiveRoute,
        parts: &Parts,
        websocket: bool,
        webhook: &VerifiedWebhook,
        deadline: Instant,
    ) -> Response<GateBody> {
        self.count_admitted(active, webhook, parts);
        let shared = &self.worker.shared;
        // Without a signature nobody proves which account it is about.
        let (Some(taker), Some(_)) = (&shared.taker, webhook.allowed()) else {
            return not_taken(&active.route, NotTaken::NoBreaker);
        };
        let received = received_again(parts, websocket, webhook);
        let label = &active.route.label;
        let (outcome, response) =
            match Fired::read(parameters(&signed_request(&active.route, &received, None))) {
                Err(why) => intake::malformed(label, why),
                Ok(fired) => {
                    // The write holds the worker, so that a stop waits for it.
                    let held = Arc::clone(self.worker);
                    intake::answer(label, taker.keep(fired, shared.clock.unix_micros(), deadline, held).await)
                }
            };
        shared.metrics.trigger(outcome);
        response
    }

    /// Has the code spoken to whoever pressed a key. A repeat hears the same, as long as the code waits.
    async fn take_key(
        self,
        active: &ActiveRoute,
        parts: &Parts,
        websocket: bool,
        webhook: &VerifiedWebhook,
        deadline: Instant,
    ) -> Response<GateBody> {
        let hooks = &self.worker.shared.hooks;
        let account = webhook.account().and_then(|account| Sid::parse(account.as_str()).ok());
        // Without a signature nobody proves which call it is.
        let Some(account) = account else { return not_taken(&active.route, NotTaken::NoSecondFactor) };
        let Some(in_work) = self.worker.shared.metrics.enter(self.snapshot.limits.in_flight_max) else {
            return self.refuse(active, Reason::Overloaded, parts);
        };
        self.count_admitted(active, webhook, parts);
        let received = received_again(parts, websocket, webhook);
        let query = received.head.target.split_once('?').map_or("", |(_, query)| query);
        let request = signed_request(&active.route, &received, None);
        let label = &active.route.label;
        let press = KeyPress::read(account, fields(query.as_bytes()), parameters(&request));
        let response = match press {
            Err(why) => key_press::malformed(label, why),
            Ok(press) => key_press::answer(label, hooks.on_key.as_ref(), press, deadline).await,
        };
        drop(in_work);
        response
    }

    /// A ticket for the first of its kind, an answer for a repeat; nothing where the first ended well with an answer
    /// that could not be kept, so that a repeat is forwarded.
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
                    self.count_admitted(active, webhook, parts);
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

    fn count_admitted(self, active: &ActiveRoute, webhook: &VerifiedWebhook, parts: &Parts) {
        count_admitted(active, webhook);
        self.note.admitted(&self.about(&active.route.label, parts, Some(webhook.body())), webhook);
    }

    fn about<'n>(&self, route: &'n str, parts: &'n Parts, body: Option<&'n Bytes>) -> About<'n> {
        let (method, target, headers) = (&parts.method, http_rules::target(parts), &parts.headers);
        About { route, method, target, client: self.client, headers, body }
    }

    fn note_refused(&self, route: &str, parts: &Parts, refused: Refused, status: StatusCode) {
        let Refused { reason, explanation, body } = refused;
        log_refusal(route, reason, status, known_method(&parts.method), self.client);
        self.note.refused(&self.about(route, parts, body.as_ref()), reason, explanation);
    }

    fn refuse(self, active: &ActiveRoute, refused: impl Into<Refused>, parts: &Parts) -> Response<GateBody> {
        let refused = refused.into();
        let reason = refused.reason;
        active.metrics.refused(reason);
        let response = if active.route.mode == Mode::Shadow {
            respond::empty(StatusCode::NO_CONTENT)
        } else {
            respond::refusal(reason, Some(&active.route))
        };
        self.note_refused(&active.route.label, parts, refused, response.status());
        response
    }

    fn refuse_without_route(self, reason: Reason, parts: &Parts) -> Response<GateBody> {
        self.worker.shared.metrics.refused_without_route(reason);
        let response = respond::refusal(reason, None);
        self.note_refused("", parts, reason.into(), response.status());
        response
    }
}

/// A verified request that ends here, to be read. Nobody asks any more what host it was for.
fn received_again<'a>(parts: &'a Parts, websocket: bool, webhook: &'a VerifiedWebhook) -> Received<'a> {
    let head = Head { authority: "", target: http_rules::target(parts), websocket };
    Received { method: &parts.method, head, headers: &parts.headers, body: webhook.body() }
}

/// A verified request on its way upstream. It owns what it needs, so that it can outlive the caller's connection.
struct Delivery {
    worker: Arc<Worker>,
    upgrade: Option<(OnUpgrade, Arc<Connection>)>,
    snapshot: Arc<Snapshot>,
    route: usize,
    parts: Parts,
    websocket: bool,
    client: IpAddr,
    deadline: Instant,
    webhook: VerifiedWebhook,
    ticket: Option<(Ticket, Keep)>,
    in_work: InFlight,
}

impl Delivery {
    async fn run(self) -> Response<GateBody> {
        let active = &self.snapshot.routes[self.route];
        let Upstream::Application(address) = &active.route.upstream else {
            // `deliver` lets nothing come so far that is ours.
            return not_taken(&active.route, NotTaken::NoBreaker);
        };
        let job = Forward {
            active,
            address,
            snapshot: &self.snapshot,
            parts: &self.parts,
            target: http_rules::target(&self.parts),
            websocket: self.websocket,
            client: self.client,
            now_unix: self.worker.shared.clock.unix_seconds(),
            deadline: self.deadline,
        };
        let holding = Holding {
            worker: &self.worker,
            snapshot: &self.snapshot,
            active,
            webhook: &self.webhook,
            parts: &self.parts,
            deadline: self.deadline,
        };
        if let Some(answer) = twiml::before(&holding).await {
            return answered(answer, self.ticket, self.in_work, &active.metrics);
        }
        match forward(&self.worker.client, &job, &self.webhook).await {
            Ok(Outcome::Answer(answer)) => match twiml::hold(&holding, answer).await {
                Ok((answer, costs)) => {
                    // What costs something is admitted each time that it is given; what HEAD leaves out cannot be.
                    let is_fact = costs == Costs::Something || self.parts.method == Method::HEAD;
                    let keep = |keep| if is_fact { Keep::Fact } else { keep };
                    let ticket = self.ticket.map(|(ticket, kept)| (ticket, keep(kept)));
                    answered(answer, ticket, self.in_work, &active.metrics)
                }
                Err(error) => upstream_failed(active, &error),
            },
            Ok(Outcome::Upgraded { headers, stream, leftover }) => {
                if let Some((ticket, _)) = self.ticket {
                    ticket.complete(None);
                }
                match self.upgrade {
                    Some((caller, connection)) => {
                        websocket::open(caller, connection, stream, leftover, headers)
                    }
                    None => respond::empty(StatusCode::BAD_GATEWAY),
                }
            }
            // The ticket drops: a failed first is forgotten, and a repeat is forwarded anew.
            Err(error) => upstream_failed(active, &error),
        }
    }
}

/// Runs a future to its end even if whoever waits for it goes away: a caller that hangs up early must not make
/// the gate forget that the request went upstream, or the same request could be had done again and again.
struct RunToEnd<F: Future + Send + 'static>(Option<Pin<Box<F>>>)
where
    F::Output: Send;

impl<F: Future + Send + 'static> RunToEnd<F>
where
    F::Output: Send,
{
    fn new(future: F) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<F: Future + Send + 'static> Future for RunToEnd<F>
where
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(future) = &mut self.0 else { return Poll::Pending };
        let output = ready!(future.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(output)
    }
}

impl<F: Future + Send + 'static> Drop for RunToEnd<F>
where
    F::Output: Send,
{
    fn drop(&mut self) {
        // Without a runtime the process is ending, and there is no later.
        if let (Some(future), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(future);
        }
    }
}

/// Decides with this thread's buffers.
pub(crate) fn decide(
    active: &ActiveRoute,
    snapshot: &Snapshot,
    admissible: &Admissible,
    received: &Received<'_>,
) -> Result<VerifiedWebhook, Reason> {
    thread_local! {
        static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::default());
    }
    let webhook = SCRATCH
        .with_borrow_mut(|scratch| admit(&active.route, &snapshot.keyring, admissible, received, scratch))?;
    // Whoever may come in by this route must not be taken for one who came in by another.
    if is_in_two_ways(&snapshot.routes, active, &received.head) {
        return Err(Reason::BadRequest("path_in_two_ways"));
    }
    if let Some(allowed) = webhook.allowed() {
        snapshot.watched.note(allowed);
    }
    Ok(webhook)
}

/// What a repeat of a request meets.
enum Repeats {
    Forwarded,
    Remembered(Keep),
}

/// Without a signature there is nothing that ties a repeat to its first. What was signed as a WebSocket handshake
/// has no answer to give again; what merely arrives as one, with headers that nobody signed, is like any other.
fn repeats(route: &Route, webhook: &VerifiedWebhook) -> Repeats {
    let Some(allowed) = webhook.allowed() else { return Repeats::Forwarded };
    match (route.replay, allowed.subject) {
        (Replay::Refuse, _) => Repeats::Remembered(Keep::Fact),
        _ if allowed.candidate.websocket => Repeats::Forwarded,
        (Replay::AnswerAgain, _) | (Replay::Auto, Subject::Message | Subject::UsageTrigger) => {
            Repeats::Remembered(Keep::Answer)
        }
        (Replay::Auto | Replay::Off, _) => Repeats::Forwarded,
    }
}

/// The upstream's answer, kept for a repeat where it can be.
fn answered(
    answer: Answer,
    ticket: Option<(Ticket, Keep)>,
    in_work: InFlight,
    route: &RouteMetrics,
) -> Response<GateBody> {
    let Answer { status, headers, body } = answer;
    let Some((ticket, keep)) = ticket else {
        return response(status, headers, GateBody::answer(body, in_work, route));
    };
    // An answer that ends where the connection does may have been cut: it is not given again.
    let keep = if body.ends_by_close() { Keep::Fact } else { keep };
    let mut recording = Recording::new(ticket, keep, status, &headers);
    let body = if let Some(whole) = body.as_whole() {
        recording.data(whole);
        recording.end();
        GateBody::answer(body, in_work, route)
    } else {
        GateBody::recorded(Recorder::new(recording, body), in_work, route)
    };
    response(status, headers, body)
}

fn kept_answer(kept: &KeptAnswer) -> Response<GateBody> {
    response(kept.status(), kept.headers(), GateBody::full(kept.body()))
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
        upstream = active.route.upstream.address().map(UpstreamAddress::authority),
        error = %error,
        status = status.as_u16(),
        "upstream failed"
    );
    respond::empty(status)
}

/// 503: a delivery for us that nobody here takes, and why. Whoever reads the log knows why nothing happened; with a usage
/// trigger Twilio comes again.
pub(crate) fn not_taken(route: &Route, why: NotTaken) -> Response<GateBody> {
    tracing::error!(
        route = &*route.label,
        status = StatusCode::SERVICE_UNAVAILABLE.as_u16(),
        "a webhook for Ringfence was verified and nothing was done about it: {}",
        match why {
            NotTaken::NoBreaker => "there is no circuit breaker here to take a usage trigger",
            NotTaken::NoSecondFactor => "without a signature of its account no key is taken",
            NotTaken::ForwardAuth => {
                "usage triggers and keys are taken by the gate itself, so their URL must lead there and not to a proxy \
                 that only asks"
            }
        }
    );
    respond::empty(StatusCode::SERVICE_UNAVAILABLE)
}

/// Why a delivery for us was not taken.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NotTaken {
    NoBreaker,
    NoSecondFactor,
    ForwardAuth,
}
