//! What the oracle found.

use super::cycles::Cycles;
use super::timeline::{Second, Stall, TailSample};
use crate::histogram::Histogram;
use crate::signed_histogram::SignedHistogram;

/// Counts over the whole trial. A sample is an input event, for patterns with windows an event in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records in the input topic.
    pub produced: u64,
    /// Of these, events that happened too long ago to count in any window: engines have to drop them.
    pub late: u64,
    /// Samples that an output has to cover; of final results, those of windows that must have closed.
    pub expected: u64,
    /// Records in the output topic.
    pub received: u64,
    /// Expected samples that no output covers.
    pub missing: u64,
    /// Outputs that nothing in the input explains.
    pub unexpected: u64,
    /// Outputs with a wrong content or key, in a wrong partition, out of order, or before or after another than
    /// they should be.
    pub wrong: u64,
    /// Outputs that repeat one that came before, those included that a restart excuses.
    pub duplicate: u64,
}

/// A record that is not as it should be, or is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offence {
    /// One of
    ///
    /// - missing: `missing`;
    /// - unexpected: `malformed` (no result), `foreign` (no event or key of this run), `filtered` (pattern 01),
    ///   `window` (no event of that key lies in such a window), `open` (a final result that is not due yet);
    /// - wrong: `altered` (a field differs), `key` (the Kafka key does), `partition` (not the one that the key
    ///   hashes to), `order` (a key out of order), `gap` (an update that skips one), `early` (a final result that
    ///   is not final);
    /// - duplicate: `duplicate`;
    /// - of a job that is not ours: `timestamp` (none in the record), `foreign` (that of no event of the trial).
    pub kind: &'static str,
    /// Partition of the output record; `None` for a missing one.
    pub partition: Option<i32>,
    /// Its offset.
    pub offset: Option<i64>,
    /// What is wrong with it.
    pub detail: String,
    /// The start of the record.
    pub record: String,
}

/// Brokers stamp in whole ms, rounded down: half a ms more is right on average.
const APPEND_BIAS_US: i64 = 500;

/// Where the time went, signed: one value in each hop for each output that was the first to cover its newest event,
/// if that lies in the measuring phase. Brokers stamp in whole ms, so one value is good to 1 ms; means are better, and
/// those of the hops add up to the mean latency of the same outputs. They compare a broker's clock with ours. Empty
/// where the topics keep the producer's time.
#[derive(Clone, Debug, Default)]
pub struct Hops {
    /// Intended time to the input's append, µs.
    pub scheduled_to_input: SignedHistogram,
    /// The input's append to the output's, µs; empty where the output topic is the input topic.
    pub input_to_output: SignedHistogram,
    /// The output's append to our receipt, µs.
    pub output_to_received: SignedHistogram,
}

impl Hops {
    pub(super) fn record(
        &mut self,
        (scheduled_us, input_append_ms): (i64, Option<i64>),
        output_append_ms: Option<i64>,
        received_us: i64,
        same: bool,
    ) {
        let (Some(input_ms), Some(output_ms)) = (input_append_ms, output_append_ms) else { return };
        let appended_us = |ms: i64| ms * 1000 + APPEND_BIAS_US;
        self.scheduled_to_input.record(appended_us(input_ms) - scheduled_us);
        if !same {
            self.input_to_output.record((output_ms - input_ms) * 1000);
        }
        self.output_to_received.record(received_us - appended_us(output_ms));
    }

    /// The hops that have samples, by name.
    pub fn named(&self) -> Vec<(&'static str, &SignedHistogram)> {
        [
            ("scheduled_to_input", &self.scheduled_to_input),
            ("input_to_output", &self.input_to_output),
            ("output_to_received", &self.output_to_received),
        ]
        .into_iter()
        .filter(|(_, histogram)| histogram.count() > 0)
        .collect()
    }
}

/// The oracle's verdict on one trial, and the figures of its measuring phase.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Counts over the whole trial.
    pub counts: Counts,
    /// Bytes of the values in the input topic, without keys and what Kafka adds.
    pub input_bytes: u64,
    /// The same of the output topic.
    pub output_bytes: u64,
    /// Input partitions that hold events which an output has to cover, and of which none is covered: nobody has
    /// read them. Ascending; never any for a job that is not ours.
    pub unread_partitions: Vec<i32>,
    /// Of the duplicates, those that a restart excuses.
    pub legal_duplicates: u64,
    /// Update latency, µs: one value for each sample of the measuring phase; censored ones at the deadline.
    pub latency: Histogram,
    /// Close latency, µs: one value for each window that holds an event of the measuring phase and whose
    /// results all came out, from window end + watermark delay to the first receipt of its last key's result.
    /// `None` unless final results were asked for.
    pub close_latency: Option<Histogram>,
    /// Samples that are only known to be at least what is recorded.
    pub censored: u64,
    /// The least censored sample, µs.
    pub least_censored_us: Option<i64>,
    /// The least latency, µs, unclamped; 0 without samples.
    pub min_us: i64,
    /// The greatest latency, µs, unclamped; 0 without samples.
    pub max_us: i64,
    /// Samples below 0.
    pub negative: u64,
    /// The latencies of events intended for the first and for the second half of the measuring phase; with cycles,
    /// of equal numbers of whole ones.
    pub halves: (Histogram, Histogram),
    /// The cycles of the measuring phase, where their boundaries were given.
    pub cycles: Cycles,
    /// Share of the measuring time in which nothing came out for more than 100 ms although input waited.
    pub stall_share: f64,
    /// The greatest share of a single input partition, of its own input and outputs, good to 10 ms: stalls that come
    /// to one after the other do not show in `stall_share`. Equal to it where partitions are not told apart.
    pub stall_share_worst_partition: f64,
    /// The longest such stall, µs.
    pub stall_max_us: i64,
    /// All such stalls, in order of time.
    pub stalls: Vec<Stall>,
    /// The samples above the 99th percentile, in order of intended time.
    pub tail: Vec<TailSample>,
    /// Where the time went.
    pub hops: Hops,
    /// Each second of the measuring phase.
    pub seconds: Vec<Second>,
    /// The first offending records.
    pub offending: Vec<Offence>,
}

impl Verdict {
    /// Whether `percentile` (0 to 100) of the latency reaches a censored sample: then it is only a lower bound.
    pub fn ge(&self, percentile: f64) -> bool {
        self.least_censored_us.is_some_and(|us| self.latency.reaches(percentile, us.max(1) as u64))
    }

    /// Whether the output was exactly what the input asks for, but for repetitions that a restart excuses.
    pub fn is_correct(&self) -> bool {
        let Counts { missing, unexpected, wrong, duplicate, .. } = self.counts;
        missing + unexpected + wrong + (duplicate - self.legal_duplicates) == 0
    }
}
