//! Events out of the order of time, and events that come too late for every window: the first have to be counted
//! where they happened, the others nowhere.

use rtmbench::event::Event;
use rtmbench::oracle::{Emission, Verdict};
use rtmbench::workload::Workload;

use super::engine::{Arrival, DELAY_MS, JOBS, Job, WINDOW_MS, input_of};
use super::stored::{
    EVENTS, INTERVAL_US, LATENCY_US, START, Stored, edited, field, judge_input, kinds, measure, number, scope,
};

const LATE_FROM: u64 = 150;
/// No event of this trial happened so early.
const LATE_MS: i64 = WINDOW_MS + DELAY_MS + LATE_FROM as i64 + 1;

fn workload() -> Workload {
    let workload = super::stored::workload().with_out_of_order(0.3, DELAY_MS - 1).unwrap();
    workload.with_late(0.1, LATE_MS, LATE_FROM).unwrap()
}

fn arrivals() -> Vec<Arrival> {
    (0..EVENTS).map(|index| (index, START + index as i64 * INTERVAL_US)).collect()
}

fn event(index: u64) -> Event {
    workload().event(index, START + index as i64 * INTERVAL_US)
}

fn windowed() -> impl Iterator<Item = Job> {
    JOBS.into_iter().filter(|job| job.windows.is_some())
}

fn judge(job: Job, output: &[Stored]) -> Verdict {
    let input = input_of(&workload(), &arrivals());
    judge_input(&workload(), job.rules(), &scope(), &input, output, measure().1 + 10_000_000).unwrap()
}

#[test]
fn events_out_of_order_count_where_they_happened_and_late_ones_nowhere() {
    let late = workload().late_in(0, EVENTS);
    assert!(late > 10);
    for job in windowed() {
        let output = job.output(&workload(), &arrivals(), LATENCY_US);
        let verdict = judge(job, &output);
        assert!(verdict.is_correct(), "{job:?}: {:?}", verdict.offending);
        assert_eq!((verdict.counts.produced, verdict.counts.late), (EVENTS, late));
        let in_time = arrivals().into_iter().filter(|&(index, _)| !workload().is_late(index));
        let samples = in_time
            .flat_map(|(index, _)| job.starts(event(index).produced_at * 1000))
            .filter(|&start| job.emission != Emission::Close || Job::closes(&workload(), start, &arrivals()))
            .count() as u64;
        assert_eq!((verdict.counts.expected, verdict.latency.count()), (samples, samples), "{job:?}");
        if job.emission == Emission::Update {
            assert_eq!((verdict.min_us, verdict.max_us), (LATENCY_US, LATENCY_US));
            assert_eq!(job.rules().expected_outputs(&workload(), 0, EVENTS), Some(samples));
        }
    }
}

#[test]
fn without_windows_no_event_is_late() {
    for job in JOBS.into_iter().filter(|job| job.windows.is_none()) {
        let verdict = judge(job, &job.output(&workload(), &arrivals(), LATENCY_US));
        assert!(verdict.is_correct(), "{job:?}: {:?}", verdict.offending);
        assert_eq!((verdict.counts.expected, verdict.counts.late), (EVENTS, 0));
    }
}

#[test]
fn an_engine_that_drops_an_event_out_of_order_is_caught() {
    for job in windowed() {
        let mut dropped = 0;
        for index in (0..EVENTS).filter(|&index| !workload().is_late(index)) {
            let of_time = START / 1000 + index as i64;
            let happened = event(index).produced_at;
            let closed = |start: i64| Job::closes(&workload(), start, &arrivals());
            let due = |start| job.emission != Emission::Close || closed(start);
            if happened == of_time || !job.starts(happened * 1000).into_iter().all(due) {
                continue;
            }
            let counted = |other| other != index && !workload().is_late(other);
            let verdict = judge(job, &job.output_counting(&workload(), &arrivals(), LATENCY_US, counted));
            assert!(!verdict.is_correct(), "{job:?}: event {index} was dropped");
            assert!(verdict.counts.missing > 0, "{job:?}: event {index}");
            dropped += 1;
        }
        assert!(dropped > 40, "{job:?}: {dropped}");
    }
}

#[test]
fn an_engine_that_puts_an_event_where_it_was_sent_is_caught() {
    // It goes by the intended time: another window than the one in which the event happened.
    for job in windowed() {
        let by_sending = super::stored::workload().with_late(0.1, LATE_MS, LATE_FROM).unwrap();
        let output = job.output(&by_sending, &arrivals(), LATENCY_US);
        let kinds = kinds(&judge(job, &output));
        assert!(
            ["altered", "order", "missing"].iter().any(|kind| kinds.contains(kind)),
            "{job:?}: {kinds:?}"
        );
    }
}

#[test]
fn an_engine_that_counts_a_late_event_is_caught() {
    for job in windowed() {
        for index in (0..EVENTS).filter(|&index| workload().is_late(index)) {
            let counted = |other| other == index || !workload().is_late(other);
            let verdict = judge(job, &job.output_counting(&workload(), &arrivals(), LATENCY_US, counted));
            assert!(!verdict.is_correct(), "{job:?}: event {index} was counted");
            assert!(verdict.counts.unexpected + verdict.counts.wrong > 0, "{job:?}: event {index}");
        }
        let all = job.output_counting(&workload(), &arrivals(), LATENCY_US, |_| true);
        let verdict = judge(job, &all);
        let detail = &verdict.offending.iter().find(|offence| offence.kind == "window").unwrap().detail;
        assert!(detail.ends_with("those left out that were sent too late"), "{detail}");
    }
}

#[test]
fn a_late_event_that_replaces_another_in_a_window_is_caught() {
    // Late by less, so that its window holds events in time.
    let near = super::stored::workload().with_late(0.1, 120, LATE_FROM).unwrap();
    let input = input_of(&near, &arrivals());
    let job = JOBS[0];
    let judge =
        |output: &[Stored]| judge_input(&near, job.rules(), &scope(), &input, output, measure().1).unwrap();
    assert!(judge(&job.output(&near, &arrivals(), LATENCY_US)).is_correct());
    for index in (0..EVENTS).filter(|&index| near.is_late(index)) {
        let counted = |other| other == index || !near.is_late(other);
        let verdict = judge(&job.output_counting(&near, &arrivals(), LATENCY_US, counted));
        assert!(verdict.counts.wrong > 0, "event {index}: {:?}", verdict.counts);
    }
}

#[test]
fn of_events_for_one_instant_any_may_lend_its_time() {
    // Two events of each key for each instant: one engine keeps the event time of the first, another of the last.
    let workload = Workload::new(7, 1, None).unwrap().with_out_of_order(0.5, DELAY_MS - 1).unwrap();
    let pairs: Vec<Arrival> =
        (0..EVENTS).map(|index| (index, START + (index / 2 * 2) as i64 * INTERVAL_US)).collect();
    let input = input_of(&workload, &pairs);
    let job = JOBS[0];
    let output = job.output(&workload, &pairs, LATENCY_US);
    let judge = |output: &[Stored]| {
        judge_input(&workload, job.rules(), &scope(), &input, output, measure().1).unwrap()
    };
    assert!(judge(&output).is_correct());
    let mut lent = 0;
    for at in 1..output.len() {
        let same = |name| field(&output[at], name) == field(&output[at - 1], name);
        if same("produced_at") || !same("scheduled_at_us") || !same("window_start") {
            continue;
        }
        let mut other = output.clone();
        other[at] =
            edited(&output[at], &field(&output[at], "produced_at"), &field(&output[at - 1], "produced_at"));
        assert!(judge(&other).is_correct(), "{:?}", judge(&other).offending);
        let neither = number(&output[at], "produced_at") + 1;
        if neither != number(&output[at - 1], "produced_at") {
            let neither = format!("\"produced_at\":{neither}");
            other[at] = edited(&output[at], &field(&output[at], "produced_at"), &neither);
            assert_eq!(judge(&other).counts.wrong, 1);
        }
        lent += 1;
    }
    assert!(lent > 20, "{lent}");
}
