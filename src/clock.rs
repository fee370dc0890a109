//! The only place that reads a clock.
//!
//! The realtime clock is read once, then the monotonic clock: an adjustment of the wall clock cannot bend
//! a latency, and [`clock_jump_us`] shows how far the two have drifted apart since.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::stop::Stop;

struct Base {
    epoch_us: i64,
    monotonic: Instant,
}

static BASE: OnceLock<Base> = OnceLock::new();

fn realtime_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as i64
}

fn base() -> &'static Base {
    BASE.get_or_init(|| {
        // The tightest of several readings: a preemption between the two clocks would shift every time stamp.
        (0..16)
            .map(|_| {
                let before = Instant::now();
                let epoch_us = realtime_us();
                let width = before.elapsed();
                (width, Base { epoch_us, monotonic: before + width / 2 })
            })
            .min_by_key(|(width, _)| *width)
            .map(|(_, base)| base)
            .expect("the range is not empty")
    })
}

/// Now, in µs since the Unix epoch: the realtime base of this process plus the monotonic time since.
#[inline]
pub fn now_us() -> i64 {
    let base = base();
    base.epoch_us + base.monotonic.elapsed().as_micros() as i64
}

/// The realtime clock minus [`now_us`], in µs, signed: 0 on a machine whose clock is not adjusted.
///
/// A change of more than 1 ms during a trial makes its figures void where another clock (a broker's append
/// time, another host) is compared with this one.
pub fn clock_jump_us() -> i64 {
    // Again the tightest of a few, so that a preemption is not taken for a jump.
    (0..8)
        .map(|_| {
            let before = now_us();
            let real = realtime_us();
            let after = now_us();
            (after - before, real - i64::midpoint(before, after))
        })
        .min_by_key(|(width, _)| *width)
        .map_or(0, |(_, jump)| jump)
}

/// The longest sleep between two looks at a stop flag.
const SLICE: Duration = Duration::from_millis(50);

/// How exactly a thread waits for a point in time, and what that may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precision {
    /// Least time between two wake-ups, µs: events due meanwhile go out together.
    pub wake_interval_us: i64,
    /// The last stretch before a point in time that is spun, not slept, µs.
    pub spin_us: i64,
    /// The most that spinning may take of the time since the start, 0 to 1. Beyond it the thread sleeps.
    pub spin_share: f64,
}

impl Precision {
    /// How long before a point in time the spinning begins where only the share is given, µs.
    const SPIN_US: i64 = 100;
    /// Cheapest: wakes at most every millisecond, never spins.
    pub const LOW: Self = Self { wake_interval_us: 1_000, spin_us: 0, spin_share: 0.0 };
    /// Wakes at most every 500 µs and never spins; a sleep ends some 10–60 µs late.
    pub const DEFAULT: Self = Self { wake_interval_us: 500, spin_us: 0, spin_share: 0.0 };
    /// Spins the last 100 µs before each event, for at most half of a core.
    pub const HIGH: Self = Self { wake_interval_us: 0, spin_us: Self::SPIN_US, spin_share: 0.5 };

    /// The same with another bound on the share of a core that spinning may take, 0 to 1. A precision that did
    /// not spin then spins the last stretch before each of its wake-ups.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the share is not 0 to 1.
    pub fn with_spin_share(self, spin_share: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&spin_share) {
            return Err(Error::Invalid(format!("the spin share must be 0 to 1, not {spin_share}")));
        }
        let spin_us = if self.spin_us == 0 { Self::SPIN_US } else { self.spin_us };
        Ok(Self { spin_us, spin_share, ..self })
    }

    /// The precision of that name: `low`, `default` or `high`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "low" => Some(Self::LOW),
            "default" => Some(Self::DEFAULT),
            "high" => Some(Self::HIGH),
            _ => None,
        }
    }
}

/// Paces one thread: sleeps, then spins within the budget of its [`Precision`].
#[derive(Debug)]
pub struct Pacer {
    precision: Precision,
    started_us: i64,
    last_wake_us: i64,
    spun_us: i64,
    /// How late sleeps have ended of late, µs: what is spun instead of slept.
    oversleep_us: f64,
}

impl Pacer {
    /// A pacer for the calling thread. On Linux it also asks for the finest timer slack of that thread,
    /// because the default of 50 µs would be added to each sleep.
    pub fn for_this_thread(precision: Precision) -> Self {
        #[cfg(target_os = "linux")]
        // SAFETY: PR_SET_TIMERSLACK takes one integer and changes only the calling thread.
        unsafe {
            libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong);
        }
        Self { precision, started_us: now_us(), last_wake_us: 0, spun_us: 0, oversleep_us: 50.0 }
    }

    /// Waits until `due_us` or, where the precision says so, for the next wake-up after it; returns the time.
    /// `None` when `stop` was set, at most 50 ms later.
    pub fn wait_until(&mut self, due_us: i64, stop: &Stop) -> Option<i64> {
        let mut now = now_us();
        if now >= due_us {
            return (!stop.is_set()).then_some(now);
        }
        let wake_us = due_us.max(self.last_wake_us + self.precision.wake_interval_us);
        let budget = (self.precision.spin_share * (now - self.started_us) as f64) as i64;
        // No longer than sleeps usually are late: a sleep that ends in time costs nothing.
        let useful_us = (1.5 * self.oversleep_us) as i64 + 5;
        let spin_us = if self.spun_us < budget { useful_us.min(self.precision.spin_us) } else { 0 };
        while wake_us - now > spin_us {
            if stop.is_set() {
                return None;
            }
            let sleep = Duration::from_micros((wake_us - now - spin_us) as u64).min(SLICE);
            std::thread::sleep(sleep);
            let before = now;
            now = now_us();
            let late_us = (now - before) as f64 - sleep.as_micros() as f64;
            self.oversleep_us += (late_us.clamp(0.0, 200.0) - self.oversleep_us) / 32.0;
        }
        if now < wake_us {
            let spin_from = now;
            while now < wake_us {
                std::hint::spin_loop();
                now = now_us();
            }
            self.spun_us += now - spin_from;
        }
        self.last_wake_us = now;
        (!stop.is_set()).then_some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_the_wall_clock_and_never_goes_back() {
        assert!(clock_jump_us().abs() < 1_000_000);
        let mut last = now_us();
        for _ in 0..10_000 {
            let now = now_us();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn the_pacer_is_never_early_and_ends_on_stop() {
        let stop = Stop::new();
        for precision in [Precision::LOW, Precision::DEFAULT, Precision::HIGH] {
            let mut pacer = Pacer::for_this_thread(precision);
            for _ in 0..20 {
                let due = now_us() + 300;
                let now = pacer.wait_until(due, &stop).unwrap();
                assert!(due <= now && now <= now_us());
            }
        }
        stop.set();
        let before = now_us();
        assert_eq!(Pacer::for_this_thread(Precision::DEFAULT).wait_until(before + 5_000_000, &stop), None);
        assert!(now_us() - before < 1_000_000);
    }

    #[test]
    fn a_spin_share_is_a_share() {
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(Precision::DEFAULT.with_spin_share(bad).is_err());
        }
        let none = Precision::HIGH.with_spin_share(0.0).unwrap();
        assert_eq!((none.spin_share, none.wake_interval_us), (0.0, 0));
        assert!(Precision::LOW.with_spin_share(0.3).unwrap().spin_us > 0);
    }

    #[test]
    fn spinning_keeps_to_its_budget() {
        let stop = Stop::new();
        let precision = Precision { wake_interval_us: 0, spin_us: 1_000, spin_share: 0.1 };
        let mut pacer = Pacer::for_this_thread(precision);
        for _ in 0..200 {
            pacer.wait_until(now_us() + 1_000, &stop);
        }
        let elapsed = now_us() - pacer.started_us;
        // One overshoot is possible: the budget is looked at before each wait.
        assert!(pacer.spun_us <= elapsed / 10 + 2_000, "spun {} of {elapsed} µs", pacer.spun_us);
    }
}
