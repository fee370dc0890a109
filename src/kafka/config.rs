//! The client's configuration: what the caller gives, over the settings that make the figures right.

use std::collections::BTreeMap;
use std::env;

use crate::error::{Error, Result};

/// librdkafka properties by name. `bootstrap.servers` is required.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaConfig(BTreeMap<String, String>);

/// Java's partitioner, so that a key lands where a Java client would put it; idempotent, so that a retry
/// neither duplicates nor reorders; every record at once on the wire.
const PRODUCER: &[(&str, &str)] = &[
    ("acks", "all"),
    ("enable.idempotence", "true"),
    ("linger.ms", "0"),
    ("partitioner", "murmur2_random"),
    ("socket.keepalive.enable", "true"),
    ("socket.nagle.disable", "true"),
];

/// What the harness relies on, whatever the caller asked for.
const PRODUCER_FIXED: &[(&str, &str)] = &[
    // The statistics say when the producer may send.
    ("statistics.interval.ms", "100"),
];

/// A record is fetched as soon as it is there; nothing is committed.
const CONSUMER: &[(&str, &str)] = &[
    ("allow.auto.create.topics", "false"),
    ("auto.offset.reset", "earliest"),
    ("enable.auto.commit", "false"),
    ("fetch.min.bytes", "1"),
    // The default of 1 s stalls a consumer whose queue was full for a moment.
    ("fetch.queue.backoff.ms", "5"),
    ("fetch.wait.max.ms", "500"),
    // librdkafka's 64 MiB would be most of the harness's memory.
    ("queued.max.messages.kbytes", "8192"),
    ("socket.keepalive.enable", "true"),
    ("socket.nagle.disable", "true"),
];

/// What the harness relies on, whatever the caller asked for.
const CONSUMER_FIXED: &[(&str, &str)] = &[
    // Whoever follows a topic is at its end after nearly every fetch, and would be woken for it.
    ("enable.partition.eof", "false"),
    ("enable.auto.offset.store", "false"),
    ("offset.store.method", "none"),
];

/// Properties that only a producer has; a consumer made from the same mapping goes without them.
const PRODUCER_ONLY: &[&str] = &[
    "acks",
    "batch.num.messages",
    "batch.size",
    "compression.codec",
    "compression.level",
    "compression.type",
    "delivery.timeout.ms",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "linger.ms",
    "message.send.max.retries",
    "message.timeout.ms",
    "partitioner",
    "queue.buffering.backpressure.threshold",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "queuing.strategy",
    "request.required.acks",
    "request.timeout.ms",
    "retries",
    "sticky.partitioning.linger.ms",
    "transaction.timeout.ms",
    "transactional.id",
];

/// Properties that only a consumer has; a producer made from the same mapping goes without them.
const CONSUMER_ONLY: &[&str] = &[
    "allow.auto.create.topics",
    "auto.offset.reset",
    "check.crcs",
    "client.rack",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "group.id",
    "isolation.level",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "queued.max.messages.kbytes",
    "queued.min.messages",
];

/// Properties that say which authorities sign a broker's certificate.
const AUTHORITIES: &[&str] = &["ssl.ca.location", "ssl.ca.pem", "ssl.ca.certificate.stores"];

/// What OpenSSL itself reads for the same purpose.
const AUTHORITIES_ENV: &[&str] = &["SSL_CERT_FILE", "SSL_CERT_DIR"];

impl KafkaConfig {
    /// Takes the caller's properties.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `bootstrap.servers` is missing or empty.
    pub fn new(properties: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let properties: BTreeMap<_, _> = properties.into_iter().collect();
        if properties.get("bootstrap.servers").is_none_or(|servers| servers.trim().is_empty()) {
            return Err(Error::Invalid(
                "the client configuration needs `bootstrap.servers`, as in \"127.0.0.1:9092\"".to_owned(),
            ));
        }
        Ok(Self(properties))
    }

    /// The brokers, for messages.
    pub fn servers(&self) -> &str {
        self.0.get("bootstrap.servers").map_or("", String::as_str)
    }

    /// The effective properties of a producer.
    pub fn producer(&self) -> BTreeMap<String, String> {
        self.over(PRODUCER, PRODUCER_FIXED, CONSUMER_ONLY)
    }

    /// The effective properties of a consumer.
    pub fn consumer(&self) -> BTreeMap<String, String> {
        self.over(CONSUMER, CONSUMER_FIXED, PRODUCER_ONLY)
    }

    /// The same for a consumer to which the end of a partition is reported.
    pub fn consumer_to_the_end(&self) -> BTreeMap<String, String> {
        let mut properties = self.consumer();
        properties.insert("enable.partition.eof".to_owned(), "true".to_owned());
        properties
    }

    /// The caller's properties, without `foreign` ones, over `defaults` and under what is `fixed`.
    fn over(
        &self,
        defaults: &[(&str, &str)],
        fixed: &[(&str, &str)],
        foreign: &[&str],
    ) -> BTreeMap<String, String> {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let mut properties: BTreeMap<String, String> = defaults.iter().map(owned).collect();
        for (name, value) in &self.0 {
            if !foreign.contains(&name.as_str()) {
                properties.insert(name.clone(), value.clone());
            }
        }
        if self.needs_authorities() && AUTHORITIES_ENV.iter().all(|name| env::var_os(name).is_none()) {
            // The OpenSSL that is linked in looks where no system keeps its certificates.
            properties.insert("ssl.ca.location".to_owned(), "probe".to_owned());
        }
        properties.extend(fixed.iter().map(owned));
        properties
    }

    /// Whether brokers are to prove who they are, and the caller does not say to whom.
    fn needs_authorities(&self) -> bool {
        let protocol = self.0.get("security.protocol").map_or("", String::as_str);
        protocol.to_ascii_lowercase().ends_with("ssl")
            && AUTHORITIES.iter().all(|name| !self.0.contains_key(*name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(extra: &[(&str, &str)]) -> KafkaConfig {
        let pairs = [("bootstrap.servers", "127.0.0.1:1")].iter().chain(extra);
        KafkaConfig::new(pairs.map(|&(name, value)| (name.to_owned(), value.to_owned()))).unwrap()
    }

    #[test]
    fn the_callers_settings_win_and_reach_their_own_client_only() {
        let config = config(&[("linger.ms", "5"), ("fetch.wait.max.ms", "1"), ("client.id", "x")]);
        let (producer, consumer) = (config.producer(), config.consumer());
        assert_eq!(producer["linger.ms"], "5");
        assert_eq!(producer["partitioner"], "murmur2_random");
        assert!(!producer.contains_key("fetch.wait.max.ms"));
        assert_eq!(consumer["fetch.wait.max.ms"], "1");
        assert!(!consumer.contains_key("linger.ms"));
        assert_eq!((producer["client.id"].as_str(), consumer["client.id"].as_str()), ("x", "x"));
    }

    #[test]
    fn what_the_harness_relies_on_cannot_be_switched_off() {
        let config = config(&[("enable.partition.eof", "maybe"), ("offset.store.method", "broker")]);
        assert_eq!(config.consumer()["enable.partition.eof"], "false");
        assert_eq!(config.consumer_to_the_end()["enable.partition.eof"], "true");
        assert_eq!(config.consumer_to_the_end()["offset.store.method"], "none");
    }

    #[test]
    fn the_systems_authorities_are_looked_for_unless_others_are_named() {
        for protocol in ["SSL", "sasl_ssl"] {
            let secure = config(&[("security.protocol", protocol)]);
            let expected = AUTHORITIES_ENV.iter().all(|name| env::var_os(name).is_none()).then_some("probe");
            assert_eq!(secure.producer().get("ssl.ca.location").map(String::as_str), expected);
            assert_eq!(secure.consumer().get("ssl.ca.location").map(String::as_str), expected);
        }
        let named = config(&[("security.protocol", "SSL"), ("ssl.ca.location", "/ca.pem")]);
        assert_eq!(named.producer()["ssl.ca.location"], "/ca.pem");
        let inline = config(&[("security.protocol", "SSL"), ("ssl.ca.pem", "…")]);
        assert!(!inline.producer().contains_key("ssl.ca.location"));
        assert!(
            !config(&[("security.protocol", "SASL_PLAINTEXT")]).producer().contains_key("ssl.ca.location")
        );
    }

    #[test]
    fn brokers_are_required() {
        assert!(KafkaConfig::new([]).is_err());
        assert!(KafkaConfig::new([("bootstrap.servers".to_owned(), " ".to_owned())]).is_err());
    }
}
