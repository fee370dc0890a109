//! What every reference keeps book of: counts, bytes, offences, hops, and which repetitions a restart excuses.

use super::partitions::InputPartitions;
use super::timeline::Timeline;
use super::verdict::{Counts, Hops, Offence, Verdict};
use crate::error::{Error, Result};
use crate::histogram::Histogram;
use crate::kafka::consumer::Message;
use crate::measure::excerpt;

/// What a trial's judge has to know beside the pattern.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The window `[from, to)` of intended times, µs since the Unix epoch, whose latency is reported.
    pub measure: (i64, i64),
    /// Windows `[from, to)` of intended times, µs, one for each restart: from the first event after the last
    /// committed offset to the crash. An output that comes again, unaltered, any number of times, is excused if
    /// what causes it lies in one: its newest event, or for a final result the moment window end + watermark delay.
    pub restarts: Vec<(i64, i64)>,
    /// Where the cycles of the measuring phase begin and end, µs since the Unix epoch, ascending: the first time is
    /// `measure.0`, the last `measure.1`. Empty where no cycles were observed.
    pub cycles: Vec<i64>,
    /// How many offending records to keep.
    pub offending_limit: usize,
}

impl Scope {
    /// A scope without restarts and cycles that keeps 20 offending records.
    pub fn of(measure: (i64, i64)) -> Self {
        Self { measure, restarts: Vec::new(), cycles: Vec::new(), offending_limit: 20 }
    }

    /// # Errors
    /// [`Error::Invalid`] for a window that ends before it begins, or cycles that do not fill the measuring window.
    pub(super) fn check(&self) -> Result<()> {
        if self.measure.0 >= self.measure.1 {
            return Err(Error::Invalid(
                "the measuring window is empty: `from` must be before `to`".to_owned(),
            ));
        }
        let ends = (self.cycles.first(), self.cycles.last());
        if !self.cycles.is_empty()
            && (ends != (Some(&self.measure.0), Some(&self.measure.1))
                || !self.cycles.is_sorted_by(|a, b| a < b))
        {
            return Err(Error::Invalid(format!(
                "the cycles {:?} must ascend from the start of the measuring window {:?} to its end",
                self.cycles, self.measure
            )));
        }
        match self.restarts.iter().find(|(from, to)| from >= to) {
            Some((from, to)) => Err(Error::Invalid(format!(
                "the restart window ({from}, {to}) is empty: `from` must be before `to`"
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn measures(&self, scheduled_us: i64) -> bool {
        (self.measure.0..self.measure.1).contains(&scheduled_us)
    }

    fn excuses(&self, scheduled_us: i64) -> bool {
        self.restarts.iter().any(|&(from, to)| (from..to).contains(&scheduled_us))
    }
}

/// Counts, bytes, offences and hops of one trial.
pub(super) struct Ledger {
    pub scope: Scope,
    pub counts: Counts,
    pub hops: Hops,
    pub inputs: InputPartitions,
    input_bytes: u64,
    output_bytes: u64,
    legal_duplicates: u64,
    offending: Vec<Offence>,
    unreceived: u64,
    first_unreceived: Option<(i32, i64)>,
}

impl Ledger {
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            counts: Counts::default(),
            hops: Hops::default(),
            inputs: InputPartitions::default(),
            input_bytes: 0,
            output_bytes: 0,
            legal_duplicates: 0,
            offending: Vec::new(),
            unreceived: 0,
            first_unreceived: None,
        }
    }

    /// Counts an input record.
    #[inline]
    pub fn produced(&mut self, message: Message<'_>) {
        self.counts.produced += 1;
        self.input_bytes += value_bytes(message);
    }

    /// Counts an output record.
    #[inline]
    pub fn received(&mut self, message: Message<'_>, received_us: Option<i64>) {
        self.counts.received += 1;
        self.output_bytes += value_bytes(message);
        if received_us.is_none() {
            self.unreceived += 1;
            self.first_unreceived.get_or_insert((message.partition, message.offset));
        }
    }

    #[cold]
    pub fn unexpected(&mut self, message: Message<'_>, kind: &'static str, detail: &str) {
        self.counts.unexpected += 1;
        self.offend(message, kind, detail);
    }

    #[cold]
    pub fn wrong(&mut self, message: Message<'_>, kind: &'static str, detail: &str) {
        self.counts.wrong += 1;
        self.offend(message, kind, detail);
    }

    /// Counts a repetition of an output that is caused at `scheduled_us`, in intended time; an offence unless it
    /// is `unaltered` and a restart excuses it.
    #[cold]
    pub fn duplicate(&mut self, message: Message<'_>, scheduled_us: i64, unaltered: bool, detail: &str) {
        self.counts.duplicate += 1;
        if self.excuses(scheduled_us, unaltered) {
            self.legal_duplicates += 1;
        } else {
            self.offend(message, "duplicate", detail);
        }
    }

    /// Whether a restart excuses the repetition of such an output.
    pub fn excuses(&self, scheduled_us: i64, unaltered: bool) -> bool {
        unaltered && self.scope.excuses(scheduled_us)
    }

    /// Counts samples that no output covers. `offence` makes detail and record, if there is room for them.
    pub fn missing(&mut self, samples: u64, offence: impl FnOnce() -> (String, Vec<u8>)) {
        self.counts.missing += samples;
        if self.offending.len() < self.scope.offending_limit {
            let (detail, record) = offence();
            let record = excerpt(&record);
            self.offending.push(Offence { kind: "missing", partition: None, offset: None, detail, record });
        }
    }

    fn offend(&mut self, message: Message<'_>, kind: &'static str, detail: &str) {
        if self.offending.len() < self.scope.offending_limit {
            self.offending.push(Offence {
                kind,
                partition: Some(message.partition),
                offset: Some(message.offset),
                detail: detail.to_owned(),
                record: excerpt(message.payload.unwrap_or_default()),
            });
        }
    }

    /// # Errors
    /// [`Error::Harness`] when outputs were never received by our consumer: their latencies are unknown.
    pub fn check_receipts(&self) -> Result<()> {
        let Some((partition, offset)) = self.first_unreceived else { return Ok(()) };
        Err(Error::Harness(format!(
            "{} of {} output records were never received by the latency consumer (the first at partition \
             {partition} offset {offset}), so their latencies are unknown: stop the consumer only after the \
             drain, and give its own spool directory",
            self.unreceived, self.counts.received
        )))
    }

    /// The verdict, with the figures of the measuring phase and the close latency where windows closed.
    pub fn verdict(self, timeline: Timeline, close: Option<Histogram>) -> Verdict {
        Verdict {
            counts: self.counts,
            input_bytes: self.input_bytes,
            output_bytes: self.output_bytes,
            unread_partitions: self.inputs.unread(),
            legal_duplicates: self.legal_duplicates,
            latency: timeline.latency,
            close_latency: close,
            censored: timeline.censored,
            least_censored_us: timeline.least_censored_us,
            min_us: timeline.min_us,
            max_us: timeline.max_us,
            negative: timeline.negative,
            halves: timeline.halves,
            cycles: timeline.cycles,
            stall_share: timeline.stall_share,
            stall_share_worst_partition: timeline.stall_share_worst_partition,
            stall_max_us: timeline.stall_max_us,
            stalls: timeline.stalls,
            tail: timeline.tail,
            hops: self.hops,
            seconds: timeline.seconds,
            offending: self.offending,
        }
    }
}

fn value_bytes(message: Message<'_>) -> u64 {
    message.payload.map_or(0, <[u8]>::len) as u64
}
