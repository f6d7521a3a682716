//! The ledger under everything that can go wrong, from a seed: nodes that die with requests on their way, answers that nobody
//! waits for, late prices, fees that only the usage records tell, others who spend, clocks that jump, an old backup restored;
//! and answers of applications, which come twice and are done late or never.
//!
//! The decisions and the store are the product's own; Twilio is a list of what was made, with true prices that nobody knows
//! at first. Two things are wrong, and end the run with the seed: an admission after which what was made in a window and what
//! may still be made is more than a limit, by one micro-dollar; and a reservation that never ends. What is done follows from
//! the seed; how commits fall together is the machine's.
//!
//! A step is one thing that is done to a store: a request, an answer, a settlement, a reading of usage, a death, a backup, a
//! restore.

mod answers;
mod job;
mod limits;
mod memory;
mod story;
mod truth;

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::path::PathBuf;
use std::task::Poll;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::Window;
use ringfence_model::{Amount, Sid};
use ringfence_store::{Admission, NewReservation, Now, Reservation, Sent, Store};

use crate::Outcome;
use crate::arguments::Arguments;
use crate::database::Database;
use crate::dice::Dice;
use crate::installation;
use crate::money::{self, resource};
use answers::Given;
use limits::{DAY, Limits};
use truth::{Memory, Stage, Tally, Truth};

/// In micro-dollars: what a request can cost at most.
const WORST: i64 = 80_000;

/// By then Twilio's usage records have what was made.
const COUNTED_WITHIN: i64 = 900;

/// For so many seconds an answer is waited for.
const PATIENCE: i64 = 60;

const NODES: usize = 3;
const ACCOUNTS: usize = 2;

/// So far ahead a clock can be.
const AHEAD: SignedDuration = SignedDuration::from_hours(48);

/// `simulate [--seed N] [--seeds N] [--steps N] [--minutes N] [--only sqlite|postgresql]`: so many runs of so many steps on
/// each database, of which none begins after so many minutes.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let first: u64 = arguments.number("seed", 1)?;
    let seeds: u64 = arguments.number("seeds", 20)?;
    let steps: u64 = arguments.number("steps", 20_000)?;
    let minutes: u64 = arguments.number("minutes", u64::MAX / 60)?;
    let only = arguments.text("only", "").to_ascii_lowercase();
    println!(
        "| database | seeds | steps | admitted | refused | answers lost | nodes killed | clocks set back | restored | closest to the limit |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    installation::runtime("simulate", 2)?.block_on(async {
        for kind in Database::all_quick()? {
            if !only.is_empty() && !kind.name().eq_ignore_ascii_case(&only) {
                continue;
            }
            let (mut all, mut last, begun) = (Tally::default(), first, Instant::now());
            for seed in first..first.saturating_add(seeds) {
                if begun.elapsed().as_secs() / 60 >= minutes {
                    break;
                }
                all.add(&one(kind.another_quick()?, seed, steps).await?);
                last = seed;
                eprint!(
                    "\r{} seed {seed}, {} steps in {} s   ",
                    kind.name(),
                    all.steps,
                    begun.elapsed().as_secs()
                );
            }
            eprintln!();
            println!(
                "| {} | {first} to {last} | {} | {} | {} | {} | {} | {} | {} | {:.3} % |",
                kind.name(),
                all.steps,
                all.admitted,
                all.refused,
                all.lost,
                all.killed,
                all.set_back,
                all.restored,
                100.0 * all.closest as f64 / DAY as f64,
            );
        }
        Ok(())
    })
}

/// One run on a database of its own.
async fn one(database: Database, seed: u64, steps: u64) -> Outcome<Tally> {
    let wrong =
        |error: Box<dyn std::error::Error>| format!("WRONG with --seed {seed} --steps {steps}: {error}");
    let mut simulation = Simulation::begin(database, seed).await.map_err(wrong)?;
    match simulation.go(steps).await {
        Ok(()) => Ok(simulation.tally),
        // How commits fell together does not come again with the seed, so what has led to it is told.
        Err(error) => Err(format!("{}\n{}", wrong(error), simulation.story().await).into()),
    }
}

/// What somebody else spent of an account.
struct Others {
    account: usize,
    day: Timestamp,
    amount: i64,
    counted_at: i64,
}

/// A request that a node holds in its hands.
struct Held {
    node: usize,
    reservation: Reservation,
    /// Since when, by the time that really passes.
    since: i64,
}

struct Simulation {
    dice: Dice,
    database: Database,
    nodes: Vec<Store>,
    limits: Limits,
    request: NewReservation,
    /// What the store's clock says, and how many seconds have really passed.
    now: Timestamp,
    passed: i64,
    /// The latest that the clock has said.
    latest: Timestamp,
    held: Vec<Held>,
    /// Answers of applications: what Twilio may still do of them, and those that may come again.
    given: Vec<Given>,
    truth: HashMap<String, Truth>,
    /// What others spent.
    others: Vec<Others>,
    backup: Option<PathBuf>,
    /// Which memory of the ledger this is.
    memory: Memory,
    /// What memory and clock went through, the latest last.
    events: VecDeque<String>,
    tally: Tally,
}

impl Simulation {
    async fn begin(database: Database, seed: u64) -> Outcome<Self> {
        let now: Timestamp = "2026-03-05T08:00:00Z".parse()?;
        let store = database.open(now).await?;
        let limits = Limits::new(now);
        let request = money::prepare(&store, &limits.all(), SignedDuration::from_secs(PATIENCE), now).await?;
        let mut nodes = vec![store];
        while nodes.len() < NODES {
            nodes.push(database.open(now).await?);
        }
        Ok(Self {
            dice: Dice(seed),
            database,
            nodes,
            limits,
            request,
            now,
            passed: 0,
            latest: now,
            held: Vec::new(),
            given: Vec::new(),
            truth: HashMap::new(),
            others: Vec::new(),
            backup: None,
            memory: Memory::default(),
            events: VecDeque::new(),
            tally: Tally::default(),
        })
    }

    async fn go(&mut self, steps: u64) -> Outcome {
        while self.tally.steps < steps {
            self.act().await?;
        }
        self.end().await
    }

    async fn act(&mut self) -> Outcome {
        let seconds = self.dice.below(PATIENCE);
        self.time_out().await?;
        self.pass(seconds);
        self.twilio_goes_on();
        match self.dice.below(1_000) {
            0..320 => self.requests().await,
            320..400 => self.give_answer().await,
            400..660 => self.answers().await,
            660..820 => self.job().await,
            820..930 => self.read_usage().await,
            930..960 => self.kill().await,
            960..975 => {
                let (amount, late) = (self.dice.below(DAY / 400), self.dice.below(COUNTED_WITHIN));
                let (account, day) = (self.index(ACCOUNTS), day(self.now));
                self.others.push(Others { account, day, amount, counted_at: self.passed + late });
                Ok(())
            }
            975..980 => {
                while let Some(held) = self.held.pop() {
                    self.answer(held, false).await?;
                }
                self.pass(86_400 - self.now.as_second().rem_euclid(86_400));
                self.note("a night has passed");
                Ok(())
            }
            980..988 => {
                self.tally.set_back += 1;
                self.memory.set_back();
                let before = self.now;
                self.now -= SignedDuration::from_secs(90 + self.dice.below(100_000));
                // A clock that was further ahead than that is beyond what anybody allows for who lost the memory of it.
                self.now = self.now.max(self.latest - AHEAD);
                self.note(&format!("the clock was set back from {before}"));
                Ok(())
            }
            988..995 => self.back_up().await,
            _ => self.restore().await,
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.passed += seconds;
        self.now += SignedDuration::from_secs(seconds);
        self.latest = self.latest.max(self.now);
    }

    fn at(&self) -> Now {
        Now::At(self.now)
    }

    /// Many at once, on any node. Some callers hang up before they are answered.
    async fn requests(&mut self) -> Outcome {
        let asked: Vec<_> = (0..=self.dice.below(24))
            .map(|_| {
                let (worst, node) = (1 + self.dice.below(WORST), self.index(NODES));
                let fee = if self.dice.below(3) == 0 { worst * self.dice.below(40) / 100 } else { 0 };
                let patience = if self.dice.below(10) == 0 { Some(self.dice.below(4)) } else { None };
                (self.index(ACCOUNTS), worst, fee, node, patience)
            })
            .collect();
        let at = self.at();
        let mut waiting: Vec<_> = asked
            .iter()
            .map(|(account, worst, fee, node, patience)| {
                let request = NewReservation {
                    account: account_of(*account),
                    worst: Amount::from_micros(*worst),
                    holds: self.limits.holds(*account, *worst, *fee),
                    ..self.request.clone()
                };
                (Some(Box::pin(self.nodes[*node].admit(request, at))), *patience, None)
            })
            .collect();
        // Each is polled until it is answered, or its caller hangs up.
        poll_fn(|context| {
            let mut is_ready = true;
            for (future, patience, answer) in &mut waiting {
                let Some(pending) = future else { continue };
                match pending.as_mut().poll(context) {
                    Poll::Ready(admission) => (*future, *answer) = (None, Some(admission)),
                    Poll::Pending => match patience {
                        Some(0) => *future = None,
                        Some(left) => {
                            *left -= 1;
                            is_ready = false;
                        }
                        None => is_ready = false,
                    },
                }
            }
            if is_ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let answers: Vec<_> = waiting.into_iter().map(|(_, _, answer)| answer).collect();
        for ((account, worst, fee, node, _), answer) in asked.into_iter().zip(answers) {
            self.tally.steps += 1;
            match answer.transpose()? {
                None => self.tally.lost += 1,
                Some(Admission::Refused(_)) => self.tally.refused += 1,
                Some(Admission::Admitted(reservation)) => {
                    self.tally.admitted += 1;
                    let truth = self.waits(account, worst, fee);
                    self.truth.insert(reservation.id().to_owned(), truth);
                    self.held.push(Held { node, reservation, since: self.passed });
                }
            }
        }
        self.check_truth()
    }

    /// Twilio answers some of what is on its way, refuses some, and some nobody hears of.
    async fn answers(&mut self) -> Outcome {
        for _ in 0..=self.dice.below(16) {
            if self.held.is_empty() {
                break;
            }
            let index = self.index(self.held.len());
            let held = self.held.swap_remove(index);
            let is_heard = self.dice.below(6) > 0;
            self.answer(held, is_heard).await?;
        }
        Ok(())
    }

    async fn answer(&mut self, held: Held, is_heard: bool) -> Outcome {
        self.tally.steps += 1;
        let id = held.reservation.id().to_owned();
        let is_made = self.dice.below(5) > 0;
        self.decide(&id, is_made);
        let sent = match (is_heard, is_made) {
            (false, _) => Sent::InDoubt,
            (true, true) => Sent::Made(Some(resource(&id)?)),
            (true, false) => Sent::Nothing,
        };
        self.nodes[held.node].sent(held.reservation, sent, self.at()).await?;
        Ok(())
    }

    /// Nobody waits for Twilio longer than that.
    async fn time_out(&mut self) -> Outcome {
        while let Some(index) = self.held.iter().position(|held| held.since + PATIENCE <= self.passed) {
            let held = self.held.swap_remove(index);
            self.answer(held, false).await?;
        }
        Ok(())
    }

    fn decide(&mut self, id: &str, is_made: bool) {
        let part = self.dice.below(101);
        let (priced, counted) = (self.dice.below(600), self.dice.below(COUNTED_WITHIN));
        if let Some(truth) = self.truth.get_mut(id) {
            truth.stage = if is_made {
                Stage::Made {
                    at: self.now,
                    made_at: self.passed,
                    memory: self.memory,
                    price: (truth.worst - truth.fee) * part / 100,
                    fee: truth.fee * part / 100,
                    priced_at: self.passed + priced,
                    counted_at: self.passed + counted,
                }
            } else {
                Stage::Never
            };
        }
    }

    /// Quiet returns: three days after the latest that any clock has said nothing is open any more.
    async fn end(&mut self) -> Outcome {
        for held in std::mem::take(&mut self.held) {
            self.decide(held.reservation.id(), false);
        }
        self.nothing_comes_of_answers(0);
        let quiet = self.latest.max(self.now) + SignedDuration::from_hours(72);
        while self.now < quiet {
            self.pass(4 * 3_600);
            self.job().await?;
        }
        for _ in 0..2 {
            self.pass(21 * 60);
            self.read_usage().await?;
        }
        let store = &self.nodes[0];
        if let Some(row) = store.ledger().await?.iter().find(|row| row.ledger.unsure > row.ledger.adjusted) {
            return Err(format!("what Twilio has counted long ago is not sure yet: {row:?}").into());
        }
        if let Some(open) = store.open_reservations(None, 1).await?.first() {
            return Err(format!("a reservation is lost for ever: {open:?}").into());
        }
        if let Some(row) = store.ledger().await?.iter().find(|row| row.ledger.reserved != Amount::ZERO) {
            return Err(format!("something is set aside for nothing: {row:?}").into());
        }
        if let Some(error) = store.check_ledger().await?.first() {
            return Err(format!("the sums are not what the rows say: {error:?}").into());
        }
        for node in self.nodes.drain(..) {
            node.close().await;
        }
        Ok(())
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.dice.below(i64::try_from(length).unwrap_or(i64::MAX))).unwrap_or(0)
    }
}

/// Of the account with this number.
fn account_of(number: usize) -> Sid {
    Sid::new(*b"AC", 1 + number as u128)
}

fn day(at: Timestamp) -> Timestamp {
    Window::Daily.period(at).start
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small run for every change; `ringfence-bench simulate` does millions of steps.
    #[test]
    fn no_admission_crosses_the_limit_and_no_reservation_is_lost_whatever_happens() {
        let runtime = installation::runtime("simulate", 2).unwrap();
        for kind in Database::all_quick().unwrap() {
            let tally = runtime.block_on(one(kind, 7, 6_000)).unwrap();
            assert!(tally.admitted > 100 && tally.refused > 100, "{} admitted", tally.admitted);
            assert!(tally.killed > 3 && tally.lost > 3 && tally.set_back > 0, "{} killed", tally.killed);
        }
    }
}
