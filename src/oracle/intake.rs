//! The input of a trial: each record is checked against the workload before an engine is judged by it.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::event::{Event, EventId, Record};
use crate::kafka::consumer::Message;
use crate::measure::excerpt;
use crate::workload::Workload;

/// Checks input records. 4 bytes a key of the workload.
pub(super) struct Intake<'a> {
    pub workload: &'a Workload,
    /// Where the records of each key lie; -1 before the first.
    partitions: Vec<i32>,
}

impl<'a> Intake<'a> {
    pub fn new(workload: &'a Workload) -> Self {
        Self { workload, partitions: vec![-1; workload.keys() as usize + 1] }
    }

    /// The event that a record of the input topic is, with its index.
    ///
    /// # Errors
    /// [`Error::Harness`] when it is not an event of this run exactly as the workload makes it, or lies in
    /// another partition than its key.
    pub fn event(&mut self, message: Message<'_>) -> Result<(u64, Event)> {
        let payload = message.payload.ok_or_else(|| fault(message, "is a tombstone"))?;
        let record =
            Record::decode(payload).map_err(|error| fault(message, &format!("is no event ({error})")))?;
        let index = EventId::parse(record.event_id.as_bytes())
            .and_then(|id| self.workload.index_of(id))
            .ok_or_else(|| fault(message, "is not an event of this run (another seed?)"))?;
        let event = self.workload.event(index, record.scheduled_at_us);
        if !event.matches(&record) || !message.key.is_some_and(|key| event.has_key(key)) {
            return Err(fault(
                message,
                "differs from what the workload generates (other keys or another Zipf exponent?)",
            ));
        }
        let partition = &mut self.partitions[event.key as usize];
        if *partition >= 0 && *partition != message.partition {
            return Err(fault(message, "lies in another partition than earlier records of its key"));
        }
        *partition = message.partition;
        Ok((index, event))
    }

    /// The partition of the input that holds a key's records; -1 before the first.
    #[inline]
    pub fn partition(&self, key: u32) -> i32 {
        self.partitions[key as usize]
    }

    /// The number of a key on the wire, if the workload has it.
    #[inline]
    pub fn key_number(&self, key: &str) -> Option<u32> {
        let digits = key.strip_prefix("user_")?;
        if digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().filter(|&number| number <= self.workload.keys())
    }
}

/// An input that cannot be what an engine is judged by.
#[cold]
pub(super) fn fault(message: Message<'_>, what: &str) -> Error {
    Error::Harness(format!(
        "the input topic cannot be trusted: the record at partition {} offset {} {what}: {}",
        message.partition,
        message.offset,
        excerpt(message.payload.unwrap_or_default())
    ))
}

/// Which events have been seen: one bit each.
#[derive(Default)]
pub(super) struct Seen {
    pages: BTreeMap<u64, Box<[u64; 64]>>,
}

impl Seen {
    /// Adds an event; false when it was there already.
    pub fn insert(&mut self, index: u64) -> bool {
        let page = self.pages.entry(index >> 12).or_insert_with(|| Box::new([0; 64]));
        let (word, bit) = ((index >> 6 & 63) as usize, 1 << (index & 63));
        let fresh = page[word] & bit == 0;
        page[word] |= bit;
        fresh
    }
}
