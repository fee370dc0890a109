//! The Python extension `rtmbench._core`: thin classes over the crate's modules, one file each.
//!
//! `wait` is the only route into long work: it releases the GIL and looks at signals, or gives asyncio an awaitable. Each
//! long call NAME has a twin NAME_async. Where the arguments are many, `wait::twins!` makes both from one body.

#![expect(clippy::doc_markdown, reason = "the docs here are Python's docstrings, which are plain text")]
#![expect(clippy::needless_pass_by_value, reason = "PyO3 hands arguments over by value")]

mod admin;
mod consumer;
mod convert;
mod diff;
mod errors;
mod generator;
mod histogram;
mod mock;
mod relay;
mod runtime;
mod schedule;
mod signed_histogram;
mod stamped;
mod table;
mod verify;
mod wait;
mod workload;

use pyo3::prelude::*;

/// Load generator, latency consumer and output oracle for Kafka. All times are µs since the Unix epoch.
#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("OPTIMIZED", !cfg!(debug_assertions))?;
    module.add("RtmbenchError", module.py().get_type::<errors::RtmbenchError>())?;
    module.add("KafkaError", module.py().get_type::<errors::KafkaError>())?;
    module.add("HarnessError", module.py().get_type::<errors::HarnessError>())?;
    module.add_class::<consumer::ConsumerReport>()?;
    module.add_class::<consumer::ConsumerSnapshot>()?;
    module.add_class::<consumer::LatencyConsumer>()?;
    module.add_class::<diff::DiffCounts>()?;
    module.add_class::<diff::DiffReport>()?;
    module.add_class::<diff::TopicDiff>()?;
    module.add_class::<generator::Generator>()?;
    module.add_class::<generator::GeneratorReport>()?;
    module.add_class::<generator::GeneratorSnapshot>()?;
    module.add_class::<histogram::Histogram>()?;
    module.add_class::<mock::MockBroker>()?;
    module.add_class::<relay::Relay>()?;
    module.add_class::<relay::RelaySnapshot>()?;
    module.add_class::<schedule::Schedule>()?;
    module.add_class::<signed_histogram::SignedHistogram>()?;
    module.add_class::<table::Table>()?;
    module.add_class::<verify::Verdict>()?;
    module.add_class::<workload::Workload>()?;
    module.add_function(wrap_pyfunction!(admin::clock_jump_us, module)?)?;
    module.add_function(wrap_pyfunction!(admin::create_topics, module)?)?;
    module.add_function(wrap_pyfunction!(admin::create_topics_async, module)?)?;
    module.add_function(wrap_pyfunction!(admin::delete_topics, module)?)?;
    module.add_function(wrap_pyfunction!(admin::delete_topics_async, module)?)?;
    module.add_function(wrap_pyfunction!(admin::end_offsets, module)?)?;
    module.add_function(wrap_pyfunction!(admin::end_offsets_async, module)?)?;
    module.add_function(wrap_pyfunction!(admin::librdkafka_features, module)?)?;
    module.add_function(wrap_pyfunction!(admin::librdkafka_version, module)?)?;
    module.add_function(wrap_pyfunction!(admin::now_us, module)?)?;
    module.add_function(wrap_pyfunction!(admin::partition_of, module)?)?;
    module.add_function(wrap_pyfunction!(histogram::read_interval_log, module)?)?;
    module.add_function(wrap_pyfunction!(admin::wait_for_broker, module)?)?;
    module.add_function(wrap_pyfunction!(admin::broker_addresses, module)?)?;
    module.add_function(wrap_pyfunction!(admin::broker_addresses_async, module)?)?;
    module.add_function(wrap_pyfunction!(admin::wait_for_broker_async, module)?)?;
    module.add_function(wrap_pyfunction!(histogram::write_interval_log, module)?)?;
    module.add_function(wrap_pyfunction!(stamped::read_topic, module)?)?;
    module.add_function(wrap_pyfunction!(stamped::read_topic_async, module)?)?;
    module.add_function(wrap_pyfunction!(stamped::newest_records, module)?)?;
    module.add_function(wrap_pyfunction!(stamped::newest_records_async, module)?)?;
    module.add_function(wrap_pyfunction!(stamped::timestamp_of, module)?)?;
    module.add_function(wrap_pyfunction!(stamped::verify_stamped, module)?)?;
    module.add_function(wrap_pyfunction!(stamped::verify_stamped_async, module)?)?;
    module.add_function(wrap_pyfunction!(verify::expected_outputs, module)?)?;
    module.add_function(wrap_pyfunction!(verify::verify, module)?)?;
    module.add_function(wrap_pyfunction!(verify::verify_async, module)?)?;
    Ok(())
}
