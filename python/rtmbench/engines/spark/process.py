"""The settings that every Spark process shares: loopback addresses, configuration files, the running interpreter."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from rtmbench.platform import jvm
from rtmbench.platform.ports import LOOPBACK
from rtmbench.private_files import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Spark silences what a Python program's JVM logs below the level of this logger.
LOG_LEVELS = {"org.apache.spark.api.python.PythonGatewayServer": "INFO"}


def write_configuration(
    work: Path,
    settings: Mapping[str, str],
    *,
    name: str,
    logs: Path,
    jars: Sequence[Path],
    heap_mb: int,
    log_levels: Mapping[str, str] = LOG_LEVELS,
) -> Path:
    """Write Spark's configuration below `work` and return its directory; `settings` come after the common ones.

    As files, because on a command line every user of the machine could read it. Everything listens on the loopback
    address. `jars` (the Kafka connector) join the driver's class path. `heap_mb` (MiB) is the driver's heap, fixed
    from the start.
    """
    for directory in ("conf", "tmp", "local"):
        (work / directory).mkdir(parents=True, exist_ok=True)
    options = [f"-Xms{heap_mb}m", *jvm.common_options(name, logs=logs, scratch=work / "tmp")]
    common = {
        "spark.driver.memory": f"{heap_mb}m",
        "spark.driver.extraJavaOptions": " ".join(f"'{option}'" for option in options),
        "spark.driver.extraClassPath": ":".join(str(jar) for jar in jars),
        "spark.driver.host": LOOPBACK,
        "spark.driver.bindAddress": LOOPBACK,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(work / "local"),
        "spark.sql.warehouse.dir": (work / "warehouse").as_uri(),
        "spark.sql.session.timeZone": "UTC",
    }
    conf = work / "conf"
    lines = [f"{key} {value}\n" for key, value in {**common, **settings}.items()]
    # The properties of a cluster may hold secrets.
    write_private(conf / "spark-defaults.conf", "".join(lines))
    (conf / "log4j2.properties").write_text(jvm.log4j_properties(log_levels), encoding="utf-8")
    return conf


def environment(base: Mapping[str, str], *, root: Path, work: Path) -> dict[str, str]:
    """Return `base` with what a Python process needs to run the Spark that is unpacked in `root`.

    Its workers run this interpreter, and its configuration is that of `write_configuration` below `work`.
    """
    path = [str(root), *filter(None, [base.get("PYTHONPATH")])]
    return {
        **base,
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONUNBUFFERED": "1",
        "SPARK_HOME": str(root / "pyspark"),
        "SPARK_CONF_DIR": str(work / "conf"),
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_LOCAL_HOSTNAME": LOOPBACK,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "TMPDIR": str(work / "tmp"),
    }


__all__ = ["LOG_LEVELS", "environment", "write_configuration"]
