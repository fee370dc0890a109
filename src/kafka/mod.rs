//! Kafka: client configuration, topics, the producer and the partition reader.

mod client;
pub mod config;
pub mod consumer;
pub mod partitioner;
pub mod producer;
pub mod topics;

pub(crate) use client::{c_string, lock};
pub use client::{librdkafka_features, librdkafka_version};
pub use config::KafkaConfig;
