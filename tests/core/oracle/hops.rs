//! Hops are signed, and their means add up to the mean latency of the same outputs.

use rtmbench::kafka::consumer::Message;
use rtmbench::oracle::{Identity, Oracle, Phase, Rules, Verdict};

use super::stored::{
    EVENTS, INTERVAL_US, Numbers, PARTITIONS, START, Stored, input, measure, scope, workload,
};

/// When a broker stamps a record that it gets at a time in µs: the ms are rounded down.
fn stamp(at_us: i64) -> i64 {
    at_us.div_euclid(1000)
}

/// The times of one event, µs after it is intended: the appends to both topics, and the receipt.
#[derive(Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "every time says its unit")]
struct Way {
    input_us: i64,
    output_us: i64,
    received_us: i64,
}

fn ways() -> Vec<Way> {
    let mut numbers = Numbers(3);
    (0..EVENTS)
        .map(|_| {
            // A broker whose clock is up to 1 ms behind stamps before the intended time.
            let input_us = numbers.below(2_000) as i64 - 1_000;
            let output_us = input_us + numbers.below(400) as i64;
            Way { input_us, output_us, received_us: output_us + numbers.below(300) as i64 }
        })
        .collect()
}

fn message(record: &Stored, offset: usize, append_ms: i64) -> Message<'_> {
    Message {
        partition: record.partition,
        offset: offset as i64,
        key: record.key.as_deref(),
        payload: record.payload.as_deref(),
        append_ms: Some(append_ms),
        ..Message::default()
    }
}

fn judge(identity: Identity) -> Verdict {
    let (workload, records) = (workload(), input(&workload()));
    let mut oracle = Oracle::new(&workload, Rules::Identity(identity), scope(), PARTITIONS);
    let timed = || records.iter().zip(ways()).enumerate();
    let intended_us = |offset: usize| START + offset as i64 * INTERVAL_US;
    for (offset, (record, way)) in timed() {
        let at_us = intended_us(offset);
        let message = message(record, offset, stamp(at_us + way.input_us));
        match identity {
            Identity::Transport => oracle.transported(message, Some(at_us + way.received_us)).unwrap(),
            _ => oracle.input(message).unwrap(),
        }
    }
    oracle.input_ended();
    if identity != Identity::Transport {
        for (offset, (record, way)) in timed() {
            let at_us = intended_us(offset);
            let message = message(record, offset, stamp(at_us + way.output_us));
            oracle.output(message, Some(at_us + way.received_us));
        }
    }
    oracle.conclude(&Phase::until(measure().1 + 1_000_000)).unwrap()
}

#[test]
fn means_of_the_hops_add_up_to_the_mean_latency() {
    let mean = ways().iter().map(|way| way.received_us as f64).sum::<f64>() / EVENTS as f64;
    for (identity, hops) in [(Identity::Relay, 3), (Identity::Transport, 2)] {
        let verdict = judge(identity);
        assert!(verdict.is_correct(), "{:?}", verdict.offending);
        let named = verdict.hops.named();
        assert_eq!(named.len(), hops);
        assert!(named.iter().all(|(_, hop)| hop.count() == EVENTS));
        let sum: f64 = named.iter().map(|(_, hop)| hop.mean()).sum();
        assert!((sum - mean).abs() < 1.0, "{identity:?}: {sum} and {mean}");
    }
}

#[test]
fn a_hop_below_zero_stays_below_zero() {
    let hops = judge(Identity::Relay).hops;
    let input = &hops.scheduled_to_input;
    assert!(input.negative() > EVENTS / 4, "{}", input.negative());
    assert_eq!((input.percentile(1.0), input.min()), (-500, -500));
    // Rounding down to the ms is no bias.
    let mean = ways().iter().map(|way| way.input_us as f64).sum::<f64>() / EVENTS as f64;
    assert!((input.mean() - mean).abs() < 60.0, "{} and {mean}", input.mean());
}
