//! The producer: one topic, records copied into librdkafka's queue, deliveries counted.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use sys::rd_kafka_resp_err_t as Code;

use super::client::{Client, Role, Topic, describe, last_error};
use super::config::KafkaConfig;
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

/// A producer into one topic.
pub struct Producer {
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
        let client = Client::new(Role::Producer, &config.producer())?;
        let handle = client.topic(topic)?;
        // The first record must not wait for the connection and the topic's metadata.
        leaders(&client, topic, deadline, stop)?;
        Ok(Self { topic: handle, client })
    }

    /// Hands a record over. Never blocks; `index` comes back in the message of a failed delivery.
    ///
    /// # Errors
    /// [`Refused::QueueFull`] or what librdkafka says.
    #[inline]
    pub fn send(&self, index: u64, key: &[u8], payload: &[u8]) -> std::result::Result<(), Refused> {
        self.relay(index, Some(key), Some(payload))
    }

    /// Hands a record over that may have no key, or be a tombstone.
    ///
    /// # Errors
    /// As [`Producer::send`].
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
