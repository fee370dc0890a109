//! The whole way over topics (librdkafka's mock): generated, read, aggregated, received and verified.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rtmbench::clock::{self, Precision};
use rtmbench::event::{EventId, Record, TimestampField};
use rtmbench::generate::{Generator, GeneratorSettings};
use rtmbench::kafka::consumer::read_whole;
use rtmbench::kafka::producer::Producer;
use rtmbench::kafka::{KafkaConfig, topics};
use rtmbench::measure::{ConsumerSettings, LatencyConsumer, TimestampSource};
use rtmbench::oracle::{Emission, Scope, Verdict, VerifySettings, verify};
use rtmbench::schedule::Schedule;
use rtmbench::workload::Workload;
use rtmbench::{Error, Stop};

use super::engine::{Arrival, JOBS, Job};

const LONG: Duration = Duration::from_secs(30);
const COUNT: u64 = 1_500;

/// Trials so far, for a directory of each.
static TRIALS: AtomicU32 = AtomicU32::new(0);

struct Trial {
    job: Job,
    workload: Arc<Workload>,
    config: KafkaConfig,
    directory: PathBuf,
    // Last, so that clients go before their brokers.
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Trial {
    fn new(job: Job, keys: u32) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        let properties = vec![
            ("bootstrap.servers".to_owned(), cluster.bootstrap_servers()),
            ("fetch.wait.max.ms".to_owned(), "1".to_owned()),
        ];
        let number = TRIALS.fetch_add(1, Ordering::Relaxed);
        let name = format!("rtmbench-oracle-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        let workload = Arc::new(Workload::new(11, keys, None).unwrap());
        Self { job, workload, config: KafkaConfig::new(properties).unwrap(), directory, cluster }
    }

    fn arrivals(&self, topic: &str) -> Vec<Arrival> {
        let bounds = topics::bounds(&self.config, topic, LONG, &Stop::new()).unwrap();
        let ends: Vec<i64> = bounds.iter().map(|bounds| bounds.end).collect();
        let mut arrivals = Vec::new();
        read_whole(&self.config, topic, &ends, LONG, &Stop::new(), |message| {
            let record = Record::decode(message.payload.unwrap()).unwrap();
            let id = EventId::parse(record.event_id.as_bytes()).unwrap();
            arrivals.push((self.workload.index_of(id).unwrap(), record.scheduled_at_us));
            Ok(())
        })
        .unwrap();
        arrivals.sort_unstable();
        arrivals
    }

    fn run(&self, partitions: i32) -> Result<Verdict, Error> {
        self.cluster.create_topic("input", partitions, 1).unwrap();
        self.cluster.create_topic("output", 3, 1).unwrap();
        let spool = self.directory.join("spool");
        let consumer = LatencyConsumer::new(ConsumerSettings {
            config: self.config.clone(),
            topic: "output".to_owned(),
            spool: Some(spool.clone()),
            timestamp: TimestampSource::Field(TimestampField::new("scheduled_at_us")),
            fallback: None,
            from_end: false,
            interval_log: None,
            threads: 1,
            shard: None,
            clock_offset_us: 0,
        })
        .unwrap();
        consumer.start().unwrap();
        let generator = Generator::new(GeneratorSettings {
            config: self.config.clone(),
            topic: "input".to_owned(),
            workload: Arc::clone(&self.workload),
            schedule: Schedule::Constant { rate: 3_000.0 },
            count: Some(COUNT),
            duration: None,
            first_index: 0,
            start_us: None,
            measure: None,
            precision: Precision::DEFAULT,
            shard: None,
            slip_log: None,
        })
        .unwrap();
        generator.start().unwrap();
        let report = generator.wait(LONG).expect("the generator ends").unwrap();
        let producer = Producer::connect(&self.config, "output", LONG, &Stop::new()).unwrap();
        let output = self.job.output(&self.workload, &self.arrivals("input"), 1_000);
        for (record, index) in output.iter().zip(0..) {
            producer.relay(index, record.key.as_deref(), record.payload.as_deref()).unwrap();
        }
        let deadline = Instant::now() + LONG;
        while consumer.snapshot().received < output.len() as u64 && Instant::now() < deadline {
            producer.poll(Duration::from_millis(5));
        }
        consumer.stop();
        consumer.wait(LONG).expect("the consumer ends").unwrap();
        let settings = VerifySettings {
            rules: self.job.rules(),
            config: self.config.clone(),
            input_topic: "input".to_owned(),
            output_topic: "output".to_owned(),
            spool,
            scope: Scope::of((report.start_us, report.start_us + 500_000)),
            deadline_us: clock::now_us(),
            interval_log: Some(self.directory.join("latency.hlog")),
            close_log: Some(self.directory.join("close.hlog")),
        };
        verify(&settings, &self.workload, &Stop::new())
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn aggregates_are_verified_over_topics() {
    for job in [JOBS[0], JOBS[4], JOBS[6]] {
        let verdict = Trial::new(job, 50).run(4).unwrap();
        assert!(verdict.is_correct(), "{job:?}: {:?}", verdict.offending);
        let per_event = if job.pattern == "03" { 5 } else { 1 };
        assert_eq!((verdict.counts.produced, verdict.counts.expected), (COUNT, COUNT * per_event));
        assert_eq!(verdict.latency.count(), verdict.counts.expected);
        assert!(verdict.close_latency.is_none());
    }
}

#[test]
fn final_results_are_verified_over_topics_and_logged() {
    let trial = Trial::new(JOBS[5], 1);
    assert_eq!(trial.job.emission, Emission::Close);
    let verdict = trial.run(1).unwrap();
    assert!(verdict.is_correct(), "{:?}", verdict.offending);
    let windows = verdict.close_latency.unwrap().count();
    assert!((10..=25).contains(&windows), "{windows}");
    let log = std::fs::read_to_string(trial.directory.join("close.hlog")).unwrap();
    assert!(log.lines().count() > 3, "{log}");
}

#[test]
fn bad_settings_are_refused() {
    let trial = Trial::new(JOBS[0], 1);
    let settings = VerifySettings {
        rules: trial.job.rules(),
        config: trial.config.clone(),
        input_topic: "same".to_owned(),
        output_topic: "same".to_owned(),
        spool: trial.directory.clone(),
        scope: Scope::of((0, 1)),
        deadline_us: 1,
        interval_log: None,
        close_log: None,
    };
    let refused = |settings: &VerifySettings, why: &str| {
        let error = verify(settings, &trial.workload, &Stop::new()).unwrap_err();
        assert!(matches!(&error, Error::Invalid(message) if message.contains(why)), "{error}");
    };
    refused(&settings, "transport");
    let settings = VerifySettings { output_topic: "other".to_owned(), ..settings };
    refused(&VerifySettings { scope: Scope::of((1, 1)), ..settings.clone() }, "measuring window");
    let restarts = vec![(5, 6), (7, 7)];
    refused(
        &VerifySettings { scope: Scope { restarts, ..Scope::of((0, 1)) }, ..settings },
        "restart window (7, 7)",
    );
}
