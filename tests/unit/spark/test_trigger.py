"""The real-time trigger: native where PySpark has it, through the JVM where it has not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rtmbench.errors import ConfigurationError, PreflightError
from rtmbench.patterns import PATTERNS
from rtmbench.spark.trigger import duration_ms, real_time_trigger, streams


class NativeWriter:
    """A stream writer as PySpark 4.2 and newer have it."""

    def __init__(self):
        self.asked = None

    def trigger(self, *, processingTime=None, availableNow=None, realTime=None):  # noqa: N803
        assert processingTime is None
        assert availableNow is None
        self.asked = realTime
        return self


class JvmWriter:
    """A stream writer as PySpark 4.1 has it: `trigger` knows no `realTime`, but the JVM behind it does."""

    def __init__(self, trigger_class):
        self._spark = type("Session", (), {"version": "4.1.4"})()
        self._spark._sc = type("Context", (), {})()
        self._spark._sc._jvm = type("Jvm", (), {"org.apache.spark.sql.streaming.Trigger": trigger_class})()
        self._jwrite = JavaWriter()

    def trigger(self, *, processingTime=None, once=None, continuous=None, availableNow=None):  # noqa: ARG002, N803
        raise AssertionError("4.1 has no real-time trigger here")


class JavaWriter:
    def __init__(self, trigger=None):
        self.set_trigger = trigger

    def trigger(self, trigger):
        return JavaWriter(trigger)


class Trigger41:
    @staticmethod
    def RealTime(interval):  # noqa: N802
        return f"RealTimeTrigger({interval})"


class Py4JError(Exception):
    """What py4j raises for a method that a Java class does not have."""


class Trigger40:
    @staticmethod
    def RealTime(interval):  # noqa: ARG004, N802
        raise Py4JError("org.apache.spark.sql.streaming.Trigger.RealTime does not exist in the JVM")


class BrokenTrigger:
    @staticmethod
    def RealTime(interval):  # noqa: ARG004, N802
        raise RuntimeError("the JVM is gone")


def test_native_where_pyspark_has_it():
    writer = NativeWriter()
    assert real_time_trigger(writer, "5 seconds") is writer
    assert writer.asked == "5 seconds"


def test_through_the_jvm_where_it_has_not():
    writer = JvmWriter(Trigger41)
    assert real_time_trigger(writer, "7 seconds") is writer
    assert writer._jwrite.set_trigger == "RealTimeTrigger(7 seconds)"


def test_the_interval_defaults_to_sparks_own():
    assert real_time_trigger(NativeWriter()).asked == "5 minutes"


@pytest.mark.parametrize("writer", [NativeWriter(), JvmWriter(Trigger41)], ids=["native", "jvm"])
@pytest.mark.parametrize(
    "interval", ["", "5", "seconds", "0 seconds", "-5 seconds", "5 parsecs", "5 seconds!", None, 5]
)
def test_a_bad_interval_is_named_before_anything_is_set(writer, interval):
    with pytest.raises(ConfigurationError, match="is not a duration") as error:
        real_time_trigger(writer, interval)
    assert repr(interval) in str(error.value)


def test_a_spark_without_real_time_mode_is_named():
    writer = JvmWriter(Trigger40)
    with pytest.raises(PreflightError, match=r"Spark 4\.1\.4 has no Real-Time Mode.*RTMBENCH_MODE=microbatch"):
        real_time_trigger(writer, "5 seconds")
    assert writer._jwrite.set_trigger is None


def test_another_failure_of_the_jvm_is_not_disguised():
    with pytest.raises(RuntimeError, match="the JVM is gone"):
        real_time_trigger(JvmWriter(BrokenTrigger), "5 seconds")


def test_a_connect_writer_without_the_native_trigger_is_named():
    class ConnectWriter:
        def trigger(self, *, processingTime=None):  # noqa: ARG002, N803
            raise AssertionError

    with pytest.raises(PreflightError, match="ConnectWriter has neither"):
        real_time_trigger(ConnectWriter(), "5 seconds")


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("5 seconds", 5_000),
        ("1 second", 1_000),
        ("5000 milliseconds", 5_000),
        (" 2 MINUTES ", 120_000),
        ("1 minute 30 seconds", 90_000),
        ("1 hour", 3_600_000),
    ],
)
def test_durations(interval, expected):
    assert duration_ms(interval) == expected


SCAN = "      +- RealTimeStreamScan[key#1, value#2] KafkaV2[Subscribe[in]]"
WAITS = "   +- Exchange hashpartitioning(key#1, 4), ENSURE_REQUIREMENTS, [plan_id=7]"
STREAMS = "   +- Exchange hashpartitioning(key#1, 4), ENSURE_REQUIREMENTS, [plan_id=7], isPipelined=true"
BROADCAST = "   +- BroadcastExchange HashedRelationBroadcastMode(List(input[0, string, true]),false), [plan_id=9]"


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ([SCAN], True),
        ([STREAMS, SCAN], True),
        ([BROADCAST, STREAMS, SCAN], True),
        ([WAITS, SCAN], False),
        ([STREAMS, WAITS, SCAN], False),
        ([STREAMS, SCAN.replace("RealTimeStreamScan", "MicroBatchScan")], False),
        ([], False),
    ],
)
def test_a_plan_streams_when_its_scan_and_every_shuffle_do(plan, expected):
    assert streams("\n".join(plan)) is expected


def test_no_time_at_all_is_a_duration_where_that_is_allowed():
    assert duration_ms("0 seconds", zero=True) == 0
    with pytest.raises(ConfigurationError, match="'' is not a duration"):
        duration_ms("", zero=True)


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_pipelines_can_be_imported_without_pyspark(pattern):
    code = (
        "import sys; sys.modules['pyspark'] = None; sys.modules['py4j'] = None\n"
        "from rtmbench.spark import pipeline\n"
        f"assert callable(pipeline({pattern!r}).build)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
