//! A histogram of durations with a fixed relative error, so that a measurement allocates nothing while it runs.

use std::time::Duration;

/// Six bits after the leading one: a bucket is at most 1/64 (1.6 %) wide.
const DETAIL: u32 = 6;

pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; (64 - DETAIL as usize + 1) << DETAIL], count: 0 }
    }

    pub(crate) fn record(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(nanos)] += 1;
        self.count += 1;
    }

    /// The duration that `share` of all recorded ones do not exceed, in microseconds; 0 when nothing was recorded.
    pub(crate) fn quantile_us(&self, share: f64) -> f64 {
        let wanted = share * self.count as f64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if *count > 0 && seen as f64 >= wanted {
                return lower_bound(bucket) as f64 / 1e3;
            }
        }
        0.0
    }
}

fn bucket_of(value: u64) -> usize {
    let shift = (64 - value.leading_zeros()).saturating_sub(DETAIL + 1);
    ((shift as usize) << DETAIL) + usize::try_from(value >> shift).unwrap_or(0)
}

fn lower_bound(bucket: usize) -> u64 {
    let shift = (bucket >> DETAIL).saturating_sub(1);
    ((bucket - (shift << DETAIL)) as u64) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_starts_no_higher_than_its_value_and_within_two_per_cent() {
        for value in (0..60).flat_map(|power| [1_u64 << power, (1 << power) + (1 << power) / 3]) {
            let start = lower_bound(bucket_of(value));
            assert!(start <= value && value - start <= value / 50, "{value} went to the bucket from {start}");
        }
    }

    #[test]
    fn the_median_lies_between_the_halves() {
        let mut histogram = Histogram::new();
        for micros in 1..=100 {
            histogram.record(Duration::from_micros(micros));
        }
        assert!((49.0..=51.0).contains(&histogram.quantile_us(0.5)));
        assert!((97.0..=100.0).contains(&histogram.quantile_us(0.99)));
    }
}
