//! `LatencyConsumer`, its snapshot and its report.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use super::convert;
use super::errors::RtmbenchError;
use super::histogram::Histogram;
use super::wait::{Owner, awaitable, duration, sleep_unless, until_done, wait_for};
use crate::error::Error;
use crate::event::TimestampField;
use crate::generate::Shard;
use crate::measure::{self, TimestampSource};
use crate::stamp::StampPath;
use crate::stop::Stop;

type Report = measure::ConsumerReport;

/// Receives a topic, times each record on receipt, and writes the receipts to a spool. Use it once.
#[pyclass(frozen, module = "rtmbench._core")]
pub(super) struct LatencyConsumer {
    inner: Arc<measure::LatencyConsumer>,
    owner: Owner,
}

#[pymethods]
impl LatencyConsumer {
    #[new]
    #[pyo3(signature = (config, topic, *, spool=None, timestamp_field="scheduled_at_us", fallback_field=None,
                        timestamp_header=None, kafka_timestamp=false, threads=1, from_end=false, hlog=None, shard=None,
                        clock_offset_us=0))]
    #[expect(clippy::too_many_arguments, reason = "the settings are keyword-only on the Python side")]
    fn new(
        config: &Bound<'_, PyAny>,
        topic: String,
        spool: Option<PathBuf>,
        timestamp_field: &str,
        fallback_field: Option<&str>,
        timestamp_header: Option<&str>,
        kafka_timestamp: bool,
        threads: usize,
        from_end: bool,
        hlog: Option<PathBuf>,
        shard: Option<(u32, u32)>,
        clock_offset_us: i64,
    ) -> PyResult<Self> {
        let field = |path: &str| StampPath::new(path).map(|path| TimestampField::detected(&path));
        let timestamp = match (timestamp_header, kafka_timestamp) {
            (None, false) => TimestampSource::Field(field(timestamp_field)?),
            (Some(name), false) => TimestampSource::header(name)?,
            (None, true) => TimestampSource::Kafka,
            (Some(_), true) => {
                return Err(Error::Invalid("give timestamp_header or kafka_timestamp".to_owned()).into());
            }
        };
        let settings = measure::ConsumerSettings {
            config: convert::config(config)?,
            topic,
            spool,
            timestamp,
            fallback: fallback_field.map(field).transpose()?,
            from_end,
            threads,
            interval_log: hlog,
            shard: shard.map(|(number, of)| Shard::new(number, of)).transpose()?,
            clock_offset_us,
        };
        let inner = Arc::new(measure::LatencyConsumer::new(settings)?);
        Ok(Self { inner, owner: Owner::here() })
    }

    /// Start; return once every partition is being fetched. KafkaError after 30 s.
    fn start(&self, py: Python<'_>) -> PyResult<()> {
        self.owner.check()?;
        let (inner, interrupted) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        wait_for(py, move || interrupted.stop(), move || inner.start())
    }

    /// `start()` for asyncio. A cancellation stops the consumer.
    fn start_async<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.owner.check()?;
        let (inner, cancelled) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        awaitable(py, move || cancelled.stop(), move || inner.start(), |_, ()| Ok(()))
    }

    /// Ask for the end, from any thread; receipts are then written to the spool.
    fn stop(&self) -> PyResult<()> {
        self.owner.check()?;
        self.inner.stop();
        Ok(())
    }

    /// Wait until the consumer was stopped and all receipts are on disk; return the report.
    #[pyo3(signature = (timeout_s=None))]
    fn join(&self, py: Python<'_>, timeout_s: Option<f64>) -> PyResult<ConsumerReport> {
        let (given_up, join) = self.joining(timeout_s)?;
        ConsumerReport::of(py, wait_for(py, move || given_up.set(), join)?)
    }

    /// `join()` for asyncio. A cancellation ends the waiting; the consumer still runs.
    #[pyo3(signature = (timeout_s=None))]
    fn join_async<'py>(&self, py: Python<'py>, timeout_s: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let (given_up, join) = self.joining(timeout_s)?;
        awaitable(py, move || given_up.set(), join, ConsumerReport::of)
    }

    /// start(), receive for duration_s or until stop(), join(). An interrupt stops the consumer.
    fn run(&self, py: Python<'_>, duration_s: f64) -> PyResult<ConsumerReport> {
        self.owner.check()?;
        let length = duration(duration_s)?;
        let (inner, interrupted) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        ConsumerReport::of(py, wait_for(py, move || interrupted.stop(), move || run(&inner, length))?)
    }

    /// `run()` for asyncio. A cancellation stops the consumer.
    fn run_async<'py>(&self, py: Python<'py>, duration_s: f64) -> PyResult<Bound<'py, PyAny>> {
        self.owner.check()?;
        let length = duration(duration_s)?;
        let (inner, cancelled) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        awaitable(py, move || cancelled.stop(), move || run(&inner, length), ConsumerReport::of)
    }

    /// The counters and live percentiles now.
    fn snapshot(&self, py: Python<'_>) -> PyResult<ConsumerSnapshot> {
        self.owner.check()?;
        Ok(ConsumerSnapshot(py.detach(|| self.inner.snapshot())))
    }

    /// Return the first malformed records so far: where, why, and what they look like.
    fn malformed_samples(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.owner.check()?;
        Ok(py.detach(|| self.inner.malformed_samples()))
    }

    /// Return the units of the time stamps until now and how often each occurred, the most frequent first.
    fn units(&self, py: Python<'_>) -> PyResult<Vec<(&'static str, u64)>> {
        self.owner.check()?;
        Ok(py.detach(|| self.inner.units()).named())
    }

    /// Return what the time stamps until now are good to, µs; None without any.
    fn resolution_us(&self, py: Python<'_>) -> PyResult<Option<i64>> {
        self.owner.check()?;
        Ok(py.detach(|| self.inner.units()).resolution_us())
    }

    /// Return how far time stamps were ahead of their receipt, µs, since the start or the last reset_live().
    fn ahead(&self, py: Python<'_>) -> PyResult<Histogram> {
        self.owner.check()?;
        Ok(Histogram::of(py.detach(|| self.inner.ahead())))
    }

    /// Return the latencies since the live percentiles were started afresh, and start them afresh.
    fn take_live(&self, py: Python<'_>) -> PyResult<Histogram> {
        self.owner.check()?;
        Ok(Histogram::of(py.detach(|| self.inner.take_live())))
    }

    /// Start the live percentiles and ahead() afresh.
    fn reset_live(&self, py: Python<'_>) -> PyResult<()> {
        self.owner.check()?;
        py.detach(|| self.inner.reset_live());
        Ok(())
    }
}

impl LatencyConsumer {
    /// What a `join` does, and the flag that makes it give up.
    fn joining(
        &self,
        timeout_s: Option<f64>,
    ) -> PyResult<(Stop, impl FnOnce() -> PyResult<Report> + Send + 'static)> {
        self.owner.check()?;
        if !self.inner.is_started() {
            return Err(RtmbenchError::new_err("this consumer was not started: call start() first"));
        }
        let timeout = timeout_s.map(duration).transpose()?;
        let (inner, stop) = (Arc::clone(&self.inner), Stop::new());
        let given_up = stop.clone();
        Ok((stop, move || until_done(timeout, "the consumer", &given_up, |slice| inner.wait(slice))))
    }
}

fn run(consumer: &measure::LatencyConsumer, length: Duration) -> PyResult<Report> {
    consumer.start()?;
    sleep_unless(length, || consumer.is_stopping());
    consumer.stop();
    until_done(None, "the consumer", &Stop::new(), |slice| consumer.wait(slice))
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
    fallback: u64,
    appended: u64,
    min_us: i64,
    ahead: Py<Histogram>,
    units: Vec<(&'static str, u64)>,
    resolution_us: Option<i64>,
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
            fallback: report.fallback,
            appended: report.appended,
            min_us: report.min_us,
            ahead: Py::new(py, Histogram::of(report.ahead))?,
            units: report.units.named(),
            resolution_us: report.units.resolution_us(),
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
