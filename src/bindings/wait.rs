//! The only routes into long work. Both leave it to a thread of its own and never wait for what was interrupted:
//! `wait_for` releases the GIL and looks at signals, `awaitable` gives asyncio something to await. `twins!` makes
//! both forms of a function from one body.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyTimeoutError, PyValueError};
use pyo3::prelude::*;

use super::errors::RtmbenchError;
use super::runtime;
use crate::stop::Stop;

/// How often signals, and requests to give up, are looked at.
const SLICE: Duration = Duration::from_millis(50);

/// Does `work` on a thread of its own while this one looks at signals. When one raises, `interrupt` is called
/// and the work is left to end by itself.
pub(super) fn wait_for<T, E>(
    py: Python<'_>,
    interrupt: impl FnOnce(),
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> PyResult<T>
where
    T: Send + 'static,
    E: Into<PyErr> + Send + 'static,
{
    let (sender, receiver) = channel();
    thread::Builder::new().name("rtmbench-call".to_owned()).spawn(move || {
        // The receiver is gone when the call was interrupted.
        let _ = sender.send(work());
    })?;
    // A receiver is not Sync: it is moved into each detached stretch and handed back.
    let mut receiver = Some(receiver);
    loop {
        let Some(held) = receiver.take() else {
            return Err(lost());
        };
        let (outcome, held) = py.detach(move || (held.recv_timeout(SLICE), held));
        receiver = Some(held);
        match outcome {
            Ok(result) => return result.map_err(Into::into),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(raised) = py.check_signals() {
                    interrupt();
                    return Err(raised);
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Err(lost()),
        }
    }
}

/// Waits as `wait_for` does, and returns the result as a Python object. It takes the arguments that `awaitable` takes,
/// so that `twins!` can put either in the place of the other.
pub(super) fn waited<'py, T, E, P>(
    py: Python<'py>,
    interrupt: impl FnOnce(),
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
    convert: impl FnOnce(Python<'_>, T) -> PyResult<P>,
) -> PyResult<Bound<'py, PyAny>>
where
    T: Send + 'static,
    E: Into<PyErr> + Send + 'static,
    P: IntoPyObject<'py>,
{
    convert(py, wait_for(py, interrupt, work)?)?.into_bound_py_any(py)
}

/// Does `work` on the shared runtime; returns what asyncio awaits. When it is cancelled, `interrupt` is called and
/// the work is left to end by itself. Raises `RuntimeError` where no event loop runs.
pub(super) fn awaitable<'py, T, E, P>(
    py: Python<'py>,
    interrupt: impl FnOnce() + Send + 'static,
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
    convert: impl FnOnce(Python<'_>, T) -> PyResult<P> + Send + 'static,
) -> PyResult<Bound<'py, PyAny>>
where
    T: Send + 'static,
    E: Into<PyErr> + Send + 'static,
    P: for<'any> IntoPyObject<'any> + Send + 'static,
{
    runtime::ensure()?;
    pyo3_async_runtimes::tokio::future_into_py(py, async move {
        let mut unfinished = OnDrop(Some(interrupt));
        let ended = tokio::task::spawn_blocking(work).await;
        unfinished.0 = None;
        let result = ended.map_err(|_| lost())?.map_err(Into::into)?;
        Python::attach(|py| convert(py, result))
    })
}

/// Makes a function and its twin for asyncio from one list of arguments and one body. The name after `by` stands for
/// `waited` in the first and for `awaitable` in the second; the body calls it last.
macro_rules! twins {
    (
        #[doc = $doc:literal]
        $(#$attribute:tt)*
        fn $name:ident and $twin:ident by $wait:ident $arguments:tt $body:block
    ) => {
        #[doc = $doc]
        #[pyfunction]
        $(#$attribute)*
        pub(super) fn $name<'py> $arguments -> PyResult<Bound<'py, PyAny>> {
            use $crate::bindings::wait::waited as $wait;
            $body
        }

        #[doc = concat!("`", stringify!($name), "()` for asyncio.")]
        #[pyfunction]
        $(#$attribute)*
        pub(super) fn $twin<'py> $arguments -> PyResult<Bound<'py, PyAny>> {
            use $crate::bindings::wait::awaitable as $wait;
            $body
        }
    };
}
pub(super) use twins;

/// Calls what it holds when a future is dropped before its end: that is how a cancellation shows.
struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(interrupt) = self.0.take() {
            interrupt();
        }
    }
}

fn lost() -> PyErr {
    RtmbenchError::new_err("the working thread ended without a result: this is a bug")
}

/// Calls `attempt` until it has a result, on a thread that may block, unless `given_up` is set meanwhile.
///
/// Raises `TimeoutError` when it has none after `timeout`.
pub(super) fn until_done<T>(
    timeout: Option<Duration>,
    what: &str,
    given_up: &Stop,
    mut attempt: impl FnMut(Duration) -> Option<crate::Result<T>>,
) -> PyResult<T> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left =
            deadline.map_or(SLICE, |deadline| deadline.saturating_duration_since(Instant::now()).min(SLICE));
        if let Some(result) = attempt(left) {
            return result.map_err(Into::into);
        }
        if given_up.is_set() {
            return Err(crate::Error::Stopped.into());
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            let seconds = timeout.unwrap_or_default().as_secs_f64();
            return Err(PyTimeoutError::new_err(format!("{what} still runs after {seconds} s")));
        }
    }
}

/// Sleeps for `length`, or until `ended` says so.
pub(super) fn sleep_unless(length: Duration, ended: impl Fn() -> bool) {
    let until = Instant::now().checked_add(length);
    while !ended() {
        let left = until.map_or(SLICE, |until| until.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(SLICE));
    }
}

/// Seconds from Python as a duration.
pub(super) fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("{seconds} is not a length of time in s")))
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
