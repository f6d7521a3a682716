//! A whole installation in one process: a sandbox as Twilio, a store, one node with its own threads as in `serve`, and
//! the gate whose route for usage triggers leads to it. The planes are the real ones; only `main` is played here.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::{Method, StatusCode};
use jiff::Timestamp;
use ringfence_breaker::{Action, Limit, Measure, Per, Probe, Reset, Scope, Threshold, Window};
use ringfence_control::engine::{Clients, KnownAccount};
use ringfence_control::node::{Keep, Limits, Node, Setup};
use ringfence_gateway::settings::{
    self, Check, Listen, Mode, PathRule, Replay, Route, Settings as GateSettings, Upstream,
};
use ringfence_gateway::{Gateway, Hooks, Intake, Keys as GateKeys, LearntAccount, Listeners};
use ringfence_model::{Amount, Clock, Secret, Sid};
use ringfence_sandbox::{Sandbox, SandboxOptions};
use ringfence_signature::{AccountKeys, Keyring, PublicUrl, Strict};
use ringfence_store::{Account, Store};
use ringfence_twilio::client::{Client, Credentials, Settings as ClientSettings};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Outcome;
use crate::database::Database;
use crate::webhook::PUBLIC_URL;
use crate::wire::Wire;

/// The gate's route for usage triggers.
pub(crate) const TRIGGER_PATH: &str = "/ringfence/trigger";

/// The machine's.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn unix_seconds(&self) -> u64 {
        self.unix_micros() / 1_000_000
    }

    fn unix_micros(&self) -> u64 {
        #[expect(
            clippy::disallowed_methods,
            reason = "a measurement runs in the machine's time, as `serve` does"
        )]
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// The machine's time.
pub(crate) fn now() -> Timestamp {
    let micros = i64::try_from(SystemClock.unix_micros()).unwrap_or(i64::MAX);
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

/// Threads of a part of its own.
pub(crate) fn runtime(name: &str, threads: usize) -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(threads).thread_name(name).enable_all().build()
}

/// $50 in a window, for each subaccount; whoever reaches it is suspended, and people would be told.
pub(crate) fn fifty(window: Window) -> Limit {
    Limit {
        name: format!("fifty, {window:?}"),
        scope: Scope::Subaccounts,
        per: Per::Account,
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        window,
        at: Threshold::At(Amount::from_units(50)),
        burst: None,
        unseen: None,
        warn: vec![80],
        then: vec![Action::Suspend, Action::Notify],
        probe: Probe::Percent(10),
        reset: Reset::Manual,
        enforce: true,
    }
}

/// A subaccount at the sandbox.
#[derive(Clone)]
pub(crate) struct Subaccount {
    pub(crate) sid: Sid,
    pub(crate) token: String,
}

/// Everything, set up and at rest.
pub(crate) struct Installation {
    pub(crate) wire: Wire,
    pub(crate) store: Arc<Store>,
    pub(crate) node: Arc<Node>,
    pub(crate) subaccounts: Vec<Subaccount>,
    gateway: Gateway,
}

impl Installation {
    /// The node works on the threads of `control`, Twilio on those of whoever calls this.
    pub(crate) async fn new(
        control: &Handle,
        database: &Database,
        accounts: usize,
        limits: Vec<Limit>,
    ) -> Outcome<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        // 1. Twilio, with so many subaccounts.
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let options = SandboxOptions { seed: 7, ..SandboxOptions::default() };
        let sandbox = Sandbox::new(options, &listener, Arc::clone(&clock))?;
        let server = sandbox.clone();
        tokio::spawn(async move { server.serve(listener).await });
        let wire = Wire::to(sandbox.address()).await?;
        let parent = sandbox.account_sid();
        let token = Secret::new(sandbox.auth_token(parent).ok_or("WRONG: there is no main account")?);
        let subaccounts = create_subaccounts(&sandbox, parent, token.clone(), accounts).await?;

        // 2. The store, and a node that does nothing yet.
        let store = Arc::new(database.open(now()).await?);
        let gate_keys: Arc<OnceLock<GateKeys>> = Arc::default();
        let learn = Arc::clone(&gate_keys);
        let known = KnownAccount { sid: parent, parent: None, auth_token: token, finds_subaccounts: true };
        let base = format!("http://{}", wire.address).parse()?;
        let setup = Setup {
            name: "bench".to_owned(),
            store: Arc::clone(&store),
            clients: Clients::new(&ClientSettings::at(base), vec![known])?,
            limits: Limits::new(limits),
            notifier: None,
            second_factor: None,
            egress: None,
            prices: None,
            examination: None,
            clock: Arc::clone(&clock),
            callback_url: Some(format!("{PUBLIC_URL}{TRIGGER_PATH}")),
            console_url: None,
            poll_interval: Duration::from_mins(1),
            keep: Keep::default(),
            carriers: Vec::new(),
            on_accounts: Some(Arc::new(move |known| {
                if let Some(keys) = learn.get() {
                    keys.learn(known.accounts.iter().filter_map(learnt).collect());
                }
                Vec::new()
            })),
            signed_with: None,
            shared_keys: None,
        };
        let node = control.spawn(async move { Node::new(setup).await }).await??;
        let node = Arc::new(node);

        // 3. The gate, which wakes it.
        let (kept_in, woken) = (Arc::clone(&store), Arc::clone(&node));
        let intake = Intake {
            store: Arc::new(move || Some(Arc::clone(&kept_in))),
            woken: Arc::new(move || woken.wake()),
        };
        let settings = gate(parent)?;
        let listeners = Listeners::default().bind(&settings.listen)?;
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let hooks = Hooks { intake: Some(intake), ..Hooks::default() };
        let gateway = Gateway::start(settings, listeners, clock, workers, hooks)?;
        if gate_keys.set(gateway.keys()).is_err() {
            return Err("the gate was started twice".into());
        }
        Ok(Self { wire, store, node, subaccounts, gateway })
    }

    /// Where Twilio reaches the gate.
    pub(crate) fn gate(&self) -> Outcome<SocketAddr> {
        self.gateway.gate_address().ok_or_else(|| "the gate does not listen".into())
    }

    /// Sets the node to work as `serve` does, and waits until every subaccount has its triggers and nothing is asked any
    /// more.
    pub(crate) async fn run(&self, control: &Handle) -> Outcome<Running> {
        let (stop, stopped) = watch::channel(false);
        let task = control.spawn(Arc::clone(&self.node).run(stopped));
        let started = Instant::now();
        let mut quiet = (0, Instant::now());
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let asked = self.wire.seen().count();
            if asked != quiet.0 {
                quiet = (asked, Instant::now());
            }
            let triggers = self.store.triggers().await?.len();
            if triggers == self.subaccounts.len() && quiet.1.elapsed() > Duration::from_millis(500) {
                return Ok(Running { stop, task });
            }
            if started.elapsed() > Duration::from_mins(2) {
                let accounts = self.subaccounts.len();
                return Err(
                    format!("WRONG: {triggers} triggers for {accounts} accounts after two minutes").into()
                );
            }
        }
    }

    /// Stops the gate.
    pub(crate) async fn stop(self) -> Outcome {
        let gateway = self.gateway;
        Ok(tokio::task::spawn_blocking(move || gateway.stop()).await?)
    }
}

/// A node at work.
pub(crate) struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn stop(self) -> Outcome {
        self.stop.send_replace(true);
        Ok(self.task.await?)
    }
}

async fn create_subaccounts(
    sandbox: &Sandbox,
    parent: Sid,
    token: Secret,
    count: usize,
) -> Outcome<Vec<Subaccount>> {
    // Past the wire: what is done here is not counted.
    let base = format!("http://{}", sandbox.address()).parse()?;
    let client = Client::new(ClientSettings::at(base), Credentials::auth_token(parent, token))?;
    let mut subaccounts = Vec::with_capacity(count);
    for number in 0..count {
        let created = client.accounts().create(Some(&format!("customer {number}"))).await?;
        let token = created.auth_token.ok_or("WRONG: a subaccount was made without a token")?;
        subaccounts.push(Subaccount { sid: Sid::parse(&created.sid)?, token: token.expose().to_owned() });
    }
    Ok(subaccounts)
}

fn learnt(account: &Account) -> Option<LearntAccount> {
    let auth_token = account.auth_token.clone().filter(|_| account.gone_at.is_none())?;
    Some(LearntAccount {
        sid: account.sid,
        parent: account.parent,
        auth_token,
        friendly_name: account.friendly_name.clone(),
        created: account.created,
    })
}

/// One route, for usage triggers, with the defaults of the product. The keys of the subaccounts are learnt.
fn gate(parent: Sid) -> Outcome<GateSettings> {
    let loopback = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    // No account signs with it here: it is the parent's.
    let parent = AccountKeys::new(parent.to_string().parse()?).primary("00000000000000000000000000000000");
    Ok(GateSettings {
        egress: None,
        media: None,
        listen: Listen { gate: loopback, ..Listen::default() },
        tls: None,
        limits: settings::Limits::default(),
        keyring: Keyring::new([parent])?,
        routes: vec![Route {
            label: Arc::from(TRIGGER_PATH),
            host: None,
            path: PathRule::Exact(TRIGGER_PATH.to_owned()),
            methods: vec![Method::POST],
            public_url: PublicUrl::parse(PUBLIC_URL)?,
            upstream: Upstream::Breaker,
            check: Check::Signature,
            mode: Mode::Enforce,
            strict: Strict::Refuse,
            accounts: None,
            replay: Replay::Auto,
            refusal_status: StatusCode::FORBIDDEN,
            body_cap: 64 * 1024,
            timeout: Duration::from_secs(14),
            proof: None,
            resign: None,
            twiml: settings::Twiml::Pass,
            signed_by: settings::SignedBy::Any,
        }],
        inspect: settings::Inspect::default(),
    })
}
