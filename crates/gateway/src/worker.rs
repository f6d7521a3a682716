//! A worker thread and its connections: accept, shake hands, serve, and end when the drain begins.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdTcpListener};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

use crate::preface::{self, Protocol};
use crate::respond::GateBody;
use crate::server::{Shared, into_tokio};
use crate::settings::Limits;
use crate::{acme, forward_auth, gate, proxy_protocol, upstream};

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

/// Starts a worker on its own handles of the listeners.
pub(crate) fn start_worker(
    index: usize,
    shared: &Arc<Shared>,
    gate: &Option<StdTcpListener>,
    forward_auth: &Option<StdTcpListener>,
    drain: Duration,
) -> io::Result<JoinHandle<()>> {
    let clone =
        |listener: &Option<StdTcpListener>| listener.as_ref().map(StdTcpListener::try_clone).transpose();
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
    let mut draining = worker.shared.draining.subscribe();
    let protocol = tokio::select! {
        biased;
        protocol = timeout(head_timeout, preface::protocol(&stream)) => protocol,
        _ = draining.wait_for(|draining| *draining) => return,
    };
    if let Ok(protocol) = protocol {
        serve_gate(worker, stream, peer, protocol).await;
    }
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
    V: Service<Request<Incoming>, Response = Response<GateBody>, Error = Infallible>
        + Send
        + Sync
        + Clone
        + 'static,
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
