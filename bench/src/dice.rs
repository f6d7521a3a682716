//! Chance from a seed.

/// `SplitMix64` (Steele, Lea, Flood 2014): the same from the same seed, and enough for a simulation.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// From 0 on, less than `end`; 0 where `end` is not more.
    pub(crate) fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let end = u64::try_from(end).unwrap_or(0).max(1);
        i64::try_from(mixed % end).unwrap_or(0)
    }
}
