//! Outputs of a job that is not ours: each is known by the time stamp that it carries of one input event.
//!
//! Nothing is known of what should come out, so nothing can be missing. What can be told is whether an output's
//! time stamp is that of an event of the trial at all; only such outputs are samples, one each.

use std::path::PathBuf;

use super::READ_TIMEOUT;
use super::intake::fault;
use super::ledger::{Ledger, Scope};
use super::timeline::{Phase, Sample, Samples, timeline};
use super::verdict::Verdict;
use crate::error::{Error, Result};
use crate::kafka::KafkaConfig;
use crate::kafka::consumer::{Message, read_range};
use crate::kafka::topics::bounds;
use crate::spool::SpoolReader;
use crate::stamp::StampPath;
use crate::stop::Stop;

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
    /// What the time stamps are good to, µs: the coarser of both sides.
    pub resolution_us: i64,
    /// The newest time stamp of the measuring phase that some output carries, µs from its start.
    pub newest_us: Option<i64>,
}

/// An input record.
#[derive(Clone, Copy)]
struct Sent {
    at_us: i64,
    append_ms: Option<i64>,
}

#[derive(Default)]
struct Found(Vec<(i64, i64)>);

impl Samples for Found {
    fn each(&self, mut visit: impl FnMut(Sample)) {
        for &(at_us, latency_us) in &self.0 {
            visit(Sample { scheduled_us: at_us, due_us: at_us, latency_us: Some(latency_us) });
        }
    }
}

/// Judges outputs by their time stamps. Give it every input record before the first output.
pub struct Stamped<'a> {
    input: &'a StampPath,
    output: &'a StampPath,
    shared: bool,
    same: bool,
    sent: Vec<Sent>,
    /// How many outputs each event has; those of one time stamp all count for the first event of it.
    outputs: Vec<u32>,
    found: Found,
    ledger: Ledger,
    with_stamp: u64,
    without: u64,
    foreign: u64,
    earlier: u64,
    resolution_us: i64,
}

impl<'a> Stamped<'a> {
    /// A judge that has read nothing yet; `same` says that the output topic is the input topic.
    pub fn new(input: &'a StampPath, output: &'a StampPath, scope: Scope, shared: bool, same: bool) -> Self {
        Self {
            input,
            output,
            shared,
            same,
            sent: Vec::new(),
            outputs: Vec::new(),
            found: Found::default(),
            ledger: Ledger::new(scope),
            with_stamp: 0,
            without: 0,
            foreign: 0,
            earlier: 0,
            resolution_us: 1,
        }
    }

    /// Takes one record of the input topic.
    ///
    /// # Errors
    /// [`Error::Harness`] when it has no time stamp: then it is not one that the generator sent.
    pub fn input(&mut self, message: Message<'_>) -> Result<()> {
        let payload = message.payload.ok_or_else(|| fault(message, "is a tombstone"))?;
        let stamp = self.input.decode(payload).map_err(|error| {
            fault(
                message,
                &format!("is none that was sent ({error}; does somebody else write to the topic?)"),
            )
        })?;
        self.resolution_us = self.resolution_us.max(stamp.resolution_us);
        self.sent.push(Sent { at_us: stamp.at_us, append_ms: message.append_ms });
        self.ledger.produced(message);
        Ok(())
    }

    /// Says that the input is whole.
    pub fn input_ended(&mut self) {
        self.sent.sort_unstable_by_key(|sent| sent.at_us);
        self.outputs = vec![0; self.sent.len()];
    }

    /// Takes one record of the output topic, with its first receipt, µs since the Unix epoch, or `None`
    /// when the consumer never got it.
    pub fn output(&mut self, message: Message<'_>, received_us: Option<i64>) {
        self.ledger.received(message, received_us);
        let decoded = match message.payload {
            None => Err("a tombstone: the record has no value".to_owned()),
            Some(payload) => self.output.decode(payload).map_err(|error| error.to_string()),
        };
        let stamp = match decoded {
            Ok(stamp) => stamp,
            Err(reason) => {
                self.without += 1;
                return self.ledger.wrong(message, "timestamp", &reason);
            }
        };
        let first = self.sent.partition_point(|sent| sent.at_us < stamp.at_us);
        let Some(&sent) = self.sent.get(first).filter(|sent| sent.at_us < stamp.at_us + stamp.resolution_us)
        else {
            if self.shared && self.sent.first().is_some_and(|sent| stamp.at_us < sent.at_us) {
                self.earlier += 1;
                return;
            }
            self.foreign += 1;
            let detail = format!("its time stamp, {} µs, is that of no event of the trial", stamp.at_us);
            return self.ledger.unexpected(message, "foreign", &detail);
        };
        self.resolution_us = self.resolution_us.max(stamp.resolution_us);
        self.with_stamp += 1;
        self.outputs[first] = self.outputs[first].saturating_add(1);
        let Some(received_us) = received_us else { return };
        self.found.0.push((stamp.at_us, received_us - stamp.at_us));
        if self.ledger.scope.measures(stamp.at_us) {
            self.ledger.hops.record((stamp.at_us, sent.append_ms), message.append_ms, received_us, self.same);
        }
    }

    /// Works the figures out.
    ///
    /// # Errors
    /// [`Error::Harness`] when outputs were never received by our consumer; [`Error::Io`] when the interval log
    /// cannot be written.
    pub fn conclude(self, phase: &Phase<'_>) -> Result<StampedVerdict> {
        self.ledger.check_receipts()?;
        let (from_us, to_us) = self.ledger.scope.measure;
        let (mut stamps, mut covered, mut crowded, mut newest_us) = (0, 0, 0, None);
        let alike = |a: &Sent, b: &Sent| {
            a.at_us.div_euclid(self.resolution_us) == b.at_us.div_euclid(self.resolution_us)
        };
        let mut at = 0;
        for group in self.sent.chunk_by(alike) {
            let outputs: u64 = self.outputs[at..at + group.len()].iter().map(|&count| u64::from(count)).sum();
            at += group.len();
            if !(from_us..to_us).contains(&group[0].at_us) {
                continue;
            }
            stamps += 1;
            crowded += u64::from(outputs > group.len() as u64);
            if outputs > 0 {
                covered += 1;
                newest_us = Some(group[0].at_us - from_us);
            }
        }
        let timeline = timeline(&self.found, &self.ledger.scope, phase)?;
        Ok(StampedVerdict {
            stamped: self.with_stamp,
            without: self.without,
            foreign: self.foreign,
            earlier: self.earlier,
            stamps,
            covered,
            crowded,
            resolution_us: self.resolution_us,
            newest_us,
            verdict: self.ledger.verdict(timeline, None),
        })
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
    let same = input.topic == output.topic;
    let mut judge = Stamped::new(&input.field, &output.field, settings.scope.clone(), settings.shared, same);
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
mod tests {
    use super::*;

    const START: i64 = 1_700_000_000_000_000;

    fn message(payload: &str) -> Message<'_> {
        Message { partition: 0, offset: 0, key: None, payload: Some(payload.as_bytes()), append_ms: None }
    }

    /// The verdict on 1,000 events of one second, a ms apart, and what `output` makes of each: record and latency.
    fn judged(shared: bool, output: impl Fn(i64) -> Option<(String, i64)>) -> StampedVerdict {
        let (input_field, output_field) = (StampPath::new("at").unwrap(), StampPath::new("meta.ts").unwrap());
        let scope = Scope::of((START, START + 1_000_000));
        let mut judge = Stamped::new(&input_field, &output_field, scope, shared, false);
        let times: Vec<i64> = (0..1_000).map(|n| START + n * 1_000 + 250).collect();
        for at_us in times.iter().rev() {
            judge.input(message(&format!(r#"{{"at":{at_us}}}"#))).unwrap();
        }
        judge.input_ended();
        for at_us in times {
            if let Some((record, latency_us)) = output(at_us) {
                judge.output(message(&record), Some(at_us + latency_us));
            }
        }
        judge.conclude(&Phase::until(START + 9_000_000)).unwrap()
    }

    #[test]
    fn each_output_with_an_events_time_stamp_is_a_sample() {
        let found = judged(false, |at_us| {
            (at_us / 1_000 % 2 == 0).then(|| (format!(r#"{{"meta":{{"ts":{at_us}}}}}"#), 5_000))
        });
        assert_eq!((found.stamped, found.without, found.foreign), (500, 0, 0));
        assert_eq!((found.stamps, found.covered, found.resolution_us), (1_000, 500, 1));
        assert_eq!((found.verdict.latency.count(), found.verdict.latency.percentile(50.0)), (500, 5_000));
        assert_eq!((found.verdict.counts.produced, found.verdict.counts.received), (1_000, 500));
        assert_eq!(found.newest_us, Some(998_250));
        assert_eq!(found.verdict.min_us, 5_000);
    }

    #[test]
    fn a_time_stamp_in_ms_counts_from_its_ms() {
        let found = judged(false, |at_us| Some((format!(r#"{{"meta":{{"ts":{}}}}}"#, at_us / 1_000), 5_000)));
        assert_eq!((found.stamped, found.foreign, found.covered), (1_000, 0, 1_000));
        assert_eq!(found.resolution_us, 1_000);
        assert_eq!(found.verdict.min_us, 5_250);
    }

    #[test]
    fn more_outputs_than_events_of_a_time_stamp_are_noticed() {
        // Stamped by the job itself when it works off five events at once.
        let stamped_late =
            judged(false, |at_us| Some((format!(r#"{{"meta":{{"ts":{}}}}}"#, at_us / 5_000 * 5 + 4), 5_000)));
        assert_eq!((stamped_late.foreign, stamped_late.covered, stamped_late.crowded), (0, 200, 200));
        let passed_on =
            judged(false, |at_us| Some((format!(r#"{{"meta":{{"ts":{}}}}}"#, at_us / 1_000), 5_000)));
        assert_eq!(passed_on.crowded, 0);
    }

    #[test]
    fn a_time_that_no_event_has_is_foreign() {
        let found = judged(false, |at_us| Some((format!(r#"{{"meta":{{"ts":{}}}}}"#, at_us + 7), 5_000)));
        assert_eq!((found.stamped, found.foreign), (0, 1_000));
        assert_eq!(found.verdict.latency.count(), 0);
        assert_eq!(found.verdict.offending[0].kind, "foreign");
        assert_eq!(found.newest_us, None);
    }

    #[test]
    fn outputs_of_earlier_events_are_told_apart_only_where_there_can_be_any() {
        let early = |at_us: i64| Some((format!(r#"{{"meta":{{"ts":{}}}}}"#, at_us - 60_000_000), 5_000));
        let shared = judged(true, early);
        assert_eq!((shared.earlier, shared.foreign), (1_000, 0));
        let fresh = judged(false, early);
        assert_eq!((fresh.earlier, fresh.foreign), (0, 1_000));
    }

    #[test]
    fn an_output_without_a_time_stamp_is_no_sample() {
        let found = judged(false, |_| Some((r#"{"count":3}"#.to_owned(), 5_000)));
        assert_eq!((found.stamped, found.without), (0, 1_000));
        assert_eq!(found.verdict.offending[0].kind, "timestamp");
        assert!(found.verdict.offending[0].detail.contains("missing field `meta.ts`"));
    }

    #[test]
    fn an_input_that_was_not_sent_is_a_fault_of_the_harness() {
        let field = StampPath::new("at").unwrap();
        let mut judge = Stamped::new(&field, &field, Scope::of((0, 1)), true, false);
        let error = judge.input(message("{}")).unwrap_err();
        assert!(
            matches!(&error, Error::Harness(text) if text.contains("does somebody else write")),
            "{error}"
        );
    }
}
