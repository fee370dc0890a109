//! The relay: consume and produce between two topics, and nothing else. The floor of any engine.
//!
//! Every record of the input, from its first offset on, is written to the output with its key and its bytes.
//! The output is at-least-once: a record that is not confirmed ends the relay with an error, and a new relay
//! begins at the first offset again. Java's partitioner keeps a key's order.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::kafka::consumer::{Fetched, Message, PartitionReader};
use crate::kafka::producer::{Producer, Refused};
use crate::kafka::{KafkaConfig, lock};
use crate::stop::Stop;

/// How long the brokers may take to answer at the start.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest wait for a record, so that `stop()` and failed deliveries are seen.
const POLL: Duration = Duration::from_millis(20);
/// How long a full queue is polled before the record is offered again.
const RETRY: Duration = Duration::from_millis(1);
/// After `stop()`: how long the records in flight may take.
const FLUSH: Duration = Duration::from_secs(2);

/// Between which topics, and how to reach them.
#[derive(Clone, Debug)]
pub struct RelaySettings {
    /// How to reach Kafka; consumer and producer take their own properties from it.
    pub config: KafkaConfig,
    /// An existing topic, read from its first offset on.
    pub input: String,
    /// An existing topic.
    pub output: String,
}

/// Counters of a relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelaySnapshot {
    /// Records read from the input.
    pub consumed: u64,
    /// Records of the output that the broker confirmed.
    pub acked: u64,
    /// Records that were refused or not delivered; the first one ends the relay.
    pub failed: u64,
    /// Records that had to wait because the producer's queue was full.
    pub queue_full: u64,
}

type Outcome = std::result::Result<RelaySnapshot, String>;

#[derive(Default)]
struct Shared {
    stop: Stop,
    consumed: AtomicU64,
    queue_full: AtomicU64,
    producer: Mutex<Option<Arc<Producer>>>,
    outcome: (Mutex<Option<Outcome>>, Condvar),
}

impl Shared {
    fn snapshot(&self) -> RelaySnapshot {
        let producer = lock(&self.producer);
        let (acked, failed) =
            producer.as_ref().map_or((0, 0), |producer| (producer.acked(), producer.failed()));
        RelaySnapshot {
            consumed: self.consumed.load(Ordering::Relaxed),
            acked,
            failed,
            queue_full: self.queue_full.load(Ordering::Relaxed),
        }
    }

    fn finish(&self, outcome: Outcome) {
        *lock(&self.outcome.0) = Some(outcome);
        self.outcome.1.notify_all();
    }
}

/// A relay. Its thread is its own; dropping it stops it.
pub struct Relay {
    settings: RelaySettings,
    shared: Arc<Shared>,
    started: AtomicBool,
}

impl Relay {
    /// Checks the settings; connects to nothing yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] when both topics are the same one: it would never end.
    pub fn new(settings: RelaySettings) -> Result<Self> {
        if settings.input == settings.output {
            return Err(Error::Invalid(format!(
                "the relay's output must be another topic than its input {:?}",
                settings.input
            )));
        }
        Ok(Self { settings, shared: Arc::default(), started: AtomicBool::new(false) })
    }

    /// Connects to both topics, then starts the thread and returns.
    ///
    /// # Errors
    /// [`Error::Kafka`] when a topic does not exist or the brokers do not answer within 30 s;
    /// [`Error::Invalid`] when it was started before. A `stop()` meanwhile is no error: nothing was relayed.
    pub fn start(&self) -> Result<()> {
        if self.started.swap(true, Ordering::AcqRel) {
            return Err(Error::Invalid("this relay was started before; make a new one".to_owned()));
        }
        let RelaySettings { config, input, output } = &self.settings;
        let stop = &self.shared.stop;
        let connected = Producer::connect(config, output, CONNECT_TIMEOUT, stop).and_then(|producer| {
            let reader = PartitionReader::open(config, input, |_| true, CONNECT_TIMEOUT, stop)?;
            Ok((Arc::new(producer), reader))
        });
        let (producer, reader) = match connected {
            Ok(both) => both,
            Err(Error::Stopped) => {
                self.shared.finish(Ok(RelaySnapshot::default()));
                return Ok(());
            }
            Err(error) => {
                self.shared.finish(Err(error.to_string()));
                return Err(error);
            }
        };
        *lock(&self.shared.producer) = Some(Arc::clone(&producer));
        let shared = Arc::clone(&self.shared);
        let work = move || {
            let outcome = relay(reader, &producer, &shared);
            shared.finish(outcome.map(|()| shared.snapshot()).map_err(|error| error.to_string()));
        };
        thread::Builder::new().name("rtmbench-relay".to_owned()).spawn(work).map_err(|error| {
            let error = Error::Kafka(format!("no thread for the relay: {error}"));
            self.shared.finish(Err(error.to_string()));
            error
        })?;
        Ok(())
    }

    /// Asks for the end: what was read is still written.
    pub fn stop(&self) {
        self.shared.stop.set();
    }

    /// Waits at most `timeout` for the end; `None` when it is still running.
    ///
    /// # Errors
    /// [`Error::Kafka`] with the reason for which the relay ended early.
    pub fn wait(&self, timeout: Duration) -> Option<Result<RelaySnapshot>> {
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
    pub fn snapshot(&self) -> RelaySnapshot {
        self.shared.snapshot()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The thread's body.
fn relay(mut reader: PartitionReader, producer: &Producer, shared: &Shared) -> Result<()> {
    while !shared.stop.is_set() {
        reader.poll(
            POLL,
            || (),
            |fetched, &mut ()| match fetched {
                Fetched::Record(message) => forward(message, producer, shared),
                Fetched::End { .. } => Ok(()),
            },
        )?;
        // After the hand-over, so that the reports of earlier records do not hold up this one.
        producer.poll(Duration::ZERO);
        check(producer)?;
    }
    let deadline = Instant::now() + FLUSH;
    while producer.in_flight() > 0 && Instant::now() < deadline {
        producer.poll(RETRY);
    }
    check(producer)?;
    match producer.in_flight() {
        0 => Ok(()),
        left => Err(Error::Kafka(format!("{left} records were not confirmed within {FLUSH:?} of the stop"))),
    }
}

#[inline]
fn forward(message: Message<'_>, producer: &Producer, shared: &Shared) -> Result<()> {
    let count = shared.consumed.fetch_add(1, Ordering::Relaxed);
    let mut waited = false;
    loop {
        match producer.relay(count, message.key, message.payload) {
            Ok(()) => return Ok(()),
            Err(Refused::QueueFull) => {
                if shared.stop.is_set() {
                    return Err(Error::Stopped);
                }
                if !waited {
                    waited = true;
                    shared.queue_full.fetch_add(1, Ordering::Relaxed);
                }
                producer.poll(RETRY);
            }
            Err(Refused::Error(reason)) => {
                return Err(Error::Kafka(format!(
                    "the record at partition {} offset {} was not taken: {reason}",
                    message.partition, message.offset
                )));
            }
        }
    }
}

/// A record that is lost ends the relay: the output would no longer be at-least-once.
fn check(producer: &Producer) -> Result<()> {
    if producer.failed() == 0 {
        return Ok(());
    }
    Err(Error::Kafka(format!("a record was not delivered: {}", producer.errors().join("; "))))
}
