"""Which variables of the user a custom job gets, and which would steer an engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtmbench.platform import jvm
from rtmbench.platform.java import Java

JOB = {
    "KAFKA_TOPIC": "orders",
    "SPARK_TRIGGER": "5 seconds",
    "SPARK_CHECKPOINT_LOCATION": "/c",
    "FLINK_JOB_NAME": "orders",
}
STEERING = (
    "SPARK_HOME",
    "SPARK_CONF_DIR",
    "SPARK_LOCAL_DIRS",
    "SPARK_MASTER_HOST",
    "SPARK_DRIVER_MEMORY",
    "SPARK_SUBMIT_OPTS",
    "SPARK_ANSI_SQL_MODE",
    "SPARK_REMOTE",
    "PYSPARK_PYTHON",
    "PYSPARK_SUBMIT_ARGS",
    "FLINK_HOME",
    "FLINK_CONF_DIR",
    "FLINK_ENV_JAVA_OPTS",
    "HADOOP_CONF_DIR",
    "YARN_CONF_DIR",
    "KAFKA_OPTS",
    "KAFKA_HEAP_OPTS",
    "JAVA_TOOL_OPTIONS",
    "CLASSPATH",
)


@pytest.mark.parametrize("name", JOB)
def test_a_job_reads_its_own_variables(name):
    assert jvm.job_variables({**JOB, "PATH": "/bin"}) == JOB
    assert name in jvm.job_variables(JOB)


@pytest.mark.parametrize("name", STEERING)
def test_what_steers_an_engine_reaches_none(name):
    java = Java(home=Path("/java"), executable=Path("/java/bin/java"), version="17.0.1", major=17)
    assert name not in jvm.job_variables({name: "x"})
    assert name not in jvm.environment(java, {name: "x"})
