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
use crate::kafka::producer::{Batch, Producer};
use crate::kafka::{KafkaConfig, lock};
use crate::live_log::{LiveLog, SecondsRecorder};
use crate::schedule::{Arrivals, Schedule};
use crate::slip::MeasuredSlip;
use crate::stop::Stop;
use crate::workload::Workload;

/// How often delivery reports are served. Rarely enough that it costs nothing, often enough that the
/// client's queue never fills up with reports.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How long the pacing thread waits before it offers a record again that the full queue refused.
const RETRY_INTERVAL: Duration = Duration::from_micros(200);
/// The same where that thread itself serves the delivery reports that make room.
const RETRY_SERVING: Duration = Duration::from_millis(1);
/// After `stop()`: how long records in flight may go without any acknowledgement before they are given up.
const STOP_GRACE_US: i64 = 1_000_000;
/// How long the brokers may take to answer at the start.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Refused records of which the reason is kept.
const ERROR_SAMPLES: usize = 10;
/// Events that are due together go to the client in one call: at most this many, and about so many bytes.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 64 << 10;

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
    /// The window `[from, to)` of intended times, µs, that `slip` covers; all of them when `None`. It can be set while
    /// the load runs, see [`Generator::measure_from`].
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

    /// How many shards there are.
    pub const fn parts(self) -> u32 {
        self.of
    }

    /// Whether a consumer of this shard reads the partition: they share the partitions out in turns.
    pub fn reads(self, partition: i32) -> bool {
        partition as u32 % self.of == self.number - 1
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
    /// For how long the next event has been due, µs; 0 when none is, and without a schedule.
    pub behind_us: i64,
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

struct Shared {
    stop: Stop,
    slip: Mutex<MeasuredSlip>,
    /// The intended time of the first event that is not handed over; 0 where there is none, or no schedule.
    next_due_us: AtomicI64,
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
    fn new(measure: Option<(i64, i64)>) -> Self {
        Self {
            stop: Stop::new(),
            slip: Mutex::new(MeasuredSlip::of(measure)),
            next_due_us: AtomicI64::new(0),
            generated: AtomicU64::new(0),
            queue_full: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            handed_over: AtomicBool::new(false),
            last_ack_us: AtomicI64::new(0),
            poll_now: (Mutex::new(false), Condvar::new()),
            outcome: (Mutex::new(None), Condvar::new()),
        }
    }

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
        let shared = Arc::new(Shared::new(settings.measure));
        Ok(Self { settings, shared, producer: Mutex::new(None), started: AtomicBool::new(false) })
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

    /// Lets the measuring window begin at `from_us`, µs since the Unix epoch, whatever it began at before: the report's
    /// `slip` leaves out the events that are intended for less, those handed over already as well.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the window ends before that, when more than the newest 262,144 events are intended for
    /// later, or when the generator has ended.
    pub fn measure_from(&self, from_us: i64) -> Result<()> {
        lock(&self.shared.slip).begin_at(from_us)
    }

    /// Lets the measuring window end at `to_us`, µs since the Unix epoch: the report's `slip` leaves out the events that
    /// are intended for then or later.
    ///
    /// # Errors
    /// As [`Generator::measure_from`].
    pub fn measure_to(&self, to_us: i64) -> Result<()> {
        lock(&self.shared.slip).end_at(to_us)
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
            behind_us: match self.shared.next_due_us.load(Ordering::Relaxed) {
                0 => 0,
                due_us => (clock::now_us() - due_us).max(0),
            },
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
    slip_all: Histogram,
    errors: Vec<String>,
}

/// The pacing thread's body; a second thread serves the delivery reports meanwhile. Where there is no time to keep,
/// the reports are served between the batches instead: memory is then freed by the thread that allocated it.
fn run(
    settings: &GeneratorSettings,
    producer: &Arc<Producer>,
    shared: &Arc<Shared>,
) -> Result<GeneratorReport> {
    let paced = settings.schedule != Schedule::Unpaced;
    let polling = paced
        .then(|| {
            let (producer, shared) = (Arc::clone(producer), Arc::clone(shared));
            spawn("rtmbench-deliver", move || serve_deliveries(&producer, &shared))
        })
        .transpose()?;
    let start_us = settings.start_us.unwrap_or_else(|| clock::now_us() + 5_000);
    let log = settings.slip_log.as_ref().map(|path| LiveLog::create(path, start_us)).transpose();
    let paced = log.and_then(|log| {
        let paced = pace(settings, start_us, log.as_ref().map(LiveLog::recorder), producer, shared);
        log.map_or(Ok(()), LiveLog::finish).map(|()| paced)
    });
    shared.handed_over.store(true, Ordering::Release);
    match polling {
        None => serve_deliveries(producer, shared),
        Some(polling) => {
            shared.ask_for_poll();
            if polling.join().is_err() {
                return Err(Error::Harness("the thread that serves delivery reports ended early".to_owned()));
            }
        }
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
        slip: lock(&shared.slip).end(),
        slip_all: paced.slip_all,
        errors,
    })
}

/// The events of one generator in their order, each with its index and its intended time.
struct Due<'a> {
    settings: &'a GeneratorSettings,
    arrivals: Arrivals<'a>,
    start_us: i64,
    end_index: u64,
    end_offset_us: i64,
    /// The index of the next event that is looked at.
    cursor: u64,
    next: Option<(u64, Event)>,
    /// Why there is no next one: the time the schedule ends, µs since the Unix epoch.
    end_us: Option<i64>,
}

impl<'a> Due<'a> {
    fn new(settings: &'a GeneratorSettings, start_us: i64) -> Self {
        Self {
            settings,
            arrivals: settings.schedule.arrivals(0),
            start_us,
            end_index: settings.count.map_or(u64::MAX, |count| settings.first_index.saturating_add(count)),
            end_offset_us: settings.duration.map_or(i64::MAX, |duration| duration.as_micros() as i64),
            cursor: settings.first_index,
            next: None,
            end_us: None,
        }
    }

    /// The next event; without a schedule it is due `now_us`. `None` at the end, or when `stop` was set while
    /// other shards' events were left out.
    #[inline]
    fn peek(&mut self, now_us: i64, stop: &Stop) -> Option<(u64, Event)> {
        while self.next.is_none() && self.end_us.is_none() {
            let unpaced = self.settings.schedule == Schedule::Unpaced;
            let index = self.cursor;
            if index >= self.end_index {
                // The schedule ends where the next event would be.
                let end_us = self.start_us + self.arrivals.next_us().min(self.end_offset_us);
                self.end_us = Some(if unpaced { now_us } else { end_us });
                break;
            }
            let offset_us = if unpaced { (now_us - self.start_us).max(0) } else { self.arrivals.next_us() };
            if offset_us >= self.end_offset_us {
                let end_us = if unpaced { now_us } else { self.start_us.saturating_add(self.end_offset_us) };
                self.end_us = Some(end_us);
                break;
            }
            let event = self.settings.workload.event(index, self.start_us + offset_us);
            if self.settings.shard.is_none_or(|shard| shard.has(&event)) {
                self.next = Some((index, event));
            } else if stop.is_set() {
                break;
            } else {
                self.cursor += 1;
            }
        }
        self.next
    }

    #[inline]
    fn advance(&mut self) {
        self.next = None;
        self.cursor += 1;
    }
}

fn pace(
    settings: &GeneratorSettings,
    start_us: i64,
    mut log: Option<SecondsRecorder>,
    producer: &Producer,
    shared: &Shared,
) -> Paced {
    let mut pacer = Pacer::for_this_thread(settings.precision);
    let unpaced = settings.schedule == Schedule::Unpaced;
    let mut result = Paced {
        next_index: settings.first_index,
        start_us,
        end_us: start_us,
        slip_all: Histogram::new(),
        errors: vec![],
    };
    let record_bytes = settings.workload.record_bytes();
    let mut batch = Batch::new((BATCH_BYTES / record_bytes).clamp(1, BATCH), record_bytes);
    let mut batch_due_us = Vec::with_capacity(BATCH);
    let mut due = Due::new(settings, start_us);
    let mut sent = 0_u64;
    let mut now_us = pacer.wait_until(if unpaced { start_us } else { i64::MIN }, &shared.stop);
    while let Some(at_us) = now_us {
        let next = if batch.is_full() { None } else { due.peek(at_us, &shared.stop) };
        if let Some((index, event)) = next
            && event.scheduled_at_us <= at_us
        {
            batch.push(index, |key, payload| {
                settings.workload.encode_key(index, &event, key);
                settings.workload.encode(index, &event, payload);
            });
            if batch_due_us.is_empty() && !unpaced {
                shared.next_due_us.store(event.scheduled_at_us, Ordering::Relaxed);
            }
            batch_due_us.push(event.scheduled_at_us);
            due.advance();
        } else if !batch.is_empty() {
            let whole = hand_over(producer, shared, &mut batch, unpaced, &mut result.errors);
            let handed_over_us = clock::now_us();
            // A stop while the queue was full leaves the rest of the batch.
            batch_due_us.truncate(batch_due_us.len() - batch.left());
            let mut measured = lock(&shared.slip);
            for &due_us in &batch_due_us {
                let slip_us = handed_over_us - due_us;
                result.slip_all.record(slip_us);
                measured.record(due_us, slip_us);
                if let Some(log) = &mut log {
                    log.record(due_us, slip_us);
                }
            }
            drop(measured);
            sent += batch_due_us.len() as u64;
            shared.generated.store(sent, Ordering::Relaxed);
            if !whole {
                due.cursor = batch.next_index().unwrap_or(due.cursor);
                break;
            }
            batch.clear();
            batch_due_us.clear();
            if unpaced {
                producer.poll(Duration::ZERO);
            }
            now_us = (!shared.stop.is_set()).then_some(handed_over_us);
        } else if let Some((_, event)) = next {
            shared.next_due_us.store(event.scheduled_at_us, Ordering::Relaxed);
            now_us = pacer.wait_until(event.scheduled_at_us, &shared.stop);
        } else {
            break;
        }
    }
    shared.next_due_us.store(0, Ordering::Relaxed);
    result.next_index = due.cursor;
    result.end_us = due.end_us.unwrap_or_else(|| clock::now_us().max(start_us));
    result
}

/// Hands a batch over, waiting while the queue is full; false when stopped meanwhile.
fn hand_over(
    producer: &Producer,
    shared: &Shared,
    batch: &mut Batch,
    serve: bool,
    errors: &mut Vec<String>,
) -> bool {
    let mut waited = false;
    let mut refuse = |index: u64, reason: String| {
        shared.refused.fetch_add(1, Ordering::Relaxed);
        if errors.len() < ERROR_SAMPLES {
            errors.push(format!("event {index}: {reason}"));
        }
    };
    while !producer.send(batch, &mut refuse) {
        if !waited {
            waited = true;
            shared.queue_full.fetch_add(batch.left() as u64, Ordering::Relaxed);
        }
        if shared.stop.is_set() {
            return false;
        }
        if serve {
            producer.poll(RETRY_SERVING);
        } else {
            shared.ask_for_poll();
            thread::sleep(RETRY_INTERVAL);
        }
    }
    true
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
