//! A bare librdkafka loop, what `make bench` compares the core with: constant payloads out, or records in and
//! thrown away, with the client settings of the core. It prints one JSON object: events and seconds.
//!
//! `bare produce|consume TOPIC COUNT BYTES PARTITIONS NAME=VALUE…`, with librdkafka's property names.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::time::Instant;

use rdkafka_sys as sys;
use rtmbench::kafka::KafkaConfig;
use sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK;
use sys::rd_kafka_resp_err_t::{RD_KAFKA_RESP_ERR__QUEUE_FULL, RD_KAFKA_RESP_ERR_NO_ERROR};

const KEYS: u64 = 100;
const BATCH: usize = 256;

unsafe extern "C" fn on_delivery(
    _: *mut sys::rd_kafka_t,
    message: *const sys::rd_kafka_message_t,
    _: *mut c_void,
) {
    // SAFETY: librdkafka gives a message that is valid for the time of the call.
    let code = unsafe { (*message).err };
    assert_eq!(code, RD_KAFKA_RESP_ERR_NO_ERROR, "a record was not delivered");
}

fn c_string(text: &str) -> CString {
    CString::new(text).expect("no NUL in an argument")
}

fn client(kind: sys::rd_kafka_type_t, properties: BTreeMap<String, String>) -> *mut sys::rd_kafka_t {
    let mut reason = [0 as c_char; 512];
    // SAFETY: the configuration is made, filled and given to rd_kafka_new, with valid strings throughout.
    unsafe {
        let conf = sys::rd_kafka_conf_new();
        for (name, value) in properties {
            let (name, value) = (c_string(&name), c_string(&value));
            let set = sys::rd_kafka_conf_set(
                conf,
                name.as_ptr(),
                value.as_ptr(),
                reason.as_mut_ptr(),
                reason.len(),
            );
            assert_eq!(set, RD_KAFKA_CONF_OK, "{name:?} is refused");
        }
        if kind == sys::rd_kafka_type_t::RD_KAFKA_PRODUCER {
            sys::rd_kafka_conf_set_dr_msg_cb(conf, Some(on_delivery));
        }
        let native = sys::rd_kafka_new(kind, conf, reason.as_mut_ptr(), reason.len());
        assert!(!native.is_null(), "the client does not start");
        native
    }
}

fn produce(native: *mut sys::rd_kafka_t, topic: *mut sys::rd_kafka_topic_t, count: u64, bytes: usize) {
    let payload = vec![b'x'; bytes];
    let keys: Vec<String> = (1..=KEYS).map(|key| format!("user_{key}")).collect();
    for index in 0..count {
        let key = &keys[(index % KEYS) as usize];
        // SAFETY: the handles are alive, and the payload is copied before the call returns.
        while unsafe {
            sys::rd_kafka_produce(
                topic,
                -1,
                sys::RD_KAFKA_MSG_F_COPY as c_int,
                payload.as_ptr().cast_mut().cast(),
                payload.len(),
                key.as_ptr().cast(),
                key.len(),
                ptr::null_mut(),
            )
        } != 0
        {
            // SAFETY: as above.
            unsafe {
                assert_eq!(sys::rd_kafka_last_error(), RD_KAFKA_RESP_ERR__QUEUE_FULL);
                sys::rd_kafka_poll(native, 1);
            }
        }
        if index % 1_000 == 0 {
            // SAFETY: as above.
            unsafe { sys::rd_kafka_poll(native, 0) };
        }
    }
    // SAFETY: as above.
    while unsafe { sys::rd_kafka_outq_len(native) } > 0 {
        // SAFETY: as above.
        unsafe { sys::rd_kafka_poll(native, 1) };
    }
}

fn consume(native: *mut sys::rd_kafka_t, topic: *mut sys::rd_kafka_topic_t, partitions: i32, count: u64) {
    // SAFETY: the handles are alive; each message is destroyed once.
    unsafe {
        let queue = sys::rd_kafka_queue_new(native);
        for partition in 0..partitions {
            assert_eq!(sys::rd_kafka_consume_start_queue(topic, partition, 0, queue), 0);
        }
        let mut messages = [ptr::null_mut(); BATCH];
        let (mut received, mut bytes) = (0_u64, 0_usize);
        while received < count {
            let got = sys::rd_kafka_consume_batch_queue(queue, 100, messages.as_mut_ptr(), BATCH);
            for &message in &messages[..got.max(0) as usize] {
                if (*message).err == RD_KAFKA_RESP_ERR_NO_ERROR {
                    received += 1;
                    bytes += (*message).len;
                }
                sys::rd_kafka_message_destroy(message);
            }
        }
        assert!(bytes > 0);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, topic, count, bytes, partitions, properties @ ..] = arguments.as_slice() else {
        panic!("bare produce|consume TOPIC COUNT BYTES PARTITIONS NAME=VALUE…");
    };
    let count: u64 = count.parse().expect("COUNT is a number");
    let properties = properties
        .iter()
        .map(|each| each.split_once('=').expect("NAME=VALUE"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = KafkaConfig::new(properties).expect("a configuration");
    let (kind, properties) = match mode.as_str() {
        "produce" => (sys::rd_kafka_type_t::RD_KAFKA_PRODUCER, config.producer()),
        "consume" => (sys::rd_kafka_type_t::RD_KAFKA_CONSUMER, config.consumer()),
        other => panic!("{other} is neither produce nor consume"),
    };
    let native = client(kind, properties);
    // SAFETY: the client is alive.
    let handle = unsafe { sys::rd_kafka_topic_new(native, c_string(topic).as_ptr(), ptr::null_mut()) };
    let started = Instant::now();
    if mode == "produce" {
        produce(native, handle, count, bytes.parse().expect("BYTES is a number"));
    } else {
        consume(native, handle, partitions.parse().expect("PARTITIONS is a number"), count);
    }
    println!("{{\"events\": {count}, \"seconds\": {}}}", started.elapsed().as_secs_f64());
}
