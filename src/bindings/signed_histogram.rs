//! `SignedHistogram`.

use pyo3::prelude::*;

use crate::signed_histogram;

/// Signed durations in µs: percentiles within 0.1 %, exact mean, least and greatest value.
#[pyclass(frozen, module = "rtmbench._core")]
pub(super) struct SignedHistogram(signed_histogram::SignedHistogram);

impl SignedHistogram {
    pub(super) fn of(histogram: signed_histogram::SignedHistogram) -> Self {
        Self(histogram)
    }
}

#[pymethods]
impl SignedHistogram {
    /// The number of samples.
    #[getter]
    fn count(&self) -> u64 {
        self.0.count()
    }

    /// The number of samples below 0.
    #[getter]
    fn negative(&self) -> u64 {
        self.0.negative()
    }

    /// The least sample, µs, exact; 0 when empty.
    #[getter]
    fn min(&self) -> i64 {
        self.0.min()
    }

    /// The greatest sample, µs, exact; 0 when empty.
    #[getter]
    fn max(&self) -> i64 {
        self.0.max()
    }

    /// The exact mean, µs; 0 when empty.
    #[getter]
    fn mean(&self) -> f64 {
        self.0.mean()
    }

    /// The value, µs, at or below which q percent (0 to 100) of the samples lie; 0 when empty.
    fn percentile(&self, q: f64) -> i64 {
        self.0.percentile(q)
    }

    fn __repr__(&self) -> String {
        format!(
            "<SignedHistogram count={} mean={:.1} min={} p50={} p99={} max={} µs>",
            self.0.count(),
            self.0.mean(),
            self.0.min(),
            self.0.percentile(50.0),
            self.0.percentile(99.0),
            self.0.max()
        )
    }
}
