//! What Twilio counts, taken note of in the ledger.

use jiff::Timestamp;

use super::{Batch, key};
use crate::ledger::Booking;

impl Batch<'_> {
    /// Takes note of what Twilio counts. Whether it was taken.
    pub(super) fn book(&mut self, booking: &Booking, now: Timestamp) -> bool {
        let Booking { limit: applied, subject, at, seen, allowance, epoch } = booking;
        // What was read before the memory was lost says nothing of what was lost.
        if *epoch != self.epoch {
            return false;
        }
        let key = key(&applied.limit, *subject);
        let Some(ledger) = self.ledgers.get_mut(&key) else { return false };
        ledger.follow(&applied.limit, now);
        let is_first_of_epoch = ledger.read_back.as_deref() != Some(&*self.epoch);
        if is_first_of_epoch {
            ledger.turn_back(now);
        }
        if is_first_of_epoch && !self.is_first_epoch {
            ledger.book_lost(*at, seen.saturating_add(*allowance), &self.epoch, now);
        } else {
            ledger.book(*at, *seen, &self.epoch, now);
        }
        if ledger.read_back.as_deref() == Some(&*self.epoch) {
            ledger.read_at = Some(now);
        }
        self.changed.insert(key);
        true
    }
}
