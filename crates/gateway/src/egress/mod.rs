//! The egress: the way of an application's requests to Twilio's REST API, with a credential of ours in the place of
//! Twilio's, and under the limits.
//!
//! The one idea: an application never has Twilio's auth token, so whatever it sends to Twilio passes here; and what costs
//! something is set aside in the store before it is sent, once.
//!
//! ```text
//! http_rules ─▶ target ─▶ credential ─▶ operation ─▶ scope ─▶ form ─▶ foreign ─▶ charge ─▶ priced ─▶ request ─▶ answer
//! one reading   host and   looked up     priced,      account,  read     TwiML      worst    set aside,  Twilio's   secrets out,
//! of the head   raw path   each time     free, never  area, …   once     from here  price    sent once   own token  links back
//! ```
//!
//! Everything that is refused has Twilio's shape ([`refusal`]), one log line without a number or a text, and a counter.
//! What is absent: no path is normalised, no credential of the caller is passed on, no redirect is followed, nothing is
//! sent twice, and where the store is away nothing is sent at all.

pub(crate) mod answer;
pub(crate) mod authority;
mod charge;
pub(crate) mod client;
mod content;
pub(crate) mod credential;
mod fields;
mod foreign;
pub(crate) mod form;
pub(crate) mod host;
pub(crate) mod json;
mod metrics;
mod operation;
mod priced;
mod refusal;
pub(crate) mod request;
pub(crate) mod rules;
mod scope;
pub(crate) mod settings;
pub(crate) mod target;
pub(crate) mod tunnel;
mod twiml;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::header::{EXPECT, HeaderMap};
use http::request::Parts;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use jiff::Timestamp;
use ringfence_model::{Clock, Sid};
use ringfence_store::{EgressArea, Now, Store};
use ringfence_twilio::wire::Form;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

pub(crate) use self::charge::check_length;
use self::client::Client;
use self::content::Content;
use self::credential::{Holder, Presented, Remembered};
pub(crate) use self::foreign::route_of;
use self::json::LedBack;
pub(crate) use self::metrics::EgressMetrics;
pub(crate) use self::operation::is_word_of_paths;
use self::operation::{Class, Found, Operation, Priced};
pub(crate) use self::priced::{refused, scoped};
pub(crate) use self::refusal::Refusal;
use self::request::{Head, Outgoing};
pub(crate) use self::rules::{EgressRules, EgressStore, KnownAccount};
use self::target::Target;
pub(crate) use self::target::Way;
use crate::body::{BodyBound, discard_if, read_body};
use crate::connection::Connection;
use crate::forwarded::{TrustedPeers, client_address, says_https};
use crate::http_rules;
use crate::inspector::outgoing::{self as inspector, Asked, OutgoingNote, Why};
use crate::respond::{self, GateBody};
use crate::snapshot::Snapshot;
use crate::worker::Worker;

/// Requests in work at once. Each waits for a commit and for Twilio.
const IN_WORK_MAX: usize = 1024;
/// A form of Twilio's is a few kilobytes, a template of content some hundred.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// From the end of the head to the last byte of the body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of all bodies that are still arriving.
const BODY_MEMORY_MAX: usize = 64 * 1024 * 1024;

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Connections begin with a TLS handshake.
    Tls,
    /// In the clear, on this machine alone.
    Loopback,
    /// In the clear, from proxies that end TLS: from listed peers alone.
    BehindProxies,
}

/// The listener of the egress.
#[derive(Debug)]
pub(crate) struct EgressEnd {
    pub(crate) wire: Wire,
    /// Places for connections; no listener takes another's.
    pub(crate) connections: Arc<Semaphore>,
    /// Limits and prices; nothing until they are known.
    pub(crate) rules: ArcSwapOption<EgressRules>,
    pub(crate) metrics: EgressMetrics,
    store: Option<EgressStore>,
    remembered: Remembered,
    places: Arc<Semaphore>,
    body_memory: AtomicUsize,
    clock: Arc<dyn Clock>,
}

impl EgressEnd {
    pub(crate) fn new(
        store: Option<EgressStore>,
        metrics: EgressMetrics,
        clock: Arc<dyn Clock>,
        wire: Wire,
        connections_max: usize,
    ) -> Self {
        Self {
            wire,
            connections: Arc::new(Semaphore::new(connections_max)),
            rules: ArcSwapOption::empty(),
            metrics,
            store,
            remembered: Remembered::default(),
            places: Arc::new(Semaphore::new(IN_WORK_MAX)),
            body_memory: AtomicUsize::new(0),
            clock,
        }
    }

    /// What this machine's clock says.
    fn now(&self) -> Timestamp {
        let micros = i64::try_from(self.clock.unix_micros()).unwrap_or(i64::MAX);
        Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
    }

    /// What the clock says by which windows are counted.
    pub(crate) fn ledger_now(&self) -> Now {
        self.store.as_ref().map_or(Now::Database, |store| (store.now)())
    }

    /// The same as a moment, for who only looks.
    pub(crate) fn window_now(&self) -> Timestamp {
        match self.ledger_now() {
            Now::At(now) => now,
            Now::Database => self.now(),
        }
    }

    fn wake(&self) {
        if let Some(store) = &self.store {
            (store.woken)();
        }
    }

    pub(crate) fn store(&self) -> Result<Arc<Store>, Refusal> {
        self.store.as_ref().and_then(|store| (store.store)()).ok_or(Refusal::StoreAway)
    }
}

/// What is known of a request when it is answered, for the log, the counters and what is kept of it.
#[derive(Debug)]
struct Known {
    operation: &'static str,
    credential: Option<(Sid, Arc<str>)>,
    account: Option<Sid>,
    /// The credential, where it was remembered.
    recalled: Option<Presented>,
    /// Whether the store has been asked since then if it is still good.
    is_asked: bool,
    note: OutgoingNote,
}

impl Known {
    fn asked(&self) -> Asked<'_> {
        Asked {
            operation: if self.operation == UNKNOWN { "" } else { self.operation },
            credential: self.credential.as_ref().map(|(sid, name)| (*sid, &**name)),
            account: self.account,
        }
    }

    /// The same refusal; to whom the store does not know any more nothing but that.
    async fn confirmed(&self, end: &EgressEnd, refusal: Refusal) -> Refusal {
        let Some(presented) = &self.recalled else { return refusal };
        let confirmed = match end.store() {
            _ if self.is_asked => Err(refusal),
            Ok(store) => presented.look_up(&store, end.now()).await.map(|_| refusal),
            Err(away) => Err(away),
        };
        let told = confirmed.unwrap_or_else(|instead| instead);
        if told == Refusal::Unauthorized {
            presented.forget(&end.remembered);
        }
        told
    }

    /// Counts, logs and keeps a refusal, and makes the answer of it.
    fn refused(&self, end: &EgressEnd, refusal: &Refusal, client: IpAddr) -> Response<GateBody> {
        end.metrics.refused(self.operation, refusal.as_str());
        log_refusal(refusal, self, client);
        let why = Why { reason: refusal.as_str(), limit: refusal.limit(), words: refusal.words() };
        self.note.failed(&self.asked(), why);
        self.note.answered(refusal.answer().map(GateBody::full))
    }
}

/// The operation of a request of which no more is known.
pub(crate) const UNKNOWN: &str = "none";

/// Answers one request. Never fails: every way out is an answer.
pub(crate) async fn handle(
    connection: &Arc<Connection>,
    request: Request<Incoming>,
    way: Way<'_>,
) -> Response<GateBody> {
    let end = &connection.worker.shared.egress;
    let snapshot = connection.worker.shared.snapshot.load();
    let client = asked_by(connection.peer, request.headers(), &snapshot.trusted_proxies, way);
    let inspect = snapshot.inspect;
    drop(snapshot);
    let host = match way {
        Way::BaseUrl => None,
        Way::Tunnel(host) => Some(host.name()),
    };
    let head = inspector::Head { method: Some(request.method()), host, target: request.uri().path(), client };
    let note = OutgoingNote::begin(&connection.worker.shared, inspect, &head);
    let mut known =
        Known { operation: UNKNOWN, credential: None, account: None, recalled: None, is_asked: false, note };
    let response = match answer_one(connection, request, way, &mut known).await {
        Ok(response) => {
            end.metrics.answered(known.operation, response.status());
            known.note.answered(response)
        }
        Err(refusal) => {
            let refusal = known.confirmed(end, refusal).await;
            known.refused(end, &refusal, client)
        }
    };
    respond::dated(&*connection.worker.shared.clock, response)
}

/// Refuses what is not looked at any further: a tunnel, a request whose head or framing is doubtful, or what is no HTTP.
pub(crate) fn refuse(
    connection: &Connection,
    operation: &'static str,
    head: Option<(&Method, &str)>,
    refusal: &Refusal,
) -> Response<GateBody> {
    let shared = &connection.worker.shared;
    let (method, target) = head.unzip();
    let target = target.unwrap_or_default();
    let head = inspector::Head { method, host: None, target, client: connection.peer };
    let note = OutgoingNote::begin(shared, shared.snapshot.load().inspect, &head);
    let known = Known { operation, credential: None, account: None, recalled: None, is_asked: false, note };
    respond::dated(&*shared.clock, known.refused(&shared.egress, refusal, connection.peer))
}

async fn answer_one(
    connection: &Connection,
    request: Request<Incoming>,
    way: Way<'_>,
    known: &mut Known,
) -> Result<Response<GateBody>, Refusal> {
    let worker = &connection.worker;
    let (parts, body) = request.into_parts();
    let deadline = Instant::now() + BODY_TIMEOUT;
    let may_discard = !parts.headers.contains_key(EXPECT);
    let snapshot = worker.shared.snapshot.load_full();
    // A tunnel is under TLS from its first byte on, however it is reached.
    let is_in_the_clear = way == Way::BaseUrl
        && worker.shared.egress.wire == Wire::BehindProxies
        && !snapshot.trusted_proxies.contains(connection.peer);
    if is_in_the_clear {
        discard_if(may_discard, body, deadline).await;
        return Err(Refusal::InTheClear);
    }
    let taken = match take(worker, &snapshot, &parts, way, known).await {
        Ok(taken) => taken,
        Err(refusal) => {
            discard_if(may_discard, body, deadline).await;
            return Err(refusal);
        }
    };
    let bound = BodyBound {
        cap: BODY_BYTES_MAX,
        deadline,
        may_discard,
        memory: &worker.shared.egress.body_memory,
        memory_max: BODY_MEMORY_MAX,
    };
    let body = read_body(body, &bound).await?;
    known.note.read(&parts.headers, parts.uri.query(), &body);
    let links = own_links(connection, &snapshot, &parts, way)?;
    pass(worker, &snapshot, &parts, taken, (body, links), known).await
}

/// A request whose head is understood, of a credential that may make it.
struct Taken<'a> {
    target: Target<'a>,
    holder: Holder,
    account: Sid,
    /// Nothing where it is unknown, and passed.
    operation: Option<Operation>,
    place: OwnedSemaphorePermit,
}

/// Everything that the head decides.
async fn take<'p>(
    worker: &Worker,
    snapshot: &Snapshot,
    parts: &'p Parts,
    way: Way<'p>,
    known: &mut Known,
) -> Result<Taken<'p>, Refusal> {
    let end = &worker.shared.egress;
    let head = http_rules::check(parts)?;
    check_method_override(&parts.headers)?;
    let target = Target::parse(head.target, head.authority, way)?;
    let found = operation::find(&parts.method, &target);
    if let Found::Known(operation) = found {
        known.operation = operation.name();
    }
    let Ok(place) = Arc::clone(&end.places).try_acquire_owned() else { return Err(Refusal::Overloaded) };
    let store = end.store()?;
    let presented = Presented::read(&parts.headers)?;
    let recalled = if is_admitted(&found) { presented.recall(&end.remembered) } else { None };
    let holder = if let Some(holder) = recalled {
        known.recalled = Some(presented);
        holder
    } else {
        let holder = presented.look_up(&store, end.now()).await?;
        presented.remember(&holder, &end.remembered);
        holder
    };
    known.credential = Some((holder.credential, Arc::clone(&holder.name)));
    let settings = snapshot.egress.as_ref().ok_or(Refusal::NotReady("the configuration has no egress"))?;
    let operation = match found {
        Found::OtherSpelling => return Err(Refusal::OtherSpelling),
        Found::Known(operation) if operation.class == Class::Secret => return Err(Refusal::Secret),
        Found::Known(operation) => Some(operation),
        Found::Unknown if settings.settings.passes_unknown_operations => None,
        Found::Unknown => return Err(Refusal::UnknownOperation),
    };
    let account = scope::account(&holder, &target)?;
    known.account = Some(account);
    scope::area(&holder, operation.map_or(EgressArea::Unknown, |operation| operation.area))?;
    scope::service(&holder, &target)?;
    let is_unpriced = operation.is_some_and(|operation| operation.class == Class::Unpriced);
    if is_unpriced && !settings.settings.passes_unknown_operations {
        return Err(Refusal::Unpriced);
    }
    Ok(Taken { target, holder, account, operation, place })
}

/// Whether the store will be asked about the credential when it sets money aside, whatever else is asked for. An update may do
/// nothing but end a call, which needs no money.
fn is_admitted(found: &Found) -> bool {
    let Found::Known(operation) = found else { return false };
    matches!(operation.class, Class::Priced(priced) if priced != Priced::CallUpdate)
}

/// What some servers take for another method than the request has.
fn check_method_override(headers: &HeaderMap) -> Result<(), Refusal> {
    const OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];
    let has_one = OVERRIDES.iter().any(|name| headers.contains_key(*name));
    if has_one { Err(Refusal::BadRequest("method_override")) } else { Ok(()) }
}

/// Where links lead the caller: here, or, through a tunnel, to Twilio's own names.
fn own_links(
    connection: &Connection,
    snapshot: &Snapshot,
    parts: &Parts,
    way: Way<'_>,
) -> Result<Option<String>, Refusal> {
    match way {
        Way::Tunnel(_) => Ok(None),
        Way::BaseUrl => {
            // Where a proxy in front ends TLS, the caller must come back through it.
            let is_https = connection.worker.shared.egress.wire == Wire::Tls
                || (snapshot.trusted_proxies.contains(connection.peer) && says_https(&parts.headers));
            let scheme = if is_https { "https" } else { "http" };
            let head = http_rules::check_without_body(parts)?;
            Ok(Some(format!("{scheme}://{}", head.authority)))
        }
    }
}

/// Understands what is asked for, and has it done.
async fn pass(
    worker: &Arc<Worker>,
    snapshot: &Arc<Snapshot>,
    parts: &Parts,
    taken: Taken<'_>,
    (body, own): (Bytes, Option<String>),
    asks: &mut Known,
) -> Result<Response<GateBody>, Refusal> {
    let Taken { target, holder, account, operation, place } = taken;
    let egress = snapshot.egress.as_ref().ok_or(Refusal::NotReady("the configuration has no egress"))?;
    let known = egress.accounts.get(&account).ok_or(Refusal::NoToken)?.clone();
    let class = operation.map(|operation| operation.class);
    let query = Form::parse(target.query.unwrap_or_default().as_bytes());
    scope::named_accounts(&holder, &query)?;
    let content = Content::read(parts, operation::takes_json(operation, &target), body)?;
    if let Some(named) = content.fields() {
        scope::named_accounts(&holder, named)?;
    }
    let form = content.form();
    let is_read = parts.method == Method::GET || parts.method == Method::HEAD;
    let has_no_query = matches!(class, Some(Class::Priced(_)))
        || (foreign::runs_twiml(&target) && parts.method != Method::DELETE);
    if !is_read && !query.is_empty() && (has_no_query || form::decides(&query)) {
        return Err(Refusal::BadRequest("form_in_query"));
    }
    let settings = &egress.settings;
    let fields_of = [Some(&query), form];
    let is_recording_of_trunk =
        operation.is_some_and(|operation| operation.path == operation::RECORDING_OF_TRUNK);
    let billed = |form| form::turns_on_what_is_billed(form, is_recording_of_trunk);
    let mut billed = fields_of.into_iter().flatten().filter_map(billed);
    if let Some(name) = billed.next().filter(|_| !is_read && !settings.passes_unknown_operations) {
        return Err(Refusal::Billed(name));
    }
    if !settings.passes_foreign_twiml && parts.method == Method::POST {
        foreign::check_trunk(operation)?;
    }
    let inline = twiml::Rules { routes: &snapshot.routes, settings };
    if let Some(form) = form.filter(|_| foreign::runs_twiml(&target)) {
        let is_message = class == Some(Class::Priced(Priced::MessageCreate));
        if !settings.passes_foreign_twiml {
            foreign::check(form, is_message, &snapshot.routes)?;
        }
        let is_priced = matches!(class, Some(Class::Priced(priced)) if priced.runs_own_twiml());
        if !is_priced {
            twiml::costs_nothing(form, inline)?;
        }
    }
    if let Content::Json(texts, _) = &content
        && operation.is_none()
        && foreign::runs_twiml(&target)
        && !settings.passes_foreign_twiml
    {
        foreign::check_json(texts)?;
    }
    let outgoing = |fields: Option<&Form>, content: &Content, path_and_query: Option<String>| {
        let (content_type, body) = content.written(fields);
        let head = Head {
            method: &parts.method,
            target: &target,
            path_and_query,
            headers: &parts.headers,
            content_type,
            is_file: class == Some(Class::Media),
        };
        let client = worker.egress.get(&settings.tls, |tls| Client::new(tls.config()));
        Outgoing::new(&client, &settings.twilio, head, body, (account, &known.auth_token), settings.timeout)
    };
    let priced = match class {
        Some(Class::Priced(Priced::CallUpdate)) if form.is_some_and(charge::ends_a_call) => None,
        Some(Class::Priced(priced)) => Some(priced),
        _ => None,
    };
    let base = settings.twilio.clone();
    let Some(priced) = priced else {
        let path_and_query = scope::own_usage(&holder, operation, &target)?;
        let outgoing = outgoing(form, &content, path_and_query)?;
        let links = LedBack { base: &base, own: own.as_deref() };
        asks.note.passes(&asks.asked(), None, &[]);
        if parts.method == Method::DELETE && operation.is_some_and(Operation::is_record_of_call) {
            // Before it is gone: what was set aside for a call that an answer had dialled waits to be found in the list.
            let (end, account) = (&worker.shared.egress, account);
            let noted = end.store()?.note_deleted_call(account, end.window_now()).await;
            noted.map_err(|_| Refusal::StoreAway)?;
        }
        return send_free(worker, outgoing, class, &links, place).await;
    };
    let end = &worker.shared.egress;
    let rules = end.rules.load_full().ok_or(Refusal::NotReady("limits and prices are not known yet"))?;
    let book = rules
        .book(account)
        .ok_or_else(|| Refusal::UnknownPrice("no price is known of this account".to_owned()))?;
    let fields = match target.query {
        Some(query) if priced == Priced::LookupFetch => form::read(query.as_bytes())?,
        _ => form.cloned().unwrap_or_default(),
    };
    scope::sender(&holder, priced, &target, &fields)?;
    scope::destination(&holder, priced, &fields)?;
    if !settings.passes_unknown_operations {
        fields::check(priced, &fields)?;
    }
    let worth = charge::of(priced, &target, fields, book, inline)
        .map_err(|refusal| rules.refusal(account, refusal))?;
    scope::steps(&holder, &worth.beside)?;
    let outgoing = if priced == Priced::LookupFetch {
        let query = worth.form.encode();
        let path = if query.is_empty() { target.path.to_owned() } else { format!("{}?{query}", target.path) };
        outgoing(None, &content, Some(path))?
    } else {
        outgoing(Some(&worth.form), &content, None)?
    };
    let patience = priced::patience(settings.timeout, worth.send_at, end.now());
    let worker = Arc::clone(worker);
    let (note, operation, name) = (asks.note.clone(), asks.operation, Arc::clone(&holder.name));
    asks.is_asked = true;
    // A caller that hangs up leaves this running: what was sent must be answered for.
    let work = tokio::spawn(async move {
        let (end, _place) = (&worker.shared.egress, place);
        let store = end.store()?;
        let wanted =
            priced::Wanted { holder: &holder, account, known: &known, priced, worth: &worth, patience };
        let reservation = priced::admit(end, &store, &rules, end.ledger_now(), &wanted).await?;
        let asked =
            Asked { operation, credential: Some((holder.credential, &*name)), account: Some(account) };
        note.passes(&asked, Some(worth.worst()), reservation.watched());
        let links = LedBack { base: &base, own: own.as_deref() };
        priced::send(end, &store, reservation, (priced, account), (outgoing, &note), &links).await
    });
    work.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request of the egress broke off");
        Err(Refusal::InDoubt)
    })
}

/// A request that costs nothing.
async fn send_free(
    worker: &Arc<Worker>,
    outgoing: Outgoing,
    class: Option<Class>,
    links: &LedBack<'_>,
    place: OwnedSemaphorePermit,
) -> Result<Response<GateBody>, Refusal> {
    let response = outgoing.send().await.map_err(|failure| match failure {
        client::Failure::NotSent => Refusal::Unreachable,
        client::Failure::InDoubt => Refusal::InDoubt,
    })?;
    let (parts, body) = response.into_parts();
    let content = answer::read(&parts, body, class == Some(Class::Media)).await;
    let response = answer::pass_on(&parts, content, links)?;
    // A file keeps its place, and the worker alive, to its end.
    let worker = Arc::clone(worker);
    Ok(response.map(|body| body.holding((place, worker))))
}

/// Who asks, for the log: whom a listed proxy speaks for, or the peer. In a tunnel nobody but the application itself could say so.
fn asked_by(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedPeers, way: Way<'_>) -> IpAddr {
    match way {
        Way::BaseUrl => client_address(peer, headers, trusted).unwrap_or(peer),
        Way::Tunnel(_) => peer,
    }
}

/// One line for each refusal: who, for which account, what and why; no number and no text.
fn log_refusal(refusal: &Refusal, known: &Known, client: IpAddr) {
    tracing::info!(
        operation = known.operation,
        reason = refusal.as_str(),
        limit = refusal.limit(),
        credential = known.credential.as_ref().map(|(sid, _)| tracing::field::display(sid)),
        account = known.account.map(tracing::field::display),
        status = refusal.status().as_u16(),
        code = refusal.code(),
        client = %client,
        "refused on the way to Twilio"
    );
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::host::TwilioHost;
    use super::*;

    #[test]
    fn whom_a_listed_proxy_speaks_for_is_told_and_no_claim_of_anybody_else() {
        let trusted = TrustedPeers::parse(["192.0.2.1"]).expect("a list");
        let [proxy, other, told] =
            ["192.0.2.1", "192.0.2.2", "203.0.113.7"].map(|text| text.parse::<IpAddr>().expect("an address"));
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.7"));
        let tunnel = Way::Tunnel(TwilioHost::parse("api.twilio.com").expect("a host"));
        for (peer, way, client) in
            [(proxy, Way::BaseUrl, told), (other, Way::BaseUrl, other), (proxy, tunnel, proxy)]
        {
            assert_eq!(asked_by(peer, &headers, &trusted, way), client, "{peer} {way:?}");
        }
        headers.insert("x-forwarded-for", HeaderValue::from_static("nonsense!"));
        assert_eq!(asked_by(proxy, &headers, &trusted, Way::BaseUrl), proxy);
    }
}
