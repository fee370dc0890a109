//! Open-loop arrival times: when event *n* is intended, as an offset from the start.
//!
//! An offset never depends on how the generator kept up: lateness shows as schedule slip, nowhere else.

use crate::error::{Error, Result};
use crate::workload::mix;

/// The highest rate of a schedule, events/s.
pub const MAX_RATE: f64 = 10_000_000.0;

const SECOND_US: f64 = 1e6;

/// When events are intended. Offsets are µs from the start, never decreasing.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// One event each 1/rate seconds.
    Constant {
        /// Events/s.
        rate: f64,
    },
    /// A Poisson process: independent, exponentially distributed gaps.
    Poisson {
        /// Mean events/s.
        rate: f64,
        /// Seed of the gaps.
        seed: u64,
    },
    /// A rate that goes linearly from one value to another, then stays.
    Ramp {
        /// Events/s at the start.
        from: f64,
        /// Events/s at the end of the ramp and after it.
        to: f64,
        /// Length of the ramp, s.
        seconds: f64,
    },
    /// Rates held one after the other; the last one for ever.
    Step {
        /// (seconds, events/s) of each step.
        steps: Vec<(f64, f64)>,
    },
    /// Groups of events intended for the same instant.
    Burst {
        /// Mean events/s.
        rate: f64,
        /// Events in a burst.
        size: u64,
    },
    /// No schedule: each event is intended for the instant of its hand-over. For throughput, not for latency.
    Unpaced,
}

impl Schedule {
    /// Checks every parameter.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a rate that is not above 0 and at most [`MAX_RATE`], a length that is not
    /// positive, no steps, or an empty burst. A ramp may start from 0.
    pub fn validated(self) -> Result<Self> {
        let positive = |rate: f64| {
            if rate > 0.0 && rate <= MAX_RATE {
                Ok(())
            } else {
                Err(Error::Invalid(format!(
                    "the rate must be above 0 and at most {MAX_RATE} events/s, not {rate}"
                )))
            }
        };
        let lasting = |seconds: f64| {
            if seconds > 0.0 && seconds.is_finite() {
                Ok(())
            } else {
                Err(Error::Invalid(format!("a step or ramp must last more than 0 s, not {seconds}")))
            }
        };
        match &self {
            Self::Constant { rate } | Self::Poisson { rate, .. } => positive(*rate)?,
            Self::Ramp { from, to, seconds } => {
                if *from != 0.0 {
                    positive(*from)?;
                }
                positive(*to)?;
                lasting(*seconds)?;
            }
            Self::Step { steps } => {
                if steps.is_empty() {
                    return Err(Error::Invalid("a step schedule needs at least one step".to_owned()));
                }
                for &(seconds, rate) in steps {
                    lasting(seconds)?;
                    positive(rate)?;
                }
            }
            Self::Burst { rate, size } => {
                positive(*rate)?;
                if *size == 0 {
                    return Err(Error::Invalid("a burst needs at least one event".to_owned()));
                }
            }
            Self::Unpaced => {}
        }
        Ok(self)
    }

    /// The offsets from event `first` on. A Poisson process is replayed up to `first`.
    pub fn arrivals(&self, first: u64) -> Arrivals<'_> {
        let mut arrivals = Arrivals { schedule: self, next: 0, elapsed_s: 0.0 };
        if matches!(self, Self::Poisson { .. }) {
            for _ in 0..first {
                arrivals.next_us();
            }
        }
        arrivals.next = first;
        arrivals
    }

    /// The offset of event `n`, s, of a schedule in which it is a closed formula.
    fn offset_s(&self, n: u64) -> f64 {
        let count = n as f64;
        match self {
            Self::Constant { rate } => count / rate,
            Self::Burst { rate, size } => (n / size * size) as f64 / rate,
            Self::Ramp { from, to, seconds } => {
                let in_ramp = f64::midpoint(*from, *to) * seconds;
                if count >= in_ramp {
                    return seconds + (count - in_ramp) / to;
                }
                let slope = (to - from) / seconds;
                // The root of from·t + slope·t²/2 = n in the form that also holds for a slope of 0.
                2.0 * count
                    / (from + (from * from + 2.0 * slope * count).max(0.0).sqrt()).max(f64::MIN_POSITIVE)
            }
            Self::Step { steps } => {
                let (mut start_s, mut before) = (0.0, 0.0);
                for (position, &(seconds, rate)) in steps.iter().enumerate() {
                    let inside = seconds * rate;
                    if count < before + inside || position + 1 == steps.len() {
                        return start_s + (count - before) / rate;
                    }
                    start_s += seconds;
                    before += inside;
                }
                start_s
            }
            Self::Poisson { .. } | Self::Unpaced => 0.0,
        }
    }
}

/// A walk through a schedule.
#[derive(Clone, Debug)]
pub struct Arrivals<'a> {
    schedule: &'a Schedule,
    next: u64,
    elapsed_s: f64,
}

impl Arrivals<'_> {
    /// The next event's offset from the start, µs. Always 0 for an unpaced schedule.
    #[inline]
    pub fn next_us(&mut self) -> i64 {
        let n = self.next;
        self.next += 1;
        if let Schedule::Poisson { rate, seed } = self.schedule {
            let uniform = (mix(seed ^ mix(n)) >> 11) as f64 / (1_u64 << 53) as f64;
            self.elapsed_s += -(-uniform).ln_1p() / rate;
            return (self.elapsed_s * SECOND_US) as i64;
        }
        if let Schedule::Constant { rate } = self.schedule {
            return (n as f64 * SECOND_US / rate) as i64;
        }
        (self.schedule.offset_s(n) * SECOND_US) as i64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offsets(schedule: &Schedule, first: u64, count: usize) -> Vec<i64> {
        let mut arrivals = schedule.arrivals(first);
        (0..count).map(|_| arrivals.next_us()).collect()
    }

    fn any_schedule() -> impl Strategy<Value = Schedule> {
        let rate = 0.5..1e6_f64;
        prop_oneof![
            rate.clone().prop_map(|rate| Schedule::Constant { rate }),
            (rate.clone(), any::<u64>()).prop_map(|(rate, seed)| Schedule::Poisson { rate, seed }),
            (0.0..1e5_f64, rate.clone(), 0.1..100.0_f64).prop_map(|(from, to, seconds)| Schedule::Ramp {
                from,
                to,
                seconds
            }),
            prop::collection::vec((0.1..10.0_f64, rate.clone()), 1..5)
                .prop_map(|steps| Schedule::Step { steps }),
            (rate, 1..1000_u64).prop_map(|(rate, size)| Schedule::Burst { rate, size }),
        ]
    }

    proptest! {
        #[test]
        fn offsets_never_decrease_and_need_no_history(schedule in any_schedule(), first in 0..2_000_u64) {
            let schedule = schedule.validated().unwrap();
            let all = offsets(&schedule, 0, 2_200);
            prop_assert!(all[0] >= 0);
            prop_assert!(all.windows(2).all(|pair| pair[0] <= pair[1]), "{:?}", all);
            prop_assert_eq!(&offsets(&schedule, first, 200)[..], &all[first as usize..first as usize + 200]);
        }
    }

    #[test]
    fn a_constant_rate_is_exact_after_hours() {
        let schedule = Schedule::Constant { rate: 10_000.0 };
        assert_eq!(offsets(&schedule, 0, 4), [0, 100, 200, 300]);
        assert_eq!(offsets(&schedule, 360_000_000, 2), [36_000_000_000, 36_000_000_100]);
    }

    #[test]
    fn poisson_gaps_are_exponential() {
        let schedule = Schedule::Poisson { rate: 1_000.0, seed: 5 };
        let all = offsets(&schedule, 0, 200_001);
        let gaps: Vec<f64> = all.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean / 1_000.0 - 1.0).abs() < 0.01, "{mean}");
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.01, "{variance}");
    }

    #[test]
    fn ramps_steps_and_bursts_have_their_counts() {
        let ramp = Schedule::Ramp { from: 0.0, to: 100.0, seconds: 10.0 };
        let all = offsets(&ramp, 0, 700);
        assert_eq!(all.iter().filter(|&&us| us < 10_000_000).count(), 500);
        assert_eq!(all[600] - all[500], 1_000_000);
        let falling = Schedule::Ramp { from: 100.0, to: 50.0, seconds: 10.0 };
        assert_eq!(offsets(&falling, 750, 1), [10_000_000]);
        let step = Schedule::Step { steps: vec![(1.0, 10.0), (1.0, 100.0)] };
        assert_eq!(offsets(&step, 9, 3), [900_000, 1_000_000, 1_010_000]);
        assert_eq!(offsets(&step, 210, 1), [3_000_000]);
        let burst = Schedule::Burst { rate: 100.0, size: 50 };
        assert_eq!(offsets(&burst, 48, 4), [0, 0, 500_000, 500_000]);
    }

    #[test]
    fn bad_schedules_are_refused() {
        for bad in [
            Schedule::Constant { rate: 0.0 },
            Schedule::Constant { rate: f64::NAN },
            Schedule::Constant { rate: f64::INFINITY },
            Schedule::Poisson { rate: -1.0, seed: 0 },
            Schedule::Ramp { from: -1.0, to: 1.0, seconds: 1.0 },
            Schedule::Ramp { from: 1.0, to: 0.0, seconds: 1.0 },
            Schedule::Ramp { from: 1.0, to: 1.0, seconds: 0.0 },
            Schedule::Step { steps: vec![] },
            Schedule::Step { steps: vec![(1.0, 0.0)] },
            Schedule::Burst { rate: 1.0, size: 0 },
        ] {
            assert!(bad.clone().validated().is_err(), "{bad:?}");
        }
    }
}
