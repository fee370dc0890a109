//! The one tokio runtime that every asynchronous call of this process shares.

use std::sync::OnceLock;

use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

use super::errors::RtmbenchError;

static SHARED: OnceLock<Option<(u32, Runtime)>> = OnceLock::new();

/// Makes the runtime on the first call, and makes it the one that awaitables are driven by.
///
/// It is never shut down, so that work which was cancelled and still winds up holds up nobody's exit. Raises
/// `RtmbenchError` in a forked child of the process that made it: a fork does not copy its threads.
pub(super) fn ensure() -> PyResult<()> {
    let Some((process, runtime)) = SHARED.get_or_init(build) else {
        return Err(RtmbenchError::new_err(
            "the runtime of the asynchronous calls does not start: no more threads",
        ));
    };
    if *process != std::process::id() {
        return Err(RtmbenchError::new_err(
            "asynchronous calls were made before this process was forked off, and a fork does not copy their threads: \
             use the synchronous call here, or start processes by \"spawn\"",
        ));
    }
    // Said again it changes nothing.
    let _ = pyo3_async_runtimes::tokio::init_with_runtime(runtime);
    Ok(())
}

/// One worker: it only hands results over, the calls themselves are on the threads for blocking work.
fn build() -> Option<(u32, Runtime)> {
    let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("rtmbench-async").build().ok()?;
    Some((std::process::id(), runtime))
}
