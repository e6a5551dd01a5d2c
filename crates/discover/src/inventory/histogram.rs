//! A histogram of whole numbers, for quantiles that can be merged.
//!
//! A bucket has the values with the same five leading binary digits, as in the lake's sums by the hour, so it is 6.25 % of
//! its values wide at most; a quantile is the middle of its bucket and at most 3.2 % off. Numbers below 32 are exact.

use serde::{Deserialize, Serialize};

use super::figures::Quantiles;

/// Leading binary digits that tell buckets apart.
const DIGITS: u32 = 5;

/// Counts by bucket, by its least value; and the largest value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Histogram {
    buckets: Vec<(u64, u32)>,
    most: u64,
}

impl Histogram {
    /// Counts a value. Says whether it needed a new bucket.
    pub fn add(&mut self, value: u64) -> bool {
        self.most = self.most.max(value);
        self.add_bucket(bucket_of(value), 1)
    }

    fn add_bucket(&mut self, at_least: u64, values: u32) -> bool {
        match self.buckets.binary_search_by_key(&at_least, |&(bucket, _)| bucket) {
            Ok(at) => {
                let (_, count) = &mut self.buckets[at];
                *count = count.saturating_add(values);
                false
            }
            Err(at) => {
                self.buckets.insert(at, (at_least, values));
                true
            }
        }
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Histogram) {
        for &(at_least, values) in &other.buckets {
            self.add_bucket(at_least, values);
        }
        self.most = self.most.max(other.most);
    }

    /// The median, the 95th and 99th percentile, and the largest value; `None` where there is none.
    pub fn quantiles(&self) -> Option<Quantiles> {
        let all: u64 = self.buckets.iter().map(|&(_, values)| u64::from(values)).sum();
        let quantile = |percent: u64| {
            // The smallest value that has this share of all at or below it.
            let wanted = (all * percent).div_ceil(100).max(1);
            let mut before = 0;
            let found = self.buckets.iter().find(|&&(_, values)| {
                before += u64::from(values);
                before >= wanted
            });
            found.map_or(self.most, |&(at_least, _)| (at_least + (width(at_least) - 1) / 2).min(self.most))
        };
        (all > 0).then(|| Quantiles { p50: quantile(50), p95: quantile(95), p99: quantile(99), max: self.most })
    }

    pub fn heap_bytes(&self) -> usize {
        self.buckets.len() * size_of::<(u64, u32)>()
    }
}

fn bucket_of(value: u64) -> u64 {
    let dropped = (u64::BITS - value.leading_zeros()).saturating_sub(DIGITS);
    value >> dropped << dropped
}

/// How many whole numbers a bucket has, by its least.
fn width(at_least: u64) -> u64 {
    1 << (u64::BITS - at_least.leading_zeros()).saturating_sub(DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quantiles_are_as_near_as_is_said(mut values in prop::collection::vec(0u64..1 << 40, 1..300)) {
            let mut histogram = Histogram::default();
            for &value in &values {
                histogram.add(value);
            }
            values.sort_unstable();
            let found = histogram.quantiles().unwrap();
            for (percent, found) in [(50, found.p50), (95, found.p95), (99, found.p99)] {
                let exact = values[(values.len() * percent).div_ceil(100) - 1];
                prop_assert!(found.abs_diff(exact) as f64 <= 0.032 * exact as f64, "{percent}: {found} {exact}");
            }
            prop_assert_eq!(found.max, *values.last().unwrap());
        }

        #[test]
        fn memory_is_bounded_by_the_digits(values in prop::collection::vec(any::<u64>(), 0..500)) {
            let mut histogram = Histogram::default();
            for value in values {
                histogram.add(value);
            }
            prop_assert!(histogram.buckets.len() <= 16 * 61);
        }
    }

    #[test]
    fn small_numbers_are_exact_and_none_is_none() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantiles(), None);
        for value in [0, 3, 31] {
            histogram.add(value);
        }
        assert_eq!(histogram.quantiles(), Some(Quantiles { p50: 3, p95: 31, p99: 31, max: 31 }));
    }
}
