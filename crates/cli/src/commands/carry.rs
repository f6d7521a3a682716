//! What was ordered at Twilio is carried out, and the truth about it is told.
//!
//! An act is in the store before anything happens outside. Then this process joins as a node for a moment and works the outbox
//! as `serve` does; whichever node takes an order, this one waits until it has ended. Nothing is lost when it stops waiting:
//! the order stays, and any node goes on with it.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::Action;
use ringfence_control::decide::{Order, kind};
use ringfence_control::engine::Engine;
use ringfence_model::Sid;
use ringfence_store::{Effect, Error, Life, Result};
use tokio::task::JoinSet;

use super::with_engine::{Installation, Typed};
use crate::control_plane;

/// How often it looks whether the orders have ended.
const LOOK: Duration = Duration::from_millis(100);

/// A sign of life, which keeps other nodes from burying this one.
const PULSE: Duration = Duration::from_secs(1);

/// After so long somebody who waits wants to know what for.
const QUIET: Duration = Duration::from_secs(1);

/// So many orders of a kind are carried out at once.
const AT_ONCE: usize = 8;

/// A node whose last sign of life is older is not counted on. Clocks of machines are apart by less.
pub(crate) const SILENT: SignedDuration = SignedDuration::from_secs(90);

/// An order, as the outbox has it, and what it says.
pub(crate) type Ordered = (Effect, Order);

/// How what was ordered stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// All of it has ended.
    Done,
    /// Some of it waits, and nobody has tried it yet.
    Waiting,
    /// Some of it was tried and did not get through. It is tried again.
    Failing,
    /// Some of it was refused in a way that another try does not mend.
    Refused,
}

/// What became of the orders of an act.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) standing: Standing,
    /// What has not ended.
    pub(crate) undone: Vec<Undone>,
    /// Whether another node is at work, which goes on with it.
    pub(crate) others_at_work: bool,
    /// Whether Ctrl-C ended the waiting. From then on the system ends the process at none: whoever goes on has to listen.
    pub(crate) interrupted: bool,
    /// Why it could not be followed any longer.
    pub(crate) trouble: Option<String>,
}

/// An order that has not ended.
#[derive(Debug)]
pub(crate) struct Undone {
    pub(crate) account: Sid,
    pub(crate) action: Action,
    /// Why the last try failed.
    pub(crate) last_error: Option<String>,
}

impl Carried {
    /// The word for scripts.
    pub(crate) const fn word(&self) -> &'static str {
        match self.standing {
            Standing::Done => "done",
            Standing::Waiting => "waiting",
            Standing::Failing => "failing",
            Standing::Refused => "refused",
        }
    }

    /// Why the first order that failed did so.
    pub(crate) fn why(&self) -> Option<String> {
        if self.trouble.is_some() {
            return self.trouble.clone();
        }
        self.undone.iter().find_map(|order| order.last_error.clone())
    }

    /// What happens next with what has not ended.
    pub(crate) fn what_next(&self, typed: &Typed) -> String {
        match (self.standing, self.others_at_work) {
            (Standing::Waiting, true) => "`serve` carries it out".to_owned(),
            (_, true) => "`serve` goes on trying".to_owned(),
            (_, false) => {
                format!("no `serve` is at work to go on: start {}", typed.command("serve"))
            }
        }
    }
}

/// The orders that an act of `since` made for these accounts and that have not ended yet. `limit` is empty for an act on an
/// account itself.
pub(crate) async fn ordered(
    installation: &Installation,
    accounts: &[Sid],
    limit: &str,
    since: Timestamp,
) -> Result<Vec<Ordered>> {
    let mut orders = Vec::new();
    for account in accounts {
        for effect in installation.store.waiting_of_account(*account).await? {
            if !kind::AT_TWILIO.contains(&effect.kind.as_str()) || effect.created_at < since {
                continue;
            }
            let Ok(order) = serde_json::from_value::<Order>(effect.payload.clone()) else { continue };
            if order.limit == limit {
                orders.push((effect, order));
            }
        }
    }
    Ok(orders)
}

/// Carries the orders out, for as long as `patience`; without any, they are left to other nodes.
pub(crate) async fn carry_out(
    installation: &Installation,
    engine: &Arc<Engine>,
    mut orders: Vec<Ordered>,
    patience: Option<Duration>,
) -> Carried {
    let (mut trouble, mut interrupted) = (None, false);
    if let (Some(patience), false) = (patience, orders.is_empty()) {
        // Not that of the process alone: the demo has a node in it already, which would be taken for gone.
        let name = format!("{}/command", control_plane::name_of_node());
        let mut worker = Worker { installation, engine, name: &name, life: None, workers: JoinSet::new() };
        let followed = tokio::select! {
            followed = worker.follow(&mut orders, patience) => followed,
            _ = tokio::signal::ctrl_c() => {
                interrupted = true;
                Ok(())
            }
        };
        let left = worker.leave().await;
        trouble = followed.and(left).err();
    }
    let others_at_work = match is_anybody_at_work(installation).await {
        Ok(is) => is,
        Err(error) => {
            trouble.get_or_insert(error);
            false
        }
    };
    let standing = if trouble.is_some() { Standing::Failing } else { judge(engine, &orders) };
    let undone = orders.into_iter().map(|(effect, order)| Undone {
        account: order.account.sid,
        action: order.action,
        last_error: effect.last_error,
    });
    Carried {
        standing,
        undone: undone.collect(),
        others_at_work,
        interrupted,
        trouble: trouble.map(|error| error.to_string()),
    }
}

/// How it stands at the end.
fn judge(engine: &Engine, orders: &[Ordered]) -> Standing {
    worst(orders.iter().map(|(effect, _)| {
        if engine.is_refused(effect) {
            Standing::Refused
        } else if effect.last_error.is_some() {
            Standing::Failing
        } else {
            Standing::Waiting
        }
    }))
}

/// How it stands as a whole.
pub(crate) fn worst(standings: impl Iterator<Item = Standing>) -> Standing {
    standings.fold(Standing::Done, |standing, of_this| {
        match (standing, of_this) {
            // What may still come is waited for; what needs somebody is told first.
            (Standing::Refused, _) | (_, Standing::Refused) => Standing::Refused,
            (Standing::Failing, _) | (_, Standing::Failing) => Standing::Failing,
            (Standing::Done, other) | (other, Standing::Done) => other,
            _ => Standing::Waiting,
        }
    })
}

/// Whether a node gave a sign of life a moment ago.
pub(crate) async fn is_anybody_at_work(installation: &Installation) -> Result<bool> {
    let now = installation.now;
    let nodes = installation.store.nodes().await?;
    Ok(nodes.iter().any(|node| now.duration_since(node.seen_at) < SILENT))
}

/// A node for a moment.
struct Worker<'a> {
    installation: &'a Installation,
    engine: &'a Arc<Engine>,
    name: &'a str,
    life: Option<Life>,
    workers: JoinSet<Result<()>>,
}

impl Worker<'_> {
    /// Until the orders have ended or cannot, or the time is over. What is left in `orders` has not ended.
    async fn follow(&mut self, orders: &mut Vec<Ordered>, patience: Duration) -> Result<()> {
        let began = Instant::now();
        let count = orders.len();
        let (mut signed, mut told) = (None::<Instant>, QUIET);
        loop {
            if signed.is_none_or(|at| at.elapsed() >= PULSE) {
                self.sign().await?;
                signed = Some(Instant::now());
            }
            self.work().await?;
            self.refresh(orders).await?;
            if orders.iter().all(|(effect, _)| self.engine.is_refused(effect)) || began.elapsed() >= patience
            {
                return Ok(());
            }
            if began.elapsed() >= told {
                told += Duration::from_secs(10);
                progress(count, orders);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                Some(ended) = self.workers.join_next() => self.ended(ended)?,
            }
        }
    }

    /// Takes what is due.
    async fn work(&mut self) -> Result<()> {
        let Some(life) = self.life.clone() else { return Ok(()) };
        // Those that still run take what comes.
        if !self.workers.is_empty() {
            return Ok(());
        }
        let now = self.now();
        for kind in kind::AT_TWILIO {
            let due = self.installation.store.count_due(&life, kind, AT_ONCE, now).await?;
            for _ in 0..due {
                let (engine, life) = (Arc::clone(self.engine), life.clone());
                self.workers.spawn(async move {
                    while engine.work(&life, kind, 1).await?.done > 0 {}
                    Ok(())
                });
            }
        }
        Ok(())
    }

    fn ended(&mut self, ended: std::result::Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
        match ended {
            // The others gave this node up while the machine slept: it joins again at the next sign.
            Ok(Err(Error::Buried { .. })) => {
                self.life = None;
                Ok(())
            }
            Ok(result) => result,
            // Its claim ends with this node, and another one goes on.
            Err(_) => Ok(()),
        }
    }

    /// Forgets the orders that have ended. They ended in good order or were given up; both is seen in what they were for.
    async fn refresh(&self, orders: &mut Vec<Ordered>) -> Result<()> {
        // They are replaced at the end: whoever stops waiting halfway must not take them for ended.
        let mut left = Vec::new();
        for (effect, order) in orders.iter() {
            match self.installation.store.find_effect(&effect.key).await? {
                Some(now) if now.end.is_none() => left.push((now, order.clone())),
                _ => {}
            }
        }
        *orders = left;
        Ok(())
    }

    /// A sign of life; the first one joins.
    async fn sign(&mut self) -> Result<()> {
        let (store, hash) = (&self.installation.store, self.installation.limits.hash());
        if let Some(life) = &self.life {
            match store.beat(life, hash, self.now()).await {
                Err(Error::Buried { .. }) => {}
                signed => return signed,
            }
        }
        self.life = Some(store.join(self.name, hash, self.now()).await?);
        Ok(())
    }

    /// What is under way is dropped: whoever comes next goes on with it.
    async fn leave(&mut self) -> Result<()> {
        self.workers.shutdown().await;
        match self.life.take() {
            Some(life) => self.installation.store.leave(&life, self.now()).await,
            None => Ok(()),
        }
    }

    fn now(&self) -> Timestamp {
        let micros = i64::try_from(self.installation.clock.unix_micros()).unwrap_or(i64::MAX);
        Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
    }
}

/// One line for whoever waits.
fn progress(count: usize, orders: &[Ordered]) {
    let of = if count > 1 { format!(" ({} of {count} done)", count - orders.len()) } else { String::new() };
    let why = orders.iter().find_map(|(effect, _)| effect.last_error.as_deref());
    let why = why.map(|why| format!("; the last try: {why}")).unwrap_or_default();
    _ = writeln!(io::stderr(), "waiting for Twilio{of}{why}");
}
