//! The generic cell rate algorithm (ITU-T I.371, annex A): a limit that flows evenly, with a burst.
//!
//! A window of the clock lets its whole amount through shortly before it ends, and once more when the next one begins. Here
//! there is no seam: at once no more than the burst passes, and after that no more than flows in, so in any stretch of time `t`
//! the amount is at most `burst + flow · t / period`. The flow of a [limit](crate::Limit) is what is left of its amount beside
//! the burst, so that in any stretch as long as its window no more than the amount itself is admitted.
//!
//! All that is kept is a **theoretical arrival time**: when everything that was admitted will have flowed off. What is
//! admitted takes a [`Place`] before it. What comes back later (nothing was made, or it cost less than the worst) gives back
//! the part of its place that lies ahead, as if it had never been asked for; what has flowed off by then has kept nobody out any
//! more, and gives nothing.
//!
//! Whole numbers: the time is exact, in microseconds and parts of one, so that the burst is as many messages as it says. What
//! comes back is rounded down to a microsecond.

use jiff::Timestamp;
use ringfence_model::Amount;
use serde::{Deserialize, Serialize};

use crate::ledger::CLOCK_BACK;

/// How much may pass at once, and how much flows in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// At once.
    pub burst: Amount,
    /// So much each period; more than nothing.
    pub flow: Amount,
    /// In seconds; not 0.
    pub seconds: u32,
}

/// Where one limit stands on one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gcra {
    /// The rate by which times were counted.
    rate: Rate,
    /// The latest moment that is known of, in microseconds.
    at: i64,
    /// When all that was admitted will have flowed off: the theoretical arrival time, in whole microseconds,
    tat: i64,
    /// and so many parts more, of which the flow in micro-units makes one.
    #[serde(default)]
    part: i64,
    /// By how much everything that waits has come forward so far.
    #[serde(default)]
    forward: i64,
}

/// The place that an amount took, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Where it began, by a count that does not come forward.
    #[serde(rename = "f")]
    pub from: i64,
    /// How long it is.
    #[serde(rename = "n")]
    pub length: i64,
}

impl Rate {
    /// What it takes an amount to flow off: microseconds times the flow.
    fn time_of(self, amount: Amount) -> i128 {
        i128::from(amount.micros().max(0)) * self.period()
    }

    fn flow(self) -> i128 {
        i128::from(self.flow.micros().max(1))
    }

    /// In microseconds.
    fn period(self) -> i128 {
        i128::from(self.seconds.max(1)) * 1_000_000
    }
}

impl Gcra {
    /// One of which nothing was taken.
    pub fn new(rate: Rate, now: Timestamp) -> Self {
        let at = now.as_microsecond();
        Self { rate, at, tat: at, part: 0, forward: 0 }
    }

    /// Goes on to this moment. Time is not turned back by a clock that is a little behind. Where it goes back [far](CLOCK_BACK),
    /// it was ahead, and what waited to flow off waits on from now.
    pub fn go_on(&mut self, now: Timestamp) {
        let now = now.as_microsecond();
        let back = self.at.saturating_sub(now);
        if i128::from(back) > CLOCK_BACK.as_micros() {
            self.tat = self.tat.saturating_sub(back);
            self.come_forward(back);
            self.at = now;
        }
        self.at = self.at.max(now);
    }

    /// Goes on to this moment, and to the rate as it is now. Where it is another, what waits is the same amount, and what is
    /// open gives nothing back any more.
    pub fn follow(&mut self, rate: Rate, now: Timestamp) {
        self.go_on(now);
        if rate != self.rate {
            let taken = self.taken();
            self.come_forward(self.tat.saturating_sub(self.at).max(0).saturating_add(1));
            (self.rate, self.tat, self.part) = (rate, self.at, 0);
            self.take(taken);
        }
    }

    /// The latest moment that is known of.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.at).unwrap_or(Timestamp::MAX)
    }

    /// What has not flowed off yet.
    pub fn taken(&self) -> Amount {
        let amount = div_up(self.waits(), self.rate.period());
        Amount::from_micros(clamped(amount))
    }

    /// From when on there is room for this amount: now, or the first moment at which a request gets it if nobody else asks;
    /// none where it is more than may ever pass at once.
    pub fn room_at(&self, amount: Amount) -> Option<Timestamp> {
        let tolerance = self.rate.time_of(self.rate.burst);
        let time = self.rate.time_of(amount);
        if time > tolerance {
            return None;
        }
        let at = div_up(self.last() + time - tolerance, self.rate.flow()).max(i128::from(self.at));
        Some(Timestamp::from_microsecond(clamped(at)).unwrap_or(Timestamp::MAX))
    }

    /// Whether there is room for it now.
    pub fn has_room(&self, amount: Amount) -> bool {
        self.room_at(amount).is_some_and(|at| at <= self.now())
    }

    /// Takes its place, whether there is room or not.
    pub fn take(&mut self, amount: Amount) -> Place {
        let (from, flow) = (self.last(), self.rate.flow());
        let time = self.rate.time_of(amount);
        let tat = from + time;
        (self.tat, self.part) = (clamped(tat.div_euclid(flow)), clamped(tat.rem_euclid(flow)));
        let from = clamped(from.div_euclid(flow)).saturating_add(self.forward);
        Place { from, length: clamped(time / flow) }
    }

    /// Puts what it was in the end in the place of what was taken: the part that lies ahead comes back, what is missing is
    /// taken beside it.
    pub fn settle(&mut self, place: Place, taken: Amount, spent: Amount) {
        if spent > taken {
            let more = Amount::from_micros(spent.micros().saturating_sub(taken.micros()));
            self.take(more);
            return;
        }
        // Everything that was ahead of it and came back has brought it forward. So has what was behind it, which makes its place
        // look earlier than it is: less comes back, never more.
        let from = place.from.saturating_sub(self.forward);
        let ahead = from.saturating_add(place.length).saturating_sub(from.max(self.at));
        let unspent =
            place.length.saturating_sub(clamped(div_up(self.rate.time_of(spent), self.rate.flow())));
        let back = ahead.min(unspent).min(self.tat.saturating_sub(self.at)).max(0);
        self.tat = self.tat.saturating_sub(back);
        self.come_forward(back);
    }

    /// When all will have flowed off, or has: microseconds times the flow.
    fn last(&self) -> i128 {
        let tat = i128::from(self.tat) * self.rate.flow() + i128::from(self.part);
        tat.max(i128::from(self.at) * self.rate.flow())
    }

    /// How long that takes from now on.
    fn waits(&self) -> i128 {
        self.last() - i128::from(self.at) * self.rate.flow()
    }

    fn come_forward(&mut self, by: i64) {
        self.forward = self.forward.saturating_add(by);
    }
}

fn div_up(one: i128, other: i128) -> i128 {
    one.div_euclid(other) + i128::from(one.rem_euclid(other) != 0)
}

/// No number here is below what fits: times before now are cut before they come here, and amounts are none.
fn clamped(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
