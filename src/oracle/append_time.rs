//! Whether a job passes on when the broker appended its input, instead of the events' own time stamps.
//!
//! Latency that counts from the append leaves out the way into the broker. At high rates each ms is that of some
//! event, so an output with the append time cannot be told from one with an event's. All outputs together can: appends
//! come in batches, so some ms hold many of them and others none.

/// What one of the two tests must be able to tell apart before it decides.
const TELLING: f64 = 20.0;
/// The append times decide where they leave at most this share unexplained of what the events' time stamps do.
const MUCH_BETTER: f64 = 0.02;
/// The share of outputs that must carry whole ms, as append times are.
const IN_MS: f64 = 0.99;

/// The ms of events and of their appends, and those that the outputs carry.
#[derive(Default)]
pub(super) struct Appended {
    intended_ms: Vec<i64>,
    append_ms: Vec<i64>,
    output_ms: Vec<i64>,
    outputs: u64,
}

impl Appended {
    /// Takes the events: their time stamp, µs since the Unix epoch, and the ms of their append. Without one of them,
    /// as in a topic that keeps the producer's time, nothing can be told.
    pub fn of(events: impl Iterator<Item = (i64, Option<i64>)>) -> Self {
        let mut appended = Self::default();
        for (at_us, append_ms) in events {
            let Some(append_ms) = append_ms else { return Self::default() };
            appended.intended_ms.push(at_us.div_euclid(1_000));
            appended.append_ms.push(append_ms);
        }
        appended.intended_ms.sort_unstable();
        appended.append_ms.sort_unstable();
        appended
    }

    /// Takes the time stamp of an output, µs since the Unix epoch.
    #[inline]
    pub fn output(&mut self, at_us: i64) {
        // Nothing can be told, or it is from before the trial.
        if self.append_ms.first().is_none_or(|&first_ms| at_us < first_ms * 1_000) {
            return;
        }
        self.outputs += 1;
        if at_us % 1_000 == 0 {
            self.output_ms.push(at_us / 1_000);
        }
    }

    /// Whether the append times explain the outputs, and the events' own time stamps do not.
    pub fn explains_outputs(mut self) -> bool {
        if self.output_ms.is_empty() || (self.output_ms.len() as f64) < IN_MS * self.outputs as f64 {
            return false;
        }
        self.output_ms.sort_unstable();
        self.by_ms() || self.by_number()
    }

    /// Whether the outputs keep to ms in which something was appended, more than events' time stamps would.
    fn by_ms(&self) -> bool {
        let (unexplained, outputs) = outside(&self.output_ms, &self.append_ms);
        let (without_append, events) = outside(&self.intended_ms, &self.append_ms);
        let expected = outputs as f64 * without_append as f64 / events as f64;
        much_better(unexplained, expected)
    }

    /// Whether the outputs of each ms are at most as many as appends, and often more than events. A job that writes
    /// more records than it reads has several for an event by design.
    fn by_number(&self) -> bool {
        self.output_ms.len() <= self.append_ms.len()
            && much_better(
                surplus(&self.output_ms, &self.append_ms),
                surplus(&self.output_ms, &self.intended_ms) as f64,
            )
    }
}

fn much_better(unexplained: u64, otherwise: f64) -> bool {
    otherwise >= TELLING && unexplained as f64 <= MUCH_BETTER * otherwise
}

/// Of the different values in `these`, how many `those` do not hold, and how many there are. Both are sorted.
fn outside(these: &[i64], those: &[i64]) -> (u64, u64) {
    these.chunk_by(|a, b| a == b).fold((0, 0), |(outside, all), same| {
        (outside + u64::from(those.binary_search(&same[0]).is_err()), all + 1)
    })
}

/// How many of `these` are more than `those` hold of the same value. Both are sorted.
fn surplus(these: &[i64], those: &[i64]) -> u64 {
    these
        .chunk_by(|a, b| a == b)
        .map(|same| {
            let from = those.partition_point(|&each| each < same[0]);
            let count = those[from..].partition_point(|&each| each == same[0]);
            same.len().saturating_sub(count) as u64
        })
        .sum()
}
