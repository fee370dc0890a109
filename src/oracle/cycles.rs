//! The cycles of the measuring phase, from one observed boundary to the next: figures of each, and intervals from
//! resampling them whole.

use super::resampling::{Resampling, resampled};
use super::timeline::Samples;
use crate::error::{Error, Result};
use crate::histogram::Histogram;

/// Cycles whose histograms are held at once: about 12 MB.
const BLOCK: usize = 64;

/// One cycle. Figures are of the events intended for it; a censored sample counts at the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// Its start, µs from the start of the measuring phase.
    pub from_us: i64,
    /// Its end, exclusive, µs from the start of the measuring phase.
    pub to_us: i64,
    /// Samples.
    pub count: u64,
    /// Median, µs; 0 without samples, as the others.
    pub p50_us: u64,
    /// 95th percentile, µs.
    pub p95_us: u64,
    /// 99th percentile, µs.
    pub p99_us: u64,
    /// Maximum, µs.
    pub max_us: u64,
}

/// Bucket counts of one cycle: (place in the common list of values, samples).
pub(super) type Sparse = Vec<(u32, u64)>;

/// All cycles of a measuring phase; none where no boundaries were given. Memory: 16 bytes for each bucket that a
/// cycle uses.
#[derive(Clone, Debug, Default)]
pub struct Cycles {
    list: Vec<Cycle>,
    /// The values of all buckets, µs, ascending.
    values: Vec<i64>,
    counts: Vec<Sparse>,
}

impl Cycles {
    /// Goes through the samples once for every 64 cycles. `boundaries` are ascending times in µs since the Unix
    /// epoch; there is one cycle fewer.
    pub(super) fn of(samples: &impl Samples, boundaries: &[i64], deadline_us: i64) -> Self {
        let mut cycles = Self::default();
        let Some(&start_us) = boundaries.first() else { return cycles };
        let mut buckets = Vec::with_capacity(boundaries.len());
        let windows: Vec<(i64, i64)> = boundaries.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let mut histograms = vec![Histogram::new(); windows.len().min(BLOCK)];
        for block in windows.chunks(BLOCK) {
            histograms.truncate(block.len());
            histograms.iter_mut().for_each(Histogram::clear);
            samples.each(|sample| {
                let place = block.partition_point(|&(from_us, _)| from_us <= sample.scheduled_us);
                if place > 0 && sample.scheduled_us < block[place - 1].1 {
                    histograms[place - 1].record(sample.by(deadline_us));
                }
            });
            for (histogram, &(from_us, to_us)) in histograms.iter().zip(block) {
                cycles.list.push(Cycle {
                    from_us: from_us - start_us,
                    to_us: to_us - start_us,
                    count: histogram.count(),
                    p50_us: histogram.percentile(50.0),
                    p95_us: histogram.percentile(95.0),
                    p99_us: histogram.percentile(99.0),
                    max_us: histogram.max(),
                });
                buckets.push(histogram.buckets());
            }
        }
        cycles.values = buckets.iter().flat_map(|(values, _)| values).copied().collect();
        cycles.values.sort_unstable();
        cycles.values.dedup();
        cycles.counts = buckets
            .into_iter()
            .map(|(values, counts)| {
                let place = |value| cycles.values.partition_point(|&other| other < value) as u32;
                values.into_iter().map(place).zip(counts).collect()
            })
            .collect();
        cycles
    }

    /// Each cycle, in order of time.
    pub fn each(&self) -> &[Cycle] {
        &self.list
    }

    /// An interval [low, high], µs, for each percentile (0 to 100) of the whole measuring phase; see [`Resampling`].
    /// `None` for a percentile whose samples at or above it come from fewer than 5 cycles: these cannot show how
    /// much it varies.
    ///
    /// # Errors
    /// [`Error::Invalid`] for percentiles outside 0 to 100, no resamples or more than a million, or a confidence
    /// that is not between 0 and 1.
    pub fn intervals(&self, percentiles: &[f64], resampling: &Resampling) -> Result<Vec<Option<(i64, i64)>>> {
        if let Some(bad) = percentiles.iter().find(|percentile| !(0.0..=100.0).contains(*percentile)) {
            return Err(Error::Invalid(format!("percentiles must be 0 to 100, not {bad}")));
        }
        resampling.check()?;
        let greatest_us = self.list.iter().map(|cycle| cycle.max_us).max().unwrap_or(0) as i64;
        let intervals = resampled(&self.values, &self.counts, percentiles, resampling);
        let within = |(low, high): (i64, i64)| (low.min(greatest_us), high.min(greatest_us));
        Ok(intervals.into_iter().map(|interval| interval.map(within)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::timeline::Sample;
    use super::*;

    struct Listed(Vec<(i64, Option<i64>)>);

    impl Samples for Listed {
        fn each(&self, mut visit: impl FnMut(Sample)) {
            for &(scheduled_us, latency_us) in &self.0 {
                visit(Sample { scheduled_us, due_us: scheduled_us, latency_us });
            }
        }
    }

    #[test]
    fn each_cycle_has_the_samples_that_are_intended_for_it() {
        // 130 cycles of 10 events, more than are held at once; cycle n has latencies of n ms; the last is censored.
        let events = (0..1_300).map(|n: i64| (1_000 + n * 100, (n < 1_299).then_some(n / 10 * 1_000)));
        let outside = [(999, Some(7)), (1_000 + 130_000, Some(7))];
        let samples = Listed(events.chain(outside).rev().collect());
        let boundaries: Vec<i64> = (0..=130).map(|n| 1_000 + n * 1_000).collect();
        let cycles = Cycles::of(&samples, &boundaries, 1_000_000);
        assert_eq!(cycles.each().len(), 130);
        for (n, cycle) in (0..).zip(cycles.each()) {
            assert_eq!((cycle.from_us, cycle.to_us, cycle.count), (n * 1_000, (n + 1) * 1_000, 10));
            assert!(cycle.p50_us.abs_diff((n as u64 * 1_000).max(1)) <= n as u64, "{cycle:?}");
        }
        assert_eq!(cycles.each()[129].max_us, 1_000_000 - (1_000 + 129_900));
        assert!(Cycles::of(&samples, &[], 1_000_000).each().is_empty());
    }

    #[test]
    fn bad_settings_are_refused() {
        let cycles = Cycles::default();
        let plain = Resampling::default();
        assert_eq!(cycles.intervals(&[50.0, 99.0], &plain).unwrap(), [None, None]);
        assert!(cycles.intervals(&[100.1], &plain).is_err());
        assert!(cycles.intervals(&[f64::NAN], &plain).is_err());
        assert!(cycles.intervals(&[50.0], &Resampling { resamples: 0, ..plain }).is_err());
        assert!(cycles.intervals(&[50.0], &Resampling { confidence: 1.0, ..plain }).is_err());
    }
}
