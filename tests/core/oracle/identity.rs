//! Pattern 01 and the floors: each mutant of a correct output is caught, and by its name.

use rtmbench::Error;
use rtmbench::event::EventType;
use rtmbench::kafka::partitioner::partition_of;
use rtmbench::oracle::{Identity, Oracle, Passthrough, Phase, Rules, Scope, Verdict};
use rtmbench::workload::Workload;

use super::stored::{
    EVENTS, INTERVAL_US, LATENCY_US, Numbers, START, Stored, delay_partition, each, edited, field, input,
    judge as judged, kinds, measure, scope, stored, workload,
};

fn correct_output(workload: &Workload) -> Vec<Stored> {
    (0..EVENTS)
        .filter(|&index| workload.event(index, 0).event_type != EventType::View)
        .map(|index| stored(workload, index))
        .collect()
}

fn judge(output: &[Stored]) -> Result<Verdict, Error> {
    judged(&workload(), Rules::Identity(Identity::ClicksAndPurchases), &scope(), output)
}

#[test]
fn a_correct_output_is_correct() {
    let output = correct_output(&workload());
    let verdict = judge(&output).unwrap();
    assert!(verdict.is_correct(), "{:?}", verdict.offending);
    assert_eq!(verdict.counts.produced, EVENTS);
    assert_eq!(verdict.counts.expected, output.len() as u64);
    assert_eq!(verdict.counts.received, output.len() as u64);
    assert_eq!(verdict.latency.count(), output.len() as u64);
    assert_eq!((verdict.min_us, verdict.max_us, verdict.censored), (LATENCY_US, LATENCY_US, 0));
    assert_eq!(verdict.hops.named().len(), 3);
    assert_eq!(
        Identity::ClicksAndPurchases.expected_outputs(&workload(), 0, EVENTS),
        verdict.counts.expected
    );
}

#[test]
fn another_order_of_keys_and_another_number_of_partitions_are_correct() {
    let workload = workload();
    let mut output = correct_output(&workload);
    // Whole keys one after the other.
    output.sort_by_key(|record| record.key.clone());
    assert!(judge(&output).unwrap().is_correct());
    // More partitions than the input has.
    for record in &mut output {
        record.partition = partition_of(record.key.as_ref().unwrap(), 30);
    }
    let scope = scope();
    let mut oracle = Passthrough::new(&workload, Identity::ClicksAndPurchases, scope, 30);
    each(&input(&workload), |message, _| oracle.input(message).unwrap());
    each(&output, |message, received_us| oracle.output(message, received_us));
    let verdict = oracle.conclude(&Phase::until(measure().1 + 10_000_000)).unwrap();
    assert!(verdict.is_correct(), "{:?}", verdict.offending);
}

#[test]
fn a_partition_that_the_key_does_not_hash_to_is_wrong() {
    let workload = workload();
    for rules in [Rules::Identity(Identity::ClicksAndPurchases), Rules::Identity(Identity::Relay)] {
        let correct = match rules {
            Rules::Identity(Identity::Relay) => input(&workload),
            _ => correct_output(&workload),
        };
        // Everything in one partition: half of the work for broker and consumer.
        let mut output = correct.clone();
        let moved = output.iter().filter(|record| record.partition != 0).count() as u64;
        for record in &mut output {
            record.partition = 0;
        }
        let verdict = judged(&workload, rules, &scope(), &output).unwrap();
        assert_eq!((verdict.counts.wrong, verdict.counts.missing), (moved, 0));
        assert!(moved > 0 && kinds(&verdict).iter().all(|kind| *kind == "partition"));
        assert!(verdict.offending[0].detail.contains("it is in partition 0; its key belongs in"));
        // Another Kafka key is one offence, not two.
        let mut output = correct;
        output[0].key = Some(b"user_999".to_vec());
        output[0].partition = (output[0].partition + 1) % 4;
        assert_eq!(kinds(&judged(&workload, rules, &scope(), &output).unwrap()), ["key"]);
    }
}

#[test]
fn an_empty_output_misses_everything_and_every_sample_is_censored() {
    let verdict = judge(&[]).unwrap();
    assert_eq!(verdict.counts.missing, verdict.counts.expected);
    assert_eq!(verdict.censored, verdict.counts.expected);
    assert!(verdict.ge(0.1) && verdict.ge(99.9));
    assert!(verdict.stall_share > 0.99);
    assert_eq!(kinds(&verdict).len() as u64, verdict.counts.missing);
}

#[test]
fn a_thousand_mutants_are_caught() {
    let workload = workload();
    let correct = correct_output(&workload);
    let foreign_workload = Workload::new(8, 10, None).unwrap();
    for seed in 0..1_400_u64 {
        let mut numbers = Numbers(seed);
        let mut output = correct.clone();
        let at = numbers.below(output.len());
        let victim = output[at].clone();
        let (expected_kind, what): (&str, &str) = match seed % 14 {
            0 => {
                output.remove(at);
                ("missing", "drop")
            }
            1 => {
                let to = at + numbers.below(output.len() - at);
                output.insert(to + 1, victim);
                ("duplicate", "duplicate")
            }
            2 => {
                let value = field(&victim, "value");
                output[at] = edited(&victim, &value, &format!("{value}1"));
                ("altered", "value")
            }
            3 => {
                let time = field(&victim, "scheduled_at_us");
                output[at] = edited(&victim, &time, "\"scheduled_at_us\":1700000000000001");
                ("altered", "scheduled_at_us")
            }
            4 => {
                let time = field(&victim, "produced_at");
                output[at] = edited(&victim, &time, "\"produced_at\":1699999999999");
                ("altered", "produced_at")
            }
            5 => {
                output[at] = edited(&victim, "\"event_type\":\"", "\"event_type\":\"x");
                ("altered", "event_type")
            }
            6 => {
                output[at] = edited(&victim, "\"key\":\"user_", "\"key\":\"user_9");
                ("altered", "key field")
            }
            7 => {
                output[at].key = match numbers.below(2) {
                    0 => None,
                    _ => Some(b"user_999".to_vec()),
                };
                ("key", "Kafka key")
            }
            8 => {
                // The next record of the same key comes first.
                let Some(later) = (at + 1..output.len()).find(|&later| output[later].key == victim.key)
                else {
                    continue;
                };
                output.swap(at, later);
                ("order", "reorder within a key")
            }
            9 => {
                output.insert(at, stored(&foreign_workload, at as u64));
                ("foreign", "another run's record")
            }
            10 => {
                let index = EVENTS + numbers.below(1_000) as u64;
                output.insert(at, stored(&workload, index));
                ("foreign", "an event that was never sent")
            }
            11 => {
                let view = (0..EVENTS)
                    .map(|index| (index + at as u64) % EVENTS)
                    .find(|&index| workload.event(index, 0).event_type == EventType::View)
                    .unwrap();
                output.insert(at, stored(&workload, view));
                ("filtered", "a filtered event")
            }
            12 => {
                let payload = victim.payload.clone().unwrap();
                let cut = numbers.below(payload.len());
                output.insert(at, Stored { payload: Some(payload[..cut].to_vec()), ..victim });
                ("malformed", "truncated")
            }
            _ => {
                output.insert(at, Stored { payload: None, ..victim });
                ("malformed", "tombstone")
            }
        };
        let verdict = judge(&output).unwrap();
        assert!(!verdict.is_correct(), "seed {seed}: {what} was not caught");
        assert!(
            kinds(&verdict).contains(&expected_kind),
            "seed {seed}: {what} was called {:?}",
            kinds(&verdict)
        );
    }
}

#[test]
fn a_partition_that_nobody_read_is_named() {
    let workload = workload();
    let output = correct_output(&workload);
    let verdict = judge(&output).unwrap();
    assert!(verdict.unread_partitions.is_empty());
    let bytes =
        |records: &[Stored]| records.iter().map(|one| one.payload.as_ref().unwrap().len() as u64).sum();
    assert_eq!((verdict.input_bytes, verdict.output_bytes), (bytes(&input(&workload)), bytes(&output)));
    let without = |unread: &[i32]| {
        let read = output.iter().filter(|record| !unread.contains(&record.partition));
        judge(&read.cloned().collect::<Vec<_>>()).unwrap().unread_partitions
    };
    assert_eq!(without(&[2]), [2]);
    assert_eq!(without(&[0, 1, 2, 3]), [0, 1, 2, 3]);
    // One output of a partition shows that it is read, whatever else is missing.
    let one = output.iter().find(|record| record.partition == 2).unwrap().clone();
    assert_eq!(judge(&[one]).unwrap().unread_partitions, [0, 1, 3]);
}

#[test]
fn a_stall_of_one_partition_shows_beside_the_others() {
    let workload = workload();
    let mut output = input(&workload);
    delay_partition(&mut output, 1);
    let verdict = judged(&workload, Rules::Identity(Identity::Relay), &scope(), &output).unwrap();
    assert!(verdict.stall_share < f64::EPSILON, "{}", verdict.stall_share);
    let worst = verdict.stall_share_worst_partition;
    assert!((worst - 0.5).abs() < 0.06, "{worst}");
}

#[test]
fn an_altered_event_still_counts_as_covered() {
    let mut output = correct_output(&workload());
    let value = field(&output[5], "value");
    output[5] = edited(&output[5], &value, "\"value\":1001");
    let counts = judge(&output).unwrap().counts;
    assert_eq!((counts.wrong, counts.missing, counts.unexpected), (1, 0, 0));
}

#[test]
fn a_duplicate_adds_no_sample_and_the_first_receipt_counts() {
    let mut output = correct_output(&workload());
    let mut copy = output[3].clone();
    copy.received_us = copy.received_us.map(|us| us + 5_000_000);
    output.push(copy);
    let verdict = judge(&output).unwrap();
    assert_eq!((verdict.counts.duplicate, verdict.counts.wrong), (1, 0));
    assert_eq!(verdict.latency.count(), verdict.counts.expected);
    assert_eq!(verdict.max_us, LATENCY_US);
}

#[test]
fn reformatted_json_is_the_same_record() {
    let mut output = correct_output(&workload());
    for record in &mut output {
        let value: serde_json::Value = serde_json::from_slice(record.payload.as_ref().unwrap()).unwrap();
        record.payload = Some(serde_json::to_vec_pretty(&value).unwrap());
    }
    assert!(judge(&output).unwrap().is_correct());
}

#[test]
fn outputs_without_a_receipt_are_our_fault_not_the_engines() {
    let mut output = correct_output(&workload());
    output[9].received_us = None;
    let error = judge(&output).unwrap_err();
    assert!(matches!(&error, Error::Harness(message) if message.contains("1 of ")), "{error}");
}

#[test]
fn an_input_that_is_not_this_runs_is_a_harness_fault() {
    let workload = workload();
    let other_run = Workload::new(8, 10, None).unwrap();
    let good = stored(&workload, 1);
    let value = field(&good, "value");
    for (bad, why) in [
        (stored(&other_run, 1), "another seed"),
        (edited(&good, &value, "\"value\":1001"), "differs"),
        (Stored { payload: None, ..good.clone() }, "tombstone"),
        (Stored { payload: Some(b"{}".to_vec()), ..good.clone() }, "no event"),
        (Stored { key: None, ..good.clone() }, "differs"),
        (stored(&workload, 0), "second time"),
    ] {
        let mut oracle =
            Passthrough::new(&workload, Identity::ClicksAndPurchases, Scope::of((START, START + 1)), 4);
        let mut outcomes = Vec::new();
        each(&[stored(&workload, 0), bad], |message, _| outcomes.push(oracle.input(message)));
        assert!(outcomes[0].is_ok());
        let message = outcomes[1].as_ref().unwrap_err().to_string();
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn a_relay_hands_everything_on() {
    let workload = workload();
    let rules = Rules::Identity(Identity::Relay);
    let output = input(&workload);
    let verdict = judged(&workload, rules, &scope(), &output).unwrap();
    assert!(verdict.is_correct(), "{:?}", verdict.offending);
    assert_eq!((verdict.counts.expected, verdict.hops.named().len()), (EVENTS, 3));
    for seed in 0..300 {
        let mut numbers = Numbers(seed);
        let mut output = output.clone();
        let at = numbers.below(output.len());
        let victim = output[at].clone();
        match seed % 3 {
            0 => drop(output.remove(at)),
            1 => output.push(victim),
            _ => {
                let value = field(&victim, "value");
                output[at] = edited(&victim, &value, &format!("{value}0"));
            }
        }
        assert!(!judged(&workload, rules, &scope(), &output).unwrap().is_correct(), "seed {seed}");
    }
}

#[test]
fn a_topic_that_is_input_and_output_is_judged_in_one_look_as_in_two() {
    let workload = workload();
    let twice = judged(&workload, Rules::Identity(Identity::Relay), &scope(), &input(&workload)).unwrap();
    let phase = Phase::until(measure().1 + 10_000_000);
    let judge_once = |records: &[Stored]| {
        let mut oracle = Oracle::new(&workload, Rules::Identity(Identity::Transport), scope(), 4);
        let mut fault = None;
        each(records, |message, received_us| {
            fault = fault.take().or(oracle.transported(message, received_us).err());
        });
        fault.map_or_else(|| oracle.conclude(&phase), Err)
    };
    let once = judge_once(&input(&workload)).unwrap();
    assert!(once.is_correct() && once.counts == twice.counts, "{:?}", once.counts);
    assert_eq!((once.min_us, once.max_us, once.censored), (twice.min_us, twice.max_us, twice.censored));
    assert_eq!((&once.latency, &once.seconds), (&twice.latency, &twice.seconds));
    assert_eq!((&once.stalls, &once.tail), (&twice.stalls, &twice.tail));
    assert_eq!((&once.unread_partitions, once.input_bytes), (&Vec::new(), twice.input_bytes));
    assert_eq!((once.output_bytes, twice.output_bytes), (once.input_bytes, once.input_bytes));
    // From the input's append to the output's there is no hop: it is the same record.
    assert_eq!((once.hops.named().len(), twice.hops.named().len()), (2, 3));
    let mut unreceived = input(&workload);
    unreceived[7].received_us = None;
    let mut altered = input(&workload);
    altered[7] = edited(&altered[7], &field(&altered[7], "value"), "\"value\":1001");
    let mut repeated = input(&workload);
    repeated.push(repeated[9].clone());
    for (records, why) in [(unreceived, "1 of 400"), (altered, "differs"), (repeated, "second time")] {
        let message = judge_once(&records).unwrap_err().to_string();
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn repetitions_inside_a_restart_window_are_legal_and_no_others() {
    let workload = workload();
    let output = correct_output(&workload);
    for seed in 0..200 {
        let mut numbers = Numbers(seed);
        // The engine dies after `crash` and starts again at `committed`.
        let crash = 20 + numbers.below(output.len() - 20);
        let committed = crash - numbers.below(20);
        let mut repeated = output[..=crash].to_vec();
        repeated.extend(output[committed..].iter().cloned());
        let time = |at: usize| output[at].received_us.unwrap() - LATENCY_US;
        let mut scope = scope();
        scope.restarts = vec![(time(committed), time(crash) + INTERVAL_US)];
        let rules = Rules::Identity(Identity::ClicksAndPurchases);
        let verdict = judged(&workload, rules, &scope, &repeated).unwrap();
        assert!(verdict.is_correct(), "seed {seed}: {:?}", verdict.offending);
        let duplicates = (crash - committed + 1) as u64;
        assert_eq!((verdict.counts.duplicate, verdict.legal_duplicates), (duplicates, duplicates));
        assert_eq!(verdict.latency.count(), output.len() as u64);
        scope.restarts[0].0 += 1;
        assert!(!judged(&workload, rules, &scope, &repeated).unwrap().is_correct(), "seed {seed}");
    }
}
