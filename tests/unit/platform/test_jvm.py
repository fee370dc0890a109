from __future__ import annotations

from pathlib import Path

from rtmbench.platform import jvm
from rtmbench.platform.java import Java


def test_children_see_no_foreign_engine_settings():
    java = Java(home=Path("/jdk"), executable=Path("/jdk/bin/java"), version="17", major=17)
    environ = {
        "PATH": "/bin",
        "HOME": "/home/x",
        "SPARK_HOME": "/s",
        "PYSPARK_SUBMIT_ARGS": "x",
        "JAVA_TOOL_OPTIONS": "-Xmx1g",
        "KAFKA_OPTS": "y",
    }
    assert jvm.environment(java, environ) == {
        "PATH": "/jdk/bin:/bin",
        "HOME": "/home/x",
        "JAVA_HOME": "/jdk",
        "LC_ALL": "C.UTF-8",
    }
