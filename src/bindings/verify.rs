//! `verify()` and the `Verdict`.

use std::path::PathBuf;
use std::sync::Arc;

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::convert;
use super::histogram::Histogram;
use super::signed_histogram::SignedHistogram;
use super::wait::twins;
use super::workload::Workload;
use crate::oracle;
use crate::stop::Stop;

twins! {
    /// Read both topics whole after the drain, judge the output, and join it with the spooled receipts.
    #[pyo3(signature = (pattern, config, *, input_topic, output_topic, spool, workload, measure, deadline_us,
                        emit="row", window_ms=None, slide_ms=None, watermark_delay_ms=10_000, restarts=Vec::new(),
                        hlog=None, close_hlog=None, offending_limit=20, cycles=None),
           text_signature = "(pattern, config, *, input_topic, output_topic, spool, workload, measure, deadline_us, \
                             emit='row', window_ms=None, slide_ms=None, watermark_delay_ms=10000, restarts=(), \
                             hlog=None, close_hlog=None, offending_limit=20, cycles=None)")]
    #[expect(clippy::too_many_arguments, reason = "the settings are keyword-only on the Python side")]
    fn verify and verify_async by wait(
        py: Python<'py>,
        pattern: &str,
        config: &Bound<'py, PyAny>,
        input_topic: String,
        output_topic: String,
        spool: PathBuf,
        workload: &Workload,
        measure: (i64, i64),
        deadline_us: i64,
        emit: &str,
        window_ms: Option<i64>,
        slide_ms: Option<i64>,
        watermark_delay_ms: i64,
        restarts: Vec<(i64, i64)>,
        hlog: Option<PathBuf>,
        close_hlog: Option<PathBuf>,
        offending_limit: usize,
        cycles: Option<Vec<i64>>,
    ) {
        let settings = oracle::VerifySettings {
            rules: oracle::Rules::of(pattern, emit, window_ms, slide_ms, watermark_delay_ms)?,
            config: convert::config(config)?,
            input_topic,
            output_topic,
            spool,
            scope: oracle::Scope { measure, restarts, cycles: cycles.unwrap_or_default(), offending_limit },
            deadline_us,
            interval_log: hlog,
            close_log: close_hlog,
        };
        let (workload, stop) = (Arc::clone(&workload.0), Stop::new());
        let seen = stop.clone();
        wait(py, move || stop.set(), move || oracle::verify(&settings, &workload, &seen), Verdict::of)
    }
}

/// How many outputs the events first .. first + count of a workload ask for under a pattern.
#[pyfunction]
#[pyo3(signature = (pattern, workload, *, first, count, emit="row", window_ms=None, slide_ms=None))]
#[expect(clippy::too_many_arguments, reason = "the settings are keyword-only on the Python side")]
pub(super) fn expected_outputs(
    py: Python<'_>,
    pattern: &str,
    workload: &Workload,
    first: u64,
    count: u64,
    emit: &str,
    window_ms: Option<i64>,
    slide_ms: Option<i64>,
) -> PyResult<Option<u64>> {
    let rules = oracle::Rules::of(pattern, emit, window_ms, slide_ms, 0)?;
    Ok(py.detach(|| rules.expected_outputs(&workload.0, first, count)))
}

/// What the oracle found in one trial. Counts cover the whole trial, figures the measuring phase.
#[pyclass(frozen, module = "rtmbench._core")]
pub(super) struct Verdict {
    inner: oracle::Verdict,
    latency: Py<Histogram>,
    close_latency: Option<Py<Histogram>>,
    halves: (Py<Histogram>, Py<Histogram>),
}

impl Verdict {
    pub(super) fn of(py: Python<'_>, verdict: oracle::Verdict) -> PyResult<Self> {
        let python = |histogram: &crate::histogram::Histogram| Py::new(py, Histogram::of(histogram.clone()));
        Ok(Self {
            latency: python(&verdict.latency)?,
            close_latency: verdict.close_latency.as_ref().map(python).transpose()?,
            halves: (python(&verdict.halves.0)?, python(&verdict.halves.1)?),
            inner: verdict,
        })
    }
}

#[pymethods]
impl Verdict {
    /// produced, late (of these), expected, received, missing, unexpected, wrong, duplicate, late_dropped (always 0 here).
    #[getter]
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = self.inner.counts;
        let dict = PyDict::new(py);
        for (name, count) in [
            ("produced", counts.produced),
            ("late", counts.late),
            ("expected", counts.expected),
            ("received", counts.received),
            ("missing", counts.missing),
            ("unexpected", counts.unexpected),
            ("wrong", counts.wrong),
            ("duplicate", counts.duplicate),
            ("late_dropped", 0),
        ] {
            dict.set_item(name, count)?;
        }
        Ok(dict)
    }

    /// Bytes of the values in the input topic.
    #[getter]
    fn input_bytes(&self) -> u64 {
        self.inner.input_bytes
    }

    /// Bytes of the values in the output topic.
    #[getter]
    fn output_bytes(&self) -> u64 {
        self.inner.output_bytes
    }

    /// Input partitions that hold expected events of which none is covered.
    #[getter]
    fn unread_partitions(&self) -> Vec<i32> {
        self.inner.unread_partitions.clone()
    }

    /// Of the duplicates, those that a restart excuses.
    #[getter]
    fn legal_duplicates(&self) -> u64 {
        self.inner.legal_duplicates
    }

    /// Whether the output was exactly what the input asks for, but for excused repetitions.
    #[getter]
    fn correct(&self) -> bool {
        self.inner.is_correct()
    }

    /// Update latency, µs: one sample per expected event (and window); censored ones at the deadline.
    #[getter]
    fn latency(&self, py: Python<'_>) -> Py<Histogram> {
        self.latency.clone_ref(py)
    }

    /// Close latency, µs: one sample per window, receipt of its last key minus (window end + watermark delay).
    #[getter]
    fn close_latency(&self, py: Python<'_>) -> Option<Py<Histogram>> {
        self.close_latency.as_ref().map(|histogram| histogram.clone_ref(py))
    }

    /// How many windows the close latency is of.
    #[getter]
    fn close_windows(&self) -> u64 {
        self.inner.close_latency.as_ref().map_or(0, crate::histogram::Histogram::count)
    }

    /// Samples that are only known to be at least what is recorded.
    #[getter]
    fn censored(&self) -> u64 {
        self.inner.censored
    }

    /// The least latency, µs, unclamped; 0 without samples.
    #[getter]
    fn min_us(&self) -> i64 {
        self.inner.min_us
    }

    /// The greatest latency, µs, unclamped; 0 without samples.
    #[getter]
    fn max_us(&self) -> i64 {
        self.inner.max_us
    }

    /// Samples below 0, recorded as 1 µs.
    #[getter]
    fn negative(&self) -> u64 {
        self.inner.negative
    }

    /// Whether percentile q (0 to 100) reaches a censored sample: then it is a lower bound, shown with ≥.
    fn ge(&self, q: f64) -> bool {
        self.inner.ge(q)
    }

    /// The latencies of events intended for the first and for the second half of the measuring phase, in whole cycles.
    #[getter]
    fn halves(&self, py: Python<'_>) -> (Py<Histogram>, Py<Histogram>) {
        (self.halves.0.clone_ref(py), self.halves.1.clone_ref(py))
    }

    /// Share of the measuring time in which nothing came out for over 100 ms although input waited.
    #[getter]
    fn stall_share(&self) -> f64 {
        self.inner.stall_share
    }

    /// The greatest such share of a single input partition, of its own input and outputs.
    #[getter]
    fn stall_share_worst_partition(&self) -> f64 {
        self.inner.stall_share_worst_partition
    }

    /// The longest such stall, µs.
    #[getter]
    fn stall_max_us(&self) -> i64 {
        self.inner.stall_max_us
    }

    /// Times without output although input waited: arrays from_us (since the measuring phase began), length_us.
    #[getter]
    fn stalls<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stalls = &self.inner.stalls;
        let dict = PyDict::new(py);
        dict.set_item("from_us", PyArray1::from_iter(py, stalls.iter().map(|stall| stall.from_us)))?;
        dict.set_item("length_us", PyArray1::from_iter(py, stalls.iter().map(|stall| stall.length_us)))?;
        Ok(dict)
    }

    /// The samples above p99: arrays scheduled_us (since the measuring phase began), latency_us.
    #[getter]
    fn tail<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tail = &self.inner.tail;
        let dict = PyDict::new(py);
        dict.set_item(
            "scheduled_us",
            PyArray1::from_iter(py, tail.iter().map(|sample| sample.scheduled_us)),
        )?;
        dict.set_item("latency_us", PyArray1::from_iter(py, tail.iter().map(|sample| sample.latency_us)))?;
        Ok(dict)
    }

    /// By hop, in µs, signed; append times have a resolution of 1 ms. Empty unless the topics keep LogAppendTime.
    #[getter]
    fn hops<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, histogram) in self.inner.hops.named() {
            dict.set_item(name, Py::new(py, SignedHistogram::of(histogram.clone()))?)?;
        }
        Ok(dict)
    }

    /// Each second of the measuring phase: arrays second, count, p50_us, p99_us, max_us, backlog.
    #[getter]
    fn seconds<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let seconds = &self.inner.seconds;
        let column = |of: &dyn Fn(&oracle::Second) -> i64| PyArray1::from_iter(py, seconds.iter().map(of));
        let dict = PyDict::new(py);
        dict.set_item("second", column(&|second| second.second))?;
        dict.set_item("count", column(&|second| second.count as i64))?;
        dict.set_item("p50_us", column(&|second| second.p50_us as i64))?;
        dict.set_item("p99_us", column(&|second| second.p99_us as i64))?;
        dict.set_item("max_us", column(&|second| second.max_us as i64))?;
        dict.set_item("backlog", column(&|second| second.backlog))?;
        Ok(dict)
    }

    /// Each cycle: arrays from_us, to_us (since the measuring phase began), count, p50_us, p95_us, p99_us, max_us.
    #[getter]
    fn cycles<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let cycles = self.inner.cycles.each();
        let column = |of: &dyn Fn(&oracle::Cycle) -> i64| PyArray1::from_iter(py, cycles.iter().map(of));
        let dict = PyDict::new(py);
        dict.set_item("from_us", column(&|cycle| cycle.from_us))?;
        dict.set_item("to_us", column(&|cycle| cycle.to_us))?;
        dict.set_item("count", column(&|cycle| cycle.count as i64))?;
        dict.set_item("p50_us", column(&|cycle| cycle.p50_us as i64))?;
        dict.set_item("p95_us", column(&|cycle| cycle.p95_us as i64))?;
        dict.set_item("p99_us", column(&|cycle| cycle.p99_us as i64))?;
        dict.set_item("max_us", column(&|cycle| cycle.max_us as i64))?;
        Ok(dict)
    }

    /// The interval [low, high], µs, of each percentile (0 to 100), from resampling whole cycles; None where
    /// fewer than 5 cycles reach the percentile. ValueError for settings out of their range.
    #[pyo3(signature = (percentiles, *, resamples=1000, seed=1, confidence=0.95))]
    fn intervals(
        &self,
        py: Python<'_>,
        percentiles: Vec<f64>,
        resamples: u32,
        seed: u64,
        confidence: f64,
    ) -> PyResult<Vec<Option<(i64, i64)>>> {
        let resampling = oracle::Resampling { resamples, seed, confidence };
        Ok(py.detach(|| self.inner.cycles.intervals(&percentiles, &resampling))?)
    }

    /// The first offending records: dicts of kind, partition, offset, detail, record.
    #[getter]
    fn offending<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for offence in &self.inner.offending {
            let dict = PyDict::new(py);
            dict.set_item("kind", offence.kind)?;
            dict.set_item("partition", offence.partition)?;
            dict.set_item("offset", offence.offset)?;
            dict.set_item("detail", &offence.detail)?;
            dict.set_item("record", &offence.record)?;
            list.append(dict)?;
        }
        Ok(list)
    }

    fn __repr__(&self) -> String {
        let counts = self.inner.counts;
        format!(
            "<Verdict expected={} missing={} unexpected={} wrong={} duplicate={} p50={} p99={} µs>",
            counts.expected,
            counts.missing,
            counts.unexpected,
            counts.wrong,
            counts.duplicate,
            self.inner.latency.percentile(50.0),
            self.inner.latency.percentile(99.0)
        )
    }
}
