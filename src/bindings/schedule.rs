//! `Schedule`.

use numpy::PyArray1;
use pyo3::prelude::*;

use crate::schedule;

/// When events are intended, as offsets from the start. Never re-based: lateness shows as schedule slip.
#[pyclass(frozen, module = "rtmbench._core")]
pub(super) struct Schedule(pub(super) schedule::Schedule);

#[pymethods]
impl Schedule {
    /// One event each 1/rate seconds; rate in events/s, above 0 and at most 10 million. With a seed it starts at a
    /// random phase and each event is moved by a random part of 1 ms, or of the distance to the next one.
    #[staticmethod]
    #[pyo3(signature = (rate, seed=None))]
    fn constant(rate: f64, seed: Option<u64>) -> PyResult<Self> {
        Self::checked(schedule::Schedule::Constant { rate }.dithered(seed))
    }

    /// A Poisson process with a mean of rate events/s; the gaps are a function of the seed.
    #[staticmethod]
    fn poisson(rate: f64, seed: u64) -> PyResult<Self> {
        Self::checked(schedule::Schedule::Poisson { rate, seed })
    }

    /// A rate that goes linearly from from_rate to to_rate in seconds, then stays. A seed as in `constant`.
    #[staticmethod]
    #[pyo3(signature = (from_rate, to_rate, seconds, seed=None))]
    fn ramp(from_rate: f64, to_rate: f64, seconds: f64, seed: Option<u64>) -> PyResult<Self> {
        Self::checked(schedule::Schedule::Ramp { from: from_rate, to: to_rate, seconds }.dithered(seed))
    }

    /// Rates held one after the other, as (seconds, rate); the last one indefinitely. A seed as in `constant`.
    #[staticmethod]
    #[pyo3(signature = (steps, seed=None))]
    fn step(steps: Vec<(f64, f64)>, seed: Option<u64>) -> PyResult<Self> {
        Self::checked(schedule::Schedule::Step { steps }.dithered(seed))
    }

    /// Groups of size events intended for the same instant, with a mean of rate events/s. With a seed the groups start
    /// at a random phase and are moved as in `constant`.
    #[staticmethod]
    #[pyo3(signature = (rate, size, seed=None))]
    fn burst(rate: f64, size: u64, seed: Option<u64>) -> PyResult<Self> {
        Self::checked(schedule::Schedule::Burst { rate, size }.dithered(seed))
    }

    /// No schedule: as fast as it goes, each event intended for its hand-over. Not for latency.
    #[staticmethod]
    fn unpaced() -> Self {
        Self(schedule::Schedule::Unpaced)
    }

    /// The offsets of count events from event first on, µs.
    fn at_us<'py>(&self, py: Python<'py>, first: u64, count: usize) -> Bound<'py, PyArray1<i64>> {
        let offsets = py.detach(|| {
            let mut arrivals = self.0.arrivals(first);
            (0..count).map(|_| arrivals.next_us()).collect()
        });
        PyArray1::from_vec(py, offsets)
    }

    /// How many events are intended for less than `offset_us` after the start; 0 without a schedule.
    fn count_before(&self, py: Python<'_>, offset_us: i64) -> u64 {
        py.detach(|| self.0.count_before(offset_us))
    }

    fn __repr__(&self) -> String {
        format!("<Schedule {:?}>", self.0)
    }
}

impl Schedule {
    fn checked(schedule: schedule::Schedule) -> PyResult<Self> {
        Ok(Self(schedule.validated()?))
    }
}
