//! The control plane beside the gate: started where the configuration needs one, and started anew by a reload.
//!
//! It has threads of its own, so that a thousand accounts that are read keep neither signals nor `/livez` waiting. The gate
//! knows of it only what `Hooks` carries, and goes on verifying whatever becomes of it: a database that is away at the
//! start is waited for in the background.

mod egress;
mod inspector;
mod keys;

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use hyper::{Response, StatusCode};
use ringfence_breaker::price_book;
use ringfence_console::{Console, ConsoleSetup, EgressEnd, Refusals, RouteCounts};
use ringfence_control::api::{Api, ApiSetup, EngineSource};
use ringfence_control::engine::Clients;
use ringfence_control::heads::Carrier;
use ringfence_control::node::{self, Examination, Keep, KeysInUse, Limits, Node, OnAccounts, Setup};
use ringfence_control::notices::Notifier;
use ringfence_control::people::{Hasher, Rules};
use ringfence_control::user_api::UserApi;
use ringfence_control::verify::{Verify, VerifySetup};
use ringfence_control::{second_factor, shared_keys};
use ringfence_gateway::settings::{Inspect, Settings};
use ringfence_gateway::{
    AdminApi, EgressRulesHandle, EgressStore, Gateway, Hooks, Hosted, Intake, Keeper, Keys, KnownKeys,
    Listeners, MediaStore, OnKey, StartError, Verdicts,
};
use ringfence_model::{Amount, Clock};
use ringfence_store::{Now, Store};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::commands::with_store;
use crate::config::Loaded;
use crate::config::inspector::Inspector;
use crate::config::store::{self as configured, Database, MasterKey};
use crate::exit::Failure;
use crate::{control_plane, deployment};

pub(in crate::commands) use self::keys::for_gate;

/// How long to wait before a database that is away is tried again.
const OPEN_AGAIN: Duration = Duration::from_secs(2);

/// How long a reload waits to hear which tokens were replaced.
const KNOWN_BY: Duration = Duration::from_secs(2);

/// The control plane of this process.
pub(in crate::commands) struct ControlPlane {
    /// There until it is dropped.
    runtime: Option<Runtime>,
    shared: Arc<Shared>,
    /// What is to run; nothing once it is to stop.
    wanted: watch::Sender<Option<Wanted>>,
    running: Option<JoinHandle<()>>,
    /// What is kept of requests is written by it.
    keeping: Option<inspector::Keeping>,
    /// What the store knew of accounts and their tokens at the start.
    known: Option<KeysInUse>,
    /// Whether webhooks come in here.
    has_gate: bool,
}

/// Starts the gate with a control plane behind its hooks, then sets that to work. `keys` is the one that it was prepared
/// with.
pub(in crate::commands) fn start(
    settings: Settings,
    listeners: Listeners,
    clock: Arc<dyn Clock>,
    workers: usize,
    control: Option<&mut ControlPlane>,
    keys: &OnceLock<Keys>,
) -> Result<Gateway, StartError> {
    let hooks = control.as_ref().map(|control| control.hooks()).unwrap_or_default();
    // Before the first webhook, if the store was there: the configuration may have a token that was replaced.
    let known = control.as_ref().and_then(|control| control.known.as_ref()).map(for_gate).unwrap_or_default();
    let gateway = Gateway::start_with(settings, listeners, clock, workers, hooks, known)?;
    _ = keys.set(gateway.keys());
    if let Some(control) = control {
        control.known = None;
        _ = control.shared.verdicts.set(gateway.verdicts());
        control.start(gateway.egress_rules(), gateway.keeper());
    }
    Ok(gateway)
}

/// What the gate's hooks and the node's keeper share.
struct Shared {
    configured: configured::Store,
    clock: Arc<dyn Clock>,
    on_accounts: OnAccounts,
    signed_with: node::SignedWith,
    /// The store, once it is open.
    store: OnceLock<Arc<Store>>,
    /// What the gate says, once it runs.
    verdicts: OnceLock<Verdicts>,
    /// The node that is at work.
    node: RwLock<Option<Arc<Node>>>,
    /// What things cost, as it was last read from Twilio.
    prices: Arc<egress::KnownPrices>,
}

/// What a configuration wants of it.
#[derive(Clone)]
pub(super) struct Wanted {
    clients: Clients,
    limits: Limits,
    notifier: Option<Arc<Notifier>>,
    second_factor: Option<second_factor::Settings>,
    callback_url: Option<String>,
    /// What is demanded of people.
    rules: Rules,
    poll_interval: Duration,
    /// How requests of the egress are priced; nothing where there is none.
    prices: Option<price_book::Rules>,
    /// Where applications reach the egress.
    egress_url: Option<String>,
    restore_allowance: Amount,
    keep: Keep,
    carriers: Vec<Arc<Carrier>>,
    examination: Option<Examination>,
    shared_keys: Option<shared_keys::Settings>,
    /// What is kept of requests.
    inspector: Inspector,
}

impl ControlPlane {
    /// Opens the store and prepares what does nothing yet; nothing where the gate alone does all that is configured. It
    /// blocks, and must not be called inside a runtime.
    pub(in crate::commands) fn prepare(
        loaded: &mut Loaded,
        clock: &Arc<dyn Clock>,
        gate_keys: &Arc<OnceLock<Keys>>,
    ) -> Result<Option<Self>, Failure> {
        let wanted = Wanted::of(loaded)?;
        let Some(configured) = loaded.control.store.take() else { return Ok(None) };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(8)
            .thread_name("control")
            .enable_all()
            .build()
            .map_err(|error| Failure::unavailable(format!("cannot start a runtime: {error}")))?;
        let listen = &loaded.settings.listen;
        let has_gate = listen.gate.is_some() || listen.forward_auth.is_some();
        let shared = Arc::new(Shared {
            configured,
            clock: Arc::clone(clock),
            on_accounts: keys::on_accounts(gate_keys),
            signed_with: keys::signed_with(gate_keys),
            store: OnceLock::new(),
            verdicts: OnceLock::new(),
            node: RwLock::default(),
            prices: Arc::default(),
        });
        let mut known = None;
        match runtime.block_on(shared.open()) {
            Ok(()) => known = runtime.block_on(keys::known(shared.store.get(), &wanted.clients)),
            // The gate does not wait for it. What is wrong for good stops the start.
            Err(NotOpen::Away(why)) => {
                tracing::error!(store = shared.configured.shown(), why, "the store is away, and waited for");
            }
            Err(NotOpen::Failed(failure)) => return Err(failure),
        }
        Ok(Some(Self {
            runtime: Some(runtime),
            shared,
            wanted: watch::Sender::new(Some(wanted)),
            running: None,
            keeping: None,
            known,
            has_gate,
        }))
    }

    /// What the gate calls.
    fn hooks(&self) -> Hooks {
        let of = |shared: &Arc<Shared>| Arc::clone(shared);
        let (store, woken, stale, ready) =
            (of(&self.shared), of(&self.shared), of(&self.shared), of(&self.shared));
        Hooks {
            intake: Some(Intake {
                store: Arc::new(move || store.store.get().cloned()),
                woken: Arc::new(move || woken.with_node(|node| node.wake())),
            }),
            on_key: Some(self.on_key()),
            on_stale: Some(Arc::new(move |account| stale.with_node(|node| node.stale(account)))),
            readiness: Some(Arc::new(move || match ready.node() {
                Some(node) => node.readiness().map_err(|idle| idle.to_string()),
                None => Ok(()),
            })),
            admin: Some(self.admin()),
            console: Some(self.console()),
            questions: Some(ringfence_console::QUESTIONS),
            second_factor: Some(self.second_factor()),
            egress: Some(self.egress()),
            media: Some(self.media()),
        }
    }

    /// The store of the egress.
    fn egress(&self) -> EgressStore {
        let (store, woken) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        EgressStore {
            store: Arc::new(move || store.store.get().cloned()),
            now: Arc::new(|| Now::Database),
            woken: Arc::new(move || woken.with_node(|node| node.wake())),
        }
    }

    /// The store of the media guard.
    fn media(&self) -> MediaStore {
        let shared = Arc::clone(&self.shared);
        MediaStore::new(move || shared.store.get().cloned())
    }

    /// The API. It is there as long as the gate is; what it asks changes with each reload.
    fn admin(&self) -> AdminApi {
        let api = Api::new(ApiSetup { engine: self.engine() });
        Arc::new(move |peer, request| {
            let api = api.clone();
            Box::pin(async move { api.answer(peer, request).await })
        })
    }

    /// The console. Like the API it is there as long as the gate is.
    fn console(&self) -> Hosted {
        let shared = Arc::clone(&self.shared);
        let wanted = self.wanted.subscribe();
        let runtime = self.runtime.as_ref().map(|runtime| runtime.handle().clone());
        let has_gate = self.has_gate;
        let counted = Arc::clone(&shared);
        let gate = ringfence_console::Gate { counts: Arc::new(move || counts(counted.verdicts.get())) };
        let hasher = Hasher::new(std::thread::available_parallelism().map_or(1, usize::from));
        let engine = self.engine();
        Arc::new(move |caller, request| {
            // While it stops there is no configuration any more, nor an engine.
            let (rules, mails, callback_url, egress, inspect) = match &*wanted.borrow() {
                Some(wanted) => {
                    let (rules, callback_url) = (wanted.rules.clone(), wanted.callback_url.clone());
                    (rules, wanted.mails(), callback_url, wanted.egress(), wanted.inspector.inspect)
                }
                None => (Rules::default(), false, None, None, Inspect::Nothing),
            };
            let console = Console::new(ConsoleSetup {
                engine: Arc::clone(&engine),
                clock: Arc::clone(&shared.clock),
                gate: has_gate.then(|| gate.clone()),
                requests: inspector::seen(inspect, &shared),
                rules,
                hasher: hasher.clone(),
                mails,
                egress,
                callback_url: Arc::new(move || callback_url.clone()),
            });
            let told = caller.told.map(|told| ringfence_console::Told {
                method: told.method,
                host: told.host,
                target: told.target,
            });
            let caller =
                ringfence_console::Caller { address: caller.address, is_https: caller.is_https, told };
            // Passwords are compared and the store is asked by our own threads: the gate's have other things to do.
            let answer =
                runtime.as_ref().map(|it| it.spawn(async move { console.answer(caller, request).await }));
            Box::pin(async move {
                let answered = match answer {
                    Some(answer) => answer.await.map_err(|error| error.to_string()),
                    None => Err("the control plane has stopped".to_owned()),
                };
                answered.unwrap_or_else(|error| {
                    tracing::error!(error, "a request to the console failed");
                    let mut response =
                        Response::new(Bytes::from_static(b"this was not answered; the log says more\n"));
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    response
                })
            })
        })
    }

    /// The service of the second factor. It is there as long as the gate is; what it asks changes with each reload.
    fn second_factor(&self) -> Hosted {
        let verify = Verify::new(VerifySetup { engine: self.engine() });
        let users = UserApi::new(self.engine());
        Arc::new(move |caller, request| {
            let (verify, users) = (verify.clone(), users.clone());
            Box::pin(async move {
                if UserApi::has(request.uri().path()) {
                    users.answer(caller.address, request).await
                } else {
                    verify.answer(caller.address, caller.is_https, request).await
                }
            })
        })
    }

    /// What is spoken after a key was pressed in a call that carries a code.
    fn on_key(&self) -> OnKey {
        let engine = self.engine();
        Arc::new(move |press| {
            let engine = engine();
            Box::pin(async move {
                let engine = engine?;
                let second_factor = engine.second_factor().ok_or("there is no [second_factor] any more")?;
                let spoken = second_factor.spoken(press.account, press.call, press.send).await;
                spoken.map_err(|error| error.to_string())
            })
        })
    }

    /// The engine of the moment, or why there is none.
    fn engine(&self) -> EngineSource {
        let shared = Arc::clone(&self.shared);
        Arc::new(move || match shared.node() {
            Some(node) => node.at_work().map(|at_work| at_work.engine).map_err(|idle| idle.to_string()),
            None => Err("the control plane has not begun yet: it waits for the store".to_owned()),
        })
    }

    /// Sets it to work.
    fn start(&mut self, rules: EgressRulesHandle, inspector: Option<Keeper>) {
        let keeper = keep_running(Arc::clone(&self.shared), self.wanted.subscribe());
        let Some(runtime) = &self.runtime else { return };
        self.running = Some(runtime.spawn(keeper));
        runtime.spawn(egress::keep_rules(Arc::clone(&self.shared), self.wanted.subscribe(), rules));
        self.keeping = inspector.map(|keeper| inspector::keep(runtime, &self.shared, keeper));
    }

    /// Whether the configuration names another store or other keys of it, with which only a restart opens it.
    pub(super) fn needs_restart(&self, loaded: &Loaded) -> bool {
        let Some(store) = &loaded.control.store else { return true };
        let running = &self.shared.configured;
        store.shown() != running.shown() || !store.has_keys_of(running)
    }

    /// What is known of accounts and rotations, by a configuration that is about to be put in force. None where the store does
    /// not say it in time: the gate does not wait for it, and the node tells it.
    pub(super) async fn known_by(&self, wanted: &Wanted) -> Option<KnownKeys> {
        let (store, clients) = (Arc::clone(self.shared.store.get()?), wanted.clients.clone());
        let reading = self.runtime.as_ref()?.spawn(async move { keys::known(Some(&store), &clients).await });
        let read = tokio::time::timeout(KNOWN_BY, reading).await;
        let Ok(Ok(Some(known))) = read else {
            tracing::warn!("whether the configuration has auth tokens that were replaced is not known yet");
            return None;
        };
        Some(for_gate(&known))
    }

    /// Puts another configuration in the place of the one that runs.
    pub(super) fn replace(&self, wanted: Wanted) {
        self.wanted.send_replace(Some(wanted));
    }

    /// Stops: its jobs are others' at once.
    pub(in crate::commands) async fn stop(&mut self) {
        // The gate has stopped: what stands in line is all there is.
        if let Some(keeping) = self.keeping.take() {
            keeping.stop().await;
        }
        self.wanted.send_replace(None);
        if let Some(running) = self.running.take()
            && let Err(error) = running.await
        {
            tracing::error!(%error, "the control plane ended by itself");
        }
    }
}

impl Drop for ControlPlane {
    /// Without waiting for what cannot be interrupted: this may be inside another runtime, which must not block.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Wanted {
    /// What the control plane could not work with is the error.
    pub(super) fn of(loaded: &Loaded) -> Result<Self, Failure> {
        let control = &loaded.control;
        let clients = control_plane::clients(control).map_err(Failure::configuration)?;
        let notifier = control_plane::notifier(control, &clients, &loaded.file)
            .map_err(|problem| Failure::configuration(format!("[notify] {}: {problem}", problem.key)))?;
        let carriers = control_plane::carriers(control)
            .map_err(|problem| Failure::configuration(format!("`audit_heads` in [store]: {problem}")))?;
        Ok(Self {
            clients,
            limits: control_plane::limits(control),
            notifier,
            second_factor: control.second_factor.clone(),
            callback_url: control.trigger_url.clone(),
            rules: control.rules.clone(),
            poll_interval: control.twilio.poll_interval,
            prices: control.prices.clone(),
            egress_url: egress::url(&loaded.settings.listen, loaded.settings.tls.is_some()),
            restore_allowance: control.restore_allowance,
            keep: Keep {
                requests: Some(control.inspector.keep_for),
                requests_at_most: Some(control.inspector.at_most),
                ..control.store.as_ref().map_or_else(Keep::default, |store| store.keep)
            },
            carriers,
            examination: deployment::examination(loaded),
            shared_keys: control.shared_keys.clone(),
            inspector: control.inspector,
        })
    }

    /// Whether mail reaches people.
    fn mails(&self) -> bool {
        self.notifier.as_ref().is_some_and(|notifier| notifier.has_mail()) && self.rules.console_url.is_some()
    }

    /// What the console tells of the egress.
    fn egress(&self) -> Option<EgressEnd> {
        Some(EgressEnd { url: self.egress_url.clone()?, prices: self.prices.clone()? })
    }

    fn setup(self, shared: &Shared, store: &Arc<Store>) -> Setup {
        let Self {
            clients,
            limits,
            notifier,
            second_factor,
            callback_url,
            rules,
            poll_interval,
            prices,
            egress_url: _,
            restore_allowance,
            keep,
            carriers,
            examination,
            shared_keys,
            inspector: _,
        } = self;
        Setup {
            name: control_plane::name_of_node(),
            store: Arc::clone(store),
            clients,
            limits,
            notifier,
            second_factor,
            egress: control_plane::egress(prices.clone(), restore_allowance, &shared.configured.database),
            clock: Arc::clone(&shared.clock),
            callback_url,
            console_url: rules.console_url,
            poll_interval,
            keep,
            carriers,
            on_accounts: Some(Arc::clone(&shared.on_accounts)),
            signed_with: Some(Arc::clone(&shared.signed_with)),
            shared_keys,
            prices: prices.map(|_| shared.prices.read_by()),
            examination,
        }
    }
}

/// Why the store is not open.
enum NotOpen {
    /// It may be in a moment.
    Away(String),
    /// It will not.
    Failed(Failure),
}

impl Shared {
    async fn open(&self) -> Result<(), NotOpen> {
        let now = with_store::now().map_err(NotOpen::Failed)?;
        let is_server = matches!(self.configured.database, Database::Postgres { .. });
        let store = match with_store::try_open(&self.configured, now).await {
            Ok(store) => store,
            Err(error) if is_server && error.may_come_back() => return Err(NotOpen::Away(error.to_string())),
            Err(error) => return Err(NotOpen::Failed(with_store::not_opened(&error, &self.configured))),
        };
        if let MasterKey::MadeAt(path) = &self.configured.master_key {
            tracing::warn!(
                path = %path.display(),
                "the master key was made; keep a copy of it, and not with the backups"
            );
        }
        // Only one is ever at it.
        let _first = self.store.set(Arc::new(store));
        Ok(())
    }

    fn node(&self) -> Option<Arc<Node>> {
        self.node.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn with_node(&self, act: impl FnOnce(&Node)) {
        if let Some(node) = self.node() {
            act(&node);
        }
    }
}

/// Runs a node for each configuration that is wanted, one after another, until none is.
async fn keep_running(shared: Arc<Shared>, mut wanted: watch::Receiver<Option<Wanted>>) {
    loop {
        let Some(now) = wanted.borrow_and_update().clone() else { return };
        let Some(node) = begin(&shared, now).await else {
            tokio::select! {
                changed = wanted.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(OPEN_AGAIN) => {}
            }
            continue;
        };
        *shared.node.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&node));
        let (stop, stopped) = watch::channel(false);
        let running = node.run(stopped);
        tokio::pin!(running);
        tokio::select! {
            () = &mut running => {}
            _ = wanted.changed() => {
                stop.send_replace(true);
                running.await;
            }
        }
    }
}

/// A node, if the store can be had.
async fn begin(shared: &Shared, wanted: Wanted) -> Option<Arc<Node>> {
    if shared.store.get().is_none() {
        match shared.open().await {
            Ok(()) => tracing::info!(store = shared.configured.shown(), "the store is there"),
            Err(NotOpen::Away(why)) => {
                tracing::debug!(why, "the store is still away");
                return None;
            }
            Err(NotOpen::Failed(failure)) => {
                tracing::error!("the store cannot be opened: {failure}");
                return None;
            }
        }
    }
    let store = shared.store.get()?;
    // A configuration that was read anew may have a token that was replaced: nothing is asked with it.
    if let Some(known) = keys::known(Some(store), &wanted.clients).await {
        (shared.on_accounts)(&known);
    }
    match Node::new(wanted.setup(shared, store)).await {
        Ok(node) => Some(Arc::new(node)),
        Err(error) => {
            tracing::warn!(%error, "the control plane cannot begin, and tries again");
            None
        }
    }
}

/// What the gate has said, by route, as the console shows it.
fn counts(verdicts: Option<&Verdicts>) -> Vec<RouteCounts> {
    let mut routes: Vec<RouteCounts> = Vec::new();
    // They come by route.
    for verdict in verdicts.map(Verdicts::counts).unwrap_or_default() {
        if routes.last().is_none_or(|last| last.route != *verdict.route) {
            routes.push(RouteCounts { route: verdict.route.to_string(), admitted: 0, refused: Vec::new() });
        }
        let Some(route) = routes.last_mut() else { continue };
        match verdict.refused_for {
            None => route.admitted = verdict.count,
            Some(reason) => {
                route.refused.push(Refusals { reason: reason.to_owned(), count: verdict.count });
            }
        }
    }
    routes
}
