//! The partition reader: partitions of one topic, assigned, in offset order, without a group.
//!
//! librdkafka's queue interface is used rather than its group consumer, because the latter makes the broker
//! create and load the offsets topic even where nothing is ever committed.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_int};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use sys::rd_kafka_resp_err_t as Code;

use super::client::{Client, Role, Topic, c_string, last_error};
use super::config::KafkaConfig;
use super::topics::leaders;
use crate::error::{Error, Result};
use crate::stop::Stop;

/// Records that are taken from the queue at once.
const BATCH: usize = 256;
/// Batches that one call takes at most.
const MAX_BATCHES: usize = 64;

/// How long the records that are read one by one may take together.
const SINGLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Records of a partition whose offsets differ by less are read in one go.
const CLOSE: i64 = 500;

/// A record as it lies in librdkafka's buffer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Message<'a> {
    /// Partition.
    pub partition: i32,
    /// Offset in it.
    pub offset: i64,
    /// The Kafka key, if it has one.
    pub key: Option<&'a [u8]>,
    /// The record; `None` for a tombstone.
    pub payload: Option<&'a [u8]>,
    /// When the broker appended it, ms since the Unix epoch; `None` where the topic keeps the producer's time.
    pub append_ms: Option<i64>,
    /// The time that the producer gave it, ms since the Unix epoch; `None` where the topic keeps the broker's.
    pub created_ms: Option<i64>,
    /// Its headers.
    pub headers: Headers<'a>,
}

/// The headers of a record, which are read when they are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    native: Option<NonNull<sys::rd_kafka_message_t>>,
    message: PhantomData<&'a sys::rd_kafka_message_t>,
}

impl<'a> Headers<'a> {
    /// The value of the last header of that name; `None` without one, or where it has no value.
    pub fn last(&self, name: &CStr) -> Option<&'a [u8]> {
        let native = self.native?.as_ptr();
        // SAFETY: the message is alive for `'a`, and so are its headers, which belong to it. The name is a string, and
        // what is returned is written to locals; pointer and length belong together.
        unsafe {
            let mut headers = ptr::null_mut();
            let code = sys::rd_kafka_message_headers(native, &raw mut headers);
            if code != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                return None;
            }
            let (mut value, mut length) = (ptr::null(), 0);
            let code = sys::rd_kafka_header_get_last(headers, name.as_ptr(), &raw mut value, &raw mut length);
            (code == Code::RD_KAFKA_RESP_ERR_NO_ERROR && !value.is_null())
                .then(|| std::slice::from_raw_parts(value.cast::<u8>(), length))
        }
    }
}

/// What came out of the queue.
#[derive(Clone, Copy, Debug)]
pub enum Fetched<'a> {
    /// A record.
    Record(Message<'a>),
    /// The partition has been read to its end for now; only where that is reported.
    End {
        /// Which partition.
        partition: i32,
        /// The next offset to come.
        offset: i64,
    },
}

/// Reads partitions of one topic.
pub struct PartitionReader {
    queue: *mut sys::rd_kafka_queue_t,
    topic: Topic,
    topic_name: String,
    native_name: CString,
    partitions: Vec<i32>,
    // Dropped last, after the topic handle.
    client: Client,
}

// SAFETY: the queue is thread-safe in librdkafka and owned by this reader alone.
unsafe impl Send for PartitionReader {}

impl PartitionReader {
    /// Starts to fetch the partitions that `choose` accepts, from offset 0. It is not told when it is at an end.
    ///
    /// # Errors
    /// [`Error::Kafka`] when the topic does not exist or the brokers do not answer within `timeout`;
    /// [`Error::Invalid`] for a bad property; [`Error::Stopped`] when `stop` was set.
    pub fn open(
        config: &KafkaConfig,
        topic: &str,
        choose: impl Fn(i32) -> bool,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Self> {
        Self::open_at(&config.consumer(), topic, choose, |_| 0, timeout, stop)
    }

    /// Starts to fetch the partitions that `choose` accepts from their ends: what is there already is left out.
    ///
    /// # Errors
    /// As for [`PartitionReader::open`].
    pub fn open_at_end(
        config: &KafkaConfig,
        topic: &str,
        choose: impl Fn(i32) -> bool,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Self> {
        let end = i64::from(sys::RD_KAFKA_OFFSET_END);
        Self::open_at(&config.consumer(), topic, choose, |_| end, timeout, stop)
    }

    /// Starts to fetch each partition from the offset that `start` gives for it, and reports the end of each.
    ///
    /// # Errors
    /// As for [`PartitionReader::open`].
    pub fn open_from(
        config: &KafkaConfig,
        topic: &str,
        start: impl Fn(i32) -> i64,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Self> {
        Self::open_at(&config.consumer_to_the_end(), topic, |_| true, start, timeout, stop)
    }

    fn open_at(
        properties: &BTreeMap<String, String>,
        topic: &str,
        choose: impl Fn(i32) -> bool,
        offset: impl Fn(i32) -> i64,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Self> {
        let client = Client::new(Role::Consumer, properties)?;
        let count = leaders(&client, topic, Instant::now() + timeout, stop)?.len();
        let (handle, native_name) = (client.topic(topic)?, c_string(topic)?);
        // SAFETY: the client is alive; the queue is destroyed on drop.
        let queue = unsafe { sys::rd_kafka_queue_new(client.native()) };
        let mut reader = Self {
            queue,
            topic: handle,
            topic_name: topic.to_owned(),
            native_name,
            partitions: Vec::new(),
            client,
        };
        for partition in (0..count as i32).filter(|&partition| choose(partition)) {
            reader.add(partition, offset(partition))?;
        }
        Ok(reader)
    }

    /// Starts to fetch one more partition.
    fn add(&mut self, partition: i32, offset: i64) -> Result<()> {
        // SAFETY: the topic and the queue are alive.
        let result =
            unsafe { sys::rd_kafka_consume_start_queue(self.topic.native, partition, offset, self.queue) };
        if result != 0 {
            let what = format!("partition {partition} of topic {} cannot be read", self.topic_name);
            return Err(self.client.error(&what, last_error()));
        }
        self.partitions.push(partition);
        Ok(())
    }

    /// Stops to fetch all partitions.
    fn remove_all(&mut self) {
        for partition in self.partitions.drain(..) {
            // SAFETY: each partition was started once.
            unsafe { sys::rd_kafka_consume_stop(self.topic.native, partition) };
        }
    }

    /// The partitions that this reader fetches.
    pub fn partitions(&self) -> &[i32] {
        &self.partitions
    }

    /// Whether the broker has answered a fetch of every partition: from then on nothing that comes is missed.
    pub fn is_fetching(&self) -> bool {
        self.partitions.iter().all(|&partition| {
            let (mut low, mut high) = (-1, -1);
            // SAFETY: the client is alive, the name a string, and both numbers are ours. The call only reads what
            // the last fetch brought, and leaves a negative number where there was none.
            let code = unsafe {
                sys::rd_kafka_get_watermark_offsets(
                    self.client.native(),
                    self.native_name.as_ptr(),
                    partition,
                    &raw mut low,
                    &raw mut high,
                )
            };
            code == Code::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0
        })
    }

    /// Waits at most `timeout` for the next record, then gives each one that is there to `handle`. What is there
    /// comes in batches; `received` is called for each, before any of its records is looked at: it takes the
    /// time, and whatever else a batch needs once.
    ///
    /// Returns how many were given. `handle` may end the call early with an error.
    ///
    /// # Errors
    /// [`Error::Kafka`] when the topic went away or access is refused; otherwise what `handle` returned. A
    /// broker that is down for a while is no error.
    #[inline]
    pub fn poll<T>(
        &mut self,
        timeout: Duration,
        received: impl Fn() -> T,
        mut handle: impl FnMut(Fetched<'_>, &mut T) -> Result<()>,
    ) -> Result<usize> {
        // SAFETY: the queue is alive.
        let first = unsafe { sys::rd_kafka_consume_queue(self.queue, timeout.as_millis() as c_int) };
        if first.is_null() {
            // Connection errors are served here; nothing else is waiting.
            self.client.poll(Duration::ZERO);
            return Ok(0);
        }
        let mut once = received();
        let mut batch = Batch::of(first);
        let mut given = self.give(&mut batch, &mut once, &mut handle)?;
        // Bounded, so that a caller who is behind still gets to look at its stop flag.
        for _ in 0..MAX_BATCHES {
            // SAFETY: the queue is alive and the array as long as is said.
            let count = unsafe {
                sys::rd_kafka_consume_batch_queue(self.queue, 0, batch.messages.as_mut_ptr(), BATCH)
            };
            if count <= 0 {
                break;
            }
            drop(once);
            once = received();
            batch.filled(count as usize);
            given += self.give(&mut batch, &mut once, &mut handle)?;
            if (count as usize) < BATCH {
                break;
            }
        }
        Ok(given)
    }

    #[inline]
    fn give<T>(
        &self,
        batch: &mut Batch,
        once: &mut T,
        handle: &mut impl FnMut(Fetched<'_>, &mut T) -> Result<()>,
    ) -> Result<usize> {
        let mut given = 0;
        while let Some(message) = batch.next() {
            match message.fetched() {
                Ok(fetched) => {
                    given += 1;
                    handle(fetched, once)?;
                }
                Err(code) if is_final(code) => {
                    return Err(self.client.error(
                        &format!(
                            "partition {} of topic {} cannot be read",
                            message.partition(),
                            self.topic_name
                        ),
                        code,
                    ));
                }
                Err(_) => {}
            }
        }
        Ok(given)
    }

    /// The client's last error of its own, for a message about missing progress.
    pub fn last_error(&self) -> Option<String> {
        self.client.poll(Duration::ZERO);
        self.client.events().last()
    }
}

impl Drop for PartitionReader {
    fn drop(&mut self) {
        self.remove_all();
        // SAFETY: the queue is destroyed once, before its client.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) }
    }
}

/// Errors that do not heal by themselves.
fn is_final(code: Code) -> bool {
    matches!(
        code,
        Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
            | Code::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
            | Code::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION
            | Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
            | Code::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE
            | Code::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET
            | Code::RD_KAFKA_RESP_ERR__AUTHENTICATION
            | Code::RD_KAFKA_RESP_ERR__FATAL
    )
}

/// Messages taken from the queue; those that are not given out are freed on drop.
struct Batch {
    messages: [*mut sys::rd_kafka_message_t; BATCH],
    next: usize,
    end: usize,
}

impl Batch {
    fn of(first: *mut sys::rd_kafka_message_t) -> Self {
        let mut messages = [ptr::null_mut(); BATCH];
        messages[0] = first;
        Self { messages, next: 0, end: 1 }
    }

    fn filled(&mut self, count: usize) {
        (self.next, self.end) = (0, count);
    }

    fn next(&mut self) -> Option<Owned<'_>> {
        let native = *self.messages[..self.end].get(self.next)?;
        self.next += 1;
        Some(Owned { native, batch: PhantomData })
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        while self.next().is_some() {}
    }
}

/// One message, freed on drop.
struct Owned<'a> {
    native: *mut sys::rd_kafka_message_t,
    batch: PhantomData<&'a Batch>,
}

impl Owned<'_> {
    fn partition(&self) -> i32 {
        // SAFETY: the message is alive until self is dropped.
        unsafe { (*self.native).partition }
    }

    #[inline]
    fn fetched(&self) -> std::result::Result<Fetched<'_>, Code> {
        // SAFETY: the message is alive until self is dropped; its pointers and lengths belong together.
        unsafe {
            let message = &*self.native;
            match message.err {
                Code::RD_KAFKA_RESP_ERR_NO_ERROR => {}
                Code::RD_KAFKA_RESP_ERR__PARTITION_EOF => {
                    return Ok(Fetched::End { partition: message.partition, offset: message.offset });
                }
                code => return Err(code),
            }
            let bytes = |pointer: *mut std::ffi::c_void, length: usize| {
                (!pointer.is_null())
                    .then(|| std::slice::from_raw_parts(pointer.cast_const().cast::<u8>(), length))
            };
            let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
            let timestamp = sys::rd_kafka_message_timestamp(self.native, &raw mut kind);
            let appended = kind == sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
            let created = kind == sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME;
            Ok(Fetched::Record(Message {
                partition: message.partition,
                offset: message.offset,
                key: bytes(message.key, message.key_len),
                payload: bytes(message.payload, message.len),
                append_ms: appended.then_some(timestamp),
                created_ms: created.then_some(timestamp),
                headers: Headers { native: NonNull::new(self.native), message: PhantomData },
            }))
        }
    }
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        // SAFETY: taken from the queue once, freed once.
        unsafe { sys::rd_kafka_message_destroy(self.native) }
    }
}

/// Reads single records, each at its partition and offset: empty for a tombstone; `None` for one that is there no
/// longer, or that does not come within the time of [`SINGLE_TIMEOUT`] for all.
///
/// # Errors
/// As for [`PartitionReader::open`].
pub fn read_at(
    config: &KafkaConfig,
    topic: &str,
    positions: &[(i32, i64)],
    stop: &Stop,
) -> Result<Vec<Option<Vec<u8>>>> {
    let mut payloads = vec![None; positions.len()];
    if positions.is_empty() {
        return Ok(payloads);
    }
    let mut order: Vec<usize> = (0..positions.len()).collect();
    order.sort_unstable_by_key(|&index| positions[index]);
    let deadline = Instant::now() + SINGLE_TIMEOUT;
    let properties = config.consumer_to_the_end();
    // Nothing is fetched until the partition of a record is added.
    let mut reader = PartitionReader::open_at(&properties, topic, |_| false, |_| 0, SINGLE_TIMEOUT, stop)?;
    // Records that are close to each other are read in one go.
    let close = |&before: &usize, &after: &usize| {
        let (before, after) = (positions[before], positions[after]);
        before.0 == after.0 && after.1 - before.1 < CLOSE
    };
    for group in order.chunk_by(close) {
        let (partition, first) = positions[group[0]];
        let mut left = group;
        reader.add(partition, first)?;
        while !left.is_empty() && Instant::now() < deadline {
            reader.poll(
                Duration::from_millis(50),
                || (),
                |fetched, &mut ()| {
                    match fetched {
                        Fetched::Record(message) if message.partition == partition => {
                            while let [index, rest @ ..] = left
                                && positions[*index].1 <= message.offset
                            {
                                if positions[*index].1 == message.offset {
                                    payloads[*index] = Some(message.payload.unwrap_or_default().to_vec());
                                }
                                left = rest;
                            }
                        }
                        Fetched::End { partition: ended, .. } if ended == partition => left = &[],
                        _ => {}
                    }
                    Ok(())
                },
            )?;
        }
        reader.remove_all();
    }
    Ok(payloads)
}

/// Reads whole partitions, each from offset 0 up to `ends[partition]`, and gives every record to `handle`.
///
/// # Errors
/// As [`PartitionReader::open`] and [`PartitionReader::poll`]; [`Error::Kafka`] also when nothing comes for
/// `timeout` although the end is not reached; what `handle` returned.
pub fn read_whole(
    config: &KafkaConfig,
    topic: &str,
    ends: &[i64],
    timeout: Duration,
    stop: &Stop,
    handle: impl FnMut(Message<'_>) -> Result<()>,
) -> Result<()> {
    read_range(config, topic, &vec![0; ends.len()], ends, timeout, stop, handle)
}

/// Reads each partition from `starts[partition]` up to `ends[partition]`, and gives every record to `handle`.
///
/// # Errors
/// As [`read_whole`].
pub fn read_range(
    config: &KafkaConfig,
    topic: &str,
    starts: &[i64],
    ends: &[i64],
    timeout: Duration,
    stop: &Stop,
    mut handle: impl FnMut(Message<'_>) -> Result<()>,
) -> Result<()> {
    let mut open: Vec<bool> = starts.iter().zip(ends).map(|(start, end)| end > start).collect();
    let mut left = open.iter().filter(|&&open| open).count();
    if left == 0 {
        return Ok(());
    }
    let wanted = open.clone();
    let choose = |partition: i32| wanted.get(partition as usize) == Some(&true);
    let properties = config.consumer_to_the_end();
    let start = |partition: i32| starts.get(partition as usize).copied().unwrap_or(0);
    let mut reader = PartitionReader::open_at(&properties, topic, choose, start, timeout, stop)?;
    let mut progress = Instant::now();
    while left > 0 {
        if stop.is_set() {
            return Err(Error::Stopped);
        }
        let got = reader.poll(
            Duration::from_millis(50),
            || (),
            |fetched, &mut ()| {
                // A partition may end in records that are no data (transaction markers): its end is an event too.
                let (partition, next) = match fetched {
                    Fetched::Record(message) => (message.partition as usize, message.offset + 1),
                    Fetched::End { partition, offset } => (partition as usize, offset),
                };
                if let Fetched::Record(message) = fetched
                    && message.offset < ends[partition]
                {
                    handle(message)?;
                }
                if open[partition] && next >= ends[partition] {
                    open[partition] = false;
                    left -= 1;
                }
                Ok(())
            },
        )?;
        if got > 0 {
            progress = Instant::now();
        } else if progress.elapsed() > timeout {
            let cause = reader.last_error().map_or_else(String::new, |error| format!(" ({error})"));
            return Err(Error::Kafka(format!(
                "topic {topic} cannot be read to its end: nothing came for {timeout:?}{cause}"
            )));
        }
    }
    Ok(())
}
