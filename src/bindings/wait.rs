//! The only route into long work: it releases the GIL, looks at signals, and never waits for what was interrupted.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyTimeoutError;
use pyo3::prelude::*;

use super::errors::RtmbenchError;
use crate::Result;

/// How often signals are looked at.
const SLICE: Duration = Duration::from_millis(50);

/// Does `work` on a thread of its own while this one looks at signals. When one raises, `interrupt` is called
/// and the work is left to end by itself.
pub(super) fn wait_for<T: Send + 'static>(
    py: Python<'_>,
    interrupt: impl Fn(),
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> PyResult<T> {
    let (sender, receiver) = channel();
    thread::Builder::new().name("rtmbench-call".to_owned()).spawn(move || {
        // The receiver is gone when the call was interrupted.
        let _ = sender.send(work());
    })?;
    // A receiver is not Sync: it is moved into each detached stretch and handed back.
    let mut receiver = Some(receiver);
    loop {
        let Some(held) = receiver.take() else {
            return Err(RtmbenchError::new_err("the call lost its working thread: this is a bug"));
        };
        let (outcome, held) = py.detach(move || (held.recv_timeout(SLICE), held));
        receiver = Some(held);
        match outcome {
            Ok(result) => return Ok(result?),
            Err(RecvTimeoutError::Timeout) => py.check_signals().inspect_err(|_| interrupt())?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(RtmbenchError::new_err(
                    "the working thread ended without a result: this is a bug",
                ));
            }
        }
    }
}

/// Calls `attempt` with short waits until it has a result, looking at signals in between.
///
/// Raises `TimeoutError` when it has none after `timeout_s`.
pub(super) fn wait_until<T: Send>(
    py: Python<'_>,
    timeout_s: Option<f64>,
    what: &str,
    mut attempt: impl FnMut(Duration) -> Option<T> + Send,
) -> PyResult<T> {
    let deadline =
        timeout_s.map(duration).transpose()?.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left =
            deadline.map_or(SLICE, |deadline| deadline.saturating_duration_since(Instant::now()).min(SLICE));
        if let Some(result) = py.detach(|| attempt(left)) {
            return Ok(result);
        }
        py.check_signals()?;
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(PyTimeoutError::new_err(format!(
                "{what} still runs after {} s",
                timeout_s.unwrap_or(0.0)
            )));
        }
    }
}

/// Seconds from Python as a duration.
pub(super) fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        pyo3::exceptions::PyValueError::new_err(format!("{seconds} is not a length of time in s"))
    })
}

/// The process that an object was made in. Threads do not survive a fork: in a child the object is an error,
/// not a hang.
#[derive(Clone, Copy)]
pub(super) struct Owner(u32);

impl Owner {
    pub(super) fn here() -> Self {
        Self(std::process::id())
    }

    pub(super) fn check(self) -> PyResult<()> {
        if self.0 == std::process::id() {
            return Ok(());
        }
        Err(RtmbenchError::new_err(
            "this object belongs to the parent process, whose threads a fork does not copy: make a new one here",
        ))
    }
}
