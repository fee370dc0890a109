//! Partitions: where a result must lie, and which input partitions an engine has read.

use crate::kafka::consumer::Message;
use crate::kafka::partitioner::partition_of;

/// Why the partition of a record is wrong for its Kafka key in a topic of `count` partitions; `None` if it is
/// right. A record without a key may lie anywhere.
pub(super) fn misplaced(message: Message<'_>, count: u32) -> Option<String> {
    let expected = partition_of(message.key?, count.max(1));
    (message.partition != expected).then(|| {
        format!("it is in partition {}; its key belongs in {expected} of {count}", message.partition)
    })
}

/// Expected and covered input events of each partition. 16 bytes a partition.
#[derive(Default)]
pub(super) struct InputPartitions(Vec<Reading>);

#[derive(Clone, Copy, Default)]
struct Reading {
    expected: u64,
    covered: u64,
}

impl InputPartitions {
    /// Counts input events of a partition that an output has to cover.
    #[inline]
    pub fn expect(&mut self, partition: i32, events: u64) {
        self.at(partition).expected += events;
    }

    /// Counts input events of a partition that an output covers.
    #[inline]
    pub fn cover(&mut self, partition: i32, events: u64) {
        self.at(partition).covered += events;
    }

    /// The partitions that hold expected events of which none is covered, ascending.
    pub fn unread(&self) -> Vec<i32> {
        let unread = |reading: &Reading| reading.expected > 0 && reading.covered == 0;
        (0..).zip(&self.0).filter(|(_, reading)| unread(reading)).map(|(partition, _)| partition).collect()
    }

    #[inline]
    fn at(&mut self, partition: i32) -> &mut Reading {
        // Negative only for a key without records, of which nothing is counted.
        let place = partition.max(0) as usize;
        if place >= self.0.len() {
            self.0.resize(place + 1, Reading::default());
        }
        &mut self.0[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_unread_when_nothing_of_it_is_covered() {
        let mut inputs = InputPartitions::default();
        inputs.expect(0, 5);
        inputs.expect(3, 1);
        inputs.expect(5, 2);
        inputs.cover(0, 1);
        inputs.cover(1, 0);
        assert_eq!(inputs.unread(), [3, 5]);
    }
}
