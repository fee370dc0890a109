//! The reference of pattern 01 and of the floors: each kept event comes out once, unchanged.

use super::intake::{Intake, fault};
use super::ledger::{Ledger, Scope};
use super::partitions::misplaced;
use super::table::{Entry, Table};
use super::timeline::{Phase, timeline};
use super::verdict::Verdict;
use crate::error::Result;
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
    Transport,
    /// The floor that consumes and produces: everything, in another topic.
    Relay,
}

impl Identity {
    /// How many outputs the events `first..first + count` of a workload ask for.
    pub fn expected_outputs(self, workload: &Workload, first: u64, count: u64) -> u64 {
        if self != Self::ClicksAndPurchases {
            return count;
        }
        let kept = |index: &u64| self.keeps(workload.event(*index, 0).event_type);
        (first..first.saturating_add(count)).filter(kept).count() as u64
    }

    fn keeps(self, event_type: EventType) -> bool {
        self != Self::ClicksAndPurchases || event_type != EventType::View
    }
}

/// What was seen of a key.
#[derive(Clone, Copy)]
struct KeyState {
    /// One more than the index of the newest event that the input holds; indices ascend within a key.
    next_input: u64,
    /// Index of the newest event whose first output was read.
    newest_output: u64,
}

/// Whether an output lies where it belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Right,
    OtherKey,
    OtherPartition,
}

/// Replays the input, then judges the output.
///
/// Give it every input record ([`Passthrough::input`]) before the first output ([`Passthrough::output`]),
/// each partition in offset order. Memory: 12 bytes an input event and 20 a key, whatever the output holds.
pub struct Passthrough<'a> {
    intake: Intake<'a>,
    identity: Identity,
    table: Table,
    keys: Vec<KeyState>,
    ledger: Ledger,
    output_partitions: u32,
}

impl<'a> Passthrough<'a> {
    /// An oracle that has read nothing yet, for an output topic of that many partitions.
    pub fn new(workload: &'a Workload, identity: Identity, scope: Scope, output_partitions: u32) -> Self {
        let unseen = KeyState { next_input: 0, newest_output: 0 };
        Self {
            intake: Intake::new(workload),
            identity,
            table: Table::default(),
            keys: vec![unseen; workload.keys() as usize + 1],
            ledger: Ledger::new(scope),
            output_partitions,
        }
    }

    /// Takes one record of the input topic.
    ///
    /// # Errors
    /// [`Error::Harness`](crate::Error::Harness) when it is not an event of this run exactly as the workload
    /// makes it, comes twice or before an earlier one of its key, or lies in another partition than its key:
    /// then the input cannot be what an engine is judged by.
    pub fn input(&mut self, message: Message<'_>) -> Result<()> {
        self.take(message, None).map(|_| ())
    }

    /// Takes one record of a topic that is input and output in one, with its first receipt as in
    /// [`Passthrough::output`]. Whatever could be wrong with it as an output is wrong with it as an input, so it
    /// is looked at once.
    ///
    /// # Errors
    /// As [`Passthrough::input`].
    pub fn transported(&mut self, message: Message<'_>, received_us: Option<i64>) -> Result<()> {
        let scheduled_us = self.take(message, received_us)?;
        self.ledger.received(message, received_us);
        if let Some(received_us) = received_us
            && self.ledger.scope.measures(scheduled_us)
        {
            let input = (scheduled_us, message.append_ms);
            self.ledger.hops.record(input, message.append_ms, received_us, true);
        }
        Ok(())
    }

    /// Takes an input and, where an output has covered it already, when that was received; returns its intended
    /// time.
    #[inline]
    fn take(&mut self, message: Message<'_>, covered_us: Option<i64>) -> Result<i64> {
        let (index, event) = self.intake.event(message)?;
        let expected = self.identity.keeps(event.event_type);
        let scheduled_us = event.scheduled_at_us;
        let entry = Entry {
            scheduled_us,
            append_ms: message.append_ms,
            expected,
            partition: Entry::partition(message.partition),
            latency_us: covered_us.map(|received_us| received_us - scheduled_us),
        };
        if !self.table.insert(index, entry)? {
            return Err(fault(message, "comes a second time (was the generator not idempotent?)"));
        }
        let state = &mut self.keys[event.key as usize];
        if index < state.next_input {
            return Err(fault(
                message,
                "comes after a later one of its key (was the generator not idempotent?)",
            ));
        }
        state.next_input = index + 1;
        self.ledger.produced(message);
        if expected {
            self.ledger.counts.expected += 1;
            self.ledger.inputs.expect(message.partition, 1);
            self.ledger.inputs.cover(message.partition, u64::from(covered_us.is_some()));
        }
        Ok(scheduled_us)
    }

    /// Takes one record of the output topic, with its first receipt, µs since the Unix epoch, or `None`
    /// when the consumer never got it.
    pub fn output(&mut self, message: Message<'_>, received_us: Option<i64>) {
        self.ledger.received(message, received_us);
        let Some(payload) = message.payload else {
            return self.ledger.unexpected(message, "malformed", "a tombstone: the record has no value");
        };
        let record = match Record::decode(payload) {
            Ok(record) => record,
            Err(error) => return self.ledger.unexpected(message, "malformed", &error.to_string()),
        };
        let workload = self.intake.workload;
        let index = EventId::parse(record.event_id.as_bytes()).and_then(|id| workload.index_of(id));
        let Some(index) = index else {
            return self.ledger.unexpected(message, "foreign", "its event_id is not one of this run");
        };
        let Some(entry) = self.table.get(index) else {
            let detail = format!("event {index} is not in the input topic");
            return self.ledger.unexpected(message, "foreign", &detail);
        };
        if !entry.expected {
            let detail = format!("event {index} should have been filtered out");
            return self.ledger.unexpected(message, "filtered", &detail);
        }
        let event = workload.event(index, entry.scheduled_us);
        let place = self.check_place(message, index, &event);
        let unaltered = self.check_content(message, index, &event, &record) && place == Place::Right;
        if entry.latency_us.is_some() {
            let detail = format!("event {index} came out before");
            return self.ledger.duplicate(message, entry.scheduled_us, unaltered, &detail);
        }
        // Between partitions there is no order.
        if place != Place::OtherPartition {
            self.check_order(message, index, &event);
        }
        let Some(received_us) = received_us else { return };
        self.ledger.inputs.cover(self.intake.partition(event.key), 1);
        self.table.cover(index, received_us - entry.scheduled_us);
        if self.ledger.scope.measures(entry.scheduled_us) {
            let input = (entry.scheduled_us, entry.append_ms);
            self.ledger.hops.record(input, message.append_ms, received_us, false);
        }
    }

    fn check_content(
        &mut self,
        message: Message<'_>,
        index: u64,
        event: &Event,
        record: &Record<'_>,
    ) -> bool {
        if let Some(difference) = difference(event, record) {
            self.ledger.wrong(message, "altered", &format!("event {index}: {difference}"));
            return false;
        }
        true
    }

    fn check_place(&mut self, message: Message<'_>, index: u64, event: &Event) -> Place {
        if !message.key.is_some_and(|key| event.has_key(key)) {
            let key = message.key.map_or_else(|| "none".to_owned(), excerpt);
            let detail = format!("event {index}: its Kafka key is {key}, not user_{}", event.key);
            self.ledger.wrong(message, "key", &detail);
            return Place::OtherKey;
        }
        if let Some(detail) = misplaced(message, self.output_partitions) {
            self.ledger.wrong(message, "partition", &format!("event {index}: {detail}"));
            return Place::OtherPartition;
        }
        Place::Right
    }

    fn check_order(&mut self, message: Message<'_>, index: u64, event: &Event) {
        let state = &mut self.keys[event.key as usize];
        if index < state.newest_output {
            let detail = format!("event {index}: a later event of key user_{} came out before it", event.key);
            return self.ledger.wrong(message, "order", &detail);
        }
        state.newest_output = index;
    }

    /// Counts what never came out and works the figures out.
    ///
    /// # Errors
    /// [`Error::Harness`](crate::Error::Harness) when outputs were never received by our consumer;
    /// [`Error::Io`](crate::Error::Io) when the interval log cannot be written.
    pub fn conclude(mut self, phase: &Phase<'_>) -> Result<Verdict> {
        self.ledger.check_receipts()?;
        for (index, entry) in self.table.iter() {
            if entry.expected && entry.latency_us.is_none() {
                self.ledger.missing(1, || {
                    let mut record = Vec::new();
                    self.intake.workload.event(index, entry.scheduled_us).encode(&mut record);
                    (format!("event {index} never came out"), record)
                });
            }
        }
        let timeline = timeline(&self.table, &self.ledger.scope, phase)?;
        Ok(self.ledger.verdict(timeline, None))
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
    if record.produced_at != event.produced_at {
        return said("produced_at", &record.produced_at, &event.produced_at);
    }
    if record.scheduled_at_us != event.scheduled_at_us {
        return said("scheduled_at_us", &record.scheduled_at_us, &event.scheduled_at_us);
    }
    said("event_id", &record.event_id, &event.event_id)
}
