//! Final results: which windows must have closed, and how long after that their results came.

use std::collections::BTreeMap;

use super::keyed::KeyLog;
use super::rules::AggregateRules;
use super::timeline::Phase;
use crate::error::Result;
use crate::histogram::{Histogram, IntervalLog};

const SECOND_US: i64 = 1_000_000;

/// Which windows must and which may have closed by the end of a trial.
///
/// A window must have closed when the watermark of every input partition has passed its end. Whether the
/// watermark is maximum − delay (Spark) or 1 ms less (Flink), and whether it has to reach the end or to pass
/// it, differs by 1 ms, so the edge may be either way. So may what lies between the slowest and the fastest
/// partition: Spark has one watermark, from the greatest event time of all partitions. Partitions without a
/// record hold nothing up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CloseBounds {
    must_ms: i64,
    may_ms: i64,
}

impl CloseBounds {
    /// Every window counts, closed or not.
    pub const NONE: Self = Self { must_ms: i64::MAX, may_ms: i64::MAX };

    pub fn of(newest_ms: &[Option<i64>], watermark_delay_ms: i64) -> Self {
        let newest = || newest_ms.iter().flatten().copied();
        Self {
            must_ms: newest().min().map_or(i64::MIN, |ms| ms - watermark_delay_ms - 1),
            may_ms: newest().max().map_or(i64::MIN, |ms| ms - watermark_delay_ms),
        }
    }

    #[inline]
    pub fn must_close(self, window_end: i64) -> bool {
        window_end <= self.must_ms
    }

    #[inline]
    pub fn may_close(self, window_end: i64) -> bool {
        window_end <= self.may_ms
    }
}

/// When a window's final result is due, µs since the Unix epoch.
pub(super) fn due_us(rules: &AggregateRules, start: i64) -> i64 {
    (rules.windows.end(start) + rules.watermark_delay_ms) * 1000
}

/// The close latency of each window that must have closed, holds an event of the measuring phase, and came out
/// whole. Its keys close together, so the window is one observation: the last key's first receipt.
pub(super) fn latency(
    keys: &[KeyLog],
    rules: &AggregateRules,
    bounds: CloseBounds,
    measure: (i64, i64),
    phase: &Phase<'_>,
) -> Result<Histogram> {
    let mut measured: BTreeMap<i64, Option<i64>> = BTreeMap::new();
    for key in keys {
        let counts = |start| bounds.must_close(rules.windows.end(start));
        key.each(rules.windows, counts, |start, sample| {
            if (measure.0..measure.1).contains(&sample.scheduled_us) {
                measured.entry(start).or_insert(Some(i64::MIN));
            }
        });
    }
    for span in keys.iter().flat_map(KeyLog::spans) {
        if let Some(last_us) = measured.get_mut(&span.start) {
            *last_us = last_us.filter(|_| span.closed_us > 0).map(|last_us| last_us.max(span.closed_us));
        }
    }
    let whole = measured.iter().filter_map(|(&start, last_us)| Some((due_us(rules, start), (*last_us)?)));
    let mut total = Histogram::new();
    let mut seconds: BTreeMap<i64, Histogram> = BTreeMap::new();
    for (due_us, last_us) in whole {
        total.record(last_us - due_us);
        if phase.close_log.is_some() {
            let second = (due_us - measure.0).div_euclid(SECOND_US).max(0);
            seconds.entry(second).or_default().record(last_us - due_us);
        }
    }
    if let Some(path) = phase.close_log {
        let empty = Histogram::new();
        let length = seconds.last_key_value().map_or(0, |(second, _)| second + 1);
        let each = (0..length).map(|second| (seconds.get(&second).unwrap_or(&empty), SECOND_US));
        IntervalLog { path, from_us: measure.0 }.write(each)?;
    }
    Ok(total)
}
