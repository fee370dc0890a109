//! The reference of pattern 01 and of the transport floor: each kept event comes out once, unchanged.

use super::table::{Entry, Table};
use super::verdict::{Counts, Hops, Offence};
use crate::error::{Error, Result};
use crate::event::{Event, EventId, EventType, Record};
use crate::kafka::consumer::Message;
use crate::measure::excerpt;
use crate::workload::Workload;

/// What the output of an identity has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Pattern 01: clicks and purchases.
    ClicksAndPurchases,
    /// The transport floor: everything, because the output topic is the input topic.
    Everything,
}

impl Identity {
    /// The identity that a pattern is: `01`, or `transport` for the floor.
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other name.
    pub fn of_pattern(pattern: &str) -> Result<Self> {
        match pattern {
            "01" => Ok(Self::ClicksAndPurchases),
            "transport" => Ok(Self::Everything),
            other => {
                Err(Error::Invalid(format!("there is no oracle for pattern {other:?}: 01 or transport")))
            }
        }
    }

    /// How many outputs the events `first..first + count` of a workload ask for.
    pub fn expected_outputs(self, workload: &Workload, first: u64, count: u64) -> u64 {
        if self == Self::Everything {
            return count;
        }
        let kept = |index: &u64| self.keeps(workload.event(*index, 0).event_type);
        (first..first.saturating_add(count)).filter(kept).count() as u64
    }

    fn keeps(self, event_type: EventType) -> bool {
        self == Self::Everything || event_type != EventType::View
    }
}

/// Where the outputs of a key were seen.
#[derive(Clone, Copy)]
struct KeyState {
    input_partition: i32,
    output_partition: i32,
    /// Input offset of the newest event whose first output was read.
    last_position: i64,
}

/// Replays the input, then judges the output.
///
/// Give it every input record ([`Passthrough::input`]) before the first output ([`Passthrough::output`]),
/// each partition in offset order. Memory: 16 bytes an input event and 16 a key, whatever the output holds.
pub struct Passthrough<'a> {
    workload: &'a Workload,
    identity: Identity,
    measure: (i64, i64),
    offending_limit: usize,
    pub(super) table: Table,
    keys: Vec<KeyState>,
    pub(super) counts: Counts,
    pub(super) offending: Vec<Offence>,
    pub(super) hops: Hops,
    unreceived: u64,
    first_unreceived: Option<(i32, i64)>,
}

impl<'a> Passthrough<'a> {
    /// An oracle that has read nothing yet. `measure` is the window `[from, to)` of intended times, µs; the
    /// first `offending_limit` offending records are kept.
    pub fn new(
        workload: &'a Workload,
        identity: Identity,
        measure: (i64, i64),
        offending_limit: usize,
    ) -> Self {
        let unseen = KeyState { input_partition: -1, output_partition: -1, last_position: -1 };
        Self {
            workload,
            identity,
            measure,
            offending_limit,
            table: Table::default(),
            keys: vec![unseen; workload.keys() as usize + 1],
            counts: Counts::default(),
            offending: Vec::new(),
            hops: Hops::default(),
            unreceived: 0,
            first_unreceived: None,
        }
    }

    /// Takes one record of the input topic.
    ///
    /// # Errors
    /// [`Error::Harness`] when it is not an event of this run exactly as the workload makes it, comes twice, or
    /// lies in another partition than its key: then the input cannot be what an engine is judged by.
    pub fn input(&mut self, message: Message<'_>) -> Result<()> {
        let fault = |what: &str| {
            Error::Harness(format!(
                "the input topic cannot be trusted: the record at partition {} offset {} {what}: {}",
                message.partition,
                message.offset,
                excerpt(message.payload.unwrap_or_default())
            ))
        };
        let payload = message.payload.ok_or_else(|| fault("is a tombstone"))?;
        let record = Record::decode(payload).map_err(|error| fault(&format!("is no event ({error})")))?;
        let index = EventId::parse(record.event_id.as_bytes())
            .and_then(|id| self.workload.index_of(id))
            .ok_or_else(|| fault("is not an event of this run (another seed?)"))?;
        let event = self.workload.event(index, record.scheduled_at_us);
        if !event.matches(&record) || !message.key.is_some_and(|key| event.has_key(key)) {
            return Err(fault(
                "differs from what the workload generates (other keys or another Zipf exponent?)",
            ));
        }
        let state = &mut self.keys[event.key as usize];
        if state.input_partition >= 0 && state.input_partition != message.partition {
            return Err(fault("lies in another partition than earlier records of its key"));
        }
        state.input_partition = message.partition;
        let position = u32::try_from(message.offset)
            .map_err(|_| fault("has an offset beyond what the oracle can hold"))?;
        let expected = self.identity.keeps(event.event_type);
        let entry = Entry {
            scheduled_us: event.scheduled_at_us,
            position,
            append_ms: message.append_ms,
            expected,
            latency_us: None,
        };
        if !self.table.insert(index, entry)? {
            return Err(fault("comes a second time (was the generator not idempotent?)"));
        }
        self.counts.produced += 1;
        self.counts.expected += u64::from(expected);
        Ok(())
    }

    /// Takes one record of the output topic, with its first receipt, µs since the Unix epoch, or `None`
    /// when the consumer never got it.
    pub fn output(&mut self, message: Message<'_>, received_us: Option<i64>) {
        self.counts.received += 1;
        if received_us.is_none() {
            self.unreceived += 1;
            self.first_unreceived.get_or_insert((message.partition, message.offset));
        }
        let Some(payload) = message.payload else {
            return self.unexpected(message, "malformed", "a tombstone: the record has no value");
        };
        let record = match Record::decode(payload) {
            Ok(record) => record,
            Err(error) => return self.unexpected(message, "malformed", &error.to_string()),
        };
        let index = EventId::parse(record.event_id.as_bytes()).and_then(|id| self.workload.index_of(id));
        let Some(index) = index else {
            return self.unexpected(message, "foreign", "its event_id is not one of this run");
        };
        let Some(entry) = self.table.get(index) else {
            return self.unexpected(message, "foreign", &format!("event {index} is not in the input topic"));
        };
        if !entry.expected {
            return self.unexpected(
                message,
                "filtered",
                &format!("event {index} should have been filtered out"),
            );
        }
        let event = self.workload.event(index, entry.scheduled_us);
        if let Some(difference) = difference(&event, &record) {
            self.wrong(message, "altered", &format!("event {index}: {difference}"));
        } else if !message.key.is_some_and(|key| event.has_key(key)) {
            let key = message.key.map_or_else(|| "none".to_owned(), excerpt);
            self.wrong(
                message,
                "key",
                &format!("event {index}: its Kafka key is {key}, not user_{}", event.key),
            );
        }
        if entry.latency_us.is_some() {
            self.counts.duplicate += 1;
            return self.offend(message, "duplicate", &format!("event {index} came out before"));
        }
        self.check_order(message, index, &event, entry.position);
        let Some(received_us) = received_us else { return };
        self.table.cover(index, received_us - entry.scheduled_us);
        if (self.measure.0..self.measure.1).contains(&entry.scheduled_us) {
            self.hops.record(&entry, message.append_ms, received_us, self.identity == Identity::Everything);
        }
    }

    fn check_order(&mut self, message: Message<'_>, index: u64, event: &Event, position: u32) {
        let position = i64::from(position);
        let state = &mut self.keys[event.key as usize];
        if state.output_partition >= 0 && state.output_partition != message.partition {
            let detail = format!(
                "event {index}: key user_{} came out in partition {} before",
                event.key, state.output_partition
            );
            return self.wrong(message, "order", &detail);
        }
        state.output_partition = message.partition;
        if position < state.last_position {
            let detail = format!("event {index}: a later event of key user_{} came out before it", event.key);
            return self.wrong(message, "order", &detail);
        }
        state.last_position = position;
    }

    fn unexpected(&mut self, message: Message<'_>, kind: &'static str, detail: &str) {
        self.counts.unexpected += 1;
        self.offend(message, kind, detail);
    }

    fn wrong(&mut self, message: Message<'_>, kind: &'static str, detail: &str) {
        self.counts.wrong += 1;
        self.offend(message, kind, detail);
    }

    fn offend(&mut self, message: Message<'_>, kind: &'static str, detail: &str) {
        if self.offending.len() < self.offending_limit {
            self.offending.push(Offence {
                kind,
                partition: Some(message.partition),
                offset: Some(message.offset),
                detail: detail.to_owned(),
                record: excerpt(message.payload.unwrap_or_default()),
            });
        }
    }

    /// Counts what never came out. Call once, after the last output.
    ///
    /// # Errors
    /// [`Error::Harness`] when outputs were never received by our consumer: their latencies are unknown.
    pub(super) fn close(&mut self) -> Result<()> {
        if let Some((partition, offset)) = self.first_unreceived {
            return Err(Error::Harness(format!(
                "{} of {} output records were never received by the latency consumer (the first at partition \
                 {partition} offset {offset}), so their latencies are unknown: stop the consumer only after the \
                 drain, and give its own spool directory",
                self.unreceived, self.counts.received
            )));
        }
        for (index, entry) in self.table.iter() {
            if !entry.expected || entry.latency_us.is_some() {
                continue;
            }
            self.counts.missing += 1;
            if self.offending.len() < self.offending_limit {
                let mut record = Vec::new();
                self.workload.event(index, entry.scheduled_us).encode(&mut record);
                self.offending.push(Offence {
                    kind: "missing",
                    partition: None,
                    offset: None,
                    detail: format!("event {index} never came out"),
                    record: excerpt(&record),
                });
            }
        }
        Ok(())
    }
}

/// In which field an output differs from its input.
fn difference(event: &Event, record: &Record<'_>) -> Option<String> {
    if event.matches(record) {
        return None;
    }
    let said = |name: &str, seen: &dyn std::fmt::Display, due: &dyn std::fmt::Display| {
        Some(format!("`{name}` is {seen}, not {due}"))
    };
    if record.event_type != event.event_type.name() {
        return said("event_type", &record.event_type, &event.event_type.name());
    }
    if !event.has_key(record.key.as_bytes()) {
        return said("key", &record.key, &format_args!("user_{}", event.key));
    }
    if record.value != i64::from(event.value) {
        return said("value", &record.value, &event.value);
    }
    if record.produced_at != event.produced_at() {
        return said("produced_at", &record.produced_at, &event.produced_at());
    }
    if record.scheduled_at_us != event.scheduled_at_us {
        return said("scheduled_at_us", &record.scheduled_at_us, &event.scheduled_at_us);
    }
    said("event_id", &record.event_id, &event.event_id)
}
