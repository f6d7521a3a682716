//! The limits of a simulation, and what a request holds under them.

use std::sync::Arc;

use jiff::Timestamp;
use ringfence_breaker::{AppliedLimit, Hold, Limit, Per, Subject, Window};
use ringfence_model::Amount;

use super::{ACCOUNTS, account_of};
use crate::money;

/// In micro-dollars: of each account in a day, and of both together.
pub(super) const DAY: i64 = 6_000_000;
pub(super) const TOGETHER: i64 = 9_000_000;
/// Of the first account in an hour of the clock.
pub(super) const HOUR: i64 = 4_000_000;
/// Of the second account in the last so many seconds, and in an even flow.
pub(super) const ROLLING: (i64, u32) = (900_000, 600);
pub(super) const FLOW: (i64, u32) = (3_000_000, 3_600);

/// What holds: of each account its own, and what holds for both.
pub(super) struct Limits {
    pub(super) day: Arc<AppliedLimit>,
    pub(super) together: Arc<AppliedLimit>,
    own: [Vec<Arc<AppliedLimit>>; ACCOUNTS],
}

impl Limits {
    pub(super) fn new(now: Timestamp) -> Self {
        let (rolling, flow) = (Window::Rolling { seconds: ROLLING.1 }, Window::Gcra { seconds: FLOW.1 });
        let together = money::limit("a day together", Window::Daily, TOGETHER, now);
        let together = Limit { per: Per::Together, ..together.limit.clone() };
        Self {
            day: money::limit("a day", Window::Daily, DAY, now),
            together: Arc::new(AppliedLimit { limit: together, since: now }),
            own: [
                vec![money::limit("an hour", Window::Hour, HOUR, now)],
                vec![
                    money::limit("the last minutes", rolling, ROLLING.0, now),
                    money::limit("a flow", flow, FLOW.0, now),
                ],
            ],
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<AppliedLimit>> {
        [&self.day, &self.together].into_iter().chain(self.own.iter().flatten()).cloned().collect()
    }

    /// What something that costs at most so much, of which fees are a part, sets aside.
    pub(super) fn holds(&self, account: usize, worst: i64, fee: i64) -> Vec<Hold> {
        let own = self.own.get(account).map(Vec::as_slice).unwrap_or_default();
        let hold = |limit: &Arc<AppliedLimit>| Hold {
            limit: Arc::clone(limit),
            subject: match limit.limit.per {
                Per::Together => Subject::Together,
                Per::Account | Per::Prefix => Subject::Account(account_of(account)),
            },
            amount: Amount::from_micros(worst),
            told: Amount::from_micros(worst - fee),
            places: Vec::new(),
        };
        let mut holds: Vec<Hold> = [&self.day, &self.together].into_iter().chain(own).map(hold).collect();
        holds.sort_by(|one, other| {
            (&one.limit.limit.name, one.subject).cmp(&(&other.limit.limit.name, other.subject))
        });
        holds
    }
}
