//! One node of an installation: it joins the others, agrees with them on the limits, and does its part of the work.
//!
//! A node that dies is replaced by any other, so a node holds nothing that the store does not know. [`Node::turn`] is its
//! pulse: every second it gives a sign of life, buries who gave none, and takes the jobs that nobody does. [`Node::do_job`] and
//! [`Node::take_triggers`] do the work, and [`Node::run`] is the only thing here that waits; whoever moves the clock by
//! hand calls the others.

mod agreement;
mod clocks;
mod examination;
mod jobs;
mod keep;
mod left;
mod prices;
mod run;
mod shared_keys;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use ringfence_model::{Actor, Clock, Sid};
use ringfence_store::{self as store, Account, Error, Lease, Life, SharedKey, Store};
use tokio::sync::{Notify, watch};

pub use agreement::{Agreement, Limits};
pub use examination::Examination;
pub use jobs::{Done, Job, JobFailed};
pub use keep::Keep;
pub use left::Left;
pub use prices::{OnPrices, PriceBooks};

use crate::engine::{self, Clients, Engine};
use crate::heads::Carrier;
use crate::notices::Notifier;
use crate::plan::Mark;
use crate::rotation::TokensOf;
use crate::second_factor;

/// A node that gave no sign for so long is dead, and its jobs go to others. It gives one every second.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the data plane asks Twilio and verifies webhooks with, beside what is configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeysInUse {
    /// All accounts that are known.
    pub accounts: Vec<Account>,
    /// The tokens that rotations concern.
    pub tokens: Vec<TokensOf>,
    /// The SharedKeys that were made.
    pub shared: Vec<SharedKey>,
}

/// Takes over accounts and their keys; it returns at once. Gives back the accounts for which it cannot use these keys.
pub type OnAccounts = Arc<dyn Fn(&KeysInUse) -> Vec<Sid> + Send + Sync>;

/// Tells with which tokens of watched accounts requests were signed since it was last asked; it returns at once.
pub type SignedWith = Arc<dyn Fn() -> Vec<SignedBy> + Send + Sync>;

/// With which tokens requests of an account were signed that a gate let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedBy {
    /// Whose.
    pub account: Sid,
    /// One at least with the new token.
    pub new: bool,
    /// One at least with the old token.
    pub old: bool,
}

/// What a node is told.
pub struct Setup {
    /// Tells this node from the others at work; no two have the same at a time.
    pub name: String,
    /// Where everything is kept.
    pub store: Arc<Store>,
    /// How Twilio is asked.
    pub clients: Clients,
    /// The operator's limits.
    pub limits: Limits,
    /// How people are told; none where nobody is.
    pub notifier: Option<Arc<Notifier>>,
    /// How codes are sent; none where none are.
    pub second_factor: Option<second_factor::Settings>,
    /// What is settled of the egress; none where there is none.
    pub egress: Option<engine::Egress>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The URL of the gate's route for usage triggers; without one there are none.
    pub callback_url: Option<String>,
    /// How often accounts and their usage are read.
    pub poll_interval: Duration,
    /// How long what is over is kept.
    pub keep: Keep,
    /// Where the console is, for links in mails.
    pub console_url: Option<String>,
    /// Where signed heads of the audit log are carried, by the node that seals it.
    pub carriers: Vec<Arc<Carrier>>,
    /// Told of all accounts, after any of them has changed: the gate verifies their webhooks.
    pub on_accounts: Option<OnAccounts>,
    /// What the gate saw of tokens that are being replaced; none where there is no gate.
    pub signed_with: Option<SignedWith>,
    /// Whose webhooks are signed by keys of their own; nothing where the configuration does not speak of it, and all is left as
    /// it is.
    pub shared_keys: Option<crate::shared_keys::Settings>,
    /// What is done about prices; nothing where nobody needs them.
    pub prices: Option<PriceBooks>,
    /// What the daily examination looks at; none where it is not made.
    pub examination: Option<Examination>,
}

/// What a node works with, while it may.
#[derive(Debug, Clone)]
pub struct AtWork {
    /// What decides and acts.
    pub engine: Arc<Engine>,
    /// In whose name.
    pub life: Life,
}

/// Why a node does not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Idle {
    /// It has yet to join.
    #[error("it has not joined the others yet")]
    Starting,
    /// The limits are others'.
    #[error(
        "the limits of this node are not those that were applied, and {} at work with those; bring all nodes to one \
         configuration, or run `ringfence limits apply` with this one",
        held_by(.0)
    )]
    Differs(Vec<String>),
    /// Others were applied while it ran, by a version whose limits this one cannot read.
    #[error(
        "limits that this version cannot read were applied while this node ran (`ringfence limits apply`), and it holds none \
         until it is upgraded, or reloaded with a configuration that it can read"
    )]
    Replaced,
}

/// A hash of the accounts, the tokens of rotations, and the SharedKeys.
type ToldAccounts = (u64, Vec<TokensOf>, Vec<SharedKey>);

/// One node.
pub struct Node {
    setup: Setup,
    mark: Mark,
    at_work: watch::Sender<Result<AtWork, Idle>>,
    /// Whether its limits were the applied ones once.
    has_agreed: AtomicBool,
    /// The life in which it last gave a sign.
    life: Mutex<Option<Life>>,
    leases: Mutex<BTreeMap<Job, Lease>>,
    /// Kinds of effects that are being performed, or whose performing broke off.
    working: Mutex<BTreeSet<&'static str>>,
    /// Asks for a job before its time.
    asked: BTreeMap<Job, Notify>,
    triggered: Notify,
    to_confirm: Mutex<BTreeSet<Sid>>,
    confirming: Notify,
    stale: jobs::Stale,
    pace: jobs::Pace,
    told_accounts: Mutex<Option<ToldAccounts>>,
    /// When all SharedKeys were last compared with Twilio's.
    shared_keys_at: Mutex<Option<Timestamp>>,
    tokens: tokens::TakenOver,
    told_prices: Mutex<Option<u64>>,
}

impl Node {
    /// A node that has not joined yet.
    pub async fn new(setup: Setup) -> store::Result<Self> {
        let mark = Mark::new(&setup.store.instance().await?);
        Ok(Self {
            mark,
            at_work: watch::Sender::new(Err(Idle::Starting)),
            has_agreed: AtomicBool::new(false),
            life: Mutex::default(),
            leases: Mutex::default(),
            working: Mutex::default(),
            asked: Job::ALL.into_iter().map(|job| (job, Notify::new())).collect(),
            triggered: Notify::new(),
            to_confirm: Mutex::default(),
            confirming: Notify::new(),
            stale: jobs::Stale::default(),
            pace: jobs::Pace::default(),
            told_accounts: Mutex::default(),
            shared_keys_at: Mutex::default(),
            tokens: tokens::TakenOver::default(),
            told_prices: Mutex::default(),
            setup,
        })
    }

    /// What it works with; if it does not work, why.
    pub fn at_work(&self) -> Result<AtWork, Idle> {
        self.at_work.borrow().clone()
    }

    /// Whether a load balancer should send webhooks here. A store that is away is no reason: the gate verifies without it. Nor
    /// is it one that nobody holds the limits: there is no other node to send them to.
    pub fn readiness(&self) -> Result<(), Idle> {
        match &*self.at_work.borrow() {
            Err(idle @ Idle::Differs(_)) => Err(idle.clone()),
            _ => Ok(()),
        }
    }

    /// The gate has kept a usage trigger.
    pub fn wake(&self) {
        self.triggered.notify_one();
    }

    /// A webhook of this account was refused, and newer keys might not have refused it. Twilio is asked at most once a minute.
    pub fn stale(&self, account: Sid) {
        self.stale.note(account);
    }

    /// One pulse; every second. What fails is tried again at the next.
    pub async fn turn(&self) -> store::Result<()> {
        let life = match self.sign().await {
            Ok(life) => life,
            Err(Error::Buried { .. }) => {
                tracing::warn!(
                    node = self.setup.name,
                    "the other nodes had given this one up: it joins again"
                );
                self.rest(&Idle::Starting);
                self.leases.lock().unwrap_or_else(PoisonError::into_inner).clear();
                *self.life.lock().unwrap_or_else(PoisonError::into_inner) = None;
                self.sign().await?
            }
            Err(error) => return Err(error),
        };
        let store = &self.setup.store;
        for buried in store.bury_silent(&life, PATIENCE, self.now()).await? {
            tracing::warn!(node = buried.node, "a node gives no sign of life: its work goes to others");
        }
        match self.setup.limits.agreement(store, Some(life.node())).await? {
            Agreement::Agreed(limits) => {
                self.begin(life.clone(), limits);
            }
            // Somebody applied others while this node ran: it must not put its own back, and nobody else holds those.
            Agreement::Free if self.has_agreed.load(Ordering::Relaxed) => {
                let Some(limits) = Limits::applied(store).await? else {
                    self.rest(&Idle::Replaced);
                    return self.give_up_jobs().await;
                };
                if self.begin(life.clone(), limits) {
                    tracing::warn!(
                        node = self.setup.name,
                        "other limits were applied while this node ran: it holds those until it is reloaded, and then \
                         what its configuration says"
                    );
                }
            }
            Agreement::Free => {
                let by = Actor::job("limits");
                let applied = self.setup.limits.apply(store, &by, self.now()).await?;
                tracing::info!(added = ?applied.added, changed = ?applied.changed, removed = ?applied.removed, "limits applied");
                // Another node may have done the same with others: whoever is last has them, and both look.
                match self.setup.limits.agreement(store, Some(life.node())).await? {
                    Agreement::Agreed(limits) => {
                        self.begin(life.clone(), limits);
                    }
                    Agreement::Free | Agreement::Differs(_) => return Ok(()),
                }
            }
            Agreement::Differs(others) => {
                self.rest(&Idle::Differs(others));
                return self.give_up_jobs().await;
            }
        }
        self.take_jobs(&life).await
    }

    /// Leaves: what it held is free at once.
    pub async fn leave(&self) -> store::Result<()> {
        self.rest(&Idle::Starting);
        self.leases.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let life = self.life.lock().unwrap_or_else(PoisonError::into_inner).take();
        match life {
            Some(life) => self.setup.store.leave(&life, self.now()).await,
            None => Ok(()),
        }
    }

    /// A sign of life; the first one joins.
    async fn sign(&self) -> store::Result<Life> {
        let (store, hash) = (&self.setup.store, self.setup.limits.hash());
        let known = self.life.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(life) = known {
            store.beat(&life, hash, self.now()).await?;
            return Ok(life);
        }
        let life = store.join(&self.setup.name, hash, self.now()).await?;
        *self.life.lock().unwrap_or_else(PoisonError::into_inner) = Some(life.clone());
        Ok(life)
    }

    /// Works in this life and with these limits; whether it did not already.
    fn begin(&self, life: Life, limits: Vec<crate::wanted::AppliedLimit>) -> bool {
        self.has_agreed.store(true, Ordering::Relaxed);
        self.at_work.send_if_modified(|at_work| {
            if let Ok(at_work) = at_work
                && at_work.life == life
                && at_work.engine.limits() == limits
            {
                return false;
            }
            let Setup { store, clients, notifier, second_factor, egress, shared_keys, clock, .. } =
                &self.setup;
            let engine = Engine::new(engine::Setup {
                store: Arc::clone(store),
                clients: clients.clone(),
                limits,
                notifier: notifier.clone(),
                second_factor: second_factor.clone(),
                egress: egress.clone(),
                shared_keys: shared_keys.clone(),
                clock: Arc::clone(clock),
            });
            *at_work = Ok(AtWork { engine: Arc::new(engine), life });
            true
        })
    }

    fn rest(&self, why: &Idle) {
        let changed = self.at_work.send_if_modified(|at_work| match at_work {
            Err(before) if before == why => false,
            _ => {
                *at_work = Err(why.clone());
                true
            }
        });
        if changed && matches!(why, Idle::Differs(_) | Idle::Replaced) {
            tracing::error!(node = self.setup.name, "not at work: {why}");
        }
    }

    fn now(&self) -> Timestamp {
        let micros = i64::try_from(self.setup.clock.unix_micros()).unwrap_or(i64::MAX);
        Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Node").field("name", &self.setup.name).finish_non_exhaustive()
    }
}

fn held_by(nodes: &[String]) -> String {
    match nodes {
        [one] => format!("{one} is"),
        nodes => format!("{} are", nodes.join(", ")),
    }
}
