//! `Relay` and its snapshot.

use std::sync::Arc;

use pyo3::prelude::*;

use super::convert;
use super::errors::RtmbenchError;
use super::wait::{Owner, awaitable, duration, until_done, wait_for};
use crate::relay;
use crate::stop::Stop;

/// Consumes one topic and produces its records into another: the floor of any engine. Use it once.
#[pyclass(frozen, module = "rtmbench._core")]
pub(super) struct Relay {
    inner: Arc<relay::Relay>,
    owner: Owner,
}

#[pymethods]
impl Relay {
    #[new]
    fn new(config: &Bound<'_, PyAny>, input_topic: String, output_topic: String) -> PyResult<Self> {
        let settings = relay::RelaySettings {
            config: convert::config(config)?,
            input: input_topic,
            output: output_topic,
        };
        Ok(Self { inner: Arc::new(relay::Relay::new(settings)?), owner: Owner::here() })
    }

    /// Connect and start. KafkaError when a topic is missing or the brokers do not answer within 30 s.
    fn start(&self, py: Python<'_>) -> PyResult<()> {
        self.owner.check()?;
        let (inner, interrupted) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        wait_for(py, move || interrupted.stop(), move || inner.start())
    }

    /// `start()` for asyncio. A cancellation stops the relay.
    fn start_async<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.owner.check()?;
        let (inner, cancelled) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        awaitable(py, move || cancelled.stop(), move || inner.start(), |_, ()| Ok(()))
    }

    /// Ask for the end, from any thread; what was read is still written.
    fn stop(&self) -> PyResult<()> {
        self.owner.check()?;
        self.inner.stop();
        Ok(())
    }

    /// Wait until the relay was stopped; return its last counters. KafkaError when it ended early.
    #[pyo3(signature = (timeout_s=None))]
    fn join(&self, py: Python<'_>, timeout_s: Option<f64>) -> PyResult<RelaySnapshot> {
        let (given_up, join) = self.joining(timeout_s)?;
        Ok(RelaySnapshot::of(wait_for(py, move || given_up.set(), join)?))
    }

    /// `join()` for asyncio. A cancellation ends the waiting; the relay still runs.
    #[pyo3(signature = (timeout_s=None))]
    fn join_async<'py>(&self, py: Python<'py>, timeout_s: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let (given_up, join) = self.joining(timeout_s)?;
        awaitable(py, move || given_up.set(), join, |_, ended| Ok(RelaySnapshot::of(ended)))
    }

    /// The counters now.
    fn snapshot(&self) -> PyResult<RelaySnapshot> {
        self.owner.check()?;
        Ok(RelaySnapshot::of(self.inner.snapshot()))
    }
}

impl Relay {
    /// What a `join` does, and the flag that makes it give up.
    fn joining(
        &self,
        timeout_s: Option<f64>,
    ) -> PyResult<(Stop, impl FnOnce() -> PyResult<relay::RelaySnapshot> + Send + 'static)> {
        self.owner.check()?;
        if !self.inner.is_started() {
            return Err(RtmbenchError::new_err("this relay was not started: call start() first"));
        }
        let timeout = timeout_s.map(duration).transpose()?;
        let (inner, stop) = (Arc::clone(&self.inner), Stop::new());
        let given_up = stop.clone();
        Ok((stop, move || until_done(timeout, "the relay", &given_up, |slice| inner.wait(slice))))
    }
}

/// Counters of a relay.
#[pyclass(frozen, get_all, module = "rtmbench._core")]
pub(super) struct RelaySnapshot {
    consumed: u64,
    acked: u64,
    failed: u64,
    queue_full: u64,
}

impl RelaySnapshot {
    fn of(snapshot: relay::RelaySnapshot) -> Self {
        let relay::RelaySnapshot { consumed, acked, failed, queue_full } = snapshot;
        Self { consumed, acked, failed, queue_full }
    }
}

#[pymethods]
impl RelaySnapshot {
    fn __repr__(&self) -> String {
        let Self { consumed, acked, failed, queue_full } = self;
        format!("RelaySnapshot(consumed={consumed}, acked={acked}, failed={failed}, queue_full={queue_full})")
    }
}
