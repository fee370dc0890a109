//! The slip of the measuring window, which may be set while the load runs.

use std::collections::VecDeque;

use crate::error::{Error, Result};
use crate::histogram::Histogram;

/// The newest events, which are counted only when this many newer ones are there: until then the window may still begin
/// or end before them. 16 bytes each.
const RECENT: usize = 1 << 18;

/// Hand-over minus intended time of the events that are intended for a window `[from, to)`.
pub(crate) struct MeasuredSlip {
    from_us: i64,
    to_us: i64,
    /// Intended time and slip, µs, in order of intended time.
    recent: VecDeque<(i64, i64)>,
    /// The intended time of the newest event that is counted, or left out for good.
    settled_us: i64,
    slip: Histogram,
    ended: bool,
}

impl MeasuredSlip {
    /// The slip of a window; of all events where there is none.
    pub fn of(window: Option<(i64, i64)>) -> Self {
        let (from_us, to_us) = window.unwrap_or((i64::MIN, i64::MAX));
        Self {
            from_us,
            to_us,
            recent: VecDeque::with_capacity(RECENT),
            settled_us: i64::MIN,
            slip: Histogram::new(),
            ended: false,
        }
    }

    /// Takes the next event, in order of intended time.
    #[inline]
    pub fn record(&mut self, due_us: i64, slip_us: i64) {
        if self.recent.len() == RECENT
            && let Some(oldest) = self.recent.pop_front()
        {
            self.settle(oldest);
        }
        self.recent.push_back((due_us, slip_us));
    }

    /// Lets the window begin at `from_us`, now and for events that were taken before.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the window would be empty, or begin before events that are counted already.
    pub fn begin_at(&mut self, from_us: i64) -> Result<()> {
        self.check(from_us)?;
        if from_us >= self.to_us {
            return Err(Error::Invalid(
                "the measuring window would be empty: it ends before that".to_owned(),
            ));
        }
        self.from_us = from_us;
        // All that was counted is older than what is recent, and so than the window.
        self.slip.clear();
        Ok(())
    }

    /// Lets the window end at `to_us`, now and for events that were taken before.
    ///
    /// # Errors
    /// As [`MeasuredSlip::begin_at`].
    pub fn end_at(&mut self, to_us: i64) -> Result<()> {
        self.check(to_us)?;
        if to_us <= self.from_us {
            return Err(Error::Invalid(
                "the measuring window would be empty: it begins after that".to_owned(),
            ));
        }
        self.to_us = to_us;
        Ok(())
    }

    /// The slip of all events in the window; no more events come.
    pub fn end(&mut self) -> Histogram {
        while let Some(oldest) = self.recent.pop_front() {
            self.settle(oldest);
        }
        self.recent = VecDeque::new();
        self.ended = true;
        std::mem::take(&mut self.slip)
    }

    fn check(&self, at_us: i64) -> Result<()> {
        if self.ended {
            return Err(Error::Invalid("the generator has ended: its measuring window stands".to_owned()));
        }
        if at_us <= self.settled_us {
            return Err(Error::Invalid(format!(
                "the measuring window cannot begin or end so long ago: only the newest {RECENT} events can still be \
                 counted or left out"
            )));
        }
        Ok(())
    }

    #[inline]
    fn settle(&mut self, (due_us, slip_us): (i64, i64)) {
        self.settled_us = due_us;
        if (self.from_us..self.to_us).contains(&due_us) {
            self.slip.record(slip_us);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event each ms whose slip is its number.
    fn taken(slip: &mut MeasuredSlip, events: std::ops::Range<i64>) {
        events.for_each(|n| slip.record(n * 1_000, n));
    }

    #[test]
    fn the_window_may_be_set_before_during_and_after_its_events() {
        let mut all = MeasuredSlip::of(None);
        taken(&mut all, 1..11);
        assert_eq!(all.end().count(), 10);
        let mut fixed = MeasuredSlip::of(Some((3_000, 5_000)));
        taken(&mut fixed, 1..11);
        let slip = fixed.end();
        assert_eq!((slip.count(), slip.min(), slip.max()), (2, 3, 4));
        for (begin_after, end_after) in [(1, 1), (1, 300), (150, 180), (400, 400)] {
            let mut slip = MeasuredSlip::of(None);
            for n in 1..=500 {
                taken(&mut slip, n..n + 1);
                if n == begin_after {
                    slip.begin_at(101_000).unwrap();
                }
                if n == end_after {
                    slip.end_at(201_000).unwrap();
                }
            }
            let slip = slip.end();
            assert_eq!((slip.count(), slip.min(), slip.max()), (100, 101, 200), "{begin_after}, {end_after}");
        }
    }

    #[test]
    fn many_events_are_counted_once_each() {
        let events = 2 * RECENT as i64;
        let mut slip = MeasuredSlip::of(None);
        taken(&mut slip, 0..events);
        let settled = RECENT as i64 - 1;
        assert!(matches!(slip.begin_at(settled * 1_000), Err(Error::Invalid(_))));
        assert!(matches!(slip.end_at(settled * 1_000), Err(Error::Invalid(_))));
        slip.begin_at(settled * 1_000 + 1).unwrap();
        assert!(matches!(slip.end_at(settled * 1_000 + 1), Err(Error::Invalid(_))));
        taken(&mut slip, events..2 * events);
        slip.end_at((2 * events - 10) * 1_000).unwrap();
        assert!(matches!(slip.begin_at((2 * events - 10) * 1_000), Err(Error::Invalid(_))));
        assert_eq!(slip.end().count(), (2 * events - 10 - settled - 1) as u64);
        assert!(matches!(slip.end_at(i64::MAX), Err(Error::Invalid(_))));
        assert!(matches!(slip.begin_at(i64::MAX - 1), Err(Error::Invalid(_))));
    }
}
