"""The functions of the package: start runs, and read those that are on disk.

Settings are keyword arguments of the names and units in `rtmbench.run_settings.RunArguments`. Nothing is taken from
`RTMBENCH_*` variables or `rtmbench.toml`, which belong to the command line.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtmbench.api.run_list import RunList
from rtmbench.api.run_result import Run
from rtmbench.errors import ConfigurationError, RtmbenchError
from rtmbench.results.sample import DIRECTORY
from rtmbench.results.slo import Target
from rtmbench.results.store import DOCUMENT, list_runs, locate
from rtmbench.results.store import load as load_document
from rtmbench.run_settings import DEFAULT_ENGINES, SETTINGS

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from typing_extensions import Unpack

    from rtmbench.custom_jobs.oracle import Check
    from rtmbench.experiment.options import Options
    from rtmbench.experiment.settings import RunRequest
    from rtmbench.run_settings import RunArguments, SettingValues


def run(
    pattern: str,
    *,
    engines: Iterable[str] = DEFAULT_ENGINES,
    slo: str | Iterable[str] = (),
    results: str | os.PathLike[str] = "results",
    **settings: Unpack[RunArguments],
) -> Run:
    """Run one pattern on engines, check their outputs, and return what was measured; it is on disk as well.

    Engines are fetched, started and stopped again; progress goes to standard error. A Ctrl-C (or an interrupted
    notebook cell) stops them within seconds, raises KeyboardInterrupt, and leaves the document of what was measured
    until then, marked incomplete: `runs()[0]`. Call it in the main thread, where Python delivers that interrupt.

    Args:
        pattern: such as `"02"`.
        engines: `ENGINE[@VERSION][:MODE]`, such as `"spark@4.3"`.
        slo: targets such as `"p99<100ms@10000/s"`, judged in the document.
        results: holds one directory a run.
        settings: see `rtmbench.run_settings.RunArguments`.

    Raises:
        ConfigurationError: an unknown pattern, engine or setting, or a value out of its range.
        PreflightError: the machine lacks something; nothing was started.
        RunFailedError: the broker or the harness itself broke. An engine that fails is a cell of status `failed`.

    >>> import rtmbench
    >>> run = rtmbench.run("02", engines=["flink@1.20", "spark@4.3"], quick=True)  # doctest: +SKIP
    >>> rtmbench.run("02", duration=30)
    Traceback (most recent call last):
    rtmbench.errors.ConfigurationError: unknown setting 'duration'; did you mean 'duration_s'?

    """
    if pattern == "all":
        raise ConfigurationError("run() takes one pattern and returns one run; use run_all() for all of them.")
    return _run((pattern,), engines, slo, results, dict(settings))[0]


def run_all(
    patterns: Iterable[str] = ("all",),
    *,
    engines: Iterable[str] = DEFAULT_ENGINES,
    slo: str | Iterable[str] = (),
    results: str | os.PathLike[str] = "results",
    **settings: Unpack[RunArguments],
) -> list[Run]:
    """Run several patterns as one experiment, on one broker and in turns; one `Run` for each, in order.

    Everything else is as in `run`.

    >>> import rtmbench
    >>> runs = rtmbench.run_all(["01", "04"], rate=5_000, trials=6)  # doctest: +SKIP
    >>> rtmbench.run_all(["01", "05"])
    Traceback (most recent call last):
    rtmbench.errors.ConfigurationError: ...'05'...
    """
    names = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    return _run(names, engines, slo, results, dict(settings))


def run_job(
    *,
    spark_job: str | os.PathLike[str] | None = None,
    spark_args: Sequence[str] = (),
    flink_jar: str | os.PathLike[str] | None = None,
    flink_class: str | None = None,
    flink_args: Sequence[str] = (),
    flink_args_only: bool = False,
    timestamp_field: str | None = None,
    input: str | None = None,  # noqa: A002 - as on the command line
    output: str | None = None,
    template: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    events: str | Callable[[], Iterable[Any]] | None = None,
    oracle: str | Check | None = None,
    first_output_s: float = 120.0,
    filters: bool = False,
    engines: Iterable[str] = DEFAULT_ENGINES,
    slo: str | Iterable[str] = (),
    results: str | os.PathLike[str] = "results",
    **settings: Unpack[RunArguments],
) -> Run:
    """Run a custom job on engines, as `run` runs a pattern, and return what was measured.

    An output record is known by the time stamp that it carries of its event: each is one sample. `docs/custom-jobs.md`
    explains how to prepare a job.

    Args:
        spark_job: a PySpark file that starts one streaming query.
        spark_args: arguments of that file.
        flink_jar: a jar whose `main` executes one job.
        flink_class: the class of that `main`; without, the one that the jar's manifest names.
        flink_args: program arguments of the Flink job, before those of rtmbench.
        flink_args_only: whether it gets no other arguments, because it reads brokers and topics from the environment or
            has its own.
        timestamp_field: where an output has its event's time stamp, such as `"meta.created"`; without, where an input
            record has it.
        input: the topic that the jobs read, where they expect a certain one.
        output: the topic that they write, likewise.
        template: a JSON template of an input record: a file, or a dictionary.
        events: a function without arguments that gives input records as dictionaries, or `FILE.py:FUNCTION`.
        oracle: a function of the lists of input and output `Record`s that raises or returns what is wrong, or
            `FILE.py:FUNCTION`; without, the output is not checked, and the report states that.
        first_output_s: how long a job may take to its first output.
        filters: whether the job drops or merges events by design. Without it, each event whose time stamp no output
            carries is a sample at the drain deadline, so that percentiles which reach one are lower bounds.
        engines: of those with a job; without, all of them.
        slo: as in `run`.
        results: as in `run`.
        settings: as in `run`; what concerns windows is up to the job.

    Raises:
        ConfigurationError: as in `run`, and for an invalid definition of the job.
        PreflightError: as `run` does.
        RunFailedError: as `run` does. A job that fails is a cell of status `failed`.

    >>> import rtmbench
    >>> run = rtmbench.run_job(spark_job="orders.py", template="order.json")  # doctest: +SKIP
    >>> rtmbench.run_job(spark_job="orders.scala")
    Traceback (most recent call last):
    rtmbench.errors.ConfigurationError: --spark-job is orders.scala, which is not a .py file.

    """
    from rtmbench.custom_jobs.model import custom_job  # noqa: PLC0415 - reading results must not wait for what a run needs

    job = custom_job(
        spark_job=spark_job,
        spark_args=spark_args,
        flink_jar=flink_jar,
        flink_class=flink_class,
        flink_args=flink_args,
        flink_args_only=flink_args_only,
        timestamp_field=timestamp_field,
        input=input,
        output=output,
        template=template,
        events=events,
        oracle=oracle,
        first_output_s=first_output_s,
        filters=filters,
    )
    return _run((), engines, slo, results, {**settings, "job": job})[0]


def load(reference: str | os.PathLike[str], results: str | os.PathLike[str] = "results") -> Run:
    """Read a run by its id (under `results`), its directory or its document.

    Raises ConfigurationError if the run is unknown or its document cannot be read.

    >>> import rtmbench
    >>> rtmbench.load("tests/unit/data/recorded-run").engines
    ['flink@1.20', 'spark@4.1']
    """
    path = locate(reference, Path(results))
    return Run(load_document(path), path.parent if path.name == DOCUMENT else None)


def runs(results: str | os.PathLike[str] = "results") -> RunList:
    """Return the runs under `results`, newest first; `problems` has those that cannot be read.

    >>> import rtmbench
    >>> runs = rtmbench.runs("tests/unit/data")
    >>> [run.pattern for run in runs], runs.problems
    (['01'], {})
    """
    entries = list_runs(Path(results))
    return RunList(
        [Run(entry.result, entry.path) for entry in entries if entry.result is not None],
        {entry.path: entry.problem or "" for entry in entries if entry.result is None},
    )


def sample() -> RunList:
    """Return the recorded sample that comes with the package: a real run of each pattern, by pattern.

    Each was measured on one quiet machine on `flink@1.20`, `spark@4.1` and `spark@4.3`, pattern 02 with 7 trials of
    each. All runs are quick, so no comparison has a verdict. `make sample` records it anew. The machine is in
    `result.host`: the figures are those of that machine, good for learning to read results and for nothing that depends
    on yours.

    Raises RtmbenchError where the package is not whole.

    >>> import rtmbench
    >>> sample = rtmbench.sample()
    >>> [run.pattern for run in sample]
    ['01', '02', '03', '04']
    >>> sample["02"].latency("flink").count > 0
    True
    """
    entries = sorted(list_runs(DIRECTORY), key=lambda entry: entry.path.name)
    recorded = [Run(entry.result, entry.path) for entry in entries if entry.result is not None]
    if not recorded or len(recorded) < len(entries):
        raise RtmbenchError(
            f"The recorded sample in {DIRECTORY} is not complete. Install rtmbench again: "
            "`pip install --force-reinstall rtmbench`."
        )
    return RunList(recorded)


def _run(
    patterns: Sequence[str],
    engines: Iterable[str],
    slo: str | Iterable[str],
    results: str | os.PathLike[str],
    settings: SettingValues,
) -> list[Run]:
    from rtmbench.experiment import runner  # noqa: PLC0415 - reading results must not wait for what a run needs
    from rtmbench.live_view import LiveView  # noqa: PLC0415

    request, options = _request(patterns, engines, slo, Path(results), settings)
    run_results = runner.run(request, options, LiveView())
    return [Run(result, request.results / result.run_id) for result in run_results]


def _request(
    patterns: Sequence[str],
    engines: Iterable[str],
    slo: str | Iterable[str],
    results: Path,
    settings: SettingValues,
) -> tuple[RunRequest, Options]:
    from rtmbench.experiment.options import Options  # noqa: PLC0415 - see above
    from rtmbench.experiment.settings import RunRequest  # noqa: PLC0415

    known = [row.field for row in SETTINGS.values() if row.field not in ("engines", "results")]
    for name in settings:
        if name not in known and not (name == "job" and not patterns):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the settings are: {', '.join(known)}."
            raise ConfigurationError(f"unknown setting {name!r}; {hint}")
    names = engines.split(",") if isinstance(engines, str) else engines
    texts = [slo] if isinstance(slo, str) else slo
    request = RunRequest(
        patterns=tuple(patterns),
        engines=tuple(name.strip() for name in names if name.strip()),
        results=results,
        **settings,
    )
    return request, Options(targets=[Target.parse(text) for text in texts])


__all__ = ["RunList", "load", "run", "run_all", "run_job", "runs", "sample"]
