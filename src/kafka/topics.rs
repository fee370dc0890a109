//! Brokers and topics: wait for them, create, delete, look at their ends.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka_sys as sys;

use super::client::{Client, Role, c_string, describe};
use super::config::KafkaConfig;
use crate::error::{Error, Result};
use crate::stop::Stop;

/// What stands for the brokers' own default in a request for a topic.
const BROKERS_DEFAULT: i32 = -1;

/// Waits until a broker answers and returns how many there are.
///
/// # Errors
/// [`Error::Kafka`] when none answers within `timeout`; [`Error::Stopped`] when `stop` was set.
pub fn wait_for_broker(config: &KafkaConfig, timeout: Duration, stop: &Stop) -> Result<usize> {
    broker_addresses(config, timeout, stop).map(|addresses| addresses.len())
}

/// The address of each broker, `host:port` as it is advertised to clients, in the order of the brokers' ids.
///
/// # Errors
/// As of [`wait_for_broker`].
pub fn broker_addresses(config: &KafkaConfig, timeout: Duration, stop: &Stop) -> Result<Vec<String>> {
    let deadline = Instant::now() + timeout;
    let client = Client::new(Role::Consumer, &config.consumer())?;
    loop {
        let metadata = client.metadata(None, deadline, stop)?;
        if !metadata.brokers.is_empty() {
            return Ok(metadata.brokers.into_values().collect());
        }
    }
}

/// The leader of each partition of a topic; fails when the topic does not exist.
pub(crate) fn leaders(client: &Client, topic: &str, deadline: Instant, stop: &Stop) -> Result<Vec<i32>> {
    match client.metadata(Some(topic), deadline, stop)?.topic {
        Some(Ok(leaders)) => Ok(leaders),
        Some(Err(code)) => Err(client.error(&format!("topic {topic} cannot be used"), code)),
        None => Err(Error::Kafka(format!("topic {topic} is unknown to the brokers"))),
    }
}

/// What a topic is created with.
#[derive(Clone, Debug)]
pub struct TopicSettings {
    /// Partitions, at least 1.
    pub partitions: i32,
    /// Replicas of each, at least 1; without a number, the brokers' default.
    pub replication: Option<i32>,
    /// Topic properties, as in `message.timestamp.type`.
    pub properties: BTreeMap<String, String>,
}

/// Creates topics and returns when every partition has a leader.
///
/// # Errors
/// [`Error::Kafka`] when one exists already, the broker refuses, or `timeout` passes;
/// [`Error::Invalid`] for counts below 1; [`Error::Stopped`] when `stop` was set.
pub fn create_topics(
    config: &KafkaConfig,
    topics: &[String],
    settings: &TopicSettings,
    timeout: Duration,
    stop: &Stop,
) -> Result<()> {
    let replication = settings.replication.unwrap_or(BROKERS_DEFAULT);
    if settings.partitions < 1 || settings.replication.is_some_and(|count| count < 1) {
        return Err(Error::Invalid(format!(
            "a topic needs at least 1 partition and 1 replica, not {} and {replication}",
            settings.partitions
        )));
    }
    if topics.is_empty() {
        return Ok(());
    }
    let deadline = Instant::now() + timeout;
    let client = Client::new(Role::Consumer, &config.consumer())?;
    // A broker that does not answer is told apart from a request that it refuses.
    client.metadata(None, deadline, stop)?;
    let new: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|name| {
            let topic = NewTopic::new(name, settings.partitions, TopicReplication::Fixed(replication));
            settings.properties.iter().fold(topic, |topic, (name, value)| topic.set(name, value))
        })
        .collect();
    let results = block_on(admin(config)?.create_topics(&new, &options(timeout)))?;
    check(results, "created")?;
    for topic in topics {
        loop {
            // A new topic may be unknown for a moment to the broker that is asked.
            let led = leaders(&client, topic, deadline, stop);
            match led {
                Ok(leaders)
                    if leaders.len() == settings.partitions as usize
                        && leaders.iter().all(|leader| *leader >= 0) =>
                {
                    break;
                }
                Err(Error::Stopped) => return Err(Error::Stopped),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Ok(_) if Instant::now() >= deadline => {
                    return Err(Error::Kafka(format!(
                        "topic {topic} was created, but its partitions have no leader after {timeout:?}"
                    )));
                }
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
    Ok(())
}

/// Deletes topics; one that does not exist is no error.
///
/// # Errors
/// [`Error::Kafka`] when the broker refuses or does not answer within `timeout`; [`Error::Stopped`] when
/// `stop` was set.
pub fn delete_topics(config: &KafkaConfig, topics: &[String], timeout: Duration, stop: &Stop) -> Result<()> {
    if topics.is_empty() {
        return Ok(());
    }
    let client = Client::new(Role::Consumer, &config.consumer())?;
    client.metadata(None, Instant::now() + timeout, stop)?;
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let results = block_on(admin(config)?.delete_topics(&names, &options(timeout)))?;
    let unknown = rdkafka::types::RDKafkaErrorCode::UnknownTopicOrPartition;
    check(
        results.into_iter().filter(|result| !matches!(result, Err((_, code)) if *code == unknown)),
        "deleted",
    )
}

/// Where a partition starts and ends: the first offset that is still there, and the next one to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset that can still be read.
    pub low: i64,
    /// The offset that the next record will get.
    pub end: i64,
}

/// The bounds of each partition of a topic.
///
/// # Errors
/// [`Error::Kafka`] when the topic does not exist or the brokers do not answer within `timeout`;
/// [`Error::Stopped`] when `stop` was set.
pub fn bounds(config: &KafkaConfig, topic: &str, timeout: Duration, stop: &Stop) -> Result<Vec<Bounds>> {
    let deadline = Instant::now() + timeout;
    let client = Client::new(Role::Consumer, &config.consumer())?;
    let partitions = leaders(&client, topic, deadline, stop)?.len();
    let name = c_string(topic)?;
    (0..partitions as i32)
        .map(|partition| {
            loop {
                if stop.is_set() {
                    return Err(Error::Stopped);
                }
                let mut bounds = Bounds { low: 0, end: 0 };
                // SAFETY: the handle and the name are alive, the results are written to locals.
                let code = unsafe {
                    sys::rd_kafka_query_watermark_offsets(
                        client.native(),
                        name.as_ptr(),
                        partition,
                        &raw mut bounds.low,
                        &raw mut bounds.end,
                        1_000 as c_int,
                    )
                };
                if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                    return Ok(bounds);
                }
                if Instant::now() >= deadline {
                    return Err(Error::Kafka(format!(
                        "the end of partition {partition} of topic {topic} cannot be read: {}",
                        describe(code)
                    )));
                }
            }
        })
        .collect()
}

fn admin(config: &KafkaConfig) -> Result<AdminClient<DefaultClientContext>> {
    let client: ClientConfig = config.producer().into_iter().collect();
    client.create().map_err(|error| Error::Kafka(format!("the Kafka admin client does not start: {error}")))
}

fn options(timeout: Duration) -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(timeout)).request_timeout(Some(timeout))
}

fn block_on<T>(future: impl Future<Output = rdkafka::error::KafkaResult<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| Error::Kafka(format!("no runtime for an admin request: {error}")))?
        .block_on(future)
        .map_err(|error| Error::Kafka(format!("the brokers refuse an admin request: {error}")))
}

fn check(results: impl IntoIterator<Item = rdkafka::admin::TopicResult>, done: &str) -> Result<()> {
    let refused: Vec<String> = results
        .into_iter()
        .filter_map(std::result::Result::err)
        .map(|(topic, code)| format!("{topic}: {code}"))
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(Error::Kafka(format!("topics were not {done}: {}", refused.join("; "))))
}
