//! Whether two lists of times can be told apart, and by how much.

use std::time::Duration;

/// What two lists of times say about each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparison {
    /// Medians, in microseconds.
    pub(crate) medians: (f64, f64),
    /// Mann–Whitney's U as a standard normal value, ties corrected: from where on the ranks differ more than by chance.
    pub(crate) z: f64,
    /// Welch's t over the lower nine tenths of both, as dudect has it (Reparaz, Balasch, Verbauwhede 2017): what a busy
    /// machine delays is no sign of a secret.
    pub(crate) t: f64,
    /// The effect size: how often a value of the second list is the larger one of a pair, 0.5 where nothing is to be seen.
    pub(crate) larger: f64,
}

impl Comparison {
    /// Compares two lists, neither of them empty.
    pub(crate) fn of(first: &[Duration], second: &[Duration]) -> Self {
        let micros = |times: &[Duration]| {
            let mut times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
            times.sort_by(f64::total_cmp);
            times
        };
        let (first, second) = (micros(first), micros(second));
        let (z, larger) = mann_whitney(&first, &second);
        let medians = (median(&first), median(&second));
        Self { medians, z, t: welch(&first, &second), larger }
    }

    /// Whether chance alone does not explain it: beyond 4.5 on either scale, which chance reaches 7 times in a million.
    pub(crate) fn tells_apart(&self) -> bool {
        self.z.abs() > 4.5 || self.t.abs() > 4.5
    }
}

fn median(sorted: &[f64]) -> f64 {
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    let half = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(at(half.saturating_sub(1)), at(half))
    } else {
        at(half)
    }
}

/// The normal value of U, and U divided by the number of pairs.
fn mann_whitney(first: &[f64], second: &[f64]) -> (f64, f64) {
    let mut all: Vec<(f64, bool)> = first.iter().map(|value| (*value, false)).collect();
    all.extend(second.iter().map(|value| (*value, true)));
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut sum, mut ties, mut seen) = (0.0, 0.0, 0.0);
    for equal in all.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()) {
        let count = equal.len() as f64;
        // Equal values share the mean of their ranks.
        let rank = seen + f64::midpoint(count, 1.0);
        sum += rank * equal.iter().filter(|(_, is_second)| *is_second).count() as f64;
        ties += count.powi(3) - count;
        seen += count;
    }
    let (n, m) = (first.len() as f64, second.len() as f64);
    let u = sum - m * (m + 1.0) / 2.0;
    let total = n + m;
    let variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    let z = if variance > 0.0 { (u - n * m / 2.0) / variance.sqrt() } else { 0.0 };
    (z, u / (n * m))
}

/// Welch's t of what is below the ninth tenth of both together.
fn welch(first: &[f64], second: &[f64]) -> f64 {
    let mut all: Vec<f64> = first.iter().chain(second).copied().collect();
    all.sort_by(f64::total_cmp);
    let most = all.get(all.len() * 9 / 10).copied().unwrap_or(f64::INFINITY);
    let of = |sorted: &[f64]| {
        let kept: Vec<f64> = sorted.iter().copied().filter(|value| *value <= most).collect();
        let count = kept.len() as f64;
        let mean = kept.iter().sum::<f64>() / count;
        let variance = kept.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    };
    let ((mean, spread), (other_mean, other_spread)) = (of(first), of(second));
    let spread = (spread + other_spread).sqrt();
    if spread > 0.0 { (other_mean - mean) / spread } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    fn times(seed: u64, count: usize, shift: u64) -> Vec<Duration> {
        let mut dice = Dice(seed);
        let mut one = || u64::try_from(dice.below(1_000)).expect("it is below a thousand");
        // Four of them together have a middle, as times have.
        (0..count).map(|_| Duration::from_micros(20_000 + shift + one() + one() + one() + one())).collect()
    }

    #[test]
    fn what_comes_from_one_place_is_not_told_apart() {
        for seed in 0..200 {
            let found = Comparison::of(&times(seed, 500, 0), &times(seed + 1_000, 500, 0));
            assert!(!found.tells_apart(), "{seed}: {found:?}");
        }
    }

    #[test]
    fn two_per_cent_more_are_told_apart_and_named_the_larger() {
        for seed in 0..200 {
            let found = Comparison::of(&times(seed, 500, 0), &times(seed + 1_000, 500, 440));
            assert!(found.tells_apart() && found.z > 0.0 && found.t > 0.0, "{seed}: {found:?}");
            assert!(found.larger > 0.55 && found.medians.1 > found.medians.0, "{seed}: {found:?}");
        }
    }

    #[test]
    fn the_effect_is_the_share_of_pairs_and_u_is_normal_without_ties() {
        let of = |values: &[u64]| values.iter().map(|it| Duration::from_micros(*it)).collect::<Vec<_>>();
        // 2 is more than 1; 3 than 1, and as much as 3; 9 than all three.
        let found = Comparison::of(&of(&[1, 3, 5]), &of(&[2, 3, 9]));
        assert!((found.larger - 5.5 / 9.0).abs() < 1e-9, "{found:?}");
        let apart = Comparison::of(&of(&[1, 2, 3]), &of(&[4, 5, 6]));
        assert!((apart.larger - 1.0).abs() < 1e-9 && (apart.z - 1.963_961).abs() < 1e-5, "{apart:?}");
        let equal = Comparison::of(&of(&[7, 7]), &of(&[7, 7]));
        assert!(equal.z.abs() < 1e-9 && (equal.larger - 0.5).abs() < 1e-9, "{equal:?}");
    }
}
