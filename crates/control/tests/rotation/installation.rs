//! Nodes of one installation with what stands for their gates, a Twilio, and whoever types commands.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use ringfence_control::engine::{self, Clients, Engine, KnownAccount};
use ringfence_control::node::{Keep, KeysInUse, Limits, Node, Setup, SignedBy};
use ringfence_control::rotation::{NotRotated, TokensOf, Turn, Wish};
use ringfence_control::shared_keys;
use ringfence_model::{Actor, Secret, Sid};
use ringfence_sandbox::Settings;
use ringfence_store::Store;
use ringfence_twilio::client::{Backoff, Client, Credentials};

use crate::database::Database;
use crate::time::SandboxClock;
use crate::world::World;

pub(crate) const WISH: Wish<'_> =
    Wish { reason: "it leaked", holds: false, unconfirmed: false, replaces_second: false, again: false };

pub(crate) struct Installation {
    pub(crate) world: World,
    pub(crate) parent: Sid,
    /// What the configuration files say.
    pub(crate) configured: Secret,
    database: Database,
    pub(crate) machines: Vec<Machine>,
    /// What nodes are told of SharedKeys that begin from now on.
    pub(crate) shared_keys: Option<shared_keys::Settings>,
}

/// A node, and what its gate was told.
pub(crate) struct Machine {
    pub(crate) node: Node,
    configured: (Sid, Secret),
    pub(crate) told: Arc<Mutex<KeysInUse>>,
    signed: Arc<Mutex<Vec<SignedBy>>>,
    pub(crate) refuses: Arc<Mutex<bool>>,
}

impl Installation {
    /// With these nodes at work.
    pub(crate) async fn with(database: Database, names: &[&str]) -> Self {
        let world = World::start(Settings::default());
        let parent = world.sandbox.account_sid();
        let configured = Secret::new(world.sandbox.auth_token(parent).expect("the main account"));
        let machines = Vec::new();
        let mut installation = Self { world, parent, configured, database, machines, shared_keys: None };
        for name in names {
            installation.start(name).await;
        }
        installation.pulse().await;
        installation
    }

    /// Another node begins.
    pub(crate) async fn start(&mut self, name: &str) {
        let clock = SandboxClock::new(&self.world.sandbox, SignedDuration::ZERO);
        let (told, signed) = (Arc::<Mutex<KeysInUse>>::default(), Arc::<Mutex<Vec<SignedBy>>>::default());
        let refuses = Arc::new(Mutex::new(false));
        let (gate, seen, full) = (Arc::clone(&told), Arc::clone(&signed), Arc::clone(&refuses));
        let node = Node::new(Setup {
            name: name.to_owned(),
            store: self.store().await,
            clients: self.clients(),
            limits: Limits::new(Vec::new()),
            notifier: None,
            second_factor: None,
            egress: None,
            clock: Arc::new(clock),
            callback_url: None,
            console_url: None,
            poll_interval: Duration::from_mins(1),
            keep: Keep::default(),
            carriers: Vec::new(),
            on_accounts: Some(Arc::new(move |keys| {
                let tokens = &keys.tokens;
                gate.lock().unwrap().clone_from(keys);
                let is_full = *full.lock().unwrap();
                tokens.iter().filter(|_| is_full).map(|it| it.account).collect()
            })),
            shared_keys: self.shared_keys.clone(),
            signed_with: Some(Arc::new(move || std::mem::take(&mut *seen.lock().unwrap()))),
            prices: None,
            examination: None,
        });
        let node = node.await.expect("a node");
        let configured = (self.parent, self.configured.clone());
        self.machines.push(Machine { node, configured, told, signed, refuses });
    }

    /// Every node gives a sign of life and looks whether tokens are others now.
    pub(crate) async fn pulse(&self) {
        for machine in &self.machines {
            machine.pulse().await;
        }
    }

    pub(crate) async fn store(&self) -> Arc<Store> {
        self.database.open(self.world.sandbox.now()).await
    }

    fn clients(&self) -> Clients {
        let base = format!("http://{}", self.world.sandbox.address()).parse().expect("a URL");
        let mut settings = ringfence_twilio::client::Settings::at(base);
        settings.backoff =
            Backoff { tries: 2, pause_first: Duration::from_millis(1), pause_max: Duration::from_millis(2) };
        let known = KnownAccount {
            sid: self.parent,
            parent: None,
            auth_token: self.configured.clone(),
            finds_subaccounts: true,
        };
        Clients::new(&settings, vec![known]).expect("clients")
    }

    /// The engine of a command that begins now, as a process of its own has it.
    pub(crate) async fn engine(&self) -> Engine {
        Engine::new(engine::Setup {
            store: self.store().await,
            clients: self.clients(),
            limits: Vec::new(),
            notifier: None,
            second_factor: None,
            egress: None,
            shared_keys: self.shared_keys.clone(),
            clock: Arc::new(SandboxClock::new(&self.world.sandbox, SignedDuration::ZERO)),
        })
    }

    /// One step, by a command that is killed after it.
    pub(crate) async fn rotate(&self, account: Sid, wish: &Wish<'_>) -> Result<Turn, NotRotated> {
        self.engine().await.rotate(account, &operator(), wish).await
    }

    pub(crate) async fn undo(&self, account: Sid) -> Result<Turn, NotRotated> {
        self.engine().await.undo_rotation(account, &operator(), "it was a mistake").await
    }

    /// What Twilio signs with at this moment.
    pub(crate) fn signs(&self, account: Sid) -> String {
        self.world.sandbox.auth_token(account).expect("an account")
    }

    /// Whether Twilio takes a token.
    pub(crate) async fn takes(&self, account: Sid, token: &str) -> bool {
        let credentials = Credentials::auth_token(account, Secret::new(token));
        let client: Client = self.world.parent.with_credentials(credentials);
        client.accounts().fetch(account).await.is_ok()
    }

    /// What must be so at every moment: each gate lets pass what Twilio signs, and Twilio answers each node.
    pub(crate) async fn nothing_is_refused(&self, account: Sid) {
        let signs = self.signs(account);
        for machine in &self.machines {
            assert!(machine.lets_pass(account, &signs).await, "a webhook is refused");
            let asks = machine.asks(account).await;
            assert!(self.takes(account, &asks).await, "a request is refused");
        }
    }

    /// A webhook that Twilio signs now reaches each gate.
    pub(crate) async fn webhook(&self, account: Sid) {
        let signs = self.signs(account);
        for machine in &self.machines {
            machine.receive(account, &signs).await;
        }
    }

    pub(crate) async fn actions(&self) -> Vec<String> {
        let rows = self.store().await.audit_rows(None, None, 1_000).await.expect("rows");
        let tokens = rows.into_iter().map(|row| row.action).filter(|action| action.starts_with("token."));
        let mut actions: Vec<_> = tokens.collect();
        actions.reverse();
        actions
    }
}

impl Machine {
    pub(crate) async fn pulse(&self) {
        self.node.turn().await.expect("a pulse");
        self.node.follow_tokens().await.expect("the store is there");
    }

    fn tokens(&self, account: Sid) -> Option<TokensOf> {
        self.told.lock().unwrap().tokens.iter().find(|it| it.account == account).cloned()
    }

    /// The token that is configured or listed.
    async fn base(&self, account: Sid) -> String {
        if account == self.configured.0 {
            return self.configured.1.expose().to_owned();
        }
        let known = self.node.at_work().expect("at work").engine.store().find_account(account).await;
        known.expect("the store").and_then(|known| known.auth_token).expect("a token").expose().to_owned()
    }

    pub(crate) async fn asks(&self, account: Sid) -> String {
        match self.tokens(account) {
            Some(tokens) => tokens.ask.expose().to_owned(),
            None => self.base(account).await,
        }
    }

    pub(crate) async fn lets_pass(&self, account: Sid, token: &str) -> bool {
        let base = self.base(account).await;
        match self.tokens(account) {
            None => base == token,
            Some(it) => {
                let is_replaced = it.replaced.as_ref().is_some_and(|replaced| replaced.expose() == token);
                let or = it.or.as_ref().is_some_and(|or| or.expose() == token);
                !is_replaced && (it.signs.expose() == token || or || base == token)
            }
        }
    }

    pub(crate) async fn receive(&self, account: Sid, token: &str) {
        assert!(self.lets_pass(account, token).await, "a webhook is refused");
        let Some(tokens) = self.tokens(account).filter(|tokens| tokens.is_watched) else { return };
        let new = tokens.signs.expose() == token;
        self.signed.lock().unwrap().push(SignedBy { account, new, old: !new });
    }
}

pub(crate) fn operator() -> Actor {
    Actor::CommandLine("alice".to_owned())
}
