//! The newest requests, in memory: what people look at when they ask why a request was refused, where nothing is kept in the
//! store.
//!
//! Requests that were refused have places of their own, so that a flood of forgeries leaves what was admitted in sight, and
//! the other way round; and so have requests to Twilio, which are many where webhooks are few.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use ringfence_store::{KeptRequest, RequestVerdict};

use super::Answered;

/// So many of each kind.
const KEPT: usize = 250;

/// The newest requests.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    number: i64,
    /// Webhooks and requests to Twilio, of each those that were admitted and those that were refused.
    places: [VecDeque<(i64, Answered)>; 4],
}

impl Recent {
    /// Remembers one.
    pub(super) fn note(&self, answered: Answered) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.number += 1;
        let number = kept.number;
        let is_refused = matches!(answered.seen.verdict, RequestVerdict::Refused { .. });
        let place = 2 * usize::from(answered.seen.part == "egress") + usize::from(is_refused);
        let places = &mut kept.places[place];
        if places.len() >= KEPT {
            places.pop_front();
        }
        places.push_back((number, answered));
    }

    /// All that are remembered, newest first.
    pub(super) fn newest_first(&self) -> Vec<KeptRequest> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = kept.places.iter().flatten();
        let mut all: Vec<_> = all
            .map(|(id, answered)| KeptRequest { id: *id, node: String::new(), seen: answered.as_of_now() })
            .collect();
        drop(kept);
        all.sort_by_key(|request| std::cmp::Reverse(request.id));
        all
    }

    /// Forgets all of them.
    pub(super) fn forget(&self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.places.iter_mut().for_each(VecDeque::clear);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{admitted, refused};
    use super::*;
    use crate::explain::Explanation;

    #[test]
    fn a_flood_of_forgeries_leaves_what_was_admitted_in_sight() {
        let recent = Recent::default();
        recent.note(admitted());
        for _ in 0..10 * KEPT {
            recent.note(refused(None));
        }
        let all = recent.newest_first();
        assert_eq!(all.len(), KEPT + 1);
        assert!(matches!(all[KEPT].seen.verdict, RequestVerdict::Admitted { .. }));
        assert!(all.windows(2).all(|pair| pair[0].id > pair[1].id), "newest first");
        recent.forget();
        assert_eq!(recent.newest_first(), []);
    }

    #[test]
    fn a_flood_of_requests_to_twilio_leaves_webhooks_in_sight() {
        let recent = Recent::default();
        recent.note(admitted());
        for _ in 0..10 * KEPT {
            let mut one = admitted();
            one.seen.part = "egress";
            recent.note(one);
        }
        let all = recent.newest_first();
        assert_eq!((all.len(), all[KEPT].seen.part), (KEPT + 1, "gate"));
    }

    #[test]
    fn an_explanation_that_comes_later_is_shown() {
        let recent = Recent::default();
        let explanation = Explanation::default();
        recent.note(refused(Some(explanation.clone())));
        let text = || match recent.newest_first().remove(0).seen.verdict {
            RequestVerdict::Refused { explanation, .. } => explanation,
            RequestVerdict::Admitted { .. } | RequestVerdict::PassedOn { .. } => None,
        };
        assert_eq!(text(), None);
        explanation.set("the port was missing".to_owned()).expect("it is empty");
        assert_eq!(text().as_deref(), Some("the port was missing"));
    }
}
