"""What a run does with its points besides running them: sweep, targets, A/A, the search for a rate, going on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rtmbench.results.slo import Target

AA_TRIALS = 6


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to run; each has its own section in `docs/statistics.md`."""

    axes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Settings with several values, by their names on the command line."""
    targets: Sequence[Target] = ()
    aa: bool = False
    """Each engine against itself, to measure the noise of this machine."""
    until_verdict: bool = False
    """Stop before the last trial where fewer pairs make a verdict."""
    find_rate: bool = False
    """Search the highest sustained rate of each engine."""
    resume: str | None = None
    """Id of a run or experiment to go on with."""
    retry_failed: bool = False

    def check(self, *, custom_job: bool = False) -> None:
        """Raise `ConfigurationError` for options that exclude each other, or that a custom job excludes."""
        chosen = {
            "--aa": self.aa,
            "--until-verdict": self.until_verdict,
            "--find-rate": self.find_rate,
            "--resume": self.resume is not None,
            "several values for a setting": bool(self.axes),
        }
        names = [name for name, there in chosen.items() if there]
        together = {"--aa", "several values for a setting"}, {"--until-verdict", "several values for a setting"}
        if len(names) > 1 and set(names) not in together:
            raise ConfigurationError(f"{' and '.join(names)} exclude each other.")
        if custom_job and self.find_rate:
            raise ConfigurationError(
                "--find-rate does not support custom jobs: it needs to know which outputs are missing."
            )
        if custom_job and self.resume is not None:
            raise ConfigurationError("--resume continues runs of patterns only. Start a new run of your job.")
        if self.retry_failed and self.resume is None:
            raise ConfigurationError("--retry-failed requires --resume RUN.")
