//! Latencies against an obviously correct computation: for each event and window, look through all outputs.

use proptest::prelude::*;
use rtmbench::oracle::{Emission, Scope, Verdict};
use rtmbench::workload::Workload;

use super::engine::{Arrival, JOBS, Job, input_of};
use super::stored::{START, Stored, judge_input, number};

/// The latency of each event in each window that has to come out: the first receipt of any output of its key
/// and window that counts at least as many events as there are up to it.
fn brute_force(
    job: Job,
    workload: &Workload,
    arrivals: &[Arrival],
    output: &[Stored],
    deadline_us: i64,
) -> Vec<(i64, i64, bool)> {
    let mut samples = Vec::new();
    let outputs: Vec<_> = output
        .iter()
        .map(|record| {
            let start = job.windows.map_or(0, |_| number(record, "window_start"));
            let key = String::from_utf8(record.key.clone().unwrap()).unwrap();
            (key, start, number(record, "count"), record.received_us.unwrap())
        })
        .collect();
    for (position, &(index, at_us)) in arrivals.iter().enumerate() {
        let key = workload.event(index, at_us).key;
        for start in job.starts(at_us) {
            if job.emission == Emission::Close && !Job::closes(workload, start, arrivals) {
                continue;
            }
            let same = |&&(other, other_us): &&Arrival| {
                workload.event(other, other_us).key == key && job.starts(other_us).contains(&start)
            };
            let ordinal = arrivals[..=position].iter().filter(same).count() as i64;
            let name = format!("user_{key}");
            let covers = |output: &&(String, i64, i64, i64)| {
                output.0 == name && output.1 == start && output.2 >= ordinal
            };
            let received = outputs.iter().filter(covers).map(|output| output.3).min();
            match received {
                Some(received_us) if received_us <= deadline_us => {
                    samples.push((at_us, received_us - at_us, false));
                }
                _ => {
                    samples.push((at_us, deadline_us - at_us, true));
                }
            }
        }
    }
    samples
}

fn check(verdict: &Verdict, samples: &[(i64, i64, bool)]) -> Result<(), TestCaseError> {
    let mut histogram = rtmbench::histogram::Histogram::new();
    for &(_, latency_us, _) in samples {
        histogram.record(latency_us);
    }
    prop_assert!(verdict.latency == histogram, "other latencies");
    prop_assert_eq!(verdict.censored, samples.iter().filter(|sample| sample.2).count() as u64);
    let latencies = || samples.iter().map(|sample| sample.1);
    prop_assert_eq!(verdict.min_us, latencies().min().unwrap_or(0));
    prop_assert_eq!(verdict.max_us, latencies().max().unwrap_or(0));
    prop_assert_eq!(verdict.seconds.iter().map(|second| second.count).sum::<u64>(), samples.len() as u64);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Events of any spacing, keys in several partitions, part of the output dropped at the end, repetitions, and
    /// latencies of any length.
    #[test]
    fn every_event_is_timed_as_by_brute_force(
        gaps in prop::collection::vec(0..9_000_i64, 1..150),
        seed in 0..1000_u64,
        keys in 1..12_u32,
        latency_us in 1..400_000_i64,
        kept in 0.3..1.0_f64,
        repeated in 0..20_usize,
        measured in 0.0..0.9_f64,
    ) {
        let workload = Workload::new(seed, keys, None).unwrap();
        let mut at_us = START;
        let arrivals: Vec<Arrival> = gaps.iter().zip(0..).map(|(gap, index)| { at_us += gap; (index, at_us) }).collect();
        let input = input_of(&workload, &arrivals);
        let deadline_us = at_us + 300_000;
        let from_us = START + ((at_us - START) as f64 * measured) as i64;
        let scope = Scope::of((from_us, at_us + 1));
        for job in JOBS {
            let mut output = job.output(&workload, &arrivals, latency_us);
            output.truncate((output.len() as f64 * kept) as usize);
            if !output.is_empty() {
                let from = output.len().saturating_sub(repeated);
                let later = output[from..].iter().map(|record| Stored {
                    received_us: record.received_us.map(|us| us + 1_000_000), ..record.clone()
                });
                output.extend(later.collect::<Vec<_>>());
            }
            let verdict = judge_input(&workload, job.rules(), &scope, &input, &output, deadline_us).unwrap();
            let mut samples = brute_force(job, &workload, &arrivals, &output, deadline_us);
            samples.retain(|sample| sample.0 >= from_us);
            check(&verdict, &samples)?;
        }
    }

    /// Events out of the order of time within a key: coverage goes by offset order all the same.
    #[test]
    fn events_out_of_order_are_counted_by_offset(
        times in prop::collection::vec(0..500_000_i64, 1..120),
        seed in 0..1000_u64,
        keys in 1..6_u32,
    ) {
        let workload = Workload::new(seed, keys, None).unwrap();
        let arrivals: Vec<Arrival> = times.iter().zip(0..).map(|(at_us, index)| (index, START + at_us)).collect();
        let input = input_of(&workload, &arrivals);
        let scope = Scope::of((START, START + 500_000));
        for job in JOBS.iter().filter(|job| job.emission != Emission::Close) {
            let output = job.output(&workload, &arrivals, 700_000);
            let verdict = judge_input(&workload, job.rules(), &scope, &input, &output, START + 9_000_000).unwrap();
            prop_assert!(verdict.is_correct(), "{:?}: {:?}", job, verdict.offending);
            check(&verdict, &brute_force(*job, &workload, &arrivals, &output, START + 9_000_000))?;
        }
    }
}

#[test]
fn an_output_each_second_shows_the_latency_of_every_event() {
    // One key, an event each 10 ms for 5 s, one output a second, received 5 ms after the last event in it.
    let job = JOBS[7];
    let workload = Workload::new(1, 1, None).unwrap();
    let arrivals: Vec<Arrival> = (0..500).map(|index| (index, START + index as i64 * 10_000)).collect();
    let mut output = Vec::new();
    let all = Job { emission: Emission::Update, ..job }.output(&workload, &arrivals, 5_000);
    for second in 1..=5 {
        output.push(all[second * 100 - 1].clone());
    }
    let scope = Scope::of((START, START + 5_000_000));
    let input = input_of(&workload, &arrivals);
    let verdict = judge_input(&workload, job.rules(), &scope, &input, &output, START + 9_000_000).unwrap();
    assert!(verdict.is_correct());
    assert_eq!(verdict.latency.count(), 500);
    // 5 ms for the youngest of an output, 995 ms for the oldest.
    assert_eq!((verdict.min_us, verdict.max_us), (5_000, 995_000));
    assert!(verdict.latency.percentile(50.0).abs_diff(495_000) < 1_000);
    assert!(verdict.stall_share > 0.9);
}
