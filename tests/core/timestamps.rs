//! Where the time to measure from may be besides a field of the record: in a header, or in Kafka's own time stamp.

mod receiving;

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use rtmbench::clock;
use rtmbench::measure::{ConsumerReport, TimestampSource};

struct Kafka {
    cluster: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer,
}

impl Kafka {
    fn new() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("topic", 1, 1).unwrap();
        let producer =
            ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
        Self { cluster, producer }
    }

    fn send(&self, record: BaseRecord<'_, [u8], [u8]>) {
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
        self.producer.flush(Duration::from_secs(5)).unwrap();
    }

    fn receive(&self, count: u64, timestamp: TimestampSource) -> ConsumerReport {
        receiving::receive(&self.cluster.bootstrap_servers(), count, timestamp, None)
    }
}

fn record() -> BaseRecord<'static, [u8], [u8]> {
    BaseRecord::to("topic").partition(0).key(b"key")
}

fn header<'a>(name: &'a str, value: Option<&'a [u8]>) -> OwnedHeaders {
    OwnedHeaders::new().insert(Header { key: name, value })
}

#[test]
fn the_last_header_of_the_name_is_the_time() {
    let kafka = Kafka::new();
    let at_us = clock::now_us() - 5_000_000;
    let (text, number) = (at_us.to_string(), at_us.to_be_bytes());
    // Even a tombstone has headers.
    kafka.send(record().headers(header("at", Some(text.as_bytes()))));
    let twice = header("at", Some(b"1")).insert(Header { key: "at", value: Some(&number[..]) });
    kafka.send(record().payload(b"no JSON").headers(twice));
    kafka.send(record().payload(b"{}"));
    kafka.send(record().headers(header("other", Some(text.as_bytes()))));
    kafka.send(record().headers(header("at", None)));
    kafka.send(record().headers(header("at", Some(b"soon"))));
    let report = kafka.receive(6, TimestampSource::header("at").unwrap());
    assert_eq!((report.latency.count(), report.malformed), (2, 4));
    assert!((5_000_000..60_000_000).contains(&report.min_us), "{}", report.min_us);
    let samples = report.malformed_samples.join("\n");
    assert_eq!(samples.matches("has no header `at`").count(), 3, "{samples}");
    assert_eq!(samples.matches("neither an ISO 8601 time nor a number").count(), 1, "{samples}");
    assert!(TimestampSource::header("").is_err());
    assert!(TimestampSource::header("a\0b").is_err());
}

#[test]
fn kafkas_own_time_stamp_is_the_time() {
    let kafka = Kafka::new();
    let at_ms = clock::now_us() / 1_000 - 7_000;
    for payload in [&b"no JSON"[..], b"{}"] {
        kafka.send(record().payload(payload).timestamp(at_ms));
    }
    kafka.send(record().timestamp(at_ms));
    let report = kafka.receive(3, TimestampSource::Kafka);
    assert_eq!((report.latency.count(), report.malformed), (3, 0));
    // The topic of the mock keeps the producer's time.
    assert_eq!(report.appended, 0);
    assert!((7_000_000..60_000_000).contains(&report.min_us), "{}", report.min_us);
    assert_eq!(report.units.resolution_us(), Some(1_000));
}
