//! Where one limit stands for one subject.

use jiff::Timestamp;
use ringfence_model::Amount;
use serde::{Deserialize, Serialize};

use crate::limit::Counts;

/// Where one limit stands for one subject. It is kept as JSON; fields that are added later have a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct State {
    /// What was counted.
    pub counts: Counts,
    /// The start of the latest window that is known of.
    pub window: Timestamp,
    /// The largest amount that was observed in it.
    pub seen: Amount,
    /// The highest warning level that was reached in it, in per cent; 0 for none.
    pub warned: u8,
    /// What was used at the first look, of a limit that counts from there on ([`crate::Threshold::More`]).
    #[serde(default)]
    pub baseline: Option<Amount>,
    /// What an operator has dealt with, if one lifted a trip.
    #[serde(default)]
    pub settled: Option<Settled>,
    /// Whether it lets pass.
    pub phase: Phase,
}

/// Whether a breaker lets pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "name")]
pub enum Phase {
    /// The limit is not reached.
    Passing,
    /// The limit was reached, or an operator stopped it. Nothing but an operator lifts it, or the next window where
    /// the limit says so.
    Tripped {
        /// Why.
        by: TrippedBy,
        /// Whether the limit's actions were ordered, or it only watched.
        enforced: bool,
    },
    /// An operator has lifted a trip: in this window no more than `base + allowance` may be spent in all.
    Probing {
        /// What was spent when it was lifted.
        base: Amount,
        /// How much more may be spent.
        allowance: Amount,
    },
}

/// Where an operator lifted a trip. It outlives [`Phase::Probing`], since usage of that window may be heard of late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Settled {
    /// The start of the window in which it was lifted. What was used in earlier ones changes nothing any more.
    pub window: Timestamp,
    /// The amount at which it trips again in that window.
    pub trips_at: Amount,
}

/// Why a breaker tripped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct TrippedBy {
    /// The window and the amount that reached the limit; none where only an operator stopped it.
    pub over: Option<Over>,
    /// Whether an operator stopped it. Then no window lifts it.
    pub operator: bool,
}

/// An amount that reached the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Over {
    /// The start of its window.
    pub window: Timestamp,
    /// The amount that was observed in it; of a share, what it was, in hundredths.
    pub amount: Amount,
    /// Of how many it was a share, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<u64>,
    /// How much of the amount was only asked for: a request that did not fit, and was not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Amount>,
}

impl Over {
    /// The amount without what was only asked for.
    pub fn used(self) -> Amount {
        let wanted = self.wanted.unwrap_or(Amount::ZERO);
        Amount::from_micros(self.amount.micros().saturating_sub(wanted.micros()))
    }
}

impl State {
    /// A breaker that has seen nothing.
    pub fn new(limit: &crate::Limit, now: Timestamp) -> Self {
        Self {
            counts: limit.counts(),
            window: limit.window.period(now).start,
            seen: Amount::ZERO,
            warned: 0,
            baseline: None,
            settled: None,
            phase: Phase::Passing,
        }
    }

    /// Up to which amount something may be spent in this window, whatever the phase; none where nobody knows from
    /// where on it counts, or where an operator has dealt with the window.
    pub fn admits_up_to(&self, limit: &crate::Limit, window: Timestamp) -> Option<Amount> {
        match self.settled {
            _ if limit.sign().is_some() => None,
            Some(settled) if window < settled.window => None,
            Some(settled) if window == settled.window => Some(settled.trips_at),
            _ => limit.threshold(self.baseline),
        }
    }

    /// Whether the limit's actions are in force.
    pub const fn stops(&self) -> bool {
        matches!(self.phase, Phase::Tripped { enforced: true, .. })
    }
}
