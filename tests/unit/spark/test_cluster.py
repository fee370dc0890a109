"""The executors of a cluster, as the driver sees them come."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rtmbench.errors import PreflightError
from rtmbench.spark import cluster, slots


class Spark:
    """A session on a cluster to which one more executor of two cores comes with each look."""

    version = "4.3.0"

    def __init__(self, hosts, wanted="4"):
        self.hosts, self.looks = hosts, 0
        self.sparkContext, self.master = self, "spark://h:7077"
        tracker = SimpleNamespace(
            getExecutorInfos=lambda: [SimpleNamespace(host=lambda host=host: host) for host in ["h", *self.there]]
        )
        context = SimpleNamespace(statusTracker=lambda: tracker, getExecutorIds=self.ids)
        self._jsc = SimpleNamespace(sc=lambda: context)
        self.getConf = lambda: {
            "spark.cores.max": wanted,
            "spark.driver.host": "h",
            "spark.executor.cores": "2",
            "spark.executor.memory": "700m",
        }

    @property
    def there(self):
        return self.hosts[: self.looks]

    def ids(self):
        found = len(self.there)
        self.looks += 1
        return SimpleNamespace(size=lambda: found)

    @property
    def defaultParallelism(self):  # noqa: N802 - Spark has it
        return max(2, 2 * len(self.there))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(cluster, "POLL_S", 0.01)
    monkeypatch.setattr(cluster, "LATECOMERS_S", 0.2)


def test_slots_are_counted_when_all_executors_have_come():
    spark = Spark(["a", "b"])
    assert cluster.slots(spark) == 4
    assert cluster.facts(spark) == {"executors": ["a", "b"]}


def test_a_cluster_that_gives_less_is_told_after_a_while():
    assert cluster.slots(Spark(["a"])) == 2
    assert cluster.slots(Spark([])) == 0, "without executors Spark itself reports 2"


def test_too_few_cores_of_a_cluster_are_refused(monkeypatch):
    monkeypatch.setattr(slots, "_partitions", lambda *_: 4)
    plan = SimpleNamespace(
        nodeName=lambda: "Project", children=lambda: SimpleNamespace(size=lambda: 0, apply=lambda _: None)
    )
    execution = SimpleNamespace(analyzed=lambda: plan)
    writer = SimpleNamespace(_df=SimpleNamespace(_jdf=SimpleNamespace(queryExecution=lambda: execution)))
    with pytest.raises(
        PreflightError, match="Free 4 cores of the cluster, for executors of 2 cores and 700m"
    ) as caught:
        slots.check(Spark(["a"]), SimpleNamespace(input_topic="in"), writer)
    assert "local[" not in str(caught.value)
    assert "spark://" not in str(caught.value)
