"""The configuration files for containers, loaded by the real engines in local processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from clusters import Service, ended, flink_answers
from places import ROOT

from rtmbench.artifacts import Cache
from rtmbench.engines.flink.cluster import JOB_MANAGER, TASK_MANAGER
from rtmbench.engines.flink.config import MODULE_OPTIONS
from rtmbench.platform.java import find_java
from rtmbench.platform.ports import free_ports

pytestmark = [pytest.mark.e2e, pytest.mark.full, pytest.mark.timeout(300)]

FLINK = ROOT / "docker" / "flink-conf" / "config.yaml"
SPARK = ROOT / "docker" / "spark-conf" / "spark-defaults.conf"
TOOL = "org.apache.flink.runtime.util.bash.BashJavaUtils"
READ = """
import json
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[2]").getOrCreate()
print("READ", json.dumps(dict(spark.sparkContext.getConf().getAll())))
spark.stop()
"""


def entries(text, separator):
    return dict(line.split(separator, 1) for line in text.splitlines() if line and not line.startswith("#"))


def test_flink_starts_with_its_file(tmp_path):
    home = Cache().ensure("flink@1.20").root
    jars = ":".join(map(str, sorted((home / "lib").glob("*.jar"))))
    rest, rpc = free_ports(2)
    own = {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": str(rpc),
        "rest.address": "127.0.0.1",
        "rest.port": str(rest),
        "execution.checkpointing.dir": (tmp_path / "checkpoints").as_uri(),
        **dict.fromkeys(("jobmanager.bind-host", "rest.bind-address", "taskmanager.bind-host"), "127.0.0.1"),
        "taskmanager.host": "127.0.0.1",
    }
    settings = {**entries(FLINK.read_text(), ": "), **own}
    (tmp_path / "config.yaml").write_text("".join(f"{name}: {value}\n" for name, value in settings.items()))
    java = str(find_java().executable)

    def sized(process):
        """Return what Flink's own scripts make of the sizes: options of the JVM, and of the process."""
        command = [
            java,
            "-cp",
            f"{home / 'bin' / 'bash-java-utils.jar'}:{jars}",
            TOOL,
            f"GET_{process}_RESOURCE_PARAMS",
        ]
        completed = subprocess.run(
            [*command, "--configDir", str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
        )
        lines = [line.partition("BASH_JAVA_UTILS_EXEC_RESULT:")[2] for line in completed.stdout.splitlines()]
        jvm, options = [line.split() for line in lines if line]
        return jvm, options

    services: list[Service] = []
    with ended(services):
        for process, main in (("JM", JOB_MANAGER), ("TM", TASK_MANAGER)):
            jvm, options = sized(process)
            command = [java, *jvm, *MODULE_OPTIONS, "-cp", jars, main, "--configDir", str(tmp_path), *options]
            services.append(Service(command, tmp_path / f"{process}.log", dict(os.environ)))
        cluster = flink_answers(services, rest, slots=16, logs=tmp_path)
        read = {item["key"]: item["value"] for item in cluster.account("/jobmanager/config")}
        assert {name: read.get(name) for name in settings} == settings


def test_spark_starts_with_its_file(tmp_path):
    root = Cache().ensure("spark@4.1").root
    (tmp_path / "spark-defaults.conf").write_text(SPARK.read_text())
    environment = {
        **os.environ,
        "PYTHONPATH": str(root),
        "SPARK_HOME": str(root / "pyspark"),
        "SPARK_CONF_DIR": str(tmp_path),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "JAVA_HOME": str(find_java().home),
    }
    completed = subprocess.run(
        [sys.executable, "-c", READ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    (line,) = [line for line in completed.stdout.splitlines() if line.startswith("READ ")]
    read = json.loads(line.removeprefix("READ "))
    expected = entries(SPARK.read_text(), " ")
    # Spark puts options of its own before those of the JVM.
    options = "spark.executor.extraJavaOptions"
    assert read.pop(options).endswith(expected.pop(options))
    assert {name: read.get(name) for name in expected} == expected
