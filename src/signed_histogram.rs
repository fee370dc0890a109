//! Signed durations: a histogram of each sign and an exact sum, so that means add up.

use hdrhistogram::Histogram as Counts;

use crate::histogram::MAX_US;

/// Signed durations in µs: percentiles within 0.1 % (3 significant digits, magnitudes up to 1 h; greater ones
/// count as 1 h there), and the exact mean, least and greatest value.
#[derive(Clone, Debug)]
pub struct SignedHistogram {
    /// Magnitudes of the values below 0; nearly always empty.
    below: Option<Counts<u64>>,
    /// Values from 0 on.
    above: Counts<u64>,
    sum_us: i128,
    min_us: i64,
    max_us: i64,
}

impl Default for SignedHistogram {
    fn default() -> Self {
        Self::new()
    }
}

impl SignedHistogram {
    /// An empty histogram; about 190 KB, and as much again once there is a value below 0.
    pub fn new() -> Self {
        Self { below: None, above: counts(), sum_us: 0, min_us: i64::MAX, max_us: i64::MIN }
    }

    /// Records one duration, µs.
    #[inline]
    pub fn record(&mut self, us: i64) {
        let magnitude = us.unsigned_abs().min(MAX_US);
        if us < 0 {
            self.below.get_or_insert_with(counts).saturating_record(magnitude);
        } else {
            self.above.saturating_record(magnitude);
        }
        self.sum_us += i128::from(us);
        self.min_us = self.min_us.min(us);
        self.max_us = self.max_us.max(us);
    }

    /// The number of samples.
    pub fn count(&self) -> u64 {
        self.negative() + self.above.len()
    }

    /// The number of samples below 0.
    pub fn negative(&self) -> u64 {
        self.below.as_ref().map_or(0, Counts::len)
    }

    /// The exact mean, µs; 0 when empty.
    pub fn mean(&self) -> f64 {
        if self.count() == 0 { 0.0 } else { self.sum_us as f64 / self.count() as f64 }
    }

    /// The least sample, µs, exact; 0 when empty.
    pub fn min(&self) -> i64 {
        if self.count() == 0 { 0 } else { self.min_us }
    }

    /// The greatest sample, µs, exact; 0 when empty.
    pub fn max(&self) -> i64 {
        if self.count() == 0 { 0 } else { self.max_us }
    }

    /// The value, µs, at or below which `percentile` (0 to 100) of the samples lie, within 0.1 %; 0 when empty.
    pub fn percentile(&self, percentile: f64) -> i64 {
        let count = self.count();
        if count == 0 {
            return 0;
        }
        let share = percentile.clamp(0.0, 100.0) / 100.0;
        let rank = ((share * count as f64).ceil() as u64).clamp(1, count);
        let negative = self.negative();
        let value = match &self.below {
            // The greatest magnitude is the least value: ranks run the other way round.
            Some(below) if rank <= negative => -(at_rank(below, negative - rank + 1) as i64),
            _ => at_rank(&self.above, rank - negative) as i64,
        };
        value.clamp(self.min_us, self.max_us)
    }
}

fn counts() -> Counts<u64> {
    Counts::new_with_bounds(1, MAX_US, 3).expect("the bounds are valid")
}

/// The upper end of the bucket that holds the sample of this rank, counted from 1.
fn at_rank(counts: &Counts<u64>, rank: u64) -> u64 {
    let mut seen = 0;
    for step in counts.iter_recorded() {
        seen += step.count_since_last_iteration();
        if seen >= rank {
            return step.value_iterated_to();
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(samples: &[i64]) -> SignedHistogram {
        let mut histogram = SignedHistogram::new();
        for &us in samples {
            histogram.record(us);
        }
        histogram
    }

    proptest! {
        #[test]
        fn percentiles_are_within_a_thousandth_and_the_mean_is_exact(
            mut samples in prop::collection::vec(-3_000_000_i64..3_000_000_000, 1..300),
            percentile in 0.0..100.0_f64,
        ) {
            let histogram = of(&samples);
            samples.sort_unstable();
            let rank = ((percentile / 100.0 * samples.len() as f64).ceil() as usize).max(1);
            let exact = samples[rank - 1] as f64;
            let seen = histogram.percentile(percentile) as f64;
            prop_assert!((seen - exact).abs() <= exact.abs() / 1000.0 + 1.0, "{} against {}", seen, exact);
            let sum: i64 = samples.iter().sum();
            prop_assert!((histogram.mean() - sum as f64 / samples.len() as f64).abs() < 1e-3);
            prop_assert_eq!(histogram.negative(), samples.iter().filter(|&&us| us < 0).count() as u64);
            prop_assert_eq!((histogram.min(), histogram.max()), (samples[0], samples[samples.len() - 1]));
            prop_assert_eq!(histogram.percentile(100.0), histogram.max());
        }
    }

    #[test]
    fn values_around_zero_keep_their_sign() {
        let histogram = of(&[-400, -300, 0, 200]);
        let quarters = [0.0, 25.0, 50.0, 75.0, 100.0].map(|percentile| histogram.percentile(percentile));
        assert_eq!(quarters, [-400, -400, -300, 0, 200]);
        assert!((histogram.mean() + 125.0).abs() < f64::EPSILON);
    }

    #[test]
    fn an_empty_histogram_has_no_figures() {
        let empty = SignedHistogram::new();
        assert_eq!((empty.count(), empty.min(), empty.max(), empty.percentile(50.0)), (0, 0, 0, 0));
        assert!(empty.mean().abs() < f64::EPSILON);
    }
}
