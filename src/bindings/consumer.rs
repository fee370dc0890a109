//! `LatencyConsumer`, its snapshot and its report.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use pyo3::prelude::*;

use super::convert;
use super::errors::RtmbenchError;
use super::histogram::Histogram;
use super::wait::{Owner, duration, wait_for, wait_until};
use crate::event::TimestampField;
use crate::measure;

/// Receives a topic, times each record on receipt, and writes the receipts to a spool. Use it once.
#[pyclass(frozen, module = "rtmbench._core")]
pub(super) struct LatencyConsumer {
    inner: Arc<measure::LatencyConsumer>,
    report: Mutex<Option<Py<ConsumerReport>>>,
    owner: Owner,
}

#[pymethods]
impl LatencyConsumer {
    #[new]
    #[pyo3(signature = (config, topic, *, spool=None, timestamp_field="scheduled_at_us", threads=1,
                        hlog=None))]
    fn new(
        config: &Bound<'_, PyAny>,
        topic: String,
        spool: Option<PathBuf>,
        timestamp_field: &str,
        threads: usize,
        hlog: Option<PathBuf>,
    ) -> PyResult<Self> {
        let settings = measure::ConsumerSettings {
            config: convert::config(config)?,
            topic,
            spool,
            timestamp: TimestampField::new(timestamp_field),
            threads,
            interval_log: hlog,
        };
        let inner = Arc::new(measure::LatencyConsumer::new(settings)?);
        Ok(Self { inner, report: Mutex::new(None), owner: Owner::here() })
    }

    /// Start; return once every partition is being fetched from offset 0. KafkaError after 30 s.
    fn start(&self, py: Python<'_>) -> PyResult<()> {
        self.owner.check()?;
        let (inner, interrupted) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        wait_for(py, move || interrupted.stop(), move || inner.start())
    }

    /// Ask for the end, from any thread; receipts are then written to the spool.
    fn stop(&self) -> PyResult<()> {
        self.owner.check()?;
        self.inner.stop();
        Ok(())
    }

    /// Wait until the consumer was stopped and all receipts are on disk; return the report.
    #[pyo3(signature = (timeout_s=None))]
    fn join(&self, py: Python<'_>, timeout_s: Option<f64>) -> PyResult<Py<ConsumerReport>> {
        self.owner.check()?;
        if !self.inner.is_started() {
            return Err(RtmbenchError::new_err("this consumer was not started: call start() first"));
        }
        let report = wait_until(py, timeout_s, "the consumer", |slice| self.inner.wait(slice))??;
        let mut known = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = Some(Py::new(py, ConsumerReport::of(py, report)?)?);
        }
        known
            .as_ref()
            .map(|report| report.clone_ref(py))
            .ok_or_else(|| RtmbenchError::new_err("the report is gone: this is a bug"))
    }

    /// start(), receive for duration_s or until stop(), join(). An interrupt stops the consumer.
    fn run(&self, py: Python<'_>, duration_s: f64) -> PyResult<Py<ConsumerReport>> {
        let length = duration(duration_s)?;
        self.start(py)?;
        let until = Instant::now() + length;
        let ended = wait_until(py, None, "the consumer", |slice| {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.inner.is_stopping() {
                return Some(());
            }
            std::thread::sleep(left.min(slice));
            None
        });
        self.inner.stop();
        ended?;
        self.join(py, None)
    }

    /// The counters and live percentiles now.
    fn snapshot(&self, py: Python<'_>) -> PyResult<ConsumerSnapshot> {
        self.owner.check()?;
        Ok(ConsumerSnapshot(py.detach(|| self.inner.snapshot())))
    }

    /// Start the live percentiles afresh.
    fn reset_live(&self, py: Python<'_>) -> PyResult<()> {
        self.owner.check()?;
        py.detach(|| self.inner.reset_live());
        Ok(())
    }
}

/// Counters and live percentiles of a running consumer.
#[pyclass(frozen, module = "rtmbench._core")]
pub(super) struct ConsumerSnapshot(measure::ConsumerSnapshot);

#[pymethods]
impl ConsumerSnapshot {
    #[getter]
    fn received(&self) -> u64 {
        self.0.received
    }

    #[getter]
    fn malformed(&self) -> u64 {
        self.0.malformed
    }

    #[getter]
    fn negative(&self) -> u64 {
        self.0.negative
    }

    #[getter]
    fn live_count(&self) -> u64 {
        self.0.live_count
    }

    #[getter]
    fn p50_us(&self) -> u64 {
        self.0.p50_us
    }

    #[getter]
    fn p99_us(&self) -> u64 {
        self.0.p99_us
    }

    #[getter]
    fn p99_9_us(&self) -> u64 {
        self.0.p99_9_us
    }

    #[getter]
    fn newest_received_us(&self) -> i64 {
        self.0.newest_received_us
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0).replace(": ", "=").replace(" {", "(").replace(" }", ")")
    }
}

/// What a consumer received.
#[pyclass(frozen, get_all, module = "rtmbench._core")]
pub(super) struct ConsumerReport {
    received: u64,
    malformed: u64,
    negative: u64,
    malformed_samples: Vec<String>,
    latency: Py<Histogram>,
    partitions: Vec<u64>,
}

impl ConsumerReport {
    fn of(py: Python<'_>, report: measure::ConsumerReport) -> PyResult<Self> {
        Ok(Self {
            received: report.received,
            malformed: report.malformed,
            negative: report.negative,
            malformed_samples: report.malformed_samples,
            latency: Py::new(py, Histogram::of(report.latency))?,
            partitions: report.partitions,
        })
    }
}

#[pymethods]
impl ConsumerReport {
    fn __repr__(&self) -> String {
        format!(
            "<ConsumerReport received={} malformed={} negative={}>",
            self.received, self.malformed, self.negative
        )
    }
}
