//! Inputs and outputs of a trial as lists of records, without a broker.

use rtmbench::Error;
use rtmbench::kafka::consumer::Message;
use rtmbench::kafka::partitioner::partition_of;
use rtmbench::oracle::{Oracle, Phase, Rules, Scope, Verdict};
use rtmbench::workload::Workload;

pub const START: i64 = 1_700_000_000_000_000;
pub const EVENTS: u64 = 400;
pub const INTERVAL_US: i64 = 1_000;
pub const LATENCY_US: i64 = 2_500;
/// Of the input topic and of the output topic.
pub const PARTITIONS: u32 = 4;

/// A record and when it was received.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub received_us: Option<i64>,
}

/// Numbers that a seed determines.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }
}

pub fn workload() -> Workload {
    Workload::new(7, 10, None).unwrap()
}

pub fn measure() -> (i64, i64) {
    (START, START + EVENTS as i64 * INTERVAL_US)
}

pub fn scope() -> Scope {
    Scope { offending_limit: 1_000, ..Scope::of(measure()) }
}

pub fn stored(workload: &Workload, index: u64) -> Stored {
    stored_at(workload, index, START + index as i64 * INTERVAL_US)
}

pub fn stored_at(workload: &Workload, index: u64, at_us: i64) -> Stored {
    let event = workload.event(index, at_us);
    let (mut key, mut payload) = (Vec::new(), Vec::new());
    event.encode_key(&mut key);
    event.encode(&mut payload);
    Stored {
        partition: partition_of(&key, PARTITIONS),
        key: Some(key),
        payload: Some(payload),
        received_us: Some(at_us + LATENCY_US),
    }
}

pub fn input(workload: &Workload) -> Vec<Stored> {
    (0..EVENTS).map(|index| stored(workload, index)).collect()
}

/// Gives each record its offset and hands it on.
pub fn each(records: &[Stored], mut handle: impl FnMut(Message<'_>, Option<i64>)) {
    let mut next = [0_i64; 64];
    for record in records {
        let offset = &mut next[record.partition as usize];
        let message = Message {
            partition: record.partition,
            offset: *offset,
            key: record.key.as_deref(),
            payload: record.payload.as_deref(),
            append_ms: record.received_us.map(|us| us / 1000),
            ..Message::default()
        };
        *offset += 1;
        handle(message, record.received_us);
    }
}

/// Judges an output of the usual input.
pub fn judge(workload: &Workload, rules: Rules, scope: &Scope, output: &[Stored]) -> Result<Verdict, Error> {
    judge_input(workload, rules, scope, &input(workload), output, measure().1 + 10_000_000)
}

/// Judges an output of any input.
pub fn judge_input(
    workload: &Workload,
    rules: Rules,
    scope: &Scope,
    input: &[Stored],
    output: &[Stored],
    deadline_us: i64,
) -> Result<Verdict, Error> {
    let mut oracle = Oracle::new(workload, rules, scope.clone(), PARTITIONS);
    each(input, |message, _| oracle.input(message).unwrap());
    oracle.input_ended();
    each(output, |message, received_us| oracle.output(message, received_us));
    oracle.conclude(&Phase::until(deadline_us))
}

pub fn kinds(verdict: &Verdict) -> Vec<&'static str> {
    verdict.offending.iter().map(|offence| offence.kind).collect()
}

pub fn edited(record: &Stored, from: &str, to: &str) -> Stored {
    let text = String::from_utf8(record.payload.clone().unwrap()).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    Stored { payload: Some(text.replacen(from, to, 1).into_bytes()), ..record.clone() }
}

/// `"name":value` as it stands in a record.
pub fn field(record: &Stored, name: &str) -> String {
    let text = String::from_utf8(record.payload.clone().unwrap()).unwrap();
    let from = text.find(&format!("\"{name}\":")).unwrap();
    let rest = &text[from..];
    rest[..rest.find([',', '}']).unwrap()].to_owned()
}

/// The integer in a field.
pub fn number(record: &Stored, name: &str) -> i64 {
    field(record, name).rsplit(':').next().unwrap().parse().unwrap()
}

/// Outputs of one partition that were received from 100 to 300 ms after the start all come at 300 ms: half of the
/// measuring phase.
pub fn delay_partition(output: &mut [Stored], partition: i32) {
    for record in output.iter_mut().filter(|record| record.partition == partition) {
        let held = |us: &i64| (START + 100_000..START + 300_000).contains(us);
        if record.received_us.as_ref().is_some_and(held) {
            record.received_us = Some(START + 300_000);
        }
    }
}
