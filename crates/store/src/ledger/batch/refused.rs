//! What is said of a request that does not fit: whether it trips the breaker, and when there may be room again.

use jiff::Timestamp;
use ringfence_breaker::{Hold, Limit, Reset, Why, Window};

use super::{Batch, Key, Trip, key, not_locked};
use crate::Result;
use crate::ledger::NotAdmitted;

impl Batch<'_> {
    pub(super) fn refuse(&mut self, hold: &Hold, why: Why, now: Timestamp) -> Result<NotAdmitted> {
        let limit = &hold.limit.limit;
        let key = key(limit, hold.subject);
        let ledger = self.ledgers.get_mut(&key).ok_or_else(|| not_locked(&key))?;
        let (spent, window) = match limit.window {
            // What has just been asked for it is told once a minute.
            Window::Gcra { .. } => (ledger.taken(), Window::Minute.period(now).start),
            _ => (ledger.spent().max(ledger.seen), ledger.window),
        };
        let room_at = ledger.gcra.as_ref().map(|gcra| gcra.room_at(hold.amount));
        // Where nothing follows from a trip, the limit itself is all that there is.
        let trips = why == Why::DoesNotFit && !limit.then.is_empty();
        if trips {
            // Told again only once the breaker has moved: after a reset it may have to trip again.
            let version = self.breakers.get(&key).map_or(0, |moved| moved.version);
            let known_as = format!("ledger/{}/{}/{}/{version}", key.0, key.1, window.as_microsecond());
            let (name, subject, wanted) = (limit.name.clone(), hold.subject, hold.amount);
            self.trips.entry(known_as).or_insert(Trip { limit: name, subject, at: now, spent, wanted });
        }
        self.changed.insert(key.clone());
        let ends = match why {
            Why::OpenOnly | Why::NotReadBack => None,
            // A window that begins anew helps nobody where an operator must lift the trip.
            Why::Tripped if limit.reset == Reset::Manual => None,
            Why::DoesNotFit if trips && limit.reset == Reset::Manual => None,
            Why::DoesNotFit if !trips && room_at.is_some() => room_at.flatten(),
            Why::Tripped | Why::DoesNotFit => self.ends(limit, &key, now),
        };
        Ok(NotAdmitted::Limit { limit: limit.name.clone(), subject: hold.subject, why, until: ends, trips })
    }

    /// When the window ends that holds now; of an even flow, or a share, the time for which it is closed.
    fn ends(&self, limit: &Limit, key: &Key, now: Timestamp) -> Option<Timestamp> {
        let is_closed_for_a_time = matches!(limit.window, Window::Gcra { .. }) || limit.sign().is_some();
        let closed = self.breakers.get(key).filter(|_| is_closed_for_a_time);
        let closed = closed.map(|moved| limit.window.rolled(moved.state.window, now));
        limit.window.period(closed.unwrap_or(now)).end
    }
}

/// Of several refusals the one is told that waiting helps least against.
pub(super) fn weight(why: Why) -> u8 {
    match why {
        Why::Tripped => 3,
        Why::DoesNotFit => 2,
        Why::NotReadBack => 1,
        Why::OpenOnly => 0,
    }
}
