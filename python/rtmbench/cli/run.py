"""`rtmbench run`: patterns × engines × trials, and the comparison."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from rtmbench.cli.custom_job import job_options, take_job
from rtmbench.cli.options import json_option, settings, take_axes, take_settings

if TYPE_CHECKING:
    from pathlib import Path

    from rtmbench.experiment.options import Options
    from rtmbench.experiment.settings import RunRequest
    from rtmbench.results.model import Result
    from rtmbench.run_settings import SettingValues


@click.command()
@click.argument("patterns", nargs=-1, metavar="PATTERN…|all")
@settings("run", sweepable=True)
@click.option(
    "--slo",
    multiple=True,
    metavar="TARGET",
    envvar="RTMBENCH_SLO",
    help="Latency target, e.g. 'p99<100ms@10000/s'. Repeatable.",
)
@click.option("--aa", is_flag=True, help="Compare each engine with itself, to measure the noise of this machine.")
@click.option(
    "--until-verdict",
    is_flag=True,
    help="Stop after 4 or 5 trials if they make a verdict, else after as many as it needs: 6 for two engines.",
)
@click.option(
    "--find-rate", is_flag=True, help="Search for the highest rate that each engine sustains, starting at --rate."
)
@click.option("--resume", metavar="RUN", help="Continue an interrupted run or experiment with its settings.")
@click.option("--retry-failed", is_flag=True, help="With --resume: repeat the trials that failed or were refused.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print cells, settings, slots, downloads, disk and minutes of the run, and start nothing. Exits 3 if this "
    "machine cannot do it.",
)
@job_options
@json_option
def run(patterns: tuple[str, ...], *, dry_run: bool, as_json: bool, **values: Any) -> int:
    """Run PATTERNs, or a custom job, on engines, check their output, and compare their latency.

    Kafka, Flink and Spark are fetched, started, and stopped again. Results go to stdout, everything else to stderr.

    An option whose value is marked [,…] takes several values with commas between them. They make a sweep over all
    combinations.

    A custom job, given by --spark-job, --flink-jar or both, replaces the PATTERN. See docs/custom-jobs.md.
    """
    from rtmbench.experiment import runner  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.experiment.settings import RunRequest  # noqa: PLC0415
    from rtmbench.live_view import LiveView  # noqa: PLC0415

    job = take_job(values)
    if (bool(patterns), values["resume"] is not None, job is not None).count(True) != 1:
        raise click.UsageError(
            "Name one or more PATTERNs, such as `01`, or `all`; or a custom job with --spark-job or --flink-jar; or a "
            "run to continue with --resume."
        )
    axes = take_axes(values)
    options = _options(axes, values)
    request = RunRequest(patterns=patterns, job=job, **take_settings(values))
    if dry_run:
        return _dry_run(request, options, as_json=as_json)
    results = runner.run(request, options, LiveView())
    if as_json:
        documents = [result.to_dict() for result in results]
        click.echo(json.dumps(documents[0] if len(documents) == 1 else {"runs": documents}, indent=2))
    else:
        _print(results)
    _report(results, request.results)
    return runner.exit_code(results)


def _dry_run(request: RunRequest, options: Options, *, as_json: bool) -> int:
    """Print what a run would do; return the exit code."""
    from rtmbench.cli.dry_run import print_dry_run  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.errors import PreflightError  # noqa: PLC0415
    from rtmbench.experiment import runner  # noqa: PLC0415
    from rtmbench.results._document import encode  # noqa: PLC0415

    planned = runner.plan(request, options)
    if as_json:
        click.echo(json.dumps({"ready": planned.ready, **encode(planned)}, indent=2))
    else:
        print_dry_run(planned)
    return 0 if planned.ready else PreflightError.exit_code


def _options(axes: dict[str, tuple[Any, ...]], values: SettingValues) -> Options:
    """Take the options out that are not settings of a run."""
    from rtmbench.experiment.options import Options  # noqa: PLC0415
    from rtmbench.results.slo import Target  # noqa: PLC0415

    # The environment and `rtmbench.toml` give one text for all.
    texts = [part for text in values.pop("slo") for part in text.split(",") if part.strip()]
    return Options(
        axes=axes,
        targets=[Target.parse(text) for text in texts],
        **{name: values.pop(name) for name in ("aa", "until_verdict", "find_rate", "resume", "retry_failed")},
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
    """Write the report and print its path. A run does not fail because its report cannot be written."""
    from rtmbench.errors import RtmbenchError  # noqa: PLC0415
    from rtmbench.report.write import after_run  # noqa: PLC0415

    try:
        path, hint = after_run(results, root)
    except RtmbenchError as error:
        click.echo(f"no report: {error}", err=True)
        return
    click.echo(f"report: {path}{f' ({hint})' if hint else ''}", err=True)
