//! The life of the data plane: listeners, workers, reload, stop.
//!
//! Each worker is a thread with a runtime of its own that accepts from the same sockets and keeps its own
//! connections to upstreams, so a request never changes threads. Reload swaps the snapshot; a stop closes idle
//! connections at once and waits for the others.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use ringfence_model::Clock;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use crate::acme::{Acme, AcmeError};
use crate::admin;
use crate::egress::rules::EgressRulesHandle;
use crate::egress::{EgressEnd, Wire};
use crate::hooks::{Hooks, Hosted};
use crate::hosted::HostedEnd;
use crate::inspector::{Inspector, Keeper};
use crate::intake::Taker;
use crate::keys::{Keys, KnownKeys, LearntKeys};
use crate::media::MediaEnd;
use crate::metrics::Metrics;
use crate::replay::ReplayCache;
use crate::settings::{Limits, Listen, Settings, Tls};
use crate::snapshot::Snapshot;
use crate::tls::{self, CertificateStore, TlsError};
use crate::verdicts::Verdicts;
use crate::whole::{Desk, Form};
use crate::worker::start_worker;

/// The sockets of the data plane, bound before anything runs.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For webhooks.
    pub gate: Option<StdTcpListener>,
    /// For proxies that ask.
    pub forward_auth: Option<StdTcpListener>,
    /// For `/livez`, `/readyz` and `/metrics`.
    pub admin: Option<StdTcpListener>,
    /// For people.
    pub console: Option<StdTcpListener>,
    /// For applications that ask for a second factor.
    pub second_factor: Option<StdTcpListener>,
    /// For applications that ask Twilio.
    pub egress: Option<StdTcpListener>,
    /// For whoever may see files.
    pub media: Option<StdTcpListener>,
}

impl Listeners {
    /// Binds every configured address that was not handed over already (by systemd, say).
    pub fn bind(mut self, listen: &Listen) -> Result<Self, StartError> {
        bind_if_missing(&mut self.gate, listen.gate)?;
        bind_if_missing(&mut self.forward_auth, listen.forward_auth)?;
        bind_if_missing(&mut self.admin, listen.admin)?;
        bind_if_missing(&mut self.console, listen.console)?;
        bind_if_missing(&mut self.second_factor, listen.second_factor)?;
        bind_if_missing(&mut self.egress, listen.egress)?;
        bind_if_missing(&mut self.media, listen.media)?;
        Ok(self)
    }
}

fn bind_if_missing(
    listener: &mut Option<StdTcpListener>,
    address: Option<SocketAddr>,
) -> Result<(), StartError> {
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

/// Requests in the work of the hooks at once: people are few; a check of a code waits for a commit, and many share one.
const CONSOLE_IN_WORK_MAX: usize = 256;
/// Of them, those of one client address: more than an office needs that shares one, and so few that eight who never pause
/// leave room.
const CONSOLE_OF_ADDRESS_MAX: usize = 24;
/// What proxies ask the console at once: a browser loads a hundred pictures at a time, and each is asked for.
const QUESTIONS_IN_WORK_MAX: usize = 1024;
const SECOND_FACTOR_IN_WORK_MAX: usize = 1024;

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
    /// Whoever stores another one holds `learnt`.
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) learnt: Mutex<LearntKeys>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) inspector: Inspector,
    pub(crate) replay: ReplayCache,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) draining: watch::Sender<bool>,
    /// Whether a refusal is being explained.
    pub(crate) explaining: AtomicBool,
    /// Bytes of bodies that are still arriving.
    pub(crate) body_memory: AtomicUsize,
    pub(crate) tls: Option<TlsEnd>,
    pub(crate) hooks: Hooks,
    pub(crate) taker: Option<Taker>,
    /// Places for connections; no listener takes another's.
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) forward_auth_connections: Arc<Semaphore>,
    pub(crate) console: HostedEnd,
    pub(crate) second_factor: HostedEnd,
    pub(crate) egress: EgressEnd,
    pub(crate) media: MediaEnd,
    pub(crate) proxy_protocol: bool,
}

/// How connections are taken over TLS.
pub(crate) struct TlsEnd {
    pub(crate) acceptor: TlsAcceptor,
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
                let store = Arc::new(CertificateStore::load(paths)?);
                Ok(Self {
                    acceptor: tls::acceptor(Arc::clone(&store))?,
                    certificates: Certificates::Files(store),
                })
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
    pub(crate) fn readiness(&self) -> Result<(), String> {
        if *self.draining.borrow() {
            return Err("draining".to_owned());
        }
        match &self.tls {
            Some(TlsEnd { certificates: Certificates::Acme(ready), .. }) if !ready() => {
                Err("waiting for the first certificate".to_owned())
            }
            _ => self.hooks.readiness.as_ref().map_or(Ok(()), |ready| ready()),
        }
    }
}

/// The running data plane.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// As they were at the start; some of them take effect only then.
    limits: Limits,
    listen: Listen,
    tls: Option<Tls>,
    gate_address: Option<SocketAddr>,
    forward_auth_address: Option<SocketAddr>,
    admin_address: Option<SocketAddr>,
    console_address: Option<SocketAddr>,
    second_factor_address: Option<SocketAddr>,
    egress_address: Option<SocketAddr>,
    media_address: Option<SocketAddr>,
}

impl Gateway {
    /// Starts `workers` threads on the listeners. Must be called inside a tokio runtime, which serves the admin
    /// listener and ACME, so that a busy data plane still answers `/livez`. What is handed over with `hooks` stays for
    /// the life of the process; a reload does not change it.
    pub fn start(
        settings: Settings,
        listeners: Listeners,
        clock: Arc<dyn Clock>,
        workers: usize,
        hooks: Hooks,
    ) -> Result<Self, StartError> {
        Self::start_with(settings, listeners, clock, workers, hooks, KnownKeys::default())
    }

    /// The same with what is known of accounts and rotations already ([`Keys::learn_with`]): the first request is judged by it.
    pub fn start_with(
        settings: Settings,
        mut listeners: Listeners,
        clock: Arc<dyn Clock>,
        workers: usize,
        hooks: Hooks,
        known: KnownKeys,
    ) -> Result<Self, StartError> {
        let tls = settings.tls.as_ref().map(TlsEnd::start).transpose()?;
        let (listen, tls_settings, limits) =
            (settings.listen.clone(), settings.tls.clone(), settings.limits.clone());
        let drain = limits.drain;
        let address_of =
            |listener: &Option<StdTcpListener>| listener.as_ref().and_then(|it| it.local_addr().ok());
        // What leaves this machine is under TLS where there is a certificate; what does not needs none.
        let is_tls = |listener: &Option<StdTcpListener>| {
            tls.is_some() && address_of(listener).is_some_and(|address| !address.ip().is_loopback())
        };
        let hosted = |hook: &Option<Hosted>, listener: &Option<StdTcpListener>, desk| {
            HostedEnd::new(hook.clone(), desk, is_tls(listener), limits.connections_max)
        };
        let desk = Desk::new("console", CONSOLE_IN_WORK_MAX, |_| Form::Text).shared(CONSOLE_OF_ADDRESS_MAX);
        let questions = Desk::new("console", QUESTIONS_IN_WORK_MAX, |_| Form::Text);
        let console =
            hosted(&hooks.console, &listeners.console, desk).asked_by_proxies(hooks.questions, questions);
        let desk = Desk::new("second factor's API", SECOND_FACTOR_IN_WORK_MAX, |path| {
            if path.starts_with("/v1/") { Form::Problem } else { Form::Twilio }
        });
        let second_factor = hosted(&hooks.second_factor, &listeners.second_factor, desk);
        let replay = ReplayCache::new(limits.replay_memory_bytes, limits.replay_ttl);
        let metrics = Metrics::new(&replay);
        let wire = |listener: &Option<StdTcpListener>| {
            if is_tls(listener) {
                Wire::Tls
            } else if address_of(listener).is_none_or(|address| address.ip().is_loopback()) {
                Wire::Loopback
            } else {
                Wire::BehindProxies
            }
        };
        let egress = EgressEnd::new(
            hooks.egress.clone(),
            metrics.egress.clone(),
            Arc::clone(&clock),
            wire(&listeners.egress),
            limits.connections_max,
        );
        let media = MediaEnd::new(
            hooks.media.clone(),
            metrics.media.clone(),
            wire(&listeners.media),
            limits.connections_max,
        );
        let mut learnt = LearntKeys::default();
        learnt.learn(known, clock.monotonic());
        let snapshot = Snapshot::new(settings, &learnt, &metrics);
        metrics.accounts(&snapshot);
        let shared = Arc::new(Shared {
            connections: Arc::new(Semaphore::new(limits.connections_max)),
            forward_auth_connections: Arc::new(Semaphore::new(limits.connections_max)),
            console,
            second_factor,
            egress,
            media,
            snapshot: ArcSwap::from_pointee(snapshot),
            learnt: Mutex::new(learnt),
            metrics,
            inspector: Inspector::default(),
            replay,
            clock,
            draining: watch::Sender::new(false),
            explaining: AtomicBool::new(false),
            body_memory: AtomicUsize::new(0),
            tls,
            taker: hooks.intake.clone().map(Taker::new),
            hooks,
            proxy_protocol: listen.proxy_protocol,
        });
        tokio::spawn(sweep(Arc::clone(&shared)));
        let admin_address = match listeners.admin.take() {
            None => None,
            Some(listener) => {
                let listener = into_tokio(listener).map_err(StartError::Worker)?;
                let address = listener.local_addr().ok();
                tokio::spawn(admin::serve(listener, Arc::clone(&shared)));
                address
            }
        };
        let gate_address = address_of(&listeners.gate);
        let forward_auth_address = address_of(&listeners.forward_auth);
        let console_address = address_of(&listeners.console);
        let second_factor_address = address_of(&listeners.second_factor);
        let egress_address = address_of(&listeners.egress);
        let media_address = address_of(&listeners.media);
        let workers = (0..workers.max(1))
            .map(|index| start_worker(index, &shared, &listeners, drain))
            .collect::<Result<_, _>>()
            .map_err(StartError::Worker)?;
        Ok(Self {
            shared,
            workers,
            limits,
            listen,
            tls: tls_settings,
            gate_address,
            forward_auth_address,
            admin_address,
            console_address,
            second_factor_address,
            egress_address,
            media_address,
        })
    }

    /// Puts a new configuration in force for every request from now on. What cannot change in a running process
    /// is named in the answer. On an error nothing has changed.
    pub fn reload(&self, settings: Settings) -> Result<Reloaded, ReloadError> {
        self.reload_with(settings, None)
    }

    /// The same, at one stroke with what is known of accounts and rotations by this configuration ([`Keys::learn_with`]): it
    /// may have tokens that were replaced, which count at no moment.
    pub fn reload_with(&self, settings: Settings, known: Option<KnownKeys>) -> Result<Reloaded, ReloadError> {
        let result = self.try_reload(settings, known);
        let counter =
            if result.is_ok() { &self.shared.metrics.reloads } else { &self.shared.metrics.reloads_refused };
        counter.inc();
        result
    }

    fn try_reload(&self, settings: Settings, known: Option<KnownKeys>) -> Result<Reloaded, ReloadError> {
        // Those of the new configuration: the files of before may be gone.
        if let Some(TlsEnd { certificates: Certificates::Files(store), .. }) = &self.shared.tls
            && let Some(Tls::Files(paths)) = &settings.tls
            && store.reload(paths)? == tls::Reload::Replaced
        {
            tracing::info!("another certificate is served from now on");
        }
        let needs_restart = self.needs_restart(&settings);
        let mut learnt = self.shared.hold_learnt();
        if let Some(known) = known {
            learnt.learn(known, self.shared.clock.monotonic());
        }
        let snapshot = Snapshot::new(settings, &learnt, &self.shared.metrics);
        self.shared.metrics.accounts(&snapshot);
        self.shared.inspector.reloaded(snapshot.inspect);
        self.shared.snapshot.store(Arc::new(snapshot));
        Ok(Reloaded { needs_restart })
    }

    fn needs_restart(&self, settings: &Settings) -> Vec<&'static str> {
        let running = &self.limits;
        let (old, new) = (&self.listen, &settings.listen);
        let differences = [
            ("listen.gate", old.gate != new.gate),
            ("listen.forward_auth", old.forward_auth != new.forward_auth),
            ("listen.admin", old.admin != new.admin),
            ("listen.console", old.console != new.console),
            ("listen.second_factor", old.second_factor != new.second_factor),
            ("listen.egress", old.egress != new.egress),
            ("media.listen", old.media != new.media),
            ("listen.proxy_protocol", old.proxy_protocol != new.proxy_protocol),
            ("tls", !has_kind_of(self.tls.as_ref(), settings.tls.as_ref())),
            ("limits.connections", running.connections_max != settings.limits.connections_max),
            ("limits.replay_memory", running.replay_memory_bytes != settings.limits.replay_memory_bytes),
            ("limits.drain", running.drain != settings.limits.drain),
            ("limits.replay_ttl", running.replay_ttl != settings.limits.replay_ttl),
        ];
        differences.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }

    /// Notes that a configuration was too wrong to be offered to [`Gateway::reload`].
    pub fn reload_refused(&self) {
        self.shared.metrics.reloads_refused.inc();
    }

    /// Gives this gate the keys of accounts that are found while it runs. A reload keeps them.
    pub fn keys(&self) -> Keys {
        Keys::of(&self.shared)
    }

    /// Gives the egress its limits and prices. A reload keeps them.
    pub fn egress_rules(&self) -> EgressRulesHandle {
        EgressRulesHandle::of(&self.shared)
    }

    /// Writes what is to be kept of requests into the store; none where somebody does already.
    pub fn keeper(&self) -> Option<Keeper> {
        self.shared.inspector.keeper(&self.shared)
    }

    /// Tells what this gate has said so far.
    pub fn verdicts(&self) -> Verdicts {
        Verdicts::of(&self.shared)
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

    /// Where the console is.
    pub fn console_address(&self) -> Option<SocketAddr> {
        self.console_address
    }

    /// Where the second factor's API is.
    pub fn second_factor_address(&self) -> Option<SocketAddr> {
        self.second_factor_address
    }

    /// Where the egress is.
    pub fn egress_address(&self) -> Option<SocketAddr> {
        self.egress_address
    }

    /// Where the media guard is.
    pub fn media_address(&self) -> Option<SocketAddr> {
        self.media_address
    }

    /// Takes no further connection, lets the requests in work end (for as long as `limits.drain`), and returns
    /// when every worker has.
    pub fn stop(self) {
        tracing::info!(drain_s = self.limits.drain.as_secs(), "draining");
        self.shared.draining.send_replace(true);
        for worker in self.workers {
            if worker.join().is_err() {
                tracing::error!("a worker had panicked");
            }
        }
    }
}

/// Whether a reload is enough for the certificates of the one in the place of the other's. Files are read again wherever they are.
fn has_kind_of(running: Option<&Tls>, new: Option<&Tls>) -> bool {
    matches!((running, new), (Some(Tls::Files(_)), Some(Tls::Files(_)))) || running == new
}

/// Gives memory back on a gate without traffic, and ends keys whose time is over.
async fn sweep(shared: Arc<Shared>) {
    let mut every_minute = tokio::time::interval(Duration::from_mins(1));
    loop {
        every_minute.tick().await;
        let now = shared.clock.monotonic();
        shared.replay.sweep(now);
        shared.retire_keys(now);
    }
}

pub(crate) fn into_tokio(listener: StdTcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}
