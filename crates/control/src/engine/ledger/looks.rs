//! Where the looks at what is open stand, and what was read for one.

use std::sync::PoisonError;

use jiff::Timestamp;
use ringfence_model::Sid;
use ringfence_store::{Look, Reached};

use super::lists::Listed;
use super::{FAR_BACK_EVERY, GIVEN_UP_AFTER, LATE};
use crate::engine::Engine;

/// How the looks at one account stand.
#[derive(Debug, Default)]
pub(in crate::engine) struct Looks {
    /// When one began that went back to the oldest that is open.
    went_far_back: Option<Timestamp>,
    /// The one that is not over, and how far it has come.
    goes_on: Option<(Look, Option<Reached>)>,
}

/// What a run has read of Twilio's lists.
#[derive(Default)]
pub(super) struct ReadLists {
    pub(super) messages: Option<ReadOnce>,
    pub(super) calls: Option<ReadOnce>,
}

/// What was read of one list.
pub(super) struct ReadOnce {
    /// What was made since then is in it.
    pub(super) since: Timestamp,
    pub(super) listed: Vec<Listed>,
    /// Whether it could not be read to the end.
    pub(super) is_cut_off: bool,
}

impl Engine {
    /// The look that goes on, or one that begins. What is priced late would have all of a day's list read again and again,
    /// so only now and then one goes back to the oldest that is open.
    pub(super) fn look(&self, account: Sid, now: Timestamp) -> (Look, Option<Reached>) {
        let mut all = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let looks = all.entry(account).or_default();
        if let Some((look, reached)) = &looks.goes_on {
            return (Look { now, ..*look }, reached.clone());
        }
        let is_due = looks
            .went_far_back
            .is_none_or(|at| at.saturating_add(FAR_BACK_EVERY).is_ok_and(|due| due <= now));
        if is_due {
            looks.went_far_back = Some(now);
        }
        let before = |span| now.saturating_sub(span).unwrap_or(Timestamp::MIN);
        let since = if is_due { Timestamp::MIN } else { before(LATE) };
        let look = Look { account, now, since, given_up: before(GIVEN_UP_AFTER) };
        looks.goes_on = Some((look, None));
        (look, None)
    }

    /// How far a look has come; to the end where nothing is said.
    pub(super) fn has_come_to(&self, account: Sid, reached: Option<Reached>) {
        let mut all = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let looks = all.entry(account).or_default();
        looks.goes_on = looks.goes_on.take().zip(reached).map(|((look, _), reached)| (look, Some(reached)));
    }
}
