//! The sandbox on the network: one port that speaks HTTP.
//!
//! Paths under `/_sandbox/` are ours (control, phones); `CONNECT` makes it an HTTPS proxy for Twilio's hosts; all
//! else is Twilio's API.

mod authority;
mod connections;
mod control;
mod deliveries;
mod engine;
mod files;
mod guard;
mod pages;
mod problem;
mod proxy;
mod rest;
mod sender;

use std::convert::Infallible;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ringfence_model::{Clock, PhoneNumber, Sid};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::sync::watch;

pub use authority::{Authority, AuthorityError};
pub(crate) use engine::Engine;

use crate::api;
use crate::settings::Settings;
use crate::world::{Beginning, World, messages, usage};

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
    /// When a virtual clock begins; the present if absent. A real clock is where it is.
    pub start: Option<Timestamp>,
    /// What can be changed later as well.
    pub settings: Settings,
    /// Certificate authorities (PEM) to trust for webhooks beside the public ones.
    pub webhook_ca: Option<String>,
    /// What certifies the hosts of the HTTPS proxy; a new one if absent.
    pub authority: Option<Arc<Authority>>,
    /// Names under which the control API may be reached, beside addresses, `localhost`, names without a dot, and
    /// those under `.internal`, `.localhost` and `.test`. Others are refused, since any name on the web may be made
    /// to point to this machine.
    pub host_names: Vec<String>,
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
    authority: Arc<Authority>,
    host_names: Vec<String>,
    /// How a reset begins again.
    beginning: Beginning,
    /// No new requests; streams end.
    stopping: watch::Sender<bool>,
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
    /// The authority of the proxy could not be made.
    #[error("the authority of the HTTPS proxy cannot be used: {0}")]
    Authority(#[from] AuthorityError),
    /// A setting has a value that makes no sense.
    #[error("the settings cannot be used: {0}")]
    Settings(String),
}

impl Sandbox {
    /// Makes the world. `listener` decides the address; nothing is served, and no webhook leaves, before
    /// [`Sandbox::serve`].
    pub fn new(
        options: SandboxOptions,
        listener: &TcpListener,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SandboxError> {
        options.settings.check().map_err(SandboxError::Settings)?;
        let roots = options.webhook_ca.map_or(Ok(Vec::new()), |pem| {
            CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>()
        })?;
        let sender = sender::Sender::new(&roots)?;
        let authority = match options.authority {
            Some(authority) => authority,
            None => Arc::new(Authority::new(clock.unix_seconds())?),
        };
        let seconds = i64::try_from(clock.unix_seconds()).unwrap_or(i64::MAX);
        let present = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
        let beginning = Beginning {
            seed: options.seed,
            now: options.start.filter(|_| options.virtual_clock).unwrap_or(present),
            settings: options.settings,
            account_sid: options.account_sid,
            auth_token: options.auth_token,
            base: format!("http://{}", listener.local_addr()?),
        };
        let world = World::new(beginning.clone());
        let state = State {
            engine: Engine::new(world, clock, options.virtual_clock, sender),
            router: api::Router::new(api::operations()),
            address: listener.local_addr()?,
            authority,
            host_names: options.host_names,
            beginning,
            stopping: watch::Sender::new(false),
        };
        Ok(Self { state: Arc::new(state) })
    }

    /// Serves until the future is dropped.
    pub async fn serve(&self, listener: TcpListener) -> Result<Infallible, SandboxError> {
        self.serve_until(listener, std::future::pending()).await?;
        // What never ends has no result; the compiler knows less of `pending` than we do.
        std::future::pending().await
    }

    /// Serves until `stop` ends; requests under way get a moment to end as well.
    pub async fn serve_until(
        &self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), SandboxError> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        connections::serve(&self.state, listener, stop).await;
        Ok(())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.state.address
    }

    /// The certificate (PEM) that a client must trust to use the sandbox as its HTTPS proxy.
    pub fn ca_pem(&self) -> &str {
        self.state.authority.certificate_pem()
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

    /// Returns when no webhook is under way.
    pub async fn settle(&self) {
        self.state.engine.settle().await;
    }

    /// The time in the sandbox.
    pub fn now(&self) -> Timestamp {
        self.state.engine.with(|world| world.now)
    }

    /// Texts a number of the sandbox from a phone outside. The inbound message, or `None` where no account owns the
    /// number.
    pub fn send(&self, from: PhoneNumber, to: PhoneNumber, body: &str) -> Option<Sid> {
        let inbound = messages::Inbound { from, to, body: body.to_owned(), media: Vec::new() };
        self.state.engine.with(|world| messages::receive(world, inbound))
    }

    /// Books what an account used at this moment, in millionths of a dollar, also into the categories above this one. Usage
    /// records and triggers see it after the lag, as they do with `POST /_sandbox/usage`.
    pub fn book(&self, account: Sid, category: &str, count: u64, price_micros: i64) {
        self.state.engine.with(|world| {
            usage::book_by_hand(world, account, category, count, count, price_micros, None);
            usage::catch_up(world);
        });
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Settings {
        self.state.engine.with(|world| world.settings.clone())
    }

    /// Changes settings while it runs; they count from the next moment on.
    pub fn change_settings(&self, change: impl FnOnce(&mut Settings)) -> Result<(), SandboxError> {
        self.state.engine.with(|world| {
            let mut settings = world.settings.clone();
            change(&mut settings);
            settings.check().map_err(SandboxError::Settings)?;
            world.change_settings(settings);
            Ok(())
        })
    }

    /// Begins again: the same seed, accounts and settings as at first, and nothing of what happened since.
    pub fn reset(&self) {
        self.state.reset(self.state.beginning.clone());
    }

    /// Everything that it knows, as `GET /_sandbox/snapshot` shows it.
    pub fn snapshot(&self) -> serde_json::Value {
        self.state.engine.with(|world| control::snapshot::of(world, self.state.engine.is_virtual()))
    }
}

/// Returns when the sandbox stops.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    if stopping.wait_for(|stopping| *stopping).await.is_err() {
        // Nobody can stop it any more.
        std::future::pending::<()>().await;
    }
}

impl State {
    fn reset(&self, beginning: Beginning) {
        let is_virtual = self.engine.is_virtual();
        self.engine.begin_anew(|present, _| {
            let now = if is_virtual { beginning.now } else { present };
            World::new(Beginning { now, ..beginning })
        });
    }
}
