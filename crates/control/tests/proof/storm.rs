//! A night on which everything goes wrong, for a thousand subaccounts and three nodes.
//!
//! From half past ten in the evening to half past one: accounts spend, some of them too much, on one day or on the
//! other, and some just not too much on both. Twilio's webhooks are lost, doubled, late and out of order; Twilio answers 500,
//! 429, or nothing; its usage data is a quarter of an hour late; nodes are killed in the middle of what they do and
//! replaced; the database is started anew; the nodes' clocks are a minute apart. Then it is calm, and all must be as it should.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use jiff::Timestamp;
use ringfence_breaker::{Action, Per};
use ringfence_control::decide::kind;
use ringfence_control::node::{Job, JobFailed, Limits};
use ringfence_model::Sid;
use ringfence_store::{Error, NewObservation};
use serde_json::{Value, json};

use crate::database::{Database, on_both};
use crate::limits::fifty_a_day;
use crate::random::Random;
use crate::site::{Machine, Site, cut};

on_both! {
    a_thousand_accounts_survive_a_night_of_faults => a_thousand_accounts,
    a_hundred_accounts_survive_many_nights => many_nights,
}

/// The nights that every run has.
const NIGHTS: u64 = 4;

async fn a_thousand_accounts(database: impl Fn() -> Database) {
    night(database(), 1000, 1).await;
}

/// `RINGFENCE_PROOF_NIGHTS=50` has fifty more, `RINGFENCE_PROOF_SEED=7` has only that one.
async fn many_nights(database: impl Fn() -> Database) {
    if let Some(seed) = number("RINGFENCE_PROOF_SEED") {
        return night(database(), 100, seed).await;
    }
    for seed in 1..=NIGHTS + number("RINGFENCE_PROOF_NIGHTS").unwrap_or(0) {
        night(database(), 100, seed).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a test is an edge that may be told how long to take")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Says which night it was that went wrong.
struct Seed(u64);

impl Drop for Seed {
    #[expect(clippy::print_stderr, reason = "whoever reads of the failure needs it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was the night of seed {}", self.0);
        }
    }
}

async fn night(database: Database, accounts: usize, seed: u64) {
    let _seed = Seed(seed);
    let mut storm = Storm::begin(database, accounts, seed).await;
    for _ in 0..7 {
        storm.round(0, 300..=720).await;
    }
    storm.book_the_rest_of(0);
    // One clock is in the next day already, then another one still in the last.
    storm.go_on_until("2026-03-01T23:59:40Z").await;
    storm.round(0, 1..=2).await;
    storm.go_on_until("2026-03-02T00:00:15Z").await;
    for _ in 0..7 {
        storm.round(1, 300..=720).await;
    }
    storm.book_the_rest_of(1);
    storm.round(1, 1..=2).await;
    storm.calm().await;
    storm.judge().await;
}

/// Something that a node does.
#[derive(Debug, Clone, Copy)]
enum Act {
    Turn,
    Take,
    Confirm,
    Work,
    Do(Job),
}

struct Storm {
    site: Site,
    random: Random,
    machines: Vec<Machine>,
    /// How many there were so far.
    made: usize,
    killed: usize,
    /// What is still to be spent: on which day, by whom, how many cents.
    to_spend: Vec<(u8, Sid, u64)>,
    /// Who spends $50 or more on one of the days.
    over: BTreeSet<Sid>,
    /// Webhooks that have left Twilio and not arrived.
    on_their_way: Vec<NewObservation>,
}

impl Storm {
    async fn begin(database: Database, accounts: usize, seed: u64) -> Self {
        let limit = fifty_a_day(Per::Account, vec![Action::Suspend, Action::Notify]);
        let site = Site::start(database, vec![limit]).await;
        site.advance(10 * 3600 + 1800).await;
        let mut storm = Self {
            site,
            random: Random::new(seed),
            machines: Vec::new(),
            made: 0,
            killed: 0,
            to_spend: Vec::new(),
            over: BTreeSet::new(),
            on_their_way: Vec::new(),
        };
        for number in 0..accounts {
            let (account, _) = storm.site.world.subaccount(&format!("customer-{number}")).await;
            storm.plan(account);
        }
        assert!(!storm.over.is_empty());
        for place in 0..3 {
            let machine = storm.machine(place, None).await;
            machine.node.turn().await.expect("joined");
            storm.machines.push(machine);
        }
        // The limits are in force before the night begins.
        storm.machines[0].round(&[Job::Accounts, Job::Triggers]).await;
        storm
    }

    /// What an account will spend.
    fn plan(&mut self, account: Sid) {
        let random = &mut self.random;
        let spends: Vec<(u8, u64)> = match random.from(0..=99) {
            0..8 => vec![(0, random.from(5000..=8000))],
            8..14 => vec![(1, random.from(5000..=8000))],
            14..20 => vec![(0, 4999), (1, 4999)],
            20..40 => vec![(0, random.from(1..=4999)), (1, random.from(1..=4999))],
            _ => Vec::new(),
        };
        for (day, cents) in spends {
            if cents >= 5000 {
                self.over.insert(account);
            }
            let first = random.from(0..=cents - 1);
            self.to_spend.extend([(day, account, first), (day, account, cents - first)]);
        }
    }

    /// A node at this place; its clock is wrong as the clock of the place is.
    async fn machine(&mut self, place: usize, name: Option<String>) -> Machine {
        self.made += 1;
        let name = name.unwrap_or_else(|| format!("node-{}", self.made));
        self.site.machine(&name, [-30, 0, 30][place]).await
    }

    /// Somebody starts the same node anew, or another one.
    async fn replace(&mut self, place: usize) {
        self.killed += 1;
        let old = self.machines.remove(place);
        let name = self.random.percent(50).then(|| old.name.clone());
        drop(old);
        let new = self.machine(place, name).await;
        self.machines.insert(place, new);
    }

    /// Some minutes with everything that may happen in them.
    async fn round(&mut self, day: u8, seconds: std::ops::RangeInclusive<u64>) {
        self.spend(day);
        self.site.world.control("DELETE", "faults", "").await;
        let faults = self.faults();
        self.site.world.fault(&faults.to_string()).await;
        let seconds = self.random.from(seconds);
        self.site.advance(seconds).await;
        self.deliver().await;
        if self.random.percent(85) {
            self.beat().await;
        }
        if self.random.percent(15) {
            self.restart_database().await;
        }
        let mut acts = Vec::new();
        for place in 0..self.machines.len() {
            acts.extend([(place, Act::Turn), (place, Act::Take), (place, Act::Work), (place, Act::Confirm)]);
            acts.extend([Job::Windows, Job::Seal].map(|job| (place, Act::Do(job))));
            for (job, percent) in [(Job::Accounts, 50), (Job::Usage, 30), (Job::Triggers, 15)] {
                if self.random.percent(percent) {
                    acts.push((place, Act::Do(job)));
                }
            }
        }
        self.random.shuffle(&mut acts);
        for (place, act) in acts {
            self.act(place, act).await;
        }
    }

    async fn go_on_until(&mut self, time: &str) {
        let time: Timestamp = time.parse().expect("a time");
        let seconds = time.duration_since(self.site.world.sandbox.now()).as_secs();
        self.site.advance(u64::try_from(seconds).expect("it is earlier")).await;
    }

    fn spend(&mut self, day: u8) {
        let random = &mut self.random;
        let (now, later) =
            std::mem::take(&mut self.to_spend).into_iter().partition(|it| it.0 == day && random.percent(25));
        self.to_spend = later;
        self.book(now);
    }

    fn book_the_rest_of(&mut self, day: u8) {
        let (now, later) = std::mem::take(&mut self.to_spend).into_iter().partition(|it| it.0 == day);
        self.to_spend = later;
        self.book(now);
    }

    fn book(&self, spends: Vec<(u8, Sid, u64)>) {
        for (_, account, cents) in spends {
            self.site.spend(account, cents);
        }
    }

    /// What Twilio does wrong for some time.
    fn faults(&mut self) -> Value {
        let random = &mut self.random;
        let mut api = Vec::new();
        for _ in 0..random.from(0..=4) {
            let times = random.from(1..=20);
            let path = ["", "/Accounts.json", "/Usage/", "/Accounts/AC"][random.index(4)];
            let method = ["", "", "POST", "GET"][random.index(4)];
            let mut fault = match random.from(0..=5) {
                0 | 1 => json!({ "status": 500 }),
                2 => json!({ "status": 429 }),
                3 => json!({ "drop": "before" }),
                4 => json!({ "drop": "after" }),
                _ => json!({ "latency_ms": 100_000, "drop": "before" }),
            };
            // A client waits two seconds for nothing, and they are real ones.
            let times = if fault.get("latency_ms").is_some() { 1 } else { times };
            fault["times"] = times.into();
            fault["path"] = path.into();
            fault["method"] = method.into();
            api.push(fault);
        }
        let lag = if random.percent(50) { 900 } else { 0 };
        json!({ "api": api, "usage": { "extra_lag_s": lag } })
    }

    /// Webhooks arrive at any of the nodes, or not, or twice, or later, in any order.
    async fn deliver(&mut self) {
        let mut waiting = std::mem::take(&mut self.on_their_way);
        waiting.extend(self.site.delivered());
        self.random.shuffle(&mut waiting);
        for observation in waiting {
            match self.random.from(0..=3) {
                0 => {}
                1 => self.on_their_way.push(observation),
                _ => {
                    for _ in 0..self.random.from(1..=2) {
                        let place = self.random.index(self.machines.len());
                        // Where the database is away, the gate answers 503, and Twilio forgets it.
                        let _lost = self.machines[place].receive(&self.site, observation.clone()).await;
                    }
                }
            }
        }
    }

    /// The signs of life that the nodes gave while the minutes passed. Where there were none, they find each other silent.
    async fn beat(&self) {
        let limits = Limits::new(self.site.limits.clone());
        for machine in &self.machines {
            if let Ok(at_work) = machine.node.at_work() {
                // One that was given up is told so at its next turn.
                let _buried =
                    machine.store.beat(&at_work.life, limits.hash(), self.site.world.sandbox.now()).await;
            }
        }
    }

    async fn restart_database(&mut self) {
        self.site.database.break_connections();
        if self.site.database.is_file() {
            for place in 0..self.machines.len() {
                self.replace(place).await;
            }
        }
    }

    /// A node does something, if nobody kills it meanwhile, and if the database stays.
    async fn act(&mut self, place: usize, act: Act) {
        let machine = &self.machines[place];
        let polls = usize::try_from(self.random.from(1..=20)).expect("a number");
        match self.random.from(0..=99) {
            0..12 => {
                if cut(perform(machine, act), polls).await.is_none() {
                    self.replace(place).await;
                }
            }
            12..16 => {
                interrupted(perform(machine, act), polls, || self.site.database.break_connections()).await;
            }
            _ => perform(machine, act).await,
        }
    }

    /// Nothing goes wrong any more. Half of what is still on its way arrives.
    async fn calm(&mut self) {
        assert!(self.to_spend.is_empty());
        assert!(self.killed > 1, "only {} nodes were killed", self.killed);
        self.site.world.control("DELETE", "faults", "").await;
        self.site.advance(120).await;
        self.deliver().await;
        for minute in 0..40 {
            self.beat().await;
            let jobs: &[Job] = match minute {
                2 | 5 => &Job::ALL,
                _ => &[Job::Windows, Job::Seal],
            };
            for machine in &self.machines {
                machine.round(jobs).await;
            }
            if minute > 5 && self.machines[0].is_quiet().await {
                return;
            }
            self.site.advance(60).await;
        }
        let waiting = self.machines[0].store.waiting_effects(10).await;
        panic!("it never comes to rest: {waiting:?}");
    }

    async fn judge(&self) {
        let suspended = self.site.suspended().await;
        let wrongly: Vec<_> = suspended.difference(&self.over).collect();
        assert!(wrongly.is_empty(), "suspended and not over: {wrongly:?}");
        let missed: Vec<_> = self.over.difference(&suspended).collect();
        assert!(missed.is_empty(), "over and not suspended: {missed:?}");

        // Each was told of once. A node that died between telling and noting it tells again under the same id.
        let notices = self.site.notices();
        let told = |kind: &str| -> BTreeMap<Sid, usize> {
            let of_kind = notices.iter().filter(|((it, _), _)| it == kind);
            of_kind.map(|((_, account), ids)| (Sid::parse(account).expect("a SID"), ids.len())).collect()
        };
        let once: BTreeMap<Sid, usize> = self.over.iter().map(|account| (*account, 1)).collect();
        assert_eq!(told("tripped"), once);
        assert_eq!(told("in-force"), once);
        let again = notices.values().flat_map(BTreeMap::values).map(|times| times - 1).sum::<usize>();
        assert!(again <= self.killed, "{again} repetitions, although only {} were killed", self.killed);
        assert!(told("active-again").is_empty(), "nobody tampered with anything");

        // Each suspension was ordered, and the order ended when it was confirmed.
        let rows = self.machines[0].audit().await;
        for account in &self.over {
            let order = format!("effect {}/{account}/", kind::STATUS);
            let count = |action: &str| {
                rows.iter().filter(|row| row.action == action && row.target.starts_with(&order)).count()
            };
            assert!(count("effect.add") >= 1, "{account}");
            assert_eq!(count("effect.add"), count("effect.done"), "{account}");
        }
        self.machines[0].assert_chain().await;
    }
}

/// What may fail is the store; the next round does it again.
async fn perform(machine: &Machine, act: Act) {
    let node = &machine.node;
    let failed = match act {
        Act::Turn => node.turn().await.err(),
        Act::Take => node.take_triggers().await.err(),
        Act::Work => node.work().await.err(),
        Act::Confirm => of_job(node.confirm().await.err()),
        Act::Do(job) => of_job(node.do_job(job).await.err()),
    };
    if let Some(error) = failed {
        assert!(error.is_away() || matches!(error, Error::Buried { .. }), "{act:?}: {error}");
    }
}

fn of_job(failed: Option<JobFailed>) -> Option<Error> {
    match failed {
        Some(JobFailed::Panicked) => panic!("a job panicked"),
        Some(JobFailed::Store(error)) => Some(error),
        None => None,
    }
}

/// Polls a future so often, lets something happen, and polls it to its end.
async fn interrupted<F: Future>(future: F, polls: usize, event: impl FnOnce()) -> F::Output {
    let mut future = pin!(future);
    if let Some(output) = cut(future.as_mut(), polls).await {
        return output;
    }
    event();
    future.await
}
