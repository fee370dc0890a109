//! The producer: one topic, records copied into librdkafka's queue, deliveries counted.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use sys::rd_kafka_resp_err_t as Code;

use super::client::{Client, Role, Topic, describe, last_error};
use super::config::KafkaConfig;
use super::partitioner::partition_of;
use super::topics::leaders;
use crate::error::Result;
use crate::stop::Stop;

/// Why a record was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The client's queue is full: poll on another thread, then try again.
    QueueFull,
    /// The client will not take this record; librdkafka's reason.
    Error(String),
}

/// Records that go to the client in one call, each with its buffers, so that none is allocated twice.
pub struct Batch {
    records: Vec<Slot>,
    /// How many of them are filled.
    length: usize,
    /// How many of these the client has.
    taken: usize,
    messages: Vec<sys::rd_kafka_message_t>,
}

#[derive(Clone, Default)]
struct Slot {
    index: u64,
    key: Vec<u8>,
    payload: Vec<u8>,
}

impl Batch {
    /// A batch of at most `records` records of about `payload_bytes` bytes.
    pub fn new(records: usize, payload_bytes: usize) -> Self {
        let slot =
            || Slot { index: 0, key: Vec::with_capacity(64), payload: Vec::with_capacity(payload_bytes) };
        Self {
            records: (0..records.max(1)).map(|_| slot()).collect(),
            length: 0,
            taken: 0,
            messages: Vec::with_capacity(records.max(1)),
        }
    }

    /// Adds the record that `write` puts into the buffers of key and payload; `index` comes back in the message
    /// of a failed delivery.
    ///
    /// # Panics
    /// When the batch is full.
    #[inline]
    pub fn push(&mut self, index: u64, write: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>)) {
        let slot = &mut self.records[self.length];
        slot.index = index;
        write(&mut slot.key, &mut slot.payload);
        self.length += 1;
    }

    /// Whether there is no room for another record.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.length == self.records.len()
    }

    /// Whether it holds no record.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many of its records the client does not have yet.
    pub fn left(&self) -> usize {
        self.length - self.taken
    }

    /// The index of the first record that the client does not have yet.
    pub fn next_index(&self) -> Option<u64> {
        (self.left() > 0).then(|| self.records[self.taken].index)
    }

    /// Takes every record out.
    pub fn clear(&mut self) {
        (self.length, self.taken) = (0, 0);
    }
}

/// A producer into one topic.
pub struct Producer {
    /// The partitions, where the partitioner is Java's; else the client is asked for each record.
    partitions: Option<u32>,
    topic: Topic,
    // After the topic: fields are dropped in order, and a topic handle must go before its client.
    client: Client,
}

impl Producer {
    /// Connects and makes sure that the topic exists, so that nothing creates it by accident.
    ///
    /// # Errors
    /// [`crate::Error::Kafka`] when the topic does not exist or the brokers do not answer within `timeout`;
    /// [`crate::Error::Invalid`] for a bad property; [`crate::Error::Stopped`] when `stop` was set.
    pub fn connect(config: &KafkaConfig, topic: &str, timeout: Duration, stop: &Stop) -> Result<Self> {
        let deadline = Instant::now() + timeout;
        // A consumer's metadata request never creates a topic; a producer's does.
        let probe = Client::new(Role::Consumer, &config.consumer())?;
        leaders(&probe, topic, deadline, stop)?;
        let properties = config.producer();
        let client = Client::new(Role::Producer, &properties)?;
        let handle = client.topic(topic)?;
        // The first record must not wait for the connection and the topic's metadata.
        let count = leaders(&client, topic, deadline, stop)?.len() as u32;
        client.wait_for_producer_id(deadline, stop)?;
        let javas = properties.get("partitioner").is_some_and(|name| name.starts_with("murmur2"));
        Ok(Self { partitions: javas.then_some(count).filter(|&count| count > 0), topic: handle, client })
    }

    /// Hands the records of a batch over that the client does not have yet, in order; one call for all of them,
    /// because it looks at the clock and locks the topic once. Never blocks. `refuse` is told of each record that
    /// the client will not take, with librdkafka's reason; it counts as handed over.
    ///
    /// Returns whether it has them all; the queue is full otherwise.
    pub fn send(&self, batch: &mut Batch, mut refuse: impl FnMut(u64, String)) -> bool {
        let Batch { records, length, taken, messages } = batch;
        let left = &mut records[*taken..*length];
        messages.clear();
        messages.extend(left.iter_mut().map(|Slot { index, key, payload }| sys::rd_kafka_message_t {
            err: Code::RD_KAFKA_RESP_ERR_NO_ERROR,
            rkt: ptr::null_mut(),
            partition: self.partitions.map_or(-1, |count| partition_of(key, count)),
            payload: payload.as_mut_ptr().cast(),
            len: payload.len(),
            key: key.as_mut_ptr().cast(),
            key_len: key.len(),
            offset: 0,
            _private: ptr::without_provenance_mut(*index as usize),
        }));
        // SAFETY: the handle is alive; F_COPY makes librdkafka copy each payload before it returns, keys are
        // always copied; F_PARTITION says that each message has its partition (-1: the partitioner's); the
        // opaques are numbers in a pointer's clothes and never dereferenced.
        unsafe {
            sys::rd_kafka_produce_batch(
                self.topic.native,
                -1,
                (sys::RD_KAFKA_MSG_F_COPY | sys::RD_KAFKA_MSG_F_PARTITION) as c_int,
                messages.as_mut_ptr(),
                messages.len() as c_int,
            );
        }
        for (message, record) in messages.iter().zip(left) {
            match message.err {
                Code::RD_KAFKA_RESP_ERR_NO_ERROR => {}
                // From the first one on that finds the queue full, none is taken.
                Code::RD_KAFKA_RESP_ERR__QUEUE_FULL => return false,
                code => refuse(record.index, describe(code)),
            }
            *taken += 1;
        }
        true
    }

    /// Hands one record over, which may have no key, or be a tombstone. Never blocks; `index` comes back in the
    /// message of a failed delivery.
    ///
    /// # Errors
    /// [`Refused::QueueFull`] or what librdkafka says.
    #[inline]
    pub fn relay(
        &self,
        index: u64,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
    ) -> std::result::Result<(), Refused> {
        let (key, key_length) = key.map_or((ptr::null(), 0), |key| (key.as_ptr(), key.len()));
        let (payload, length) = payload.map_or((ptr::null(), 0), |payload| (payload.as_ptr(), payload.len()));
        // SAFETY: the handle is alive; F_COPY makes librdkafka copy the payload before it returns, the key
        // is always copied; the opaque is a number in a pointer's clothes and never dereferenced.
        let result = unsafe {
            sys::rd_kafka_produce(
                self.topic.native,
                -1,
                sys::RD_KAFKA_MSG_F_COPY as c_int,
                payload.cast_mut().cast::<c_void>(),
                length,
                key.cast(),
                key_length,
                ptr::without_provenance_mut(index as usize),
            )
        };
        if result == 0 {
            return Ok(());
        }
        match last_error() {
            Code::RD_KAFKA_RESP_ERR__QUEUE_FULL => Err(Refused::QueueFull),
            code => Err(Refused::Error(describe(code))),
        }
    }

    /// Serves delivery reports for at most `timeout`. Not on the thread that keeps time.
    pub fn poll(&self, timeout: Duration) {
        self.client.poll(timeout);
    }

    /// Records handed over whose delivery is not yet known.
    pub fn in_flight(&self) -> usize {
        // SAFETY: the handle is alive.
        unsafe { sys::rd_kafka_outq_len(self.client.native()) as usize }
    }

    /// Gives up every record that is not delivered; each is then reported as failed.
    pub fn purge(&self) {
        // SAFETY: the handle is alive; the flags are librdkafka's.
        unsafe {
            sys::rd_kafka_purge(
                self.client.native(),
                (sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_INFLIGHT) as c_int,
            );
        }
    }

    /// Records whose delivery the broker confirmed.
    pub fn acked(&self) -> u64 {
        self.client.events().acked.load(Ordering::Relaxed)
    }

    /// Records whose delivery failed for good.
    pub fn failed(&self) -> u64 {
        self.client.events().failed.load(Ordering::Relaxed)
    }

    /// The first few delivery errors, and the client's last error of its own.
    pub fn errors(&self) -> Vec<String> {
        let mut errors = self.client.events().samples();
        errors.extend(self.client.events().last());
        errors
    }
}
