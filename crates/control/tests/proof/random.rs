//! Random numbers that are the same for the same seed (`SplitMix64`).

use std::ops::RangeInclusive;

pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn from(&mut self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.next() % (range.end() - range.start() + 1)
    }

    /// True so often in a hundred times.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.from(0..=99) < percent
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        let last = u64::try_from(length).expect("a length") - 1;
        usize::try_from(self.from(0..=last)).expect("an index")
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}
