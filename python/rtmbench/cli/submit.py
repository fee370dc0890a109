"""`rtmbench submit`: one pattern's job on one engine, on a Kafka that exists."""

from __future__ import annotations

from typing import Any

import click

from rtmbench.cli import shared
from rtmbench.cli.configuration import setting
from rtmbench.cli.run import Seconds


@click.command()
@click.argument("engine")
@click.argument("pattern")
@shared.existing_kafka
@click.option("--input-topic", default="benchmark-input", show_default=True, help="What the job reads, from its start.")
@click.option("--output-topic", default="benchmark-output", show_default=True, help="What it writes.")
@click.option("--duration", type=Seconds(), help="Stop after this time. [default: until interrupted]")
@shared.slots
@shared.shuffle_partitions
@shared.checkpoint_interval
@setting("--window", type=Seconds(), help="Length of the windows of 02 and 03. [default: 60s, 5m]")
@setting("--slide", type=Seconds(), help="Distance of the sliding windows of 03. [default: 60s]")
@setting("--watermark-delay", type=Seconds(), default="10s", show_default=True, help="How late an event may come.")
@shared.state_backend
@shared.buffer_wait
@shared.memory
@shared.flink_port
@shared.offline
@shared.results("Where the engine's logs are kept.")
def submit(
    engine: str, pattern: str, *, input_topic: str, output_topic: str, duration: float | None, **wishes: Any
) -> None:
    """Start PATTERN's job on ENGINE, on existing topics, and keep it running until Ctrl-C.

    ENGINE is as in `run`: flink@1.20, spark@4.3, spark@4.1:microbatch. The engine runs on this machine. There is no
    load and no measurement: use `produce` and `measure` beside it.
    """
    from rtmbench import submit as submitting  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.experiment.settings import RunRequest  # noqa: PLC0415

    for length in ("checkpoint_interval", "window", "slide", "watermark_delay"):
        wishes[f"{length}_s"] = wishes.pop(length)
    wishes["memory_mb"] = wishes.pop("memory")
    wishes["buffer_wait_ms"] = wishes.pop("buffer_wait")
    request = RunRequest(patterns=(pattern,), engines=(engine,), **wishes)
    topics = submitting.Topics(input=input_topic, output=output_topic)
    submitting.submit(request, topics, duration_s=duration, say=lambda text: click.echo(text, err=True))
