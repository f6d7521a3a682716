//! Rows in the order in which they were made, found by SID: every list of the sandbox.
//!
//! Lists are told newest first, as Twilio does. A table may have a cap; the oldest row then makes room. A table of
//! many rows may know which are whose, so that a list of one account does not look at the rows of all.

use std::collections::{HashMap, VecDeque};

use ringfence_model::Sid;

/// What can stand in a table.
pub(crate) trait Row {
    fn sid(&self) -> Sid;
    /// The account that owns it.
    fn account(&self) -> Sid;
}

/// How many removed rows are remembered.
const REMEMBERED: usize = 10_000;

/// Rows by SID and by age.
#[derive(Debug, Clone)]
pub(crate) struct Table<T> {
    /// A removed row leaves a gap, so that the places of the others stay true.
    rows: VecDeque<Option<T>>,
    /// The place of the row at the front; it grows as old rows go.
    first: u64,
    places: HashMap<Sid, u64>,
    /// The places of each account's rows, oldest first; `None`: looked for.
    owners: Option<HashMap<Sid, VecDeque<u64>>>,
    /// Where rows were that have been removed lately: a page may begin after one of them.
    removed: HashMap<Sid, u64>,
    cap: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            rows: VecDeque::new(),
            first: 0,
            places: HashMap::new(),
            owners: None,
            removed: HashMap::new(),
            cap: usize::MAX,
        }
    }
}

impl<T: Row> Table<T> {
    /// A table that knows which rows are whose. Its rows never change their account.
    pub(crate) fn by_account() -> Self {
        Self { owners: Some(HashMap::new()), ..Self::default() }
    }

    /// At most this many rows; beyond it the oldest are dropped.
    pub(crate) fn set_cap(&mut self, cap: usize) {
        self.cap = cap.max(1);
        self.make_room();
    }

    pub(crate) fn insert(&mut self, row: T) {
        let place = self.first + self.rows.len() as u64;
        self.places.insert(row.sid(), place);
        if let Some(owners) = &mut self.owners {
            owners.entry(row.account()).or_default().push_back(place);
        }
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
        let place = self.places.remove(&sid)?;
        self.disown(account, place);
        if self.removed.len() >= REMEMBERED {
            self.removed.clear();
        }
        self.removed.insert(sid, place);
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
        self.of_before(account, u64::MAX)
    }

    /// The rows of one account that are older than this one, newest first. It may have been removed lately; of one
    /// that made room for others nothing older is left.
    pub(crate) fn of_after(&self, account: Sid, sid: Sid) -> impl DoubleEndedIterator<Item = &T> {
        let place = self.places.get(&sid).or_else(|| self.removed.get(&sid));
        self.of_before(account, place.copied().unwrap_or(0))
    }

    /// The rows of one account in front of this place.
    fn of_before(&self, account: Sid, end: u64) -> impl DoubleEndedIterator<Item = &T> {
        let known = self.owners.as_ref().map(|owners| {
            let places = owners.get(&account);
            let count = places.map_or(0, |places| places.partition_point(|place| *place < end));
            places.into_iter().flat_map(move |places| places.range(..count).rev())
        });
        let known = known.into_iter().flatten().filter_map(|place| self.at(*place));
        let all = self.owners.is_none().then(|| {
            let count = usize::try_from(end.saturating_sub(self.first)).unwrap_or(usize::MAX);
            self.rows.range(..count.min(self.rows.len())).rev().flatten()
        });
        known.chain(all.into_iter().flatten().filter(move |row| row.account() == account))
    }

    fn at(&self, place: u64) -> Option<&T> {
        self.rows.get(usize::try_from(place.checked_sub(self.first)?).ok()?)?.as_ref()
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
            let place = self.first;
            self.first += 1;
            if let Some(row) = front {
                self.places.remove(&row.sid());
                self.disown(row.account(), place);
            }
        }
    }

    /// Forgets that an account has a row in this place.
    fn disown(&mut self, account: Sid, place: u64) {
        let Some(owners) = &mut self.owners else { return };
        let Some(places) = owners.get_mut(&account) else { return };
        if let Ok(at) = places.binary_search(&place) {
            places.remove(at);
        }
        if places.is_empty() {
            owners.remove(&account);
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
    fn a_table_by_account_tells_the_same_as_one_that_looks() {
        let (mut looks, mut knows) = (Table::default(), Table::by_account());
        for table in [&mut looks, &mut knows] {
            table.set_cap(50);
            for number in 1..=100 {
                table.insert(Thing(number, number % 3));
                if number % 5 == 0 {
                    table.remove_of(account((number - 2) % 3), sid(number - 2));
                }
            }
        }
        for owner in 0..4 {
            let numbers = |table: &Table<Thing>| table.of(account(owner)).map(|it| it.0).collect::<Vec<_>>();
            assert_eq!(numbers(&looks), numbers(&knows), "all of {owner}");
            for start in [40, 60, 61, 78, 98, 100] {
                let numbers = |table: &Table<Thing>| {
                    table.of_after(account(owner), sid(start)).map(|it| it.0).collect::<Vec<_>>()
                };
                assert_eq!(numbers(&looks), numbers(&knows), "{owner} after {start}");
                assert!(numbers(&knows).iter().all(|number| *number < start));
            }
        }
        assert!(knows.find(sid(98)).is_none() && knows.of_after(account(0), sid(98)).count() > 10, "removed");
        assert_eq!(knows.of_after(account(0), sid(2)).count(), 0, "made room for others");
        assert!(knows.of(account(0)).count() > 10);
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
