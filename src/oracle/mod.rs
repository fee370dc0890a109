//! The oracle: replays the input of a trial in offset order, judges the output, and works latencies out.
//!
//! One reference per pattern; [`verify`] reads both topics whole after the drain and joins the output with
//! the receipt times of the latency consumer. The references share the check of the input (`intake`), the books
//! of counts and offences (`ledger`), and the figures of the measuring phase (`timeline`), which they feed with
//! samples.
//!
//! Only `intake` knows what a workload generates; `stamped` judges the outputs of jobs that are not ours, of which
//! no more is known than their time stamps. The references of patterns 02 to 04 take it as it is: they know events by their key's number and their
//! offset order, and go by event time even where that is out of order. They ask the workload which events are late.

mod aggregate;
mod append_time;
mod close;
mod cycles;
mod intake;
mod keyed;
mod ledger;
mod packed;
mod partitions;
mod passthrough;
mod resampling;
mod result;
mod rules;
mod stamped;
mod table;
mod timeline;
mod verdict;

use std::path::PathBuf;
use std::time::Duration;

pub use aggregate::Aggregates;
pub use cycles::{Cycle, Cycles};
pub use ledger::Scope;
pub use passthrough::{Identity, Passthrough};
pub use resampling::Resampling;
pub use rules::{Aggregate, AggregateRules, Emission, Rules, Windows};
pub use stamped::{Side, Stamped, StampedSettings, StampedVerdict, verify_stamped};
pub use timeline::{Phase, STALL_US, Second, Stall, TailSample};
pub use verdict::{Counts, Hops, Offence, Verdict};

use crate::error::{Error, Result};
use crate::kafka::KafkaConfig;
use crate::kafka::consumer::{Message, read_whole};
use crate::kafka::topics::{Bounds, bounds};
use crate::spool::SpoolReader;
use crate::stop::Stop;
use crate::workload::Workload;

/// How long the brokers may be silent while topics are read.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// What is to be verified.
#[derive(Clone, Debug)]
pub struct VerifySettings {
    /// What the output has to be.
    pub rules: Rules,
    /// How to reach Kafka.
    pub config: KafkaConfig,
    /// The topic that the generator wrote.
    pub input_topic: String,
    /// The topic that the engine wrote; the input topic itself for the transport floor.
    pub output_topic: String,
    /// The directory of the latency consumer's receipts of the output topic.
    pub spool: PathBuf,
    /// What is measured, which repetitions are excused, how many offending records are kept.
    pub scope: Scope,
    /// When waiting for outputs ended, µs since the Unix epoch.
    pub deadline_us: i64,
    /// Where to write the interval log of the measuring phase, if anywhere.
    pub interval_log: Option<PathBuf>,
    /// Where to write the interval log of close latency, if anywhere.
    pub close_log: Option<PathBuf>,
}

/// The reference of one pattern.
///
/// Give it every input record, say that the input has ended, then give it every output, each partition in
/// offset order.
pub enum Oracle<'a> {
    /// Of pattern 01 and the floors.
    Passthrough(Passthrough<'a>),
    /// Of patterns 02 to 04.
    Aggregates(Aggregates<'a>),
}

impl<'a> Oracle<'a> {
    /// The reference that goes by `rules`, for an output topic of that many partitions; it has read nothing yet.
    pub fn new(workload: &'a Workload, rules: Rules, scope: Scope, output_partitions: u32) -> Self {
        match rules {
            Rules::Identity(identity) => {
                Self::Passthrough(Passthrough::new(workload, identity, scope, output_partitions))
            }
            Rules::Aggregate(rules) => {
                Self::Aggregates(Aggregates::new(workload, rules, scope, output_partitions))
            }
        }
    }

    /// Takes one record of the input topic.
    ///
    /// # Errors
    /// [`Error::Harness`] when it is not what the workload generates.
    #[inline]
    pub fn input(&mut self, message: Message<'_>) -> Result<()> {
        match self {
            Self::Passthrough(oracle) => oracle.input(message),
            Self::Aggregates(oracle) => oracle.input(message),
        }
    }

    /// Takes one record of a topic that is input and output in one, the transport floor's, with its first receipt
    /// as in [`Oracle::output`].
    ///
    /// # Errors
    /// As [`Oracle::input`].
    #[inline]
    pub fn transported(&mut self, message: Message<'_>, received_us: Option<i64>) -> Result<()> {
        match self {
            Self::Passthrough(oracle) => oracle.transported(message, received_us),
            Self::Aggregates(oracle) => {
                oracle.input(message)?;
                oracle.output(message, received_us);
                Ok(())
            }
        }
    }

    /// Says that the input is whole.
    pub fn input_ended(&mut self) {
        if let Self::Aggregates(oracle) = self {
            oracle.input_ended();
        }
    }

    /// Takes one record of the output topic, with its first receipt, µs since the Unix epoch, or `None`
    /// when the consumer never got it.
    #[inline]
    pub fn output(&mut self, message: Message<'_>, received_us: Option<i64>) {
        match self {
            Self::Passthrough(oracle) => oracle.output(message, received_us),
            Self::Aggregates(oracle) => oracle.output(message, received_us),
        }
    }

    /// Counts what never came out and works the figures out.
    ///
    /// # Errors
    /// [`Error::Harness`] when outputs were never received by our consumer; [`Error::Io`] when an interval log
    /// cannot be written.
    pub fn conclude(self, phase: &Phase<'_>) -> Result<Verdict> {
        match self {
            Self::Passthrough(oracle) => oracle.conclude(phase),
            Self::Aggregates(oracle) => oracle.conclude(phase),
        }
    }
}

/// Reads both topics whole, each up to the end that it has now, and judges the output.
///
/// # Errors
/// [`Error::Invalid`] for topics that do not fit the pattern or an empty window; [`Error::Kafka`] when a topic
/// cannot be read; [`Error::Harness`] when the input is not what the workload generates, retention removed
/// records, or outputs were never received by our consumer; [`Error::Io`] for the spool and the interval logs;
/// [`Error::Stopped`] when `stop` was set.
pub fn verify(settings: &VerifySettings, workload: &Workload, stop: &Stop) -> Result<Verdict> {
    let same_topic = settings.input_topic == settings.output_topic;
    if same_topic != (settings.rules == Rules::Identity(Identity::Transport)) {
        return Err(Error::Invalid(
            "the output topic is the input topic for pattern \"transport\", and for no other".to_owned(),
        ));
    }
    settings.scope.check()?;
    if !settings.spool.is_dir() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Error::io("cannot read the spool", &settings.spool, missing));
    }
    let input_ends = ends(settings, &settings.input_topic, stop)?;
    let oracle =
        |partitions: usize| Oracle::new(workload, settings.rules, settings.scope.clone(), partitions as u32);
    let oracle = if same_topic {
        let mut oracle = oracle(input_ends.len());
        let mut spools = open_spools(settings, input_ends.len())?;
        read_whole(&settings.config, &settings.input_topic, &input_ends, READ_TIMEOUT, stop, |message| {
            let received_us = spools[message.partition as usize].receipt(message.offset)?;
            oracle.transported(message, received_us)
        })?;
        oracle
    } else {
        let output_ends = ends(settings, &settings.output_topic, stop)?;
        let mut oracle = oracle(output_ends.len());
        read_whole(&settings.config, &settings.input_topic, &input_ends, READ_TIMEOUT, stop, |message| {
            oracle.input(message)
        })?;
        oracle.input_ended();
        let mut spools = open_spools(settings, output_ends.len())?;
        read_whole(&settings.config, &settings.output_topic, &output_ends, READ_TIMEOUT, stop, |message| {
            let received_us = spools[message.partition as usize].receipt(message.offset)?;
            oracle.output(message, received_us);
            Ok(())
        })?;
        oracle
    };
    oracle.conclude(&Phase {
        deadline_us: settings.deadline_us,
        interval_log: settings.interval_log.as_deref(),
        close_log: settings.close_log.as_deref(),
    })
}

fn open_spools(settings: &VerifySettings, partitions: usize) -> Result<Vec<SpoolReader>> {
    (0..partitions as i32).map(|partition| SpoolReader::open(&settings.spool, partition)).collect()
}

fn ends(settings: &VerifySettings, topic: &str, stop: &Stop) -> Result<Vec<i64>> {
    let bounds = bounds(&settings.config, topic, READ_TIMEOUT, stop)?;
    if let Some(partition) = bounds.iter().position(|Bounds { low, .. }| *low > 0) {
        return Err(Error::Harness(format!(
            "topic {topic} is no longer whole: partition {partition} starts at offset {}. Its retention is \
             shorter than the trial",
            bounds[partition].low
        )));
    }
    Ok(bounds.into_iter().map(|Bounds { end, .. }| end).collect())
}
