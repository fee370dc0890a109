//! Outputs of a job that is not ours: each is known by the time stamp that it carries of one input event.
//!
//! Nothing is known of what should come out, so nothing can be missing. What can be told is whether an output's
//! time stamp is that of an event of the trial at all, and which time stamps no output carries. Each output with an
//! event's time stamp is a sample. Each event whose time stamp no output carries is one at the deadline, censored,
//! unless the job is said to drop events by design.

use std::path::PathBuf;

use super::READ_TIMEOUT;
use super::append_time::Appended;
use super::intake::fault;
use super::ledger::{Ledger, Scope};
use super::timeline::{Phase, Sample, Samples, timeline};
use super::verdict::Verdict;
use crate::error::{Error, Result};
use crate::kafka::KafkaConfig;
use crate::kafka::consumer::{Message, read_range};
use crate::kafka::topics::bounds;
use crate::spool::SpoolReader;
use crate::stamp::{Stamp, StampPath, Unit, Units};
use crate::stop::Stop;

/// Outputs that a partition should have, by the coverage of the others, before their absence says something.
const EXPECTED_OF_PARTITION: f64 = 10.0;
/// And the time stamps of its own that it must have.
const STAMPS_OF_PARTITION: u64 = 20;

/// One side of a job.
#[derive(Clone, Debug)]
pub struct Side {
    /// The topic.
    pub topic: String,
    /// The field with the time stamp.
    pub field: StampPath,
    /// Where the trial's records begin in each partition; 0 in those that are not named.
    pub from: Vec<i64>,
}

/// What is to be verified.
#[derive(Clone, Debug)]
pub struct StampedSettings {
    /// How to reach Kafka.
    pub config: KafkaConfig,
    /// What the generator wrote.
    pub input: Side,
    /// What the job wrote; the same topic for the transport floor.
    pub output: Side,
    /// The directory of the latency consumer's receipts of the output topic.
    pub spool: PathBuf,
    /// What is measured, and how many offending records are kept.
    pub scope: Scope,
    /// When waiting for outputs ended, µs since the Unix epoch.
    pub deadline_us: i64,
    /// Whether the input topic held records before the trial, which the job may have read too.
    pub shared: bool,
    /// Whether the job drops or merges events by design: then an event without an output is not a sample.
    pub filters: bool,
    /// Where to write the interval log of the measuring phase, if anywhere.
    pub interval_log: Option<PathBuf>,
}

/// What the outputs' time stamps tell. Counts cover the whole trial.
#[derive(Clone, Debug)]
pub struct StampedVerdict {
    /// The figures; of its counts only `produced` and `received` mean something.
    pub verdict: Verdict,
    /// Outputs whose time stamp is that of an event of the trial.
    pub stamped: u64,
    /// Outputs without a time stamp.
    pub without: u64,
    /// Outputs with a time stamp that no event of the trial has.
    pub foreign: u64,
    /// Outputs of events from before the trial, in a topic that existed before.
    pub earlier: u64,
    /// Different time stamps of events in the measuring phase, as far as the resolution tells them apart.
    pub stamps: u64,
    /// How many of these some output carries.
    pub covered: u64,
    /// How many of these more outputs carry than there are events of them.
    pub crowded: u64,
    /// Events of the measuring phase whose time stamp no output carries.
    pub uncovered: u64,
    /// What the time stamps are good to, µs: the coarser of both sides.
    pub resolution_us: i64,
    /// The newest time stamp of the measuring phase that some output carries, µs from its start.
    pub newest_us: Option<i64>,
    /// Whether the outputs' time stamps are those at which the broker appended the input, not the events' own.
    pub append_time: bool,
    /// Input partitions of which nothing came out in the measuring phase, although as much as came out of the others
    /// would be at least 10 outputs. Only time stamps that no other partition has are looked at.
    pub unread_partitions: Vec<i32>,
}

/// An input record.
#[derive(Clone, Copy)]
struct Sent {
    at_us: i64,
    append_ms: Option<i64>,
    partition: i32,
}

/// An output whose time stamp is coarse, or has dropped its trailing zeros: which, shows when all were read.
struct Deferred {
    stamp: Stamp,
    received_us: Option<i64>,
    append_ms: Option<i64>,
    partition: i32,
    offset: i64,
    /// The record, of the first that may be an offence.
    record: Vec<u8>,
}

#[derive(Default)]
struct Found {
    outputs: Vec<(i64, i64)>,
    uncovered: Vec<i64>,
}

impl Samples for Found {
    fn each(&self, mut visit: impl FnMut(Sample)) {
        let sample = |at_us, latency_us| Sample { scheduled_us: at_us, due_us: at_us, latency_us };
        self.outputs.iter().for_each(|&(at_us, latency_us)| visit(sample(at_us, Some(latency_us))));
        self.uncovered.iter().for_each(|&at_us| visit(sample(at_us, None)));
    }
}

/// Judges outputs by their time stamps. Give it every input record before the first output.
pub struct Stamped<'a> {
    settings: &'a StampedSettings,
    same: bool,
    sent: Vec<Sent>,
    /// How many outputs each event has; those of one time stamp all count for the first event of it.
    outputs: Vec<u32>,
    deferred: Vec<Deferred>,
    records_kept: usize,
    found: Found,
    appended: Appended,
    ledger: Ledger,
    with_stamp: u64,
    without: u64,
    foreign: u64,
    earlier: u64,
    input_units: Units,
    output_units: Units,
}

impl<'a> Stamped<'a> {
    /// A judge that has read nothing yet.
    pub fn new(settings: &'a StampedSettings) -> Self {
        Self {
            settings,
            same: settings.input.topic == settings.output.topic,
            sent: Vec::new(),
            outputs: Vec::new(),
            deferred: Vec::new(),
            records_kept: 0,
            found: Found::default(),
            appended: Appended::default(),
            ledger: Ledger::new(settings.scope.clone()),
            with_stamp: 0,
            without: 0,
            foreign: 0,
            earlier: 0,
            input_units: Units::default(),
            output_units: Units::default(),
        }
    }

    /// Takes one record of the input topic.
    ///
    /// # Errors
    /// [`Error::Harness`] when it has no time stamp: then it is not one that the generator sent.
    pub fn input(&mut self, message: Message<'_>) -> Result<()> {
        let payload = message.payload.ok_or_else(|| fault(message, "is a tombstone"))?;
        let stamp = self.settings.input.field.decode(payload).map_err(|error| {
            fault(
                message,
                &format!("is none that was sent ({error}; does somebody else write to the topic?)"),
            )
        })?;
        self.input_units.add(stamp);
        let (append_ms, partition) = (message.append_ms, message.partition);
        self.sent.push(Sent { at_us: stamp.at_us, append_ms, partition });
        self.ledger.produced(message);
        Ok(())
    }

    /// Says that the input is whole.
    pub fn input_ended(&mut self) {
        self.sent.sort_unstable_by_key(|sent| sent.at_us);
        self.outputs = vec![0; self.sent.len()];
        if !self.same {
            self.appended = Appended::of(self.sent.iter().map(|sent| (sent.at_us, sent.append_ms)));
        }
    }

    /// Takes one record of the output topic, with its first receipt, µs since the Unix epoch, or `None`
    /// when the consumer never got it.
    pub fn output(&mut self, message: Message<'_>, received_us: Option<i64>) {
        self.ledger.received(message, received_us);
        let decoded = match message.payload {
            None => Err("a tombstone: the record has no value".to_owned()),
            Some(payload) => self.settings.output.field.decode(payload).map_err(|error| error.to_string()),
        };
        let stamp = match decoded {
            Ok(stamp) => stamp,
            Err(reason) => {
                self.without += 1;
                return self.ledger.wrong(message, "timestamp", &reason);
            }
        };
        self.appended.output(stamp.at_us);
        if self.event_of(stamp.at_us, stamp.resolution_us).is_none() {
            return self.unknown(message, stamp.at_us);
        }
        self.output_units.add(stamp);
        // Digits of texts and fractions may be fewer than the field's: the finest of them all counts.
        if stamp.resolution_us > 1 && matches!(stamp.unit, Unit::Text | Unit::Seconds) {
            let finest_us = self.output_units.finest_us(stamp.unit);
            let keep = finest_us < Some(stamp.resolution_us)
                && self.records_kept < self.settings.scope.offending_limit;
            self.records_kept += usize::from(keep);
            let record = if keep { message.payload.unwrap_or_default().to_vec() } else { Vec::new() };
            let Message { partition, offset, append_ms, .. } = message;
            self.deferred.push(Deferred { stamp, received_us, append_ms, partition, offset, record });
        } else {
            self.sample(message, stamp.at_us, stamp.resolution_us, received_us);
        }
    }

    /// The first event within a time stamp's resolution, by its place among those that were sent.
    fn event_of(&self, at_us: i64, resolution_us: i64) -> Option<usize> {
        let first = self.sent.partition_point(|sent| sent.at_us < at_us);
        self.sent.get(first).filter(|sent| sent.at_us < at_us + resolution_us).map(|_| first)
    }

    fn unknown(&mut self, message: Message<'_>, at_us: i64) {
        if self.settings.shared && self.sent.first().is_some_and(|sent| at_us < sent.at_us) {
            self.earlier += 1;
            return;
        }
        self.foreign += 1;
        let detail = format!("its time stamp, {at_us} µs, is that of no event of the trial");
        self.ledger.unexpected(message, "foreign", &detail);
    }

    fn sample(&mut self, message: Message<'_>, at_us: i64, resolution_us: i64, received_us: Option<i64>) {
        let Some(first) = self.event_of(at_us, resolution_us) else { return self.unknown(message, at_us) };
        self.with_stamp += 1;
        self.outputs[first] = self.outputs[first].saturating_add(1);
        let Some(received_us) = received_us else { return };
        self.found.outputs.push((at_us, received_us - at_us));
        if self.ledger.scope.measures(at_us) {
            let input = (at_us, self.sent[first].append_ms);
            self.ledger.hops.record(input, message.append_ms, received_us, self.same);
        }
    }

    /// Judges the outputs that had to wait for the finest time stamp.
    fn settle(&mut self) {
        for Deferred { stamp, received_us, append_ms, partition, offset, record } in
            std::mem::take(&mut self.deferred)
        {
            let finest_us = self.output_units.finest_us(stamp.unit).unwrap_or(stamp.resolution_us);
            let message =
                Message { partition, offset, payload: Some(&record), append_ms, ..Message::default() };
            self.sample(message, stamp.at_us, finest_us, received_us);
        }
    }

    /// Works the figures out.
    ///
    /// # Errors
    /// [`Error::Harness`] when outputs were never received by our consumer; [`Error::Io`] when the interval log
    /// cannot be written.
    pub fn conclude(mut self, phase: &Phase<'_>) -> Result<StampedVerdict> {
        self.settle();
        self.ledger.check_receipts()?;
        let resolution_us =
            [self.input_units, self.output_units].iter().filter_map(Units::resolution_us).max().unwrap_or(1);
        let coverage = self.coverage(resolution_us);
        let timeline = timeline(&self.found, &self.ledger.scope, phase)?;
        Ok(StampedVerdict {
            stamped: self.with_stamp,
            without: self.without,
            foreign: self.foreign,
            earlier: self.earlier,
            stamps: coverage.stamps,
            covered: coverage.covered,
            crowded: coverage.crowded,
            uncovered: coverage.uncovered,
            resolution_us,
            newest_us: coverage.newest_us,
            append_time: self.appended.explains_outputs(),
            unread_partitions: coverage.unread(),
            verdict: self.ledger.verdict(timeline, None),
        })
    }

    /// Counts the time stamps of the measuring phase, and makes samples of events that no output covers.
    fn coverage(&mut self, resolution_us: i64) -> Coverage {
        let (from_us, to_us) = self.ledger.scope.measure;
        let mut coverage = Coverage::default();
        let alike =
            |a: &Sent, b: &Sent| a.at_us.div_euclid(resolution_us) == b.at_us.div_euclid(resolution_us);
        let mut at = 0;
        for group in self.sent.chunk_by(alike) {
            let outputs: u64 = self.outputs[at..at + group.len()].iter().map(|&count| u64::from(count)).sum();
            at += group.len();
            if !(from_us..to_us).contains(&group[0].at_us) {
                continue;
            }
            coverage.stamps += 1;
            coverage.crowded += u64::from(outputs > group.len() as u64);
            if outputs > 0 {
                coverage.covered += 1;
                coverage.newest_us = Some(group[0].at_us - from_us);
            } else {
                coverage.uncovered += group.len() as u64;
                if !self.settings.filters {
                    self.found.uncovered.extend(group.iter().map(|sent| sent.at_us));
                }
            }
            let partition = group[0].partition;
            if group.iter().all(|sent| sent.partition == partition) {
                coverage.alone(partition, outputs > 0);
            }
        }
        coverage
    }
}

/// How far outputs cover the time stamps of the measuring phase.
#[derive(Default)]
struct Coverage {
    stamps: u64,
    covered: u64,
    crowded: u64,
    uncovered: u64,
    newest_us: Option<i64>,
    /// Of each input partition: time stamps that are its alone, and how many of them are covered.
    partitions: Vec<(u64, u64)>,
}

impl Coverage {
    fn alone(&mut self, partition: i32, covered: bool) {
        let partition = partition as usize;
        if self.partitions.len() <= partition {
            self.partitions.resize(partition + 1, (0, 0));
        }
        self.partitions[partition].0 += 1;
        self.partitions[partition].1 += u64::from(covered);
    }

    fn unread(&self) -> Vec<i32> {
        let read = self.partitions.iter().filter(|(_, covered)| *covered > 0);
        let (stamps, covered) = read.fold((0, 0), |sum, each| (sum.0 + each.0, sum.1 + each.1));
        let share = covered as f64 / u64::max(stamps, 1) as f64;
        let is_unread = |&(stamps, covered): &(u64, u64)| {
            covered == 0 && stamps >= STAMPS_OF_PARTITION && stamps as f64 * share >= EXPECTED_OF_PARTITION
        };
        (0..self.partitions.len() as i32).filter(|&at| is_unread(&self.partitions[at as usize])).collect()
    }
}

/// Reads both topics from where the trial began to the end that they have now, and judges the outputs.
///
/// # Errors
/// [`Error::Invalid`] for an empty window; [`Error::Kafka`] when a topic cannot be read; [`Error::Harness`] when the
/// input holds what was not sent, or outputs were never received by our consumer; [`Error::Io`] for the spool and
/// the interval log; [`Error::Stopped`] when `stop` was set.
pub fn verify_stamped(settings: &StampedSettings, stop: &Stop) -> Result<StampedVerdict> {
    settings.scope.check()?;
    if !settings.spool.is_dir() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Error::io("cannot read the spool", &settings.spool, missing));
    }
    let (input, output) = (&settings.input, &settings.output);
    let mut judge = Stamped::new(settings);
    read(settings, input, stop, |message| judge.input(message))?;
    judge.input_ended();
    let mut spools: Vec<SpoolReader> = Vec::new();
    read(settings, output, stop, |message| {
        while spools.len() <= message.partition as usize {
            spools.push(SpoolReader::open(&settings.spool, spools.len() as i32)?);
        }
        let received_us = spools[message.partition as usize].receipt(message.offset)?;
        judge.output(message, received_us);
        Ok(())
    })?;
    judge.conclude(&Phase {
        deadline_us: settings.deadline_us,
        interval_log: settings.interval_log.as_deref(),
        close_log: None,
    })
}

fn read(
    settings: &StampedSettings,
    side: &Side,
    stop: &Stop,
    handle: impl FnMut(Message<'_>) -> Result<()>,
) -> Result<()> {
    let found = bounds(&settings.config, &side.topic, READ_TIMEOUT, stop)?;
    let starts: Vec<i64> =
        (0..found.len()).map(|partition| side.from.get(partition).copied().unwrap_or(0)).collect();
    if let Some(partition) = (0..found.len()).find(|&partition| found[partition].low > starts[partition]) {
        return Err(Error::Harness(format!(
            "topic {} is no longer whole: partition {partition} starts at offset {}. Its retention is shorter than \
             the trial",
            side.topic, found[partition].low
        )));
    }
    let ends: Vec<i64> = found.iter().map(|bounds| bounds.end).collect();
    read_range(&settings.config, &side.topic, &starts, &ends, READ_TIMEOUT, stop, handle)
}

#[cfg(test)]
mod tests;
