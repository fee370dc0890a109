//! The latency consumer: Kafka → receipt times on disk, and live percentiles.

use std::ffi::CString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::clock;
use crate::error::{Error, Result};
use crate::event::TimestampField;
use crate::generate::Shard;
use crate::histogram::{Histogram, MAX_US};
use crate::kafka::consumer::{Fetched, Message, PartitionReader};
use crate::kafka::{KafkaConfig, c_string, lock};
use crate::live_log::{LiveLog, SecondsRecorder};
use crate::spool::{Spool, SpoolWriter};
use crate::stamp::{Stamp, StampPath, Unit, Units};
use crate::stop::Stop;

/// Malformed records of which a sample is kept, per thread.
const MALFORMED_SAMPLES: usize = 10;
/// Characters of a record that a sample shows.
const EXCERPT: usize = 200;
/// How long the brokers may take until every partition is being fetched.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest wait for a record, so that `stop()` is seen.
const POLL: Duration = Duration::from_millis(50);
/// The same before every partition is being fetched, which is looked at in between.
const READY_POLL: Duration = Duration::from_millis(2);

/// Where the time to measure from is in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimestampSource {
    /// In a field of its JSON.
    Field(TimestampField),
    /// In the last header of that name, see [`StampPath::decode_header`].
    Header {
        /// The name for librdkafka.
        name: CString,
        /// The name for messages.
        path: StampPath,
    },
    /// In the time stamp that Kafka keeps of each record: the producer's, or the broker's where the topic says so.
    Kafka,
}

impl TimestampSource {
    /// A header of that name.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the name is empty or holds a NUL character.
    pub fn header(name: &str) -> Result<Self> {
        if name.is_empty() {
            return Err(Error::Invalid("the name of the header is empty".to_owned()));
        }
        Ok(Self::Header { name: c_string(name)?, path: StampPath::flat(name) })
    }
}

/// What to receive, and where the receipts go.
#[derive(Clone, Debug)]
pub struct ConsumerSettings {
    /// How to reach Kafka.
    pub config: KafkaConfig,
    /// An existing topic.
    pub topic: String,
    /// The directory for the receipt times, this consumer's own; `None` keeps none.
    pub spool: Option<PathBuf>,
    /// What holds the intended time.
    pub timestamp: TimestampSource,
    /// The field to use in a record that lacks the field of `timestamp`; `None`: such a record is malformed.
    pub fallback: Option<TimestampField>,
    /// Whether to leave out what the topic holds already.
    pub from_end: bool,
    /// Threads, each with a share of the partitions and a connection of its own.
    pub threads: usize,
    /// Read only the partitions of this shard; all of them when `None`.
    pub shard: Option<Shard>,
    /// How far the clock that stamps the records is ahead of the clock here, µs; latencies are corrected by it.
    pub clock_offset_us: i64,
    /// The file for the latencies of each second of receipt times, as an interval log.
    pub interval_log: Option<PathBuf>,
}

/// Counters and live percentiles of a running consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsumerSnapshot {
    /// Records received.
    pub received: u64,
    /// Of these, records that are no event with a time stamp.
    pub malformed: u64,
    /// Latencies below 0, counted as 1 µs.
    pub negative: u64,
    /// Latencies since `reset_live()`.
    pub live_count: u64,
    /// Their median, µs; 0 when there are none.
    pub p50_us: u64,
    /// Their 99th percentile, µs; 0 when there are none.
    pub p99_us: u64,
    /// Their 99.9th percentile, µs; 0 when there are none.
    pub p99_9_us: u64,
    /// When the last record was received, µs since the Unix epoch; 0 before the first.
    pub newest_received_us: i64,
}

/// What a consumer received.
#[derive(Clone, Debug)]
pub struct ConsumerReport {
    /// Records received.
    pub received: u64,
    /// Of these, records that are no event with a time stamp.
    pub malformed: u64,
    /// Latencies below 0, counted as 1 µs.
    pub negative: u64,
    /// Latencies that were taken from the fallback field.
    pub fallback: u64,
    /// Latencies that were taken from the time of the append, which the broker gives.
    pub appended: u64,
    /// The least latency, µs, unclamped; 0 without any.
    pub min_us: i64,
    /// How far the time stamps of the negative latencies were ahead, µs; since `reset_live()`, if that was called.
    pub ahead: Histogram,
    /// The units of the time stamps.
    pub units: Units,
    /// The first malformed records: where, why, and what they look like.
    pub malformed_samples: Vec<String>,
    /// Receipt minus the time stamp that the record carries, µs.
    pub latency: Histogram,
    /// Records received of each partition.
    pub partitions: Vec<u64>,
}

/// Where a record's time stamp is.
#[derive(Clone)]
struct Fields {
    timestamp: TimestampSource,
    fallback: Option<TimestampField>,
    clock_offset_us: i64,
}

struct Tally {
    received: u64,
    malformed: u64,
    negative: u64,
    fallback: u64,
    appended: u64,
    min_us: i64,
    units: Units,
    samples: Vec<String>,
    newest_received_us: i64,
    total: Histogram,
    live: Histogram,
    /// How far time stamps were ahead; made when the first one is, for most clocks agree.
    ahead: Option<Box<Histogram>>,
    partitions: Vec<u64>,
}

impl Tally {
    fn new() -> Self {
        Self {
            received: 0,
            malformed: 0,
            negative: 0,
            fallback: 0,
            appended: 0,
            min_us: i64::MAX,
            units: Units::default(),
            samples: Vec::new(),
            newest_received_us: 0,
            total: Histogram::new(),
            live: Histogram::new(),
            ahead: None,
            partitions: Vec::new(),
        }
    }

    /// Counts a record; returns its latency, µs, if it has one.
    #[inline]
    fn record(&mut self, message: Message<'_>, received_us: i64, fields: &Fields) -> Option<i64> {
        self.received += 1;
        self.newest_received_us = received_us;
        let partition = message.partition as usize;
        if partition >= self.partitions.len() {
            self.partitions.resize(partition + 1, 0);
        }
        self.partitions[partition] += 1;
        let decoded = match (&fields.timestamp, message.payload) {
            (TimestampSource::Field(_), None) => Err("a tombstone: the record has no value".to_owned()),
            (TimestampSource::Field(field), Some(payload)) => match field.decode(payload) {
                Ok(stamp) => Ok(stamp),
                Err(error) if error.is_missing_field() => {
                    self.second_choice(payload, fields).ok_or_else(|| error.to_string())
                }
                Err(error) => Err(error.to_string()),
            },
            (TimestampSource::Header { name, path }, _) => match message.headers.last(name) {
                Some(value) => path.decode_header(value).map_err(|error| error.to_string()),
                None => Err(format!("the record has no header `{}`", path.text())),
            },
            (TimestampSource::Kafka, _) => self.kept_by_kafka(message),
        };
        let decoded =
            decoded.map(|stamp| Stamp { at_us: stamp.at_us.saturating_sub(fields.clock_offset_us), ..stamp });
        match decoded {
            Ok(Stamp { at_us, unit, .. }) if at_us - received_us > MAX_US as i64 => {
                let ahead_s = (at_us - received_us) / 1_000_000;
                let zone = if unit == Unit::Text { "; without a zone it is taken as UTC" } else { "" };
                self.malformed(
                    message,
                    &format!("its time stamp, read as {}, is {ahead_s} s ahead{zone}", unit.name()),
                );
                None
            }
            Ok(stamp) => {
                let latency_us = received_us - stamp.at_us;
                if latency_us < 0 {
                    self.negative += 1;
                    self.ahead.get_or_insert_default().record(-latency_us);
                }
                self.units.add(stamp);
                self.min_us = self.min_us.min(latency_us);
                self.total.record(latency_us);
                self.live.record(latency_us);
                Some(latency_us)
            }
            Err(reason) => {
                self.malformed(message, &reason);
                None
            }
        }
    }

    /// The time stamp that Kafka keeps of a record, which is good to 1 ms.
    fn kept_by_kafka(&mut self, message: Message<'_>) -> std::result::Result<Stamp, String> {
        let kept_ms = message.append_ms.or(message.created_ms);
        let at_ms = kept_ms.ok_or_else(|| "Kafka keeps no time stamp of the record".to_owned())?;
        self.appended += u64::from(message.append_ms.is_some());
        Ok(Stamp { at_us: at_ms * 1_000, resolution_us: 1_000, unit: Unit::Milliseconds })
    }

    fn second_choice(&mut self, payload: &[u8], fields: &Fields) -> Option<Stamp> {
        let stamp = fields.fallback.as_ref()?.decode(payload).ok()?;
        self.fallback += 1;
        Some(stamp)
    }

    #[cold]
    fn malformed(&mut self, message: Message<'_>, reason: &str) {
        self.malformed += 1;
        if self.samples.len() < MALFORMED_SAMPLES {
            self.samples.push(format!(
                "partition {} offset {}: {reason}: {}",
                message.partition,
                message.offset,
                excerpt(message.payload.unwrap_or_default())
            ));
        }
    }
}

/// The start of a record as printable text.
pub(crate) fn excerpt(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(&payload[..payload.len().min(4 * EXCERPT)]);
    let mut shown: String = text.chars().take(EXCERPT).flat_map(char::escape_debug).collect();
    if text.chars().count() > EXCERPT || payload.len() > 4 * EXCERPT {
        shown.push('…');
    }
    shown
}

#[derive(Default)]
struct Shared {
    stop: Stop,
    tallies: Vec<Mutex<Tally>>,
    /// Threads that have seen every one of their partitions being fetched.
    ready: AtomicUsize,
    running: AtomicUsize,
    failure: Mutex<Option<String>>,
    log: Mutex<Option<LiveLog>>,
    changed: (Mutex<()>, Condvar),
}

impl Shared {
    fn notify(&self) {
        let _guard = lock(&self.changed.0);
        self.changed.1.notify_all();
    }

    fn fail(&self, message: String) {
        lock(&self.failure).get_or_insert(message);
        self.stop.set();
    }
}

/// A latency consumer. Its threads are its own; dropping it stops them.
pub struct LatencyConsumer {
    settings: ConsumerSettings,
    shared: Arc<Shared>,
    started: AtomicBool,
}

impl LatencyConsumer {
    /// Checks the settings; connects to nothing yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `threads` is not 1 to 64.
    pub fn new(settings: ConsumerSettings) -> Result<Self> {
        if !(1..=64).contains(&settings.threads) {
            return Err(Error::Invalid(format!("threads must be 1 to 64, not {}", settings.threads)));
        }
        let tallies = (0..settings.threads).map(|_| Mutex::new(Tally::new())).collect();
        let shared = Arc::new(Shared { tallies, ..Shared::default() });
        Ok(Self { settings, shared, started: AtomicBool::new(false) })
    }

    /// Starts the threads; returns once every partition is being fetched from offset 0.
    ///
    /// # Errors
    /// [`Error::Kafka`] when the topic does not exist or the brokers do not answer within 30 s;
    /// [`Error::Io`] when the spool cannot be created; [`Error::Invalid`] when it was started before. A
    /// `stop()` meanwhile is no error: the report is empty.
    pub fn start(&self) -> Result<()> {
        if self.started.swap(true, Ordering::AcqRel) {
            return Err(Error::Invalid("this consumer was started before; make a new one".to_owned()));
        }
        match self.try_start() {
            Ok(()) | Err(Error::Stopped) => Ok(()),
            Err(error) => {
                self.shared.fail(error.to_string());
                Err(error)
            }
        }
    }

    fn try_start(&self) -> Result<()> {
        let deadline = Instant::now() + READY_TIMEOUT;
        let threads = self.settings.threads;
        let path = self.settings.interval_log.as_ref();
        *lock(&self.shared.log) = path.map(|path| LiveLog::create(path, clock::now_us())).transpose()?;
        let spool = self.settings.spool.as_ref().map(|path| Spool::create(path)).transpose()?;
        let mut readers = Vec::with_capacity(threads);
        for number in 0..threads {
            let open =
                if self.settings.from_end { PartitionReader::open_at_end } else { PartitionReader::open };
            let reader = open(
                &self.settings.config,
                &self.settings.topic,
                |partition| {
                    // Among the partitions of a shard, each thread has its share.
                    let place = partition as u32 / self.settings.shard.map_or(1, Shard::parts);
                    self.settings.shard.is_none_or(|shard| shard.reads(partition))
                        && place as usize % threads == number
                },
                READY_TIMEOUT,
                &self.shared.stop,
            )?;
            let spools = reader.partitions().iter().map(|&partition| {
                Ok((partition, spool.as_ref().map(|spool| spool.partition(partition)).transpose()?))
            });
            let spools: Vec<(i32, Option<SpoolWriter>)> = spools.collect::<Result<_>>()?;
            readers.push((reader, spools));
        }
        for (number, (reader, spools)) in readers.into_iter().enumerate() {
            let shared = Arc::clone(&self.shared);
            let fields = Fields {
                timestamp: self.settings.timestamp.clone(),
                fallback: self.settings.fallback.clone(),
                clock_offset_us: self.settings.clock_offset_us,
            };
            let recorder = lock(&self.shared.log).as_ref().map(LiveLog::recorder);
            self.shared.running.fetch_add(1, Ordering::AcqRel);
            let work = move || {
                if let Err(error) = receive(reader, spools, number, &fields, recorder, &shared) {
                    shared.fail(error.to_string());
                }
                shared.running.fetch_sub(1, Ordering::AcqRel);
                shared.notify();
            };
            if let Err(error) = thread::Builder::new().name("rtmbench-receive".to_owned()).spawn(work) {
                self.shared.running.fetch_sub(1, Ordering::AcqRel);
                self.shared.fail(error.to_string());
                return Err(Error::Kafka(format!("no thread for the consumer: {error}")));
            }
        }
        let mut guard = lock(&self.shared.changed.0);
        while self.shared.ready.load(Ordering::Acquire) < threads {
            if let Some(failure) = lock(&self.shared.failure).clone() {
                return Err(Error::Kafka(failure));
            }
            if self.shared.stop.is_set() {
                return Err(Error::Stopped);
            }
            if Instant::now() >= deadline {
                self.shared.stop.set();
                return Err(Error::Kafka(format!(
                    "topic {} is not being fetched from all of its partitions after {READY_TIMEOUT:?}",
                    self.settings.topic
                )));
            }
            guard = self
                .shared
                .changed
                .1
                .wait_timeout(guard, POLL)
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .0;
        }
        Ok(())
    }

    /// Asks the threads to end; they do within 50 ms and write their receipts to disk.
    pub fn stop(&self) {
        self.shared.stop.set();
        self.shared.notify();
    }

    /// Whether `stop()` was called, or a thread failed.
    pub fn is_stopping(&self) -> bool {
        self.shared.stop.is_set()
    }

    /// Whether `start()` was called.
    pub fn is_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// Waits at most `timeout` for all threads to end; `None` when some still run.
    ///
    /// # Errors
    /// [`Error::Kafka`] with the reason for which a thread ended early.
    pub fn wait(&self, timeout: Duration) -> Option<Result<ConsumerReport>> {
        let guard = lock(&self.shared.changed.0);
        let running = |(): &mut ()| self.shared.running.load(Ordering::Acquire) > 0;
        let _guard = self
            .shared
            .changed
            .1
            .wait_timeout_while(guard, timeout, running)
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.shared.running.load(Ordering::Acquire) > 0 {
            return None;
        }
        if let Some(log) = lock(&self.shared.log).take()
            && let Err(error) = log.finish()
        {
            self.shared.fail(error.to_string());
        }
        if let Some(failure) = lock(&self.shared.failure).clone() {
            return Some(Err(Error::Kafka(failure)));
        }
        Some(Ok(self.report()))
    }

    fn report(&self) -> ConsumerReport {
        let mut report = ConsumerReport {
            received: 0,
            malformed: 0,
            negative: 0,
            fallback: 0,
            appended: 0,
            min_us: i64::MAX,
            ahead: self.ahead(),
            units: self.units(),
            malformed_samples: Vec::new(),
            latency: Histogram::new(),
            partitions: Vec::new(),
        };
        for tally in &self.shared.tallies {
            let tally = lock(tally);
            report.received += tally.received;
            report.malformed += tally.malformed;
            report.negative += tally.negative;
            report.fallback += tally.fallback;
            report.appended += tally.appended;
            report.min_us = report.min_us.min(tally.min_us);
            report.malformed_samples.extend(tally.samples.iter().cloned());
            report.latency.merge(&tally.total);
            let partitions = report.partitions.len().max(tally.partitions.len());
            report.partitions.resize(partitions, 0);
            for (sum, count) in report.partitions.iter_mut().zip(&tally.partitions) {
                *sum += count;
            }
        }
        if report.latency.count() == 0 {
            report.min_us = 0;
        }
        report
    }

    /// The first malformed records so far: where, why, and what they look like.
    pub fn malformed_samples(&self) -> Vec<String> {
        self.shared.tallies.iter().flat_map(|tally| lock(tally).samples.clone()).collect()
    }

    /// How far the time stamps of negative latencies were ahead, µs, since the start or the last `reset_live()`.
    pub fn ahead(&self) -> Histogram {
        let mut merged = Histogram::new();
        for tally in &self.shared.tallies {
            if let Some(ahead) = lock(tally).ahead.as_deref() {
                merged.merge(ahead);
            }
        }
        merged
    }

    /// The units of the time stamps until now.
    pub fn units(&self) -> Units {
        let mut units = Units::default();
        for tally in &self.shared.tallies {
            units.merge(&lock(tally).units);
        }
        units
    }

    /// The counters and live percentiles now.
    pub fn snapshot(&self) -> ConsumerSnapshot {
        let mut snapshot = ConsumerSnapshot::default();
        let mut live: Option<Histogram> = None;
        for tally in &self.shared.tallies {
            let tally = lock(tally);
            snapshot.received += tally.received;
            snapshot.malformed += tally.malformed;
            snapshot.negative += tally.negative;
            snapshot.newest_received_us = snapshot.newest_received_us.max(tally.newest_received_us);
            // Copied under the lock, looked through without it: a receiving thread must not wait for that.
            match &mut live {
                None => live = Some(tally.live.clone()),
                Some(merged) => merged.merge(&tally.live),
            }
        }
        if let Some(live) = live {
            snapshot.live_count = live.count();
            snapshot.p50_us = live.percentile(50.0);
            snapshot.p99_us = live.percentile(99.0);
            snapshot.p99_9_us = live.percentile(99.9);
        }
        snapshot
    }

    /// The latencies since the live percentiles were started afresh, which this does: none is lost or counted twice.
    pub fn take_live(&self) -> Histogram {
        let mut taken = Histogram::new();
        for tally in &self.shared.tallies {
            let live = std::mem::take(&mut lock(tally).live);
            taken.merge(&live);
        }
        taken
    }

    /// Starts the live percentiles and `ahead()` afresh.
    pub fn reset_live(&self) {
        for tally in &self.shared.tallies {
            let mut tally = lock(tally);
            tally.live.clear();
            tally.ahead = None;
        }
    }
}

impl Drop for LatencyConsumer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One receiving thread's body.
fn receive(
    mut reader: PartitionReader,
    mut spools: Vec<(i32, Option<SpoolWriter>)>,
    number: usize,
    fields: &Fields,
    mut log: Option<SecondsRecorder>,
    shared: &Shared,
) -> Result<()> {
    // Partitions are small numbers: an array lookup per record instead of a search.
    let mut writers: Vec<Option<SpoolWriter>> = Vec::new();
    for (partition, writer) in spools.drain(..) {
        writers.resize_with(writers.len().max(partition as usize + 1), || None);
        writers[partition as usize] = writer;
    }
    let mut ready = false;
    while !shared.stop.is_set() {
        if !ready && reader.is_fetching() {
            ready = true;
            shared.ready.fetch_add(1, Ordering::AcqRel);
            shared.notify();
        }
        // The time first: waiting for the lock must not count as latency.
        let batch = || (clock::now_us(), lock(&shared.tallies[number]));
        let timeout = if ready { POLL } else { READY_POLL };
        let given = reader.poll(timeout, batch, |fetched, (received_us, tally)| {
            let Fetched::Record(message) = fetched else { return Ok(()) };
            if let Some(Some(writer)) = writers.get_mut(message.partition as usize) {
                writer.push(message.offset, *received_us)?;
            }
            if let Some(latency_us) = tally.record(message, *received_us, fields)
                && let Some(log) = &mut log
            {
                log.record(*received_us, latency_us);
            }
            Ok(())
        })?;
        if given == 0
            && let Some(log) = &mut log
        {
            log.advance(clock::now_us());
        }
    }
    drop(log);
    for writer in writers.iter_mut().flatten() {
        writer.flush()?;
    }
    Ok(())
}
