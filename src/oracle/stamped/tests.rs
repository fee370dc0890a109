use super::*;

const START: i64 = 1_700_000_000_000_000;

fn message(payload: &str) -> Message<'_> {
    Message { payload: Some(payload.as_bytes()), ..Message::default() }
}

/// Settings for one second of measuring.
fn settings() -> StampedSettings {
    let side = |topic: &str, field: &str| Side {
        topic: topic.to_owned(),
        field: StampPath::new(field).unwrap(),
        from: Vec::new(),
    };
    StampedSettings {
        config: KafkaConfig::new([("bootstrap.servers".to_owned(), "127.0.0.1:1".to_owned())]).unwrap(),
        input: side("input", "at"),
        output: side("output", "meta.ts"),
        spool: PathBuf::new(),
        scope: Scope::of((START, START + 1_000_000)),
        deadline_us: START + 9_000_000,
        shared: false,
        filters: false,
        interval_log: None,
    }
}

/// An event: its time stamp, the ms of its append, its partition.
type Event = (i64, Option<i64>, i32);

/// 1,000 events of one second, a ms apart, in one partition.
fn events() -> Vec<Event> {
    (0..1_000).map(|n| (START + n * 1_000 + 250, None, 0)).collect()
}

/// The verdict on events, and on outputs: record and time of its receipt.
fn judged(
    settings: &StampedSettings,
    events: &[Event],
    outputs: impl IntoIterator<Item = (String, i64)>,
) -> StampedVerdict {
    let mut judge = Stamped::new(settings);
    for &(at_us, append_ms, partition) in events.iter().rev() {
        let record = format!(r#"{{"at":{at_us}}}"#);
        judge.input(Message { partition, append_ms, ..message(&record) }).unwrap();
    }
    judge.input_ended();
    for (record, received_us) in outputs {
        judge.output(message(&record), Some(received_us));
    }
    judge.conclude(&Phase::until(settings.deadline_us)).unwrap()
}

/// The same, with one output 5 ms after each event: `stamp` makes its time stamp, as JSON.
fn passed_on(settings: &StampedSettings, stamp: impl Fn(i64) -> String) -> StampedVerdict {
    let output = |&(at_us, ..): &Event| (stamped(&stamp(at_us)), at_us + 5_000);
    judged(settings, &events(), events().iter().map(output))
}

fn stamped(stamp: &str) -> String {
    format!(r#"{{"meta":{{"ts":{stamp}}}}}"#)
}

/// Every other event of [`events`] gets an output.
fn half(settings: &StampedSettings) -> StampedVerdict {
    let kept = events().into_iter().step_by(2);
    judged(settings, &events(), kept.map(|(at_us, ..)| (stamped(&at_us.to_string()), at_us + 5_000)))
}

#[test]
fn an_event_that_no_output_carries_is_a_sample_at_the_deadline() {
    let verdict = half(&settings());
    assert_eq!((verdict.stamped, verdict.without, verdict.foreign), (500, 0, 0));
    assert_eq!((verdict.stamps, verdict.covered, verdict.uncovered), (1_000, 500, 500));
    assert_eq!((verdict.resolution_us, verdict.newest_us), (1, Some(998_250)));
    let figures = &verdict.verdict;
    assert_eq!((figures.counts.produced, figures.counts.received), (1_000, 500));
    assert_eq!((figures.latency.count(), figures.censored), (1_000, 500));
    assert_eq!(figures.min_us, 5_000);
    assert!((5_000..5_010).contains(&figures.latency.percentile(50.0)));
    assert!(!figures.ge(49.0) && figures.ge(51.0) && figures.ge(99.0));
    assert!(figures.latency.percentile(51.0) > 7_900_000);
}

#[test]
fn a_job_that_drops_its_slow_events_does_not_look_fast() {
    // 2 % take 3 s; the job leaves them out.
    let kept = events().into_iter().enumerate().filter(|(n, _)| n % 50 != 0);
    let outputs = kept.map(|(_, (at_us, ..))| (stamped(&at_us.to_string()), at_us + 5_000));
    let verdict = judged(&settings(), &events(), outputs).verdict;
    assert_eq!(verdict.censored, 20);
    assert!(verdict.latency.percentile(99.0) > 7_000_000 && verdict.ge(99.0));
}

#[test]
fn all_events_of_a_time_stamp_that_no_output_carries_are_samples() {
    let both: Vec<Event> = events().into_iter().flat_map(|event| [event, event]).collect();
    let outputs = events().into_iter().skip(10).map(|(at_us, ..)| (stamped(&at_us.to_string()), at_us + 1));
    let verdict = judged(&settings(), &both, outputs);
    assert_eq!((verdict.stamps, verdict.covered, verdict.uncovered), (1_000, 990, 20));
    assert_eq!(verdict.verdict.censored, 20);
}

#[test]
fn a_job_that_drops_events_by_design_is_timed_by_what_comes_out() {
    let verdict = half(&StampedSettings { filters: true, ..settings() });
    assert_eq!((verdict.stamps, verdict.covered, verdict.uncovered), (1_000, 500, 500));
    assert_eq!((verdict.verdict.latency.count(), verdict.verdict.censored), (500, 0));
}

#[test]
fn events_outside_of_the_measuring_phase_are_no_samples() {
    let mut settings = settings();
    settings.scope.measure.0 = START + 900_000;
    let verdict = judged(&settings, &events(), []);
    assert_eq!((verdict.uncovered, verdict.verdict.latency.count()), (100, 100));
}

#[test]
fn a_time_stamp_in_ms_counts_from_its_ms() {
    let verdict = passed_on(&settings(), |at_us| (at_us / 1_000).to_string());
    assert_eq!((verdict.stamped, verdict.foreign, verdict.covered), (1_000, 0, 1_000));
    assert_eq!(verdict.resolution_us, 1_000);
    assert_eq!(verdict.verdict.min_us, 5_250);
}

/// A time of the measured second as `Instant.toString()` and casts to text give it: without trailing zeros.
fn text(at_us: i64, digits: usize) -> String {
    let fraction = format!("{:06}", at_us - START);
    let fraction = fraction[..digits].trim_end_matches('0');
    format!(r#""2023-11-14T22:13:20{}{fraction}Z""#, if fraction.is_empty() { "" } else { "." })
}

#[test]
fn texts_that_drop_their_trailing_zeros_are_as_fine_as_the_finest_of_them() {
    // The first event is at …:20.000250, so its text in ms is …:20Z; the 101st is …:20.1Z.
    let verdict = passed_on(&settings(), |at_us| text(at_us, 3));
    assert_eq!((verdict.resolution_us, verdict.stamps, verdict.covered), (1_000, 1_000, 1_000));
    assert_eq!((verdict.stamped, verdict.foreign, verdict.crowded), (1_000, 0, 0));
    let fine = passed_on(&settings(), |at_us| text(at_us, 6));
    // …:20.00025Z: no event has a sixth digit.
    assert_eq!((fine.resolution_us, fine.covered, fine.verdict.min_us), (10, 1_000, 5_000));
}

#[test]
fn a_text_without_its_zeros_that_is_no_events_is_foreign_all_the_same() {
    // All are 1 ms early; …:20.100Z loses its zeros.
    let mut late = settings();
    late.scope.measure.0 = START + 500_000;
    let one = vec![(START + 101_250, None, 0), (START + 500_250, None, 0)];
    let outputs = [text(START + 100_000, 3), text(START + 500_000, 3), text(START + 101_250, 3)];
    let verdict = judged(&late, &one, outputs.iter().map(|at| (stamped(at), START + 600_000)));
    assert_eq!((verdict.resolution_us, verdict.stamped, verdict.foreign), (1_000, 2, 1));
}

#[test]
fn more_outputs_than_events_of_a_time_stamp_are_noticed() {
    // Stamped by the job itself when it works off five events at once.
    let stamped_late = passed_on(&settings(), |at_us| (at_us / 5_000 * 5 + 4).to_string());
    assert_eq!((stamped_late.foreign, stamped_late.covered, stamped_late.crowded), (0, 200, 200));
    assert_eq!(passed_on(&settings(), |at_us| (at_us / 1_000).to_string()).crowded, 0);
}

#[test]
fn a_time_that_no_event_has_is_foreign() {
    let verdict = passed_on(&settings(), |at_us| (at_us + 7).to_string());
    assert_eq!((verdict.stamped, verdict.foreign, verdict.covered), (0, 1_000, 0));
    assert_eq!(verdict.verdict.offending[0].kind, "foreign");
    assert_eq!(verdict.newest_us, None);
}

#[test]
fn outputs_of_earlier_events_are_told_apart_only_where_there_can_be_any() {
    let early = |at_us: i64| (at_us - 60_000_000).to_string();
    let shared = passed_on(&StampedSettings { shared: true, ..settings() }, early);
    assert_eq!((shared.earlier, shared.foreign), (1_000, 0));
    let fresh = passed_on(&settings(), early);
    assert_eq!((fresh.earlier, fresh.foreign), (0, 1_000));
}

#[test]
fn an_output_without_a_time_stamp_is_no_sample() {
    let verdict = judged(&settings(), &events(), [(r#"{"count":3}"#.to_owned(), START + 5_000)]);
    assert_eq!((verdict.stamped, verdict.without), (0, 1));
    assert_eq!(verdict.verdict.offending[0].kind, "timestamp");
    assert!(verdict.verdict.offending[0].detail.contains("missing field `meta.ts`"));
}

#[test]
fn an_input_that_was_not_sent_is_a_fault_of_the_harness() {
    let settings = settings();
    let error = Stamped::new(&settings).input(message("{}")).unwrap_err();
    assert!(matches!(&error, Error::Harness(text) if text.contains("does somebody else write")), "{error}");
}

/// 2,000 events in the second, of which the broker appends those of each 4 ms at once, 5 ms after the first.
fn appended() -> Vec<Event> {
    let append_ms = |at_us: i64| at_us / 4_000 * 4 + 5;
    (0..2_000).map(|n| START + n * 500 + 30).map(|at_us| (at_us, Some(append_ms(at_us)), 0)).collect()
}

fn output_of(stamp: impl Fn(&Event) -> i64) -> impl Fn(&Event) -> (String, i64) {
    move |event| (stamped(&stamp(event).to_string()), event.0 + 9_000)
}

#[test]
fn a_job_that_passes_on_the_append_time_is_found_out_at_any_rate() {
    let append = output_of(|&(_, append_ms, _)| append_ms.unwrap());
    let in_us = output_of(|&(_, append_ms, _)| append_ms.unwrap() * 1_000);
    let fast = appended();
    let slow: Vec<Event> = fast.iter().copied().step_by(10).collect();
    for events in [&fast, &slow] {
        for (by, filters) in [(1, false), (3, true)] {
            let settings = StampedSettings { filters, ..settings() };
            let outputs: Vec<_> = events.iter().step_by(by).map(&append).collect();
            assert!(judged(&settings, events, outputs).append_time, "{} by {by}", events.len());
            let outputs: Vec<_> = events.iter().step_by(by).map(&in_us).collect();
            assert!(judged(&settings, events, outputs).append_time, "{} by {by}, in µs", events.len());
        }
    }
    // In each ms something is appended: only how many they are tells.
    let dense: Vec<Event> = fast
        .iter()
        .map(|&(at_us, ..)| (at_us, Some(at_us / 1_000 + 2 - i64::from(at_us / 500 % 5 == 0)), 0))
        .collect();
    let verdict = judged(&settings(), &dense, dense.iter().map(append));
    assert!(verdict.append_time);
}

#[test]
fn a_job_that_passes_on_the_events_time_is_not_suspected() {
    let events = appended();
    let ms = output_of(|&(at_us, ..)| at_us / 1_000);
    let us = output_of(|&(at_us, ..)| at_us);
    for by in [1, 3, 50] {
        let filters = StampedSettings { filters: true, ..settings() };
        assert!(!judged(&filters, &events, events.iter().step_by(by).map(&ms)).append_time, "{by}");
        assert!(!judged(&filters, &events, events.iter().step_by(by).map(&us)).append_time, "{by}, in µs");
    }
    // One result for each of ten keys and batch of 100 ms, with the newest time stamp of all.
    let newest = events.chunks(200).flat_map(|batch| std::iter::repeat_n(batch.last().unwrap(), 10));
    assert!(!judged(&settings(), &events, newest.map(&ms)).append_time);
    // Appended at once: both are the same.
    let at_once: Vec<Event> = events.iter().map(|&(at_us, ..)| (at_us, Some(at_us / 1_000), 0)).collect();
    assert!(!judged(&settings(), &at_once, at_once.iter().map(&ms)).append_time);
    // The topic keeps the producer's time.
    assert!(!passed_on(&settings(), |at_us| (at_us / 1_000).to_string()).append_time);
}

/// 2,000 events in 4 partitions; outputs of those that `keep` accepts by number and partition.
fn in_partitions(keep: impl Fn(usize, i32) -> bool) -> Vec<i32> {
    let events: Vec<Event> = (0..2_000).map(|n| (START + n * 500, None, (n % 4) as i32)).collect();
    let kept = events.iter().enumerate().filter(|(n, event)| keep(*n, event.2));
    let outputs = kept.map(|(_, event)| (stamped(&event.0.to_string()), event.0 + 9));
    judged(&StampedSettings { filters: true, ..settings() }, &events, outputs).unread_partitions
}

#[test]
fn input_partitions_of_which_nothing_comes_out_are_named() {
    assert_eq!(in_partitions(|_, partition| partition % 2 == 0), [1, 3]);
    assert!(in_partitions(|_, _| true).is_empty());
    // One of 20 passes the filter, in two partitions of four.
    assert_eq!(in_partitions(|n, partition| n % 20 < 4 && partition != 2), [2]);
    // One of 100: five of a partition's 500, so that none says little.
    assert!(in_partitions(|n, partition| n % 400 < 4 && partition != 2).is_empty());
    assert!(in_partitions(|_, _| false).is_empty(), "another fault says that nothing came out");
}

#[test]
fn time_stamps_that_several_partitions_share_say_nothing_of_one() {
    let events: Vec<Event> = (0..2_000).map(|n| (START + n / 4 * 2_000, None, (n % 4) as i32)).collect();
    let outputs = events.iter().filter(|event| event.2 == 0);
    let outputs = outputs.map(|event| (stamped(&event.0.to_string()), event.0 + 9));
    assert!(judged(&settings(), &events, outputs).unread_partitions.is_empty());
}
