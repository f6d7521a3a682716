//! The sandbox on the network: one port that speaks HTTP.
//!
//! Paths under `/_sandbox/` are ours (control, phones); `CONNECT` makes it an HTTPS proxy for Twilio's hosts; all
//! else is Twilio's API.

mod engine;
mod rest;
mod sender;

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use ringfence_model::{Clock, Sid};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::task::JoinSet;

pub(crate) use engine::Engine;

use crate::api;
use crate::settings::Settings;
use crate::world::{Beginning, World};

/// The bodies of answers.
type Body = axum::body::Body;

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("dropped on demand")]
struct Dropped;

/// How a sandbox begins.
#[derive(Debug, Clone, Default)]
pub struct SandboxOptions {
    /// Every SID, token and code comes from it; the same seed and the same requests give the same answers.
    pub seed: u64,
    /// The main account; from the seed if absent.
    pub account_sid: Option<Sid>,
    /// Its primary auth token; from the seed if absent.
    pub auth_token: Option<String>,
    /// Time stands still and is moved by [`Sandbox::advance`] or the control API.
    pub virtual_clock: bool,
    /// What can be changed later as well.
    pub settings: Settings,
    /// Certificate authorities (PEM) to trust for webhooks beside the public ones.
    pub webhook_ca: Option<String>,
}

/// A running sandbox. It serves while [`Sandbox::serve`] is polled.
#[derive(Debug, Clone)]
pub struct Sandbox {
    state: Arc<State>,
}

/// What every connection shares.
#[derive(Debug)]
struct State {
    engine: Arc<Engine>,
    router: api::Router,
    address: SocketAddr,
}

/// Why a sandbox could not begin.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The listener cannot be used.
    #[error("the listener cannot be used: {0}")]
    Listener(#[from] std::io::Error),
    /// A certificate authority for webhooks is no certificate in PEM.
    #[error("the certificate authority for webhooks is no PEM: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// A certificate authority for webhooks cannot be used.
    #[error("a certificate authority for webhooks cannot be used: {0}")]
    Tls(#[from] rustls::Error),
}

impl Sandbox {
    /// Makes the world. `listener` decides the address; nothing is served before [`Sandbox::serve`].
    pub fn new(
        options: SandboxOptions,
        listener: &TcpListener,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SandboxError> {
        let roots = options.webhook_ca.map_or(Ok(Vec::new()), |pem| {
            CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>()
        })?;
        let sender = sender::Sender::new(&roots)?;
        let seconds = i64::try_from(clock.unix_seconds()).unwrap_or(i64::MAX);
        let world = World::new(Beginning {
            seed: options.seed,
            now: Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH),
            settings: options.settings,
            account_sid: options.account_sid,
            auth_token: options.auth_token,
        });
        let state = State {
            engine: Engine::new(world, clock, options.virtual_clock, sender),
            router: api::Router::new(api::operations()),
            address: listener.local_addr()?,
        };
        Ok(Self { state: Arc::new(state) })
    }

    /// Accepts connections until the future is dropped.
    pub async fn serve(&self, listener: TcpListener) -> Result<Infallible, SandboxError> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&self.state.engine).keep_time());
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _peer)) => stream,
                    Err(error) => {
                        // Out of file descriptors, most likely: others end soon.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                Some(_ended) = tasks.join_next() => continue,
            };
            let _no_delay = stream.set_nodelay(true);
            tasks.spawn(serve_connection(Arc::clone(&self.state), stream));
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.state.address
    }

    /// The main account.
    pub fn account_sid(&self) -> Sid {
        self.state.engine.with(|world| world.accounts.main())
    }

    /// The primary auth token of an account, if there is such an account.
    pub fn auth_token(&self, account: Sid) -> Option<String> {
        self.state.engine.with(|world| world.accounts.find(account).map(|account| account.auth_token.clone()))
    }

    /// The numbers that the main account owns, oldest first.
    pub fn phone_numbers(&self) -> Vec<String> {
        self.state.engine.with(|world| {
            let main = world.accounts.main();
            world.numbers.of(main).rev().map(|number| number.phone_number.to_string()).collect()
        })
    }

    /// Moves a virtual clock; ends when all webhooks that fell due have been answered. `None` with a real clock.
    pub async fn advance(&self, by: Duration) -> Option<Timestamp> {
        self.state.engine.advance(by).await.ok()
    }

    /// The time in the sandbox.
    pub fn now(&self) -> Timestamp {
        self.state.engine.with(|world| world.now)
    }
}

async fn serve_connection(state: Arc<State>, stream: tokio::net::TcpStream) {
    let service =
        hyper::service::service_fn(move |request| serve_request(Arc::clone(&state), request, false));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30))
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// One request, whatever it is for. `https`: it came through TLS that the sandbox ended.
async fn serve_request(
    state: Arc<State>,
    request: Request<Incoming>,
    https: bool,
) -> Result<Response<Body>, Dropped> {
    rest::answer(&state, request, https).await
}
