//! Reads both topics, compares them, and stores the state regularly.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::every::Every;
use super::fields::Fields;
use super::latest::Latest;
use super::progress::Progress;
use super::state::State;
use super::{Deadline, Distances, Example, Matching, Observed, Position, Side, Tally};
use crate::clock;
use crate::error::{Error, Result};
use crate::kafka::consumer::{Fetched, Message, PartitionReader, read_at};
use crate::kafka::topics::Bounds;
use crate::kafka::{KafkaConfig, lock, topics};
use crate::measure::excerpt;
use crate::stop::Stop;

/// How long the brokers may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest wait for a record of one topic while the other may have some.
const POLL: Duration = Duration::from_millis(10);
/// How much later than the other topic one is read, µs: more would only wait in memory.
const AHEAD_US: i64 = 10_000_000;
/// How often what is due is judged.
const JUDGE_EVERY: Duration = Duration::from_millis(100);
/// How often the state is stored.
const STORE_EVERY: Duration = Duration::from_secs(60);
/// Judging and storing take at most one part of the time in so many.
const SHARE: u32 = 20;
/// The most characters of a record that are shown.
const SHOWN: usize = 2_000;
/// Malformed records of each topic of which a sample is kept.
const MALFORMED_SAMPLES: usize = 5;

/// What to compare, and how.
#[derive(Clone, Debug)]
pub struct DiffSettings {
    /// How to reach Kafka.
    pub config: KafkaConfig,
    /// Two existing topics.
    pub topics: [String; 2],
    /// What identifies a record, and what of it counts.
    pub fields: Fields,
    /// Whether only the last record of each identity counts.
    pub last: bool,
    /// The longest time between the two records of a pair; without one they are judged at the end.
    pub lag: Option<Duration>,
    /// Whether to include what the topics hold already.
    pub from_beginning: bool,
    /// Whether to end where the topics end now.
    pub once: bool,
    /// The most memory for records that wait and differences, bytes.
    pub memory_bytes: u64,
    /// The most examples of each kind of difference.
    pub examples: usize,
    /// The file for the state; one that exists is continued.
    pub state: Option<PathBuf>,
}

impl DiffSettings {
    fn check(&self) -> Result<()> {
        if self.topics[0] == self.topics[1] {
            return Err(Error::Invalid(format!("topic {} is named twice", self.topics[0])));
        }
        if self.once && self.state.is_some() {
            return Err(Error::Invalid("a comparison that ends by itself needs no state".to_owned()));
        }
        if !self.once && self.lag.is_none() {
            return Err(Error::Invalid(
                "a comparison without an end needs a lag, after which a missing record counts as missing"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    fn text(&self) -> String {
        let lag = self.lag.map_or_else(|| "none".to_owned(), |lag| format!("{} ms", lag.as_millis()));
        let last = if self.last { ", last" } else { "" };
        format!("{} and {}, {}, lag {lag}{last}", self.topics[0], self.topics[1], self.fields.text())
    }

    fn matching(&self, judged_from_us: i64) -> (Deadline, u64, usize) {
        let lag_us = self.lag.map(|lag| lag.as_micros().min(i64::MAX as u128 / 4) as i64);
        (Deadline { lag_us, judged_from_us }, self.memory_bytes, self.examples)
    }
}

/// The counts of a running comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiffSnapshot {
    /// Records read of each topic.
    pub read: [u64; 2],
    /// Of these, records that cannot be compared.
    pub malformed: [u64; 2],
    /// What was judged.
    pub tally: Tally,
    /// Records, or identities, that are not judged yet.
    pub waiting: u64,
    /// How far each topic has been read, µs since the Unix epoch; 0 before that is known.
    pub reached_us: [i64; 2],
    /// Whether each topic has been read to its end for now.
    pub at_end: [bool; 2],
}

/// The records of an example, as text.
#[derive(Clone, Debug)]
pub struct DiffExample {
    /// What differs, and where the records are.
    pub example: Example,
    /// The record in each topic, cut; `None` without one, and where Kafka has deleted it since.
    pub records: [Option<String>; 2],
}

/// What was compared, and what differs.
#[derive(Clone, Debug)]
pub struct DiffReport {
    /// The counts at the end.
    pub counts: DiffSnapshot,
    /// How far apart the times of equal records are.
    pub distances: Distances,
    /// Some differences of each kind.
    pub examples: Vec<DiffExample>,
    /// The first records of each topic that cannot be compared: where, why, and what they look like.
    pub malformed_samples: [Vec<String>; 2],
    /// Records of each topic whose time is the producer's, and whose time is the broker's.
    pub times: [[u64; 2]; 2],
    /// Whether it went on from a stored state.
    pub resumed: bool,
}

#[derive(Default)]
struct Shared {
    stop: Stop,
    snapshot: Mutex<DiffSnapshot>,
    outcome: Mutex<Option<Result<DiffReport>>>,
    changed: (Mutex<bool>, Condvar),
}

/// A comparison of two topics. Its thread is its own; dropping it stops it.
pub struct TopicDiff {
    settings: DiffSettings,
    shared: Arc<Shared>,
    started: AtomicBool,
}

impl TopicDiff {
    /// Checks the settings; connects to nothing yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] when they contradict each other.
    pub fn new(settings: DiffSettings) -> Result<Self> {
        settings.check()?;
        Ok(Self { settings, shared: Arc::default(), started: AtomicBool::new(false) })
    }

    /// Opens both topics and starts the thread.
    ///
    /// # Errors
    /// [`Error::Kafka`] when a topic does not exist or the brokers do not answer within 30 s; [`Error::Invalid`] when
    /// it was started before, or the stored state is of another comparison; [`Error::Stopped`] after `stop()`.
    pub fn start(&self) -> Result<()> {
        if self.started.swap(true, Ordering::AcqRel) {
            return Err(Error::Invalid("this comparison was started before; make a new one".to_owned()));
        }
        let comparison = Comparison::open(self.settings.clone(), Arc::clone(&self.shared))?;
        let shared = Arc::clone(&self.shared);
        let work = move || {
            *lock(&shared.outcome) = Some(comparison.run());
            *lock(&shared.changed.0) = true;
            shared.changed.1.notify_all();
        };
        thread::Builder::new()
            .name("rtmbench-diff".to_owned())
            .spawn(work)
            .map_err(|error| Error::Kafka(format!("no thread for the comparison: {error}")))?;
        Ok(())
    }

    /// Whether `start()` was called.
    pub fn is_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// Asks for the end; the report then holds what was compared until now.
    pub fn stop(&self) {
        self.shared.stop.set();
    }

    /// The counts now.
    pub fn snapshot(&self) -> DiffSnapshot {
        *lock(&self.shared.snapshot)
    }

    /// Waits at most `timeout` for the end; `None` when it has not come.
    ///
    /// # Errors
    /// What ended the comparison, once.
    pub fn wait(&self, timeout: Duration) -> Option<Result<DiffReport>> {
        let ended = lock(&self.shared.changed.0);
        let (ended, _) = self
            .shared
            .changed
            .1
            .wait_timeout_while(ended, timeout, |ended| !*ended)
            .unwrap_or_else(PoisonError::into_inner);
        ended.then(|| {
            let mut outcome = lock(&self.shared.outcome);
            if let Some(Ok(report)) = &*outcome {
                return Ok(report.clone());
            }
            outcome.take().unwrap_or_else(|| {
                Err(Error::Invalid("this comparison failed, and its error was given before".to_owned()))
            })
        })
    }
}

impl Drop for TopicDiff {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Calls its work when it is due, but not so often that it takes much of the time.
struct Regular {
    every: Duration,
    next: Instant,
}

impl Regular {
    fn new(every: Duration) -> Self {
        Self { every, next: Instant::now() + every }
    }

    fn is_due(&self) -> bool {
        Instant::now() >= self.next
    }

    fn done(&mut self, since: Instant) {
        let now = Instant::now();
        self.next = now + self.every.max((now - since) * SHARE);
    }
}

/// The work of the thread.
struct Comparison {
    settings: DiffSettings,
    shared: Arc<Shared>,
    readers: [PartitionReader; 2],
    progress: [Progress; 2],
    /// Where the topics ended at the start; of interest where the comparison ends there.
    ends: [Vec<i64>; 2],
    matching: Box<dyn Matching>,
    judged_from_us: i64,
    read: [u64; 2],
    malformed: [u64; 2],
    malformed_samples: [Vec<String>; 2],
    times: [[u64; 2]; 2],
    resumed: bool,
}

impl Comparison {
    fn open(settings: DiffSettings, shared: Arc<Shared>) -> Result<Self> {
        let state = match &settings.state {
            Some(path) => State::read(path, &settings.text())?,
            None => None,
        };
        let mut bounds = Vec::new();
        for topic in &settings.topics {
            bounds.push(topics::bounds(&settings.config, topic, TIMEOUT, &shared.stop)?);
        }
        let ends = [0, 1].map(|side: usize| bounds[side].iter().map(|bounds| bounds.end).collect::<Vec<_>>());
        let whole = settings.from_beginning || settings.once;
        let start = |side: usize, partition: i32| {
            let bounds = bounds[side][partition as usize];
            let stored = state.as_ref().and_then(|state| state.next[side].get(partition as usize).copied());
            match stored {
                Some(next) => next,
                // A partition that was added since is read whole.
                None if state.is_some() || whole => bounds.low,
                None => bounds.end,
            }
        };
        if let Some(state) = &state {
            for (side, next) in state.next.iter().enumerate() {
                require_kept(&settings.topics[side], next, &bounds[side])?;
            }
        }
        let open = |side: usize| {
            let topic = &settings.topics[side];
            let start = |partition| start(side, partition);
            PartitionReader::open_from(&settings.config, topic, start, TIMEOUT, &shared.stop)
        };
        let readers = [open(0)?, open(1)?];
        let progress = [0, 1].map(|side: usize| {
            let starts = (0..bounds[side].len() as i32).map(|partition| start(side, partition));
            Progress::new(starts.collect())
        });
        // From the end on, a record may belong to one that was there before.
        let lag_us = settings.lag.map_or(0, |lag| lag.as_micros() as i64);
        let judged_from_us = match &state {
            Some(state) => state.judged_from_us,
            None if whole => i64::MIN,
            None => clock::now_us() + lag_us,
        };
        let (deadline, memory_bytes, examples) = settings.matching(judged_from_us);
        let (read, malformed, resumed) = match &state {
            Some(state) => (state.read, state.malformed, true),
            None => ([0; 2], [0; 2], false),
        };
        let stored = state.map(|state| state.stored);
        let matching: Box<dyn Matching> = if settings.last {
            let latest = Latest::new(deadline, memory_bytes, examples);
            Box::new(match stored {
                Some(stored) => latest.restore(stored),
                None => latest,
            })
        } else {
            let every = Every::new(deadline, memory_bytes, examples);
            Box::new(match stored {
                Some(stored) => every.restore(stored),
                None => every,
            })
        };
        Ok(Self {
            settings,
            shared,
            readers,
            progress,
            ends,
            matching,
            judged_from_us,
            read,
            malformed,
            malformed_samples: [Vec::new(), Vec::new()],
            times: [[0; 2]; 2],
            resumed,
        })
    }

    fn run(mut self) -> Result<DiffReport> {
        let outcome = self.follow();
        // What was read until an error is stored too, so that the comparison can be resumed.
        self.store()?;
        outcome?;
        self.report()
    }

    fn follow(&mut self) -> Result<()> {
        let (mut judging, mut storing) = (Regular::new(JUDGE_EVERY), Regular::new(STORE_EVERY));
        let mut idle = false;
        while !self.shared.stop.is_set() && !self.is_done() {
            let reached_us = self.reached_us();
            let mut got = 0;
            for side in Side::BOTH {
                // What one topic is ahead would wait in memory.
                let ahead =
                    reached_us[side.index()] > reached_us[side.other().index()].saturating_add(AHEAD_US);
                if !ahead {
                    got += self.poll(side, if idle { POLL } else { Duration::ZERO })?;
                }
            }
            idle = got == 0;
            if judging.is_due() {
                let since = Instant::now();
                self.matching.judge(self.reached_us());
                self.publish();
                judging.done(since);
            }
            if self.settings.state.is_some() && storing.is_due() {
                let since = Instant::now();
                self.store()?;
                storing.done(since);
            }
        }
        if self.settings.lag.is_none() && self.is_done() {
            self.matching.judge_all();
        } else {
            self.matching.judge(self.reached_us());
        }
        self.publish();
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.settings.once
            && self.progress.iter().zip(&self.ends).all(|(progress, ends)| progress.has_reached(ends))
    }

    fn reached_us(&self) -> [i64; 2] {
        let now_us = clock::now_us();
        [self.progress[0].reached_us(now_us), self.progress[1].reached_us(now_us)]
    }

    fn poll(&mut self, side: Side, timeout: Duration) -> Result<usize> {
        let index = side.index();
        let (progress, matching) = (&mut self.progress[index], &mut self.matching);
        let (read, malformed) = (&mut self.read[index], &mut self.malformed[index]);
        let (samples, times) = (&mut self.malformed_samples[index], &mut self.times[index]);
        let (fields, once, ends) = (&self.settings.fields, self.settings.once, &self.ends[index]);
        self.readers[index].poll(timeout, clock::now_us, |fetched, &mut now_us| {
            let message = match fetched {
                Fetched::Record(message) => message,
                Fetched::End { partition, offset } => {
                    progress.end(partition, offset);
                    return Ok(());
                }
            };
            let at_us =
                message.append_ms.or(message.created_ms).map_or(now_us, |ms| ms.saturating_mul(1_000));
            progress.record(message.partition, message.offset, at_us, now_us);
            if once && ends.get(message.partition as usize).is_some_and(|&end| message.offset >= end) {
                return Ok(());
            }
            *read += 1;
            times[0] += u64::from(message.append_ms.is_none());
            times[1] += u64::from(message.append_ms.is_some());
            match fields.read(message.key, message.payload) {
                Ok((identity, digest)) => {
                    let position = Position { partition: message.partition, offset: message.offset, at_us };
                    matching.take(side, Observed { identity, digest, position })
                }
                Err(error) => {
                    *malformed += 1;
                    if samples.len() < MALFORMED_SAMPLES {
                        samples.push(described(&message, &error.to_string()));
                    }
                    Ok(())
                }
            }
        })
    }

    fn snapshot(&self) -> DiffSnapshot {
        let reached_us = self.reached_us();
        DiffSnapshot {
            read: self.read,
            malformed: self.malformed,
            tally: self.matching.tally(),
            waiting: self.matching.waiting(),
            reached_us: reached_us.map(|us| us.max(0)),
            at_end: [self.progress[0].is_at_end(), self.progress[1].is_at_end()],
        }
    }

    fn publish(&self) {
        *lock(&self.shared.snapshot) = self.snapshot();
    }

    fn store(&self) -> Result<()> {
        let Some(path) = &self.settings.state else { return Ok(()) };
        let next = [self.progress[0].next(), self.progress[1].next()];
        let (read, malformed) = (self.read, self.malformed);
        let stored = self.matching.stored();
        State::new(self.settings.text(), next, self.judged_from_us, read, malformed, stored).write(path)
    }

    fn report(self) -> Result<DiffReport> {
        let counts = self.snapshot();
        let examples = self.matching.examples();
        let mut records: [Vec<Option<String>>; 2] = [Vec::new(), Vec::new()];
        for side in Side::BOTH {
            let index = side.index();
            let positions: Vec<(i32, i64)> = examples
                .iter()
                .filter_map(|example| example.positions[index])
                .map(|position| (position.partition, position.offset))
                .collect();
            // A stop is what ended the comparison: reading the examples is bounded by its own time.
            let read =
                read_at(&self.settings.config, &self.settings.topics[index], &positions, &Stop::new())?;
            records[index] = read.into_iter().map(|payload| payload.map(|payload| shown(&payload))).collect();
        }
        let mut records = records.map(Vec::into_iter);
        let examples = examples
            .into_iter()
            .map(|example| {
                let [a, b] = &mut records;
                let of = |position: Option<Position>, records: &mut std::vec::IntoIter<Option<String>>| {
                    position.and_then(|_| records.next()).flatten()
                };
                let records = [of(example.positions[0], a), of(example.positions[1], b)];
                DiffExample { example, records }
            })
            .collect();
        Ok(DiffReport {
            counts,
            distances: self.matching.distances().clone(),
            examples,
            malformed_samples: self.malformed_samples,
            times: self.times,
            resumed: self.resumed,
        })
    }
}

/// Fails where Kafka has deleted records since the state was stored: what they were equal to would count as missing.
fn require_kept(topic: &str, next: &[i64], bounds: &[Bounds]) -> Result<()> {
    for (partition, (&next, bounds)) in next.iter().zip(bounds).enumerate() {
        if next < bounds.low || next > bounds.end {
            return Err(Error::Invalid(format!(
                "the comparison cannot be resumed: it goes on at offset {next} of partition {partition} of topic \
                 {topic}, which now holds offsets {} to {}. Delete the file of the state to start anew",
                bounds.low, bounds.end
            )));
        }
    }
    Ok(())
}

/// A record as text, without what would control a terminal.
fn shown(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(payload);
    let mut shown = String::new();
    for (number, character) in text.chars().enumerate() {
        if number == SHOWN {
            shown.push('…');
            break;
        }
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

fn described(message: &Message<'_>, reason: &str) -> String {
    format!(
        "partition {} offset {}: {reason}: {}",
        message.partition,
        message.offset,
        excerpt(message.payload.unwrap_or_default())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_shown_as_it_is_but_for_what_controls_a_terminal() {
        assert_eq!(shown("{\"a\": \"é\"}".as_bytes()), "{\"a\": \"é\"}");
        assert_eq!(shown(b"{\n\x1b[2J\xff}"), "{\\n\\u{1b}[2J\u{fffd}}");
        assert_eq!(shown(&[b'x'; 3_000]).chars().count(), SHOWN + 1);
    }
}
