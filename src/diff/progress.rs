//! Up to which time a topic has been read.

/// What a broker may have appended before this reader received it, µs: a fetch waits half a second for records.
const UNSEEN_US: i64 = 1_000_000;

#[derive(Clone, Copy, Debug)]
struct Partition {
    next: i64,
    newest_us: i64,
    at_end: bool,
}

/// The progress of a reader in each partition of its topic.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    partitions: Vec<Partition>,
}

impl Progress {
    /// Of a reader that starts at these offsets.
    pub fn new(starts: Vec<i64>) -> Self {
        let partition = |next| Partition { next, newest_us: i64::MIN, at_end: false };
        Self { partitions: starts.into_iter().map(partition).collect() }
    }

    /// Notes a record; a time stamp in the future is no progress beyond `now_us`.
    #[inline]
    pub fn record(&mut self, partition: i32, offset: i64, at_us: i64, now_us: i64) {
        let partition = &mut self.partitions[partition as usize];
        partition.next = offset + 1;
        partition.newest_us = partition.newest_us.max(at_us.min(now_us));
        partition.at_end = false;
    }

    /// Notes that a partition has been read to its end for now.
    pub fn end(&mut self, partition: i32, offset: i64) {
        let partition = &mut self.partitions[partition as usize];
        partition.next = partition.next.max(offset);
        partition.at_end = true;
    }

    /// The next offset of each partition.
    pub fn next(&self) -> Vec<i64> {
        self.partitions.iter().map(|partition| partition.next).collect()
    }

    /// Whether every partition has been read to its end for now.
    pub fn is_at_end(&self) -> bool {
        self.partitions.iter().all(|partition| partition.at_end)
    }

    /// Whether every partition has been read up to these offsets.
    pub fn has_reached(&self, ends: &[i64]) -> bool {
        self.partitions.iter().zip(ends).all(|(partition, &end)| partition.next >= end)
    }

    /// The time, µs since the Unix epoch, up to which every partition has been read.
    pub fn reached_us(&self, now_us: i64) -> i64 {
        let reached = |partition: &Partition| {
            if partition.at_end { partition.newest_us.max(now_us - UNSEEN_US) } else { partition.newest_us }
        };
        self.partitions.iter().map(reached).min().unwrap_or(i64::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_US: i64 = 1_700_000_000_000_000;

    #[test]
    fn a_topic_is_read_up_to_its_slowest_partition() {
        let mut progress = Progress::new(vec![0, 0]);
        assert_eq!(progress.reached_us(NOW_US), i64::MIN);
        progress.record(0, 7, NOW_US - 5, NOW_US);
        assert_eq!(progress.reached_us(NOW_US), i64::MIN);
        progress.record(1, 3, NOW_US - 9, NOW_US);
        assert_eq!(progress.reached_us(NOW_US), NOW_US - 9);
        assert_eq!(progress.next(), [8, 4]);
        assert!(progress.has_reached(&[8, 4]) && !progress.has_reached(&[8, 5]));
    }

    #[test]
    fn an_idle_partition_holds_nothing_back_once_its_end_was_seen() {
        let mut progress = Progress::new(vec![0, 0]);
        progress.record(0, 7, NOW_US, NOW_US);
        progress.end(1, 0);
        assert_eq!(progress.reached_us(NOW_US), NOW_US - UNSEEN_US);
        assert!(!progress.is_at_end());
        progress.end(0, 8);
        assert!(progress.is_at_end());
        // A record after it: what follows may be older than now.
        progress.record(1, 0, NOW_US - 9_000_000, NOW_US);
        assert_eq!(progress.reached_us(NOW_US), NOW_US - 9_000_000);
    }

    #[test]
    fn a_time_stamp_in_the_future_is_no_progress() {
        let mut progress = Progress::new(vec![0]);
        progress.record(0, 0, NOW_US * 1_000, NOW_US);
        assert_eq!(progress.reached_us(NOW_US), NOW_US);
    }
}
