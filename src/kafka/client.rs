//! A librdkafka handle: made from properties, destroyed on drop, its errors collected.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use serde::Deserialize;
use sys::rd_kafka_resp_err_t as Code;

use crate::error::{Error, Result};
use crate::stop::Stop;

/// Samples of errors that are kept; the rest is only counted.
const ERROR_SAMPLES: usize = 10;

/// The version of the librdkafka that is linked in, as in "2.12.1".
pub fn librdkafka_version() -> String {
    // SAFETY: the function returns a static string.
    unsafe { CStr::from_ptr(sys::rd_kafka_version_str()) }.to_string_lossy().into_owned()
}

/// What the librdkafka that is linked in was built with, as in "gzip", "ssl" and "zstd".
pub fn librdkafka_features() -> Vec<String> {
    // SAFETY: the configuration is valid until it is destroyed after use.
    let text = unsafe {
        let conf = sys::rd_kafka_conf_new();
        let text = get(conf, c"builtin.features");
        sys::rd_kafka_conf_destroy(conf);
        text
    };
    text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// What callbacks of one client count. The client owns it and outlives its callbacks.
#[derive(Debug, Default)]
pub(crate) struct Events {
    pub(crate) acked: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// Whether the brokers have given an idempotent producer its id, without which it sends nothing.
    has_producer_id: AtomicBool,
    errors: Mutex<Vec<String>>,
    last: Mutex<Option<String>>,
}

impl Events {
    /// Keeps the message as a sample unless there are enough of them.
    pub(crate) fn sample(&self, message: impl FnOnce() -> String) {
        let mut errors = lock(&self.errors);
        if errors.len() < ERROR_SAMPLES {
            errors.push(message());
        }
    }

    pub(crate) fn samples(&self) -> Vec<String> {
        lock(&self.errors).clone()
    }

    /// The client's last error of its own (connection, authentication), if any.
    pub(crate) fn last(&self) -> Option<String> {
        lock(&self.last).clone()
    }
}

/// Locks a mutex; a thread that panicked while it held the lock leaves counters that are still readable.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Which client library role a handle has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Producer,
    Consumer,
}

/// A librdkafka client.
pub(crate) struct Client {
    native: *mut sys::rd_kafka_t,
    events: Box<Events>,
    servers: String,
}

// SAFETY: librdkafka handles may be used from any number of threads at once; `Events` is Sync.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Client {
    pub(crate) fn new(role: Role, properties: &BTreeMap<String, String>) -> Result<Self> {
        let events = Box::<Events>::default();
        // SAFETY: a configuration is made, filled and either given to rd_kafka_new, which then owns it, or
        // destroyed. The opaque pointer is that of a box that the client owns and drops after the handle.
        unsafe {
            let conf = sys::rd_kafka_conf_new();
            for (name, value) in properties {
                if let Err(error) = set(conf, name, value) {
                    sys::rd_kafka_conf_destroy(conf);
                    return Err(error);
                }
            }
            sys::rd_kafka_conf_set_opaque(conf, ptr::from_ref::<Events>(&events).cast_mut().cast());
            sys::rd_kafka_conf_set_error_cb(conf, Some(on_error));
            sys::rd_kafka_conf_set_log_cb(conf, None);
            let native_role = match role {
                Role::Producer => {
                    sys::rd_kafka_conf_set_dr_msg_cb(conf, Some(on_delivery));
                    sys::rd_kafka_conf_set_stats_cb(conf, Some(on_statistics));
                    sys::rd_kafka_type_t::RD_KAFKA_PRODUCER
                }
                Role::Consumer => sys::rd_kafka_type_t::RD_KAFKA_CONSUMER,
            };
            let mut reason = [0 as c_char; 512];
            let native = sys::rd_kafka_new(native_role, conf, reason.as_mut_ptr(), reason.len());
            if native.is_null() {
                sys::rd_kafka_conf_destroy(conf);
                return Err(Error::Kafka(format!(
                    "the Kafka client does not start: {}",
                    text(reason.as_ptr())
                )));
            }
            let servers = properties.get("bootstrap.servers").cloned().unwrap_or_default();
            Ok(Self { native, events, servers })
        }
    }

    pub(crate) fn native(&self) -> *mut sys::rd_kafka_t {
        self.native
    }

    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    /// Serves callbacks for at most `timeout`. Never call this on a thread that must be on time.
    pub(crate) fn poll(&self, timeout: Duration) -> i32 {
        // SAFETY: the handle lives as long as self.
        unsafe { sys::rd_kafka_poll(self.native, timeout.as_millis() as c_int) }
    }

    /// The error for a call that failed with `code`, with the client's own last error as the cause.
    pub(crate) fn error(&self, what: &str, code: Code) -> Error {
        self.poll(Duration::ZERO);
        let cause = self.events.last().map_or_else(String::new, |last| format!(" ({last})"));
        Error::Kafka(format!("{what}: {}{cause}; brokers: {}", describe(code), self.servers))
    }

    /// Waits until the brokers have given the producer its id, if it is idempotent. librdkafka asks for one when
    /// metadata arrives, but only over a connection that is up by then; else it asks again after 500 ms, and holds
    /// every record back until then.
    pub(crate) fn wait_for_producer_id(&self, deadline: Instant, stop: &Stop) -> Result<()> {
        // SAFETY: the handle lives as long as self, and its configuration as long as the handle.
        let idempotent = unsafe { get(sys::rd_kafka_conf(self.native), c"enable.idempotence") } == "true";
        if !idempotent {
            return Ok(());
        }
        loop {
            self.poll(Duration::from_millis(5));
            if self.events.has_producer_id.load(Ordering::Relaxed) {
                return Ok(());
            }
            let fatal = self.fatal_error();
            if fatal.is_some() || Instant::now() >= deadline {
                let code = fatal.unwrap_or(Code::RD_KAFKA_RESP_ERR__TIMED_OUT);
                return Err(self.error("the Kafka brokers give the producer no id", code));
            }
            self.metadata(None, deadline, stop)?;
        }
    }

    fn fatal_error(&self) -> Option<Code> {
        // SAFETY: the handle lives as long as self; a null buffer of no length is allowed.
        let code = unsafe { sys::rd_kafka_fatal_error(self.native, ptr::null_mut(), 0) };
        (code != Code::RD_KAFKA_RESP_ERR_NO_ERROR).then_some(code)
    }

    /// A handle of one topic.
    pub(crate) fn topic(&self, name: &str) -> Result<Topic> {
        let c_name = c_string(name)?;
        // SAFETY: the name is a valid string, and the configuration may be null.
        let native = unsafe { sys::rd_kafka_topic_new(self.native, c_name.as_ptr(), ptr::null_mut()) };
        if native.is_null() {
            return Err(self.error(&format!("topic {name} cannot be opened"), last_error()));
        }
        Ok(Topic { native })
    }

    /// Metadata of one topic or, without one, of the brokers only; asked for in short calls until `deadline`.
    pub(crate) fn metadata(&self, topic: Option<&str>, deadline: Instant, stop: &Stop) -> Result<Metadata> {
        let handle = topic.map(|name| self.topic(name)).transpose()?;
        loop {
            if stop.is_set() {
                return Err(Error::Stopped);
            }
            let mut native: *const sys::rd_kafka_metadata = ptr::null();
            // SAFETY: the handles are alive; on success `native` is ours and freed below.
            let code = unsafe {
                let only = handle.as_ref().map_or(ptr::null_mut(), |topic| topic.native);
                sys::rd_kafka_metadata(self.native, 0, only, &raw mut native, 500)
            };
            if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                // SAFETY: librdkafka filled the structure; it is read once and freed.
                unsafe {
                    let metadata = Metadata::read(&*native);
                    sys::rd_kafka_metadata_destroy(native);
                    return Ok(metadata);
                }
            }
            if Instant::now() >= deadline {
                return Err(self.error("the Kafka brokers do not answer", code));
            }
            self.poll(Duration::from_millis(20));
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: the handle was made by rd_kafka_new and is destroyed once; topics and queues hold
        // references of their own. NO_CONSUMER_CLOSE: there is no group to leave.
        unsafe {
            sys::rd_kafka_destroy_flags(self.native, sys::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE as c_int);
        }
        release_freed_memory();
    }
}

/// Gives memory back that was freed. glibc keeps what a thread has freed for that thread, and those of a client are
/// gone: without this, what a producer had in its queues would stay with the process beside the consumer's.
fn release_freed_memory() {
    // SAFETY: the call takes the allocator's own locks and touches nothing that is in use.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A topic handle.
pub(crate) struct Topic {
    pub(crate) native: *mut sys::rd_kafka_topic_t,
}

// SAFETY: topic handles are reference-counted and thread-safe in librdkafka.
unsafe impl Send for Topic {}
// SAFETY: as above.
unsafe impl Sync for Topic {}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: made by rd_kafka_topic_new, destroyed once.
        unsafe { sys::rd_kafka_topic_destroy(self.native) }
    }
}

/// What the cluster said about itself and at most one topic.
pub(crate) struct Metadata {
    /// The address of each broker, by its id.
    pub(crate) brokers: BTreeMap<i32, String>,
    /// An error of the topic, or the leader of each partition (negative: none yet).
    pub(crate) topic: Option<std::result::Result<Vec<i32>, Code>>,
}

impl Metadata {
    /// # Safety
    /// `native` must be a structure that `rd_kafka_metadata` returned.
    unsafe fn read(native: &sys::rd_kafka_metadata) -> Self {
        // SAFETY: the counts and pointers belong together, by librdkafka's contract.
        let topic = (native.topic_cnt > 0).then(|| unsafe {
            let topic = &*native.topics;
            if topic.err != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Err(topic.err);
            }
            let mut leaders = vec![-1; topic.partition_cnt as usize];
            for position in 0..leaders.len() {
                let partition = &*topic.partitions.add(position);
                if let Some(leader) = leaders.get_mut(partition.id as usize) {
                    *leader = partition.leader;
                }
            }
            Ok(leaders)
        });
        let brokers = (0..native.broker_cnt as usize)
            .map(|position| {
                // SAFETY: as above; the host is a string of librdkafka's.
                let (broker, host) = unsafe {
                    let broker = &*native.brokers.add(position);
                    (broker, text(broker.host))
                };
                (broker.id, format!("{host}:{}", broker.port))
            })
            .collect();
        Self { brokers, topic }
    }
}

/// librdkafka's description of an error code.
pub(crate) fn describe(code: Code) -> String {
    // SAFETY: err2str returns a static string for every code.
    unsafe { text(sys::rd_kafka_err2str(code)) }
}

/// The error of the last call that failed on this thread.
pub(crate) fn last_error() -> Code {
    // SAFETY: reads a thread-local of librdkafka.
    unsafe { sys::rd_kafka_last_error() }
}

pub(crate) fn c_string(value: &str) -> Result<CString> {
    CString::new(value).map_err(|_| Error::Invalid(format!("{value:?} holds a NUL character")))
}

/// # Safety
/// `pointer` must be a NUL-terminated string.
unsafe fn text(pointer: *const c_char) -> String {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// A property that librdkafka knows, as librdkafka spells its value.
///
/// # Safety
/// `conf` must be a valid configuration.
unsafe fn get(conf: *const sys::rd_kafka_conf_t, name: &CStr) -> String {
    let mut value = [0_u8; 1024];
    let mut length = value.len();
    // SAFETY: the caller's promise; the buffer is as long as is said, and the name is a C string.
    let code =
        unsafe { sys::rd_kafka_conf_get(conf, name.as_ptr(), value.as_mut_ptr().cast(), &raw mut length) };
    debug_assert_eq!(code, sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK);
    CStr::from_bytes_until_nul(&value).unwrap_or_default().to_string_lossy().into_owned()
}

/// # Safety
/// `conf` must be a configuration that is not yet used.
unsafe fn set(conf: *mut sys::rd_kafka_conf_t, name: &str, value: &str) -> Result<()> {
    let (c_name, c_value) = (c_string(name)?, c_string(value)?);
    let mut reason = [0 as c_char; 512];
    // SAFETY: all pointers are valid for the call, and the buffer's length is given.
    unsafe {
        let result = sys::rd_kafka_conf_set(
            conf,
            c_name.as_ptr(),
            c_value.as_ptr(),
            reason.as_mut_ptr(),
            reason.len(),
        );
        if result == sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
            return Ok(());
        }
        Err(Error::Invalid(format!("the Kafka client refuses its configuration: {}", text(reason.as_ptr()))))
    }
}

unsafe extern "C" fn on_error(
    _: *mut sys::rd_kafka_t,
    code: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: the opaque pointer is the client's `Events`, the reason a string for the time of this call.
    unsafe {
        let mut last = lock(&(*opaque.cast::<Events>()).last);
        // That all brokers are down follows each of their own errors, and names no cause.
        let summary = code == Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN as c_int;
        if !summary || last.is_none() {
            *last = Some(text(reason));
        }
    }
}

/// The part of librdkafka's statistics that is read; its STATISTICS.md describes them.
#[derive(Deserialize)]
struct Statistics<'a> {
    #[serde(borrow)]
    eos: Option<ProducerState<'a>>,
}

#[derive(Deserialize)]
struct ProducerState<'a> {
    idemp_state: &'a str,
}

unsafe extern "C" fn on_statistics(
    _: *mut sys::rd_kafka_t,
    json: *mut c_char,
    length: usize,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: the opaque pointer is the client's `Events`; the text is librdkafka's for the time of this call,
    // and librdkafka frees it because the result is 0.
    unsafe {
        let events = &*opaque.cast::<Events>();
        if !events.has_producer_id.load(Ordering::Relaxed) {
            let json = std::slice::from_raw_parts(json.cast::<u8>(), length);
            let state =
                serde_json::from_slice::<Statistics<'_>>(json).ok().and_then(|statistics| statistics.eos);
            let assigned = state.is_some_and(|state| state.idemp_state == "Assigned");
            events.has_producer_id.store(assigned, Ordering::Relaxed);
        }
    }
    0
}

unsafe extern "C" fn on_delivery(
    _: *mut sys::rd_kafka_t,
    message: *const sys::rd_kafka_message_t,
    opaque: *mut c_void,
) {
    // SAFETY: as in `on_error`; the message is valid for the time of this call.
    unsafe {
        let events = &*opaque.cast::<Events>();
        let message = &*message;
        if message.err == Code::RD_KAFKA_RESP_ERR_NO_ERROR {
            events.acked.fetch_add(1, Ordering::Relaxed);
        } else {
            events.failed.fetch_add(1, Ordering::Relaxed);
            // The opaque of a record is its index, not a pointer to anything.
            events.sample(|| format!("event {}: {}", message._private.addr(), describe(message.err)));
        }
    }
}
