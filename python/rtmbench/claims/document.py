"""A run of claims as a document: `claims.json` in its own directory, with a manifest."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rtmbench.claims.model import Outcome
from rtmbench.claims.registry import CLAIMS
from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtmbench.json_object import JsonObject
    from rtmbench.platform.machine import Machine

NAME = "claims.json"
SCHEMA = "rtmbench.claims/1"


@dataclass(kw_only=True)
class ClaimsRun:
    """What one run, or several that were merged, observed."""

    run_id: str
    created_at: str
    host: JsonObject
    versions: dict[str, str]
    """Engine and version, such as `spark@4.1` → what ran, such as `4.1.4`."""
    complete: bool = False
    outcomes: list[Outcome] = field(default_factory=list)

    @classmethod
    def new(cls, run_id: str, machine: Machine) -> ClaimsRun:
        """Begin a run, now."""
        host = asdict(machine)
        del host["available_mb"], host["physical_cores"]
        now = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
        return cls(run_id=run_id, created_at=now, host=host, versions={})

    def add(self, outcome: Outcome) -> None:
        """Note an outcome."""
        self.versions[f"{outcome.engine}@{outcome.version}"] = outcome.build
        self.outcomes.append(outcome)

    def to_json(self) -> str:
        """Return the document."""
        document = {
            "schema": SCHEMA,
            "run_id": self.run_id,
            "created_at": self.created_at,
            "complete": self.complete,
            "host": self.host,
            "versions": dict(sorted(self.versions.items())),
            "outcomes": [outcome.to_dict() for outcome in self.outcomes],
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def load(cls, path: Path) -> ClaimsRun:
        """Read a run from its directory or its file. Raises ConfigurationError where there is none."""
        file = path / NAME if path.is_dir() else path
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            if document.pop("schema") != SCHEMA:
                raise ConfigurationError(f"{file} is not a run of claims of this version ({SCHEMA}).")
            outcomes = [Outcome.read(entry) for entry in document.pop("outcomes")]
            return cls(**document, outcomes=outcomes)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"The claims in {file} cannot be read: {error}.") from error

    @classmethod
    def merged(cls, runs: Iterable[ClaimsRun]) -> ClaimsRun:
        """Put runs together; of a claim at a version that several have, the newest counts.

        What was observed is compared with what is expected today. A claim that no longer exists is left out, and so is
        an outcome without an observation.

        Raises ConfigurationError where they come from different machines.
        """
        ordered = sorted(runs, key=lambda run: run.created_at)
        if len({json.dumps(run.host, sort_keys=True) for run in ordered}) != 1:
            raise ConfigurationError("The runs come from different machines; give those of one machine.")
        newest = ordered[-1]
        outcomes: dict[tuple[str, str, str], Outcome] = {}
        versions: dict[str, str] = {}
        for run in ordered:
            versions |= run.versions
            outcomes |= {
                (outcome.engine, outcome.version, outcome.claim): outcome
                for outcome in run.outcomes
                if outcome.observation
            }
        return cls(
            run_id=newest.run_id,
            created_at=newest.created_at,
            host=newest.host,
            versions=versions,
            complete=all(run.complete for run in ordered),
            outcomes=[
                outcomes[key].against(CLAIMS[key[2]])
                for key in sorted(outcomes)
                if key[2] in CLAIMS and key[1] in CLAIMS[key[2]].expected
            ],
        )


def latest(root: Path) -> Path:
    """Return the directory of the newest run of claims below `root`. Raises ConfigurationError without one."""
    files = sorted(Path(root).glob(f"*/{NAME}"))
    if not files:
        raise ConfigurationError(f"There is no run of claims in {root}. Run `rtmbench claims` first.")
    return files[-1].parent


__all__ = ["NAME", "SCHEMA", "ClaimsRun", "latest"]
