//! Shards, padding, the slip log and the relay on librdkafka's mock cluster.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rtmbench::clock::{self, Precision};
use rtmbench::event::{EventId, Record, TimestampField};
use rtmbench::generate::{Generator, GeneratorReport, GeneratorSettings, Shard};
use rtmbench::kafka::consumer::read_whole;
use rtmbench::kafka::{KafkaConfig, topics};
use rtmbench::measure::{ConsumerSettings, LatencyConsumer, TimestampSource};
use rtmbench::relay::{Relay, RelaySettings};
use rtmbench::schedule::Schedule;
use rtmbench::template::{Template, Templates};
use rtmbench::workload::Workload;
use rtmbench::{Error, Stop};

const LONG: Duration = Duration::from_secs(20);
const PARTITIONS: i32 = 3;

struct Kafka {
    cluster: MockCluster<'static, DefaultProducerContext>,
    properties: Vec<(String, String)>,
    config: KafkaConfig,
}

/// A record with where it lies.
type Stored = (i32, i64, Vec<u8>, Vec<u8>);

impl Kafka {
    fn start(topics: &[&str]) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        for topic in topics {
            cluster.create_topic(topic, PARTITIONS, 1).unwrap();
        }
        let properties = [
            ("bootstrap.servers".to_owned(), cluster.bootstrap_servers()),
            ("fetch.wait.max.ms".to_owned(), "1".to_owned()),
        ];
        let config = KafkaConfig::new(properties.clone()).unwrap();
        Self { cluster, properties: properties.to_vec(), config }
    }

    /// Sets a property of every client from now on.
    fn set(&mut self, name: &str, value: &str) {
        self.properties.push((name.to_owned(), value.to_owned()));
        self.config = KafkaConfig::new(self.properties.clone()).unwrap();
    }

    fn settings(&self, topic: &str, workload: Workload) -> GeneratorSettings {
        GeneratorSettings {
            config: self.config.clone(),
            topic: topic.to_owned(),
            workload: Arc::new(workload),
            schedule: Schedule::Constant { rate: 5_000.0 },
            count: Some(2_000),
            duration: None,
            first_index: 0,
            start_us: None,
            measure: None,
            precision: Precision::DEFAULT,
            shard: None,
            slip_log: None,
        }
    }

    fn ends(&self, topic: &str) -> Vec<i64> {
        let bounds = topics::bounds(&self.config, topic, LONG, &Stop::new()).unwrap();
        bounds.iter().map(|bounds| bounds.end).collect()
    }

    fn stored(&self, topic: &str) -> Vec<Stored> {
        let mut stored = Vec::new();
        read_whole(&self.config, topic, &self.ends(topic), LONG, &Stop::new(), |message| {
            let bytes = |part: Option<&[u8]>| part.unwrap().to_vec();
            stored.push((message.partition, message.offset, bytes(message.key), bytes(message.payload)));
            Ok(())
        })
        .unwrap();
        stored
    }
}

fn run(settings: GeneratorSettings) -> Arc<GeneratorReport> {
    let generator = Generator::new(settings).unwrap();
    generator.start().unwrap();
    generator.wait(LONG).expect("the generator ends").unwrap()
}

/// Each key's records in their order.
fn by_key(stored: Vec<Stored>) -> BTreeMap<Vec<u8>, Vec<(i32, Vec<u8>)>> {
    let mut keys: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (partition, _, key, payload) in stored {
        keys.entry(key).or_default().push((partition, payload));
    }
    keys
}

#[test]
fn the_shards_together_are_the_whole() {
    let kafka = Kafka::start(&["whole", "shards"]);
    let workload = || Workload::new(3, 40, Some(1.1)).unwrap().with_payload_bytes(300).unwrap();
    let start_us = clock::now_us() + 200_000;
    let whole = run(GeneratorSettings {
        start_us: Some(start_us),
        first_index: 17,
        ..kafka.settings("whole", workload())
    });
    assert_eq!((whole.generated, whole.next_index), (2_000, 2_017));
    // The same start, although it lies in the past by now: indices and times are the workload's.
    let generators: Vec<Generator> = (1..=3)
        .map(|number| {
            let shard = Some(Shard::new(number, 3).unwrap());
            let settings = kafka.settings("shards", workload());
            let settings = GeneratorSettings { start_us: Some(start_us), first_index: 17, shard, ..settings };
            Generator::new(settings).unwrap()
        })
        .collect();
    for generator in &generators {
        generator.start().unwrap();
    }
    let reports: Vec<_> = generators.iter().map(|each| each.wait(LONG).unwrap().unwrap()).collect();
    assert!(reports.iter().all(|report| report.generated > 0 && report.generated < 2_000));
    assert!(reports.iter().all(|report| report.next_index == 2_017));
    assert_eq!(reports.iter().map(|report| report.acked).sum::<u64>(), 2_000);
    let (one, many) = (kafka.stored("whole"), kafka.stored("shards"));
    assert_eq!(many.len(), 2_000);
    assert!(many.iter().all(|(_, _, _, payload)| payload.len() == 300));
    assert_eq!(by_key(one), by_key(many));
    for bad in [(0, 2), (3, 2), (1, 0)] {
        assert!(matches!(Shard::new(bad.0, bad.1), Err(Error::Invalid(_))));
    }
}

#[test]
fn records_of_the_users_own_go_by_their_own_keys() {
    let kafka = Kafka::start(&["orders"]);
    let texts = [
        Template::new(r#"{"order":{{i}},"at":{{scheduled_at_us}}}"#, Some(b"ann")),
        Template::new(r#"{"order":{{i}},"at":{{scheduled_at_us}}}"#, Some(b"")),
        Template::new(&format!(r#"{{"order":{{{{i}}}},"note":"{}"}}"#, "x".repeat(70_000)), None),
    ];
    let templates = Templates::new(texts.into_iter().collect::<Result<_, _>>().unwrap()).unwrap();
    let workload = Workload::new(3, 40, None).unwrap().with_templates(templates);
    let report = run(GeneratorSettings { count: Some(300), ..kafka.settings("orders", workload) });
    assert_eq!((report.acked, report.failed), (300, 0));
    let keys = by_key(kafka.stored("orders"));
    for (key, first) in [(&b"ann"[..], 0), (b"", 1)] {
        let records = &keys[key];
        assert_eq!(records.len(), 100);
        assert!(records.iter().all(|(partition, _)| *partition == records[0].0), "one key, one partition");
        for (turn, (_, record)) in records.iter().enumerate() {
            assert!(record.starts_with(format!(r#"{{"order":{},"#, 3 * turn + first).as_bytes()));
        }
    }
    let others = keys.iter().filter(|(key, _)| key.starts_with(b"user_")).map(|(_, records)| records.len());
    assert_eq!(others.sum::<usize>(), 100);
}

#[test]
fn a_queue_that_is_smaller_than_a_batch_is_waited_for() {
    let workload = || Workload::new(3, 40, None).unwrap();
    for schedule in [Schedule::Unpaced, Schedule::Burst { rate: 20_000.0, size: 200 }] {
        let mut kafka = Kafka::start(&["topic"]);
        kafka.set("queue.buffering.max.messages", "10");
        let report =
            run(GeneratorSettings { schedule, first_index: 5, ..kafka.settings("topic", workload()) });
        assert_eq!(
            (report.generated, report.acked, report.failed, report.next_index),
            (2_000, 2_000, 0, 2_005)
        );
        assert!(report.queue_full > 1_000, "{}", report.queue_full);
        assert_eq!((report.slip.count(), report.slip_all.count()), (2_000, 2_000));
        let mut indices = Vec::new();
        for (_, records) in by_key(kafka.stored("topic")) {
            let of_key: Vec<u64> = records.iter().map(|(_, payload)| index(&workload(), payload)).collect();
            assert!(of_key.is_sorted(), "{of_key:?}");
            indices.extend(of_key);
        }
        indices.sort_unstable();
        assert_eq!(indices, (5..2_005).collect::<Vec<_>>());
    }
}

/// The index of the event that a record is.
fn index(workload: &Workload, payload: &[u8]) -> u64 {
    let record = Record::decode(payload).unwrap();
    workload.index_of(EventId::parse(record.event_id.as_bytes()).unwrap()).unwrap()
}

#[test]
fn records_that_the_client_will_not_take_are_counted_and_shown() {
    let mut kafka = Kafka::start(&["topic"]);
    kafka.set("message.max.bytes", "1000");
    let padded = Workload::new(3, 40, None).unwrap().with_payload_bytes(2_000).unwrap();
    let settings = GeneratorSettings { count: Some(50), ..kafka.settings("topic", padded) };
    for schedule in [Schedule::Unpaced, settings.schedule.clone()] {
        let report = run(GeneratorSettings { schedule, ..settings.clone() });
        assert_eq!((report.generated, report.acked, report.failed, report.next_index), (50, 0, 50, 50));
        assert!(report.errors.iter().any(|error| error.starts_with("event 9: ")), "{:?}", report.errors);
        assert!((10..=11).contains(&report.errors.len()), "{:?}", report.errors);
    }
}

#[test]
fn a_stop_between_batches_leaves_none_half_sent() {
    let kafka = Kafka::start(&["topic"]);
    let workload = || Workload::new(3, 40, None).unwrap();
    for schedule in [Schedule::Unpaced, Schedule::Constant { rate: 20_000.0 }] {
        let before: i64 = kafka.ends("topic").iter().sum();
        let settings = GeneratorSettings { schedule, count: None, ..kafka.settings("topic", workload()) };
        let generator = Generator::new(settings).unwrap();
        generator.start().unwrap();
        let deadline = Instant::now() + LONG;
        while generator.snapshot().generated < 500 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        generator.stop();
        let report = generator.wait(LONG).expect("the generator ends").unwrap();
        assert!(report.generated >= 500);
        assert_eq!((report.acked, report.failed), (report.generated, 0), "{:?}", report.errors);
        assert_eq!(report.next_index, report.generated);
        assert_eq!(kafka.ends("topic").iter().sum::<i64>() - before, report.generated as i64);
    }
}

#[test]
fn a_stop_while_the_queue_is_full_counts_what_was_handed_over() {
    for schedule in [Schedule::Unpaced, Schedule::Burst { rate: 200_000.0, size: 1_000 }] {
        for round in 0..10 {
            let mut kafka = Kafka::start(&["topic"]);
            kafka.set("queue.buffering.max.messages", "10");
            let workload = Workload::new(3, 40, None).unwrap();
            let settings = kafka.settings("topic", workload);
            let settings = GeneratorSettings { schedule: schedule.clone(), count: None, ..settings };
            let generator = Generator::new(settings).unwrap();
            generator.start().unwrap();
            let deadline = Instant::now() + LONG;
            while generator.snapshot().queue_full < 100 + 7 * round && Instant::now() < deadline {
                std::thread::sleep(Duration::from_micros(200));
            }
            generator.stop();
            let report = generator.wait(LONG).expect("the generator ends").unwrap();
            assert!(report.generated > 0);
            assert_eq!((report.acked, report.failed), (report.generated, 0), "{:?}", report.errors);
            assert_eq!(report.next_index, report.generated);
            assert_eq!((report.slip_all.count(), report.slip.count()), (report.generated, report.generated));
            assert_eq!(kafka.ends("topic").iter().sum::<i64>(), report.generated as i64);
        }
    }
}

#[test]
fn the_measuring_window_is_set_while_the_load_runs_and_the_load_is_stopped_in_the_middle() {
    let kafka = Kafka::start(&["topic"]);
    let settings = kafka.settings("topic", Workload::new(3, 40, None).unwrap());
    let start_us = clock::now_us() + 100_000;
    let settings = GeneratorSettings {
        schedule: Schedule::Constant { rate: 1_000.0 },
        count: None,
        duration: Some(Duration::from_hours(1)),
        start_us: Some(start_us),
        first_index: 30,
        ..settings
    };
    let generator = Generator::new(settings).unwrap();
    assert_eq!(generator.snapshot().behind_us, 0);
    generator.start().unwrap();
    let sent = |events: u64| {
        let deadline = Instant::now() + LONG;
        while generator.snapshot().generated < events && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    sent(300);
    // From the event 200 on, which is gone already, up to one that is still to come, and then to an earlier one.
    generator.measure_from(start_us + 200_000).unwrap();
    assert!(matches!(generator.measure_to(start_us + 200_000), Err(Error::Invalid(_))));
    generator.measure_to(start_us + 600_000).unwrap();
    sent(550);
    generator.measure_to(start_us + 500_000).unwrap();
    sent(700);
    generator.stop();
    let report = generator.wait(LONG).expect("the generator ends").unwrap();
    assert_eq!(report.slip.count(), 300);
    assert!(report.generated >= 700 && report.generated < 30_000, "{}", report.generated);
    assert_eq!((report.first_index, report.next_index), (30, 30 + report.generated));
    assert_eq!((report.acked, report.failed), (report.generated, 0), "{:?}", report.errors);
    assert_eq!(kafka.ends("topic").iter().sum::<i64>(), report.generated as i64);
    assert_eq!(generator.snapshot().behind_us, 0);
    assert!(matches!(generator.measure_to(start_us + 400_000), Err(Error::Invalid(_))));
}

#[test]
fn a_generator_tells_for_how_long_the_next_event_has_been_due() {
    let mut kafka = Kafka::start(&["topic"]);
    // Room for less than a batch, and nothing leaves the queue for a minute.
    kafka.set("queue.buffering.max.messages", "10");
    kafka.set("linger.ms", "60000");
    kafka.set("batch.num.messages", "10000");
    let settings = kafka.settings("topic", Workload::new(3, 40, None).unwrap());
    let generator = Generator::new(GeneratorSettings { count: None, ..settings }).unwrap();
    generator.start().unwrap();
    let deadline = Instant::now() + LONG;
    while generator.snapshot().behind_us < 300_000 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let behind_us = generator.snapshot().behind_us;
    assert!((300_000..10_000_000).contains(&behind_us), "{behind_us}");
    generator.stop();
}

#[test]
fn the_slip_of_each_second_is_logged() {
    let kafka = Kafka::start(&["topic"]);
    let path = scratch("slip.hlog");
    let settings = kafka.settings("topic", Workload::new(1, 10, None).unwrap());
    let settings = GeneratorSettings {
        schedule: Schedule::Constant { rate: 1_000.0 },
        count: Some(2_500),
        slip_log: Some(path.clone()),
        ..settings
    };
    assert_eq!(run(settings.clone()).acked, 2_500);
    assert_eq!(intervals(&path), 3);
    let nowhere = Some(PathBuf::from("/nowhere/slip.hlog"));
    let generator = Generator::new(GeneratorSettings { slip_log: nowhere, ..settings }).unwrap();
    generator.start().unwrap();
    let failure = generator.wait(LONG).expect("it ends").unwrap_err();
    assert!(failure.to_string().contains("/nowhere/slip.hlog"), "{failure}");
    std::fs::remove_file(path).unwrap();
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("rtmbench-generator-{}-{name}", std::process::id()))
}

/// How many intervals a log has.
fn intervals(path: &PathBuf) -> usize {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().filter(|line| line.contains(",HIST")).count()
}

#[test]
fn the_relay_copies_every_record_in_its_keys_order() {
    let kafka = Kafka::start(&["input", "output"]);
    let relay = Relay::new(RelaySettings {
        config: kafka.config.clone(),
        input: "input".to_owned(),
        output: "output".to_owned(),
    })
    .unwrap();
    relay.start().unwrap();
    let path = scratch("received.hlog");
    let consumer = LatencyConsumer::new(ConsumerSettings {
        config: kafka.config.clone(),
        topic: "output".to_owned(),
        spool: None,
        timestamp: TimestampSource::Field(TimestampField::new("scheduled_at_us")),
        fallback: None,
        from_end: false,
        threads: 2,
        shard: None,
        clock_offset_us: 0,
        interval_log: Some(path.clone()),
    })
    .unwrap();
    consumer.start().unwrap();
    let workload = Workload::new(3, 40, None).unwrap();
    assert_eq!(run(kafka.settings("input", workload)).acked, 2_000);
    let deadline = Instant::now() + LONG;
    while consumer.snapshot().received < 2_000 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    consumer.stop();
    let report = consumer.wait(LONG).expect("the consumer ends").unwrap();
    assert_eq!((report.received, report.malformed, report.latency.count()), (2_000, 0, 2_000));
    assert!((1..=3).contains(&intervals(&path)), "{}", intervals(&path));
    std::fs::remove_file(path).unwrap();
    relay.stop();
    let seen = relay.wait(LONG).expect("the relay ends").unwrap();
    assert_eq!((seen.consumed, seen.acked, seen.failed), (2_000, 2_000, 0));
    assert!(matches!(relay.start(), Err(Error::Invalid(_))));
    assert_eq!(by_key(kafka.stored("input")), by_key(kafka.stored("output")));
}

#[test]
fn a_relay_that_cannot_work_says_why() {
    let kafka = Kafka::start(&["input"]);
    let settings = |input: &str, output: &str| RelaySettings {
        config: kafka.config.clone(),
        input: input.to_owned(),
        output: output.to_owned(),
    };
    assert!(matches!(Relay::new(settings("input", "input")), Err(Error::Invalid(_))));
    for (input, output) in [("input", "nowhere"), ("nowhere", "input")] {
        let relay = Relay::new(settings(input, output)).unwrap();
        let error = relay.start().unwrap_err();
        assert!(matches!(&error, Error::Kafka(message) if message.contains("nowhere")), "{error}");
        assert!(relay.wait(LONG).expect("it has ended").is_err());
    }
    kafka.cluster.create_topic("output", 1, 1).unwrap();
}

#[test]
fn an_undelivered_record_ends_the_relay() {
    let kafka = Kafka::start(&["input", "output"]);
    let workload = Workload::new(3, 40, None).unwrap();
    let settings = kafka.settings("input", workload);
    assert_eq!(run(GeneratorSettings { count: Some(10), ..settings }).acked, 10);
    let small = [
        ("bootstrap.servers".to_owned(), kafka.cluster.bootstrap_servers()),
        ("message.max.bytes".to_owned(), "1000".to_owned()),
        ("fetch.wait.max.ms".to_owned(), "1".to_owned()),
    ];
    let padded = Workload::new(3, 40, None).unwrap().with_payload_bytes(2_000).unwrap();
    let settings = kafka.settings("input", padded);
    assert_eq!(run(GeneratorSettings { count: Some(1), ..settings }).acked, 1);
    let relay = Relay::new(RelaySettings {
        config: KafkaConfig::new(small).unwrap(),
        input: "input".to_owned(),
        output: "output".to_owned(),
    })
    .unwrap();
    relay.start().unwrap();
    let error = relay.wait(LONG).expect("it ends by itself").unwrap_err();
    assert!(error.to_string().contains("was not taken"), "{error}");
}
