//! An interval log (`.hlog`, one histogram a second) that is written while the samples come in.
//!
//! Threads that keep time only fill histograms; a thread of the log's own merges, packs and writes them.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::error::{Error, Result};
use crate::histogram::{Histogram, IntervalLog};

const SECOND_US: i64 = 1_000_000;
/// Seconds that are kept open for other threads' samples after a newer one has ended.
const OPEN_SECONDS: i64 = 2;
/// Histograms that may wait for the writing thread, which needs well under a millisecond for each.
const QUEUE: usize = 64;

/// A second's number, counted from the log's start, and its samples.
type Second = (i64, Histogram);

/// A log that is being written. Every recorder must be dropped before [`LiveLog::finish`].
pub struct LiveLog {
    path: PathBuf,
    from_us: i64,
    sender: SyncSender<Second>,
    writer: JoinHandle<Result<()>>,
}

impl LiveLog {
    /// Creates the file and starts the writing thread. `from_us` is where second 0 begins.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be created.
    pub fn create(path: &Path, from_us: i64) -> Result<Self> {
        let file = File::create(path).map_err(|error| Error::io("cannot create", path, error))?;
        let (sender, receiver) = sync_channel(QUEUE);
        let owned = path.to_owned();
        let work = move || {
            let log = IntervalLog { path: &owned, from_us };
            log.write_to(file, InOrder::new(receiver).map(|histogram| (histogram, SECOND_US)))
        };
        let writer = thread::Builder::new()
            .name("rtmbench-log".to_owned())
            .spawn(work)
            .map_err(|error| Error::io("no thread to write", path, error))?;
        Ok(Self { path: path.to_owned(), from_us, sender, writer })
    }

    /// A recorder for one thread.
    pub fn recorder(&self) -> SecondsRecorder {
        SecondsRecorder {
            sender: self.sender.clone(),
            from_us: self.from_us,
            second: None,
            current: Histogram::new(),
        }
    }

    /// Waits until everything is in the file.
    ///
    /// # Errors
    /// [`Error::Io`] when it could not be written.
    pub fn finish(self) -> Result<()> {
        drop(self.sender);
        self.writer.join().unwrap_or_else(|_| {
            Err(Error::io("cannot write", &self.path, std::io::Error::other("its thread ended early")))
        })
    }
}

/// Records the samples of one thread; what is still held goes to the log on drop.
pub struct SecondsRecorder {
    sender: SyncSender<Second>,
    from_us: i64,
    second: Option<i64>,
    current: Histogram,
}

impl SecondsRecorder {
    /// Records a duration, µs, in the second of `at_us`. Times must not go back by more than a second.
    #[inline]
    pub fn record(&mut self, at_us: i64, us: i64) {
        self.advance(at_us);
        self.current.record(us);
    }

    /// Hands the current second over when `at_us` is after it.
    #[inline]
    pub fn advance(&mut self, at_us: i64) {
        let second = (at_us - self.from_us).div_euclid(SECOND_US);
        if self.second.is_none_or(|current| second > current) {
            self.hand_over();
            self.second = Some(second);
        }
    }

    #[cold]
    fn hand_over(&mut self) {
        if let Some(second) = self.second
            && self.current.count() > 0
        {
            // The writer is gone only after an error, which `finish` reports.
            let _ = self.sender.send((second, std::mem::take(&mut self.current)));
        }
    }
}

impl Drop for SecondsRecorder {
    fn drop(&mut self) {
        self.hand_over();
    }
}

/// Turns what the recorders send into one histogram a second, in order and without a gap, from second 0 on.
struct InOrder {
    receiver: Receiver<Second>,
    open: BTreeMap<i64, Histogram>,
    newest: i64,
    next: i64,
    ended: bool,
}

impl InOrder {
    fn new(receiver: Receiver<Second>) -> Self {
        Self { receiver, open: BTreeMap::new(), newest: -1, next: 0, ended: false }
    }
}

impl Iterator for InOrder {
    type Item = Histogram;

    fn next(&mut self) -> Option<Histogram> {
        while !self.ended && self.newest - OPEN_SECONDS < self.next {
            match self.receiver.recv() {
                Ok((second, histogram)) => {
                    // What comes too late for its own second counts in the first that is still open.
                    let second = second.max(self.next);
                    self.newest = self.newest.max(second);
                    self.open.entry(second).or_default().merge(&histogram);
                }
                Err(_) => self.ended = true,
            }
        }
        if self.next > self.newest {
            return None;
        }
        let second = self.next;
        self.next += 1;
        Some(self.open.remove(&second).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_come_in_order_without_gaps_and_merged() {
        let (sender, receiver) = sync_channel(QUEUE);
        let one = |us: i64| {
            let mut histogram = Histogram::new();
            histogram.record(us);
            histogram
        };
        for (second, us) in [(0, 1), (1, 2), (0, 3), (4, 4), (5, 5), (1, 6), (9, 7)] {
            sender.send((second, one(us))).unwrap();
        }
        drop(sender);
        let counts: Vec<u64> = InOrder::new(receiver).map(|histogram| histogram.count()).collect();
        // The last sample of second 1 came when seconds 0 to 3 had been given out: it counts in second 4.
        assert_eq!(counts, [2, 1, 0, 0, 2, 1, 0, 0, 0, 1]);
    }

    #[test]
    fn a_log_is_written_while_it_is_recorded() {
        let path = std::env::temp_dir().join(format!("rtmbench-live-{}.hlog", std::process::id()));
        let log = LiveLog::create(&path, 1_000_000).unwrap();
        let mut recorders = [log.recorder(), log.recorder()];
        for recorder in &mut recorders {
            for at in 0..50 {
                recorder.record(1_000_000 + at * 100_000, 1 + at);
            }
        }
        drop(recorders);
        log.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> =
            text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
        assert_eq!(lines.len(), 5, "{text}");
        let packed = lines[4].rsplit(',').next().unwrap();
        assert!(packed.starts_with("HIST"), "{packed}");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(LiveLog::create(Path::new("/nowhere/x.hlog"), 0), Err(Error::Io { .. })));
    }
}
