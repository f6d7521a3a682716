//! What an observation makes of a breaker.

use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Amount;

use crate::limit::{Action, Limit, Reset};
use crate::sign::Share;
use crate::state::{Over, Phase, Settled, State, TrippedBy};
use crate::window::Window;

/// Something that was learnt, or an act of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// So much was used in the window that `at` is in. A usage record, a trigger's webhook, the proxy's ledger.
    Usage {
        /// Any moment of the window.
        at: Timestamp,
        /// All that was used in it so far.
        amount: Amount,
    },
    /// So much was used at the first look. The first one counts, later ones change nothing.
    Baseline {
        /// All that was used so far.
        amount: Amount,
    },
    /// A request did not fit although nothing else was open: the ledger's reason to trip.
    DoesNotFit {
        /// Any moment of the window.
        at: Timestamp,
        /// All that was spent in it.
        spent: Amount,
        /// What the request could cost.
        wanted: Amount,
    },
    /// So much of what was sent was good, as far as it is [judged](Limit::judged).
    Share {
        /// From when on it was sent.
        from: Timestamp,
        /// When it was looked at.
        at: Timestamp,
        /// What came of it.
        share: Share,
    },
    /// An operator stops the subject.
    Trip,
    /// An operator lifts a trip.
    Reset {
        /// How much more may be spent in this window; what the limit says if not given.
        allow: Option<Amount>,
    },
    /// Time has passed, or the limit was changed.
    Tick,
}

/// Something to be done because of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The action must come into force.
    Do(Action),
    /// The action must be taken back.
    Undo(Action),
    /// A warning level, in per cent, was reached.
    Warn(u8),
    /// The limit was reached, but it only watches.
    WouldTrip,
}

/// Clocks of the nodes and Twilio's may be so far apart that one of them is in the next window already.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(10);

/// What becomes of a breaker, and what must be done.
///
/// - It latches: no observation of usage lifts a trip; only [`Observation::Reset`] does, or the next window where the
///   limit says so and no operator stopped it.
/// - It is idempotent: an observation that is repeated changes nothing and orders nothing.
/// - Between two acts of an operator the order and the repetition of observations of usage make no difference to
///   the state. An observation of an earlier window that arrives late trips a limit that must be lifted by hand, and
///   does nothing to one that the next window has lifted already.
/// - Within a window what was seen only grows, except in a rolling one.
/// - A share trips only by what was sent since its last trip was lifted.
///
/// `now` may be behind an earlier one: time is not turned back.
pub fn step(limit: &Limit, state: State, observation: &Observation, now: Timestamp) -> (State, Vec<Effect>) {
    let mut breaker = Breaker { limit, state, effects: Vec::new() };
    breaker.count_anew_where_the_limit_changed(now);
    // A request without room is heard of a moment after it came, and its moment begins what stays closed.
    let until = match (limit.window, observation) {
        (Window::Gcra { .. }, Observation::DoesNotFit { at, .. }) => (*at).min(now),
        _ => now,
    };
    breaker.roll(limit.window.rolled(breaker.state.window, until));
    match *observation {
        Observation::Usage { at, amount } => breaker.usage(at, amount, now),
        Observation::Baseline { amount } => {
            breaker.state.baseline.get_or_insert(amount);
        }
        Observation::DoesNotFit { at, spent, wanted } => breaker.does_not_fit(at, spent, wanted),
        Observation::Share { from, at, share } => breaker.share(from, at, share),
        Observation::Trip => breaker.trip(TrippedBy { over: None, operator: true }, true),
        Observation::Reset { allow } => breaker.reset(allow, now),
        Observation::Tick => {}
    }
    breaker.compare();
    (breaker.state, breaker.effects)
}

struct Breaker<'a> {
    limit: &'a Limit,
    state: State,
    effects: Vec<Effect>,
}

impl Breaker<'_> {
    /// What was seen of another category or window says nothing about this one; a trip stays a trip.
    fn count_anew_where_the_limit_changed(&mut self, now: Timestamp) {
        if self.state.counts.are_of(self.limit) {
            return;
        }
        let fresh = State::new(self.limit, now);
        let phase = std::mem::replace(&mut self.state.phase, Phase::Passing);
        let tripped = matches!(phase, Phase::Tripped { .. });
        // What an operator has dealt with of a share is dealt with, however long it looks back now.
        let settled = self.state.settled.filter(|_| self.limit.sign().is_some());
        self.state = State { phase: if tripped { phase } else { Phase::Passing }, settled, ..fresh };
    }

    /// Goes on to the window that begins at `start`, if that is a later one.
    fn roll(&mut self, start: Timestamp) {
        if start <= self.state.window {
            return;
        }
        self.state.window = start;
        self.state.seen = Amount::ZERO;
        self.state.warned = 0;
        match &self.state.phase {
            Phase::Probing { .. } => self.state.phase = Phase::Passing,
            Phase::Tripped { by, .. } if self.limit.reset == Reset::NextWindow && !by.operator => {
                self.deal_with(start);
                self.lift(Phase::Passing);
            }
            Phase::Tripped { .. } | Phase::Passing => {}
        }
    }

    fn usage(&mut self, at: Timestamp, amount: Amount, now: Timestamp) {
        let window = self.limit.window;
        if self.limit.sign().is_some() {
            return;
        }
        match window {
            Window::Rolling { .. } => {
                self.state.seen = amount;
                return;
            }
            // It holds by what is refused, and no sum of it says more.
            Window::Gcra { .. } => return,
            _ => {}
        }
        let start = window.period(at).start;
        let latest = window.period(now.saturating_add(CLOCKS_APART).unwrap_or(now)).start;
        if start > latest {
            // No clock is so wrong; whoever said it knows nothing of this window.
            return;
        }
        self.roll(start);
        if start == self.state.window {
            self.state.seen = self.state.seen.max(amount);
        } else {
            self.late(Over { window: start, amount, judged: None, wanted: None });
        }
    }

    fn does_not_fit(&mut self, at: Timestamp, spent: Amount, wanted: Amount) {
        // It is heard of late perhaps: in another window, or after an operator has allowed more, it may fit again.
        if let Window::Gcra { .. } = self.limit.window {
            return self.overflows(at, spent, wanted);
        }
        let window = self.limit.window.period(at).start;
        let still = self.trips_at(window).is_some_and(|at| spent.saturating_add(wanted) > at);
        if window == self.state.window && still {
            self.state.seen = self.state.seen.max(spent);
            let over = asked_too_much(window, spent, wanted);
            self.trip(TrippedBy { over: Some(over), operator: false }, self.limit.enforce);
        }
    }

    /// An even flow had no room. It stays closed for the whole of its window from that moment on; what was asked for before a
    /// trip was lifted is no reason for another.
    fn overflows(&mut self, at: Timestamp, spent: Amount, wanted: Amount) {
        if at < self.state.window || matches!(self.state.phase, Phase::Tripped { .. }) {
            return;
        }
        self.state.window = at;
        let over = asked_too_much(at, spent, wanted);
        self.trip(TrippedBy { over: Some(over), operator: false }, self.limit.enforce);
    }

    /// Too little of what was sent is good. From that moment on it stays closed for the whole of its window, or until an operator
    /// lifts it; what was sent before that, or is dealt with, is no reason for another trip.
    fn share(&mut self, from: Timestamp, at: Timestamp, share: Share) {
        let is_dealt_with = self.state.settled.is_some_and(|settled| from < settled.window);
        let Some(sign) = self.limit.sign().filter(|_| !is_dealt_with) else { return };
        if !sign.fails(share) || matches!(self.state.phase, Phase::Tripped { .. }) {
            return;
        }
        self.state.window = self.state.window.max(at);
        let over = Over { window: at, amount: share.percent(), judged: Some(share.judged()), wanted: None };
        self.trip(TrippedBy { over: Some(over), operator: false }, self.limit.enforce);
    }

    /// Of a share: what was sent before is not judged any more.
    fn deal_with(&mut self, before: Timestamp) {
        if self.limit.sign().is_some() {
            self.state.settled = Some(Settled { window: before, trips_at: Amount::ZERO });
        }
    }

    /// Usage of a window that is over.
    fn late(&mut self, over: Over) {
        let reached = self.trips_at(over.window).is_some_and(|at| over.amount >= at);
        if reached && self.limit.reset == Reset::Manual {
            self.trip(TrippedBy { over: Some(over), operator: false }, self.limit.enforce);
        }
    }

    /// The amount at which it trips in this window; none where nothing trips it.
    fn trips_at(&self, window: Timestamp) -> Option<Amount> {
        self.state.admits_up_to(self.limit, window)
    }

    /// Holds what was seen in this window against the limit.
    fn compare(&mut self) {
        let State { seen, window, .. } = self.state;
        let reached = |level: &u8| {
            self.limit.reached_at(u32::from(*level), self.state.baseline).is_some_and(|it| seen >= it)
        };
        let level = self.limit.warn.iter().copied().filter(reached).max();
        let newly_warned = level.filter(|it| *it > self.state.warned);
        self.state.warned = self.state.warned.max(level.unwrap_or(0));
        if self.trips_at(window).is_some_and(|at| seen >= at) {
            let over = Over { window, amount: seen, judged: None, wanted: None };
            self.trip(TrippedBy { over: Some(over), operator: false }, self.limit.enforce);
        } else if let (Some(level), Phase::Passing) = (newly_warned, &self.state.phase) {
            self.effects.push(Effect::Warn(level));
        }
        self.enforce_what_was_only_watched();
    }

    /// Trips, or adds what else is known to a trip: the earliest window over the limit, and the most seen in it.
    fn trip(&mut self, reason: TrippedBy, enforced: bool) {
        match &mut self.state.phase {
            Phase::Tripped { by, enforced: already } => {
                by.operator |= reason.operator;
                by.over = earlier(by.over, reason.over);
                if enforced && !*already {
                    *already = true;
                    self.order();
                }
            }
            Phase::Passing | Phase::Probing { .. } => {
                self.state.phase = Phase::Tripped { by: reason, enforced };
                if enforced {
                    self.order();
                } else {
                    self.effects.push(Effect::WouldTrip);
                }
            }
        }
    }

    fn enforce_what_was_only_watched(&mut self) {
        if let Phase::Tripped { enforced, .. } = &mut self.state.phase
            && self.limit.enforce
            && !*enforced
        {
            *enforced = true;
            self.order();
        }
    }

    fn order(&mut self) {
        self.effects.extend(self.actions().map(Effect::Do));
    }

    fn actions(&self) -> impl Iterator<Item = Action> + use<> {
        let wanted = self.limit.then.clone();
        Action::ALL.into_iter().filter(move |action| wanted.contains(action))
    }

    fn reset(&mut self, allow: Option<Amount>, now: Timestamp) {
        if self.state.phase == Phase::Passing {
            return;
        }
        if self.limit.sign().is_some() {
            // There is no amount to allow: what is sent from now on is judged by itself.
            self.state.window = self.state.window.max(now);
            self.deal_with(self.state.window);
            return self.lift(Phase::Passing);
        }
        let seen = self.state.seen;
        let threshold = self.limit.threshold(self.state.baseline).unwrap_or(Amount::ZERO);
        // What the limit has left in this window is never less than a reset would give.
        let left = Amount::from_micros(threshold.micros().saturating_sub(seen.micros()));
        let allowance = allow.unwrap_or_else(|| self.limit.probe_amount().max(left));
        self.state.settled =
            Some(Settled { window: self.state.window, trips_at: seen.saturating_add(allowance) });
        self.lift(Phase::Probing { base: seen, allowance });
    }

    fn lift(&mut self, next: Phase) {
        let stopped = self.state.stops();
        self.state.phase = next;
        if stopped {
            self.effects.extend(self.actions().map(Effect::Undo));
        }
    }
}

/// What was spent left no room for what was asked for.
fn asked_too_much(window: Timestamp, spent: Amount, wanted: Amount) -> Over {
    Over { window, amount: spent.saturating_add(wanted), judged: None, wanted: Some(wanted) }
}

/// Of two windows over the limit the earlier one, and of one window the one in which more was really used.
fn earlier(one: Option<Over>, other: Option<Over>) -> Option<Over> {
    match (one, other) {
        (Some(one), Some(other)) => Some(match one.window.cmp(&other.window) {
            Ordering::Less => one,
            Ordering::Equal => std::cmp::max_by_key(one, other, |over| (over.used(), over.wanted.is_none())),
            Ordering::Greater => other,
        }),
        (one, other) => one.or(other),
    }
}
