//! `Workload`.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::event::EventId;
use crate::template::{Template, Templates};
use crate::workload;

/// Event i as a function of (seed, i): the same arguments always make the same events.
#[pyclass(frozen, module = "rtmbench._core")]
pub(super) struct Workload(pub(super) Arc<workload::Workload>);

#[pymethods]
impl Workload {
    #[new]
    #[pyo3(signature = (seed, *, keys=100, zipf_exponent=None, payload_bytes=None, templates=None, out_of_order=None,
                        late=None))]
    fn new(
        seed: u64,
        keys: u32,
        zipf_exponent: Option<f64>,
        payload_bytes: Option<usize>,
        templates: Option<Vec<(Option<Vec<u8>>, String)>>,
        out_of_order: Option<(f64, i64)>,
        late: Option<(f64, i64, u64)>,
    ) -> PyResult<Self> {
        let mut workload = workload::Workload::new(seed, keys, zipf_exponent)?;
        if let Some(bytes) = payload_bytes {
            workload = workload.with_payload_bytes(bytes)?;
        }
        if let Some(texts) = templates {
            let parsed = texts.iter().map(|(key, text)| Template::new(text, key.as_deref()));
            workload = workload.with_templates(Templates::new(parsed.collect::<crate::Result<_>>()?)?);
        }
        if let Some((share, delay_ms)) = out_of_order {
            workload = workload.with_out_of_order(share, delay_ms)?;
        }
        if let Some((share, behind_ms, from_index)) = late {
            workload = workload.with_late(share, behind_ms, from_index)?;
        }
        Ok(Self(Arc::new(workload)))
    }

    #[getter]
    fn seed(&self) -> u64 {
        self.0.seed()
    }

    #[getter]
    fn keys(&self) -> u32 {
        self.0.keys()
    }

    #[getter]
    fn payload_bytes(&self) -> Option<usize> {
        self.0.payload_bytes()
    }

    /// The record of event `index`, intended for `scheduled_at_us`, as it goes to Kafka: JSON in UTF-8.
    fn event<'py>(&self, py: Python<'py>, index: u64, scheduled_at_us: i64) -> Bound<'py, PyBytes> {
        let mut buffer = Vec::new();
        self.0.encode(index, &self.0.event(index, scheduled_at_us), &mut buffer);
        PyBytes::new(py, &buffer)
    }

    /// The event_id of event `index`: a UUID that inverts to the index and is tagged with the seed.
    fn event_id(&self, index: u64) -> String {
        self.0.event_id(index).to_string()
    }

    /// The index that an event_id was made from; None when it is another run's, or no event_id at all.
    fn index_of(&self, event_id: &str) -> Option<u64> {
        EventId::parse(event_id.as_bytes()).and_then(|id| self.0.index_of(id))
    }

    /// How many of the events `first..first + count` happened too long ago to count in a window.
    fn late_in(&self, py: Python<'_>, first: u64, count: u64) -> u64 {
        py.detach(|| self.0.late_in(first, count))
    }

    fn __repr__(&self) -> String {
        format!("Workload({}, keys={})", self.0.seed(), self.0.keys())
    }
}
