//! `MockBroker`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::errors::{KafkaError, RtmbenchError};

struct Cluster(MockCluster<'static, DefaultProducerContext>);

// SAFETY: the mock cluster runs on a thread of its own and takes requests through a locked queue; the mutex
// around it keeps two of ours from using it at once.
unsafe impl Send for Cluster {}

/// librdkafka's in-process mock of Kafka brokers, for tests of code that uses this package. It keeps no data on disk,
/// knows few admin requests (create topics with its own method), and its latencies mean nothing.
#[pyclass(frozen, module = "rtmbench._core")]
pub(super) struct MockBroker(Mutex<Option<Cluster>>);

impl MockBroker {
    fn lock(&self) -> MutexGuard<'_, Option<Cluster>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl MockBroker {
    #[new]
    #[pyo3(signature = (*, brokers=1))]
    fn new(brokers: i32) -> PyResult<Self> {
        let cluster = MockCluster::new(brokers)
            .map_err(|error| KafkaError::new_err(format!("the mock cluster does not start: {error}")))?;
        Ok(Self(Mutex::new(Some(Cluster(cluster)))))
    }

    /// host:port of the mock brokers, for `bootstrap.servers`.
    #[getter]
    fn bootstrap_servers(&self) -> PyResult<String> {
        match &*self.lock() {
            Some(cluster) => Ok(cluster.0.bootstrap_servers()),
            None => Err(closed()),
        }
    }

    /// Create a topic.
    #[pyo3(signature = (name, *, partitions=1))]
    fn create_topic(&self, name: &str, partitions: i32) -> PyResult<()> {
        match &*self.lock() {
            Some(cluster) => cluster.0.create_topic(name, partitions, 1).map_err(|error| {
                KafkaError::new_err(format!("the mock cluster refuses topic {name}: {error}"))
            }),
            None => Err(closed()),
        }
    }

    /// Stop the brokers. Called again it does nothing.
    fn close(&self, py: Python<'_>) {
        let cluster = self.lock().take();
        py.detach(|| drop(cluster));
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.close(py);
    }
}

fn closed() -> PyErr {
    RtmbenchError::new_err("this mock broker is closed")
}
