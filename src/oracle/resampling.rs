//! Intervals of percentiles by resampling whole cycles with replacement.
//!
//! Within a cycle samples depend on each other: a boundary delays all that come meanwhile. Between cycles they
//! hardly do, so cycles are what is drawn. With few of them the plain percentile interval is too short; it is
//! expanded as Student's distribution asks for (Hesterberg 2015, "What teachers should know about the bootstrap",
//! section 3.3).

use super::cycles::Sparse;
use crate::error::{Error, Result};
use crate::workload::mix;

/// Cycles with samples at or above a percentile that an interval needs.
const LEAST_CYCLES: usize = 5;
const MOST_RESAMPLES: u32 = 1_000_000;
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// How intervals are drawn; equal settings give equal intervals.
#[derive(Clone, Copy, Debug)]
pub struct Resampling {
    /// How many times the cycles are drawn.
    pub resamples: u32,
    /// What determines the draws.
    pub seed: u64,
    /// The share of intervals that should hold the true value, between 0 and 1.
    pub confidence: f64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { resamples: 1_000, seed: 1, confidence: 0.95 }
    }
}

impl Resampling {
    /// # Errors
    /// [`Error::Invalid`] for settings out of their range.
    pub(super) fn check(&self) -> Result<()> {
        if !(1..=MOST_RESAMPLES).contains(&self.resamples) {
            return Err(Error::Invalid(format!(
                "resamples must be 1 to {MOST_RESAMPLES}, not {}",
                self.resamples
            )));
        }
        if self.confidence > 0.0 && self.confidence < 1.0 {
            return Ok(());
        }
        Err(Error::Invalid(format!("confidence must be between 0 and 1, not {}", self.confidence)))
    }
}

/// The interval of each percentile of the merged cycles; `None` where too few cycles reach it. `values` are those of
/// the buckets, ascending.
pub(super) fn resampled(
    values: &[i64],
    cycles: &[Sparse],
    percentiles: &[f64],
    resampling: &Resampling,
) -> Vec<Option<(i64, i64)>> {
    // A cycle without samples changes nothing but the odds of an empty draw.
    let cycles: Vec<&Sparse> = cycles.iter().filter(|cycle| !cycle.is_empty()).collect();
    let mut merged = vec![0_u64; values.len()];
    for cycle in &cycles {
        add(&mut merged, cycle);
    }
    let mut places = vec![0_u32; percentiles.len()];
    find(&merged, percentiles, &mut places);
    let supported: Vec<bool> = places
        .iter()
        .map(|&place| {
            let reaches = |cycle: &&&Sparse| cycle.last().is_some_and(|&(last, _)| last >= place);
            cycles.iter().filter(reaches).count() >= LEAST_CYCLES
        })
        .collect();
    if !supported.contains(&true) {
        return vec![None; percentiles.len()];
    }
    let mut drawn = vec![Vec::with_capacity(resampling.resamples as usize); percentiles.len()];
    let mut state = resampling.seed;
    for _ in 0..resampling.resamples {
        merged.fill(0);
        for _ in 0..cycles.len() {
            state = state.wrapping_add(GOLDEN);
            let choice = ((mix(state) >> 32) * cycles.len() as u64) >> 32;
            add(&mut merged, cycles[choice as usize]);
        }
        find(&merged, percentiles, &mut places);
        for (drawn, &place) in drawn.iter_mut().zip(&places) {
            drawn.push(values[place as usize]);
        }
    }
    let tail = tail_share(resampling.confidence, cycles.len());
    let interval = |mut drawn: Vec<i64>| {
        drawn.sort_unstable();
        let last = drawn.len() - 1;
        let low = (tail * drawn.len() as f64) as usize;
        (drawn[low.min(last)], drawn[last - low.min(last)])
    };
    drawn.into_iter().zip(supported).map(|(drawn, supported)| supported.then(|| interval(drawn))).collect()
}

fn add(merged: &mut [u64], cycle: &Sparse) {
    for &(place, count) in cycle {
        merged[place as usize] += count;
    }
}

/// The place of the bucket that holds each percentile.
fn find(merged: &[u64], percentiles: &[f64], places: &mut [u32]) {
    let total: u64 = merged.iter().sum();
    let mut order: Vec<usize> = (0..percentiles.len()).collect();
    order.sort_unstable_by(|&a, &b| percentiles[a].total_cmp(&percentiles[b]));
    let (mut below, mut place) = (0, 0);
    for index in order {
        let rank = ((percentiles[index] / 100.0 * total as f64).ceil() as u64).clamp(1, total.max(1));
        while place < merged.len() && below + merged[place] < rank {
            below += merged[place];
            place += 1;
        }
        places[index] = place.min(merged.len().saturating_sub(1)) as u32;
    }
}

/// The share of draws to leave out on each side, of `cycles` cycles.
fn tail_share(confidence: f64, cycles: usize) -> f64 {
    let freedom = cycles as f64 - 1.0;
    let student = student_quantile(normal_quantile(f64::midpoint(1.0, confidence)), freedom);
    normal_share(-student * (cycles as f64 / freedom).sqrt())
}

/// Student's quantile from that of the normal distribution: Abramowitz and Stegun 26.7.5, within 0.3 % from 4
/// degrees of freedom on.
fn student_quantile(z: f64, freedom: f64) -> f64 {
    let square = z * z;
    let terms = [
        (square + 1.0) / 4.0,
        (5.0 * square.powi(2) + 16.0 * square + 3.0) / 96.0,
        (3.0 * square.powi(3) + 19.0 * square.powi(2) + 17.0 * square - 15.0) / 384.0,
    ];
    z * (1.0 + terms[0] / freedom + terms[1] / freedom.powi(2) + terms[2] / freedom.powi(3))
}

fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-10.0, 10.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if normal_share(middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The share of a normal distribution below `z`: Abramowitz and Stegun 26.2.17, within 1e-7.
fn normal_share(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let powers = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = powers.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t);
    let above = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt() * sum;
    if z < 0.0 { above } else { 1.0 - above }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Histogram;

    /// Uniform numbers from 0 to 1.
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(GOLDEN);
            (mix(self.0) >> 11) as f64 / (1_u64 << 53) as f64
        }

        /// About standard normal: the sum of 12 uniform numbers.
        fn normal(&mut self) -> f64 {
            (0..12).map(|_| self.next()).sum::<f64>() - 6.0
        }

        /// 400 events of 5 s, 2 ms each, but for a stall of some 250 ms at the start.
        fn cycle(&mut self, histogram: &mut Histogram) {
            let stall_us = 250_000.0 * (0.15 * self.normal()).exp();
            for _ in 0..400 {
                let at_us = self.next() * 5_000_000.0;
                let base_us = 2_000.0 * (0.3 * self.normal()).exp();
                histogram.record((base_us + (stall_us - at_us).max(0.0)) as i64);
            }
        }
    }

    fn sparse(histograms: &[Histogram]) -> (Vec<i64>, Vec<Sparse>) {
        let mut values: Vec<i64> = histograms.iter().flat_map(|one| one.buckets().0).collect();
        values.sort_unstable();
        values.dedup();
        let place = |value: i64| values.binary_search(&value).unwrap() as u32;
        let cycles = histograms
            .iter()
            .map(|one| {
                let (values, counts) = one.buckets();
                values.into_iter().map(place).zip(counts).collect()
            })
            .collect();
        (values, cycles)
    }

    #[test]
    fn intervals_cover_the_true_percentiles_of_periodic_stalls() {
        let mut numbers = Numbers(5);
        let mut truth = Histogram::new();
        for _ in 0..4_000 {
            numbers.cycle(&mut truth);
        }
        let percentiles = [50.0, 95.0, 99.0];
        let truth = percentiles.map(|percentile| truth.percentile(percentile) as i64);
        for cycles in [6, 12, 24] {
            let (trials, mut covered) = (200, [0_u32; 3]);
            for trial in 0..trials {
                let mut histograms = vec![Histogram::new(); cycles];
                for histogram in &mut histograms {
                    numbers.cycle(histogram);
                }
                let (values, counts) = sparse(&histograms);
                let resampling = Resampling { resamples: 200, seed: trial, ..Resampling::default() };
                let intervals = resampled(&values, &counts, &percentiles, &resampling);
                for ((covered, interval), truth) in covered.iter_mut().zip(intervals).zip(truth) {
                    // Where there is no interval, nothing is said: as good as one that covers.
                    *covered += u32::from(interval.is_none_or(|(low, high)| low <= truth && truth <= high));
                }
            }
            for (percentile, covered) in percentiles.iter().zip(covered) {
                assert!((170..=200).contains(&covered), "p{percentile} of {cycles} cycles: {covered} of 200");
            }
        }
    }

    #[test]
    fn equal_seeds_give_equal_intervals_and_few_cycles_none() {
        let mut numbers = Numbers(1);
        let mut histograms = vec![Histogram::new(); 12];
        for histogram in &mut histograms {
            numbers.cycle(histogram);
        }
        let (values, counts) = sparse(&histograms);
        let draw = |seed, cycles: usize, percentiles: &[f64]| {
            let resampling = Resampling { seed, ..Resampling::default() };
            resampled(&values, &counts[..cycles], percentiles, &resampling)
        };
        let first = draw(1, 12, &[99.0, 50.0]);
        assert_eq!(first, draw(1, 12, &[99.0, 50.0]));
        assert_ne!(first, draw(2, 12, &[99.0, 50.0]));
        let (p99, p50) = (first[0].unwrap(), first[1].unwrap());
        assert!(p50.0 <= p50.1 && p50.1 < p99.0 && p99.0 < p99.1, "{first:?}");
        assert_eq!(draw(1, 4, &[50.0]), [None]);
        // One sample is the greatest: a single cycle has it.
        assert_eq!(draw(1, 12, &[100.0]), [None]);
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        assert!((normal_quantile(0.975) - 1.959_964).abs() < 1e-5);
        assert!((student_quantile(1.959_964, 4.0) - 2.776).abs() < 0.01);
        assert!((student_quantile(1.959_964, 11.0) - 2.201).abs() < 0.001);
        assert!((tail_share(0.95, 12) - 0.010_75).abs() < 0.000_1);
    }
}
