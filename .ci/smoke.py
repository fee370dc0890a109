"""What an installed wheel can do with Python alone: no Java, no compiler, no checkout. For each platform's wheel."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import rtmbench
from rtmbench import _core
from rtmbench.patterns import PATTERNS, pipelines

EVENTS = 2_000
FEATURES = {"gzip", "snappy", "lz4", "zstd", "ssl", "sasl_plain", "sasl_scram", "sasl_oauthbearer"}
UNWANTED = {"duckdb", "jupyter", "matplotlib", "pandas", "polars", "pyarrow", "pyspark"}


def main() -> None:
    """Raise where something is missing; else say what ran."""
    assert rtmbench.OPTIMIZED
    assert Path(rtmbench.__file__).is_relative_to(sys.prefix), f"not the installed package: {rtmbench.__file__}"
    missing = FEATURES - set(_core.librdkafka_features())
    assert not missing, f"librdkafka lacks {sorted(missing)}"
    found = UNWANTED & {name.lower() for one in metadata.distributions() if (name := one.metadata["Name"])}
    assert not found, f"the wheel brought {sorted(found)} with it"
    for pattern in PATTERNS:
        for engine in ("flink", "spark"):
            assert pipelines.locate(pattern, engine, checkout=Path("nowhere")).is_file()
    with _core.MockBroker() as broker:
        broker.create_topic("smoke", partitions=2)
        kafka = {"bootstrap.servers": broker.bootstrap_servers, "fetch.wait.max.ms": "1", "compression.type": "zstd"}
        consumer = _core.LatencyConsumer(kafka, "smoke")
        consumer.start()
        schedule = _core.Schedule.constant(2_000)
        sent = _core.Generator(kafka, "smoke", _core.Workload(1), schedule, count=EVENTS).run()
        assert (sent.acked, sent.failed) == (EVENTS, 0)
        while consumer.snapshot().received < EVENTS:
            pass
        consumer.stop()
        received = consumer.join()
    assert (received.latency.count, received.malformed) == (EVENTS, 0)
    version = ".".join(str(part) for part in sys.version_info[:3])
    print(f"rtmbench {rtmbench.__version__} works on Python {version}, {sys.platform}")  # noqa: T201


if __name__ == "__main__":
    main()
