//! Output records that are no results: counted, never a crash, never a latency sample.

use rtmbench::oracle::{Identity, Rules};

use super::engine::{Arrival, JOBS, input_of};
use super::stored::{
    EVENTS, INTERVAL_US, LATENCY_US, START, Stored, edited, field, input, judge_input, kinds, measure, scope,
    workload,
};

/// 26 kinds of records made from a good one.
fn malformed(good: &Stored) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let text = String::from_utf8(good.payload.clone().unwrap()).unwrap();
    let time = field(good, "scheduled_at_us");
    let with = |value: &str| Some(text.replace(&time, &format!("\"scheduled_at_us\":{value}")).into_bytes());
    let mut bad_text = text.clone().into_bytes();
    let at = text.find("user_").unwrap();
    bad_text[at] = 0xff;
    let key = field(good, "key");
    vec![
        ("a tombstone", None),
        ("empty", Some(Vec::new())),
        ("blank", Some(b"  \n".to_vec())),
        ("cut in half", Some(text.as_bytes()[..text.len() / 2].to_vec())),
        ("without its last byte", Some(text.as_bytes()[..text.len() - 1].to_vec())),
        ("two records", Some(format!("{text}{text}").into_bytes())),
        ("an array", Some(format!("[{text}]").into_bytes())),
        ("null", Some(b"null".to_vec())),
        ("a number", Some(b"42".to_vec())),
        ("an empty object", Some(b"{}".to_vec())),
        ("no time stamp", Some(text.replace(&format!(",{time}"), "").into_bytes())),
        ("a null time stamp", with("null")),
        ("a string for a number", with("\"1700000000000000\"")),
        ("a fraction", with("1700000000000000.5")),
        ("an exponent", with("17e14")),
        ("NaN", with("NaN")),
        ("infinity", with("Infinity")),
        ("beyond 64 bits", with("99999999999999999999999")),
        ("a leading zero", with("01700000000000000")),
        ("true", with("true")),
        ("a nested time stamp", with("{\"us\":1}")),
        ("a field twice", Some(text.replace(&time, &format!("{time},{time}")).into_bytes())),
        ("a number for the key", Some(text.replace(&key, "\"key\":5").into_bytes())),
        ("invalid UTF-8", Some(bad_text)),
        ("a byte order mark", Some([b"\xef\xbb\xbf", text.as_bytes()].concat())),
        ("binary", Some((0..=255).collect())),
        ("10 MB of brackets", Some(vec![b'['; 10_000_000])),
    ]
}

/// Time stamps that parse and cannot be: counted as wrong.
const IMPOSSIBLE: [&str; 5] =
    ["-1700000000000000", "0", "9223372036854775807", "-9223372036854775808", "9700000000000000"];

#[test]
fn malformed_outputs_are_counted_and_are_no_samples() {
    let workload = workload();
    let arrivals: Vec<Arrival> =
        (0..EVENTS).map(|index| (index, START + index as i64 * INTERVAL_US)).collect();
    let deadline_us = measure().1 + 1_000_000;
    let jobs = JOBS.iter().map(|job| (job.rules(), job.output(&workload, &arrivals, LATENCY_US)));
    let relay = (Rules::Identity(Identity::Relay), input(&workload));
    for (rules, output) in jobs.chain([relay]) {
        let input = input_of(&workload, &arrivals);
        let plain = judge_input(&workload, rules, &scope(), &input, &output, deadline_us).unwrap();
        assert!(plain.is_correct());
        let good = output[output.len() / 2].clone();
        let kinds_of_bad = malformed(&good);
        assert!(kinds_of_bad.len() >= 24);
        for (what, payload) in kinds_of_bad {
            let bad = Stored { payload, received_us: good.received_us.map(|us| us + 77), ..good.clone() };
            // Beside the good record, and instead of it.
            let mut beside = output.clone();
            beside.insert(output.len() / 2, bad.clone());
            let verdict = judge_input(&workload, rules, &scope(), &input, &beside, deadline_us).unwrap();
            assert_eq!(kinds(&verdict), ["malformed"], "{rules:?}: {what}");
            assert_eq!((verdict.counts.unexpected, verdict.counts.missing), (1, 0));
            assert!(verdict.latency == plain.latency, "{rules:?}: {what}");
            let alone = judge_input(&workload, rules, &scope(), &input, &[bad], deadline_us).unwrap();
            assert_eq!((alone.counts.unexpected, alone.censored), (1, alone.counts.expected), "{what}");
        }
        for time in IMPOSSIBLE {
            let bad = edited(&good, &field(&good, "scheduled_at_us"), &format!("\"scheduled_at_us\":{time}"));
            let mut beside = output.clone();
            beside.insert(output.len() / 2 + 1, bad);
            let verdict = judge_input(&workload, rules, &scope(), &input, &beside, deadline_us).unwrap();
            assert_eq!((verdict.counts.wrong, verdict.counts.missing), (1, 0), "{rules:?}: {time}");
            assert!(verdict.latency == plain.latency, "{rules:?}: {time}");
        }
        for count in ["-1", "0", "4294967296", "9223372036854775807"] {
            let Rules::Aggregate(_) = rules else { continue };
            let bad = edited(&good, &field(&good, "count"), &format!("\"count\":{count}"));
            let mut beside = output.clone();
            beside.insert(output.len() / 2, bad);
            let verdict = judge_input(&workload, rules, &scope(), &input, &beside, deadline_us).unwrap();
            assert_eq!(kinds(&verdict), ["altered"], "{rules:?}: {count}");
            assert!(verdict.latency == plain.latency, "{rules:?}: {count}");
        }
    }
}
