//! The hot paths, one event at a time: `cargo bench`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rtmbench::event::{Record, TimestampField};
use rtmbench::histogram::Histogram;
use rtmbench::kafka::consumer::Message;
use rtmbench::oracle::{Oracle, Rules, Scope};
use rtmbench::schedule::Schedule;
use rtmbench::template::{Template, Templates};
use rtmbench::workload::Workload;

const START: i64 = 1_700_000_000_000_000;
const EVENTS: u64 = 1 << 14;

/// A workload of padded or plain records, and its first records.
fn records(payload_bytes: Option<usize>) -> (Workload, Vec<Vec<u8>>) {
    let plain = Workload::new(7, 100, None).unwrap();
    let workload = match payload_bytes {
        None => plain,
        Some(bytes) => plain.with_payload_bytes(bytes).unwrap(),
    };
    let records = (0..EVENTS).map(|index| {
        let mut record = Vec::new();
        workload.encode(index, &workload.event(index, START + index as i64 * 100), &mut record);
        record
    });
    let records = records.collect();
    (workload, records)
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(1));
    let text = r#"{"n":{{i}},"at":"{{scheduled_at_iso}}"}"#;
    let templates = Templates::new(vec![Template::new(text, None).unwrap()]).unwrap();
    for (name, workload) in [
        ("plain", records(None).0),
        ("1000 bytes", records(Some(1_000)).0),
        ("template with an ISO 8601 time", records(None).0.with_templates(templates)),
    ] {
        let schedule = Schedule::Constant { rate: 10_000.0 };
        let mut arrivals = schedule.arrivals(0);
        let (mut key, mut payload) = (Vec::with_capacity(64), Vec::with_capacity(1_024));
        let mut index = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let event = workload.event(index, START + arrivals.next_us());
                event.encode_key(&mut key);
                workload.encode(index, &event, &mut payload);
                index += 1;
                black_box((key.len(), payload.len()))
            });
        });
    }
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let field = TimestampField::new("scheduled_at_us");
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(1));
    for (name, bytes) in [("plain", None), ("1000 bytes", Some(1_000))] {
        let (_, records) = records(bytes);
        let mut all = records.iter().cycle();
        group.bench_function(format!("time stamp, {name}"), |bencher| {
            bencher.iter(|| field.decode(black_box(all.next().unwrap())).unwrap());
        });
        group.bench_function(format!("all fields, {name}"), |bencher| {
            bencher.iter(|| black_box(Record::decode(black_box(all.next().unwrap())).unwrap().value));
        });
    }
    let text = br#"{"n":123456,"at":"2023-11-14T22:13:20.123456Z"}"#;
    let at = TimestampField::new("at");
    group.bench_function("time stamp, ISO 8601", |bencher| {
        bencher.iter(|| at.decode(black_box(text)).unwrap());
    });
    let spaced = br#"{ "event_id": "x", "scheduled_at_us": 1700000000123456, "value": 1.5 }"#;
    group.bench_function("time stamp, strict fallback", |bencher| {
        bencher.iter(|| field.decode(black_box(spaced)).unwrap());
    });
    group.finish();
}

fn record(criterion: &mut Criterion) {
    let field = TimestampField::new("scheduled_at_us");
    let (_, records) = records(None);
    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Elements(1));
    let mut histogram = Histogram::new();
    let mut us = 0_i64;
    group.bench_function("histogram", |bencher| {
        bencher.iter(|| {
            us = (us + 997) % 100_000;
            histogram.record(black_box(us));
        });
    });
    let (mut total, mut live) = (Histogram::new(), Histogram::new());
    let mut all = records.iter().cycle();
    // What a received event costs: its time stamp, and two histograms.
    group.bench_function("decode and record", |bencher| {
        bencher.iter(|| {
            let at_us = field.decode(black_box(all.next().unwrap())).unwrap().at_us;
            let latency_us = START + 2_000_000 - at_us;
            total.record(latency_us);
            live.record(latency_us);
        });
    });
    group.finish();
}

fn oracle(criterion: &mut Criterion) {
    let (workload, records) = records(None);
    let mut group = criterion.benchmark_group("oracle");
    group.sample_size(20);
    group.throughput(Throughput::Elements(EVENTS));
    let keys: Vec<Vec<u8>> = (0..EVENTS)
        .map(|index| {
            let mut key = Vec::new();
            workload.event(index, START).encode_key(&mut key);
            key
        })
        .collect();
    let message = |index: usize| Message {
        partition: 0,
        offset: index as i64,
        key: Some(&keys[index]),
        payload: Some(&records[index]),
        append_ms: Some(START / 1_000),
        ..Message::default()
    };
    let new = |pattern| {
        let rules = Rules::of(pattern, "row", None, None, 10_000).unwrap();
        Oracle::new(&workload, rules, Scope::of((START, START + 2_000_000)), 1)
    };
    let received_us = Some(START + 2_000_000);
    group.bench_function("transport", |bencher| {
        bencher.iter(|| {
            let mut oracle = new("transport");
            for index in 0..records.len() {
                oracle.transported(message(index), received_us).unwrap();
            }
            black_box(&oracle);
        });
    });
    group.bench_function("relay, input and output", |bencher| {
        bencher.iter(|| {
            let mut oracle = new("relay");
            for index in 0..records.len() {
                oracle.input(message(index)).unwrap();
                oracle.output(message(index), received_us);
            }
            black_box(&oracle);
        });
    });
    group.finish();
}

criterion_group!(benches, encode, decode, record, oracle);
criterion_main!(benches);
