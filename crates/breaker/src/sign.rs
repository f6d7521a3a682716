//! Signs of pumping: what share of what was sent to one beginning of numbers arrived, or came back as a code that was entered.
//!
//! Whoever earns from numbers that nobody reads has texts sent there, and their price is an honest one. What gives them away
//! is that few of the texts are delivered, or that hardly any code is ever entered. A limit of this kind counts no money: it
//! holds a [`Share`] of what was sent in a time against the least that is honest.
//!
//! It must not close what is slow or small. So nothing is judged before it had its time ([`Sign::settle`]), nothing below a
//! number ([`Sign::least`]), and nothing from silence: where Twilio says of less than half of the messages whether they
//! arrived, the network tells nothing of it and the few that failed are no share of anything.

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Amount;
use serde::{Deserialize, Serialize};

use crate::{Limit, Measure, State, Threshold, Window};

/// What share of what was sent is too little, and of how much it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sign {
    /// It trips below so many hundredths.
    pub percent: u8,
    /// Fewer than these are not judged.
    pub least: u32,
    /// What was sent later than so many seconds ago is not judged: a report is on its way, somebody looks for their phone.
    pub settle: u32,
}

/// What came of what was sent to one beginning of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// Messages that were delivered, or codes that were entered.
    pub good: u64,
    /// Messages of which it is known that they were not delivered, or codes that nobody entered.
    pub bad: u64,
    /// Messages of which nobody says what became of them.
    pub silent: u64,
}

impl Share {
    /// How many it is a share of.
    pub const fn judged(self) -> u64 {
        self.good.saturating_add(self.bad)
    }

    /// In hundredths, rounded down to a millionth of one; a whole where there is nothing.
    pub fn percent(self) -> Amount {
        let judged = i128::from(self.judged());
        let micros = (i128::from(self.good) * 100_000_000).checked_div(judged).unwrap_or(100_000_000);
        Amount::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            good: self.good.saturating_add(other.good),
            bad: self.bad.saturating_add(other.bad),
            silent: self.silent.saturating_add(other.silent),
        }
    }
}

impl Sign {
    /// Whether so little of it is good that it trips.
    pub fn fails(self, share: Share) -> bool {
        let judged = share.judged();
        let speaks = judged >= share.silent;
        let is_less = u128::from(share.good) * 100 < u128::from(judged) * u128::from(self.percent);
        judged >= u64::from(self.least.max(1)) && speaks && is_less
    }
}

impl Measure {
    /// Whether it is a share of what was sent, and no amount.
    pub const fn is_a_sign(self) -> bool {
        matches!(self, Self::Delivery | Self::Conversion)
    }
}

impl Limit {
    /// What it holds against what was sent, where it counts no amount.
    pub const fn sign(&self) -> Option<Sign> {
        match self.at {
            Threshold::Share(sign) => Some(sign),
            Threshold::At(_) | Threshold::More(_) => None,
        }
    }

    /// When what is judged now was sent: from then on, and before then, which is a full minute. What an operator has dealt with, or what was before a
    /// trip that time has lifted, is not judged once more. None where nothing is to be judged.
    pub fn judged(&self, state: Option<&State>, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let (Some(sign), Window::Rolling { seconds }) = (self.sign(), self.window) else { return None };
        let ago = |time: Timestamp, seconds: u32| {
            time.checked_sub(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MIN)
        };
        let until = full_minute(ago(now, sign.settle));
        let dealt_with = state.and_then(|state| state.settled).map(|settled| settled.window);
        let from = ago(until, seconds).max(dealt_with.unwrap_or(Timestamp::MIN));
        (from < until).then_some((from, until))
    }
}

/// What was sent is counted by the minute.
fn full_minute(at: Timestamp) -> Timestamp {
    const MINUTE: i64 = 60_000_000;
    let micros = at.as_microsecond();
    Timestamp::from_microsecond(micros - micros.rem_euclid(MINUTE)).unwrap_or(at)
}
