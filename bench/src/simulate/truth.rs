//! What is true, whoever knows it, and what was seen on the way.

use jiff::Timestamp;
use ringfence_breaker::Window;

use super::limits::{DAY, FLOW, HOUR, ROLLING, TOGETHER};
use super::{Simulation, day};
use crate::Outcome;

#[derive(Default)]
pub(super) struct Tally {
    pub(super) steps: u64,
    pub(super) admitted: u64,
    pub(super) refused: u64,
    pub(super) lost: u64,
    pub(super) killed: u64,
    pub(super) set_back: u64,
    pub(super) restored: u64,
    pub(super) closest: i64,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.admitted += other.admitted;
        self.refused += other.refused;
        self.lost += other.lost;
        self.killed += other.killed;
        self.set_back += other.set_back;
        self.restored += other.restored;
        self.closest = self.closest.max(other.closest);
    }
}

/// Of what Twilio does not count the ledger knows what it has seen since the memory was lost, and since an hour that the
/// clock has been in comes once more.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Memory {
    restored: u32,
    set_back: u32,
}

impl Memory {
    pub(super) fn restored(&mut self) {
        self.restored += 1;
    }

    pub(super) fn set_back(&mut self) {
        self.set_back += 1;
    }
}

/// What is true of a request, whoever knows it.
pub(super) struct Truth {
    pub(super) account: usize,
    pub(super) worst: i64,
    /// Of its worst, what the lists of messages do not tell.
    pub(super) fee: i64,
    /// When it was admitted, by the time that really passes, and in which memory.
    pub(super) admitted_at: i64,
    pub(super) admitted_in: Memory,
    pub(super) stage: Stage,
}

#[derive(Clone, Copy)]
pub(super) enum Stage {
    /// It was admitted, and may be made.
    Waiting,
    /// It will never be made.
    Never,
    Made {
        /// By the store's clock, by the time that really passes, and in which memory.
        at: Timestamp,
        made_at: i64,
        memory: Memory,
        price: i64,
        fee: i64,
        /// When its price is in the lists, and in the usage records, by the time that really passes.
        priced_at: i64,
        counted_at: i64,
    },
}

impl Truth {
    /// What it costs, or may, where what was made of it counts.
    fn of(&self, counts: impl Fn(Timestamp, i64, Memory) -> bool) -> i64 {
        match self.stage {
            Stage::Waiting => self.worst,
            Stage::Made { at, made_at, memory, price, fee, .. } if counts(at, made_at, memory) => price + fee,
            Stage::Made { .. } | Stage::Never => 0,
        }
    }
}

impl Simulation {
    /// Something that was admitted now, and that may be made.
    pub(super) fn waits(&self, account: usize, worst: i64, fee: i64) -> Truth {
        let (admitted_at, admitted_in) = (self.passed, self.memory);
        Truth { account, worst, fee, admitted_at, admitted_in, stage: Stage::Waiting }
    }

    /// What was made in each window, and what may still be made, is no more than the limit.
    pub(super) fn check_truth(&mut self) -> Outcome {
        let (now, passed, memory) = (self.now, self.passed, self.memory);
        let sum = |account: Option<usize>, counts: &dyn Fn(Timestamp, i64, Memory) -> bool| -> i64 {
            let truths = self.truth.values().filter(|it| account.is_none_or(|account| it.account == account));
            truths.map(|it| it.of(counts)).sum()
        };
        let today = |at: Timestamp, _: i64, _: Memory| day(at) == day(now);
        let hour = Window::Hour.period(now).start;
        let in_hour =
            |at: Timestamp, _: i64, of: Memory| of == memory && Window::Hour.period(at).start == hour;
        let lately = |_: Timestamp, made_at: i64, of: Memory| {
            of.restored == memory.restored && made_at > passed - i64::from(ROLLING.1)
        };
        let flows = |it: &&Truth| {
            it.account == 1
                && it.admitted_in.restored == memory.restored
                && it.admitted_at > passed - i64::from(FLOW.1)
        };
        let flow = self.truth.values().filter(flows).map(|it| it.of(|_, _, _| true)).sum();
        let days = [sum(Some(0), &today), sum(Some(1), &today)];
        let sums = [
            ("on the day, of the first account", days[0], DAY),
            ("on the day, of the second account", days[1], DAY),
            ("on the day, of both", days[0] + days[1], TOGETHER),
            ("in the hour, of the first account", sum(Some(0), &in_hour), HOUR),
            ("in the last minutes, of the second account", sum(Some(1), &lately), ROLLING.0),
            ("in an even flow, of the second account", flow, FLOW.0),
        ];
        self.tally.closest = self.tally.closest.max(days[0]).max(days[1]);
        match sums.into_iter().find(|(_, sum, limit)| sum > limit) {
            Some((what, sum, limit)) => Err(format!("{sum} of {limit} can be spent {what} at {now}").into()),
            None => Ok(()),
        }
    }
}
