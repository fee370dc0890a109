"""`rtmbench run`: patterns × engines × trials, and the comparison."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtmbench import durations
from rtmbench.cli.configuration import setting
from rtmbench.cli.own_job import job_options, take_job

if TYPE_CHECKING:
    from rtmbench.experiment.options import Options
    from rtmbench.results.model import Result


class Seconds(click.ParamType[float]):
    """A length of time: `90`, `90s`, `5m` or `1h`; also as Spark writes it, `90 seconds`.

    The pipelines read some of the same variables (`RTMBENCH_WINDOW` …) and hand them to Spark as they are.
    """

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds; a click usage error where the text is not a length of time."""
        if isinstance(value, int | float):
            return float(value)
        try:
            return durations.seconds(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Listed(click.ParamType[Any]):
    """One value of another type, or several with commas between, which make a sweep."""

    def __init__(self, kind: Any) -> None:
        self.kind = click.types.convert_type(kind)
        self.name = f"{self.kind.name}[,…]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value, or a tuple where there are several."""
        if isinstance(value, tuple):
            return value
        parts = [part for part in str(value).split(",") if part.strip()]
        values = tuple(self.kind.convert(part.strip(), param, ctx) for part in parts)
        if not values:
            self.fail(f"{value!r} names no value", param, ctx)
        return values[0] if len(values) == 1 else values


@click.command()
@click.argument("patterns", nargs=-1, metavar="PATTERN…|all")
@setting(
    "--engines",
    default="flink@1.20,spark@4.1",
    show_default=True,
    help="ENGINE[@VERSION][:MODE], comma-separated.",
)
@click.option("--quick", is_flag=True, help="One short trial per engine, labelled as such.")
@setting("--rate", type=Listed(float), help="Events per second. [default: 10000, less on a small machine]")
@setting(
    "--arrivals",
    type=Listed(str),
    metavar="SHAPE[,…]",
    default="poisson",
    show_default=True,
    help="When events are due: poisson, constant, burst:SIZE, or ramp:FROM:SECONDS (up to --rate).",
)
@setting("--keys", type=Listed(int), default=100, show_default=True, help="Number of distinct keys.")
@setting("--zipf", type=Listed(float), metavar="EXPONENT[,…]", help="Zipf-distributed keys. [default: uniform]")
@setting("--payload", type=Listed(int), metavar="BYTES[,…]", help="Pad each input record to this size.")
@setting("--partitions", type=Listed(int), help="Of each topic. [default: 16, less on a small machine]")
@setting("--slots", type=int, help="Task slots (threads) of each engine. [default: as many as each needs]")
@setting("--shuffle-partitions", type=int, help="Of Spark's keyed stages. [default: 20, less on a small machine]")
@setting("--profile", type=click.Choice(["spec", "laptop"]), help="Load and sizes. [default: what the machine holds]")
@setting("--duration", type=Seconds(), help="Measuring phase of a trial. [default: 60s]")
@setting(
    "--warmup",
    type=Seconds(),
    help="Fixed length of the load before the measuring phase. [default: see --warmup-boundaries; --quick: 20s]",
)
@setting(
    "--warmup-boundaries",
    type=int,
    help="Checkpoints or batch boundaries that end the warm-up; --warmup then bounds it. [default: 60, at most 6m]",
)
@setting("--trials", type=int, help="Trials per engine. [default: 3]")
@setting("--seed", type=int, default=1, show_default=True, help="Decides every event.")
@setting(
    "--checkpoint-interval",
    type=Listed(Seconds()),
    default="5s",
    show_default=True,
    help="Checkpoints of Flink, batches of Spark.",
)
@setting("--window", type=Seconds(), help="Length of the windows of 02 and 03. [default: 60s, 5m]")
@setting("--slide", type=Seconds(), help="Distance of the sliding windows of 03. [default: 60s]")
@setting("--watermark-delay", type=Seconds(), default="10s", show_default=True, help="How late an event may come.")
@setting(
    "--out-of-order",
    metavar="SHARE:DELAY",
    help="Share of events of 02 and 03 that come up to DELAY after they happened, such as 0.1:5s.",
)
@setting("--late", type=float, metavar="SHARE", help="Share of events of 02 and 03 that come too late to count.")
@setting(
    "--state-backend",
    type=Listed(click.Choice(["rocksdb", "hashmap"])),
    metavar="NAME",
    default="rocksdb",
    show_default=True,
    help="Of Flink, at patterns with state: rocksdb or hashmap.",
)
@setting(
    "--local-files",
    type=Listed(click.Choice(["plain", "hadoop"])),
    metavar="NAME",
    default=None,
    help="How Spark writes its checkpoint: plain, or as hadoop does (pip install pyspark), with a process for each "
    "file. [default: plain; for a custom job hadoop]",
)
@setting(
    "--buffer-wait",
    type=Listed(int),
    metavar="MS",
    default=1,
    show_default=True,
    help="Longest wait in a network buffer, of both engines.",
)
@setting("--memory", type=int, metavar="MIB", help="Memory of all processes of one engine.")
@setting(
    "--bootstrap-servers",
    also=["KAFKA_BOOTSTRAP_SERVERS"],
    metavar="HOST:PORT",
    help="An existing Kafka. [default: a local one is started]",
)
@setting("--kafka-port", type=click.IntRange(0, 65535), default=0, help="Of the local Kafka.")
@setting("--flink-port", type=click.IntRange(0, 65535), default=0, help="Of Flink's web page.")
@setting("--flink-url", metavar="URL", help="An existing Flink session cluster. [default: one is started]")
@setting("--flink-bootstrap-servers", metavar="HOST:PORT", help="Kafka as that cluster reaches it. [default: as here]")
@setting("--keep-topics", is_flag=True, help="Leave the topics of the trials behind.")
@setting("--offline", is_flag=True, help="Download nothing; the cache must hold what is needed.")
@setting(
    "--results",
    type=click.Path(path_type=Path),
    default="results",
    show_default=True,
    help="Holds one directory a run.",
)
@setting("--slo", multiple=True, metavar="TARGET", help="Such as 'p99<100ms@10000/s'; may be given again.")
@click.option("--aa", is_flag=True, help="Each engine against itself: measures the noise of this machine. [6 trials]")
@click.option("--find-rate", is_flag=True, help="Search the highest rate that each engine sustains, from --rate on.")
@click.option("--resume", metavar="RUN", help="Go on with an interrupted run or experiment, with its settings.")
@click.option("--retry-failed", is_flag=True, help="With --resume: repeat trials that failed or were refused.")
@job_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def run(patterns: tuple[str, ...], engines: str, *, as_json: bool, **wishes: Any) -> int:
    """Run PATTERNs, or a job of your own, on engines, check their outputs, and compare their latency.

    Kafka, Flink and Spark are fetched, started, and stopped again. Results go to stdout, everything else to stderr.
    Several values for --rate, --arrivals, --keys, --zipf, --payload, --partitions, --checkpoint-interval,
    --buffer-wait, --state-backend or --local-files, with commas between, make a sweep over all their combinations. A
    job of your own, given by --spark-job, --flink-jar or both, stands in the PATTERN's place; docs/own-job.md says how
    it is made ready.
    """
    from rtmbench.experiment import runner  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.live_view import LiveView  # noqa: PLC0415
    from rtmbench.experiment.sweep import AXES  # noqa: PLC0415
    from rtmbench.experiment.settings import RunRequest  # noqa: PLC0415

    job = take_job(wishes)
    if (bool(patterns), wishes["resume"] is not None, job is not None).count(True) != 1:
        raise click.UsageError(
            "Name one PATTERN or more, such as `01`, or `all`; or a job of your own with --spark-job or --flink-jar, "
            "or a run with --resume, and no pattern."
        )
    axes = {}
    for name in AXES:
        wish = name.replace("-", "_")
        if isinstance(wishes.get(wish), tuple):
            axes[name] = wishes[wish]
            wishes[wish] = axes[name][0]
    options = _options(axes, wishes)
    for length in ("duration", "warmup", "checkpoint_interval", "window", "slide", "watermark_delay"):
        wishes[f"{length}_s"] = wishes.pop(length)
    wishes["memory_mb"] = wishes.pop("memory")
    wishes["payload_bytes"] = wishes.pop("payload")
    wishes["buffer_wait_ms"] = wishes.pop("buffer_wait")
    names = tuple(name.strip() for name in engines.split(",") if name.strip())
    request = RunRequest(patterns=patterns, engines=names, job=job, **wishes)
    results = runner.run(request, options, LiveView())
    if as_json:
        documents = [result.to_dict() for result in results]
        click.echo(json.dumps(documents[0] if len(documents) == 1 else {"runs": documents}, indent=2))
    else:
        _print(results)
    _report(results, wishes["results"])
    return runner.exit_code(results)


def _options(axes: dict[str, tuple[Any, ...]], wishes: dict[str, Any]) -> Options:
    """Take out of the wishes what is no setting of a run."""
    from rtmbench.experiment.options import Options  # noqa: PLC0415
    from rtmbench.results.slo import Target  # noqa: PLC0415

    # The environment and `rtmbench.toml` give one text for all.
    texts = [part for text in wishes.pop("slo") for part in text.split(",") if part.strip()]
    return Options(
        axes=axes,
        targets=[Target.parse(text) for text in texts],
        **{name: wishes.pop(name) for name in ("aa", "find_rate", "resume", "retry_failed")},
    )


def _print(results: list[Result]) -> None:
    from rtmbench.report import print_result  # noqa: PLC0415
    from rtmbench.report.sweep import print_sweep  # noqa: PLC0415

    if any(result.grid for result in results):
        print_sweep(results)
        return
    for result in results:
        print_result(result)


def _report(results: list[Result], root: Path) -> None:
    """Write the report and say where it is; a run that went well does not fail for want of one."""
    from rtmbench.errors import RtmbenchError  # noqa: PLC0415
    from rtmbench.report.write import after_run  # noqa: PLC0415

    try:
        path, hint = after_run(results, root)
    except RtmbenchError as error:
        click.echo(f"no report: {error}", err=True)
        return
    click.echo(f"report: {path}{f' ({hint})' if hint else ''}", err=True)
