//! The load generator: workload × schedule → Kafka, open loop, paced on a thread of its own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock::{self, Pacer, Precision};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::histogram::Histogram;
use crate::kafka::producer::{Producer, Refused};
use crate::kafka::{KafkaConfig, lock};
use crate::live_log::{LiveLog, SecondsRecorder};
use crate::schedule::Schedule;
use crate::stop::Stop;
use crate::workload::Workload;

/// How often delivery reports are served. Rarely enough that it costs nothing, often enough that the
/// client's queue never fills up with reports.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How long the pacing thread waits before it offers a record again that the full queue refused.
const RETRY_INTERVAL: Duration = Duration::from_micros(200);
/// After `stop()`: how long records in flight may go without any acknowledgement before they are given up.
const STOP_GRACE_US: i64 = 1_000_000;
/// How long the brokers may take to answer at the start.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Refused records of which the reason is kept.
const ERROR_SAMPLES: usize = 10;

/// What to generate, and where to.
#[derive(Clone, Debug)]
pub struct GeneratorSettings {
    /// How to reach Kafka.
    pub config: KafkaConfig,
    /// An existing topic.
    pub topic: String,
    /// What the events are.
    pub workload: Arc<Workload>,
    /// When they are intended.
    pub schedule: Schedule,
    /// End after this many events of the whole workload, other shards' included.
    pub count: Option<u64>,
    /// End before the first event that is intended this long after the start.
    pub duration: Option<Duration>,
    /// The index of the first event; the schedule starts with it.
    pub first_index: u64,
    /// When the schedule starts, µs since the Unix epoch; a moment after `start()` when `None`.
    pub start_us: Option<i64>,
    /// The window `[from, to)` of intended times, µs, that `slip` covers; all of them when `None`.
    pub measure: Option<(i64, i64)>,
    /// How exactly to keep time.
    pub precision: Precision,
    /// Send only the events of this shard; all of them when `None`.
    pub shard: Option<Shard>,
    /// The file for the slip of each second of intended times, as an interval log.
    pub slip_log: Option<PathBuf>,
}

/// One of several generators that make one workload together: it sends the events whose key is its own, each
/// with the index and the intended time that it has in the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: u32,
    of: u32,
}

impl Shard {
    /// Shard `number` (from 1) of `of`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `number` is not 1 to `of`.
    pub fn new(number: u32, of: u32) -> Result<Self> {
        if number == 0 || number > of {
            return Err(Error::Invalid(format!(
                "there is no shard {number}/{of}: shards are numbered from 1, as in 1/2 and 2/2"
            )));
        }
        Ok(Self { number, of })
    }

    /// Whether the event is one of this shard's.
    #[inline]
    pub fn has(self, event: &Event) -> bool {
        Workload::shard_of(event, self.of) == self.number - 1
    }
}

/// Counters of a running generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneratorSnapshot {
    /// Events handed over to the client.
    pub generated: u64,
    /// Events that the broker confirmed.
    pub acked: u64,
    /// Events that were refused or not delivered.
    pub failed: u64,
    /// Events that had to wait because the client's queue was full.
    pub queue_full: u64,
}

/// What a generator did.
#[derive(Clone, Debug)]
pub struct GeneratorReport {
    /// Where the events went.
    pub topic: String,
    /// The index of the first event.
    pub first_index: u64,
    /// The index after the last event that was handed over, or left to other shards.
    pub next_index: u64,
    /// Events handed over to the client.
    pub generated: u64,
    /// Events that the broker confirmed.
    pub acked: u64,
    /// Events that were refused or not delivered.
    pub failed: u64,
    /// Events that had to wait because the client's queue was full.
    pub queue_full: u64,
    /// The start of the schedule, µs since the Unix epoch.
    pub start_us: i64,
    /// From the start to the last confirmation or, if later, to the end of the schedule, s.
    pub seconds: f64,
    /// Confirmed events a second.
    pub rate: f64,
    /// Hand-over minus intended time, µs, of the events in the measuring window.
    pub slip: Histogram,
    /// The same of all events.
    pub slip_all: Histogram,
    /// The first few errors, as text.
    pub errors: Vec<String>,
}

impl GeneratorReport {
    /// The report of a generator that was stopped before it sent anything.
    fn of_nothing(settings: &GeneratorSettings) -> Self {
        Self {
            topic: settings.topic.clone(),
            first_index: settings.first_index,
            next_index: settings.first_index,
            generated: 0,
            acked: 0,
            failed: 0,
            queue_full: 0,
            start_us: settings.start_us.unwrap_or_else(clock::now_us),
            seconds: 0.0,
            rate: 0.0,
            slip: Histogram::new(),
            slip_all: Histogram::new(),
            errors: Vec::new(),
        }
    }
}

/// How a run ended; the error as text, because it is given out more than once.
type Outcome = std::result::Result<Arc<GeneratorReport>, String>;

#[derive(Default)]
struct Shared {
    stop: Stop,
    generated: AtomicU64,
    queue_full: AtomicU64,
    refused: AtomicU64,
    /// Set by the pacing thread when all is handed over.
    handed_over: AtomicBool,
    last_ack_us: AtomicI64,
    /// Wakes the polling thread early: the queue is full, or all is handed over.
    poll_now: (Mutex<bool>, Condvar),
    outcome: (Mutex<Option<Outcome>>, Condvar),
}

impl Shared {
    fn ask_for_poll(&self) {
        *lock(&self.poll_now.0) = true;
        self.poll_now.1.notify_one();
    }

    fn finish(&self, outcome: Outcome) {
        *lock(&self.outcome.0) = Some(outcome);
        self.outcome.1.notify_all();
    }
}

/// A load generator. Its threads are its own; dropping it stops them.
pub struct Generator {
    settings: GeneratorSettings,
    shared: Arc<Shared>,
    producer: Mutex<Option<Arc<Producer>>>,
    started: AtomicBool,
}

impl Generator {
    /// Checks the settings; connects to nothing yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a schedule, duration or window out of range.
    pub fn new(mut settings: GeneratorSettings) -> Result<Self> {
        settings.schedule = settings.schedule.validated()?;
        if settings.measure.is_some_and(|(from, to)| from >= to) {
            return Err(Error::Invalid(
                "the measuring window is empty: `from` must be before `to`".to_owned(),
            ));
        }
        Ok(Self {
            settings,
            shared: Arc::default(),
            producer: Mutex::new(None),
            started: AtomicBool::new(false),
        })
    }

    /// Connects, then starts the threads and returns.
    ///
    /// # Errors
    /// [`Error::Kafka`] when the topic does not exist or the brokers do not answer within 30 s;
    /// [`Error::Invalid`] when it was started before. A `stop()` meanwhile is no error: the report is empty.
    pub fn start(&self) -> Result<()> {
        if self.started.swap(true, Ordering::AcqRel) {
            return Err(Error::Invalid("this generator was started before; make a new one".to_owned()));
        }
        let settings = &self.settings;
        let producer =
            match Producer::connect(&settings.config, &settings.topic, CONNECT_TIMEOUT, &self.shared.stop) {
                Ok(producer) => Arc::new(producer),
                Err(Error::Stopped) => {
                    self.shared.finish(Ok(Arc::new(GeneratorReport::of_nothing(settings))));
                    return Ok(());
                }
                Err(error) => {
                    self.shared.finish(Err(error.to_string()));
                    return Err(error);
                }
            };
        *lock(&self.producer) = Some(Arc::clone(&producer));
        let shared = Arc::clone(&self.shared);
        let settings = self.settings.clone();
        let work = move || {
            let outcome = run(&settings, &producer, &shared);
            drop(producer);
            shared.finish(outcome.map(Arc::new).map_err(|error| error.to_string()));
        };
        spawn("rtmbench-generate", work).inspect_err(|error| self.shared.finish(Err(error.to_string())))?;
        Ok(())
    }

    /// Ends the generation; records in flight are still waited for while acknowledgements come in.
    pub fn stop(&self) {
        self.shared.stop.set();
        self.shared.ask_for_poll();
    }

    /// Waits at most `timeout` for the end; `None` when it is still running.
    ///
    /// # Errors
    /// [`Error::Kafka`] with the reason for which the generator ended without a report.
    pub fn wait(&self, timeout: Duration) -> Option<Result<Arc<GeneratorReport>>> {
        let guard = lock(&self.shared.outcome.0);
        let (guard, _) = self
            .shared
            .outcome
            .1
            .wait_timeout_while(guard, timeout, |outcome| outcome.is_none())
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        guard.clone().map(|outcome| outcome.map_err(Error::Kafka))
    }

    /// Whether `start()` was called.
    pub fn is_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// The counters now.
    pub fn snapshot(&self) -> GeneratorSnapshot {
        let producer = lock(&self.producer);
        let (acked, failed) =
            producer.as_ref().map_or((0, 0), |producer| (producer.acked(), producer.failed()));
        GeneratorSnapshot {
            generated: self.shared.generated.load(Ordering::Relaxed),
            acked,
            failed: failed + self.shared.refused.load(Ordering::Relaxed),
            queue_full: self.shared.queue_full.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        // The threads end on their own; waiting for them here could hold up an interrupt.
        self.shared.stop.set();
        self.shared.ask_for_poll();
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| Error::Kafka(format!("no thread for {name}: {error}")))
}

struct Paced {
    next_index: u64,
    start_us: i64,
    end_us: i64,
    slip: Histogram,
    slip_all: Histogram,
    errors: Vec<String>,
}

/// The pacing thread's body; a second thread serves the delivery reports meanwhile.
fn run(
    settings: &GeneratorSettings,
    producer: &Arc<Producer>,
    shared: &Arc<Shared>,
) -> Result<GeneratorReport> {
    let polling = {
        let (producer, shared) = (Arc::clone(producer), Arc::clone(shared));
        spawn("rtmbench-deliver", move || serve_deliveries(&producer, &shared))?
    };
    let start_us = settings.start_us.unwrap_or_else(|| clock::now_us() + 5_000);
    let log = settings.slip_log.as_ref().map(|path| LiveLog::create(path, start_us)).transpose();
    let paced = log.and_then(|log| {
        let paced = pace(settings, start_us, log.as_ref().map(LiveLog::recorder), producer, shared);
        log.map_or(Ok(()), LiveLog::finish).map(|()| paced)
    });
    shared.handed_over.store(true, Ordering::Release);
    shared.ask_for_poll();
    if polling.join().is_err() {
        return Err(Error::Harness("the thread that serves delivery reports ended early".to_owned()));
    }
    let paced = paced?;
    let end_us = paced.end_us.max(shared.last_ack_us.load(Ordering::Relaxed));
    let seconds = ((end_us - paced.start_us).max(1)) as f64 / 1e6;
    let acked = producer.acked();
    let mut errors = paced.errors;
    errors.extend(producer.errors());
    Ok(GeneratorReport {
        topic: settings.topic.clone(),
        first_index: settings.first_index,
        next_index: paced.next_index,
        generated: shared.generated.load(Ordering::Relaxed),
        acked,
        failed: producer.failed() + shared.refused.load(Ordering::Relaxed),
        queue_full: shared.queue_full.load(Ordering::Relaxed),
        start_us: paced.start_us,
        seconds,
        rate: acked as f64 / seconds,
        slip: paced.slip,
        slip_all: paced.slip_all,
        errors,
    })
}

fn pace(
    settings: &GeneratorSettings,
    start_us: i64,
    mut log: Option<SecondsRecorder>,
    producer: &Producer,
    shared: &Shared,
) -> Paced {
    let mut pacer = Pacer::for_this_thread(settings.precision);
    let (from_us, to_us) = settings.measure.unwrap_or((i64::MIN, i64::MAX));
    let end_offset_us = settings.duration.map_or(i64::MAX, |duration| duration.as_micros() as i64);
    let end_index = settings.count.map_or(u64::MAX, |count| settings.first_index.saturating_add(count));
    let unpaced = settings.schedule == Schedule::Unpaced;
    let mut result = Paced {
        next_index: settings.first_index,
        start_us,
        end_us: start_us,
        slip: Histogram::new(),
        slip_all: Histogram::new(),
        errors: vec![],
    };
    let mut arrivals = settings.schedule.arrivals(0);
    let (mut key, mut payload) =
        (Vec::with_capacity(64), Vec::with_capacity(settings.workload.payload_bytes().unwrap_or(512)));
    let mut sent = 0_u64;
    while result.next_index < end_index {
        let index = result.next_index;
        let offset_us = if unpaced { (clock::now_us() - start_us).max(0) } else { arrivals.next_us() };
        if offset_us >= end_offset_us {
            result.end_us = start_us.saturating_add(if unpaced { offset_us } else { end_offset_us });
            return result;
        }
        let due_us = start_us + offset_us;
        let event = settings.workload.event(index, due_us);
        let foreign = settings.shard.is_some_and(|shard| !shard.has(&event));
        if foreign && !shared.stop.is_set() {
            result.next_index += 1;
            continue;
        }
        // Without a schedule an event is due at once, and only the flag is looked at.
        let go = if unpaced && offset_us > 0 {
            !shared.stop.is_set()
        } else {
            pacer.wait_until(due_us, &shared.stop)
        };
        if !go {
            result.end_us = clock::now_us().max(start_us);
            return result;
        }
        settings.workload.encode_key(index, &event, &mut key);
        settings.workload.encode(index, &event, &mut payload);
        if !hand_over(producer, shared, index, &key, &payload, &mut result.errors) {
            result.end_us = clock::now_us();
            return result;
        }
        result.next_index += 1;
        let slip_us = clock::now_us() - due_us;
        result.slip_all.record(slip_us);
        if (from_us..to_us).contains(&due_us) {
            result.slip.record(slip_us);
        }
        if let Some(log) = &mut log {
            log.record(due_us, slip_us);
        }
        sent += 1;
        shared.generated.store(sent, Ordering::Relaxed);
    }
    // The schedule ends where the next event would be.
    result.end_us = if unpaced { clock::now_us() } else { start_us + arrivals.next_us().min(end_offset_us) };
    result
}

/// Hands one record over, waiting while the queue is full; false when stopped meanwhile.
fn hand_over(
    producer: &Producer,
    shared: &Shared,
    index: u64,
    key: &[u8],
    payload: &[u8],
    errors: &mut Vec<String>,
) -> bool {
    let mut waited = false;
    loop {
        match producer.send(index, key, payload) {
            Ok(()) => return true,
            Err(Refused::QueueFull) => {
                if !waited {
                    waited = true;
                    shared.queue_full.fetch_add(1, Ordering::Relaxed);
                }
                if shared.stop.is_set() {
                    return false;
                }
                shared.ask_for_poll();
                thread::sleep(RETRY_INTERVAL);
            }
            Err(Refused::Error(reason)) => {
                shared.refused.fetch_add(1, Ordering::Relaxed);
                if errors.len() < ERROR_SAMPLES {
                    errors.push(format!("event {index}: {reason}"));
                }
                return true;
            }
        }
    }
}

fn serve_deliveries(producer: &Producer, shared: &Shared) {
    let mut known = 0;
    let mut progress_us = clock::now_us();
    let mut given_up = false;
    loop {
        let all_handed_over = shared.handed_over.load(Ordering::Acquire);
        producer.poll(Duration::ZERO);
        let acked = producer.acked();
        if acked > known {
            known = acked;
            progress_us = clock::now_us();
            shared.last_ack_us.store(progress_us, Ordering::Relaxed);
        }
        if all_handed_over {
            if producer.in_flight() == 0 {
                return;
            }
            let silent_us = clock::now_us() - progress_us;
            if shared.stop.is_set() && silent_us > STOP_GRACE_US && !given_up {
                given_up = true;
                producer.purge();
            }
            producer.poll(Duration::from_millis(2));
        } else {
            let guard = lock(&shared.poll_now.0);
            let (mut requested, _) = shared
                .poll_now
                .1
                .wait_timeout_while(guard, POLL_INTERVAL, |asked| !*asked)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            *requested = false;
        }
    }
}
