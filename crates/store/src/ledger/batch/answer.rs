//! An answer of an application: all that it leads to is admitted at once and together, and a repeat takes nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use ringfence_breaker::Hold;
use ringfence_model::Amount;
use serde_json::json;

use super::{Batch, Did, Key, Of, key};
use crate::Result;
use crate::ledger::rows::{InsertRow, ReservationRow, UpdateRow, held_rows};
use crate::ledger::{NewAnswer, NotAdmitted, ReservationState, Watched};

impl<'a> Batch<'a> {
    pub(super) fn answer(&mut self, new: &'a NewAnswer, now: Timestamp) -> Result<Did> {
        let is_known = self.reservations.contains_key(&part_id(new, 0));
        if is_known && (0..new.parts.len()).all(|number| self.ended(new, number).is_none()) {
            return Ok(Did::Before);
        }
        if *new.limits != *self.limits {
            return Ok(Did::Refused(NotAdmitted::OtherLimits));
        }
        // All of them together must fit. Of a repeat that is what came back since; and what was spent since must still
        // be let through.
        let account = new.account.to_string();
        let parts = new.parts.iter().map(|part| self.places.holding(&account, &part.holds));
        let parts: Vec<Cow<'a, [Hold]>> = parts.collect();
        let mut together = BTreeMap::<Key, Hold>::new();
        for (number, part) in parts.iter().enumerate() {
            let is_wanted = !is_known || self.ended(new, number) == Some(ReservationState::Void);
            for hold in part.iter() {
                let amount = if is_wanted { hold.amount } else { Amount::ZERO };
                let held = together.entry(key(&hold.limit.limit, hold.subject));
                held.and_modify(|held| held.amount = held.amount.saturating_add(amount))
                    .or_insert_with(|| Hold { amount, ..hold.clone() });
            }
        }
        let together: Vec<Hold> = together.into_values().collect();
        let worst = new.parts.iter().fold(Amount::ZERO, |sum, part| sum.saturating_add(part.worst));
        let of = Of { account: new.account.to_string(), operation: "twiml", worst };
        let watched = match self.decide(&together, &of, now)? {
            Ok(watched) => watched,
            Err(why) => return Ok(Did::Refused(why)),
        };
        if is_known {
            return self.take_again(new, &parts, &watched, now);
        }
        for (number, (part, holds)) in new.parts.iter().zip(&parts).enumerate() {
            let of = Of { account: new.account.to_string(), operation: &part.operation, worst: part.worst };
            let taken = self.take(holds, &of, &watched, now)?;
            let held = held_rows(holds, &taken, None);
            let id = part_id(new, number);
            let state = ReservationState::InDoubt;
            // A repeat may be in the same batch.
            let row = ReservationRow {
                account: of.account.clone(),
                operation: part.operation.clone(),
                state,
                holds: held.clone(),
                beginning: part.beginning.map(|it| it.to_string()),
                is_ours: false,
                has_arrival: false,
                admitted_at: now,
            };
            self.reservations.insert(id.clone(), row);
            self.inserts.push(InsertRow {
                id: id.into(),
                credential: String::new(),
                account: new.account.to_string(),
                operation: &part.operation,
                worst: part.worst.micros(),
                holds: json!(held).to_string(),
                party: part.party.as_deref(),
                parent: Some(new.parent.to_string()),
                beginning: part.beginning.map(|it| it.to_string()),
                state: state.word(),
                admitted_at: now.as_microsecond(),
                deadline: now.saturating_add(part.patience).unwrap_or(Timestamp::MAX).as_microsecond(),
            });
        }
        Ok(Did::Admitted(watched))
    }

    /// Sets aside again what came back of an answer that is given again. From here on it is what was admitted now: of what
    /// was given before it is certain that it came to nothing, so what is found from then on and counted as sent is this.
    fn take_again(
        &mut self,
        new: &'a NewAnswer,
        parts: &[Cow<'a, [Hold]>],
        watched: &[Watched],
        now: Timestamp,
    ) -> Result<Did> {
        for (number, (part, holds)) in new.parts.iter().zip(parts).enumerate() {
            if self.ended(new, number) != Some(ReservationState::Void) {
                continue;
            }
            let of = Of { account: new.account.to_string(), operation: &part.operation, worst: part.worst };
            let taken = self.take(holds, &of, watched, now)?;
            let held = held_rows(holds, &taken, None);
            let (id, state) = (part_id(new, number), ReservationState::InDoubt);
            if let Some(row) = self.reservations.get_mut(&id) {
                row.state = state;
                row.holds.clone_from(&held);
                row.admitted_at = now;
            }
            let row = UpdateRow {
                id: id.clone(),
                state: state.word(),
                resource: None,
                price: None,
                ended_at: None,
                holds: Some(json!(held).to_string()),
                admitted_at: Some(now.as_microsecond()),
                deadline: Some(now.saturating_add(part.patience).unwrap_or(Timestamp::MAX).as_microsecond()),
            };
            self.updates.insert(id, row);
        }
        Ok(Did::Before)
    }

    /// How one reservation of an answer has ended; nothing where it has not, or is not there.
    fn ended(&self, new: &NewAnswer, number: usize) -> Option<ReservationState> {
        let state = self.reservations.get(&part_id(new, number))?.state;
        state.is_end().then_some(state)
    }
}

/// The name of one reservation of an answer.
pub(in crate::ledger) fn part_id(new: &NewAnswer, number: usize) -> String {
    format!("{}-{number}", new.key)
}
