//! What the jobs of the product do: find what was made, settle it, give it up, and read what Twilio counts.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{AppliedLimit, Subject};
use ringfence_model::{Amount, Sid};
use ringfence_store::{Booking, Look, OpenReservation, ReservationState, Spent};

use super::truth::Stage;
use super::{ACCOUNTS, NODES, Simulation, account_of, day};
use crate::Outcome;
use crate::money::resource;

/// What Twilio counts of a day, and what it has not counted yet of what was made.
#[derive(Default)]
struct Counted {
    seen: i64,
    late: i64,
}

impl Simulation {
    /// What the job of the product does with its lists: finds, settles, gives up.
    pub(super) async fn job(&mut self) -> Outcome {
        self.read_usage().await?;
        let node = self.index(NODES);
        for account in 0..ACCOUNTS {
            let (now, all) = (self.now, Timestamp::MIN);
            let look = Look { account: account_of(account), now, since: all, given_up: now };
            let open = self.nodes[node].unsettled_reservations(&look, None, 100_000).await?;
            for open in open {
                self.look_for(node, &open).await?;
            }
        }
        Ok(())
    }

    async fn look_for(&mut self, node: usize, open: &OpenReservation) -> Outcome {
        let (store, at) = (&self.nodes[node], self.at());
        let is_over = open.deadline <= self.now;
        let is_given_up = open.deadline + SignedDuration::from_hours(24) <= self.now;
        let stage = self.truth.get(&open.id).map(|truth| truth.stage);
        let made = match stage {
            Some(Stage::Made { price, priced_at, .. }) => Some((price, priced_at <= self.passed)),
            _ => None,
        };
        // A call whose answer had somebody dialled is over, and nobody was.
        let is_nothing = open.parent.is_some() && is_over && matches!(stage, Some(Stage::Never));
        match (open.state, made) {
            (ReservationState::Priced, _) if is_over => {
                store.release_beside(vec![open.id.clone()], at).await?;
            }
            (ReservationState::Open, _) if is_over => {
                store.doubt(&open.id, at).await?;
            }
            (ReservationState::InDoubt | ReservationState::Sent, Some((price, true))) => {
                let spent = Spent { price: Amount::from_micros(price), ..Spent::default() };
                store.settle_each(vec![(open.id.clone(), spent, Some(resource_of(&open.id)?))], at).await?;
            }
            (ReservationState::InDoubt, _) if is_nothing => {
                store.void(&open.id, at).await?;
            }
            (ReservationState::InDoubt | ReservationState::Sent, _) if is_given_up => {
                store.settle_at_worst(vec![open.id.clone()], at).await?;
            }
            (ReservationState::InDoubt, Some(_)) => {
                store.found(&open.id, resource_of(&open.id)?, at).await?;
            }
            _ => return Ok(()),
        }
        self.tally.steps += 1;
        Ok(())
    }

    /// What Twilio counts, of each account and of both.
    pub(super) async fn read_usage(&mut self) -> Outcome {
        let (today, node) = (day(self.now), self.index(NODES));
        let mut both = Counted::default();
        for account in 0..ACCOUNTS {
            let counted = self.counted(account, today);
            both = Counted { seen: both.seen + counted.seen, late: both.late + counted.late };
            let subject = Subject::Account(account_of(account));
            self.book(node, Arc::clone(&self.limits.day), subject, &counted).await?;
        }
        self.book(node, Arc::clone(&self.limits.together), Subject::Together, &both).await
    }

    fn counted(&self, account: usize, today: Timestamp) -> Counted {
        let mut counted = Counted::default();
        for truth in self.truth.values().filter(|it| it.account == account) {
            match truth.stage {
                Stage::Made { at, price, fee, counted_at, .. } if day(at) == today => {
                    let sum = if counted_at <= self.passed { &mut counted.seen } else { &mut counted.late };
                    *sum += price + fee;
                }
                _ => {}
            }
        }
        for others in self.others.iter().filter(|it| it.account == account && it.day == today) {
            if others.counted_at <= self.passed {
                counted.seen += others.amount;
            }
        }
        counted
    }

    async fn book(
        &mut self,
        node: usize,
        limit: Arc<AppliedLimit>,
        subject: Subject,
        counted: &Counted,
    ) -> Outcome {
        self.tally.steps += 1;
        let store = &self.nodes[node];
        let booking = Booking {
            limit,
            subject,
            // As a usage record tells it: the day.
            at: day(self.now),
            seen: Amount::from_micros(counted.seen),
            // As an operator should choose it: what Twilio has not counted yet.
            allowance: Amount::from_micros(counted.late),
            epoch: store.epoch_id().await?,
        };
        store.book_usage(booking, self.at()).await?;
        Ok(())
    }
}

/// What Twilio calls it: of the parts of an answer each its own.
fn resource_of(id: &str) -> Outcome<Sid> {
    match id.split_once('-') {
        Some((key, number)) => resource(&format!("{}{number}", key.get(..31).unwrap_or_default())),
        None => resource(id),
    }
}
