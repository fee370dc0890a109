//! A correct engine for patterns 02 to 04, in the plainest way: what it writes, and when.

use std::collections::BTreeMap;

use rtmbench::event::Event;
use rtmbench::kafka::partitioner::partition_of;
use rtmbench::oracle::{Emission, Rules};
use rtmbench::workload::Workload;

use super::stored::{PARTITIONS, Stored, stored_at};

pub const WINDOW_MS: i64 = 100;
pub const SLIDE_MS: i64 = 20;
pub const DELAY_MS: i64 = 50;
/// Events of a batch.
pub const BATCH: usize = 40;

/// A pattern, its emission, and its windows: (length, slide) in ms, none for pattern 04.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    pub pattern: &'static str,
    pub emission: Emission,
    pub windows: Option<(i64, i64)>,
}

pub const JOBS: [Job; 8] = {
    const TUMBLING: Option<(i64, i64)> = Some((WINDOW_MS, WINDOW_MS));
    const SLIDING: Option<(i64, i64)> = Some((WINDOW_MS, SLIDE_MS));
    [
        Job { pattern: "02", emission: Emission::Update, windows: TUMBLING },
        Job { pattern: "02", emission: Emission::Batch, windows: TUMBLING },
        Job { pattern: "02", emission: Emission::Close, windows: TUMBLING },
        Job { pattern: "03", emission: Emission::Update, windows: SLIDING },
        Job { pattern: "03", emission: Emission::Batch, windows: SLIDING },
        Job { pattern: "03", emission: Emission::Close, windows: SLIDING },
        Job { pattern: "04", emission: Emission::Update, windows: None },
        Job { pattern: "04", emission: Emission::Batch, windows: None },
    ]
};

/// An event: index and intended time.
pub type Arrival = (u64, i64);

#[derive(Clone, Copy, Default)]
struct State {
    count: u64,
    sum: u64,
    newest_us: i64,
    newest_ms: i64,
}

impl Job {
    pub fn rules(self) -> Rules {
        let emit = match self.emission {
            Emission::Update => "update",
            Emission::Batch => "batch",
            Emission::Close => "close",
        };
        let slide = self.windows.filter(|(size, slide)| size != slide).map(|(_, slide)| slide);
        Rules::of(self.pattern, emit, self.windows.map(|(size, _)| size), slide, DELAY_MS).unwrap()
    }

    /// The starts of the windows of an event, found by trying all that could be.
    pub fn starts(self, at_us: i64) -> Vec<i64> {
        let Some((size, slide)) = self.windows else { return vec![0] };
        let at = at_us / 1000;
        let first = (at - size) / slide - 1;
        (first..=at / slide + 1)
            .map(|n| n * slide)
            .filter(|&start| start <= at && at < start + size)
            .collect()
    }

    /// What the engine writes for these events in `latency_us` each, in the order in which it writes.
    pub fn output(self, workload: &Workload, arrivals: &[Arrival], latency_us: i64) -> Vec<Stored> {
        let counted = |index| self.windows.is_none() || !workload.is_late(index);
        self.output_counting(workload, arrivals, latency_us, counted)
    }

    /// The same of an engine that counts the events for which `counted` is true, and drops the others.
    pub fn output_counting(
        self,
        workload: &Workload,
        arrivals: &[Arrival],
        latency_us: i64,
        counted: impl Fn(u64) -> bool,
    ) -> Vec<Stored> {
        let mut states: BTreeMap<(u32, i64), State> = BTreeMap::new();
        let mut output = Vec::new();
        let mut received_us = i64::MIN;
        for batch in arrivals.chunks(if self.emission == Emission::Update { 1 } else { BATCH }) {
            let mut dirty = Vec::new();
            for &(index, at_us) in batch.iter().filter(|&&(index, _)| counted(index)) {
                let event = workload.event(index, at_us);
                for start in self.starts(event.produced_at * 1000) {
                    let state = states.entry((event.key, start)).or_default();
                    state.count += 1;
                    state.sum += u64::from(event.value);
                    if at_us >= state.newest_us {
                        (state.newest_us, state.newest_ms) = (at_us, event.produced_at);
                    }
                    dirty.push((event.key, start));
                }
            }
            if self.emission != Emission::Close {
                dirty.sort_unstable();
                dirty.dedup();
                received_us = received_us.max(batch[batch.len() - 1].1 + latency_us);
                output.extend(dirty.iter().map(|at| self.record(*at, states[at], received_us)));
            }
        }
        if self.emission == Emission::Close {
            let mut closed: Vec<_> =
                states.iter().filter(|((_, start), _)| Self::closes(workload, *start, arrivals)).collect();
            closed.sort_unstable_by_key(|((key, start), _)| (*start, *key));
            for (&(key, start), &state) in closed {
                let due_us = (start + WINDOW_MS + DELAY_MS) * 1000;
                // Keys come one after the other.
                output.push(self.record((key, start), state, due_us + latency_us + i64::from(key)));
            }
        }
        output
    }

    /// Whether a window is closed for certain: the watermark of each partition has passed its end.
    pub fn closes(workload: &Workload, start: i64, arrivals: &[Arrival]) -> bool {
        let last_ms = |partition: i32| {
            let events = arrivals.iter().map(|&(index, at_us)| workload.event(index, at_us));
            let own = |event: &Event| {
                partition_of(format!("user_{}", event.key).as_bytes(), PARTITIONS) == partition
            };
            events.filter(own).map(|event| event.produced_at).max()
        };
        (0..PARTITIONS as i32)
            .filter_map(last_ms)
            .min()
            .is_some_and(|slowest| start + WINDOW_MS + DELAY_MS < slowest)
    }

    fn record(self, (key, start): (u32, i64), state: State, received_us: i64) -> Stored {
        let window = self.windows.map_or_else(String::new, |(size, _)| {
            format!("\"window_start\":{start},\"window_end\":{},", start + size)
        });
        let values = if self.pattern == "03" {
            format!("\"avg\":{:?},", state.sum as f64 / state.count as f64)
        } else {
            format!("\"sum\":{},", state.sum)
        };
        let payload = format!(
            "{{\"key\":\"user_{key}\",{window}{values}\"count\":{},\"produced_at\":{},\"scheduled_at_us\":{}}}",
            state.count, state.newest_ms, state.newest_us
        );
        let key = format!("user_{key}").into_bytes();
        Stored {
            partition: partition_of(&key, PARTITIONS),
            key: Some(key),
            payload: Some(payload.into_bytes()),
            received_us: Some(received_us),
        }
    }
}

/// The input topic that holds these events.
pub fn input_of(workload: &Workload, arrivals: &[Arrival]) -> Vec<Stored> {
    arrivals.iter().map(|&(index, at_us)| stored_at(workload, index, at_us)).collect()
}
