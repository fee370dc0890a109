//! Python values that several classes take.

use std::collections::BTreeMap;

use pyo3::prelude::*;
use pyo3::types::PyMapping;

use crate::kafka::KafkaConfig;

/// A mapping of strings.
pub(super) fn strings(mapping: &Bound<'_, PyAny>) -> PyResult<BTreeMap<String, String>> {
    let mapping = mapping.cast::<PyMapping>()?;
    mapping.items()?.iter().map(|item| item.extract::<(String, String)>()).collect()
}

/// librdkafka properties.
pub(super) fn config(mapping: &Bound<'_, PyAny>) -> PyResult<KafkaConfig> {
    Ok(KafkaConfig::new(strings(mapping)?)?)
}
