//! The events of a trial by index: 12 bytes each, in pages, so that any set of indices has room.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::packed::{UNCOVERED, pack_lag, pack_latency, unpack_lag, unpack_latency};
use super::timeline::{Sample, Samples};
use crate::error::{Error, Result};

/// Events in a page.
const PAGE: usize = 4096;

const PRESENT: u8 = 1;
const EXPECTED: u8 = 2;
/// The other bits of the flags hold the partition; of more than 64, several count as one.
const PARTITION_SHIFT: u32 = 2;
const PARTITIONS: i32 = 64;

/// Intended times are kept in 40 bits relative to the first one seen: about six days to either side.
const TIME_BIAS_US: i64 = 1 << 39;

struct Page {
    flags: [u8; PAGE],
    scheduled_high: [u8; PAGE],
    scheduled_low: [u32; PAGE],
    latency: [u32; PAGE],
    append_lag: [u16; PAGE],
}

/// An event of the input as the table knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its intended time, µs since the Unix epoch.
    pub scheduled_us: i64,
    /// When the input was appended, ms since the Unix epoch, where the broker says so.
    pub append_ms: Option<i64>,
    /// Whether an output has to cover it.
    pub expected: bool,
    /// The partition of the input that it lies in, modulo 64.
    pub partition: u8,
    /// First receipt of a covering output minus the intended time, µs.
    pub latency_us: Option<i64>,
}

impl Entry {
    /// A partition as an entry keeps it.
    pub fn partition(number: i32) -> u8 {
        number.rem_euclid(PARTITIONS) as u8
    }
}

/// The events of one trial.
#[derive(Default)]
pub(super) struct Table {
    pages: Vec<Box<Page>>,
    /// Where in `pages` the page of each number is.
    numbers: BTreeMap<u64, usize>,
    /// The page that was asked for last, by number: the next event is mostly on it too.
    recent: Cell<Option<(u64, usize)>>,
    base_us: Option<i64>,
}

impl Table {
    /// Puts an event in; false when its index is there already.
    ///
    /// # Errors
    /// [`Error::Harness`] when its time is days away from the other events'.
    pub fn insert(&mut self, index: u64, entry: Entry) -> Result<bool> {
        let base_us = *self.base_us.get_or_insert(entry.scheduled_us);
        let relative = entry.scheduled_us.wrapping_sub(base_us).wrapping_add(TIME_BIAS_US);
        if !(0..2 * TIME_BIAS_US).contains(&relative) {
            return Err(Error::Harness(format!(
                "the input holds events that are days apart (event {index} is intended for {} µs, another for \
                 {base_us} µs): use a fresh topic for each trial",
                entry.scheduled_us
            )));
        }
        let page = self.page(index).unwrap_or_else(|| self.new_page(index));
        let page = &mut self.pages[page];
        let slot = (index % PAGE as u64) as usize;
        if page.flags[slot] & PRESENT != 0 {
            return Ok(false);
        }
        let expected = if entry.expected { EXPECTED } else { 0 };
        page.flags[slot] = PRESENT | expected | entry.partition << PARTITION_SHIFT;
        page.scheduled_low[slot] = relative as u32;
        page.scheduled_high[slot] = (relative >> 32) as u8;
        page.append_lag[slot] = pack_lag(entry.scheduled_us, entry.append_ms);
        if let Some(latency_us) = entry.latency_us {
            page.latency[slot] = pack_latency(latency_us);
        }
        Ok(true)
    }

    /// The event of that index.
    #[inline]
    pub fn get(&self, index: u64) -> Option<Entry> {
        self.entry(&self.pages[self.page(index)?], (index % PAGE as u64) as usize)
    }

    /// Notes the first output that covers an event of the table.
    #[inline]
    pub fn cover(&mut self, index: u64, latency_us: i64) {
        if let Some(page) = self.page(index) {
            self.pages[page].latency[(index % PAGE as u64) as usize] = pack_latency(latency_us);
        }
    }

    /// Every event with its index, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Entry)> {
        self.numbers.iter().flat_map(move |(number, &page)| {
            (0..PAGE).filter_map(move |slot| {
                self.entry(&self.pages[page], slot).map(|entry| (number * PAGE as u64 + slot as u64, entry))
            })
        })
    }

    /// Where in `pages` the page of an event is.
    #[inline]
    fn page(&self, index: u64) -> Option<usize> {
        let number = index / PAGE as u64;
        match self.recent.get() {
            Some((recent, page)) if recent == number => Some(page),
            _ => {
                let page = *self.numbers.get(&number)?;
                self.recent.set(Some((number, page)));
                Some(page)
            }
        }
    }

    #[cold]
    fn new_page(&mut self, index: u64) -> usize {
        let page = self.pages.len();
        self.pages.push(Box::new(Page {
            flags: [0; PAGE],
            scheduled_high: [0; PAGE],
            scheduled_low: [0; PAGE],
            latency: [UNCOVERED; PAGE],
            append_lag: [0; PAGE],
        }));
        self.numbers.insert(index / PAGE as u64, page);
        page
    }

    #[inline]
    fn entry(&self, page: &Page, slot: usize) -> Option<Entry> {
        let flags = page.flags[slot];
        if flags & PRESENT == 0 {
            return None;
        }
        let relative = (i64::from(page.scheduled_high[slot]) << 32) | i64::from(page.scheduled_low[slot]);
        let scheduled_us = self.base_us? + relative - TIME_BIAS_US;
        Some(Entry {
            scheduled_us,
            append_ms: unpack_lag(scheduled_us, page.append_lag[slot]),
            expected: flags & EXPECTED != 0,
            partition: flags >> PARTITION_SHIFT,
            latency_us: unpack_latency(page.latency[slot]),
        })
    }
}

impl Samples for Table {
    fn each(&self, mut visit: impl FnMut(Sample)) {
        self.each_of_partition(|_, sample| visit(sample));
    }

    fn each_of_partition(&self, mut visit: impl FnMut(usize, Sample)) {
        for (_, entry) in self.iter().filter(|(_, entry)| entry.expected) {
            let Entry { scheduled_us, latency_us, .. } = entry;
            visit(usize::from(entry.partition), Sample { scheduled_us, due_us: scheduled_us, latency_us });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entries_come_back_as_they_were(
            events in prop::collection::btree_map(any::<u64>(), (0..1_000_000_000_i64, any::<bool>(), prop::option::of(0..60_000_i64), prop::option::of(-1_000_000..3_000_000_000_i64)), 1..50)
        ) {
            let start = 1_700_000_000_000_000;
            let mut table = Table::default();
            for (&index, &(offset, expected, lag, latency_us)) in &events {
                let scheduled_us = start + offset;
                let append_ms = lag.map(|lag| scheduled_us / 1000 + lag);
                let partition = (index % 64) as u8;
                let entry = Entry { scheduled_us, append_ms, expected, partition, latency_us };
                let uncovered = Entry { latency_us: None, ..entry };
                prop_assert!(table.insert(index, uncovered).unwrap());
                prop_assert!(!table.insert(index, entry).unwrap());
                if let Some(latency_us) = latency_us {
                    table.cover(index, latency_us);
                }
                prop_assert_eq!(table.get(index), Some(entry));
            }
            prop_assert!(table.iter().map(|(index, _)| index).eq(events.keys().copied()));
        }
    }

    #[test]
    fn a_page_costs_twelve_bytes_an_event() {
        assert_eq!(size_of::<Page>(), 12 * PAGE);
    }

    #[test]
    fn events_of_another_week_are_refused() {
        let entry = |scheduled_us| Entry {
            scheduled_us,
            append_ms: None,
            expected: true,
            partition: 0,
            latency_us: None,
        };
        let mut table = Table::default();
        assert!(table.insert(0, entry(1_700_000_000_000_000)).unwrap());
        assert!(table.insert(1, entry(1_800_000_000_000_000)).is_err());
        assert!(table.insert(2, entry(i64::MIN)).is_err());
    }
}
