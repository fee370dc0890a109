//! Load generator, latency consumer and output oracle for streaming engines on Apache Kafka.
//!
//! The map, in the order in which a trial uses it:
//!
//! | module | what it does |
//! | --- | --- |
//! | [`event`] | the event on the wire: encode, decode |
//! | [`workload`] | event *i* as a function of (seed, i) |
//! | [`template`] | the same as a record of the user's own: a text with placeholders |
//! | [`stamp`], [`iso`] | the time stamp in a record that is not ours |
//! | [`schedule`] | when event *n* is intended: open loop |
//! | [`clock`] | the only place that reads a clock, and paces threads by it |
//! | [`kafka`] | client configuration, topics, producer, partition reader |
//! | [`generate`] | workload × schedule → Kafka |
//! | [`measure`] | Kafka → receipt times, live percentiles |
//! | [`relay`] | Kafka → Kafka: the floor of any engine |
//! | [`spool`] | receipt times on disk, by partition and offset |
//! | [`oracle`] | both topics and the receipts → counts, update latency, verdict |
//! | [`diff`] | two topics that must hold the same results → what differs |
//! | [`signed_histogram`] | durations that may be below 0, with exact means |
//! | [`histogram`], [`live_log`] | HDR histograms; the interval log, written at the end or meanwhile |
//! | [`interval_log`] | reads such a log |
//! | [`stop`], [`error`] | ending early; what can go wrong |
//!
//! All times are µs since the Unix epoch, as i64; durations are µs too unless a name says otherwise. The
//! Python extension `rtmbench._core` (feature `python`) is a thin layer over these modules.

#[cfg(feature = "python")]
mod bindings;
pub mod clock;
pub mod diff;
pub mod error;
pub mod event;
pub mod generate;
pub mod histogram;
pub mod interval_log;
pub mod iso;
pub mod kafka;
pub mod live_log;
pub mod measure;
pub mod oracle;
pub mod relay;
pub mod schedule;
pub mod signed_histogram;
mod slip;
pub mod spool;
pub mod stamp;
pub mod stop;
pub mod template;
pub mod workload;

pub use error::{Error, Result};
pub use stop::Stop;
