//! The measuring phase in time: latency of each second, halves, backlog and stalls.

use std::io;
use std::path::Path;

use super::cycles::Cycles;
use super::ledger::Scope;
use crate::error::{Error, Result};
use crate::histogram::{Histogram, IntervalLog};

/// Nothing coming out for longer than this, while input waits, is a stall, µs.
pub const STALL_US: i64 = 100_000;

const SECOND_US: i64 = 1_000_000;
/// The most slices for each partition: 800 KB.
const PARTITION_SLICES: i64 = 100_000;
/// Seconds whose histograms are held at once: about 12 MB.
const BLOCK: usize = 64;

/// One sample of update latency: an event that an output has to cover, in one window where there are windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "every time says its unit")]
pub(super) struct Sample {
    /// The event's intended time, µs since the Unix epoch: where latency counts from.
    pub scheduled_us: i64,
    /// From when on an output that covers it is waited for: its intended time, or for final results the
    /// moment at which the watermark passes the window.
    pub due_us: i64,
    /// First receipt of a covering output minus the intended time, µs.
    pub latency_us: Option<i64>,
}

impl Sample {
    /// Its latency, µs; where nothing covered it by the deadline, the time until then.
    #[inline]
    pub fn by(&self, deadline_us: i64) -> i64 {
        let limit_us = deadline_us - self.scheduled_us;
        self.latency_us.map_or(limit_us, |latency_us| latency_us.min(limit_us))
    }
}

/// Whoever holds the samples of a trial.
pub(super) trait Samples {
    /// Goes through all of them, in any order, the same each time.
    fn each(&self, visit: impl FnMut(Sample));

    /// The same, each with the partition of its input; 0 for all where that is not known.
    fn each_of_partition(&self, mut visit: impl FnMut(usize, Sample)) {
        self.each(|sample| visit(0, sample));
    }
}

/// How the measuring phase ended, and where its logs go.
#[derive(Clone, Copy, Debug)]
pub struct Phase<'a> {
    /// When waiting for outputs ended, µs since the Unix epoch.
    pub deadline_us: i64,
    /// Where to write the interval log of update latency, if anywhere.
    pub interval_log: Option<&'a Path>,
    /// Where to write the interval log of close latency, if anywhere.
    pub close_log: Option<&'a Path>,
}

impl Phase<'_> {
    /// A phase without logs.
    pub fn until(deadline_us: i64) -> Self {
        Self { deadline_us, interval_log: None, close_log: None }
    }
}

/// One second of the measuring phase. Percentiles are of the events intended for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Second {
    /// Its start, s from the start of the measuring phase.
    pub second: i64,
    /// Samples: expected events that are intended for it, in each of their windows.
    pub count: u64,
    /// Median update latency, µs.
    pub p50_us: u64,
    /// 99th percentile, µs.
    pub p99_us: u64,
    /// Maximum, µs.
    pub max_us: u64,
    /// Samples that were due by its end and had not come out by then.
    pub backlog: i64,
}

/// A time in which nothing came out although input waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// Its start, µs from the start of the measuring phase.
    pub from_us: i64,
    /// Its length, µs.
    pub length_us: i64,
}

/// A sample that took longer than the 99th percentile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailSample {
    /// The event's intended time, µs from the start of the measuring phase.
    pub scheduled_us: i64,
    /// Its latency, µs; one at the deadline where nothing covered it by then.
    pub latency_us: i64,
}

/// What the walk through the samples adds up.
pub(super) struct Timeline {
    pub latency: Histogram,
    pub halves: (Histogram, Histogram),
    pub cycles: Cycles,
    pub censored: u64,
    pub least_censored_us: Option<i64>,
    pub negative: u64,
    pub min_us: i64,
    pub max_us: i64,
    pub seconds: Vec<Second>,
    pub stall_share: f64,
    pub stall_share_worst_partition: f64,
    pub stall_max_us: i64,
    pub stalls: Vec<Stall>,
    pub tail: Vec<TailSample>,
}

/// Goes through the samples and works the measuring phase out; writes the interval log where asked to.
pub(super) fn timeline(samples: &impl Samples, scope: &Scope, phase: &Phase<'_>) -> Result<Timeline> {
    let deadline_us = phase.deadline_us;
    let mut timeline = match phase.interval_log {
        Some(path) => IntervalLog { path, from_us: scope.measure.0 }
            .stream(|write| Timeline::of(samples, scope, deadline_us, write)),
        None => Timeline::of(samples, scope, deadline_us, &mut |_, _| Ok(()))
            .map_err(|error| Error::io("cannot write", Path::new("the interval log"), error)),
    }?;
    timeline.cycles = Cycles::of(samples, &scope.cycles, deadline_us);
    timeline.stall_share_worst_partition =
        worst_partition(samples, scope.measure).unwrap_or(timeline.stall_share);
    Ok(timeline)
}

/// The greatest stall share of an input partition, in slices of 10 ms or more; `None` for less than two partitions.
fn worst_partition(samples: &impl Samples, measure: (i64, i64)) -> Option<f64> {
    let slice_us = ((measure.1 - measure.0) / PARTITION_SLICES).max(10_000);
    let mut partitions: Vec<Activity> = Vec::new();
    samples.each_of_partition(|partition, sample| {
        if partition >= partitions.len() {
            partitions.resize_with(partition + 1, || Activity::new(measure, slice_us));
        }
        partitions[partition].add(&sample);
    });
    (partitions.len() > 1).then(|| partitions.iter().map(Activity::stall_share).fold(0.0, f64::max))
}

/// Where the first half ends and the second begins: in the middle or, where there are cycles, such that both have
/// the same number of whole ones. Of an odd number the middle one is in neither.
fn halves(scope: &Scope) -> (i64, i64) {
    let (from_us, to_us) = scope.measure;
    match scope.cycles.len().checked_sub(1) {
        None => (i64::midpoint(from_us, to_us), i64::midpoint(from_us, to_us)),
        Some(cycles) => (scope.cycles[cycles / 2], scope.cycles[cycles - cycles / 2]),
    }
}

/// The samples above a threshold, by intended time.
fn tail(
    samples: &impl Samples,
    (from_us, to_us): (i64, i64),
    deadline_us: i64,
    above_us: i64,
) -> Vec<TailSample> {
    let mut tail = Vec::new();
    samples.each(|sample| {
        let latency_us = sample.by(deadline_us);
        if latency_us > above_us && (from_us..to_us).contains(&sample.scheduled_us) {
            tail.push(TailSample { scheduled_us: sample.scheduled_us - from_us, latency_us });
        }
    });
    tail.sort_unstable_by_key(|sample| sample.scheduled_us);
    tail
}

impl Timeline {
    /// Gives each second's histogram, with its length in µs, to `log`.
    fn of(
        samples: &impl Samples,
        scope: &Scope,
        deadline_us: i64,
        log: &mut dyn FnMut(&Histogram, i64) -> io::Result<()>,
    ) -> io::Result<Self> {
        let measure = scope.measure;
        let (from_us, to_us) = measure;
        let activity = Activity::of(samples, measure);
        let stalls = activity.stalls();
        let mut timeline = Self {
            latency: Histogram::new(),
            halves: (Histogram::new(), Histogram::new()),
            cycles: Cycles::default(),
            censored: 0,
            least_censored_us: None,
            negative: 0,
            min_us: i64::MAX,
            max_us: i64::MIN,
            seconds: Vec::new(),
            stall_share: activity.share_of(&stalls),
            stall_share_worst_partition: 0.0,
            stall_max_us: stalls.iter().map(|stall| stall.length_us).max().unwrap_or(0),
            stalls,
            tail: Vec::new(),
        };
        let (first_to_us, second_from_us) = halves(scope);
        let mut between = Histogram::new();
        let seconds = (to_us - from_us + SECOND_US - 1) / SECOND_US;
        let mut histograms = vec![Histogram::new(); seconds.min(BLOCK as i64) as usize];
        // Blocks of seconds, each filled by one walk: events may be in any order of time.
        for block in (0..seconds).step_by(BLOCK) {
            histograms.truncate((seconds - block) as usize);
            histograms.iter_mut().for_each(Histogram::clear);
            samples.each(|sample| {
                let second = (sample.scheduled_us - from_us).div_euclid(SECOND_US) - block;
                if !(0..histograms.len() as i64).contains(&second) || sample.scheduled_us >= to_us {
                    return;
                }
                let sample_us = timeline.sample(&sample, deadline_us);
                histograms[second as usize].record(sample_us);
                if sample.scheduled_us < first_to_us {
                    timeline.halves.0.record(sample_us);
                } else if sample.scheduled_us >= second_from_us {
                    timeline.halves.1.record(sample_us);
                } else {
                    between.record(sample_us);
                }
            });
            for (histogram, second) in histograms.iter().zip(block..) {
                let start_us = from_us + second * SECOND_US;
                let end_us = (start_us + SECOND_US).min(to_us);
                timeline.seconds.push(Second {
                    second,
                    count: histogram.count(),
                    p50_us: histogram.percentile(50.0),
                    p99_us: histogram.percentile(99.0),
                    max_us: histogram.max(),
                    backlog: activity.backlog_at(end_us),
                });
                log(histogram, end_us - start_us)?;
            }
        }
        timeline.latency.merge(&timeline.halves.0);
        timeline.latency.merge(&timeline.halves.1);
        timeline.latency.merge(&between);
        if timeline.latency.count() == 0 {
            (timeline.min_us, timeline.max_us) = (0, 0);
        }
        timeline.tail = tail(samples, measure, deadline_us, timeline.latency.percentile(99.0) as i64);
        Ok(timeline)
    }

    /// The latency to record, µs; one at the deadline, censored, where nothing covered it by then.
    fn sample(&mut self, sample: &Sample, deadline_us: i64) -> i64 {
        let limit_us = deadline_us - sample.scheduled_us;
        let sample_us = match sample.latency_us {
            Some(latency_us) if latency_us <= limit_us => latency_us,
            _ => {
                self.censored += 1;
                self.least_censored_us =
                    Some(self.least_censored_us.map_or(limit_us, |least| least.min(limit_us)));
                limit_us
            }
        };
        self.negative += u64::from(sample_us < 0);
        self.min_us = self.min_us.min(sample_us);
        self.max_us = self.max_us.max(sample_us);
        sample_us
    }
}

/// How many samples became due and how many came out in each slice of the measuring phase.
#[derive(Clone)]
struct Activity {
    from_us: i64,
    slice_us: i64,
    length_us: i64,
    waiting_before: i64,
    due: Vec<u32>,
    out: Vec<u32>,
}

impl Activity {
    fn of(samples: &impl Samples, measure: (i64, i64)) -> Self {
        // 1 ms, and 10 ms for phases of more than an hour, to bound the memory.
        let slice_us = if measure.1 - measure.0 <= 3600 * SECOND_US { 1_000 } else { 10_000 };
        let mut activity = Self::new(measure, slice_us);
        samples.each(|sample| activity.add(&sample));
        activity
    }

    fn new((from_us, to_us): (i64, i64), slice_us: i64) -> Self {
        let length_us = to_us - from_us;
        let slices = ((length_us + slice_us - 1) / slice_us) as usize;
        Self { from_us, slice_us, length_us, waiting_before: 0, due: vec![0; slices], out: vec![0; slices] }
    }

    fn add(&mut self, sample: &Sample) {
        self.count(sample.due_us, true);
        if let Some(latency_us) = sample.latency_us {
            self.count(sample.scheduled_us + latency_us, false);
        }
    }

    fn count(&mut self, at_us: i64, due: bool) {
        if at_us < self.from_us {
            self.waiting_before += if due { 1 } else { -1 };
        } else if at_us < self.from_us + self.length_us {
            let slice = ((at_us - self.from_us) / self.slice_us) as usize;
            let counts = if due { &mut self.due } else { &mut self.out };
            counts[slice] += 1;
        }
    }

    fn backlog_at(&self, at_us: i64) -> i64 {
        let slices = (((at_us - self.from_us) / self.slice_us) as usize).min(self.due.len());
        let sum = |counts: &[u32]| counts[..slices].iter().map(|&count| i64::from(count)).sum::<i64>();
        self.waiting_before + sum(&self.due) - sum(&self.out)
    }

    fn stall_share(&self) -> f64 {
        self.share_of(&self.stalls())
    }

    fn share_of(&self, stalls: &[Stall]) -> f64 {
        let stalled_us: i64 = stalls.iter().map(|stall| stall.length_us).sum();
        stalled_us.min(self.length_us) as f64 / self.length_us.max(1) as f64
    }

    /// The stalls, in order of time.
    fn stalls(&self) -> Vec<Stall> {
        let mut stalls = Vec::new();
        let (mut waiting, mut run_us, mut now_us) = (self.waiting_before, 0, 0);
        let mut close = |run_us: &mut i64, now_us: i64| {
            if *run_us > STALL_US {
                stalls.push(Stall { from_us: now_us - *run_us, length_us: *run_us });
            }
            *run_us = 0;
        };
        for (&due, &out) in self.due.iter().zip(&self.out) {
            if out == 0 && waiting + i64::from(due) > 0 {
                run_us += self.slice_us;
            } else {
                close(&mut run_us, now_us);
            }
            now_us += self.slice_us;
            waiting += i64::from(due) - i64::from(out);
        }
        close(&mut run_us, now_us);
        stalls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_700_000_000_000_000;

    struct Listed(Vec<Sample>);

    impl Samples for Listed {
        fn each(&self, visit: impl FnMut(Sample)) {
            self.0.iter().copied().for_each(visit);
        }
    }

    fn listed(events: &[(i64, Option<i64>)]) -> Listed {
        let sample = |&(at_us, latency_us): &(i64, Option<i64>)| Sample {
            scheduled_us: START + at_us,
            due_us: START + at_us,
            latency_us,
        };
        Listed(events.iter().map(sample).collect())
    }

    fn worked_out(events: &[(i64, Option<i64>)], measure: (i64, i64), deadline_us: i64) -> Timeline {
        timeline(&listed(events), &Scope::of(measure), &Phase::until(deadline_us)).unwrap()
    }

    #[test]
    fn final_results_are_waited_for_from_when_they_are_due() {
        // An event each 100 ms; all results are due at 5 s and come 50 ms later.
        let mut events =
            listed(&(0..40).map(|n| (n * 100_000, Some(5_050_000 - n * 100_000))).collect::<Vec<_>>());
        for sample in &mut events.0 {
            sample.due_us = START + 5_000_000;
        }
        let scope = Scope::of((START, START + 6_000_000));
        let timeline = timeline(&events, &scope, &Phase::until(START + 9_000_000)).unwrap();
        assert!(timeline.stall_share < f64::EPSILON);
        assert!(timeline.seconds.iter().all(|second| second.backlog == 0));
        assert_eq!((timeline.min_us, timeline.max_us), (1_150_000, 5_050_000));
    }

    #[test]
    fn a_pause_of_half_a_second_is_a_stall_and_a_backlog() {
        // One event a ms for 4 s, 2 ms each; nothing comes out from 1.0 s to 1.5 s.
        let events: Vec<_> = (0..4_000)
            .map(|ms: i64| {
                let out_ms = ms + 2;
                let out_ms = if (1_000..1_500).contains(&out_ms) { 1_500 } else { out_ms };
                (ms * 1_000, Some((out_ms - ms) * 1_000))
            })
            .collect();
        let timeline = worked_out(&events, (START, START + 4_000_000), START + 10_000_000);
        assert!((timeline.stall_share - 0.125).abs() < 0.001, "{}", timeline.stall_share);
        assert!((timeline.stall_max_us - 500_000).abs() <= 2_000, "{}", timeline.stall_max_us);
        let &[Stall { from_us, length_us }] = timeline.stalls.as_slice() else {
            panic!("{:?}", timeline.stalls)
        };
        assert!((from_us - 1_000_000).abs() <= 2_000 && length_us == timeline.stall_max_us);
        assert!(timeline.tail.len() <= 40 && timeline.tail.iter().all(|sample| sample.latency_us > 400_000));
        assert!(timeline.tail.iter().all(|sample| (998_000..1_100_000).contains(&sample.scheduled_us)));
        assert_eq!(timeline.seconds.len(), 4);
        assert_eq!(timeline.seconds[0].backlog, 2);
        assert_eq!(timeline.seconds[1].count, 1_000);
        assert_eq!(timeline.seconds[3].p50_us, 2_000);
        assert_eq!(timeline.latency.count(), 4_000);
        assert_eq!((timeline.min_us, timeline.max_us, timeline.censored), (2_000, 502_000, 0));
    }

    /// Events of several partitions.
    struct Partitioned(Vec<Listed>);

    impl Samples for Partitioned {
        fn each(&self, mut visit: impl FnMut(Sample)) {
            self.0.iter().for_each(|partition| partition.each(&mut visit));
        }

        fn each_of_partition(&self, mut visit: impl FnMut(usize, Sample)) {
            for (number, partition) in self.0.iter().enumerate() {
                partition.each(|sample| visit(number, sample));
            }
        }
    }

    #[test]
    fn one_stalled_partition_of_two_shows_though_the_other_hides_it() {
        let event = |ms: i64, out_ms: i64| (ms * 1_000, Some((out_ms - ms) * 1_000));
        let steady: Vec<_> = (0..4_000).map(|ms| event(ms, ms + 2)).collect();
        // Nothing of it comes out from 1.0 s to 1.5 s.
        let stalled: Vec<_> =
            (0..4_000).map(|ms| event(ms, if (998..1_498).contains(&ms) { 1_500 } else { ms + 2 })).collect();
        let scope = Scope::of((START, START + 4_000_000));
        let phase = Phase::until(START + 10_000_000);
        let both = Partitioned(vec![listed(&steady), listed(&stalled)]);
        let both = timeline(&both, &scope, &phase).unwrap();
        assert!(both.stall_share < f64::EPSILON);
        assert!(
            (both.stall_share_worst_partition - 0.125).abs() < 0.006,
            "{}",
            both.stall_share_worst_partition
        );
        let alone = timeline(&listed(&stalled), &scope, &phase).unwrap();
        assert!((alone.stall_share - alone.stall_share_worst_partition).abs() < f64::EPSILON);
    }

    #[test]
    fn waiting_for_input_is_no_stall() {
        let timeline = worked_out(
            &[(0, Some(1_000)), (1_900_000, Some(1_000))],
            (START, START + 2_000_000),
            START + 3_000_000,
        );
        assert!(timeline.stall_share < f64::EPSILON);
    }

    #[test]
    fn halves_hold_whole_cycles() {
        // A sawtooth: each cycle of 2 s ends the wait of all its events. Halves of 3 s would differ by a factor.
        let sawtooth = |cycles: i64| {
            let events: Vec<_> =
                (0..cycles * 2_000).map(|ms: i64| (ms * 1_000, Some((2_000 - ms % 2_000) * 1_000))).collect();
            let measure = (START, START + cycles * 2_000_000);
            let boundaries = (0..=cycles).map(|cycle| START + cycle * 2_000_000).collect();
            let scope = Scope { cycles: boundaries, ..Scope::of(measure) };
            timeline(&listed(&events), &scope, &Phase::until(START + 99_000_000)).unwrap()
        };
        for (cycles, half) in [(1, 0), (2, 2_000), (3, 2_000), (4, 4_000)] {
            let timeline = sawtooth(cycles);
            assert_eq!((timeline.halves.0.count(), timeline.halves.1.count()), (half, half), "{cycles}");
            assert!(timeline.halves.0 == timeline.halves.1, "{cycles}");
            assert_eq!(timeline.latency.count(), cycles as u64 * 2_000);
            assert_eq!(timeline.cycles.each().len() as i64, cycles);
            assert!(
                timeline.cycles.each().iter().all(|cycle| (cycle.count, cycle.max_us) == (2_000, 2_000_000))
            );
        }
    }

    #[test]
    fn what_is_not_covered_by_the_deadline_is_censored() {
        let timeline = worked_out(
            &[(0, Some(1_000)), (10_000, None), (20_000, Some(5_000_000)), (30_000, Some(-7))],
            (START, START + 1_000_000),
            START + 2_000_000,
        );
        assert_eq!((timeline.censored, timeline.least_censored_us), (2, Some(1_980_000)));
        assert_eq!((timeline.negative, timeline.min_us, timeline.max_us), (1, -7, 1_990_000));
        assert_eq!(timeline.latency.count(), 4);
    }

    #[test]
    fn only_the_measuring_phase_gives_samples() {
        let events: Vec<_> = (0..300).map(|second| (second * 1_000_000, Some(1_000 + second))).collect();
        let window = (START + 100_000_000, START + 199_500_000);
        let timeline = worked_out(&events, window, START + 400_000_000);
        assert_eq!(timeline.latency.count(), 100);
        assert_eq!(timeline.seconds.len(), 100);
        assert!(timeline.seconds.iter().all(|second| second.count == 1 && second.backlog == 0));
        assert_eq!((timeline.halves.0.count(), timeline.halves.1.count()), (50, 50));
        assert_eq!((timeline.min_us, timeline.max_us), (1_100, 1_199));
    }
}
