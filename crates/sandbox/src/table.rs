//! Rows in the order in which they were made, found by SID: every list of the sandbox.
//!
//! Lists are told newest first, as Twilio does. A table may have a cap; the oldest row then makes room.

use std::collections::{HashMap, VecDeque};

use ringfence_model::Sid;

/// What can stand in a table.
pub(crate) trait Row {
    fn sid(&self) -> Sid;
    /// The account that owns it.
    fn account(&self) -> Sid;
}

/// Rows by SID and by age.
#[derive(Debug, Clone)]
pub(crate) struct Table<T> {
    /// A removed row leaves a gap, so that the places of the others stay true.
    rows: VecDeque<Option<T>>,
    /// The place of the row at the front; it grows as old rows go.
    first: u64,
    places: HashMap<Sid, u64>,
    cap: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: VecDeque::new(), first: 0, places: HashMap::new(), cap: usize::MAX }
    }
}

impl<T: Row> Table<T> {
    /// At most this many rows; beyond it the oldest are dropped.
    pub(crate) fn set_cap(&mut self, cap: usize) {
        self.cap = cap.max(1);
        self.make_room();
    }

    pub(crate) fn insert(&mut self, row: T) {
        let place = self.first + self.rows.len() as u64;
        self.places.insert(row.sid(), place);
        self.rows.push_back(Some(row));
        self.make_room();
    }

    pub(crate) fn find(&self, sid: Sid) -> Option<&T> {
        self.rows.get(self.position(sid)?)?.as_ref()
    }

    pub(crate) fn find_mut(&mut self, sid: Sid) -> Option<&mut T> {
        let position = self.position(sid)?;
        self.rows.get_mut(position)?.as_mut()
    }

    /// The row, if this account owns it: what is somebody else's is not there.
    pub(crate) fn find_of(&self, account: Sid, sid: Sid) -> Option<&T> {
        self.find(sid).filter(|row| row.account() == account)
    }

    pub(crate) fn find_mut_of(&mut self, account: Sid, sid: Sid) -> Option<&mut T> {
        self.find_mut(sid).filter(|row| row.account() == account)
    }

    pub(crate) fn remove_of(&mut self, account: Sid, sid: Sid) -> Option<T> {
        self.find_of(account, sid)?;
        let position = self.position(sid)?;
        self.places.remove(&sid);
        let row = self.rows.get_mut(position)?.take();
        self.trim();
        row
    }

    /// All rows, newest first.
    pub(crate) fn newest_first(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.rows.iter().rev().flatten()
    }

    /// The rows of one account, newest first.
    pub(crate) fn of(&self, account: Sid) -> impl DoubleEndedIterator<Item = &T> {
        self.newest_first().filter(move |row| row.account() == account)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.iter_mut().flatten()
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    fn position(&self, sid: Sid) -> Option<usize> {
        usize::try_from(self.places.get(&sid)?.checked_sub(self.first)?).ok()
    }

    fn make_room(&mut self) {
        while self.places.len() > self.cap {
            self.drop_front();
        }
        self.trim();
    }

    /// Gaps at the front hold nothing in place.
    fn trim(&mut self) {
        while matches!(self.rows.front(), Some(None)) {
            self.drop_front();
        }
    }

    fn drop_front(&mut self) {
        if let Some(front) = self.rows.pop_front() {
            self.first += 1;
            if let Some(row) = front {
                self.places.remove(&row.sid());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Thing(u128, u128);

    impl Row for Thing {
        fn sid(&self) -> Sid {
            Sid::new(*b"SM", self.0)
        }
        fn account(&self) -> Sid {
            Sid::new(*b"AC", self.1)
        }
    }

    fn sid(number: u128) -> Sid {
        Sid::new(*b"SM", number)
    }

    fn account(number: u128) -> Sid {
        Sid::new(*b"AC", number)
    }

    #[test]
    fn what_another_account_owns_is_not_there() {
        let mut table = Table::default();
        table.insert(Thing(1, 1));
        assert!(table.find_of(account(2), sid(1)).is_none());
        assert!(table.remove_of(account(2), sid(1)).is_none());
        assert!(table.find_of(account(1), sid(1)).is_some());
    }

    #[test]
    fn over_the_cap_the_oldest_goes() {
        let mut table = Table::default();
        table.set_cap(2);
        for number in 1..=4 {
            table.insert(Thing(number, 1));
        }
        assert_eq!(table.newest_first().map(|thing| thing.0).collect::<Vec<_>>(), [4, 3]);
        assert!(table.find(sid(1)).is_none());
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_removed_row_moves_no_other() {
        let mut table = Table::default();
        for number in 1..=4 {
            table.insert(Thing(number, number % 2));
        }
        assert_eq!(table.remove_of(account(0), sid(2)), Some(Thing(2, 0)));
        assert_eq!(table.find(sid(3)), Some(&Thing(3, 1)));
        assert_eq!(table.of(account(1)).map(|thing| thing.0).collect::<Vec<_>>(), [3, 1]);
        assert_eq!(table.remove_of(account(1), sid(1)), Some(Thing(1, 1)));
        assert_eq!(table.find(sid(4)), Some(&Thing(4, 0)));
        assert_eq!(table.newest_first().count(), 2);
    }
}
