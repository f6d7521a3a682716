//! What will happen, by time: the messages that will be sent, the phones that will be answered.
//!
//! Things due at one time happen in the order in which they were planned, so a run can be repeated.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// Events by time.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    /// The number keeps the order of planning among equals.
    events: BTreeMap<(Timestamp, u64), E>,
    planned: u64,
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Self { events: BTreeMap::new(), planned: 0 }
    }
}

impl<E> Agenda<E> {
    pub(crate) fn plan(&mut self, at: Timestamp, event: E) {
        self.planned += 1;
        self.events.insert((at, self.planned), event);
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the next thing if it is due.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, E)> {
        let entry = self.events.first_entry()?;
        let at = entry.key().0;
        (at <= now).then(|| (at, entry.remove()))
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn nothing_happens_before_its_time() {
        let mut agenda = Agenda::default();
        agenda.plan(at(10), "later");
        assert_eq!(agenda.pop_due(at(9)), None);
        assert_eq!(agenda.pop_due(at(10)), Some((at(10), "later")));
        assert_eq!(agenda.len(), 0);
    }

    #[test]
    fn what_is_due_at_one_time_keeps_its_order() {
        let mut agenda = Agenda::default();
        for event in ["a", "b", "c"] {
            agenda.plan(at(5), event);
        }
        agenda.plan(at(1), "first");
        let order: Vec<_> = std::iter::from_fn(|| agenda.pop_due(at(5))).map(|(_, event)| event).collect();
        assert_eq!(order, ["first", "a", "b", "c"]);
    }
}
