//! The core's errors as Python exceptions.

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::Error;

create_exception!(
    rtmbench._core,
    RtmbenchError,
    PyException,
    "Base of every error that rtmbench raises on purpose."
);
create_exception!(
    rtmbench._core,
    KafkaError,
    RtmbenchError,
    "A Kafka broker is unreachable or refuses: a missing topic, a failed authentication, a bad request."
);
create_exception!(
    rtmbench._core,
    HarnessError,
    RtmbenchError,
    "The measurement itself is at fault, not what it measures: its figures must not be used."
);

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Kafka(_) => KafkaError::new_err(message),
            Error::Harness(_) => HarnessError::new_err(message),
            Error::Invalid(_) => PyValueError::new_err(message),
            Error::Stopped => RtmbenchError::new_err(message),
            // Given errno and file name, OSError picks FileNotFoundError and its like by itself.
            Error::Io { source, path, .. } => match source.raw_os_error() {
                Some(number) => PyOSError::new_err((number, message, path)),
                None => PyOSError::new_err(message),
            },
        }
    }
}
