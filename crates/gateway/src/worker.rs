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

use crate::connection::{Part, serve_forward_auth, serve_part};
use crate::egress::client::ByTls;
use crate::server::{Listeners, Shared, into_tokio};
use crate::upstream;
use crate::{egress, media};

/// One thread's share. A stop waits until the last handle of it is gone, so whatever works holds one.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: upstream::Client,
    /// For Twilio.
    pub(crate) egress: ByTls<egress::client::Client>,
    /// For files.
    pub(crate) media: ByTls<media::Clients>,
    #[expect(dead_code, reason = "held, not used: the receiver sees when it goes")]
    held: mpsc::Sender<Infallible>,
}

/// Starts a worker on its own handles of the listeners.
pub(crate) fn start_worker(
    index: usize,
    shared: &Arc<Shared>,
    listeners: &Listeners,
    drain: Duration,
) -> io::Result<JoinHandle<()>> {
    let own =
        |listener: &Option<StdTcpListener>| listener.as_ref().map(StdTcpListener::try_clone).transpose();
    let listeners = Listeners {
        gate: own(&listeners.gate)?,
        forward_auth: own(&listeners.forward_auth)?,
        admin: None,
        console: own(&listeners.console)?,
        second_factor: own(&listeners.second_factor)?,
        egress: own(&listeners.egress)?,
        media: own(&listeners.media)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(2)
        .build()?;
    let shared = Arc::clone(shared);
    std::thread::Builder::new().name(format!("ringfence-{index}")).spawn(move || {
        let worked = runtime.block_on(run_worker(shared, listeners, drain));
        if let Err(error) = worked {
            tracing::error!(%error, "a worker could not take over its listeners");
        }
        // A tunnel that outlived the drain ends here.
        runtime.shutdown_background();
    })
}

async fn run_worker(shared: Arc<Shared>, listeners: Listeners, drain: Duration) -> io::Result<()> {
    let (held, mut idle) = mpsc::channel(1);
    let client = upstream::Client::new(upstream::Settings::default());
    let worker = Arc::new(Worker { shared, client, egress: ByTls::new(), media: ByTls::new(), held });
    let gate = listeners.gate.map(into_tokio).transpose()?;
    let forward_auth = listeners.forward_auth.map(into_tokio).transpose()?;
    let console = listeners.console.map(into_tokio).transpose()?;
    let second_factor = listeners.second_factor.map(into_tokio).transpose()?;
    let egress = listeners.egress.map(into_tokio).transpose()?;
    let media = listeners.media.map(into_tokio).transpose()?;
    let housekeeping = tokio::spawn(close_idle(worker.client.clone()));
    tokio::join!(
        accept(gate, &worker, &worker.shared.connections, |worker, stream, address, place| {
            serve_part(Part::Gate, worker, stream, address, place)
        }),
        accept(forward_auth, &worker, &worker.shared.forward_auth_connections, serve_forward_auth),
        accept(console, &worker, &worker.shared.console.connections, |worker, stream, address, place| {
            serve_part(Part::Console, worker, stream, address, place)
        }),
        accept(
            second_factor,
            &worker,
            &worker.shared.second_factor.connections,
            |worker, stream, address, place| {
                serve_part(Part::SecondFactor, worker, stream, address, place)
            }
        ),
        accept(egress, &worker, &worker.shared.egress.connections, |worker, stream, address, place| {
            serve_part(Part::Egress, worker, stream, address, place)
        }),
        accept(media, &worker, &worker.shared.media.connections, |worker, stream, address, place| {
            serve_part(Part::Media, worker, stream, address, place)
        }),
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
