//! `TopicDiff`, its snapshot and its report.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;

use super::convert;
use super::errors::RtmbenchError;
use super::histogram::Histogram;
use super::wait::{Owner, awaitable, duration, until_done, wait_for};
use crate::diff::fields::Fields;
use crate::diff::{self, Position};
use crate::stop::Stop;

/// Where a record is: partition, offset, and the time that Kafka keeps of it, µs since the Unix epoch.
type Place = (i32, i64, i64);
/// Kind, the two places, and the two records as text.
type Example = (&'static str, Option<Place>, Option<Place>, Option<String>, Option<String>);

/// Compares two topics that must hold the same results. Use it once.
#[pyclass(frozen, module = "rtmbench._core")]
pub(super) struct TopicDiff {
    inner: Arc<diff::TopicDiff>,
    owner: Owner,
}

#[pymethods]
impl TopicDiff {
    #[new]
    #[pyo3(signature = (config, topic_a, topic_b, *, key, window=None, ignore=Vec::new(), digits=None, last=false,
                        lag_s=Some(30.0), from_beginning=false, once=false, memory_mb=512, examples=5, state=None),
           text_signature = "(config, topic_a, topic_b, *, key, window=None, ignore=(), digits=None, last=False, \
                             lag_s=30.0, from_beginning=False, once=False, memory_mb=512, examples=5, state=None)")]
    #[expect(clippy::too_many_arguments, reason = "the settings are keyword-only on the Python side")]
    fn new(
        config: &Bound<'_, PyAny>,
        topic_a: String,
        topic_b: String,
        key: Vec<String>,
        window: Option<&str>,
        ignore: Vec<String>,
        digits: Option<u32>,
        last: bool,
        lag_s: Option<f64>,
        from_beginning: bool,
        once: bool,
        memory_mb: u32,
        examples: usize,
        state: Option<PathBuf>,
    ) -> PyResult<Self> {
        let inner = diff::TopicDiff::new(diff::DiffSettings {
            config: convert::config(config)?,
            topics: [topic_a, topic_b],
            fields: Fields::new(&key, window, &ignore, digits)?,
            last,
            lag: lag_s.map(duration).transpose()?,
            from_beginning,
            once,
            memory_bytes: u64::from(memory_mb) << 20,
            examples,
            state,
        })?;
        Ok(Self { inner: Arc::new(inner), owner: Owner::here() })
    }

    /// Open both topics and start. KafkaError when one does not exist or no broker answers within 30 s.
    fn start(&self, py: Python<'_>) -> PyResult<()> {
        self.owner.check()?;
        let (inner, interrupted) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        wait_for(py, move || interrupted.stop(), move || inner.start())
    }

    /// `start()` for asyncio. A cancellation stops the comparison.
    fn start_async<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.owner.check()?;
        let (inner, cancelled) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        awaitable(py, move || cancelled.stop(), move || inner.start(), |_, ()| Ok(()))
    }

    /// Ask for the end, from any thread.
    fn stop(&self) -> PyResult<()> {
        self.owner.check()?;
        self.inner.stop();
        Ok(())
    }

    /// Wait for the end; return the report.
    #[pyo3(signature = (timeout_s=None))]
    fn join(&self, py: Python<'_>, timeout_s: Option<f64>) -> PyResult<DiffReport> {
        let (given_up, join) = self.joining(timeout_s)?;
        DiffReport::of(py, wait_for(py, move || given_up.set(), join)?)
    }

    /// `join()` for asyncio. A cancellation ends the waiting; the comparison goes on.
    #[pyo3(signature = (timeout_s=None))]
    fn join_async<'py>(&self, py: Python<'py>, timeout_s: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let (given_up, join) = self.joining(timeout_s)?;
        awaitable(py, move || given_up.set(), join, DiffReport::of)
    }

    /// The counts now.
    fn snapshot(&self) -> PyResult<DiffCounts> {
        self.owner.check()?;
        Ok(DiffCounts::of(self.inner.snapshot()))
    }
}

impl TopicDiff {
    /// What a `join` does, and the flag that makes it give up.
    fn joining(
        &self,
        timeout_s: Option<f64>,
    ) -> PyResult<(Stop, impl FnOnce() -> PyResult<diff::DiffReport> + Send + 'static)> {
        self.owner.check()?;
        if !self.inner.is_started() {
            return Err(RtmbenchError::new_err("this comparison was not started: call start() first"));
        }
        let timeout = timeout_s.map(duration).transpose()?;
        let (inner, stop) = (Arc::clone(&self.inner), Stop::new());
        let given_up = stop.clone();
        Ok((stop, move || until_done(timeout, "the comparison", &given_up, |slice| inner.wait(slice))))
    }
}

/// The counts of a comparison.
#[pyclass(frozen, get_all, module = "rtmbench._core")]
pub(super) struct DiffCounts {
    read: (u64, u64),
    malformed: (u64, u64),
    matched: i64,
    late: i64,
    different: i64,
    missing: (i64, i64),
    duplicates: (i64, i64),
    undecided: i64,
    differences: i64,
    waiting: u64,
    reached_us: (i64, i64),
    at_end: (bool, bool),
}

impl DiffCounts {
    fn of(counts: diff::DiffSnapshot) -> Self {
        let tally = counts.tally;
        Self {
            read: counts.read.into(),
            malformed: counts.malformed.into(),
            matched: tally.matched,
            late: tally.late,
            different: tally.different,
            missing: tally.missing.into(),
            duplicates: tally.duplicates.into(),
            undecided: tally.undecided,
            differences: tally.differences(),
            waiting: counts.waiting,
            reached_us: counts.reached_us.into(),
            at_end: counts.at_end.into(),
        }
    }
}

#[pymethods]
impl DiffCounts {
    fn __repr__(&self) -> String {
        format!(
            "<DiffCounts matched={} differences={} waiting={}>",
            self.matched, self.differences, self.waiting
        )
    }
}

/// What was compared, and what differs.
#[pyclass(frozen, get_all, module = "rtmbench._core")]
pub(super) struct DiffReport {
    counts: Py<DiffCounts>,
    b_later: Py<Histogram>,
    a_later: Py<Histogram>,
    examples: Vec<Example>,
    malformed_samples: (Vec<String>, Vec<String>),
    created: (u64, u64),
    appended: (u64, u64),
    resumed: bool,
}

impl DiffReport {
    fn of(py: Python<'_>, report: diff::DiffReport) -> PyResult<Self> {
        let place = |position: Position| (position.partition, position.offset, position.at_us);
        let examples = report.examples.into_iter().map(|shown| {
            let [a, b] = shown.example.positions;
            let [record_a, record_b] = shown.records;
            (shown.example.kind.name(), a.map(place), b.map(place), record_a, record_b)
        });
        let [a, b] = report.times;
        Ok(Self {
            counts: Py::new(py, DiffCounts::of(report.counts))?,
            b_later: Py::new(py, Histogram::of(report.distances.b_later))?,
            a_later: Py::new(py, Histogram::of(report.distances.a_later))?,
            examples: examples.collect(),
            malformed_samples: report.malformed_samples.into(),
            created: (a[0], b[0]),
            appended: (a[1], b[1]),
            resumed: report.resumed,
        })
    }
}

#[pymethods]
impl DiffReport {
    fn __repr__(&self) -> String {
        self.counts.get().__repr__().replace("DiffCounts", "DiffReport")
    }
}
