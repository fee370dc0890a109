//! The reference of patterns 02 to 04: counts, sums and means of the events of a key, in windows or over all of
//! them.
//!
//! An output with `count` = k covers the first k events of its key and window in offset order. Whether its
//! other fields are right follows from the same k events.

use super::close::{self, CloseBounds};
use super::intake::{Intake, Seen, fault};
use super::keyed::{Item, KeyLog, Prefix};
use super::ledger::{Ledger, Scope};
use super::packed::{pack_lag, unpack_lag};
use super::partitions::misplaced;
use super::result::{ResultRecord, Shape};
use super::rules::{Aggregate, AggregateRules, Emission, Windows};
use super::timeline::{Phase, Sample, Samples, timeline};
use super::verdict::Verdict;
use crate::error::Result;
use crate::kafka::consumer::Message;
use crate::measure::excerpt;
use crate::workload::Workload;

/// How far a mean may be off, relative: engines add and divide in another order than we do.
const AVERAGE_TOLERANCE: f64 = 1e-12;

/// Replays the input, then judges the output.
///
/// Give it every input record ([`Aggregates::input`]), call [`Aggregates::input_ended`], then give it every
/// output ([`Aggregates::output`]), each partition in offset order. Late events of the workload are expected in no
/// window; without windows they are events as any other. Memory, whatever the output holds: 16
/// bytes and a bit an event, 4 an event and window, 64 a key and window (vectors grow by doubling, so up to
/// twice the first and the last), 76 a key of the workload.
pub struct Aggregates<'a> {
    intake: Intake<'a>,
    rules: AggregateRules,
    shape: Shape,
    seen: Seen,
    keys: Vec<KeyLog>,
    /// The greatest event time of each input partition, ms.
    newest_ms: Vec<Option<i64>>,
    bounds: CloseBounds,
    ledger: Ledger,
    output_partitions: u32,
}

impl<'a> Aggregates<'a> {
    /// An oracle that has read nothing yet, for an output topic of that many partitions.
    pub fn new(workload: &'a Workload, rules: AggregateRules, scope: Scope, output_partitions: u32) -> Self {
        Self {
            intake: Intake::new(workload),
            rules,
            shape: Shape::of(&rules),
            seen: Seen::default(),
            keys: vec![KeyLog::default(); workload.keys() as usize + 1],
            newest_ms: Vec::new(),
            bounds: CloseBounds::NONE,
            ledger: Ledger::new(scope),
            output_partitions,
        }
    }

    /// Takes one record of the input topic.
    ///
    /// # Errors
    /// As [`Passthrough::input`](super::Passthrough::input).
    pub fn input(&mut self, message: Message<'_>) -> Result<()> {
        let (index, event) = self.intake.event(message)?;
        if !self.seen.insert(index) {
            return Err(fault(message, "comes a second time (was the generator not idempotent?)"));
        }
        let partition = message.partition as usize;
        if partition >= self.newest_ms.len() {
            self.newest_ms.resize(partition + 1, None);
        }
        let newest_ms = &mut self.newest_ms[partition];
        *newest_ms = (*newest_ms).max(Some(event.produced_at));
        self.ledger.produced(message);
        if self.rules.windows != Windows::Whole && self.intake.workload.is_late(index) {
            self.ledger.counts.late += 1;
            return Ok(());
        }
        let lag = pack_lag(event.scheduled_at_us, message.append_ms);
        self.keys[event.key as usize].push(Item::of(&event, lag), self.rules.windows);
        Ok(())
    }

    /// Says that the input is whole: now it is known what has to come out.
    pub fn input_ended(&mut self) {
        let windows = self.rules.windows;
        if self.rules.emission == Emission::Close {
            self.bounds = CloseBounds::of(&self.newest_ms, self.rules.watermark_delay_ms);
        }
        let bounds = self.bounds;
        for (number, key) in (0..).zip(&mut self.keys) {
            key.seal(windows);
            let due = key.spans().iter().filter(|span| bounds.must_close(windows.end(span.start)));
            let expected = due.map(|span| u64::from(span.count)).sum();
            self.ledger.counts.expected += expected;
            self.ledger.inputs.expect(self.intake.partition(number), expected);
        }
    }

    /// Takes one record of the output topic, with its first receipt, µs since the Unix epoch, or `None`
    /// when the consumer never got it.
    pub fn output(&mut self, message: Message<'_>, received_us: Option<i64>) {
        self.ledger.received(message, received_us);
        let Some(payload) = message.payload else {
            return self.ledger.unexpected(message, "malformed", "a tombstone: the record has no value");
        };
        let record = match self.shape.decode(payload) {
            Ok(record) => record,
            Err(error) => return self.ledger.unexpected(message, "malformed", &error.to_string()),
        };
        let number = self.intake.key_number(&record.key);
        let Some(key) = number.map(|number| &mut self.keys[number as usize]).filter(|key| !key.is_empty())
        else {
            return self.ledger.unexpected(message, "foreign", "its key is not in the input topic");
        };
        let windows = self.rules.windows;
        let Some(place) = key.find(record.window_start) else {
            let detail = match self.ledger.counts.late {
                0 => "no input event of its key lies in such a window",
                _ => {
                    "no input event of its key lies in such a window, those left out that were sent too late"
                }
            };
            return self.ledger.unexpected(message, "window", detail);
        };
        let name = Name { key: &record.key, start: record.window_start, windows };
        if !self.bounds.may_close(windows.end(record.window_start)) {
            let detail = format!("{name}: no watermark has passed it");
            return self.ledger.unexpected(message, "open", &detail);
        }
        let mut unaltered = check_place(&mut self.ledger, message, &record, &name, self.output_partitions);
        let span = &key.spans()[place];
        let (total, covered) = (span.count, span.covered());
        let Some(count) = u32::try_from(record.count).ok().filter(|count| (1..=total).contains(count)) else {
            let detail = format!("{name}: `count` is {}, the input holds {total}", record.count);
            return self.ledger.wrong(message, "altered", &detail);
        };
        let prefix = key.prefix(place, count, windows);
        let newest_us = prefix.newest.scheduled_us;
        let happened = key.newest_happened(place, record.produced_at, windows);
        if let Some(difference) = difference(self.rules.aggregate, &record, count, &prefix, happened) {
            self.ledger.wrong(message, "altered", &format!("{name}, count {count}: {difference}"));
            unaltered = false;
        }
        let span = key.span_mut(place);
        let last = std::mem::replace(&mut span.last_count, count);
        if count <= covered {
            let (repeats, cause_us) = match self.rules.emission {
                Emission::Update => (!span.skipped, newest_us),
                Emission::Batch => (count == last, newest_us),
                // What makes an engine write it, and write it again, is the watermark.
                Emission::Close => (true, close::due_us(&self.rules, record.window_start)),
            };
            if repeats || self.ledger.excuses(cause_us, unaltered) {
                let detail = format!("{name}: count {count} came out before");
                self.ledger.duplicate(message, cause_us, unaltered, &detail);
            } else {
                let detail = format!("{name}: count {count} comes after {last}");
                self.ledger.wrong(message, "order", &detail);
            }
            return;
        }
        if self.rules.emission == Emission::Update && count > covered + 1 {
            span.skipped = true;
            let detail = format!("{name}: count {count} comes after {covered}");
            self.ledger.wrong(message, "gap", &detail);
        } else if self.rules.emission == Emission::Close && count < total {
            let detail = format!("{name}: count {count} is not the final {total}");
            self.ledger.wrong(message, "early", &detail);
        }
        // An output that claims more than its time stamps tell covers nothing: it would hide what is missing.
        let believed = record.scheduled_at_us == newest_us || count == covered + 1;
        let Some(received_us) = received_us.filter(|_| believed) else { return };
        if count == total {
            span.closed_us = received_us;
        }
        key.cover(place, count, received_us, windows);
        if self.ledger.scope.measures(newest_us) {
            let input = (newest_us, unpack_lag(newest_us, prefix.newest.lag));
            self.ledger.hops.record(input, message.append_ms, received_us, false);
        }
    }

    /// Counts what never came out and works the figures out.
    ///
    /// # Errors
    /// [`Error::Harness`](crate::Error::Harness) when outputs were never received by our consumer;
    /// [`Error::Io`](crate::Error::Io) when an interval log cannot be written.
    pub fn conclude(mut self, phase: &Phase<'_>) -> Result<Verdict> {
        self.ledger.check_receipts()?;
        let windows = self.rules.windows;
        for (number, key) in (0..).zip(&self.keys) {
            let partition = self.intake.partition(number);
            for span in key.spans().iter().filter(|span| self.bounds.must_close(windows.end(span.start))) {
                let (covered, total) = (span.covered(), span.count);
                self.ledger.inputs.cover(partition, u64::from(covered));
                if covered < total {
                    let name = Name { key: &format!("user_{number}"), start: span.start, windows };
                    let detail = || format!("{name}: nothing covers counts {} to {total}", covered + 1);
                    self.ledger.missing(u64::from(total - covered), || (detail(), Vec::new()));
                }
            }
        }
        let timeline = timeline(&self, &self.ledger.scope, phase)?;
        let close = (self.rules.emission == Emission::Close)
            .then(|| close::latency(&self.keys, &self.rules, self.bounds, self.ledger.scope.measure, phase))
            .transpose()?;
        Ok(self.ledger.verdict(timeline, close))
    }
}

impl Samples for Aggregates<'_> {
    fn each(&self, mut visit: impl FnMut(Sample)) {
        self.each_of_partition(|_, sample| visit(sample));
    }

    fn each_of_partition(&self, mut visit: impl FnMut(usize, Sample)) {
        let (windows, bounds) = (self.rules.windows, self.bounds);
        for (number, key) in (0..).zip(&self.keys) {
            // Negative for a key without events, which has no samples either.
            let partition = self.intake.partition(number).max(0) as usize;
            let counts = |start| bounds.must_close(windows.end(start));
            key.each(windows, counts, |start, mut sample| {
                if self.rules.emission == Emission::Close {
                    sample.due_us = close::due_us(&self.rules, start);
                }
                visit(partition, sample);
            });
        }
    }
}

/// Whether the window's end, the Kafka key and the partition are right.
fn check_place(
    ledger: &mut Ledger,
    message: Message<'_>,
    record: &ResultRecord<'_>,
    name: &Name<'_>,
    output_partitions: u32,
) -> bool {
    let mut right = true;
    let mut wrong = |kind, detail: String| {
        ledger.wrong(message, kind, &detail);
        right = false;
    };
    let end = name.windows.end(record.window_start);
    if name.windows != Windows::Whole && record.window_end != end {
        wrong("altered", format!("{name}: `window_end` is {}, not {end}", record.window_end));
    }
    if message.key != Some(record.key.as_bytes()) {
        let seen = message.key.map_or_else(|| "none".to_owned(), excerpt);
        wrong("key", format!("{name}: its Kafka key is {seen}"));
    } else if let Some(detail) = misplaced(message, output_partitions) {
        wrong("partition", format!("{name}: {detail}"));
    }
    right
}

/// In which field a result differs from what its first `count` events come to; `happened`: its `produced_at` is the
/// newest one's.
fn difference(
    aggregate: Aggregate,
    record: &ResultRecord<'_>,
    count: u32,
    prefix: &Prefix,
    happened: bool,
) -> Option<String> {
    let newest_us = prefix.newest.scheduled_us;
    if record.scheduled_at_us != newest_us {
        return Some(format!("`scheduled_at_us` is {}, not {newest_us}", record.scheduled_at_us));
    }
    if !happened {
        return Some(format!("`produced_at` is {}, not {}", record.produced_at, prefix.newest.event_ms()));
    }
    match aggregate {
        Aggregate::Sum => (u64::try_from(record.sum) != Ok(prefix.sum))
            .then(|| format!("`sum` is {}, not {}", record.sum, prefix.sum)),
        Aggregate::Average => {
            let average = prefix.sum as f64 / f64::from(count);
            ((record.avg - average).abs() > AVERAGE_TOLERANCE * average.abs())
                .then(|| format!("`avg` is {}, not {average}", record.avg))
        }
    }
}

/// What a message calls a key and its window.
struct Name<'a> {
    key: &'a str,
    start: i64,
    windows: Windows,
}

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.key)?;
        if self.windows == Windows::Whole {
            return Ok(());
        }
        write!(formatter, " in window {} to {}", self.start, self.windows.end(self.start))
    }
}
