"""The command that starts a pipeline on YARN or Kubernetes. rtmbench does not run it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rtmbench.engines.spark import query
from rtmbench.engines.spark.master import executor_settings
from rtmbench.errors import ConfigurationError
from rtmbench.patterns import pipelines

if TYPE_CHECKING:
    from pathlib import Path

    from rtmbench.engines.base import TrialIo, Variant

CONNECTOR = "org.apache.spark:spark-sql-kafka-0-10_2.13"


def command(
    master: str, connector: str, *, pattern: str, variant: Variant, io: TrialIo, executors: int, properties: Path | None
) -> str:
    """Return a shell command: variables for the pipeline, `spark-submit`, and its options, one a line.

    Args:
        master: `yarn` or `k8s://…`.
        connector: the version of Spark's Kafka connector, such as `4.2.0`.
        pattern: the pattern, such as `02`.
        variant: the variant of it.
        io: topics, slots, windows and the directory for checkpoints, which executors must reach.
        executors: how many executors share the slots.
        properties: a file with further properties for the cluster.

    Raises:
        ConfigurationError: checkpoints would be on this machine.

    """
    if not io.checkpoints_elsewhere:
        raise ConfigurationError(
            f"On {master}, executors have no access to the disk of this machine. Name a directory that all of them "
            "share: --checkpoint-storage hdfs://… or s3a://…"
        )
    variables = query.variables(io, mode=variant.mode)
    if io.settings.kafka_properties is not None:
        variables["RTMBENCH_KAFKA_PROPERTIES"] = str(io.settings.kafka_properties.absolute())
    settings = {
        **executor_settings(io, executors),
        "spark.executor.instances": str(executors),
        **query.settings(variant, io, custom=False),
    }
    del settings["spark.cores.max"]
    options = [
        ("--master", master),
        # The driver reads the pipeline's file, and the one of Kafka properties, where it is submitted.
        ("--deploy-mode", "client"),
        *([] if properties is None else [("--properties-file", str(properties.absolute()))]),
        ("--packages", f"{CONNECTOR}:{connector}"),
        *[("--jars", ",".join(map(str, jars))) for jars in [pipelines.spark_jars(pattern)] if jars],
        *[("--conf", f"{name}={value}") for name, value in settings.items()],
    ]
    lines = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    lines += ["spark-submit", *(f"  {name} {shlex.quote(value)}" for name, value in options)]
    lines += [f"  {shlex.quote(str(pipelines.locate(pattern, 'spark')))}"]
    return " \\\n".join(lines)


__all__ = ["command"]
