//! The input of a keyed aggregate: the events of each key in offset order, and what lies in each window.

use super::packed::{UNCOVERED, pack_latency, unpack_latency};
use super::rules::Windows;
use super::timeline::Sample;
use crate::event::Event;

/// An event of a key: 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub scheduled_us: i64,
    /// By how many ms the event's time lies before its intended time.
    behind_ms: u32,
    pub value: u16,
    /// See `packed`.
    pub lag: u16,
}

impl Item {
    /// The event as the workload made it.
    pub fn of(event: &Event, lag: u16) -> Self {
        let behind_ms = event.scheduled_at_us.div_euclid(1000) - event.produced_at;
        Self {
            scheduled_us: event.scheduled_at_us,
            behind_ms: behind_ms as u32,
            value: event.value as u16,
            lag,
        }
    }

    /// The event time, ms.
    pub fn event_ms(&self) -> i64 {
        self.scheduled_us.div_euclid(1000) - i64::from(self.behind_ms)
    }
}

/// A place in a window: after its first `count` events.
#[derive(Clone, Copy, Debug)]
struct Walk {
    count: u32,
    /// Where the next event of the window is looked for.
    next: u32,
}

/// One window of one key: 64 bytes.
#[derive(Clone, Debug)]
pub(super) struct Span {
    /// Its start, ms.
    pub start: i64,
    /// Its events.
    pub count: u32,
    /// The count of the output that was read last.
    pub last_count: u32,
    /// When the first final result was received, µs; 0 before it.
    pub closed_us: i64,
    /// Whether an update was skipped.
    pub skipped: bool,
    first: u32,
    covered: Walk,
    cursor: Walk,
    /// Of the events before the cursor: the sum of their values and the place of the newest.
    sum: u64,
    newest: u32,
}

impl Span {
    /// How many of its events, from the first on, an output covers.
    pub fn covered(&self) -> u32 {
        self.covered.count
    }
}

/// What the first events of a window come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix {
    pub newest: Item,
    pub sum: u64,
}

/// The events of one key and their windows.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyLog {
    items: Vec<Item>,
    /// By start.
    spans: Vec<Span>,
    /// Of each event in each of its windows.
    latencies: Vec<u32>,
}

impl KeyLog {
    /// Adds the next event.
    pub fn push(&mut self, item: Item, windows: Windows) {
        let at = self.items.len() as u32;
        self.items.push(item);
        for (_, start) in windows.starts(item.event_ms()) {
            // Nearly always the last few, so searching from the end would gain little over halving.
            match self.spans.binary_search_by_key(&start, |span| span.start) {
                Ok(found) => self.spans[found].count += 1,
                Err(place) => {
                    let walk = Walk { count: 0, next: at };
                    let span = Span {
                        start,
                        count: 1,
                        last_count: 0,
                        closed_us: 0,
                        skipped: false,
                        first: at,
                        covered: walk,
                        cursor: walk,
                        sum: 0,
                        newest: at,
                    };
                    self.spans.insert(place, span);
                }
            }
        }
    }

    /// Makes room for the latencies, once the input is whole.
    pub fn seal(&mut self, windows: Windows) {
        self.latencies = vec![UNCOVERED; self.items.len() * windows.per_event()];
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    pub fn span_mut(&mut self, span: usize) -> &mut Span {
        &mut self.spans[span]
    }

    /// The place of the window that starts there.
    pub fn find(&self, start: i64) -> Option<usize> {
        self.spans.binary_search_by_key(&start, |span| span.start).ok()
    }

    /// What the first `count` events of a window come to; `count` is 1 to the window's.
    pub fn prefix(&mut self, span: usize, count: u32, windows: Windows) -> Prefix {
        let span = &mut self.spans[span];
        if count < span.cursor.count {
            span.cursor = Walk { count: 0, next: span.first };
            (span.sum, span.newest) = (0, span.first);
        }
        while span.cursor.count < count {
            let at = next_of(&self.items, span.start, &mut span.cursor, windows);
            let item = self.items[at];
            span.sum += u64::from(item.value);
            if item.scheduled_us >= self.items[span.newest as usize].scheduled_us {
                span.newest = at as u32;
            }
        }
        Prefix { newest: self.items[span.newest as usize], sum: span.sum }
    }

    /// Whether the newest event of the prefix that was looked at last, or another one of it that was intended for the
    /// same instant, happened at `event_ms`: engines may keep the event time of either.
    pub fn newest_happened(&self, span: usize, event_ms: i64, windows: Windows) -> bool {
        let span = &self.spans[span];
        let newest_us = self.items[span.newest as usize].scheduled_us;
        self.items[span.first as usize..=span.newest as usize]
            .iter()
            .rev()
            .take_while(|item| item.scheduled_us == newest_us)
            .any(|item| item.event_ms() == event_ms && windows.holds(span.start, event_ms))
    }

    /// Notes that an output received at `received_us` covers the first `count` events of a window.
    pub fn cover(&mut self, span: usize, count: u32, received_us: i64, windows: Windows) {
        let span = &mut self.spans[span];
        while span.covered.count < count {
            let at = next_of(&self.items, span.start, &mut span.covered, windows);
            let item = &self.items[at];
            let place = windows.place(item.event_ms(), span.start);
            self.latencies[at * windows.per_event() + place] = pack_latency(received_us - item.scheduled_us);
        }
    }

    /// Every event in every one of its windows whose start `counts` says yes to. The due time is left at the
    /// intended one.
    pub fn each(&self, windows: Windows, counts: impl Fn(i64) -> bool, mut visit: impl FnMut(i64, Sample)) {
        for (item, latencies) in self.items.iter().zip(self.latencies.chunks_exact(windows.per_event())) {
            for (place, start) in windows.starts(item.event_ms()).filter(|&(_, start)| counts(start)) {
                let sample = Sample {
                    scheduled_us: item.scheduled_us,
                    due_us: item.scheduled_us,
                    latency_us: unpack_latency(latencies[place]),
                };
                visit(start, sample);
            }
        }
    }
}

/// Takes the next event of a window; there must be one. Where events of a key are in the order of time, it
/// is the next event of the key.
#[inline]
fn next_of(items: &[Item], start: i64, walk: &mut Walk, windows: Windows) -> usize {
    let mut at = walk.next as usize;
    while !windows.holds(start, items[at].event_ms()) {
        at += 1;
    }
    *walk = Walk { count: walk.count + 1, next: at as u32 + 1 };
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_the_docs_say() {
        assert_eq!((size_of::<Item>(), size_of::<Span>(), size_of::<KeyLog>()), (16, 64, 72));
    }
}
