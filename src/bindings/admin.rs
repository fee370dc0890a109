//! Functions: clocks, brokers, topics, partitions.

use pyo3::prelude::*;

use super::convert::{config, strings};
use super::wait::{awaitable, duration, wait_for};
use crate::kafka::topics::{self, TopicSettings};
use crate::stop::Stop;
use crate::{Error, clock, kafka};

/// Now, in µs since the Unix epoch: the realtime clock read once, then the monotonic clock.
#[pyfunction]
pub(super) fn now_us() -> i64 {
    clock::now_us()
}

/// The realtime clock minus `now_us()`, in µs, signed. A change of more than 1 ms voids a trial.
#[pyfunction]
pub(super) fn clock_jump_us() -> i64 {
    clock::clock_jump_us()
}

/// What the librdkafka that is linked in was built with, such as "gzip", "ssl" and "sasl_scram".
#[pyfunction]
pub(super) fn librdkafka_features() -> Vec<String> {
    kafka::librdkafka_features()
}

/// The version of librdkafka that is linked in, as in "2.12.1".
#[pyfunction]
pub(super) fn librdkafka_version() -> String {
    kafka::librdkafka_version()
}

/// The partition of a record with this key, as Java's default partitioner chooses it. ValueError without partitions.
#[pyfunction]
pub(super) fn partition_of(key: &[u8], partitions: u32) -> PyResult<i32> {
    if partitions == 0 {
        return Err(Error::Invalid("a topic has at least one partition".to_owned()).into());
    }
    Ok(kafka::partitioner::partition_of(key, partitions))
}

/// Wait until a broker answers; return how many brokers there are. KafkaError when none does in time.
#[pyfunction]
#[pyo3(signature = (config, timeout_s))]
pub(super) fn wait_for_broker(py: Python<'_>, config: &Bound<'_, PyAny>, timeout_s: f64) -> PyResult<usize> {
    let (config, timeout, stop) = (self::config(config)?, duration(timeout_s)?, Stop::new());
    let seen = stop.clone();
    wait_for(py, move || stop.set(), move || topics::wait_for_broker(&config, timeout, &seen))
}

/// Return the address of each broker, as it is advertised to clients. KafkaError when none answers in time.
#[pyfunction]
#[pyo3(signature = (config, timeout_s))]
pub(super) fn broker_addresses(
    py: Python<'_>,
    config: &Bound<'_, PyAny>,
    timeout_s: f64,
) -> PyResult<Vec<String>> {
    let (config, timeout, stop) = (self::config(config)?, duration(timeout_s)?, Stop::new());
    let seen = stop.clone();
    wait_for(py, move || stop.set(), move || topics::broker_addresses(&config, timeout, &seen))
}

/// `broker_addresses()` for asyncio.
#[pyfunction]
#[pyo3(signature = (config, timeout_s))]
pub(super) fn broker_addresses_async<'py>(
    py: Python<'py>,
    config: &Bound<'py, PyAny>,
    timeout_s: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let (config, timeout, stop) = (self::config(config)?, duration(timeout_s)?, Stop::new());
    let seen = stop.clone();
    let work = move || topics::broker_addresses(&config, timeout, &seen);
    awaitable(py, move || stop.set(), work, |_, addresses| Ok(addresses))
}

/// `wait_for_broker()` for asyncio.
#[pyfunction]
#[pyo3(signature = (config, timeout_s))]
pub(super) fn wait_for_broker_async<'py>(
    py: Python<'py>,
    config: &Bound<'py, PyAny>,
    timeout_s: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let (config, timeout, stop) = (self::config(config)?, duration(timeout_s)?, Stop::new());
    let seen = stop.clone();
    let work = move || topics::wait_for_broker(&config, timeout, &seen);
    awaitable(py, move || stop.set(), work, |_, brokers| Ok(brokers))
}

/// Create topics; return when every partition has a leader. KafkaError when one exists or is refused.
#[pyfunction]
#[pyo3(signature = (config, topics, *, partitions, replication=None, properties=None, timeout_s=30.0))]
pub(super) fn create_topics(
    py: Python<'_>,
    config: &Bound<'_, PyAny>,
    topics: Vec<String>,
    partitions: i32,
    replication: Option<i32>,
    properties: Option<&Bound<'_, PyAny>>,
    timeout_s: f64,
) -> PyResult<()> {
    let (config, timeout, stop) = (self::config(config)?, duration(timeout_s)?, Stop::new());
    let settings = topic_settings(partitions, replication, properties)?;
    let seen = stop.clone();
    let work = move || topics::create_topics(&config, &topics, &settings, timeout, &seen);
    wait_for(py, move || stop.set(), work)
}

/// `create_topics()` for asyncio.
#[pyfunction]
#[pyo3(signature = (config, topics, *, partitions, replication=None, properties=None, timeout_s=30.0))]
pub(super) fn create_topics_async<'py>(
    py: Python<'py>,
    config: &Bound<'py, PyAny>,
    topics: Vec<String>,
    partitions: i32,
    replication: Option<i32>,
    properties: Option<&Bound<'py, PyAny>>,
    timeout_s: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let (config, timeout, stop) = (self::config(config)?, duration(timeout_s)?, Stop::new());
    let settings = topic_settings(partitions, replication, properties)?;
    let seen = stop.clone();
    let work = move || topics::create_topics(&config, &topics, &settings, timeout, &seen);
    awaitable(py, move || stop.set(), work, |_, ()| Ok(()))
}

fn topic_settings(
    partitions: i32,
    replication: Option<i32>,
    properties: Option<&Bound<'_, PyAny>>,
) -> PyResult<TopicSettings> {
    let properties = properties.map(strings).transpose()?.unwrap_or_default();
    Ok(TopicSettings { partitions, replication, properties })
}

/// Delete topics; one that does not exist is no error.
#[pyfunction]
#[pyo3(signature = (config, topics, *, timeout_s=30.0))]
pub(super) fn delete_topics(
    py: Python<'_>,
    config: &Bound<'_, PyAny>,
    topics: Vec<String>,
    timeout_s: f64,
) -> PyResult<()> {
    let (config, timeout, stop) = (self::config(config)?, duration(timeout_s)?, Stop::new());
    let seen = stop.clone();
    let work = move || topics::delete_topics(&config, &topics, timeout, &seen);
    wait_for(py, move || stop.set(), work)
}

/// `delete_topics()` for asyncio.
#[pyfunction]
#[pyo3(signature = (config, topics, *, timeout_s=30.0))]
pub(super) fn delete_topics_async<'py>(
    py: Python<'py>,
    config: &Bound<'py, PyAny>,
    topics: Vec<String>,
    timeout_s: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let (config, timeout, stop) = (self::config(config)?, duration(timeout_s)?, Stop::new());
    let seen = stop.clone();
    let work = move || topics::delete_topics(&config, &topics, timeout, &seen);
    awaitable(py, move || stop.set(), work, |_, ()| Ok(()))
}

/// The offset that the next record of each partition will get.
#[pyfunction]
#[pyo3(signature = (config, topic, *, timeout_s=10.0))]
pub(super) fn end_offsets(
    py: Python<'_>,
    config: &Bound<'_, PyAny>,
    topic: String,
    timeout_s: f64,
) -> PyResult<Vec<i64>> {
    let (config, timeout, stop) = (self::config(config)?, duration(timeout_s)?, Stop::new());
    let seen = stop.clone();
    let work = move || topics::bounds(&config, &topic, timeout, &seen);
    Ok(ends(wait_for(py, move || stop.set(), work)?))
}

/// `end_offsets()` for asyncio.
#[pyfunction]
#[pyo3(signature = (config, topic, *, timeout_s=10.0))]
pub(super) fn end_offsets_async<'py>(
    py: Python<'py>,
    config: &Bound<'py, PyAny>,
    topic: String,
    timeout_s: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let (config, timeout, stop) = (self::config(config)?, duration(timeout_s)?, Stop::new());
    let seen = stop.clone();
    let work = move || topics::bounds(&config, &topic, timeout, &seen);
    awaitable(py, move || stop.set(), work, |_, bounds| Ok(ends(bounds)))
}

fn ends(bounds: Vec<topics::Bounds>) -> Vec<i64> {
    bounds.into_iter().map(|bounds| bounds.end).collect()
}
