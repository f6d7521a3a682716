//! What is true, whoever knows it, and what was seen on the way.

use jiff::Timestamp;

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

/// What is true of a request, whoever knows it.
pub(super) struct Truth {
    pub(super) worst: i64,
    /// Of its worst, what the lists of messages do not tell.
    pub(super) fee: i64,
    pub(super) stage: Stage,
}

#[derive(Clone, Copy)]
pub(super) enum Stage {
    /// It was admitted, and may be sent.
    Waiting,
    /// It will never be made.
    Never,
    Made {
        at: Timestamp,
        price: i64,
        fee: i64,
        /// When its price is in the lists, and in the usage records, by the time that really passes.
        priced_at: i64,
        counted_at: i64,
    },
}
