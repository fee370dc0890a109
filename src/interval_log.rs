//! Reads interval logs (`.hlog`, V2), our own and those of other `HdrHistogram` tools.

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use crate::error::{Error, Result};
use crate::histogram::Histogram;

/// A time stamp that lies further than this before the log's start is an offset from it.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// One interval of a log.
#[derive(Clone, Debug)]
pub struct Interval {
    /// Its start, µs since the Unix epoch.
    pub start_us: i64,
    /// Its length, µs.
    pub length_us: i64,
    /// What was recorded in it.
    pub histogram: Histogram,
}

/// Reads the intervals of a log in their order. Values are taken as µs; tags are ignored.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; [`Error::Invalid`] when it is no V2 interval log.
pub fn read(path: &Path) -> Result<Vec<Interval>> {
    let mut log = fs::read(path).map_err(|source| Error::io("cannot read", path, source))?;
    if !log.ends_with(b"\n") {
        log.push(b'\n');
    }
    let invalid = |what: String| Error::Invalid(format!("{} is no interval log: {what}", path.display()));
    let (mut started, mut base) = (Duration::ZERO, None);
    let mut intervals = Vec::new();
    for entry in IntervalLogIterator::new(&log) {
        let number = intervals.len() + 1;
        let invalid = |what: String| invalid(format!("interval {number}: {what}"));
        match entry.map_err(|error| invalid(format!("{error:?}")))? {
            LogEntry::StartTime(at) => started = at,
            LogEntry::BaseTime(at) => base = Some(at),
            LogEntry::Interval(interval) => {
                let since = interval.start_timestamp();
                let offset = base.unwrap_or(if since + YEAR < started { started } else { Duration::ZERO });
                let bytes = STANDARD
                    .decode(interval.encoded_histogram())
                    .map_err(|error| invalid(error.to_string()))?;
                intervals.push(Interval {
                    start_us: (offset + since).as_micros() as i64,
                    length_us: interval.duration().as_micros() as i64,
                    histogram: Histogram::from_bytes(&bytes).map_err(|error| invalid(error.to_string()))?,
                });
            }
        }
    }
    if intervals.is_empty() && !log.starts_with(b"#[") {
        return Err(invalid("it has neither intervals nor the format's first line".to_owned()));
    }
    Ok(intervals)
}
