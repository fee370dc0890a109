"""Several runs together: listed, found by pattern, compared and put into one table."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from rtmbench.api.run_result import Comparison, Run, trials_table
from rtmbench.errors import ConfigurationError
from rtmbench.formatting import clean
from rtmbench.results import across
from rtmbench.results.noise import NoiseBands

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rtmbench import _core


class RunList(list[Run]):
    """A list of runs. A text in brackets finds one: by its pattern the first of the list, or by its id.

    >>> import rtmbench
    >>> runs = rtmbench.runs("tests/unit/data")
    >>> runs["01"] is runs[0]
    True
    """

    def __init__(self, runs: Iterable[Run], problems: dict[Path, str] | None = None) -> None:
        super().__init__(runs)
        self.problems = problems or {}
        """The directories whose document cannot be read, and why."""

    @overload
    def __getitem__(self, which: SupportsIndex) -> Run: ...
    @overload
    def __getitem__(self, which: slice) -> list[Run]: ...
    @overload
    def __getitem__(self, which: str) -> Run: ...
    def __getitem__(self, which: SupportsIndex | slice | str) -> Run | list[Run]:
        """Return a run by its place, its pattern or its id.

        Raises ConfigurationError where no run of the list has that pattern or id.
        """
        if not isinstance(which, str):
            return super().__getitem__(which)
        for run in self:
            if which in (run.pattern, run.run_id):
                return run
        patterns = ", ".join(sorted({clean(run.pattern, 40) for run in self})) or "none"
        raise ConfigurationError(
            f"Unknown run {clean(which, 128)!r}: none of these {len(self)} runs has it. Their patterns are: {patterns}."
        )

    def compare(self, baseline: str, other: str) -> Comparison:
        """Compare two engines in each run that has both, judged together: ratios are `other` divided by `baseline`.

        Raises ConfigurationError where no run has both.

        >>> import rtmbench
        >>> rtmbench.runs("tests/unit/data").compare("flink@1.20", "spark@4.1").verdict
        'no verdict'
        """
        having: list[Run] = []
        without: list[Run] = []
        for run in self:
            (having if run.has(baseline) and run.has(other) else without).append(run)
        if not having:
            raise ConfigurationError(
                f"None of these {len(self)} runs has both {clean(baseline, 80)!r} and {clean(other, 80)!r}."
            )
        report = across.compare_cells([run.result for run in having], baseline, other, self._bands(having))
        left = [f"{run.run_id} is left out: it does not have both engines" for run in without]
        return Comparison(across.Report(entries=report.entries, warnings=[*report.warnings, *left]))

    def table(self) -> _core.Table:
        """Return `Run.table()` of all runs in one table, with `run_id` and `pattern` in each row.

        Raises ConfigurationError where no run has a trial.

        >>> import rtmbench
        >>> runs = rtmbench.runs("tests/unit/data")
        >>> runs.table().num_rows == runs[0].table().num_rows
        True
        """
        return trials_table(self, f"None of these {len(self)} runs has a trial.")

    def __repr__(self) -> str:
        lines = [" · ".join(row) for row in self._rows()]
        lines += [f"{clean(path.name, 128)}: {clean(problem)}" for path, problem in self.problems.items()]
        return "\n".join(lines) or "no runs"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in self._rows())
        bad = "".join(
            f"<li>{escape(clean(path.name, 128))}: {escape(clean(problem))}</li>"
            for path, problem in self.problems.items()
        )
        head = "<tr><th>run</th><th>pattern</th><th>engines</th><th>state</th></tr>"
        return f"<table>{head}{rows}</table>" + (f"<ul>{bad}</ul>" if bad else "")

    def _rows(self) -> list[tuple[str, str, str, str]]:
        return [
            (
                clean(run.run_id, 128),
                clean(run.pattern, 40),
                ", ".join(clean(name, 40) for name in run.engines),
                "complete" if run.complete else "incomplete",
            )
            for run in self
        ]

    @staticmethod
    def _bands(runs: Iterable[Run]) -> NoiseBands:
        roots: dict[Any, None] = dict.fromkeys(run.directory.parent for run in runs if run.directory is not None)
        return NoiseBands(*roots)


__all__ = ["RunList"]
