//! `Generator`, its snapshot and its report.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;

use super::convert;
use super::errors::RtmbenchError;
use super::histogram::Histogram;
use super::schedule::Schedule;
use super::wait::{Owner, awaitable, duration, until_done, wait_for};
use super::workload::Workload;
use crate::clock::Precision;
use crate::stop::Stop;
use crate::{Error, generate};

type Report = Arc<generate::GeneratorReport>;

/// An open-loop load generator: workload and schedule into one existing topic. Use it once.
#[pyclass(frozen, module = "rtmbench._core")]
pub(super) struct Generator {
    inner: Arc<generate::Generator>,
    owner: Owner,
}

#[pymethods]
impl Generator {
    #[new]
    #[pyo3(signature = (config, topic, workload, schedule, *, count=None, duration_s=None, first_index=0,
                        start_us=None, measure=None, precision="default", spin_share=None, shard=None, slip_log=None))]
    #[expect(clippy::too_many_arguments, reason = "the settings are keyword-only on the Python side")]
    fn new(
        config: &Bound<'_, PyAny>,
        topic: String,
        workload: &Workload,
        schedule: &Schedule,
        count: Option<u64>,
        duration_s: Option<f64>,
        first_index: u64,
        start_us: Option<i64>,
        measure: Option<(i64, i64)>,
        precision: &str,
        spin_share: Option<f64>,
        shard: Option<(u32, u32)>,
        slip_log: Option<PathBuf>,
    ) -> PyResult<Self> {
        let precision = Precision::named(precision).ok_or_else(|| {
            Error::Invalid(format!("precision must be \"low\", \"default\" or \"high\", not {precision:?}"))
        })?;
        let precision = spin_share.map_or(Ok(precision), |share| precision.with_spin_share(share))?;
        let settings = generate::GeneratorSettings {
            config: convert::config(config)?,
            topic,
            workload: Arc::clone(&workload.0),
            schedule: schedule.0.clone(),
            count,
            duration: duration_s.map(duration).transpose()?,
            first_index,
            start_us,
            measure,
            precision,
            shard: shard.map(|(number, of)| generate::Shard::new(number, of)).transpose()?,
            slip_log,
        };
        let inner = Arc::new(generate::Generator::new(settings)?);
        Ok(Self { inner, owner: Owner::here() })
    }

    /// Connect and start. KafkaError when the topic is missing or the brokers do not answer within 30 s.
    fn start(&self, py: Python<'_>) -> PyResult<()> {
        self.owner.check()?;
        let (inner, interrupted) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        wait_for(py, move || interrupted.stop(), move || inner.start())
    }

    /// `start()` for asyncio. A cancellation stops the generator.
    fn start_async<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.owner.check()?;
        let (inner, cancelled) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        awaitable(py, move || cancelled.stop(), move || inner.start(), |_, ()| Ok(()))
    }

    /// Let the measuring window begin at from_us, µs since the Unix epoch, while the generator runs: the report's slip
    /// leaves out the events intended for less, those handed over already as well. ValueError when the window ends
    /// before that, when more than the newest 262,144 events are intended for later, or after the end.
    fn measure_from(&self, from_us: i64) -> PyResult<()> {
        self.owner.check()?;
        Ok(self.inner.measure_from(from_us)?)
    }

    /// Let the measuring window end at to_us: the report's slip leaves out the events intended for then or later.
    /// ValueError as for measure_from.
    fn measure_to(&self, to_us: i64) -> PyResult<()> {
        self.owner.check()?;
        Ok(self.inner.measure_to(to_us)?)
    }

    /// End the generation, from any thread. Records in flight are waited for while the broker confirms any.
    fn stop(&self) -> PyResult<()> {
        self.owner.check()?;
        self.inner.stop();
        Ok(())
    }

    /// Wait for the end and return the report. TimeoutError after timeout_s; it then still runs.
    #[pyo3(signature = (timeout_s=None))]
    fn join(&self, py: Python<'_>, timeout_s: Option<f64>) -> PyResult<GeneratorReport> {
        let (given_up, join) = self.joining(timeout_s)?;
        let report = wait_for(py, move || given_up.set(), join)?;
        GeneratorReport::of(py, &report)
    }

    /// `join()` for asyncio. A cancellation ends the waiting; the generator still runs.
    #[pyo3(signature = (timeout_s=None))]
    fn join_async<'py>(&self, py: Python<'py>, timeout_s: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let (given_up, join) = self.joining(timeout_s)?;
        awaitable(py, move || given_up.set(), join, |py, report| GeneratorReport::of(py, &report))
    }

    /// start() and join(). An interrupt stops the generator.
    fn run(&self, py: Python<'_>) -> PyResult<GeneratorReport> {
        self.owner.check()?;
        let (inner, interrupted) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        let report = wait_for(py, move || interrupted.stop(), move || run(&inner))?;
        GeneratorReport::of(py, &report)
    }

    /// `run()` for asyncio. A cancellation stops the generator.
    fn run_async<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.owner.check()?;
        let (inner, cancelled) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        let convert = |py: Python<'_>, report: Report| GeneratorReport::of(py, &report);
        awaitable(py, move || cancelled.stop(), move || run(&inner), convert)
    }

    /// The counters now.
    fn snapshot(&self) -> PyResult<GeneratorSnapshot> {
        self.owner.check()?;
        let generate::GeneratorSnapshot { generated, acked, failed, queue_full, behind_us } =
            self.inner.snapshot();
        Ok(GeneratorSnapshot { generated, acked, failed, queue_full, behind_us })
    }
}

impl Generator {
    /// What a `join` does, and the flag that makes it give up.
    fn joining(
        &self,
        timeout_s: Option<f64>,
    ) -> PyResult<(Stop, impl FnOnce() -> PyResult<Report> + Send + 'static)> {
        self.owner.check()?;
        if !self.inner.is_started() {
            return Err(RtmbenchError::new_err("this generator was not started: call start() first"));
        }
        let timeout = timeout_s.map(duration).transpose()?;
        let (inner, stop) = (Arc::clone(&self.inner), Stop::new());
        let given_up = stop.clone();
        Ok((stop, move || until_done(timeout, "the generator", &given_up, |slice| inner.wait(slice))))
    }
}

fn run(generator: &generate::Generator) -> PyResult<Report> {
    generator.start()?;
    until_done(None, "the generator", &Stop::new(), |slice| generator.wait(slice))
}

/// Counters of a running generator.
#[pyclass(frozen, get_all, module = "rtmbench._core")]
pub(super) struct GeneratorSnapshot {
    generated: u64,
    acked: u64,
    failed: u64,
    queue_full: u64,
    behind_us: i64,
}

#[pymethods]
impl GeneratorSnapshot {
    fn __repr__(&self) -> String {
        let Self { generated, acked, failed, queue_full, .. } = self;
        format!(
            "GeneratorSnapshot(generated={generated}, acked={acked}, failed={failed}, queue_full={queue_full})"
        )
    }
}

/// What a generator did.
#[pyclass(frozen, get_all, module = "rtmbench._core")]
pub(super) struct GeneratorReport {
    topic: String,
    first_index: u64,
    next_index: u64,
    generated: u64,
    acked: u64,
    failed: u64,
    queue_full: u64,
    start_us: i64,
    seconds: f64,
    rate: f64,
    slip: Py<Histogram>,
    slip_all: Py<Histogram>,
    errors: Vec<String>,
}

impl GeneratorReport {
    fn of(py: Python<'_>, report: &generate::GeneratorReport) -> PyResult<Self> {
        Ok(Self {
            topic: report.topic.clone(),
            first_index: report.first_index,
            next_index: report.next_index,
            generated: report.generated,
            acked: report.acked,
            failed: report.failed,
            queue_full: report.queue_full,
            start_us: report.start_us,
            seconds: report.seconds,
            rate: report.rate,
            slip: Py::new(py, Histogram::of(report.slip.clone()))?,
            slip_all: Py::new(py, Histogram::of(report.slip_all.clone()))?,
            errors: report.errors.clone(),
        })
    }
}

#[pymethods]
impl GeneratorReport {
    fn __repr__(&self) -> String {
        format!(
            "<GeneratorReport topic={} generated={} acked={} failed={} queue_full={} seconds={:.3} rate={:.1}>",
            self.topic, self.generated, self.acked, self.failed, self.queue_full, self.seconds, self.rate
        )
    }
}
