//! A worker thread: its share of the listeners, its connections to upstreams, and its end when the drain begins.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use crate::connection::{serve_forward_auth, serve_gate};
use crate::server::{Shared, into_tokio};
use crate::upstream;

/// One thread's share. A stop waits until the last handle of it is gone, so whatever works holds one.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: upstream::Client,
    #[expect(dead_code, reason = "held, not used: the receiver sees when it goes")]
    held: mpsc::Sender<Infallible>,
}

/// Starts a worker on its own handles of the listeners.
pub(crate) fn start_worker(
    index: usize,
    shared: &Arc<Shared>,
    gate: Option<&StdTcpListener>,
    forward_auth: Option<&StdTcpListener>,
    drain: Duration,
) -> io::Result<JoinHandle<()>> {
    let gate = gate.map(StdTcpListener::try_clone).transpose()?;
    let forward_auth = forward_auth.map(StdTcpListener::try_clone).transpose()?;
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
    let (held, mut idle) = mpsc::channel(1);
    let client = upstream::Client::new(upstream::Settings::default());
    let worker = Arc::new(Worker { shared, client, held });
    let gate = gate.map(into_tokio).transpose()?;
    let forward_auth = forward_auth.map(into_tokio).transpose()?;
    let housekeeping = tokio::spawn(close_idle(worker.client.clone()));
    tokio::join!(
        accept(gate, &worker, &worker.shared.connections, serve_gate),
        accept(forward_auth, &worker, &worker.shared.forward_auth_connections, serve_forward_auth),
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

/// Accepts until the drain begins. Each connection is a task of this thread. Where no place is free for a
/// connection it waits, and those behind it wait in the kernel.
async fn accept<F>(
    listener: Option<TcpListener>,
    worker: &Arc<Worker>,
    places: &Arc<Semaphore>,
    serve: fn(Arc<Worker>, TcpStream, SocketAddr, OwnedSemaphorePermit) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let Some(listener) = listener else { return };
    let mut draining = worker.shared.draining.subscribe();
    let next = async || {
        let accepted = listener.accept().await;
        (accepted, Arc::clone(places).acquire_owned().await)
    };
    let mut failures: u32 = 0;
    loop {
        let (accepted, place) = tokio::select! {
            biased;
            _ = draining.wait_for(|draining| *draining) => return,
            accepted = next() => accepted,
        };
        match (accepted, place) {
            (Ok((stream, address)), Ok(place)) => {
                failures = 0;
                tokio::spawn(serve(Arc::clone(worker), stream, address, place));
            }
            (Err(error), _) => {
                // Out of file descriptors, mostly: waiting lets connections end, spinning would not. It is said
                // once in five seconds.
                if failures.is_multiple_of(100) {
                    tracing::error!(%error, "cannot accept a connection");
                }
                failures += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            // Nobody closes the semaphore.
            (Ok(_), Err(_)) => return,
        }
    }
}
