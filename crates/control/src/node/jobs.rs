//! The jobs: each is done by one node at a time, again and again.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use ringfence_model::{Actor, Sid};
use ringfence_store::{self as store, Account, Forget, Life};
use ringfence_twilio::client::Fault;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{AtWork, KeysInUse, Node};
use crate::engine::{Engine, ReadingFailed, Triggers};
use crate::heads::{Carried, Carrier, NotCarried};
use crate::people::tell_sign_ins;
use crate::{rotation, shared_keys};

/// What one node at a time does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Job {
    /// The accounts are as Twilio lists them, and those that must be suspended are.
    Accounts,
    /// What every account used is read: this finds what no trigger told.
    Usage,
    /// What things cost each account is read, where it is not known or too old.
    Prices,
    /// The usage triggers at Twilio are as the limits want them.
    Triggers,
    /// The SharedKeys at Twilio, and the rules that name them, are as the configuration wants them.
    SharedKeys,
    /// Breakers whose window has ended begin the next one.
    Windows,
    /// The audit log is chained, and its end signed.
    Seal,
    /// What is old enough is forgotten.
    Forget,
    /// Owners are told of sign-ins that they should hear of.
    SignIns,
    /// What the egress set aside is settled by Twilio's lists.
    Ledger,
    /// What an earlier master key has sealed is sealed anew, so that the key may go.
    Reseal,
    /// The whole deployment is looked at, and what is new about it told.
    Examine,
}

impl Job {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Accounts,
        Self::Usage,
        Self::Prices,
        Self::Triggers,
        Self::SharedKeys,
        Self::Windows,
        Self::Seal,
        Self::Forget,
        Self::SignIns,
        Self::Ledger,
        Self::Reseal,
        Self::Examine,
    ];

    /// Whether it is done with the credentials of accounts.
    const fn asks_twilio(self) -> bool {
        matches!(
            self,
            Self::Accounts
                | Self::Usage
                | Self::Prices
                | Self::Triggers
                | Self::SharedKeys
                | Self::Ledger
                | Self::Examine
        )
    }

    /// The name of its lease.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Usage => "usage",
            Self::Prices => "prices",
            Self::Triggers => "triggers",
            Self::SharedKeys => "shared-keys",
            Self::Windows => "windows",
            Self::Seal => "seal",
            Self::Forget => "forget",
            Self::SignIns => "sign-ins",
            Self::Ledger => "ledger",
            Self::Reseal => "reseal",
            Self::Examine => "examine",
        }
    }
}

/// What one run of a job did.
#[derive(Debug, Default)]
pub struct Done {
    /// How many things it changed, or read where it only reads.
    pub count: usize,
    /// What could not be done, and for which account. The next run tries again.
    pub troubles: Vec<(Sid, String)>,
}

/// Why a job did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum JobFailed {
    /// The store did not answer, or refused.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A defect of ours.
    #[error("it panicked")]
    Panicked,
}

/// No limit looks back longer at where traffic went.
const TRAFFIC_KEPT: Duration = Duration::from_hours(24 * 91);

/// No limit of a share looks back longer: a day at most, before which half a day is too young.
const SIGNS_KEPT: Duration = Duration::from_hours(48);

/// A session that is over opens nothing and is shown nowhere; sign-ins are what is remembered.
const SESSIONS_KEPT: Duration = Duration::from_hours(1);

/// A fresh look at Twilio is taken once in this time, however many signatures fail.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// Whether keys may be out of date.
#[derive(Debug, Default)]
pub(super) struct Stale {
    accounts: Mutex<BTreeSet<Sid>>,
    last_look: Mutex<Option<Instant>>,
    pub(super) noted: Notify,
}

/// Strangers choose the accounts, so no more than these are remembered.
const STALE_MAX: usize = 1_000;

impl Stale {
    pub(super) fn note(&self, account: Sid) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() < STALE_MAX {
            accounts.insert(account);
        }
        self.noted.notify_one();
    }

    /// How long to wait before Twilio may be asked; none where nobody needs it.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        if self.accounts.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            return None;
        }
        let last = *self.last_look.lock().unwrap_or_else(PoisonError::into_inner);
        Some(last.map_or(Duration::ZERO, |last| (last + LOOK_AGAIN).saturating_duration_since(now)))
    }

    fn looked(&self, now: Instant) {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).clear();
        *self.last_look.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
}

/// How many accounts are asked about at once: fewer after Twilio said that it is too many, then slowly more again.
#[derive(Debug)]
pub(super) struct Pace(AtomicUsize);

/// At 100 ms an answer, 1,000 accounts take 13 seconds, and no account sees more than a few requests a minute.
const AT_ONCE_MAX: usize = 8;

impl Default for Pace {
    fn default() -> Self {
        Self(AtomicUsize::new(AT_ONCE_MAX))
    }
}

impl Pace {
    fn at_once(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn after(&self, too_many: bool) {
        let now = self.at_once();
        let next = if too_many { (now / 2).max(1) } else { (now + 1).min(AT_ONCE_MAX) };
        self.0.store(next, Ordering::Relaxed);
    }
}

/// So many transactions that delete rows there are in one run.
const BATCHES_MAX: usize = 200;

/// So many values are sealed anew in one transaction: others wait for it.
const RESEALED_AT_ONCE: usize = 200;

impl Node {
    /// Does a job once, if it is this node's. None where it is not, or where the node does not work.
    pub async fn do_job(&self, job: Job) -> Result<Option<Done>, JobFailed> {
        let Ok(at_work) = self.at_work() else { return Ok(None) };
        let lease = self.leases.lock().unwrap_or_else(PoisonError::into_inner).get(&job).cloned();
        let Some(lease) = lease else { return Ok(None) };
        if !self.setup.store.holds(&lease).await? {
            self.leases.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
            return Ok(None);
        }
        let done = match job {
            Job::Accounts => self.synchronise(&at_work.engine).await?,
            Job::Usage => self.read_everybody(&at_work.engine).await?,
            Job::Prices => self.read_prices(&at_work.engine).await?,
            Job::Triggers => self.bring_triggers(&at_work.engine).await?,
            Job::SharedKeys => self.bring_shared_keys(&at_work.engine).await?,
            Job::Windows => Done { count: at_work.engine.tick().await?, ..Done::default() },
            Job::Seal => self.seal().await?,
            Job::Forget => self.forget().await?,
            Job::SignIns => self.tell_sign_ins().await?,
            Job::Ledger => reconcile(&at_work.engine).await?,
            Job::Reseal => self.reseal().await?,
            Job::Examine => Box::pin(self.examine(&at_work.engine)).await?,
        };
        Ok(Some(done))
    }

    /// Decides on the usage triggers that the gate has kept. Their accounts' records are read by [`Self::confirm`].
    pub async fn take_triggers(&self) -> store::Result<usize> {
        let Ok(at_work) = self.at_work() else { return Ok(0) };
        let triggered = at_work.engine.take_triggered().await?;
        if !triggered.accounts.is_empty() {
            self.to_confirm.lock().unwrap_or_else(PoisonError::into_inner).extend(triggered.accounts);
            self.confirming.notify_one();
        }
        triggered.failed.map_or(Ok(triggered.settled), Err)
    }

    /// Reads what the accounts used that a trigger told of.
    pub async fn confirm(&self) -> Result<Done, JobFailed> {
        let Ok(at_work) = self.at_work() else { return Ok(Done::default()) };
        let sids = std::mem::take(&mut *self.to_confirm.lock().unwrap_or_else(PoisonError::into_inner));
        let mut accounts = Vec::new();
        for sid in sids {
            accounts.extend(self.setup.store.find_account(sid).await?);
        }
        self.read(&at_work.engine, accounts, "confirm").await
    }

    /// Looks at Twilio's list now, whoever has that job, if keys may be out of date and the last such look is a minute ago.
    pub async fn look_again(&self) -> Result<Option<Done>, JobFailed> {
        let Ok(at_work) = self.at_work() else { return Ok(None) };
        let now = self.setup.clock.monotonic();
        if self.stale.wait(now) != Some(Duration::ZERO) {
            return Ok(None);
        }
        self.stale.looked(now);
        // Another node may have found them already.
        self.tell_accounts().await?;
        self.synchronise(&at_work.engine).await.map(Some)
    }

    /// Hands the accounts on, the tokens that rotations concern, and the SharedKeys, if any has changed since this was done last,
    /// on whatever node. Says in the store that this node uses these keys.
    pub async fn tell_accounts(&self) -> store::Result<()> {
        // One after the other: what was read earlier must not be put in force later.
        let _telling = self.tokens.telling.lock().await;
        let in_use = rotation::take_over(&self.setup.store, &self.setup.clients).await?;
        let Some(on_accounts) = &self.setup.on_accounts else {
            return self.say_taken_over(in_use.generation, &[]).await;
        };
        let shared = shared_keys::in_use(&self.setup.store).await?;
        let accounts = self.setup.store.accounts().await?;
        let mut hasher = DefaultHasher::new();
        for account in &accounts {
            account.sid.hash(&mut hasher);
            account.parent.hash(&mut hasher);
            account.gone_at.is_some().hash(&mut hasher);
            account.auth_token.as_ref().map(|token| token.expose()).hash(&mut hasher);
        }
        let keys = KeysInUse { accounts, tokens: in_use.tokens, shared };
        let seen = Some((hasher.finish(), keys.tokens.clone(), keys.shared.clone()));
        let mut refused = Vec::new();
        if *self.told_accounts.lock().unwrap_or_else(PoisonError::into_inner) != seen || self.is_refused() {
            refused = on_accounts(&keys);
            *self.told_accounts.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        }
        self.say_taken_over(in_use.generation, &refused).await
    }

    async fn synchronise(&self, engine: &Engine) -> Result<Done, JobFailed> {
        engine.confirm_rotations().await?;
        let found = engine.synchronise_accounts().await?;
        self.tell_accounts().await?;
        let changes = found.changes;
        let (new, changed, gone) = (changes.new.len(), changes.changed.len(), changes.gone.len());
        if new + changed + gone > 0 {
            tracing::info!(new, changed, gone, "accounts at Twilio");
        }
        if new + changed > 0 {
            // A new account gets its limits and prices at once, and one that can be used again its triggers.
            self.look_at_all_shared_keys();
            for job in [Job::Triggers, Job::Usage, Job::Prices, Job::SharedKeys] {
                self.ask_for(job);
            }
        }
        let troubles = found.unread.into_iter().map(|(sid, error)| (sid, error.to_string())).collect();
        Ok(Done { count: new + changed + gone, troubles })
    }

    async fn read_everybody(&self, engine: &Arc<Engine>) -> Result<Done, JobFailed> {
        let accounts = self.setup.store.accounts().await?;
        let done = self.read(engine, accounts, "usage").await?;
        // Of many troubles with one account the first is told.
        let failed = done.troubles.iter().rev().cloned().collect();
        if self.setup.store.note_usage_unread(&failed, self.now()).await? {
            self.ask_for(Job::Examine);
        }
        Ok(done)
    }

    /// Reads what these accounts used, several at once.
    async fn read(
        &self,
        engine: &Arc<Engine>,
        accounts: Vec<Account>,
        why: &'static str,
    ) -> Result<Done, JobFailed> {
        let mut waiting = accounts.into_iter().filter(is_there);
        let mut reading = JoinSet::new();
        let mut done = Done::default();
        let mut too_many = false;
        loop {
            while reading.len() < self.pace.at_once()
                && let Some(account) = waiting.next()
            {
                let engine = Arc::clone(engine);
                reading.spawn(async move { (account.sid, engine.read_usage(&account, why).await) });
            }
            match reading.join_next().await {
                None => break,
                Some(Err(_)) => return Err(JobFailed::Panicked),
                Some(Ok((_, Ok(_)))) => done.count += 1,
                Some(Ok((_, Err(ReadingFailed::Store(error))))) => return Err(error.into()),
                Some(Ok((sid, Err(error)))) => {
                    if let ReadingFailed::Twilio(error) = &error
                        && error.fault() == Fault::Rate
                    {
                        too_many = true;
                        self.pace.after(true);
                    }
                    done.troubles.push((sid, error.to_string()));
                }
            }
        }
        if !too_many {
            self.pace.after(false);
        }
        Ok(done)
    }

    /// The triggers of all accounts are compared with what is wanted, and changed.
    async fn bring_triggers(&self, engine: &Arc<Engine>) -> Result<Done, JobFailed> {
        let Some(callback_url) = &self.setup.callback_url else { return Ok(Done::default()) };
        let triggers = Triggers { callback_url: callback_url.clone(), mark: self.mark.clone() };
        let accounts: Vec<_> = self.setup.store.accounts().await?.into_iter().filter(is_there).collect();
        let by = Actor::job(Job::Triggers.name());
        let brought = engine.bring_triggers(&triggers, &accounts, Some(&by), self.pace.at_once()).await?;
        let troubles = brought.troubles().map(|(sid, trouble)| (*sid, trouble.to_string())).collect();
        Ok(Done { count: brought.changed, troubles })
    }

    async fn seal(&self) -> Result<Done, JobFailed> {
        let mut done = Done::default();
        loop {
            match self.setup.store.seal_audit(self.now()).await {
                Ok(sealed) => {
                    done.count += sealed.rows;
                    if !sealed.more {
                        return Ok(done);
                    }
                }
                // Another node seals: it has not heard yet that the job is this one's.
                Err(error) if error.is_conflict() => return Ok(done),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Carries the newest head of the audit log to one place, if this node is the one that seals. None where it is not.
    pub async fn carry_head(&self, carrier: &Carrier) -> Result<Option<Carried>, NotCarried> {
        if !self.has(Job::Seal) {
            return Ok(None);
        }
        carrier.turn(&self.setup.store, self.now()).await.map(Some)
    }

    /// Without mail nobody is told: the console shows them all the same.
    async fn tell_sign_ins(&self) -> store::Result<Done> {
        let has_mail = self.setup.notifier.as_ref().is_some_and(|notifier| notifier.has_mail());
        if !has_mail {
            return Ok(Done::default());
        }
        let url = self.setup.console_url.as_deref();
        Ok(Done { count: tell_sign_ins(&self.setup.store, url, self.now()).await?, ..Done::default() })
    }

    /// Without earlier keys there is nothing to look for.
    async fn reseal(&self) -> Result<Done, JobFailed> {
        let mut done = Done::default();
        if !self.setup.store.has_previous_keys() {
            return Ok(done);
        }
        let by = Actor::job(Job::Reseal.name());
        for _ in 0..BATCHES_MAX {
            let resealed = self.setup.store.reseal(&by, RESEALED_AT_ONCE, self.now()).await?;
            done.count += resealed;
            if resealed == 0 {
                break;
            }
        }
        if done.count > 0 {
            tracing::info!(values = done.count, "sealed anew with the master key");
        }
        Ok(done)
    }

    async fn forget(&self) -> Result<Done, JobFailed> {
        let keep = &self.setup.keep;
        let by = Actor::job(Job::Forget.name());
        let mut done = Done::default();
        let kept = [
            (Forget::Observations, keep.observations),
            (Forget::Effects, keep.effects),
            (Forget::Accounts, keep.accounts),
            (Forget::Tokens, keep.tokens),
            (Forget::Challenges, keep.challenges),
            (Forget::Reservations, keep.readings),
            (Forget::Rates, keep.challenges),
            (Forget::Readings, keep.readings),
            (Forget::Tallies, keep.readings),
            (Forget::Traffic, keep.readings.map(|time| time.max(TRAFFIC_KEPT))),
            (Forget::Signs, Some(SIGNS_KEPT)),
            (Forget::Requests, keep.requests),
            (Forget::SignIns, keep.sign_ins),
            (Forget::Sessions, Some(SESSIONS_KEPT)),
            (Forget::Users, Some(Duration::ZERO)),
            (Forget::Audit, keep.audit),
        ];
        for (what, time) in kept {
            let Some(time) = time.and_then(|time| SignedDuration::try_from(time).ok()) else { continue };
            let now = self.now();
            let Ok(before) = now.checked_sub(time) else { continue };
            for _ in 0..BATCHES_MAX {
                let rows = self.setup.store.forget(&by, what, before, what.at_once(), now).await?;
                done.count += usize::try_from(rows).unwrap_or(usize::MAX);
                if rows < what.at_once() as u64 {
                    break;
                }
            }
        }
        // Whoever writes them holds to it too, but not where nothing comes any more.
        if let Some(at_most) = keep.requests_at_most {
            for _ in 0..BATCHES_MAX {
                let at_once = Forget::Requests.at_once();
                let rows = self.setup.store.trim_requests(at_most, at_once).await?;
                done.count += usize::try_from(rows).unwrap_or(usize::MAX);
                if rows < at_once as u64 {
                    break;
                }
            }
        }
        Ok(done)
    }

    pub(super) fn ask_for(&self, job: Job) {
        if let Some(asked) = self.asked.get(&job) {
            asked.notify_one();
        }
    }

    /// Takes the jobs that nobody does.
    pub(super) async fn take_jobs(&self, life: &Life) -> store::Result<()> {
        if Job::ALL.into_iter().all(|job| self.has(job) || !self.can_do(job)) {
            return Ok(());
        }
        let done_by_others = self.setup.store.held_jobs().await?;
        for job in Job::ALL {
            if self.has(job) || !self.can_do(job) || done_by_others.iter().any(|it| it.name == job.name()) {
                continue;
            }
            if let Some(lease) = self.setup.store.acquire(life, job.name()).await? {
                tracing::debug!(job = job.name(), node = self.setup.name, "this node does a job now");
                self.leases.lock().unwrap_or_else(PoisonError::into_inner).insert(job, lease);
                self.ask_for(job);
            }
        }
        Ok(())
    }

    /// Whether this node has what the job needs: without a single auth token nothing is asked of Twilio.
    fn can_do(&self, job: Job) -> bool {
        !job.asks_twilio() || self.setup.clients.configured().next().is_some()
    }

    /// Leaves its jobs to others.
    pub(super) async fn give_up_jobs(&self) -> store::Result<()> {
        loop {
            let next = self
                .leases
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .first_key_value()
                .map(|(job, lease)| (*job, lease.clone()));
            let Some((job, lease)) = next else { return Ok(()) };
            self.setup.store.release(&lease).await?;
            self.leases.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
        }
    }

    /// Whether this node does a job.
    pub fn has(&self, job: Job) -> bool {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&job)
    }

    /// The work of the outbox, of one kind, as long as there is some that is due; several at once. Nobody else works on
    /// this kind in the name of this node meanwhile.
    ///
    /// What is ordered while others wait for Twilio has a worker at once, as long as there is one to spare.
    pub(super) async fn work_off(
        &self,
        at_work: &AtWork,
        kind: &'static str,
        at_once: usize,
    ) -> store::Result<usize> {
        let AtWork { engine, life, .. } = at_work;
        // Until this has come to its end in good order, nobody knows what it had claimed.
        if !self.working.lock().unwrap_or_else(PoisonError::into_inner).insert(kind) {
            self.setup.store.release_claims(life, kind).await?;
        }
        let mut orders = engine.orders();
        let mut workers = JoinSet::new();
        let mut ended = 0;
        loop {
            orders.borrow_and_update();
            let spare = at_once.saturating_sub(workers.len());
            if spare > 0 {
                let due = self.setup.store.count_due(life, kind, spare, self.now()).await?;
                for _ in 0..due {
                    let (engine, life) = (Arc::clone(engine), life.clone());
                    workers.spawn(async move { engine.work(&life, kind, TURNS).await });
                }
            }
            tokio::select! {
                worked = workers.join_next() => match worked {
                    None => {
                        self.working.lock().unwrap_or_else(PoisonError::into_inner).remove(kind);
                        return Ok(ended);
                    }
                    Some(Ok(worked)) => {
                        let worked = worked?;
                        ended += worked.done + worked.failed;
                    }
                    // Its claim runs out, which is soon enough for what would panic again.
                    Some(Err(_)) => tracing::error!(kind, "an effect's worker panicked"),
                },
                // The engine lives as long as its workers do.
                _ = orders.changed(), if spare > 0 => {}
            }
        }
    }

    /// Performs everything that is due. For whoever moves the clock by hand; [`Node::run`] gives each kind its own task.
    pub async fn work(&self) -> store::Result<usize> {
        let Ok(at_work) = self.at_work() else { return Ok(0) };
        let mut ended = 0;
        loop {
            let before = ended;
            for (kind, at_once) in super::run::KINDS {
                ended += self.work_off(&at_work, kind, at_once).await?;
            }
            if ended == before {
                return Ok(ended);
            }
        }
    }
}

/// So many effects one worker performs before it looks how many are needed.
const TURNS: usize = 20;

async fn reconcile(engine: &Engine) -> Result<Done, JobFailed> {
    let reconciled = engine.reconcile().await?;
    Ok(Done { count: reconciled.changed, troubles: reconciled.troubles })
}

pub(super) fn is_there(account: &Account) -> bool {
    account.gone_at.is_none() && account.status != "closed"
}
