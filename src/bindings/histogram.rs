//! `Histogram`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::{Float64Array, Int64Array, UInt64Array};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::table::Table;
use crate::histogram;
use crate::histogram::IntervalLog;
use crate::interval_log;

/// What `__reduce__` gives: a callable, its arguments, and the state.
type Reduced<'py> = (Bound<'py, PyAny>, (Bound<'py, PyBytes>,), (u64, u64));
type Arrays<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<u64>>);

/// Durations in µs: HdrHistogram, 3 significant digits, 1 µs to 1 h; values outside are clamped.
#[pyclass(frozen, module = "rtmbench._core")]
pub(super) struct Histogram(Mutex<histogram::Histogram>);

impl Histogram {
    pub(super) fn of(histogram: histogram::Histogram) -> Self {
        Self(Mutex::new(histogram))
    }

    fn lock(&self) -> MutexGuard<'_, histogram::Histogram> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Histogram {
    #[new]
    fn new() -> Self {
        Self::of(histogram::Histogram::new())
    }

    /// Record one duration, µs.
    fn record(&self, us: i64) {
        self.lock().record(us);
    }

    /// Record an array of durations, µs.
    fn record_many(&self, us: PyReadonlyArray1<'_, i64>) {
        let mut histogram = self.lock();
        for &value in us.as_array() {
            histogram.record(value);
        }
    }

    /// Add every sample of the other histogram.
    fn merge(&self, other: &Self) {
        // Copied first: the other one may be this one, and two locks could be taken in either order.
        let other = other.lock().clone();
        self.lock().merge(&other);
    }

    /// The number of samples.
    #[getter]
    fn count(&self) -> u64 {
        self.lock().count()
    }

    /// The least sample, µs; 0 when empty.
    #[getter]
    fn min(&self) -> u64 {
        self.lock().min()
    }

    /// The greatest sample, µs; 0 when empty.
    #[getter]
    fn max(&self) -> u64 {
        self.lock().max()
    }

    /// The mean, µs; 0 when empty.
    #[getter]
    fn mean(&self) -> f64 {
        self.lock().mean()
    }

    /// The value, µs, at or below which q percent (0 to 100) of the samples lie; 0 when empty.
    fn percentile(&self, q: f64) -> u64 {
        self.lock().percentile(q)
    }

    /// The percentiles of an array of q, as an array.
    fn percentiles<'py>(&self, py: Python<'py>, q: PyReadonlyArray1<'py, f64>) -> Bound<'py, PyArray1<i64>> {
        let histogram = self.lock();
        PyArray1::from_vec(py, q.as_array().iter().map(|&q| histogram.percentile(q) as i64).collect())
    }

    /// The recorded values, µs (the upper end of each bucket), and how often each came, as two arrays.
    fn counts<'py>(&self, py: Python<'py>) -> Arrays<'py> {
        let (values, counts) = self.lock().buckets();
        (PyArray1::from_vec(py, values), PyArray1::from_vec(py, counts))
    }

    /// The same as a table: value_us, count, and percentile, the share of samples at or below value_us in percent.
    fn table(&self) -> PyResult<Table> {
        let (values, counts) = self.lock().buckets();
        let total = counts.iter().sum::<u64>() as f64;
        let mut below = 0;
        let shares = counts.iter().map(|count| {
            below += count;
            below as f64 / total * 100.0
        });
        let shares: Vec<f64> = shares.collect();
        Table::of(vec![
            ("value_us".to_owned(), Arc::new(Int64Array::from(values))),
            ("count".to_owned(), Arc::new(UInt64Array::from(counts))),
            ("percentile".to_owned(), Arc::new(Float64Array::from(shares))),
        ])
    }

    /// The samples in HdrHistogram's V2 form, deflated.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.lock().to_bytes())
    }

    /// Read a histogram in HdrHistogram's V2 form. ValueError when it is none.
    #[staticmethod]
    fn from_bytes(data: &[u8]) -> PyResult<Self> {
        Ok(Self::of(histogram::Histogram::from_bytes(data)?))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        let (py, this) = (slf.py(), slf.get());
        let rebuild = slf.get_type().getattr("from_bytes")?;
        let bounds = (this.min(), this.max());
        Ok((rebuild, (this.to_bytes(py),), bounds))
    }

    fn __setstate__(&self, bounds: (u64, u64)) {
        let mut histogram = self.lock();
        if histogram.count() > 0 {
            histogram.set_bounds(bounds.0, bounds.1);
        }
    }

    fn __eq__(&self, other: &Self) -> bool {
        let other = other.lock().clone();
        *self.lock() == other
    }

    fn __repr__(&self) -> String {
        let histogram = self.lock();
        format!(
            "<Histogram count={} min={} p50={} p99={} max={} µs>",
            histogram.count(),
            histogram.min(),
            histogram.percentile(50.0),
            histogram.percentile(99.0),
            histogram.max()
        )
    }
}

/// Read an interval log (.hlog, V2): a list of (start, length, histogram), both times in µs, the start since the epoch.
#[pyfunction]
#[pyo3(signature = (path))]
pub(super) fn read_interval_log(py: Python<'_>, path: PathBuf) -> PyResult<Vec<(i64, i64, Histogram)>> {
    let intervals = py.detach(|| interval_log::read(&path))?;
    Ok(intervals
        .into_iter()
        .map(|interval| (interval.start_us, interval.length_us, Histogram::of(interval.histogram)))
        .collect())
}

/// Write an interval log (.hlog, V2) of consecutive intervals: (length in µs, histogram). OSError when it cannot.
#[pyfunction]
#[pyo3(signature = (path, start_us, intervals))]
pub(super) fn write_interval_log(
    py: Python<'_>,
    path: PathBuf,
    start_us: i64,
    intervals: Vec<(i64, Bound<'_, Histogram>)>,
) -> PyResult<()> {
    let copies: Vec<(histogram::Histogram, i64)> =
        intervals.iter().map(|(length_us, histogram)| (histogram.get().lock().clone(), *length_us)).collect();
    let log = IntervalLog { path: &path, from_us: start_us };
    Ok(py.detach(|| log.write(copies.iter().map(|(histogram, length_us)| (histogram, *length_us))))?)
}
