//! SIDs, tokens and digits from one seed: the same seed and the same requests give the same names, so that a test
//! can be repeated to the letter.
//!
//! Each kind counts by itself, so one more call does not rename the messages. Nothing here is secret or meant to
//! be: a sandbox's token protects nothing.

use std::collections::BTreeMap;

use ringfence_model::Sid;

/// Makes names.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    seed: u64,
    counts: BTreeMap<[u8; 2], u64>,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, counts: BTreeMap::new() }
    }

    /// The next SID with these two letters, as `SM` of a message.
    pub(crate) fn sid(&mut self, prefix: [u8; 2]) -> Sid {
        Sid::new(prefix, self.number(prefix))
    }

    /// 32 hex digits, as an auth token has.
    pub(crate) fn token(&mut self) -> String {
        format!("{:032x}", self.number(*b"::"))
    }

    /// `length` decimal digits, as a verification code has.
    pub(crate) fn digits(&mut self, length: u32) -> String {
        let modulus = 10_u128.pow(length.min(20));
        format!("{:0width$}", self.number(*b"##") % modulus, width = length as usize)
    }

    /// A number that this seed always gives for `of`: for what is looked at and not made, as numbers for sale.
    pub(crate) fn fixed(&self, of: u64) -> u64 {
        mix(self.seed.wrapping_add(mix(of)))
    }

    /// The next number of this kind.
    fn number(&mut self, kind: [u8; 2]) -> u128 {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let stream = self.seed ^ (u64::from(u16::from_be_bytes(kind)) << 48);
        let high = mix(stream.wrapping_add(mix(*count)));
        let low = mix(high ^ mix(count.wrapping_add(0x5851_f42d_4c95_7f2d)));
        u128::from(high) << 64 | u128::from(low)
    }
}

/// The number that a SID carries behind its letters.
pub(crate) fn number_of(sid: Sid) -> u128 {
    u128::from_str_radix(&sid.to_string()[2..], 16).expect("a SID is two letters and 32 hex digits")
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014): one bit of input moves half the bits of output.
pub(crate) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_the_same_names_and_another_gives_others() {
        let names = |seed| {
            let mut ids = Ids::new(seed);
            [ids.sid(*b"SM").to_string(), ids.sid(*b"SM").to_string(), ids.token(), ids.digits(6)]
        };
        assert_eq!(names(1), names(1));
        assert!(names(1).iter().zip(names(2)).all(|(one, other)| *one != other));
    }

    #[test]
    fn one_kind_more_does_not_rename_another() {
        let (mut one, mut other) = (Ids::new(7), Ids::new(7));
        one.sid(*b"CA");
        assert_eq!(one.sid(*b"SM"), other.sid(*b"SM"));
    }

    #[test]
    fn a_hundred_thousand_names_are_all_different() {
        let mut ids = Ids::new(0);
        let names: std::collections::HashSet<_> = (0..100_000).map(|_| ids.sid(*b"SM")).collect();
        assert_eq!(names.len(), 100_000);
        assert_eq!(ids.digits(6).len(), 6);
    }
}
