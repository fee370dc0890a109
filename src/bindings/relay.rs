//! `Relay` and its snapshot.

use std::sync::Arc;

use pyo3::prelude::*;

use super::convert;
use super::errors::RtmbenchError;
use super::wait::{Owner, wait_for, wait_until};
use crate::relay;

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

    /// Ask for the end, from any thread; what was read is still written.
    fn stop(&self) -> PyResult<()> {
        self.owner.check()?;
        self.inner.stop();
        Ok(())
    }

    /// Wait until the relay was stopped; return its last counters. KafkaError when it ended early.
    #[pyo3(signature = (timeout_s=None))]
    fn join(&self, py: Python<'_>, timeout_s: Option<f64>) -> PyResult<RelaySnapshot> {
        self.owner.check()?;
        if !self.inner.is_started() {
            return Err(RtmbenchError::new_err("this relay was not started: call start() first"));
        }
        let ended = wait_until(py, timeout_s, "the relay", |slice| self.inner.wait(slice))??;
        Ok(RelaySnapshot::of(ended))
    }

    /// The counters now.
    fn snapshot(&self) -> PyResult<RelaySnapshot> {
        self.owner.check()?;
        Ok(RelaySnapshot::of(self.inner.snapshot()))
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
