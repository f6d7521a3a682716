//! The pulse and the work of a node, each in a task of its own, until it is stopped.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::{AtWork, Done, Idle, Job, Node};
use crate::decide::kind;
use crate::heads::{Carrier, NotCarried};

/// A sign of life.
const PULSE: Duration = Duration::from_secs(1);

/// What this node was not told of (another one ordered it, its time has come) is found after this time.
const LOOK: Duration = Duration::from_secs(1);

/// The database's clock is looked at as often.
const CLOCKS_AGAIN: Duration = Duration::from_mins(1);

/// Other nodes may have learnt of accounts.
const ACCOUNTS_AGAIN: Duration = Duration::from_secs(5);

/// A head of the audit log is carried so soon after it was signed, and the next one to the same place so much later: what
/// happens seldom is outside at once, and a busy day sends a head a minute and not one for each row.
const CARRY_SOON: Duration = Duration::from_secs(5);
const CARRY_AGAIN: Duration = Duration::from_mins(1);
/// Where heads are not taken, the pauses grow to this.
const CARRY_AGAIN_AT_MOST: Duration = Duration::from_mins(5);

/// The kinds of effects, and how many are performed at once. None waits for another kind.
///
/// An order asks Twilio one thing after the other, so these are requests under way, and Twilio bounds those of an account: at a
/// number that it does not publish and that others tell as about a hundred. A suspension goes by the parent's credentials, so
/// all nodes together count there; with what polling adds (8 on one node), three nodes whose suspensions all wait stay below
/// it. Whatever is above it is answered 429, was not done, and is tried again.
pub(super) const KINDS: [(&str, usize); 11] = [
    (kind::STATUS, 16),
    (kind::END_CALLS, 4),
    (kind::CANCEL_QUEUED, 4),
    (kind::GEO, 4),
    (kind::REVOKE_KEYS, 2),
    (kind::NOTICE, 1),
    (kind::DELIVERY, 4),
    (kind::LETTER, 2),
    (kind::CODE, 16),
    (kind::CONSOLE_CODE, 2),
    (kind::TEXT, 2),
];

impl Job {
    /// How often it is done, and that is how late it finds what nobody told it.
    fn every(self, poll_interval: Duration) -> Duration {
        match self {
            Self::Accounts | Self::Usage => poll_interval,
            Self::Triggers => Duration::from_mins(5),
            // Of what is as it should be it asks Twilio more seldom.
            Self::SharedKeys => Duration::from_secs(15),
            // It asks Twilio only for what is missing or too old.
            Self::Prices => Duration::from_mins(10),
            Self::Windows => Duration::from_secs(5),
            Self::Seal => Duration::from_secs(2),
            Self::Forget => Duration::from_hours(1),
            // When it is due stands in the store; this is how late it begins.
            Self::Reseal | Self::Examine => Duration::from_mins(1),
            // With the three minutes that a second factor may take, an owner hears of it within four.
            Self::SignIns | Self::Ledger => Duration::from_secs(10),
        }
    }
}

impl Node {
    /// Works until `stop` says so, then leaves. What was under way is dropped: another node, or the next run, goes on with it.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            let mut tasks = self.start();
            tokio::select! {
                () = asked(&mut stop) => {
                    tasks.shutdown().await;
                    break;
                }
                ended = tasks.join_next() => {
                    tracing::error!(?ended, "a task of the control plane ended, which none should: all are started anew");
                    tasks.shutdown().await;
                    sleep(PULSE).await;
                }
            }
        }
        if let Err(error) = self.leave().await {
            tracing::warn!(%error, "the others will notice only by its silence that this node is gone");
        }
    }

    fn start(self: &Arc<Self>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(self).pulse());
        tasks.spawn(Arc::clone(self).compare_clocks());
        tasks.spawn(Arc::clone(self).take());
        tasks.spawn(Arc::clone(self).confirm_all());
        tasks.spawn(Arc::clone(self).look());
        tasks.spawn(Arc::clone(self).feed());
        for job in Job::ALL {
            tasks.spawn(Arc::clone(self).repeat(job));
        }
        for carrier in &self.setup.carriers {
            tasks.spawn(Arc::clone(self).carry_heads(Arc::clone(carrier)));
        }
        for (kind, at_once) in KINDS {
            tasks.spawn(Arc::clone(self).perform(kind, at_once));
        }
        tasks
    }

    /// Drops what is under way as soon as this node works otherwise than when it began, or no more: what other limits want is
    /// not to be put back at Twilio, and no account to be judged by them. None where that was so.
    async fn while_at_work<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut at_work = self.at_work.subscribe();
        tokio::select! {
            biased;
            _ = at_work.changed() => None,
            done = work => Some(done),
        }
    }

    async fn pulse(self: Arc<Self>) {
        let mut log = Log::of("the control plane");
        loop {
            let began = Instant::now();
            log.note(self.turn().await.err());
            sleep_until(began + PULSE).await;
        }
    }

    async fn compare_clocks(self: Arc<Self>) {
        let mut before = None;
        loop {
            // Where the store is away, others say so.
            if let Ok(apart) = self.clock_apart().await {
                self.note_clock(before, apart);
                before = apart;
            }
            sleep(CLOCKS_AGAIN).await;
        }
    }

    async fn take(self: Arc<Self>) {
        let mut log = Log::of("usage triggers");
        loop {
            let taken = self.while_at_work(self.take_triggers()).await;
            let more = matches!(taken, Some(Ok(1..)));
            if let Some(taken) = taken {
                log.note(taken.err());
            }
            if !more {
                tokio::select! {
                    () = self.triggered.notified() => {}
                    () = sleep(LOOK) => {}
                }
            }
        }
    }

    async fn confirm_all(self: Arc<Self>) {
        let mut log = Log::of("usage after a trigger");
        loop {
            self.confirming.notified().await;
            match self.while_at_work(self.confirm()).await {
                Some(Ok(done)) => log.note_done(&done),
                Some(Err(error)) => log.note(Some(error)),
                // The next poll reads them.
                None => {}
            }
        }
    }

    async fn look(self: Arc<Self>) {
        let mut log = Log::of("accounts");
        loop {
            match self.stale.wait(self.setup.clock.monotonic()) {
                None => self.stale.noted.notified().await,
                Some(Duration::ZERO) => match self.look_again().await {
                    Ok(Some(done)) => log.note_done(&done),
                    Ok(None) => sleep(LOOK).await,
                    Err(error) => log.note(Some(error)),
                },
                Some(wait) => sleep(wait).await,
            }
        }
    }

    async fn feed(self: Arc<Self>) {
        let mut log = Log::of("accounts and prices for the data plane");
        let mut everything_at = Instant::now();
        loop {
            let told = if Instant::now() < everything_at {
                self.follow_tokens().await
            } else {
                everything_at = Instant::now() + ACCOUNTS_AGAIN;
                self.tell_everything().await
            };
            log.note(told.err());
            sleep(LOOK).await;
        }
    }

    async fn tell_everything(&self) -> ringfence_store::Result<()> {
        self.follow_tokens().await?;
        self.tell_accounts().await?;
        self.tell_prices().await
    }

    /// Each place has a task of its own, so that one that hangs keeps heads from no other, and never the sealer waiting.
    async fn carry_heads(self: Arc<Self>, carrier: Arc<Carrier>) {
        let mut log = Log::of(carrier.name());
        let mut pause = CARRY_SOON;
        loop {
            sleep(pause).await;
            match self.carry_head(&carrier).await {
                Ok(carried) => {
                    log.note(None::<NotCarried>);
                    let is_carried = carried.is_some_and(|carried| carried.seq.is_some());
                    pause = if is_carried { CARRY_AGAIN } else { CARRY_SOON };
                }
                Err(error) => {
                    pause = (pause * 2).min(CARRY_AGAIN_AT_MOST);
                    log.note(Some(error));
                }
            }
        }
    }

    async fn repeat(self: Arc<Self>, job: Job) {
        let mut log = Log::of(job.name());
        let asked = &self.asked[&job];
        loop {
            if !self.has(job) {
                asked.notified().await;
            }
            let began = Instant::now();
            match self.while_at_work(self.do_job(job)).await {
                Some(Ok(Some(done))) => log.note_done(&done),
                Some(Ok(None)) | None => {}
                Some(Err(error)) => log.note(Some(error)),
            }
            // Asked for again and again, it still leaves the others room.
            sleep(Duration::from_millis(200)).await;
            tokio::select! {
                () = asked.notified() => {}
                () = sleep_until(began + job.every(self.setup.poll_interval)) => {}
            }
        }
    }

    async fn perform(self: Arc<Self>, kind: &'static str, at_once: usize) {
        let mut at_work = self.at_work.subscribe();
        loop {
            let now: Result<AtWork, Idle> = at_work.borrow_and_update().clone();
            tokio::select! {
                biased;
                changed = at_work.changed() => if changed.is_err() { return },
                () = self.perform_with(now, kind, at_once) => {}
            }
        }
    }

    /// Never ends.
    async fn perform_with(&self, at_work: Result<AtWork, Idle>, kind: &'static str, at_once: usize) {
        let Ok(at_work) = at_work else { return std::future::pending().await };
        let mut log = Log::of(kind);
        let mut orders = at_work.engine.orders();
        loop {
            orders.borrow_and_update();
            log.note(self.work_off(&at_work, kind, at_once).await.err());
            tokio::select! {
                // The engine lives as long as this does.
                _ = orders.changed() => {}
                () = sleep(LOOK) => {}
            }
        }
    }
}

/// Ends when it says so, or when nobody is left to say it.
async fn asked(stop: &mut watch::Receiver<bool>) {
    let _nobody_left = stop.wait_for(|stop| *stop).await;
}

/// Says what goes wrong when it begins, when it becomes something else, and when it is over; not every second.
struct Log {
    what: String,
    last: Option<String>,
}

impl Log {
    fn of(what: impl Into<String>) -> Self {
        Self { what: what.into(), last: None }
    }

    fn note(&mut self, error: Option<impl Display>) {
        let error = error.map(|error| error.to_string());
        if error == self.last {
            return;
        }
        if let Some(error) = &error {
            tracing::warn!(job = &*self.what, error, "not done, and tried again");
        } else {
            tracing::info!(job = &*self.what, "done again");
        }
        self.last = error;
    }

    fn note_done(&mut self, done: &Done) {
        let first = done.troubles.first();
        // Of one account several things may fail.
        let accounts: BTreeSet<_> = done.troubles.iter().map(|(sid, _)| sid).collect();
        self.note(first.map(|(sid, why)| match accounts.len() {
            1 => format!("{sid}: {why}"),
            n => format!("{n} accounts, the first of which is {sid}: {why}"),
        }));
    }
}
