//! Receives the records of the topic `topic` from a mock broker that answers at once.

use std::thread;
use std::time::{Duration, Instant};

use rtmbench::event::TimestampField;
use rtmbench::kafka::KafkaConfig;
use rtmbench::measure::{ConsumerReport, ConsumerSettings, LatencyConsumer, TimestampSource};

/// What a consumer reports once it has received `count` records.
pub fn receive(
    servers: &str,
    count: u64,
    timestamp: TimestampSource,
    fallback: Option<&str>,
) -> ConsumerReport {
    let config = [("bootstrap.servers", servers), ("fetch.wait.max.ms", "1")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let consumer = LatencyConsumer::new(ConsumerSettings {
        config: KafkaConfig::new(config).unwrap(),
        topic: "topic".to_owned(),
        spool: None,
        timestamp,
        fallback: fallback.map(TimestampField::new),
        from_end: false,
        threads: 1,
        shard: None,
        clock_offset_us: 0,
        interval_log: None,
    })
    .unwrap();
    consumer.start().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while consumer.snapshot().received < count {
        assert!(Instant::now() < deadline, "{:?}", consumer.snapshot());
        thread::sleep(Duration::from_millis(5));
    }
    let live = consumer.malformed_samples();
    consumer.stop();
    let report = consumer.wait(Duration::from_secs(5)).unwrap().unwrap();
    assert_eq!(live, report.malformed_samples);
    report
}
