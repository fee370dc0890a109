//! Generator → consumer → oracle on librdkafka's mock cluster. Its latencies mean nothing; what is tested is
//! that every event is sent once, received, joined with its receipt, and judged.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rtmbench::clock::{self, Precision};
use rtmbench::event::{EventId, EventType, Record, TimestampField};
use rtmbench::generate::{Generator, GeneratorReport, GeneratorSettings};
use rtmbench::kafka::consumer::read_whole;
use rtmbench::kafka::producer::Producer;
use rtmbench::kafka::{KafkaConfig, topics};
use rtmbench::measure::{ConsumerReport, ConsumerSettings, LatencyConsumer, TimestampSource};
use rtmbench::oracle::{Rules, Scope, VerifySettings, verify};
use rtmbench::schedule::Schedule;
use rtmbench::workload::Workload;
use rtmbench::{Error, Stop};

const LONG: Duration = Duration::from_secs(20);

struct Bench {
    cluster: MockCluster<'static, DefaultProducerContext>,
    config: KafkaConfig,
    workload: Arc<Workload>,
    directory: PathBuf,
}

impl Bench {
    fn new(name: &str, extra: &[(&str, &str)]) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        let mut properties = vec![
            ("bootstrap.servers".to_owned(), cluster.bootstrap_servers()),
            ("fetch.wait.max.ms".to_owned(), "1".to_owned()),
        ];
        properties.extend(extra.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
        let directory = std::env::temp_dir().join(format!("rtmbench-test-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        let workload = Arc::new(Workload::new(11, 50, None).unwrap());
        Self { cluster, config: KafkaConfig::new(properties).unwrap(), workload, directory }
    }

    fn topic(&self, name: &str, partitions: i32) -> String {
        self.cluster.create_topic(name, partitions, 1).unwrap();
        name.to_owned()
    }

    fn settings(&self, topic: &str, schedule: Schedule) -> GeneratorSettings {
        GeneratorSettings {
            config: self.config.clone(),
            topic: topic.to_owned(),
            workload: Arc::clone(&self.workload),
            schedule,
            count: None,
            duration: None,
            first_index: 0,
            start_us: None,
            measure: None,
            precision: Precision::DEFAULT,
            shard: None,
            slip_log: None,
        }
    }

    fn generate(&self, topic: &str, count: u64) -> Arc<GeneratorReport> {
        let settings = self.settings(topic, Schedule::Constant { rate: 20_000.0 });
        run(&Generator::new(GeneratorSettings { count: Some(count), ..settings }).unwrap())
    }

    fn consumer(&self, topic: &str, threads: usize) -> LatencyConsumer {
        LatencyConsumer::new(ConsumerSettings {
            config: self.config.clone(),
            topic: topic.to_owned(),
            spool: Some(self.directory.join(format!("spool-{topic}"))),
            timestamp: TimestampSource::Field(TimestampField::new("scheduled_at_us")),
            fallback: None,
            from_end: false,
            threads,
            shard: None,
            clock_offset_us: 0,
            interval_log: None,
        })
        .unwrap()
    }

    fn verification(
        &self,
        pattern: &str,
        input: &str,
        output: &str,
        report: &GeneratorReport,
    ) -> VerifySettings {
        VerifySettings {
            rules: Rules::of(pattern, "row", None, None, 10_000).unwrap(),
            config: self.config.clone(),
            input_topic: input.to_owned(),
            output_topic: output.to_owned(),
            spool: self.directory.join(format!("spool-{output}")),
            scope: Scope::of((report.start_us, report.start_us + 10_000_000)),
            deadline_us: clock::now_us(),
            interval_log: None,
            close_log: None,
        }
    }

    /// Stands in for an engine: reads the input and writes what pattern 01 keeps.
    fn pass_through(&self, input: &str, output: &str) -> u64 {
        let ends: Vec<i64> = topics::bounds(&self.config, input, LONG, &Stop::new())
            .unwrap()
            .iter()
            .map(|bounds| bounds.end)
            .collect();
        let producer = Producer::connect(&self.config, output, LONG, &Stop::new()).unwrap();
        let mut sent = 0;
        read_whole(&self.config, input, &ends, LONG, &Stop::new(), |message| {
            let payload = message.payload.unwrap();
            if Record::decode(payload).unwrap().event_type != EventType::View.name() {
                producer.relay(sent, message.key, Some(payload)).unwrap();
                sent += 1;
            }
            Ok(())
        })
        .unwrap();
        flush(&producer);
        assert_eq!(producer.acked(), sent);
        sent
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn flush(producer: &Producer) {
    let deadline = Instant::now() + LONG;
    while producer.in_flight() > 0 && Instant::now() < deadline {
        producer.poll(Duration::from_millis(10));
    }
}

fn run(generator: &Generator) -> Arc<GeneratorReport> {
    generator.start().unwrap();
    generator.wait(LONG).expect("the generator ends").unwrap()
}

fn received(consumer: &LatencyConsumer, count: u64) -> ConsumerReport {
    let deadline = Instant::now() + LONG;
    while consumer.snapshot().received < count && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    consumer.stop();
    consumer.wait(LONG).expect("the consumer ends").unwrap()
}

#[test]
fn the_transport_floor_is_verified() {
    let bench = Bench::new("transport", &[]);
    let topic = bench.topic("input", 4);
    let consumer = bench.consumer(&topic, 2);
    consumer.start().unwrap();
    let report = bench.generate(&topic, 5_000);
    assert_eq!((report.generated, report.acked, report.failed), (5_000, 5_000, 0), "{:?}", report.errors);
    assert_eq!(report.slip_all.count(), 5_000);
    let consumed = received(&consumer, 5_000);
    assert_eq!((consumed.received, consumed.malformed), (5_000, 0), "{:?}", consumed.malformed_samples);
    assert_eq!(consumed.partitions.iter().sum::<u64>(), 5_000);
    let log = bench.directory.join("latency.hlog");
    let settings = bench.verification("transport", &topic, &topic, &report);
    let settings = VerifySettings { interval_log: Some(log.clone()), ..settings };
    let verdict = verify(&settings, &bench.workload, &Stop::new()).unwrap();
    assert!(verdict.is_correct(), "{:?}", verdict.offending);
    assert_eq!(verdict.counts.expected, 5_000);
    // Received times and intended times are the same two numbers on both routes.
    assert_eq!(verdict.latency, consumed.latency);
    let seconds: u64 = verdict.seconds.iter().map(|second| second.count).sum();
    assert_eq!(seconds, 5_000);
    assert_eq!(logged_samples(&std::fs::read(log).unwrap()), 5_000);
}

/// The samples in an interval log, read with the `hdrhistogram` crate's own reader.
fn logged_samples(log: &[u8]) -> u64 {
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    IntervalLogIterator::new(log)
        .filter_map(|entry| match entry.expect("a valid log") {
            LogEntry::Interval(interval) => Some(interval.encoded_histogram().to_owned()),
            _ => None,
        })
        .map(|encoded| {
            let bytes = base64(&encoded);
            Deserializer::new().deserialize::<u64, _>(&mut &bytes[..]).expect("a V2 histogram").len()
        })
        .sum()
}

fn base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = 0_u32;
    let mut held = 0;
    let mut bytes = Vec::new();
    for symbol in text.bytes().filter(|&symbol| symbol != b'=') {
        bits = (bits << 6) | alphabet.iter().position(|&known| known == symbol).expect("base64") as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}

#[test]
fn pattern_01_is_verified_and_a_missing_output_is_seen() {
    let bench = Bench::new("01", &[]);
    let (input, output) = (bench.topic("input", 4), bench.topic("output", 3));
    let consumer = bench.consumer(&output, 1);
    consumer.start().unwrap();
    let report = bench.generate(&input, 3_000);
    let settings = |output: &str| bench.verification("01", &input, output, &report);
    let sent = bench.pass_through(&input, &output);
    received(&consumer, sent);
    let verdict = verify(&settings(&output), &bench.workload, &Stop::new()).unwrap();
    assert!(verdict.is_correct(), "{:?}", verdict.offending);
    assert_eq!((verdict.counts.expected, verdict.counts.produced), (sent, 3_000));
    // Nothing at all came out.
    let empty = bench.topic("empty", 4);
    let consumer = bench.consumer(&empty, 1);
    consumer.start().unwrap();
    received(&consumer, 0);
    let verdict = verify(&settings(&empty), &bench.workload, &Stop::new()).unwrap();
    assert_eq!((verdict.counts.missing, verdict.censored), (sent, sent));
}

#[test]
fn outputs_that_the_consumer_missed_are_a_harness_error() {
    let bench = Bench::new("missed", &[]);
    let (input, output) = (bench.topic("input", 2), bench.topic("output", 2));
    let consumer = bench.consumer(&output, 1);
    consumer.start().unwrap();
    received(&consumer, 0);
    let report = bench.generate(&input, 500);
    bench.pass_through(&input, &output);
    let settings = bench.verification("01", &input, &output, &report);
    let error = verify(&settings, &bench.workload, &Stop::new()).unwrap_err();
    assert!(matches!(&error, Error::Harness(message) if message.contains("never received")), "{error}");
    let nowhere = VerifySettings { spool: bench.directory.join("nowhere"), ..settings.clone() };
    assert!(matches!(verify(&nowhere, &bench.workload, &Stop::new()), Err(Error::Io { .. })));
    let other = Workload::new(99, 50, None).unwrap();
    assert!(matches!(verify(&settings, &other, &Stop::new()), Err(Error::Harness(_))));
}

#[test]
fn malformed_records_are_counted_and_are_no_samples() {
    let bench = Bench::new("malformed", &[]);
    let topic = bench.topic("topic", 1);
    let consumer = bench.consumer(&topic, 1);
    consumer.start().unwrap();
    let producer = Producer::connect(&bench.config, &topic, LONG, &Stop::new()).unwrap();
    let far = format!("{{\"scheduled_at_us\":{}}}", clock::now_us() + 7_200_000_000);
    let soon = format!("{{\"scheduled_at_us\":{}}}", clock::now_us() + 60_000_000);
    for (index, payload) in ["{", "", "{\"scheduled_at_us\":NaN}", "{\"scheduled_at_us\":\"1\"}", &far, &soon]
        .into_iter()
        .enumerate()
    {
        producer.relay(index as u64, Some(b"user_1"), Some(payload.as_bytes())).unwrap();
    }
    flush(&producer);
    let report = received(&consumer, 6);
    assert_eq!(
        (report.received, report.malformed, report.negative),
        (6, 5, 1),
        "{:?}",
        report.malformed_samples
    );
    assert_eq!((report.latency.count(), report.latency.max()), (1, 1));
    assert_eq!(report.malformed_samples.len(), 5);
}

#[test]
fn a_keys_events_stay_in_order_and_each_is_sent_once() {
    let bench = Bench::new("order", &[]);
    let topic = bench.topic("topic", 4);
    let settings = bench.settings(&topic, Schedule::Burst { rate: 50_000.0, size: 500 });
    let settings = GeneratorSettings { count: Some(4_000), first_index: 1_000, ..settings };
    let report = run(&Generator::new(settings).unwrap());
    assert_eq!(report.acked, 4_000);
    let bounds = topics::bounds(&bench.config, &topic, LONG, &Stop::new()).unwrap();
    let ends: Vec<i64> = bounds.iter().map(|bounds| bounds.end).collect();
    let mut last = std::collections::HashMap::new();
    let mut seen = 0;
    read_whole(&bench.config, &topic, &ends, LONG, &Stop::new(), |message| {
        let record = Record::decode(message.payload.unwrap()).unwrap();
        let index =
            bench.workload.index_of(EventId::parse(record.event_id.as_bytes()).unwrap()).expect("this run's");
        assert!((1_000..5_000).contains(&index));
        let earlier = last.insert(record.key.to_string(), (message.partition, index));
        assert!(earlier.is_none_or(|(partition, before)| partition == message.partition && before < index));
        seen += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, 4_000);
}

#[test]
fn a_full_queue_is_counted_waited_for_and_the_schedule_is_not_re_based() {
    let bench = Bench::new("full", &[("queue.buffering.max.messages", "20"), ("linger.ms", "20")]);
    let topic = bench.topic("topic", 1);
    let start_us = clock::now_us() + 100_000;
    let settings = bench.settings(&topic, Schedule::Constant { rate: 100_000.0 });
    let settings = GeneratorSettings { count: Some(500), start_us: Some(start_us), ..settings };
    let report = run(&Generator::new(settings).unwrap());
    assert_eq!((report.acked, report.failed), (500, 0), "{:?}", report.errors);
    assert!(report.queue_full > 0);
    // The last event was intended 5 ms after the start, and handed over long after that.
    assert!(report.slip_all.max() > 20_000, "{}", report.slip_all.max());
    let bounds = topics::bounds(&bench.config, &topic, LONG, &Stop::new()).unwrap();
    let mut newest = 0;
    read_whole(&bench.config, &topic, &[bounds[0].end], LONG, &Stop::new(), |message| {
        newest = Record::decode(message.payload.unwrap()).unwrap().scheduled_at_us;
        Ok(())
    })
    .unwrap();
    assert_eq!(newest, start_us + 4_990);
}

#[test]
fn a_broker_that_goes_away_and_comes_back_loses_nothing() {
    let bench = Bench::new("outage", &[]);
    let topic = bench.topic("topic", 1);
    let settings = bench.settings(&topic, Schedule::Constant { rate: 1_000.0 });
    let generator =
        Generator::new(GeneratorSettings { duration: Some(Duration::from_secs(3)), ..settings }).unwrap();
    generator.start().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    bench.cluster.broker_down(1).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    bench.cluster.broker_up(1).unwrap();
    let report = generator.wait(LONG).expect("the generator ends").unwrap();
    assert_eq!((report.generated, report.acked, report.failed), (3_000, 3_000, 0), "{:?}", report.errors);
    // The mock cluster drops a batch that it has already stored only for transactional producers: one that was stored,
    // but not confirmed, when the broker went away is there twice. tests/e2e/test_broker_outage.py shows that a real
    // broker keeps one of them.
    let bounds = topics::bounds(&bench.config, &topic, LONG, &Stop::new()).unwrap();
    let mut events = BTreeSet::new();
    read_whole(&bench.config, &topic, &[bounds[0].end], LONG, &Stop::new(), |message| {
        let record = Record::decode(message.payload.unwrap()).unwrap();
        events.insert(bench.workload.index_of(EventId::parse(record.event_id.as_bytes()).unwrap()));
        Ok(())
    })
    .unwrap();
    assert_eq!(events, (0..3_000).map(Some).collect::<BTreeSet<_>>());
}

#[test]
fn a_connected_producer_sends_its_first_record_at_once() {
    let bench = Bench::new("first", &[]);
    let topic = bench.topic("topic", 1);
    // librdkafka itself asks again 500 ms after each refusal, and sends nothing until it has an id.
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
    bench.cluster.request_errors(RDKafkaApiKey::InitProducerId, &[refusal; 4]);
    let producer = Producer::connect(&bench.config, &topic, LONG, &Stop::new()).unwrap();
    let connected = Instant::now();
    producer.relay(0, None, Some(b"first")).unwrap();
    flush(&producer);
    assert_eq!(producer.acked(), 1);
    assert!(connected.elapsed() < Duration::from_secs(1), "{:?}", connected.elapsed());
}

#[test]
fn a_producer_that_gets_no_id_is_an_error() {
    let bench = Bench::new("no-id", &[]);
    let topic = bench.topic("topic", 1);
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    bench.cluster.request_errors(RDKafkaApiKey::InitProducerId, &[refusal]);
    let error = Producer::connect(&bench.config, &topic, LONG, &Stop::new()).err().expect("an error");
    assert!(matches!(&error, Error::Kafka(message) if message.contains("authorization")), "{error}");
}

#[test]
fn stop_ends_everything_soon() {
    let bench = Bench::new("stop", &[]);
    let topic = bench.topic("topic", 2);
    let generator = Generator::new(bench.settings(&topic, Schedule::Constant { rate: 100.0 })).unwrap();
    generator.start().unwrap();
    let consumer = bench.consumer(&topic, 2);
    consumer.start().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let before = Instant::now();
    generator.stop();
    let report = generator.wait(LONG).expect("the generator ends").unwrap();
    assert!(report.generated > 0 && report.acked == report.generated);
    consumer.stop();
    assert!(consumer.wait(LONG).expect("the consumer ends").is_ok());
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
    assert!(matches!(generator.start(), Err(Error::Invalid(_))));
    assert!(matches!(consumer.start(), Err(Error::Invalid(_))));
}

#[test]
fn a_stop_during_the_connection_gives_an_empty_report() {
    let properties = [("bootstrap.servers".to_owned(), "127.0.0.1:1".to_owned())];
    let config = KafkaConfig::new(properties).unwrap();
    let settings = GeneratorSettings {
        config,
        topic: "topic".to_owned(),
        workload: Arc::new(Workload::new(1, 1, None).unwrap()),
        schedule: Schedule::Constant { rate: 1.0 },
        count: None,
        duration: None,
        first_index: 0,
        start_us: None,
        measure: None,
        precision: Precision::LOW,
        shard: None,
        slip_log: None,
    };
    let generator = Arc::new(Generator::new(settings).unwrap());
    let other = Arc::clone(&generator);
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        other.stop();
    });
    let before = Instant::now();
    let report = run(&generator);
    assert_eq!((report.generated, report.acked), (0, 0));
    assert!(before.elapsed() < Duration::from_secs(5));
    stopper.join().unwrap();
}

#[test]
fn a_missing_topic_and_a_missing_broker_are_errors_that_name_them() {
    let bench = Bench::new("missing", &[]);
    let generator = Generator::new(bench.settings("nowhere", Schedule::Constant { rate: 1.0 })).unwrap();
    let error = generator.start().unwrap_err();
    assert!(matches!(&error, Error::Kafka(message) if message.contains("nowhere")), "{error}");
    let consumer = bench.consumer("nowhere", 1);
    assert!(matches!(consumer.start(), Err(Error::Kafka(_))));
    let config = KafkaConfig::new([("bootstrap.servers".to_owned(), "127.0.0.1:1".to_owned())]).unwrap();
    let error = topics::wait_for_broker(&config, Duration::from_millis(600), &Stop::new()).unwrap_err();
    assert!(matches!(&error, Error::Kafka(message) if message.contains("127.0.0.1:1")), "{error}");
    let bad = KafkaConfig::new([
        ("bootstrap.servers".to_owned(), "127.0.0.1:1".to_owned()),
        ("no.such.property".to_owned(), "1".to_owned()),
    ])
    .unwrap();
    let error = topics::wait_for_broker(&bad, Duration::from_millis(100), &Stop::new()).unwrap_err();
    assert!(matches!(&error, Error::Invalid(message) if message.contains("no.such.property")), "{error}");
}
