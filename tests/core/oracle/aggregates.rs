//! Patterns 02 to 04: each mutant of a correct output is caught, and legal repetitions raise no alarm.

use rtmbench::oracle::{Emission, Verdict};
use rtmbench::workload::Workload;

use super::engine::{Arrival, DELAY_MS, JOBS, Job, WINDOW_MS, input_of};
use super::stored::{
    EVENTS, INTERVAL_US, LATENCY_US, Numbers, START, Stored, delay_partition, edited, field, judge_input,
    kinds, measure, number, scope, workload,
};

const MUTANTS: u64 = 500;

fn arrivals() -> Vec<Arrival> {
    (0..EVENTS).map(|index| (index, START + index as i64 * INTERVAL_US)).collect()
}

fn judge_within(job: Job, output: &[Stored], restarts: &[(i64, i64)]) -> Verdict {
    let workload = workload();
    let mut scope = scope();
    scope.restarts = restarts.to_vec();
    let input = input_of(&workload, &arrivals());
    judge_input(&workload, job.rules(), &scope, &input, output, measure().1 + 10_000_000).unwrap()
}

fn judge(job: Job, output: &[Stored]) -> Verdict {
    judge_within(job, output, &[])
}

fn same_group(left: &Stored, right: &Stored, job: Job) -> bool {
    left.key == right.key
        && (job.windows.is_none() || number(left, "window_start") == number(right, "window_start"))
}

#[test]
fn correct_outputs_are_correct() {
    let workload = workload();
    for job in JOBS {
        let output = job.output(&workload, &arrivals(), LATENCY_US);
        let verdict = judge(job, &output);
        assert!(verdict.is_correct(), "{job:?}: {:?}", verdict.offending);
        let counts = verdict.counts;
        assert_eq!((counts.produced, counts.received), (EVENTS, output.len() as u64));
        let starts = |&(_, at_us): &Arrival| job.starts(at_us);
        let due =
            |start: &i64| job.emission != Emission::Close || Job::closes(&workload, *start, &arrivals());
        let samples = arrivals().iter().flat_map(starts).filter(due).count() as u64;
        assert_eq!(
            (counts.expected, verdict.latency.count(), verdict.censored),
            (samples, samples, 0),
            "{job:?}"
        );
        assert_eq!(verdict.seconds[0].count, samples);
        if job.emission == Emission::Update {
            assert_eq!((verdict.min_us, verdict.max_us), (LATENCY_US, LATENCY_US));
            assert_eq!(job.rules().expected_outputs(&workload, 0, EVENTS), Some(samples));
        } else {
            assert_eq!(job.rules().expected_outputs(&workload, 0, EVENTS), None);
        }
        assert_eq!(verdict.hops.named().len(), 3);
    }
}

#[test]
fn a_window_that_closes_is_one_observation_of_close_latency() {
    for job in JOBS.iter().filter(|job| job.emission == Emission::Close) {
        let verdict = judge(*job, &job.output(&workload(), &arrivals(), LATENCY_US));
        let mut windows: Vec<i64> = arrivals().iter().flat_map(|&(_, at_us)| job.starts(at_us)).collect();
        windows.sort_unstable();
        windows.dedup();
        windows.retain(|&start| Job::closes(&workload(), start, &arrivals()));
        let close = verdict.close_latency.unwrap();
        assert_eq!(close.count(), windows.len() as u64);
        // The last of ten keys, unless a short window lacks it.
        assert_eq!(close.max(), LATENCY_US as u64 + 10);
        // No stall: nothing is waited for before it is due, and then it comes.
        assert!(verdict.stall_share < f64::EPSILON);
    }
    assert!(judge(JOBS[0], &[]).close_latency.is_none());
}

#[test]
fn windows_on_the_edge_may_close_or_not() {
    let job = JOBS[2];
    let workload = workload();
    // The last event is exactly at window end + delay, or 1 ms to either side of it.
    for (past_ms, may, must) in [(-1, false, false), (0, true, false), (1, true, true)] {
        let from = START / 1000 / WINDOW_MS * WINDOW_MS * 1000;
        let last_us = from + (WINDOW_MS + DELAY_MS + past_ms) * 1000;
        let mut all: Vec<Arrival> = (0..40).map(|index| (index, from + index as i64 * 1000)).collect();
        // One event of that time for each partition.
        all.extend((40..140).map(|index| (index, last_us)));
        let first: Vec<Arrival> = all[..40].to_vec();
        let mut output = job.output(&workload, &first, LATENCY_US);
        assert!(output.is_empty());
        let closing: Vec<Arrival> =
            all.iter().map(|&(index, at_us)| (index, at_us + i64::from(index >= 40) * 10_000_000)).collect();
        output = job.output(&workload, &closing, LATENCY_US);
        let input = input_of(&workload, &all);
        let scope = scope();
        let closed = judge_input(&workload, job.rules(), &scope, &input, &output, last_us + 1).unwrap();
        assert_eq!(closed.is_correct(), may, "{past_ms}: {:?}", closed.offending);
        let open = judge_input(&workload, job.rules(), &scope, &input, &[], last_us + 1).unwrap();
        assert_eq!(open.is_correct(), !must, "{past_ms}");
        assert_eq!(open.counts.expected, if must { 40 } else { 0 });
    }
}

/// Mutates a correct output; says what was done, and what it may be called.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of mutant")]
fn mutate(
    job: Job,
    output: &mut Vec<Stored>,
    numbers: &mut Numbers,
    choice: u64,
) -> Option<(&'static str, &'static [&'static str])> {
    let at = numbers.below(output.len());
    let victim = output[at].clone();
    let later = |output: &[Stored], at: usize| {
        (at + 1..output.len()).find(|&later| same_group(&output[later], &victim, job))
    };
    let last = (0..output.len()).rfind(|&last| same_group(&output[last], &victim, job))?;
    let replace = |output: &mut Vec<Stored>, name: &str, by: i64| {
        let seen = number(&victim, name);
        output[at] = edited(&victim, &field(&victim, name), &format!("\"{name}\":{}", seen + by));
    };
    let by = [-1, 1, -1000, 1000, 7][numbers.below(5)];
    Some(match choice {
        0 => {
            output.remove(last);
            ("final value missing", &["missing"])
        }
        1 => {
            // Dropping one of a batch that is not the last is a coarser batch: correct.
            let next = later(output, at)?;
            if job.emission != Emission::Update {
                return None;
            }
            output.remove(at);
            assert!(next > at);
            ("drop", &["gap"])
        }
        2 => {
            let to = at + numbers.below(output.len() - at);
            output.insert(to + 1, victim);
            ("duplicate", &["duplicate", "order"])
        }
        3 => {
            let next = later(output, at)?;
            output.swap(at, next);
            ("reorder within a key", &["gap", "order", "duplicate"])
        }
        4 => {
            replace(output, "count", by);
            ("count", &["altered", "gap", "order"])
        }
        5 => {
            replace(output, "produced_at", by);
            ("produced_at", &["altered"])
        }
        6 => {
            replace(output, "scheduled_at_us", by);
            ("scheduled_at_us", &["altered"])
        }
        7 => {
            if job.pattern != "03" {
                replace(output, "sum", by);
                return Some(("sum", &["altered"]));
            }
            let text = field(&victim, "avg");
            let seen: f64 = text.rsplit(':').next().unwrap().parse().unwrap();
            let wrong = [seen + 1e-6, seen * (1.0 + 1e-9), seen - 1.0, 0.0, -seen][numbers.below(5)];
            output[at] = edited(&victim, &text, &format!("\"avg\":{wrong:?}"));
            ("avg", &["altered"])
        }
        8 => {
            job.windows?;
            let slide = job.windows?.1;
            let by = [1, -1, slide, -slide, 10 * WINDOW_MS, 1 << 40][numbers.below(6)];
            let start = format!("\"window_start\":{}", number(&victim, "window_start") + by);
            let moved = edited(&victim, &field(&victim, "window_start"), &start);
            let end = format!("\"window_end\":{}", number(&victim, "window_end") + by);
            output[at] = edited(&moved, &field(&victim, "window_end"), &end);
            ("wrong window", &["window", "open", "altered", "gap", "order", "duplicate", "missing"])
        }
        9 => {
            job.windows?;
            replace(output, "window_end", by);
            ("window_end", &["altered"])
        }
        10 => {
            let other = Workload::new(8, 10, None).unwrap();
            let others = job.output(&other, &arrivals(), LATENCY_US);
            let record = others[numbers.below(others.len())].clone();
            // Another run may well have counted one event at the same time; then it is a duplicate.
            output.insert(at, record);
            ("other run's record", &["altered", "duplicate", "order", "gap", "early", "window"])
        }
        11 => {
            let shifted: Vec<Arrival> =
                arrivals().into_iter().map(|(index, at_us)| (index, at_us - 86_400_000_000)).collect();
            let others = job.output(&workload(), &shifted, LATENCY_US);
            output.insert(at, others[numbers.below(others.len())].clone());
            ("yesterday's record", &["altered", "window"])
        }
        12 => {
            let key = format!("user_{}", [0, 11, 999][numbers.below(3)]);
            let other = edited(&victim, &field(&victim, "key"), &format!("\"key\":\"{key}\""));
            output[at] = Stored { key: Some(key.into_bytes()), ..other };
            ("unknown key", &["foreign"])
        }
        13 => {
            output[at].key = if numbers.below(2) == 0 { None } else { Some(b"user_999".to_vec()) };
            ("Kafka key", &["key"])
        }
        14 => {
            // A count that falls: one that came before comes again, with what was right then.
            let earlier = (0..at).find(|&earlier| same_group(&output[earlier], &victim, job))?;
            let again = output[earlier].clone();
            output.insert(at + 1, again);
            ("decreasing count", &["order", "duplicate"])
        }
        15 => {
            output[at].partition = (victim.partition + 1 + numbers.below(3) as i32) % 4;
            ("other partition", &["partition"])
        }
        16 => {
            let payload = victim.payload.clone().unwrap();
            let cut = numbers.below(payload.len());
            output.insert(at, Stored { payload: Some(payload[..cut].to_vec()), ..victim });
            ("truncated", &["malformed"])
        }
        _ => {
            if job.emission != Emission::Close {
                return None;
            }
            // A result of a window that is still open, right as far as it goes.
            let update = Job { emission: Emission::Update, ..job };
            let updates = update.output(&workload(), &arrivals(), LATENCY_US);
            let open = updates.iter().rfind(|record| record.key == victim.key).unwrap().clone();
            output.push(open);
            ("open window", &["open"])
        }
    })
}

#[test]
fn a_thousand_mutants_of_each_pattern_are_caught() {
    let workload = workload();
    for job in JOBS {
        let correct = job.output(&workload, &arrivals(), LATENCY_US);
        let mut caught = 0;
        for seed in 0.. {
            let mut numbers = Numbers(seed);
            let mut output = correct.clone();
            let Some((what, names)) = mutate(job, &mut output, &mut numbers, seed % 18) else { continue };
            if output == correct {
                continue;
            }
            let verdict = judge(job, &output);
            assert!(!verdict.is_correct(), "{job:?} seed {seed}: {what} was not caught");
            let kinds = kinds(&verdict);
            assert!(
                names.iter().any(|name| kinds.contains(name)),
                "{job:?} seed {seed}: {what} is {kinds:?}"
            );
            caught += 1;
            if caught == MUTANTS {
                break;
            }
        }
    }
}

#[test]
fn a_partition_that_nobody_read_is_named() {
    for job in JOBS {
        let output = job.output(&workload(), &arrivals(), LATENCY_US);
        let all = judge(job, &output);
        assert!(all.unread_partitions.is_empty(), "{job:?}");
        let bytes = output.iter().map(|record| record.payload.as_ref().unwrap().len() as u64).sum::<u64>();
        assert_eq!(all.output_bytes, bytes);
        for unread in 0..4 {
            let read: Vec<_> = output.iter().filter(|record| record.partition != unread).cloned().collect();
            assert_eq!(judge(job, &read).unread_partitions, [unread], "{job:?}");
        }
    }
}

#[test]
fn a_stall_of_one_partition_shows_beside_the_others() {
    for job in [JOBS[0], JOBS[3], JOBS[6]] {
        let mut output = job.output(&workload(), &arrivals(), LATENCY_US);
        delay_partition(&mut output, 1);
        let verdict = judge(job, &output);
        assert!(verdict.stall_share < f64::EPSILON, "{job:?}: {}", verdict.stall_share);
        let worst = verdict.stall_share_worst_partition;
        assert!((worst - 0.5).abs() < 0.06, "{job:?}: {worst}");
    }
}

#[test]
fn an_event_that_is_counted_twice_does_not_hide_a_dropped_one() {
    let workload = workload();
    for job in JOBS.iter().filter(|job| job.emission != Emission::Update) {
        // The 100th event is lost, and another of its key and of all of its windows is counted twice.
        let dropped = 100_usize;
        let (index, at_us) = arrivals()[dropped];
        let event = workload.event(index, at_us);
        let counted_twice = (0..EVENTS as usize)
            .find(|&other| {
                let (index, other_us) = arrivals()[other];
                let candidate = workload.event(index, other_us);
                candidate.key == event.key
                    && candidate.value != event.value
                    && job.starts(other_us) == job.starts(at_us)
            })
            .unwrap();
        let mut counted = arrivals();
        counted[dropped] = (counted[counted_twice].0, at_us);
        let output = job.output(&workload, &counted, LATENCY_US);
        let correct = job.output(&workload, &arrivals(), LATENCY_US);
        let counts =
            |output: &[Stored]| output.iter().map(|record| number(record, "count")).collect::<Vec<_>>();
        assert_eq!(counts(&output), counts(&correct));
        let verdict = judge(*job, &output);
        assert!(verdict.counts.wrong > 0, "{job:?}");
        let field = if job.pattern == "03" { "`avg` is" } else { "`sum` is" };
        assert!(verdict.offending.iter().all(|offence| offence.detail.contains(field)), "{job:?}");
    }
}

#[test]
fn a_result_without_its_sum_is_malformed() {
    for job in [JOBS[0], JOBS[1], JOBS[2], JOBS[6], JOBS[7]] {
        let mut output = job.output(&workload(), &arrivals(), LATENCY_US);
        let sum = format!("{},", field(&output[0], "sum"));
        output[0] = edited(&output[0], &sum, "");
        let verdict = judge(job, &output);
        assert_eq!(kinds(&verdict)[0], "malformed", "{job:?}");
        assert!(verdict.offending[0].detail.contains("missing field `sum`"), "{job:?}");
    }
}

#[test]
fn an_engine_that_writes_all_keys_to_one_partition_is_wrong() {
    for job in JOBS {
        let mut output = job.output(&workload(), &arrivals(), LATENCY_US);
        let moved = output.iter().filter(|record| record.partition != 0).count() as u64;
        for record in &mut output {
            record.partition = 0;
        }
        let verdict = judge(job, &output);
        assert_eq!((verdict.counts.wrong, verdict.counts.missing), (moved, 0), "{job:?}");
        assert!(moved > 0 && kinds(&verdict).iter().all(|kind| *kind == "partition"));
    }
}

#[test]
fn repetitions_inside_a_restart_window_are_legal_and_no_others() {
    let workload = workload();
    for job in JOBS {
        let output = job.output(&workload, &arrivals(), LATENCY_US);
        for seed in 0..100 {
            let mut numbers = Numbers(seed);
            let crash = numbers.below(output.len());
            let committed = crash - numbers.below(crash.min(30) + 1);
            let mut repeated = output[..=crash].to_vec();
            repeated.extend(output[committed..].iter().cloned());
            let times = output[committed..=crash].iter().map(|record| match job.emission {
                Emission::Close => (number(record, "window_end") + DELAY_MS) * 1000,
                _ => number(record, "scheduled_at_us"),
            });
            let window = (times.clone().min().unwrap(), times.max().unwrap() + 1);
            let verdict = judge_within(job, &repeated, &[(0, 1), window]);
            assert!(verdict.is_correct(), "{job:?} seed {seed}: {:?}", verdict.offending);
            let duplicates = (crash - committed + 1) as u64;
            assert_eq!((verdict.counts.duplicate, verdict.legal_duplicates), (duplicates, duplicates));
            let plain = judge(job, &output);
            assert!(verdict.latency == plain.latency, "{job:?} seed {seed}");
            // A window that misses one of them excuses not all.
            for short in [(window.0 + 1, window.1), (window.0, window.1 - 1)] {
                let verdict = judge_within(job, &repeated, &[short]);
                assert!(!verdict.is_correct(), "{job:?} seed {seed}");
            }
            // Nor does any window excuse what is altered.
            let at = crash + 1 + numbers.below(crash - committed + 1);
            let scheduled = number(&repeated[at], "scheduled_at_us");
            let altered = format!("\"scheduled_at_us\":{}", scheduled - 1);
            repeated[at] = edited(&repeated[at], &field(&repeated[at], "scheduled_at_us"), &altered);
            assert!(!judge_within(job, &repeated, &[window]).is_correct(), "{job:?} seed {seed}");
        }
    }
}

#[test]
fn reformatted_json_with_other_fields_is_the_same_record() {
    for job in JOBS {
        let mut output = job.output(&workload(), &arrivals(), LATENCY_US);
        for record in &mut output {
            let text = String::from_utf8(record.payload.clone().unwrap()).unwrap();
            let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
            value["batch"] = serde_json::json!({ "id": [1, null] });
            record.payload = Some(serde_json::to_vec_pretty(&value).unwrap());
        }
        let verdict = judge(job, &output);
        assert!(verdict.is_correct(), "{job:?}: {:?}", verdict.offending);
    }
}

#[test]
fn a_mean_in_another_last_digit_is_right() {
    let job = JOBS[3];
    let mut output = job.output(&workload(), &arrivals(), LATENCY_US);
    for record in &mut output {
        let text = field(record, "avg");
        let seen: f64 = text.rsplit(':').next().unwrap().parse().unwrap();
        let near = f64::from_bits(seen.to_bits() + 1);
        *record = edited(record, &text, &format!("\"avg\":{near:?}"));
    }
    assert!(judge(job, &output).is_correct());
}

#[test]
fn an_empty_output_misses_every_sample() {
    for job in JOBS {
        let verdict = judge(job, &[]);
        assert_eq!(verdict.counts.missing, verdict.counts.expected);
        assert_eq!(verdict.censored, verdict.counts.expected);
        assert!(verdict.counts.missing > 0 && verdict.ge(0.1));
    }
}
