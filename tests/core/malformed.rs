//! Records that are no events, through the latency consumer: counted and shown, never a crash or a sample.

mod receiving;

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use rtmbench::clock;
use rtmbench::event::TimestampField;
use rtmbench::measure::{ConsumerReport, TimestampSource};

/// Each kind by name, and its record; `None` is a tombstone.
fn kinds(now_us: i64) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let event = |stamp: &str| {
        let text = format!(
            r#"{{"event_id":"x","event_type":"click","key":"key-1","value":1,"produced_at":1,"scheduled_at_us":{stamp}}}"#
        );
        Some(text.into_bytes())
    };
    let text = |text: &str| Some(text.as_bytes().to_vec());
    let whole = event(&now_us.to_string()).unwrap();
    let in_a_day = now_us + 86_400_000_000;
    vec![
        ("tombstone", None),
        ("empty", text("")),
        ("whitespace", text("  \n")),
        ("truncated in a string", Some(whole[..20].to_vec())),
        ("truncated before the brace", Some(whole[..whole.len() - 1].to_vec())),
        ("trailing text", Some([&whole[..], b"}"].concat())),
        ("two documents", Some([&whole[..], &whole[..]].concat())),
        ("no time stamp", text(r#"{"event_id":"x","key":"key-1"}"#)),
        ("empty object", text("{}")),
        ("null", event("null")),
        ("true", event("true")),
        ("text for a time", event("\"yesterday\"")),
        ("negative", event("-5")),
        ("zero", event("0")),
        ("a day ahead", event(&in_a_day.to_string())),
        ("in no unit", event("17000000000")),
        ("NaN", event("NaN")),
        ("Infinity", event("-Infinity")),
        ("beyond 64 bits", event("99999999999999999999999999")),
        ("nested time stamp", event(&format!(r#"{{"at":{now_us}}}"#))),
        ("time stamp given twice", event(&format!(r#"{now_us},"scheduled_at_us":{now_us}"#))),
        ("array", Some([b"[", &whole[..], b"]"].concat())),
        ("bare number", Some(now_us.to_string().into_bytes())),
        ("bare text", text("event")),
        ("single quotes", text("{'scheduled_at_us':1700000000000000}")),
        ("invalid UTF-8", Some([&b"{\"key\":\"\xff\xfe\","[..], &whole[1..]].concat())),
        (
            "UTF-16",
            Some(
                String::from_utf8(whole.clone()).unwrap().encode_utf16().flat_map(u16::to_le_bytes).collect(),
            ),
        ),
        ("byte order mark", Some([b"\xef\xbb\xbf", &whole[..]].concat())),
        ("control character", Some([&b"{\"key\":\"\x01\","[..], &whole[1..]].concat())),
        ("unknown escape", Some([&b"{\"key\":\"\\q\","[..], &whole[1..]].concat())),
        ("lone surrogate", Some([&b"{\"scheduled_at_us\":1,\"\\ud800\":1,"[..], &whole[1..]].concat())),
        ("deep nesting", Some([&b"{\"deep\":"[..], &b"[".repeat(200_000)[..]].concat())),
        ("huge and truncated", Some([&b"{\"padding\":\""[..], &b"x".repeat(900_000)[..]].concat())),
        ("binary", Some((0..=255).collect())),
    ]
}

struct Kafka {
    cluster: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer,
}

impl Kafka {
    fn new() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("topic", 1, 1).unwrap();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .set("message.max.bytes", "2000000")
            .create()
            .unwrap();
        Self { cluster, producer }
    }

    fn send(&self, payload: Option<&[u8]>) {
        let record = BaseRecord::<[u8], [u8]>::to("topic").partition(0).key(b"key-1");
        self.producer
            .send(if let Some(payload) = payload { record.payload(payload) } else { record })
            .unwrap();
        self.producer.flush(Duration::from_secs(5)).unwrap();
    }

    fn receive(&self, count: u64, fallback: Option<&str>) -> ConsumerReport {
        let timestamp = TimestampSource::Field(TimestampField::new("scheduled_at_us"));
        receiving::receive(&self.cluster.bootstrap_servers(), count, timestamp, fallback)
    }
}

#[test]
fn no_kind_of_malformed_record_is_a_sample() {
    let kafka = Kafka::new();
    let now_us = clock::now_us();
    let kinds = kinds(now_us);
    assert!(kinds.len() >= 24);
    for (_, payload) in &kinds {
        kafka.send(payload.as_deref());
    }
    let good = format!(r#"{{"scheduled_at_us":{now_us}}}"#);
    kafka.send(Some(good.as_bytes()));
    // With a second field to look at, a record whose first one is there and wrong is malformed all the same.
    for fallback in [None, Some("produced_at")] {
        let report = kafka.receive(kinds.len() as u64 + 1, fallback);
        assert_eq!(report.malformed, kinds.len() as u64);
        assert_eq!((report.latency.count(), report.negative, report.fallback), (1, 0, 0));
        assert_eq!(report.malformed_samples.len(), 10);
        for (offset, sample) in report.malformed_samples.iter().enumerate() {
            assert!(sample.starts_with(&format!("partition 0 offset {offset}: ")), "{sample}");
            assert!(sample.chars().count() < 600, "{sample}");
        }
    }
}

#[test]
fn each_kind_is_told_apart_from_an_event() {
    let kafka = Kafka::new();
    let now_us = clock::now_us();
    let field = TimestampField::new("scheduled_at_us");
    for (name, payload) in kinds(now_us) {
        let Some(payload) = payload else { continue };
        let sound = field.decode(&payload).is_ok();
        // A time stamp that is ahead is found by its receipt alone.
        assert_eq!(sound, name == "a day ahead", "{name}");
    }
    kafka.send(Some(br#"{"produced_at":1700000000000}"#));
    let report = kafka.receive(1, Some("produced_at"));
    assert_eq!((report.malformed, report.fallback, report.latency.count()), (0, 1, 1));
}
