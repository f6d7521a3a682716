//! What one subject has spent and set aside under one limit, and whether a request still fits.
//!
//! A [`Ledger`] holds three sums: what was **settled** by true prices in the current window, what is **reserved** for
//! requests whose price nobody knows yet, and what Twilio counts beyond both, the **adjustment**. A request is admitted
//! while all three and its worst price are no more than the limit; nothing else in Ringfence lets money out.
//!
//! What is reserved belongs to no window: a request counts in the window in which it was admitted and in each one in which
//! it is still open, and its true price is settled in the window in which it becomes known. So nothing falls between
//! two windows.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Amount;
use serde::{Deserialize, Serialize};

use crate::gcra::{Gcra, Place};
use crate::limit::{Counts, Limit};
use crate::state::{Phase, State};
use crate::step::{Observation, step};
use crate::{Scope, Window};

/// In how many slices a rolling window is counted: what leaves it does so a slice at a time, never too early.
const SLICES: i64 = 60;

/// After so long Twilio's usage records have what was billed. Twilio promises no time; recorded figures were late by up to
/// 15 minutes, and it takes a while to read them.
const COUNTED: SignedDuration = SignedDuration::from_mins(20);

/// What a clock that is kept right may be set back by. One that goes back further has been wrong.
pub const CLOCK_BACK: SignedDuration = SignedDuration::from_mins(1);

/// So far ahead a clock may have been in what was lost with the memory. Whoever lost it does not know which windows it has
/// been in, so each that begins within this time is taken for one that was left.
const CLOCK_AHEAD: SignedDuration = SignedDuration::from_hours(48);

/// No more marks than these: they are written with the sums.
const BETWEEN_MARKS: SignedDuration = SignedDuration::from_mins(1);

/// What one subject has spent and set aside under one limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// What is counted.
    pub counts: Counts,
    /// The start of the latest window that is known of.
    pub window: Timestamp,
    /// True prices that became known in it.
    pub settled: Amount,
    /// The most that Twilio counted in it beyond what was settled and reserved.
    pub adjusted: Amount,
    /// The most that Twilio counted in it.
    pub seen: Amount,
    /// Worst prices of what was admitted and is not settled, in whatever window.
    pub reserved: Amount,
    /// Of a rolling window: what was settled since when, a slice each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<(Timestamp, Amount)>,
    /// Of an even flow: where it stands. What was settled and reserved is in it, as far as it has not flowed off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcra: Option<Gcra>,
    /// The most that is ours, and neither settled nor reserved: what is billed beside prices that are settled, and what was
    /// lost with the memory. Twilio counts it, but what is reserved may hide it.
    #[serde(default)]
    pub unsure: Amount,
    /// What was settled when Twilio's figure was read, the latest last, as far back as it takes to know what that had counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<(Timestamp, Amount)>,
    /// No window that begins later was there before: when the clock went back, or in what was lost with the memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Timestamp>,
    /// The epoch whose lost memory that allows for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_in: Option<String>,
    /// The epoch of the store in which Twilio's figure was last read; none before that, and none in a window that begins
    /// once more.
    #[serde(default)]
    pub read_back: Option<String>,
    /// When it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
}

/// What was set aside for a request under one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Its worst amount.
    pub amount: Amount,
    /// The place that it took in an even flow.
    pub place: Option<Place>,
}

impl From<Amount> for Taken {
    fn from(amount: Amount) -> Self {
        Self { amount, place: None }
    }
}

/// What is said of a request under one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It fits.
    Fits,
    /// It does not, but the limit only watches.
    WouldRefuse(Why),
    /// It does not.
    Refuse(Why),
}

/// Why a request does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The breaker has tripped.
    Tripped,
    /// What is set aside for open requests stands in the way: some of it may come back soon.
    OpenOnly,
    /// It would not fit if nothing else were open.
    DoesNotFit,
    /// Nobody has read since the store began anew what Twilio counts.
    NotReadBack,
}

impl Why {
    /// In words that go into logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tripped => "tripped",
            Self::OpenOnly => "open-only",
            Self::DoesNotFit => "does-not-fit",
            Self::NotReadBack => "not-read-back",
        }
    }
}

impl Ledger {
    /// One in which nothing was spent.
    pub fn new(limit: &Limit, now: Timestamp) -> Self {
        Self {
            counts: limit.counts(),
            window: limit.window.period(now).start,
            settled: Amount::ZERO,
            adjusted: Amount::ZERO,
            seen: Amount::ZERO,
            reserved: Amount::ZERO,
            slices: Vec::new(),
            gcra: limit.rate().map(|rate| Gcra::new(rate, now)),
            unsure: Amount::ZERO,
            marks: Vec::new(),
            left: None,
            left_in: None,
            read_back: None,
            read_at: None,
        }
    }

    /// Goes on to the window that holds now, under the limit as it is now.
    ///
    /// Where the limit counts something else, what was spent says nothing, and Twilio's figure must be read again; what is
    /// reserved stays until it is settled, as it was admitted.
    pub fn follow(&mut self, limit: &Limit, now: Timestamp) {
        if !self.counts.are_of(limit) {
            *self = Self { reserved: self.reserved, ..Self::new(limit, now) };
        }
        if let Some(rate) = limit.rate() {
            self.gcra.get_or_insert_with(|| Gcra::new(rate, now)).follow(rate, now);
        }
        self.roll(now);
    }

    /// Goes on to the window that holds now. Time is not turned back: a clock that is a little behind stays in the later window.
    ///
    /// Where the clock was [far](CLOCK_BACK) ahead, what was counted then counts now, in windows that only the egress knows.
    pub fn roll(&mut self, now: Timestamp) {
        if let Some(gcra) = &mut self.gcra {
            gcra.go_on(now);
            self.window = gcra.now();
            return;
        }
        if let Window::Rolling { seconds } = self.counts.window {
            let length = SignedDuration::from_secs(i64::from(seconds));
            let slice = slice_length(seconds);
            for (start, _) in &mut self.slices {
                if start.duration_since(now) > CLOCK_BACK.max(slice) {
                    *start = slice_start(seconds, now);
                }
            }
            // The end of a slice decides: as long as a moment of it lies in the window, all of it counts.
            self.slices.retain(|(start, _)| {
                let gone = start.saturating_add(slice).and_then(|end| end.saturating_add(length));
                gone.is_ok_and(|gone| gone > now)
            });
            self.window = self.window.max(now);
            self.settled = self.slices.iter().fold(Amount::ZERO, |sum, (_, it)| sum.saturating_add(*it));
            return;
        }
        let start = self.counts.window.period(now).start;
        if start > self.window {
            self.begin(start);
            // What was spent in it before the clock went back, or the memory was lost, is not known here any more.
            if self.left.is_some_and(|left| start <= left) {
                self.read_back = None;
            }
        } else if !self.counts.window.is_twilios() && self.window.duration_since(now) > CLOCK_BACK {
            self.window = start;
        }
    }

    /// Goes back to the window that holds now, after the clock went back: the next figure of Twilio's is all that is known
    /// of it.
    pub fn turn_back(&mut self, now: Timestamp) {
        let start = self.counts.window.period(now).start;
        if self.counts.window.is_twilios() && start < self.window {
            self.left = self.left.max(Some(self.window));
            self.begin(start);
        }
    }

    /// Another window, in which nothing was spent.
    fn begin(&mut self, start: Timestamp) {
        self.window = start;
        self.settled = Amount::ZERO;
        self.adjusted = Amount::ZERO;
        self.seen = Amount::ZERO;
        self.unsure = Amount::ZERO;
        self.marks.clear();
    }

    /// What was spent in this window, as far as anybody knows.
    pub fn spent(&self) -> Amount {
        self.settled.saturating_add(self.adjusted)
    }

    /// Spent and reserved, and at least what Twilio counts; what is not sure is taken for spent.
    pub fn taken(&self) -> Amount {
        if let Some(gcra) = &self.gcra {
            return gcra.taken();
        }
        let beyond = self.adjusted.max(self.unsure);
        self.settled.saturating_add(beyond).saturating_add(self.reserved).max(self.seen)
    }

    /// Whether a request of this worst amount fits. `epoch` is the store's.
    pub fn decide(
        &self,
        limit: &Limit,
        state: Option<&State>,
        amount: Amount,
        epoch: &str,
        now: Timestamp,
    ) -> Verdict {
        let refuse = if limit.enforce { Verdict::Refuse } else { Verdict::WouldRefuse };
        if needs_read_back(limit) && self.read_back.as_deref() != Some(epoch) {
            return refuse(Why::NotReadBack);
        }
        let state = state.map(|state| step(limit, state.clone(), &Observation::Tick, now).0);
        if let Some(binds) = state.as_ref().and_then(|state| trip(limit, state)) {
            return if binds { Verdict::Refuse(Why::Tripped) } else { Verdict::WouldRefuse(Why::Tripped) };
        }
        if amount <= Amount::ZERO {
            return Verdict::Fits;
        }
        if let Some(gcra) = &self.gcra {
            return if gcra.has_room(amount) { Verdict::Fits } else { refuse(Why::DoesNotFit) };
        }
        let admits = match &state {
            Some(state) => state.admits_up_to(limit, self.window),
            None => limit.threshold(None),
        };
        // Without an amount nobody knows yet from where on it counts.
        let Some(admits) = admits else { return refuse(Why::NotReadBack) };
        let fits = |taken: Amount| {
            taken.micros().checked_add(amount.micros()).is_some_and(|sum| sum <= admits.micros())
        };
        if fits(self.taken()) {
            Verdict::Fits
        } else if fits(self.spent().max(self.seen)) {
            // What is open, or not sure, is all that stands in the way.
            refuse(Why::OpenOnly)
        } else {
            refuse(Why::DoesNotFit)
        }
    }

    /// Sets a worst amount aside.
    pub fn reserve(&mut self, amount: Amount) -> Taken {
        self.reserved = self.reserved.saturating_add(amount);
        let place = self.gcra.as_mut().filter(|_| amount > Amount::ZERO).map(|gcra| gcra.take(amount));
        Taken { amount, place }
    }

    /// Gives back what was set aside and never spent.
    pub fn release(&mut self, taken: impl Into<Taken>) {
        let Taken { amount, place } = taken.into();
        self.reserved = difference(self.reserved, amount);
        if let (Some(gcra), Some(place)) = (&mut self.gcra, place) {
            gcra.settle(place, amount, Amount::ZERO);
        }
    }

    /// Gives back what was set aside for what is billed beside a price: from here on Twilio's figure has it. Until that can be
    /// told from what is open, it is taken for spent. Where no figure of Twilio's is read, it is spent at its worst.
    pub fn release_beside(&mut self, taken: impl Into<Taken>, now: Timestamp) {
        let taken = taken.into();
        let reserved = taken.amount;
        if self.read_back.is_none() {
            return self.settle(taken, reserved, now);
        }
        self.roll(now);
        self.release(reserved);
        // What others spent and is known is no room for it.
        self.unsure = self.unsure.max(self.adjusted).saturating_add(reserved);
    }

    /// Puts what was spent in the place of what was set aside. What was set aside must be what [`reserve`](Self::reserve)
    /// was given.
    ///
    /// In an even flow a request counts when it is admitted. What is settled there is no more than what comes back of it.
    pub fn settle(&mut self, taken: impl Into<Taken>, spent: Amount, now: Timestamp) {
        let Taken { amount: reserved, place } = taken.into();
        self.roll(now);
        self.release(reserved);
        if let Some(gcra) = &mut self.gcra {
            match place {
                Some(place) => gcra.settle(place, reserved, spent),
                // It was admitted when the limit counted something else. Less than nothing takes nothing.
                None => drop(gcra.take(difference(spent, reserved))),
            }
            return;
        }
        if let Window::Rolling { seconds } = self.counts.window {
            let start = slice_start(seconds, now);
            match self.slices.iter_mut().find(|(at, _)| *at == start) {
                Some((_, sum)) => *sum = sum.saturating_add(spent),
                None => self.slices.push((start, spent)),
            }
        }
        self.settled = self.settled.saturating_add(spent);
    }

    /// Takes note of what Twilio counts in the window that `at` is in: from here on no less is taken than that.
    ///
    /// What it counts beyond what is settled and open must be others': what is open is set aside at its worst, so it hides
    /// some of that, and never makes it more. So the adjustment only grows within a window, and what Twilio has not
    /// counted yet of our own takes nothing of it back.
    ///
    /// What it counts beyond what was settled [long enough ago](COUNTED) to be counted is the most that can be ours beside
    /// that, so what is not sure shrinks to it; when quiet returns they are the same. `now` is when the figure is booked.
    pub fn book(&mut self, at: Timestamp, seen: Amount, epoch: &str, now: Timestamp) {
        if !self.counts.window.is_twilios() || self.counts.window.period(at).start != self.window {
            return;
        }
        self.seen = self.seen.max(seen);
        let ours = self.settled.saturating_add(self.reserved);
        self.adjusted = self.adjusted.max(difference(self.seen, ours));
        if self.read_back.as_deref() != Some(epoch) {
            self.read_back = Some(epoch.to_owned());
            self.marks.clear();
        }
        let is_counted = |(marked, _): &(Timestamp, Amount)| now.duration_since(*marked) >= COUNTED;
        let counted = self.marks.iter().rposition(is_counted);
        if let Some(index) = counted {
            self.marks.drain(..index);
            let rest = difference(self.seen, self.marks[0].1);
            if rest >= Amount::ZERO {
                self.unsure = self.unsure.min(rest);
            }
        }
        let is_another = |(marked, settled): &(Timestamp, Amount)| {
            *settled != self.settled && now.duration_since(*marked) >= BETWEEN_MARKS
        };
        if self.marks.last().is_none_or(is_another) {
            self.marks.push((now, self.settled));
        }
    }

    /// Takes note that the memory was lost, and of the first figure after that: all that Twilio counts and is not settled
    /// here may be ours and forgotten, whatever is still known to be open. And the clock may have been [ahead](CLOCK_AHEAD),
    /// in a window that is still to come.
    pub fn book_lost(&mut self, at: Timestamp, seen: Amount, epoch: &str, now: Timestamp) {
        self.book(at, seen, epoch, now);
        if self.read_back.as_deref() == Some(epoch) {
            self.unsure = self.unsure.max(difference(self.seen, self.settled));
            if self.left_in.as_deref() != Some(epoch) {
                self.left_in = Some(epoch.to_owned());
                self.left = self.left.max(now.saturating_add(CLOCK_AHEAD).ok());
            }
        }
    }
}

/// Whether a breaker that was in this state lets nothing pass at this moment.
pub fn tripped(limit: &Limit, state: &State, now: Timestamp) -> bool {
    trip(limit, &step(limit, state.clone(), &Observation::Tick, now).0) == Some(true)
}

/// Whether it has tripped, and whether that binds: an operator's trip does whatever the limit says.
fn trip(limit: &Limit, state: &State) -> Option<bool> {
    match state.phase {
        Phase::Tripped { enforced, .. } => Some(enforced || limit.enforce),
        Phase::Passing | Phase::Probing { .. } => None,
    }
}

/// Whether Twilio's figure must be known before anything is admitted: of what Twilio counts too.
pub fn needs_read_back(limit: &Limit) -> bool {
    !limit.is_the_egress_alone()
}

/// Whether the scope is of accounts, so that Twilio can say what was used in it; others only the egress knows.
pub const fn is_of_accounts(scope: &Scope) -> bool {
    !matches!(scope, Scope::Tenant(_) | Scope::Credential(_) | Scope::Destination(_))
}

fn slice_start(seconds: u32, now: Timestamp) -> Timestamp {
    let slice = slice_length(seconds).as_secs().max(1);
    Timestamp::from_second(now.as_second().div_euclid(slice) * slice).unwrap_or(now)
}

fn slice_length(seconds: u32) -> SignedDuration {
    SignedDuration::from_secs((i64::from(seconds) / SLICES).max(1))
}

fn difference(one: Amount, other: Amount) -> Amount {
    Amount::from_micros(one.micros().saturating_sub(other.micros()))
}
