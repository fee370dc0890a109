//! Open-loop arrival times: when event *n* is intended, as an offset from the start.
//!
//! An offset never depends on how the generator kept up: lateness shows as schedule slip, nowhere else.
//!
//! A regular schedule may be dithered: it then starts at a random phase and each event is moved by a random part of
//! at most 1 ms, but never beyond where the next one would be without. Events at exactly 1,000/s would otherwise all
//! meet clocks, flushers and time stamps of 1 ms at one and the same phase.

use crate::error::{Error, Result};
use crate::workload::mix;

/// The highest rate of a schedule, events/s.
pub const MAX_RATE: f64 = 10_000_000.0;

const SECOND_US: f64 = 1e6;
/// The most that dithering moves an event, s.
const DITHER_S: f64 = 1e-3;
/// Keeps the random numbers of the phase and of the events apart.
const PHASE: u64 = 0x70_6861_7365;

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
    /// Rates held one after the other; the last one indefinitely.
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
    /// A regular schedule that starts at a random phase, its events (bursts: all events of a burst together) moved
    /// by a random part of the distance to the next one, and at the highest rate by at most 1 ms.
    Dithered {
        /// Constant, ramp, step or burst.
        regular: Box<Schedule>,
        /// Seed of the phase and of the moves.
        seed: u64,
    },
    /// No schedule: each event is intended for the instant of its hand-over. For throughput, not for latency.
    Unpaced,
}

/// A uniform number in [0, 1) from 64 random bits.
#[inline]
fn uniform(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

impl Schedule {
    /// Checks every parameter.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a rate that is not above 0 and at most [`MAX_RATE`], a length that is not
    /// positive, no steps, an empty burst, or a dithered schedule that is not a regular one. A ramp may start from 0.
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
            Self::Dithered { regular, .. } => match **regular {
                Self::Poisson { .. } | Self::Dithered { .. } | Self::Unpaced => {
                    return Err(Error::Invalid("only a regular schedule can be dithered".to_owned()));
                }
                _ => drop(regular.clone().validated()?),
            },
            Self::Unpaced => {}
        }
        Ok(self)
    }

    /// The same schedule, dithered where it is regular and there is a seed.
    #[must_use]
    pub fn dithered(self, seed: Option<u64>) -> Self {
        match (seed, &self) {
            (
                Some(seed),
                Self::Constant { .. } | Self::Ramp { .. } | Self::Step { .. } | Self::Burst { .. },
            ) => Self::Dithered { regular: Box::new(self), seed },
            _ => self,
        }
    }

    /// How many events are intended for less than `offset_us` after the start; 0 without a schedule. A Poisson process
    /// is replayed.
    pub fn count_before(&self, offset_us: i64) -> u64 {
        match self {
            Self::Unpaced => 0,
            Self::Poisson { .. } => {
                let mut arrivals = self.arrivals(0);
                let mut count = 0;
                while arrivals.next_us() < offset_us {
                    count += 1;
                }
                count
            }
            _ => {
                let before = |n: u64| self.arrivals(n).next_us() < offset_us;
                let mut above = 1_u64;
                while before(above - 1) {
                    above *= 2;
                }
                // The first one that is not before lies in (above / 2 - 1, above - 1].
                let (mut low, mut high) = (above / 2, above - 1);
                while low < high {
                    let middle = u64::midpoint(low, high);
                    if before(middle) { low = middle + 1 } else { high = middle }
                }
                low
            }
        }
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

    /// The event's place in a regular schedule, in events, or for bursts in bursts.
    fn place(&self, n: u64) -> f64 {
        match self {
            Self::Burst { size, .. } => (n / size) as f64,
            _ => n as f64,
        }
    }

    /// The most places that lie within 1 s.
    fn places_per_s(&self) -> f64 {
        match self {
            Self::Constant { rate } => *rate,
            Self::Burst { rate, size } => rate / *size as f64,
            Self::Ramp { from, to, .. } => from.max(*to),
            Self::Step { steps } => steps.iter().map(|&(_, rate)| rate).fold(0.0, f64::max),
            Self::Poisson { .. } | Self::Dithered { .. } | Self::Unpaced => 0.0,
        }
    }

    /// The offset of a place, s, in a schedule in which it is a closed formula. Never decreases with the place.
    fn offset_s(&self, place: f64) -> f64 {
        match self {
            Self::Constant { rate } => place / rate,
            Self::Burst { rate, size } => place * *size as f64 / rate,
            Self::Ramp { from, to, seconds } => {
                let in_ramp = f64::midpoint(*from, *to) * seconds;
                if place >= in_ramp {
                    return seconds + (place - in_ramp) / to;
                }
                let slope = (to - from) / seconds;
                // The root of from·t + slope·t²/2 = place in the form that also holds for a slope of 0.
                2.0 * place
                    / (from + (from * from + 2.0 * slope * place).max(0.0).sqrt()).max(f64::MIN_POSITIVE)
            }
            Self::Step { steps } => {
                let (mut start_s, mut before) = (0.0, 0.0);
                for (position, &(seconds, rate)) in steps.iter().enumerate() {
                    let inside = seconds * rate;
                    if place < before + inside || position + 1 == steps.len() {
                        return start_s + (place - before) / rate;
                    }
                    start_s += seconds;
                    before += inside;
                }
                start_s
            }
            Self::Poisson { .. } | Self::Dithered { .. } | Self::Unpaced => 0.0,
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
        match self.schedule {
            Schedule::Poisson { rate, seed } => {
                self.elapsed_s += -(-uniform(mix(seed ^ mix(n)))).ln_1p() / rate;
                (self.elapsed_s * SECOND_US) as i64
            }
            Schedule::Constant { rate } => (n as f64 * SECOND_US / rate) as i64,
            Schedule::Dithered { regular, seed } => {
                let place = regular.place(n);
                let most = (DITHER_S * regular.places_per_s()).min(1.0);
                // Less than 1 in all: as many events in a whole number of distances as without.
                let moved =
                    (1.0 - most) * uniform(mix(seed ^ PHASE)) + most * uniform(mix(seed ^ mix(place as u64)));
                (regular.offset_s(place + moved) * SECOND_US) as i64
            }
            regular => (regular.offset_s(regular.place(n)) * SECOND_US) as i64,
        }
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

    fn perhaps_dithered() -> impl Strategy<Value = Schedule> {
        (any_schedule(), any::<Option<u64>>()).prop_map(|(schedule, seed)| schedule.dithered(seed))
    }

    proptest! {
        #[test]
        fn offsets_never_decrease_and_need_no_history(schedule in perhaps_dithered(), first in 0..2_000_u64) {
            let schedule = schedule.validated().unwrap();
            let all = offsets(&schedule, 0, 2_200);
            prop_assert!(all[0] >= 0);
            prop_assert!(all.windows(2).all(|pair| pair[0] <= pair[1]), "{:?}", all);
            prop_assert_eq!(&offsets(&schedule, first, 200)[..], &all[first as usize..first as usize + 200]);
        }

        #[test]
        fn events_before_an_offset_are_counted(schedule in perhaps_dithered(), at in 0..1_000_usize) {
            let all = offsets(&schedule, 0, 1_000);
            for offset_us in [all[at], all[at] + 1] {
                let counted = all.iter().filter(|&&us| us < offset_us).count();
                if counted < all.len() {
                    prop_assert_eq!(schedule.count_before(offset_us), counted as u64);
                }
            }
        }
    }

    /// How many of the offsets lie in each tenth of a millisecond.
    fn tenths(offsets: &[i64]) -> [usize; 10] {
        let mut counts = [0; 10];
        for us in offsets {
            counts[(us.rem_euclid(1_000) / 100) as usize] += 1;
        }
        counts
    }

    #[test]
    fn a_dithered_schedule_meets_a_millisecond_clock_at_every_phase() {
        for regular in [
            Schedule::Constant { rate: 1_000.0 },
            Schedule::Constant { rate: 10_000.0 },
            Schedule::Constant { rate: 100.0 },
            Schedule::Ramp { from: 1_000.0, to: 1_000.0, seconds: 5.0 },
            Schedule::Burst { rate: 1_000.0, size: 1 },
        ] {
            let plain = tenths(&offsets(&regular, 0, 20_000));
            assert!(plain.contains(&0) || plain.iter().all(|&count| count == 2_000), "{plain:?}");
            for seed in 0..5 {
                let dithered = offsets(&regular.clone().dithered(Some(seed)), 0, 20_000);
                let counts = tenths(&dithered);
                assert!(counts.iter().all(|count| (1_700..2_300).contains(count)), "{regular:?}: {counts:?}");
            }
        }
    }

    #[test]
    fn dithering_keeps_the_rate_and_starts_at_a_phase_of_the_seed() {
        let regular = Schedule::Constant { rate: 10.0 };
        let firsts: Vec<i64> =
            (0..200).map(|seed| offsets(&regular.clone().dithered(Some(seed)), 0, 1)[0]).collect();
        assert!(firsts.iter().all(|us| (0..100_000).contains(us)));
        let mean = firsts.iter().sum::<i64>() / 200;
        assert!((40_000..60_000).contains(&mean), "{mean}");
        let one = offsets(&regular.clone().dithered(Some(3)), 0, 100);
        assert!(one.windows(2).all(|pair| (99_000..=101_000).contains(&(pair[1] - pair[0]))), "{one:?}");
        assert_eq!(one, offsets(&regular.clone().dithered(Some(3)), 0, 100));
        for rate in [10.0, 1_000.0, 20_000.0] {
            let dithered = Schedule::Constant { rate }.dithered(Some(3));
            assert_eq!(dithered.count_before(3_000_000), (3.0 * rate) as u64);
        }
        let burst = offsets(&Schedule::Burst { rate: 100.0, size: 50 }.dithered(Some(3)), 0, 150);
        assert!(burst[..50].iter().all(|us| *us == burst[0]) && burst[49] < burst[50]);
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
            Schedule::Constant { rate: 0.0 }.dithered(Some(1)),
            Schedule::Dithered { regular: Box::new(Schedule::Unpaced), seed: 1 },
        ] {
            assert!(bad.clone().validated().is_err(), "{bad:?}");
        }
    }
}
