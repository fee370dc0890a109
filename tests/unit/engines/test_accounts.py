"""What the engines' own accounts mean for a trial: slots, restarts, offsets, boundaries; no engine is started."""

from __future__ import annotations

import json

import pytest

from rtmbench.engines.consumption import unread_partitions, unread_reason
from rtmbench.engines.flink import rest as flink_rest
from rtmbench.engines.spark import facts as spark_facts

TOPIC = "rtmbench-run.1-input"


def vertex(parallelism, *, group="a", **tasks):
    return {"parallelism": parallelism, "slotSharingGroupId": group, "tasks": tasks or {"RUNNING": parallelism}}


def test_a_job_runs_when_every_task_does():
    # Flink reports such a vertex as RUNNING.
    assert not flink_rest.all_running([vertex(8, RUNNING=4, SCHEDULED=4)])
    assert flink_rest.all_running([vertex(8), vertex(2, RUNNING=1, FINISHED=1)])
    assert flink_rest.waiting_tasks([vertex(8, RUNNING=4, SCHEDULED=3, CREATED=1)]) == 4


def test_groups_of_tasks_that_share_slots_add_up():
    assert flink_rest.needed_slots([vertex(4), vertex(8)]) == (8, "its parallelism is 8")
    assert flink_rest.needed_slots([vertex(4), vertex(2, group="b"), vertex(3, group="b")]) == (
        7,
        "4 + 3 for its 2 slot sharing groups",
    )


def test_a_shortage_of_slots_comes_with_its_arithmetic_and_the_way_out():
    assert flink_rest.slot_shortage([vertex(4), vertex(4)], 4) == ""
    said = flink_rest.slot_shortage([vertex(8, RUNNING=4, SCHEDULED=4)], 4)
    assert "8 tasks of 8 need a slot" in said
    assert "the cluster has 4" in said
    assert "--slots 8" in said


@pytest.mark.parametrize(
    ("job", "metrics", "restarts"),
    [
        ({"timestamps": {"RESTARTING": 0, "RUNNING": 5}}, [{"id": "numRestarts", "value": "0"}], 0),
        ({"timestamps": {"RESTARTING": 7}}, [], 1),
        ({"timestamps": {"RESTARTING": 7}}, [{"id": "numRestarts", "value": "3"}], 3),
        ({}, [{"id": "fullRestarts"}], 0),
    ],
)
def test_restarts_show_in_the_time_stamp_and_in_the_metric(job, metrics, restarts):
    assert flink_rest.restarts(job, metrics) == restarts


def test_the_interval_is_that_of_the_running_job():
    assert flink_rest.interval_s({"interval": 60_000}) == 60.0
    assert flink_rest.interval_s({}) is None
    assert flink_rest.interval_s({"interval": 2**63 - 1}) is None


def test_failed_checkpoints_are_boundaries_too_if_they_reached_the_job():
    counts = {"total": 9, "in_progress": 1, "completed": 6, "failed": 2, "restored": 0}
    history = [{"status": "IN_PROGRESS"}, {"status": "FAILED"}, {"status": "COMPLETED"}]
    assert flink_rest.finished_checkpoints({"counts": counts, "history": history}) == 7
    assert flink_rest.finished_checkpoints({}) == 0


def test_the_offsets_of_the_input_topic_are_found_among_the_metrics():
    reader = "Source__in.KafkaSourceReader.topic"
    names = [
        f"{reader}.rtmbench-run_1-input.partition.0.currentOffset",
        f"{reader}.rtmbench-run_1-input.partition.11.currentOffset",
        f"{reader}.rtmbench-run_1-input.partition.0.committedOffset",
        f"{reader}.reference.partition.1.currentOffset",
        "Source__in.numRecordsOut",
    ]
    assert flink_rest.offset_metrics(names, TOPIC) == {names[0]: 0, names[1]: 11}


def test_a_real_time_query_needs_a_slot_for_each_task():
    facts = {
        "trigger": "RealTimeTrigger(5000)",
        "slots": 2,
        "tasks": {"sources": [4], "shuffles": []},
        "settings": {"spark.master": "local[2]"},
    }
    said = spark_facts.slot_shortage(facts, file="job.py", configured_master="local[8]")
    assert said.startswith("job.py runs with 2 slots and needs 4 at once in Real-Time Mode: 4 input partitions = 4.")
    assert "The script sets the master local[2], which overrides rtmbench's local[8]." in said
    assert said.endswith("Remove .master(…) from the script, or give it 4 slots or more.")
    ours = facts | {"settings": {"spark.master": "local[8]"}, "slots": 8, "tasks": {"sources": [4, 4], "shuffles": [4]}}
    said = spark_facts.slot_shortage(ours, file="job.py", configured_master="local[8]")
    assert "4 + 4 input partitions + 4 shuffle partitions = 12" in said
    assert "--slots 12" in said
    for enough in (facts | {"slots": 4}, facts | {"trigger": "ProcessingTimeTrigger(0)"}, facts | {"tasks": {}}):
        assert spark_facts.slot_shortage(enough, file="job.py", configured_master="local[8]") == ""


def test_batches_are_counted_as_they_end(tmp_path):
    path = tmp_path / "progress.jsonl"
    count = spark_facts.ProgressCount(path)
    assert count.value() == 0
    batch = json.dumps({"batchId": 1, "durationMs": {"addBatch": 5, "triggerExecution": 9}})
    idle = json.dumps({"batchId": 1, "durationMs": {"triggerExecution": 1}})
    path.write_text(f"{batch}\n{idle}\n{batch}\n")
    assert count.value() == 2
    with path.open("a") as file:
        file.write(batch[:20])
        file.flush()
        assert count.value() == 2
        file.write(f"{batch[20:]}\n")
    assert count.value() == 3
    assert count.value() == 3


def test_what_spark_has_consumed_is_in_its_last_event():
    sources = [
        {"endOffset": {TOPIC: {"0": 7, "3": 2}}},
        {"endOffset": json.dumps({TOPIC: {"0": 9}})},
        {"endOffset": None},
    ]
    assert spark_facts.consumed([{"sources": []}, {"sources": sources}], TOPIC) == {0: 9, 3: 2}
    assert spark_facts.consumed([{"sources": sources}], "other") is None
    assert spark_facts.consumed([], TOPIC) is None


def test_a_partition_is_unread_when_it_holds_records_of_the_trial_and_none_was_consumed():
    assert unread_partitions(None, [5, 5]) == (), "an engine without an account proves nothing"
    assert unread_partitions({0: 5, 1: 0}, [5, 5, 5, 0]) == (1, 2)
    assert unread_partitions({0: 5, 1: 30, 2: 31}, [9, 40, 40], starts=[4, 30, 30]) == (1,)
    assert unread_partitions({0: 1}, [5]) == (), "behind is not unread"
    said = unread_reason((1, 2), [5, 5, 5, 0])
    assert said == "input partitions 1, 2 of 4 were never read: 10 of 15 input records"
    assert unread_reason((0,), [5]).startswith("input partition 0 of 1 was never read")
