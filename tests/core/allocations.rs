//! Generator and consumer allocate nothing for an event: counted in the whole process by the global allocator.
//! librdkafka is C and has its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use rtmbench::Stop;
use rtmbench::clock::Precision;
use rtmbench::event::TimestampField;
use rtmbench::generate::{Generator, GeneratorSettings};
use rtmbench::kafka::{KafkaConfig, topics};
use rtmbench::measure::{ConsumerSettings, LatencyConsumer, TimestampSource};
use rtmbench::schedule::Schedule;
use rtmbench::workload::Workload;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Sends and receives `count` padded events; returns how often the process allocated meanwhile.
fn allocations(config: &KafkaConfig, topic: &str, count: u64) -> u64 {
    let directory = std::env::temp_dir().join(format!("rtmbench-allocations-{}-{topic}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    let workload = Workload::new(5, 100, None).unwrap().with_payload_bytes(400).unwrap();
    let consumer = LatencyConsumer::new(ConsumerSettings {
        config: config.clone(),
        topic: topic.to_owned(),
        spool: Some(directory.clone()),
        timestamp: TimestampSource::Field(TimestampField::new("scheduled_at_us")),
        fallback: None,
        from_end: false,
        threads: 1,
        shard: None,
        clock_offset_us: 0,
        interval_log: None,
    })
    .unwrap();
    let generator = Generator::new(GeneratorSettings {
        config: config.clone(),
        topic: topic.to_owned(),
        workload: Arc::new(workload),
        schedule: Schedule::Constant { rate: 20_000.0 },
        count: Some(count),
        duration: None,
        first_index: 0,
        start_us: None,
        measure: None,
        precision: Precision::DEFAULT,
        shard: None,
        slip_log: None,
    })
    .unwrap();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    consumer.start().unwrap();
    generator.start().unwrap();
    let report = generator.wait(Duration::from_secs(30)).expect("the generator ends").unwrap();
    assert_eq!(report.acked, count);
    let deadline = Instant::now() + Duration::from_secs(30);
    while consumer.snapshot().received < count && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
    }
    consumer.stop();
    let received = consumer.wait(Duration::from_secs(10)).expect("the consumer ends").unwrap();
    assert_eq!((received.received, received.malformed), (count, 0));
    let after = ALLOCATIONS.load(Ordering::Relaxed);
    std::fs::remove_dir_all(&directory).unwrap();
    after - before
}

#[test]
fn an_event_allocates_nothing() {
    let cluster = MockCluster::new(1).unwrap();
    let properties = [
        ("bootstrap.servers".to_owned(), cluster.bootstrap_servers()),
        ("fetch.wait.max.ms".to_owned(), "1".to_owned()),
    ];
    let config = KafkaConfig::new(properties).unwrap();
    for topic in ["warm", "few", "many"] {
        cluster.create_topic(topic, 4, 1).unwrap();
    }
    topics::wait_for_broker(&config, Duration::from_secs(10), &Stop::new()).unwrap();
    allocations(&config, "warm", 1_000);
    let few = allocations(&config, "few", 1_000);
    let many = allocations(&config, "many", 31_000);
    assert!(few > 0, "the counter does not count");
    // 30,000 more events: what is left is the test's own looks at the counters, a few a second.
    assert!(many < few + 300, "{few} allocations for 1,000 events, {many} for 31,000");
}
