"""The settings that every Java process shares: collector, heap and logs, without hidden options."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from rtmbench.platform.gc_log import SUFFIX
from rtmbench.platform.java import SURPRISES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rtmbench.platform.java import Java

# Variables of another Kafka, Flink, Spark or Hadoop installation: they would change the measurement.
_FOREIGN_PREFIXES = ("SPARK_", "PYSPARK_", "FLINK_", "HADOOP_", "KAFKA_", "YARN_")
_FOREIGN = {*SURPRISES, "JAVA_OPTS", "CLASSPATH", "IBM_JAVA_OPTIONS", "OPENJ9_JAVA_OPTIONS"}
# Of these, what a custom job itself may read.
_JOB_PREFIXES = ("SPARK_", "FLINK_", "KAFKA_")
# What Spark, Flink and their scripts read themselves: it would steer the engine that rtmbench starts.
_STEERING = re.compile(
    "SPARK_(ANSI|API|AUTH|BUFFER|CLASSPATH|CONF_DIR|CONNECT|DAEMON|DIST|DRIVER|ENV_LOADED|EXECUTOR|HISTORY|HOME|IDENT|JARS|"
    "JAVA|LAUNCHER|LOCAL|LOG|MASTER|NICENESS|PID|PREPEND|PUBLIC|PYTHON|REMOTE|REPL|SCALA|SHUFFLE|SQL|SUBMIT|TESTING|USER|"
    "WORKER).*"
    "|FLINK_(BIN|CLASSPATH|CONF|ENV|HOME|IDENT|LIB|LOG|OPT|PID|PLUGINS|PROPERTIES|SSH|TM|JM).*"
    "|KAFKA_(OPTS|HEAP_OPTS|JVM|LOG4J|GC|JMX|DEBUG).*"
)


def job_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables with Spark's, Flink's or Kafka's name that steer no engine, for a custom job."""
    return {
        key: value
        for key, value in (os.environ if environ is None else environ).items()
        if key.startswith(_JOB_PREFIXES) and not _STEERING.fullmatch(key)
    }


def environment(java: Java, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a child: this one's, with the found Java and without foreign engine settings."""
    clean = {
        key: value
        for key, value in (os.environ if environ is None else environ).items()
        if key not in _FOREIGN and not key.startswith(_FOREIGN_PREFIXES)
    }
    clean["JAVA_HOME"] = str(java.home)
    clean["PATH"] = os.pathsep.join([str(java.executable.parent), clean.get("PATH", os.defpath)])
    # A log has to be the same on every machine.
    clean["LC_ALL"] = "C.UTF-8"
    return clean


def memory_options(heap_mb: int) -> list[str]:
    """Return the options that fix the heap's size (MiB) from the start."""
    return [f"-Xms{heap_mb}m", f"-Xmx{heap_mb}m"]


METASPACE_MB = 256
"""Below this, class metadata starts no collection. Spark's is the largest, and stays below it."""


def common_options(name: str, *, logs: Path, scratch: Path) -> list[str]:
    """Return the options that all Java processes share, whatever they run.

    The collector is named, because a JVM on a small machine would choose another one for some heaps only. Class
    metadata may grow without a collection: at the default threshold of some 21 MiB an engine would pay for its own
    start with pauses of tens of ms a minute later, while it is measured. An exhausted heap ends the process, so that it
    shows as a crash. The JVM's own files go to `scratch`, its collector's log to `logs`.
    """
    return [
        "-XX:+UseG1GC",
        f"-XX:MetaspaceSize={METASPACE_MB}m",
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ErrorFile={logs / f'{name}-crash-%p.log'}",
        # Written by a separate thread: a slow disk must not lengthen the pauses that are being logged.
        "-Xlog:async",
        f'-Xlog:gc,safepoint:file="{logs / f"{name}{SUFFIX}"}":time,uptime,tags:filecount=0',
        # The counters' file in /tmp would stay behind after a SIGKILL, and writing it can stall the JVM.
        "-XX:-UsePerfData",
        "-Djava.awt.headless=true",
        "-Djava.net.preferIPv4Stack=true",
        f"-Djava.io.tmpdir={scratch}",
    ]


def log4j_properties(levels: Mapping[str, str]) -> str:
    """Return a log4j 2 configuration that writes everything to standard output, which is the process's log file."""
    lines = [
        "rootLogger.level = INFO",
        "rootLogger.appenderRef.stdout.ref = stdout",
        "appender.stdout.type = Console",
        "appender.stdout.name = stdout",
        "appender.stdout.layout.type = PatternLayout",
        "appender.stdout.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS} %-5p %c{1} [%t] - %m%n%xEx",
    ]
    for number, (name, level) in enumerate(levels.items()):
        lines += [f"logger.l{number}.name = {name}", f"logger.l{number}.level = {level}"]
    return "\n".join(lines) + "\n"


__all__ = ["common_options", "environment", "log4j_properties", "memory_options"]
