"""Finding the runs that a report is about, and writing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rtmbench.errors import ConfigurationError, PreflightError
from rtmbench.report import markdown
from rtmbench.report.canvas import require
from rtmbench.report.sections import document
from rtmbench.results.store import DOCUMENT, list_runs, load, locate
from rtmbench.results.stored_run import StoredRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.results import Result

LIMIT_BYTES = 1_000_000
HTML = "report.html"
MARKDOWN = "report.md"
DRAWS = ("The plots of the HTML report are", ", or ask for `--format md`, which needs nothing")
"""What matplotlib is needed for, and what does without."""


def find(reference: str | None, root: Path) -> list[StoredRun]:
    """Return the runs of a reference with their directories, by pattern.

    Args:
        reference: a run (its id, directory or document), or an experiment's id for all of its runs; `None` for
            the experiment of the newest run.
        root: the directory of the runs.

    Raises:
        ConfigurationError: the run is unknown, or its document cannot be read.

    """
    if reference is None:
        entries = list_runs(root)
        if not entries:
            raise ConfigurationError(
                f"{root.absolute()} contains no run to report on. Run `rtmbench run 01 --quick` first, or name "
                "another place with `--results DIR`."
            )
        newest = entries[0]
        if newest.result is None:
            raise ConfigurationError(str(newest.problem))
        return _experiment(newest.result.experiment_id, root)
    members = _experiment(reference, root)
    if members:
        return members
    path = locate(reference, root)
    directory = path.parent if path.name == DOCUMENT else None
    return [StoredRun(load(path, root), directory)]


def to_html(runs: Sequence[StoredRun], *, vcpu_hour: float | None = None) -> str:
    """Return the HTML report, below 1 MB: heat maps, then all plots, are left out where it would be larger.

    Raises PreflightError where matplotlib is not installed.
    """
    from rtmbench.report import html  # noqa: PLC0415 - it brings jinja2

    require(*DRAWS)
    text = ""
    for drawn, heat_maps in ((True, True), (True, False), (False, False)):
        text = html.render(document(runs, plots=drawn, heat_maps=heat_maps, vcpu_hour=vcpu_hour))
        if len(text.encode()) < LIMIT_BYTES:
            break
    return text


def to_markdown(runs: Sequence[StoredRun], *, vcpu_hour: float | None = None) -> str:
    """Return the Markdown report; it needs no further package."""
    return markdown.render(document(runs, plots=False, vcpu_hour=vcpu_hour))


def write_text(path: Path, text: str) -> Path:
    """Write a report and return its path.

    Raises PreflightError where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A lone surrogate of a hostile log line has no UTF-8 form.
        path.write_bytes(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise PreflightError(
            f"The report cannot be written to {path}: {error.strerror or error}. Name another file with "
            "`--output FILE`."
        ) from error
    return path


def default_path(runs: Sequence[StoredRun], root: Path, name: str) -> Path:
    """Return the default place of a report: in its run, or next to the runs of an experiment of several."""
    if len(runs) > 1:
        return root / f"{runs[0].result.experiment_id}-{name}"
    directory = runs[0].directory
    return (directory if directory is not None else Path()) / name


def after_run(results: Sequence[Result], root: Path) -> tuple[Path, str]:
    """Write the report of runs that have just ended; return its path and a hint, empty if there is none.

    It is HTML where matplotlib is installed, else Markdown. Raises PreflightError where it cannot be written.
    """
    runs: list[StoredRun] = [StoredRun(result, root / result.run_id) for result in results]
    try:
        return write_text(default_path(runs, root, HTML), to_html(runs)), ""
    except PreflightError as error:
        try:
            require(*DRAWS)
        except PreflightError:
            path = write_text(default_path(runs, root, MARKDOWN), to_markdown(runs))
            return path, "with plots, as HTML: `pip install 'rtmbench[report]'`, then `rtmbench report`"
        raise error from None


def _experiment(identifier: str, root: Path) -> list[StoredRun]:
    runs = [
        StoredRun(entry.result, entry.path)
        for entry in list_runs(root)
        if entry.result is not None and entry.result.experiment_id == identifier
    ]
    return sorted(runs, key=lambda run: (run.result.pattern, run.result.created_at))


__all__ = ["HTML", "MARKDOWN", "after_run", "default_path", "find", "to_html", "to_markdown", "write_text"]
