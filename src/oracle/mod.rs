//! The oracle: replays the input of a trial in offset order, judges the output, and works latencies out.
//!
//! One reference per pattern; [`verify`] reads both topics whole after the drain and joins the output with
//! the receipt times of the latency consumer.

mod passthrough;
mod table;
mod timeline;
mod verdict;

use std::path::PathBuf;
use std::time::Duration;

pub use passthrough::{Identity, Passthrough};
pub use timeline::{STALL_US, Second, Stall, TailSample};
pub use verdict::{Counts, Hops, Offence, Verdict};

use crate::error::{Error, Result};
use crate::kafka::KafkaConfig;
use crate::kafka::consumer::read_whole;
use crate::kafka::topics::{Bounds, bounds};
use crate::spool::SpoolReader;
use crate::stop::Stop;
use crate::workload::Workload;

/// How long the brokers may be silent while topics are read.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// What is to be verified.
#[derive(Clone, Debug)]
pub struct VerifySettings {
    /// The pattern: `01`, or `transport` for the floor.
    pub pattern: String,
    /// How to reach Kafka.
    pub config: KafkaConfig,
    /// The topic that the generator wrote.
    pub input_topic: String,
    /// The topic that the engine wrote; the input topic itself for `transport`.
    pub output_topic: String,
    /// The directory of the latency consumer's receipts of the output topic.
    pub spool: PathBuf,
    /// The window `[from, to)` of intended times, µs since the Unix epoch, whose latency is reported.
    pub measure: (i64, i64),
    /// When waiting for outputs ended, µs since the Unix epoch.
    pub deadline_us: i64,
    /// Where to write the interval log of the measuring phase, if anywhere.
    pub interval_log: Option<PathBuf>,
    /// How many offending records to keep.
    pub offending_limit: usize,
}

/// Finishes an oracle that has read everything.
///
/// # Errors
/// [`Error::Harness`] when outputs were never received by our consumer; [`Error::Io`] when the interval log
/// cannot be written.
pub fn conclude(
    mut oracle: Passthrough<'_>,
    measure: (i64, i64),
    deadline_us: i64,
    interval_log: Option<&std::path::Path>,
) -> Result<Verdict> {
    oracle.close()?;
    let timeline = timeline::timeline(&oracle.table, measure, deadline_us, interval_log)?;
    Ok(Verdict {
        counts: oracle.counts,
        latency: timeline.latency,
        censored: timeline.censored,
        least_censored_us: timeline.least_censored_us,
        min_us: timeline.min_us,
        max_us: timeline.max_us,
        negative: timeline.negative,
        halves: timeline.halves,
        stall_share: timeline.stall_share,
        stall_max_us: timeline.stall_max_us,
        stalls: timeline.stalls,
        tail: timeline.tail,
        hops: oracle.hops,
        seconds: timeline.seconds,
        offending: oracle.offending,
    })
}

/// Reads both topics whole, each up to the end that it has now, and judges the output.
///
/// # Errors
/// [`Error::Invalid`] for an unknown pattern or an empty window; [`Error::Kafka`] when a topic cannot be read;
/// [`Error::Harness`] when the input is not what the workload generates, retention removed records, or
/// outputs were never received by our consumer; [`Error::Io`] for the spool and the interval log;
/// [`Error::Stopped`] when `stop` was set.
pub fn verify(settings: &VerifySettings, workload: &Workload, stop: &Stop) -> Result<Verdict> {
    let identity = Identity::of_pattern(&settings.pattern)?;
    let same_topic = settings.input_topic == settings.output_topic;
    if same_topic != (identity == Identity::Everything) {
        return Err(Error::Invalid(
            "the output topic is the input topic for pattern \"transport\", and for no other".to_owned(),
        ));
    }
    if settings.measure.0 >= settings.measure.1 {
        return Err(Error::Invalid("the measuring window is empty: `from` must be before `to`".to_owned()));
    }
    if !settings.spool.is_dir() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Error::io("cannot read the spool", &settings.spool, missing));
    }
    let mut oracle = Passthrough::new(workload, identity, settings.measure, settings.offending_limit);
    let input_ends = ends(settings, &settings.input_topic, stop)?;
    if same_topic {
        let mut spools = open_spools(settings, input_ends.len())?;
        read_whole(&settings.config, &settings.input_topic, &input_ends, READ_TIMEOUT, stop, |message| {
            oracle.input(message)?;
            let received_us = spools[message.partition as usize].receipt(message.offset)?;
            oracle.output(message, received_us);
            Ok(())
        })?;
    } else {
        let output_ends = ends(settings, &settings.output_topic, stop)?;
        read_whole(&settings.config, &settings.input_topic, &input_ends, READ_TIMEOUT, stop, |message| {
            oracle.input(message)
        })?;
        let mut spools = open_spools(settings, output_ends.len())?;
        read_whole(&settings.config, &settings.output_topic, &output_ends, READ_TIMEOUT, stop, |message| {
            let received_us = spools[message.partition as usize].receipt(message.offset)?;
            oracle.output(message, received_us);
            Ok(())
        })?;
    }
    conclude(oracle, settings.measure, settings.deadline_us, settings.interval_log.as_deref())
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
