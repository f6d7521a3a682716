//! An answer of an application: all that it leads to is admitted at once and together, and a repeat takes nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ringfence_breaker::Hold;
use serde_json::json;

use super::{Batch, Did, Key, Of, key};
use crate::Result;
use crate::ledger::rows::{InsertRow, ReservationRow, held_rows};
use crate::ledger::{NewAnswer, NotAdmitted, ReservationState};

impl<'a> Batch<'a> {
    pub(super) fn answer(&mut self, new: &'a NewAnswer, now: Timestamp) -> Result<Did> {
        if self.reservations.contains_key(&part_id(new, 0)) {
            return Ok(Did::Before);
        }
        if *new.limits != *self.limits {
            return Ok(Did::Refused(NotAdmitted::OtherLimits));
        }
        // All of them together must fit.
        let mut together = BTreeMap::<Key, Hold>::new();
        for hold in new.parts.iter().flat_map(|part| &part.holds) {
            let held = together.entry(key(&hold.limit.limit, hold.subject));
            held.and_modify(|held| held.amount = held.amount.saturating_add(hold.amount))
                .or_insert_with(|| hold.clone());
        }
        let together: Vec<Hold> = together.into_values().collect();
        let of = Of { account: new.account.to_string(), operation: "twiml" };
        let watched = match self.decide(&together, &of, now)? {
            Ok(watched) => watched,
            Err(why) => return Ok(Did::Refused(why)),
        };
        for (number, part) in new.parts.iter().enumerate() {
            let of = Of { account: new.account.to_string(), operation: &part.operation };
            self.take(&part.holds, &of, &watched, now)?;
            let id = part_id(new, number);
            let state = ReservationState::InDoubt;
            // A repeat may be in the same batch.
            let row = ReservationRow {
                account: of.account.clone(),
                operation: part.operation.clone(),
                state,
                holds: held_rows(&part.holds),
            };
            self.reservations.insert(id.clone(), row);
            self.inserts.push(InsertRow {
                id: id.into(),
                credential: String::new(),
                account: new.account.to_string(),
                operation: &part.operation,
                worst: part.worst.micros(),
                holds: json!(held_rows(&part.holds)).to_string(),
                party: part.party.as_deref(),
                parent: Some(new.parent.to_string()),
                state: state.word(),
                admitted_at: now.as_microsecond(),
                deadline: now.saturating_add(part.patience).unwrap_or(Timestamp::MAX).as_microsecond(),
            });
        }
        Ok(Did::Admitted(watched))
    }
}

/// The name of one reservation of an answer.
pub(super) fn part_id(new: &NewAnswer, number: usize) -> String {
    format!("{}-{number}", new.key)
}
