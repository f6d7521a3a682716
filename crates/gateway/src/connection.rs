//! One accepted connection: handshakes, the protocol, and the limits that end it.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::egress::host::TwilioHost;
use crate::inspector::not_http;
use crate::preface::{self, Protocol};
use crate::reason::Reason;
use crate::respond::GateBody;
use crate::server::{Shared, TlsEnd};
use crate::settings::Limits;
use crate::streams::Streams;
#[cfg(target_os = "linux")]
use crate::streams::UNREAD_MAX;
use crate::told::log_refusal;
use crate::worker::Worker;
use crate::{acme, egress, forward_auth, gate, hosted, http_rules, media, proxy_protocol, respond};

/// An accepted connection, for as long as anything of it lives: its task, or the tunnel that it became.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) worker: Arc<Worker>,
    /// The address that it comes from, or the one that PROXY protocol names.
    pub(crate) peer: IpAddr,
    part: Part,
    begun: AtomicU64,
    in_work: AtomicU64,
    _place: OwnedSemaphorePermit,
}

/// The listener that a connection came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Gate,
    ForwardAuth,
    Console,
    SecondFactor,
    Egress,
    Media,
}

/// After so long without a byte the kernel asks whether the peer is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);

/// More than any proxy takes from its own clients.
const ASKED_HEAD_BYTES_MAX: usize = 256 * 1024;
const ASKED_HEADERS_MAX: usize = 2_000;

/// Serves a connection to the gate, or to one of the parts that somebody else answers for.
pub(crate) async fn serve_part(
    part: Part,
    worker: Arc<Worker>,
    mut stream: TcpStream,
    address: SocketAddr,
    place: OwnedSemaphorePermit,
) {
    // Answers are written whole; waiting to fill a segment only adds latency.
    let _best_effort = stream.set_nodelay(true);
    // hyper has no time limit for an answer that is not read; the kernel has.
    #[cfg(target_os = "linux")]
    let _best_effort = SockRef::from(&stream).set_tcp_user_timeout(Some(UNREAD_MAX));
    let shared = Arc::clone(&worker.shared);
    let (limits, trusted) = {
        let snapshot = shared.snapshot.load();
        (snapshot.limits.clone(), snapshot.trusted_proxies.contains(address.ip()))
    };
    let mut connection = Connection::new(worker, address, place, part);
    if shared.proxy_protocol && trusted && part == Part::Gate {
        match timeout(limits.handshake_timeout, proxy_protocol::read_header(&mut stream)).await {
            Ok(Ok(client)) => {
                connection.peer = client.map_or(connection.peer, |client| client.ip().to_canonical());
            }
            _ => return handshake_failed(&connection, "PROXY protocol header"),
        }
    }
    let connection = Arc::new(connection);
    let Some(tls) = connection.tls() else { return serve_plain(connection, &limits, stream).await };
    match timeout(limits.handshake_timeout, tls.acceptor.accept(stream)).await {
        // The authority wanted the handshake and nothing else.
        Ok(Ok(stream)) if acme::is_challenge(stream.get_ref().1) => {}
        Ok(Ok(stream)) => {
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let protocol = if is_http2 { Protocol::Http2 } else { Protocol::Http1 };
            serve_requests(connection, &limits, stream, protocol).await;
        }
        _ => handshake_failed(&connection, "TLS handshake"),
    }
}

/// Serves a connection of a proxy that asks.
pub(crate) async fn serve_forward_auth(
    worker: Arc<Worker>,
    stream: TcpStream,
    address: SocketAddr,
    place: OwnedSemaphorePermit,
) {
    let _best_effort = stream.set_nodelay(true);
    let mut limits = worker.shared.snapshot.load().limits.clone();
    // What the asking proxy let pass is answered with a verdict, never with a 431, of which nginx makes a 500.
    limits.head_bytes_max = limits.head_bytes_max.max(ASKED_HEAD_BYTES_MAX);
    let connection = Arc::new(Connection::new(worker, address, place, Part::ForwardAuth));
    let (asked, head_bytes_max) = (Arc::clone(&connection), limits.head_bytes_max);
    let service = service_fn(move |request: Request<Incoming>| {
        let asked = Arc::clone(&asked);
        async move {
            let is_last = http_rules::is_last(&request);
            Ok::<_, Infallible>(match doubtful(&asked, &request, head_bytes_max) {
                Some(refused) => refused,
                None => respond::last_if(is_last, forward_auth::handle(&asked, request).await),
            })
        }
    });
    serve_http(&connection, &limits, stream, service, Protocol::Http1, Some(ASKED_HEADERS_MAX)).await;
}

async fn serve_plain(connection: Arc<Connection>, limits: &Limits, stream: TcpStream) {
    let mut draining = connection.worker.shared.draining.subscribe();
    let protocol = tokio::select! {
        biased;
        protocol = timeout(limits.head_timeout, preface::protocol(&stream)) => protocol,
        _ = draining.wait_for(|draining| *draining) => return,
    };
    if let Ok(protocol) = protocol {
        serve_requests(connection, limits, stream, protocol).await;
    }
}

async fn serve_requests<S>(connection: Arc<Connection>, limits: &Limits, stream: S, protocol: Protocol)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (serving, head_bytes_max) = (Arc::clone(&connection), limits.head_bytes_max);
    let service = service_fn(move |request: Request<Incoming>| {
        let connection = Arc::clone(&serving);
        async move {
            if let Some(refused) = doubtful(&connection, &request, head_bytes_max) {
                return Ok::<_, Infallible>(refused);
            }
            let is_last = http_rules::is_last(&request);
            // hyper counts for HTTP/1.1 by itself.
            let working = (protocol != Protocol::Http1).then(|| connection.begin());
            let shared = &connection.worker.shared;
            let response = match connection.part {
                Part::Gate | Part::ForwardAuth => gate::handle(&connection, request).await,
                Part::Console => hosted::handle(&shared.console, &connection, request).await,
                Part::SecondFactor => hosted::handle(&shared.second_factor, &connection, request).await,
                Part::Egress if egress::tunnel::is_wanted(&request) => {
                    egress::tunnel::open(&connection, request)
                }
                Part::Egress => egress::handle(&connection, request, egress::Way::BaseUrl).await,
                Part::Media => media::handle(&connection, request).await,
            };
            Ok(match working {
                Some(working) => response.map(|body| body.working(working)),
                None => respond::last_if(is_last, response),
            })
        }
    });
    // hyper's own limit, 100, is kept: naming it would cost an allocation a request.
    serve_http(&connection, limits, stream, service, protocol, None).await;
}

/// Serves what comes through a tunnel of the egress to this host of Twilio's.
pub(crate) async fn serve_tunnel<S>(connection: Arc<Connection>, stream: S, host: String)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let limits = connection.worker.shared.snapshot.load().limits.clone();
    let (serving, head_bytes_max) = (Arc::clone(&connection), limits.head_bytes_max);
    let host: Arc<str> = host.into();
    let service = service_fn(move |request: Request<Incoming>| {
        let (connection, host) = (Arc::clone(&serving), Arc::clone(&host));
        async move {
            if let Some(refused) = doubtful(&connection, &request, head_bytes_max) {
                return Ok::<_, Infallible>(refused);
            }
            let is_last = http_rules::is_last(&request);
            let answered = match TwilioHost::parse(&host) {
                Some(host) => egress::handle(&connection, request, egress::Way::Tunnel(host)).await,
                // No tunnel is opened to another.
                None => respond::empty(StatusCode::NOT_FOUND),
            };
            Ok(respond::last_if(is_last, answered))
        }
    });
    serve_http(&connection, &limits, stream, service, Protocol::Http1, None).await;
}

/// Serves HTTP to the connection's end, or to the end of the request in work once the drain begins.
async fn serve_http<S, V>(
    connection: &Connection,
    limits: &Limits,
    stream: S,
    service: V,
    protocol: Protocol,
    headers_max: Option<usize>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    V: Service<Request<Incoming>, Response = Response<GateBody>, Error = Infallible>
        + Send
        + Sync
        + Clone
        + 'static,
    V::Future: Send + 'static,
{
    let shared = &connection.worker.shared;
    let io = TokioIo::new(stream);
    // An answer to `CONNECT` must have no header at all: the egress dates its other ones.
    let dates_itself = connection.part != Part::Egress;
    let quiet = connection.quiet(limits.head_timeout);
    let was_used = || connection.begun.load(Ordering::Relaxed) > 0;
    match protocol {
        Protocol::Http1 => {
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(limits.head_timeout)
                .max_buf_size(limits.head_bytes_max)
                .auto_date_header(dates_itself);
            if let Some(headers_max) = headers_max {
                builder.max_headers(headers_max);
            }
            let http = builder.serve_connection(io, service).with_upgrades();
            // hyper's own time limit for a head also ends idle connections here.
            let ended =
                until_drained(shared, limits, http, |http| http.graceful_shutdown(), pending(), || true)
                    .await;
            if let Err(error) = ended {
                refused_by_hyper(connection, &error);
            }
        }
        Protocol::Http2 => {
            let mut builder = http2::Builder::new(Streams);
            builder
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS_MAX)
                .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
                // A peer that vanished without a word is noticed, and its connection ends.
                .keep_alive_interval(limits.head_timeout)
                .keep_alive_timeout(limits.head_timeout);
            let http = builder.serve_connection(io, service);
            // How it ends is the peer's affair.
            let _ended =
                until_drained(shared, limits, http, |http| http.graceful_shutdown(), quiet, was_used).await;
        }
        Protocol::Unclear => {
            let mut builder = auto::Builder::new(Streams);
            builder
                .http1()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.head_timeout)
                .max_buf_size(limits.head_bytes_max)
                .auto_date_header(dates_itself);
            builder
                .http2()
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS_MAX)
                .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX));
            let http = builder.serve_connection_with_upgrades(io, service);
            // How it ends is the peer's affair.
            let _ended =
                until_drained(shared, limits, http, |http| http.graceful_shutdown(), quiet, was_used).await;
        }
    }
}

/// Streams of one HTTP/2 connection; Envoy's edge guidance.
const STREAMS_MAX: u32 = 100;

/// Runs a connection until it ends by itself. Once the drain begins, or nothing goes on any more, it is asked to
/// end, and after the drain's time it is closed whatever goes on. One over which no request has come is closed at
/// once; `was_used` says whether one has, and is true where hyper itself knows.
async fn until_drained<C, E>(
    shared: &Shared,
    limits: &Limits,
    http: C,
    shut_down: fn(Pin<&mut C>),
    quiet: impl Future<Output = Quiet>,
    was_used: impl Fn() -> bool,
) -> Result<(), E>
where
    C: Future<Output = Result<(), E>>,
{
    let mut http = pin!(http);
    let mut draining = shared.draining.subscribe();
    let quiet = tokio::select! {
        biased;
        ended = http.as_mut() => return ended,
        quiet = quiet => quiet,
        // The two are woken one after the other, and either may be the first to see that the drain has begun.
        _ = draining.wait_for(|draining| *draining) => {
            if was_used() { Quiet::ByNow } else { Quiet::Ever }
        }
    };
    if quiet == Quiet::Ever {
        return Ok(());
    }
    shut_down(http.as_mut());
    timeout(limits.drain, http).await.unwrap_or(Ok(()))
}

pub(crate) const HEAD_TOO_LARGE: &str = "head_too_large";

/// hyper answers what is not HTTP by itself, with a 400 or a 431; that is a refusal like any other. All else that
/// ends a connection is the peer's affair: a reset, a time-out.
fn refused_by_hyper(connection: &Connection, error: &hyper::Error) {
    let (rule, status) = if error.is_parse_too_large() {
        (HEAD_TOO_LARGE, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    } else if error.is_parse() {
        ("malformed_http", StatusCode::BAD_REQUEST)
    } else {
        return;
    };
    tell_refused(connection, Reason::BadRequest(rule), status);
}

/// The answer to a request whose body may end in two places, or whose head is too large: no listener sees it, and the
/// connection ends with it.
fn doubtful(
    connection: &Connection,
    request: &Request<Incoming>,
    head_bytes_max: usize,
) -> Option<Response<GateBody>> {
    let (reason, status) = match http_rules::check_framing(request.headers()) {
        Err(reason) => (reason, StatusCode::BAD_REQUEST),
        Ok(()) if http_rules::is_head_larger(request, head_bytes_max) => {
            (Reason::BadRequest(HEAD_TOO_LARGE), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
        }
        Ok(()) => return None,
    };
    let response = if connection.part == Part::Egress {
        // Twilio's libraries want an error of Twilio's.
        let head = (request.method(), request.uri().path());
        egress::refuse(connection, egress::UNKNOWN, Some(head), &reason.into())
    } else {
        tell_refused(connection, reason, status);
        respond::empty(status)
    };
    // HTTP/2 has frames, and no such header.
    Some(respond::last_if(request.version() < Version::HTTP_2, response))
}

/// A refusal before anything was looked for is counted, logged and shown like any other.
fn tell_refused(connection: &Connection, reason: Reason, status: StatusCode) {
    // The counters are the gate's, and the egress has its own.
    match connection.part {
        Part::Gate | Part::ForwardAuth => {}
        Part::Egress => {
            // hyper has answered by itself.
            _ = egress::refuse(connection, egress::UNKNOWN, None, &reason.into());
            return;
        }
        Part::Console | Part::SecondFactor | Part::Media => return,
    }
    connection.worker.shared.metrics.refused_without_route(reason);
    log_refusal("", reason, status, "", connection.peer);
    let part = if connection.part == Part::ForwardAuth { "forward-auth" } else { "gate" };
    not_http(&connection.worker.shared, part, connection.peer, reason, status.as_u16());
}

fn handshake_failed(connection: &Connection, what: &'static str) {
    connection.worker.shared.metrics.handshakes_failed.inc();
    tracing::info!(client = %connection.peer, what, "handshake failed");
}

/// Has the kernel find out when the other side of a quiet connection has vanished.
pub(crate) fn keep_alive(stream: &TcpStream) {
    let _best_effort =
        SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_AFTER));
}

/// How quiet a connection is.
#[derive(Debug, PartialEq, Eq)]
enum Quiet {
    /// Not one request has come.
    Ever,
    /// No request has come for a while, and none is in work.
    ByNow,
}

impl Connection {
    fn new(worker: Arc<Worker>, address: SocketAddr, place: OwnedSemaphorePermit, part: Part) -> Self {
        if part == Part::Gate {
            worker.shared.metrics.connections.inc();
        }
        Self {
            worker,
            peer: address.ip().to_canonical(),
            begun: AtomicU64::new(0),
            in_work: AtomicU64::new(0),
            part,
            _place: place,
        }
    }

    /// What its TLS is done with, where it has some.
    fn tls(&self) -> Option<&TlsEnd> {
        let shared = &self.worker.shared;
        let is_tls = match self.part {
            Part::Gate => true,
            Part::ForwardAuth => false,
            Part::Console => shared.console.is_tls,
            Part::SecondFactor => shared.second_factor.is_tls,
            Part::Egress => shared.egress.wire == egress::Wire::Tls,
            Part::Media => shared.media.wire == egress::Wire::Tls,
        };
        shared.tls.as_ref().filter(|_| is_tls)
    }

    fn begin(self: &Arc<Self>) -> Working {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.in_work.fetch_add(1, Ordering::Relaxed);
        Working(Arc::clone(self))
    }

    /// Ends when nothing has gone on for this long, and at most twice as long, or when the drain begins. For the
    /// protocol that has no time limit of its own: an HTTP/2 peer may open no stream, or no further one, and answer
    /// every ping.
    async fn quiet(&self, patience: Duration) -> Quiet {
        let mut draining = self.worker.shared.draining.subscribe();
        loop {
            let before = self.begun.load(Ordering::Relaxed);
            let is_draining = tokio::select! {
                biased;
                _ = draining.wait_for(|draining| *draining) => true,
                () = tokio::time::sleep(patience) => false,
            };
            let begun = self.begun.load(Ordering::Relaxed);
            let is_idle = begun == before && self.in_work.load(Ordering::Relaxed) == 0;
            match (is_idle || is_draining, begun) {
                (true, 0) => return Quiet::Ever,
                (true, _) => return Quiet::ByNow,
                (false, _) => {}
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.part == Part::Gate {
            self.worker.shared.metrics.connections.dec();
        }
    }
}

/// A request in work on a connection, to the end of its answer.
#[derive(Debug)]
pub(crate) struct Working(Arc<Connection>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.in_work.fetch_sub(1, Ordering::Relaxed);
    }
}
