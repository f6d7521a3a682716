//! The life of the data plane: listeners, worker threads, connections, reload, stop.
//!
//! Each worker is a thread with a runtime of its own that accepts from the same sockets and keeps its own
//! connections to upstreams, so a request never changes threads. Reload swaps the snapshot; a stop closes idle
//! connections at once and waits for the others.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdTcpListener};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use ringfence_model::Clock;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::acme::{self, Acme, AcmeError};
use crate::metrics::Metrics;
use crate::preface::{self, Protocol};
use crate::replay::ReplayCache;
use crate::respond::GateBody;
use crate::settings::{Limits, Listen, Settings, Tls};
use crate::snapshot::Snapshot;
use crate::tls::{self, CertificateStore, TlsError};
use crate::{admin, forward_auth, gate, proxy_protocol, upstream};

/// The sockets of the data plane, bound before anything runs.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For webhooks.
    pub gate: Option<StdTcpListener>,
    /// For proxies that ask.
    pub forward_auth: Option<StdTcpListener>,
    /// For `/livez`, `/readyz` and `/metrics`.
    pub admin: Option<StdTcpListener>,
}

impl Listeners {
    /// Binds every configured address that was not handed over already (by systemd, say).
    pub fn bind(mut self, listen: &Listen) -> Result<Self, StartError> {
        bind_if_missing(&mut self.gate, listen.gate)?;
        bind_if_missing(&mut self.forward_auth, listen.forward_auth)?;
        bind_if_missing(&mut self.admin, listen.admin)?;
        Ok(self)
    }
}

fn bind_if_missing(listener: &mut Option<StdTcpListener>, address: Option<SocketAddr>) -> Result<(), StartError> {
    if let (None, Some(address)) = (&listener, address) {
        *listener = Some(bind(address).map_err(|source| StartError::Bind { address, source })?);
    }
    Ok(())
}

fn bind(address: SocketAddr) -> io::Result<StdTcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Connections the kernel holds for us while every worker is busy.
const BACKLOG: i32 = 4096;

/// Why the data plane did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address of the configuration.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate or the key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// ACME cannot begin.
    #[error(transparent)]
    Acme(#[from] AcmeError),
    /// A thread or a runtime cannot be had.
    #[error("cannot start a worker: {0}")]
    Worker(io::Error),
}

/// Why a reload changed nothing: the old configuration runs on.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// The certificate or the key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What a reload did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// What differs from the running process and waits for a restart.
    pub needs_restart: Vec<&'static str>,
}

/// What every worker shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) replay: ReplayCache,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) draining: watch::Sender<bool>,
    tls: Option<TlsEnd>,
    connections: Arc<Semaphore>,
    proxy_protocol: bool,
}

/// How connections to the gate are taken over TLS.
struct TlsEnd {
    acceptor: TlsAcceptor,
    certificates: Certificates,
}

enum Certificates {
    Files(Arc<CertificateStore>),
    /// Tells whether there is a certificate yet.
    Acme(Box<dyn Fn() -> bool + Send + Sync>),
}

impl TlsEnd {
    /// With ACME this also begins to order, in a task of the caller's runtime.
    fn start(settings: &Tls) -> Result<Self, StartError> {
        match settings {
            Tls::Files(paths) => {
                let store = Arc::new(CertificateStore::load(paths.clone())?);
                Ok(Self { acceptor: tls::acceptor(Arc::clone(&store))?, certificates: Certificates::Files(store) })
            }
            Tls::Acme(settings) => {
                let acme = Acme::new(settings.clone())?;
                let (acceptor, readiness) = (acme.acceptor(), acme.readiness());
                tokio::spawn(acme.drive());
                Ok(Self { acceptor, certificates: Certificates::Acme(Box::new(readiness)) })
            }
        }
    }
}

impl fmt::Debug for TlsEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TlsEnd(…)")
    }
}

impl Shared {
    /// Whether requests should be sent here; if not, why.
    pub(crate) fn readiness(&self) -> Result<(), &'static str> {
        if *self.draining.borrow() {
            return Err("draining");
        }
        match &self.tls {
            Some(TlsEnd { certificates: Certificates::Acme(ready), .. }) if !ready() => {
                Err("waiting for the first certificate")
            }
            _ => Ok(()),
        }
    }
}

/// One thread's share: its connections to upstreams and its count of work.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: upstream::Client,
    pub(crate) tracker: Tracker,
}

/// Counts work that a stop waits for.
#[derive(Debug, Clone)]
pub(crate) struct Tracker {
    #[expect(dead_code, reason = "held, not used: the receiver sees when the last one goes")]
    held: mpsc::Sender<Infallible>,
}

impl Tracker {
    fn new() -> (Self, mpsc::Receiver<Infallible>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self { held: sender }, receiver)
    }

    /// Work that lasts until the guard is dropped.
    pub(crate) fn enter(&self) -> Tracker {
        self.clone()
    }
}

/// The running data plane.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    drain: Duration,
    listen: Listen,
    tls: Option<Tls>,
    gate_address: Option<SocketAddr>,
    forward_auth_address: Option<SocketAddr>,
    admin_address: Option<SocketAddr>,
}

impl Gateway {
    /// Starts `workers` threads on the listeners. Must be called inside a tokio runtime, which serves the admin
    /// listener and ACME, so that a busy data plane still answers `/livez`.
    pub fn start(
        settings: Settings,
        listeners: Listeners,
        clock: Arc<dyn Clock>,
        workers: usize,
    ) -> Result<Self, StartError> {
        let tls = settings.tls.as_ref().map(TlsEnd::start).transpose()?;
        let (listen, tls_settings, drain) = (settings.listen.clone(), settings.tls.clone(), settings.limits.drain);
        let limits = &settings.limits;
        let replay = ReplayCache::new(limits.replay_memory_bytes, limits.replay_ttl);
        let metrics = Metrics::new(&replay);
        let shared = Arc::new(Shared {
            connections: Arc::new(Semaphore::new(limits.connections_max)),
            snapshot: ArcSwap::from_pointee(Snapshot::new(settings, &metrics)),
            metrics,
            replay,
            clock,
            draining: watch::Sender::new(false),
            tls,
            proxy_protocol: listen.proxy_protocol,
        });
        tokio::spawn(sweep(Arc::clone(&shared)));
        let admin_address = match listeners.admin {
            None => None,
            Some(listener) => {
                let listener = into_tokio(listener).map_err(StartError::Worker)?;
                let address = listener.local_addr().ok();
                tokio::spawn(admin::serve(listener, Arc::clone(&shared)));
                address
            }
        };
        let gate_address = listeners.gate.as_ref().and_then(|listener| listener.local_addr().ok());
        let forward_auth_address = listeners.forward_auth.as_ref().and_then(|listener| listener.local_addr().ok());
        let workers = (0..workers.max(1))
            .map(|index| start_worker(index, &shared, &listeners.gate, &listeners.forward_auth, drain))
            .collect::<Result<_, _>>()
            .map_err(StartError::Worker)?;
        Ok(Self {
            shared,
            workers,
            drain,
            listen,
            tls: tls_settings,
            gate_address,
            forward_auth_address,
            admin_address,
        })
    }

    /// Puts a new configuration in force for every request from now on. What cannot change in a running process
    /// is named in the answer. On an error nothing has changed.
    pub fn reload(&self, settings: Settings) -> Result<Reloaded, ReloadError> {
        let result = self.try_reload(settings);
        let counter = if result.is_ok() { &self.shared.metrics.reloads } else { &self.shared.metrics.reloads_refused };
        counter.inc();
        result
    }

    fn try_reload(&self, settings: Settings) -> Result<Reloaded, ReloadError> {
        if let Some(TlsEnd { certificates: Certificates::Files(store), .. }) = &self.shared.tls
            && store.reload()? == tls::Reload::Replaced
        {
            tracing::info!("another certificate is served from now on");
        }
        let needs_restart = self.needs_restart(&settings);
        self.shared.snapshot.store(Arc::new(Snapshot::new(settings, &self.shared.metrics)));
        Ok(Reloaded { needs_restart })
    }

    fn needs_restart(&self, settings: &Settings) -> Vec<&'static str> {
        let running = self.shared.snapshot.load();
        let (old, new) = (&self.listen, &settings.listen);
        let differences = [
            ("listen.gate", old.gate != new.gate),
            ("listen.forward_auth", old.forward_auth != new.forward_auth),
            ("listen.admin", old.admin != new.admin),
            ("listen.proxy_protocol", old.proxy_protocol != new.proxy_protocol),
            ("tls", self.tls != settings.tls),
            ("limits.connections", running.limits.connections_max != settings.limits.connections_max),
            ("limits.replay_memory", running.limits.replay_memory_bytes != settings.limits.replay_memory_bytes),
            ("limits.replay_ttl", running.limits.replay_ttl != settings.limits.replay_ttl),
        ];
        differences.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }

    /// Notes that a configuration was too wrong to be offered to [`Gateway::reload`].
    pub fn reload_refused(&self) {
        self.shared.metrics.reloads_refused.inc();
    }

    /// Where the gate listens.
    pub fn gate_address(&self) -> Option<SocketAddr> {
        self.gate_address
    }

    /// Where forward-auth listens.
    pub fn forward_auth_address(&self) -> Option<SocketAddr> {
        self.forward_auth_address
    }

    /// Where the admin listener is.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Takes no further connection, lets the requests in work end (for as long as `limits.drain`), and returns
    /// when every worker has.
    pub fn stop(self) {
        tracing::info!(drain_s = self.drain.as_secs(), "draining");
        self.shared.draining.send_replace(true);
        for worker in self.workers {
            if worker.join().is_err() {
                tracing::error!("a worker had panicked");
            }
        }
    }
}

/// Gives memory back on a gate without traffic.
async fn sweep(shared: Arc<Shared>) {
    let mut every_minute = tokio::time::interval(Duration::from_secs(60));
    loop {
        every_minute.tick().await;
        shared.replay.sweep(shared.clock.monotonic());
    }
}

fn into_tokio(listener: StdTcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn start_worker(
    index: usize,
    shared: &Arc<Shared>,
    gate: &Option<StdTcpListener>,
    forward_auth: &Option<StdTcpListener>,
    drain: Duration,
) -> io::Result<JoinHandle<()>> {
    let clone = |listener: &Option<StdTcpListener>| listener.as_ref().map(StdTcpListener::try_clone).transpose();
    let (gate, forward_auth) = (clone(gate)?, clone(forward_auth)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(2)
        .build()?;
    let shared = Arc::clone(shared);
    std::thread::Builder::new().name(format!("ringfence-{index}")).spawn(move || {
        let worked = runtime.block_on(run_worker(shared, gate, forward_auth, drain));
        if let Err(error) = worked {
            tracing::error!(%error, "a worker could not take over its listeners");
        }
        // A tunnel that outlived the drain ends here.
        runtime.shutdown_background();
    })
}

async fn run_worker(
    shared: Arc<Shared>,
    gate: Option<StdTcpListener>,
    forward_auth: Option<StdTcpListener>,
    drain: Duration,
) -> io::Result<()> {
    let (tracker, mut idle) = Tracker::new();
    let worker = Worker { client: upstream::Client::new(upstream::Settings::default()), shared, tracker };
    let gate = gate.map(into_tokio).transpose()?;
    let forward_auth = forward_auth.map(into_tokio).transpose()?;
    let housekeeping = tokio::spawn(close_idle(worker.client.clone()));
    tokio::join!(
        accept(gate, &worker, serve_gate_connection),
        accept(forward_auth, &worker, serve_forward_auth_connection),
    );
    housekeeping.abort();
    drop(worker);
    if timeout(drain, idle.recv()).await.is_err() {
        tracing::warn!("stopped with requests still in work");
    }
    Ok(())
}

/// Closes upstream connections that nobody has used for a while.
async fn close_idle(client: upstream::Client) {
    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    loop {
        every_second.tick().await;
        client.close_idle(tokio::time::Instant::now());
    }
}

/// Accepts until the drain begins. Each connection is a task of this thread.
async fn accept<F>(
    listener: Option<TcpListener>,
    worker: &Worker,
    serve: fn(Worker, TcpStream, SocketAddr, OwnedSemaphorePermit) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let Some(listener) = listener else { return };
    let mut draining = worker.shared.draining.subscribe();
    let connections = Arc::clone(&worker.shared.connections);
    let next = async || {
        let permit = Arc::clone(&connections).acquire_owned().await.expect("the semaphore is never closed");
        (permit, listener.accept().await)
    };
    loop {
        let (permit, accepted) = tokio::select! {
            biased;
            _ = draining.wait_for(|draining| *draining) => return,
            accepted = next() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                tokio::spawn(serve(worker.clone(), stream, address, permit));
            }
            Err(error) => {
                // Out of file descriptors, mostly: waiting lets connections end, spinning would not.
                tracing::error!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve_gate_connection(
    worker: Worker,
    mut stream: TcpStream,
    address: SocketAddr,
    _permit: OwnedSemaphorePermit,
) {
    let _counted = Counted::new(&worker);
    // Answers are written whole; waiting to fill a segment only adds latency.
    let _best_effort = stream.set_nodelay(true);
    let shared = Arc::clone(&worker.shared);
    let (handshake_timeout, trusted) = {
        let snapshot = shared.snapshot.load();
        (snapshot.limits.handshake_timeout, snapshot.trusted_proxies.contains(address.ip()))
    };
    let mut peer = address.ip().to_canonical();
    if shared.proxy_protocol && trusted {
        match timeout(handshake_timeout, proxy_protocol::read_header(&mut stream)).await {
            Ok(Ok(client)) => peer = client.map_or(peer, |client| client.ip().to_canonical()),
            _ => return handshake_failed(&worker, peer, "PROXY protocol header"),
        }
    }
    let Some(tls) = &shared.tls else { return serve_plain(worker, stream, peer).await };
    match timeout(handshake_timeout, tls.acceptor.accept(stream)).await {
        // The authority wanted the handshake and nothing else.
        Ok(Ok(stream)) if acme::is_challenge(stream.get_ref().1) => {}
        Ok(Ok(stream)) => {
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let protocol = if is_http2 { Protocol::Http2 } else { Protocol::Http1 };
            serve_gate(worker, stream, peer, protocol).await;
        }
        _ => handshake_failed(&worker, peer, "TLS handshake"),
    }
}

fn handshake_failed(worker: &Worker, peer: IpAddr, what: &'static str) {
    worker.shared.metrics.handshakes_failed.inc();
    tracing::debug!(client = %peer, what, "handshake failed");
}

async fn serve_plain(worker: Worker, stream: TcpStream, peer: IpAddr) {
    let head_timeout = worker.shared.snapshot.load().limits.head_timeout;
    let Ok(protocol) = timeout(head_timeout, preface::protocol(&stream)).await else { return };
    serve_gate(worker, stream, peer, protocol).await;
}

async fn serve_gate<S>(worker: Worker, stream: S, peer: IpAddr, protocol: Protocol)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let limits = worker.shared.snapshot.load().limits.clone();
    let shared = Arc::clone(&worker.shared);
    let service = service_fn(move |request: Request<Incoming>| {
        let worker = worker.clone();
        async move { Ok::<_, Infallible>(gate::handle(&worker, peer, request).await) }
    });
    serve_http(&shared, &limits, stream, service, protocol).await;
}

async fn serve_forward_auth_connection(
    worker: Worker,
    stream: TcpStream,
    address: SocketAddr,
    _permit: OwnedSemaphorePermit,
) {
    let _best_effort = stream.set_nodelay(true);
    let limits = worker.shared.snapshot.load().limits.clone();
    let shared = Arc::clone(&worker.shared);
    let address = address.ip().to_canonical();
    let service = service_fn(move |request: Request<Incoming>| {
        let worker = worker.clone();
        async move { Ok::<_, Infallible>(forward_auth::handle(&worker, address, request).await) }
    });
    serve_http(&shared, &limits, stream, service, Protocol::Http1).await;
}

/// Serves one connection to its end, or to the end of the request in work once the drain begins.
async fn serve_http<S, V>(shared: &Shared, limits: &Limits, stream: S, service: V, protocol: Protocol)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    V: Service<Request<Incoming>, Response = Response<GateBody>, Error = Infallible> + Send + Sync + Clone + 'static,
    V::Future: Send + 'static,
{
    let io = TokioIo::new(stream);
    match protocol {
        Protocol::Http1 => {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new());
            builder.header_read_timeout(limits.head_timeout);
            builder.max_buf_size(limits.head_bytes_max);
            let connection = builder.serve_connection(io, service).with_upgrades();
            until_drained(shared, connection, |connection| connection.graceful_shutdown()).await;
        }
        Protocol::Http2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            configure_http2(&mut builder, limits);
            let connection = builder.serve_connection(io, service);
            until_drained(shared, connection, |connection| connection.graceful_shutdown()).await;
        }
        Protocol::Unclear => {
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new());
            builder.http1().header_read_timeout(limits.head_timeout);
            builder.http1().max_buf_size(limits.head_bytes_max);
            builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
            let connection = builder.serve_connection_with_upgrades(io, service);
            until_drained(shared, connection, |connection| connection.graceful_shutdown()).await;
        }
    }
}

/// Streams of one HTTP/2 connection; Envoy's edge guidance.
const STREAMS_MAX: u32 = 100;

fn configure_http2(builder: &mut http2::Builder<TokioExecutor>, limits: &Limits) {
    let head_bytes_max = u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(head_bytes_max)
        // A peer that vanished without a word is noticed, and its connection ends.
        .keep_alive_interval(limits.head_timeout)
        .keep_alive_timeout(limits.head_timeout);
}

async fn until_drained<C, E>(shared: &Shared, connection: C, shut_down: fn(Pin<&mut C>))
where
    C: Future<Output = Result<(), E>>,
{
    let mut connection = pin!(connection);
    let mut draining = shared.draining.subscribe();
    tokio::select! {
        biased;
        // How a connection ends is the peer's affair: half a request, a reset, a time-out.
        _ended = connection.as_mut() => return,
        _ = draining.wait_for(|draining| *draining) => {}
    }
    shut_down(connection.as_mut());
    let _ended = connection.await;
}

/// A connection in the gauge.
struct Counted(Arc<Shared>);

impl Counted {
    fn new(worker: &Worker) -> Self {
        worker.shared.metrics.connections.inc();
        Self(Arc::clone(&worker.shared))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.connections.dec();
    }
}
