//! `verify_stamped()`, for the outputs of custom jobs; `read_topic()`, for whoever checks them;
//! `newest_records()` and `timestamp_of()`, for whoever wants to send such records.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use super::convert;
use super::verify::Verdict;
use super::wait::{duration, twins};
use crate::Error;
use crate::kafka::KafkaConfig;
use crate::kafka::consumer::{Message, read_range};
use crate::kafka::topics::bounds;
use crate::oracle::{Scope, Side, StampedSettings, StampedVerdict, verify_stamped as verify};
use crate::stamp::StampPath;
use crate::stop::Stop;

twins! {
    /// Read both topics and judge outputs by the time stamps that they carry: one sample for each.
    #[pyo3(signature = (config, *, input_topic, input_field, output_topic, output_field, spool, measure, deadline_us,
                        input_from=Vec::new(), output_from=Vec::new(), shared=false, filters=false, hlog=None,
                        offending_limit=20, cycles=None),
           text_signature = "(config, *, input_topic, input_field, output_topic, output_field, spool, measure, \
                             deadline_us, input_from=(), output_from=(), shared=False, filters=False, hlog=None, \
                             offending_limit=20, cycles=None)")]
    #[expect(clippy::too_many_arguments, reason = "the settings are keyword-only on the Python side")]
    fn verify_stamped and verify_stamped_async by wait(
        py: Python<'py>,
        config: &Bound<'py, PyAny>,
        input_topic: String,
        input_field: &str,
        output_topic: String,
        output_field: &str,
        spool: PathBuf,
        measure: (i64, i64),
        deadline_us: i64,
        input_from: Vec<i64>,
        output_from: Vec<i64>,
        shared: bool,
        filters: bool,
        hlog: Option<PathBuf>,
        offending_limit: usize,
        cycles: Option<Vec<i64>>,
    ) {
        let settings = StampedSettings {
            config: convert::config(config)?,
            input: Side { topic: input_topic, field: StampPath::new(input_field)?, from: input_from },
            output: Side { topic: output_topic, field: StampPath::new(output_field)?, from: output_from },
            spool,
            scope: Scope { offending_limit, cycles: cycles.unwrap_or_default(), ..Scope::of(measure) },
            deadline_us,
            shared,
            filters,
            interval_log: hlog,
        };
        let stop = Stop::new();
        let seen = stop.clone();
        wait(py, move || stop.set(), move || verify(&settings, &seen), converted)
    }
}

fn converted(py: Python<'_>, found: StampedVerdict) -> PyResult<Py<PyTuple>> {
    let dict = PyDict::new(py);
    let counts = found.verdict.counts;
    for (name, count) in [
        ("produced", counts.produced),
        ("received", counts.received),
        ("stamped", found.stamped),
        ("without", found.without),
        ("foreign", found.foreign),
        ("earlier", found.earlier),
        ("stamps", found.stamps),
        ("covered", found.covered),
        ("crowded", found.crowded),
        ("uncovered", found.uncovered),
        ("censored", found.verdict.censored),
    ] {
        dict.set_item(name, count)?;
    }
    dict.set_item("resolution_us", found.resolution_us)?;
    dict.set_item("newest_us", found.newest_us)?;
    dict.set_item("append_time", found.append_time)?;
    dict.set_item("unread_partitions", found.unread_partitions)?;
    let verdict = Py::new(py, Verdict::of(py, found.verdict)?)?;
    Ok((verdict, dict).into_pyobject(py)?.unbind())
}

/// A record as it was read: partition, offset, key, value, a time that Kafka keeps of it, ms.
struct Read {
    partition: i32,
    offset: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    at_ms: Option<i64>,
}

impl Read {
    fn of(message: &Message<'_>, at_ms: Option<i64>) -> Self {
        Self {
            partition: message.partition,
            offset: message.offset,
            key: message.key.map(<[u8]>::to_vec),
            value: message.payload.map(<[u8]>::to_vec),
            at_ms,
        }
    }
}

fn read(
    config: &KafkaConfig,
    topic: &str,
    from: &[i64],
    most: usize,
    timeout: std::time::Duration,
    stop: &Stop,
) -> crate::Result<Vec<Read>> {
    let partitions = bounds(config, topic, timeout, stop)?;
    let starts: Vec<i64> = partitions
        .iter()
        .enumerate()
        .map(|(partition, bounds)| from.get(partition).copied().unwrap_or(0).max(bounds.low))
        .collect();
    let ends: Vec<i64> = partitions.iter().map(|bounds| bounds.end).collect();
    let mut records = Vec::new();
    read_range(config, topic, &starts, &ends, timeout, stop, |message| {
        if records.len() == most {
            return Err(Error::Invalid(format!("topic {topic} holds more than {most} records")));
        }
        records.push(Read::of(&message, message.append_ms));
        Ok(())
    })?;
    records.sort_unstable_by_key(|record| (record.partition, record.offset));
    Ok(records)
}

/// The newest records of each partition, equally many of each, `most` or a few more of all.
fn newest(
    config: &KafkaConfig,
    topic: &str,
    most: usize,
    timeout: std::time::Duration,
    stop: &Stop,
) -> crate::Result<Vec<Read>> {
    let partitions = bounds(config, topic, timeout, stop)?;
    let share = most.div_ceil(partitions.len().max(1)) as i64;
    let starts: Vec<i64> = partitions.iter().map(|bounds| bounds.low.max(bounds.end - share)).collect();
    let ends: Vec<i64> = partitions.iter().map(|bounds| bounds.end).collect();
    let mut records = Vec::new();
    read_range(config, topic, &starts, &ends, timeout, stop, |message| {
        records.push(Read::of(&message, message.append_ms.or(message.created_ms)));
        Ok(())
    })?;
    records.sort_unstable_by_key(|record| (record.partition, record.offset));
    Ok(records)
}

fn tuples(py: Python<'_>, records: Vec<Read>) -> PyResult<Vec<Py<PyTuple>>> {
    records
        .into_iter()
        .map(|record| {
            let bytes = |bytes: Option<Vec<u8>>| bytes.map(|bytes| PyBytes::new(py, &bytes).unbind());
            let tuple =
                (record.partition, record.offset, bytes(record.key), bytes(record.value), record.at_ms);
            Ok(tuple.into_pyobject(py)?.unbind())
        })
        .collect()
}

twins! {
    /// Read a topic whole: (partition, offset, key, value, ms of its append) of each record, in order.
    #[pyo3(signature = (config, topic, *, from_offsets=Vec::new(), most=1_000_000, timeout_s=30.0),
           text_signature = "(config, topic, *, from_offsets=(), most=1000000, timeout_s=30.0)")]
    fn read_topic and read_topic_async by wait(
        py: Python<'py>,
        config: &Bound<'py, PyAny>,
        topic: String,
        from_offsets: Vec<i64>,
        most: usize,
        timeout_s: f64,
    ) {
        let (config, timeout, stop) = (convert::config(config)?, duration(timeout_s)?, Stop::new());
        let seen = stop.clone();
        let work = move || read(&config, &topic, &from_offsets, most, timeout, &seen);
        wait(py, move || stop.set(), work, tuples)
    }
}

twins! {
    /// Read the newest records of a topic: (partition, offset, key, value, ms that Kafka keeps) of each, in order.
    #[pyo3(signature = (config, topic, most, *, timeout_s=30.0),
           text_signature = "(config, topic, most, *, timeout_s=30.0)")]
    fn newest_records and newest_records_async by wait(
        py: Python<'py>,
        config: &Bound<'py, PyAny>,
        topic: String,
        most: usize,
        timeout_s: f64,
    ) {
        let (config, timeout, stop) = (convert::config(config)?, duration(timeout_s)?, Stop::new());
        let seen = stop.clone();
        let work = move || newest(&config, &topic, most, timeout, &seen);
        wait(py, move || stop.set(), work, tuples)
    }
}

/// The time that a JSON record has in a field, µs since the Unix epoch, and its unit; None where that is not a time.
#[pyfunction]
pub(super) fn timestamp_of(record: &[u8], field: &str) -> PyResult<Option<(i64, &'static str)>> {
    let path = StampPath::new(field)?;
    Ok(path.decode(record).ok().map(|stamp| (stamp.at_us, stamp.unit.name())))
}
