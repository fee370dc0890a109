//! What a pattern's output has to be: the aggregate, its windows, and how results are emitted.

use super::passthrough::Identity;
use crate::error::{Error, Result};
use crate::workload::Workload;

/// The most windows that one event may be in.
const MAX_WINDOWS: i64 = 1_000;
/// The longest window and watermark delay.
const LONGEST_MS: i64 = 366 * 86_400_000;
const TUMBLING_MS: i64 = 60_000;
const SLIDING_MS: (i64, i64) = (300_000, 60_000);

/// How results of an aggregate come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emission {
    /// One for each input event and window: counts climb without a gap.
    Update,
    /// One for each key and batch: counts climb, in steps of any size, up to the final one.
    Batch,
    /// One for each key and window, the final one, after the watermark has passed the window.
    Close,
}

impl Emission {
    fn of(pattern: &str, emit: &str) -> Result<Self> {
        match emit {
            "update" => Ok(Self::Update),
            "batch" => Ok(Self::Batch),
            "close" if pattern != "04" => Ok(Self::Close),
            _ => {
                let known = if pattern == "04" { "update or batch" } else { "update, batch or close" };
                Err(Error::Invalid(format!("pattern {pattern} does not emit {emit:?}: {known}")))
            }
        }
    }
}

/// What is computed of the events of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// How many there are, and the sum of their values.
    Sum,
    /// How many there are, and the mean of their values.
    Average,
}

/// The windows of an aggregate, aligned to the epoch; event time is `produced_at`, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    /// None: every event of a key counts.
    Whole,
    /// `[n × slide, n × slide + size)` for each n; tumbling where both are equal.
    Sliding {
        /// Length, ms.
        size_ms: i64,
        /// Distance between starts, ms, at most the length.
        slide_ms: i64,
    },
}

impl Windows {
    fn of(pattern: &str, window_ms: Option<i64>, slide_ms: Option<i64>) -> Result<Self> {
        let (size_ms, slide_ms) = match pattern {
            "04" => return Ok(Self::Whole),
            "02" => {
                let size_ms = window_ms.unwrap_or(TUMBLING_MS);
                if slide_ms.is_some_and(|slide_ms| slide_ms != size_ms) {
                    let message = "pattern 02 has tumbling windows: leave slide_ms out";
                    return Err(Error::Invalid(message.to_owned()));
                }
                (size_ms, size_ms)
            }
            _ => (window_ms.unwrap_or(SLIDING_MS.0), slide_ms.unwrap_or(SLIDING_MS.1)),
        };
        if slide_ms < 1 || size_ms < slide_ms || size_ms / slide_ms > MAX_WINDOWS || size_ms > LONGEST_MS {
            return Err(Error::Invalid(format!(
                "windows of {size_ms} ms every {slide_ms} ms: the slide must be at least 1 ms, at most the \
                 window, and at least a {MAX_WINDOWS}th of it, and the window at most a year"
            )));
        }
        Ok(Self::Sliding { size_ms, slide_ms })
    }

    /// The most windows that an event is in.
    pub fn per_event(self) -> usize {
        match self {
            Self::Whole => 1,
            Self::Sliding { size_ms, slide_ms } => ((size_ms + slide_ms - 1) / slide_ms) as usize,
        }
    }

    /// The starts of the windows that an event is in, ms, the latest first, each with its place from 0.
    #[inline]
    pub fn starts(self, event_ms: i64) -> impl Iterator<Item = (usize, i64)> {
        let (latest, slide) = match self {
            Self::Whole => (0, 0),
            Self::Sliding { slide_ms, .. } => (event_ms - event_ms.rem_euclid(slide_ms), slide_ms),
        };
        (0..self.per_event())
            .map(move |place| (place, latest - place as i64 * slide))
            .filter(move |&(_, start)| self.end(start) > event_ms)
    }

    /// The place of the window that starts at `start` among those of an event in it.
    #[inline]
    pub(super) fn place(self, event_ms: i64, start: i64) -> usize {
        match self {
            Self::Whole => 0,
            Self::Sliding { slide_ms, .. } => {
                ((event_ms - event_ms.rem_euclid(slide_ms) - start) / slide_ms) as usize
            }
        }
    }

    /// The exclusive end of the window that starts at `start`, ms.
    #[inline]
    pub fn end(self, start: i64) -> i64 {
        match self {
            Self::Whole => i64::MAX,
            Self::Sliding { size_ms, .. } => start + size_ms,
        }
    }

    #[inline]
    pub(super) fn holds(self, start: i64, event_ms: i64) -> bool {
        self == Self::Whole || (start..self.end(start)).contains(&event_ms)
    }
}

/// The rules for the output of a keyed aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggregateRules {
    /// What is computed.
    pub aggregate: Aggregate,
    /// Over which events.
    pub windows: Windows,
    /// How it comes out.
    pub emission: Emission,
    /// How far the watermark stays behind the greatest event time, ms.
    pub watermark_delay_ms: i64,
}

/// The rules for the output of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Events come out as they are.
    Identity(Identity),
    /// Results of a keyed aggregate.
    Aggregate(AggregateRules),
}

impl Rules {
    /// The rules of pattern `01`, `02`, `03`, `04`, or of the floors `transport` and `relay`.
    ///
    /// `emit` is `row` for 01 and the floors, `update` or `batch` for 02 to 04, `close` for 02 and 03 too.
    /// Windows are 1 minute for 02 and 5 minutes every minute for 03 unless given; the others have none, and
    /// take no notice of them: a floor may be asked for with the settings of the pattern that it stands beside.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another name, an emission that the pattern does not have, or windows that do not
    /// fit it.
    pub fn of(
        pattern: &str,
        emit: &str,
        window_ms: Option<i64>,
        slide_ms: Option<i64>,
        watermark_delay_ms: i64,
    ) -> Result<Self> {
        let identity = match pattern {
            "01" => Identity::ClicksAndPurchases,
            "transport" => Identity::Transport,
            "relay" => Identity::Relay,
            "02" | "03" | "04" => {
                if !(0..=LONGEST_MS).contains(&watermark_delay_ms) {
                    return Err(Error::Invalid(format!(
                        "the watermark delay must be 0 ms to a year, not {watermark_delay_ms} ms"
                    )));
                }
                return Ok(Self::Aggregate(AggregateRules {
                    aggregate: if pattern == "03" { Aggregate::Average } else { Aggregate::Sum },
                    windows: Windows::of(pattern, window_ms, slide_ms)?,
                    emission: Emission::of(pattern, emit)?,
                    watermark_delay_ms,
                }));
            }
            other => {
                return Err(Error::Invalid(format!(
                    "there is no oracle for pattern {other:?}: 01, 02, 03, 04, transport or relay"
                )));
            }
        };
        if emit != "row" {
            return Err(Error::Invalid(format!("pattern {pattern} does not emit {emit:?}: row")));
        }
        Ok(Self::Identity(identity))
    }

    /// How many outputs the events `first..first + count` of a workload ask for; `None` where that depends on
    /// batches, on the watermark, or on how the windows lie.
    pub fn expected_outputs(&self, workload: &Workload, first: u64, count: u64) -> Option<u64> {
        match self {
            Self::Identity(identity) => Some(identity.expected_outputs(workload, first, count)),
            Self::Aggregate(rules) if rules.emission == Emission::Update => match rules.windows {
                Windows::Whole => Some(count),
                Windows::Sliding { size_ms, slide_ms } => (size_ms % slide_ms == 0).then(|| {
                    let in_time = count - workload.late_in(first, count);
                    in_time.saturating_mul((size_ms / slide_ms) as u64)
                }),
            },
            Self::Aggregate(_) => None,
        }
    }
}
