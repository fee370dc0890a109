//! What can go wrong in the core, and how a caller tells the kinds apart.

use std::path::{Path, PathBuf};

/// An error of the core. The message says what happened, to what, and the way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker, or the client library on its behalf, refused or did not answer.
    #[error("{0}")]
    Kafka(String),
    /// A parameter is out of its range; nothing was started.
    #[error("{0}")]
    Invalid(String),
    /// The measurement itself is at fault, not what it measures: its figures must not be used.
    #[error("{0}")]
    Harness(String),
    /// A file of the spool or of the interval log could not be written or read.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried, as in "cannot write".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// `stop()` or an interrupt came before there was anything to return.
    #[error("stopped before it was done")]
    Stopped,
}

impl Error {
    /// Wraps an I/O error with what was tried on which path.
    pub fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_path_buf(), source }
    }
}

/// The result of the core's fallible functions.
pub type Result<T> = std::result::Result<T, Error>;
