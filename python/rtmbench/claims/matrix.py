"""The support matrix and the findings of a run of claims, as Markdown and for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtmbench.claims.model import BATCH_BOUND, FAILS, MICRO_BATCH, REAL_TIME, REFUSED
from rtmbench.claims.registry import CLAIMS
from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from rtmbench.claims.document import ClaimsRun
    from rtmbench.claims.model import Outcome

BEGIN = "<!-- written by `rtmbench claims --write`: do not edit below -->"
END = "<!-- do not edit above -->"
_WORDS = {
    REAL_TIME: "works in real time",
    BATCH_BOUND: "works batch-bound",
    MICRO_BATCH: "works",
    REFUSED: "refused",
    FAILS: "fails",
}


def cell(outcome: Outcome | None) -> str:
    """Return in a few words what was observed: how it runs and its latency class, or the engine's code."""
    if outcome is None:
        return "–"
    observation = outcome.observation
    if observation is None:
        return outcome.status
    word = _WORDS.get(observation.verdict, observation.verdict)
    if observation.code:
        return f"{word} `{observation.code}`"
    if observation.latency is not None and observation.verdict in {REAL_TIME, BATCH_BOUND, MICRO_BATCH}:
        return f"{word}, {observation.latency.magnitude}"
    return word


def columns(run: ClaimsRun) -> list[tuple[str, str]]:
    """Return engines and versions that the run has, Flink first."""
    versions = sorted({(outcome.engine, outcome.version) for outcome in run.outcomes if outcome.engine != "kafka"})
    return sorted(versions, key=lambda column: (column[0] != "flink", column))


def features(run: ClaimsRun) -> list[tuple[str, list[Outcome | None]]]:
    """Return the rows of the support matrix: a feature, and what was observed at each of `columns`."""
    rows: dict[str, dict[tuple[str, str], Outcome]] = {}
    order = [claim.feature for claim in CLAIMS.values() if claim.feature]
    for outcome in run.outcomes:
        claim = CLAIMS.get(outcome.claim)
        if claim is not None and claim.feature:
            rows.setdefault(claim.feature, {})[outcome.engine, outcome.version] = outcome
    return [
        (name, [rows[name].get(column) for column in columns(run)]) for name in dict.fromkeys(order) if name in rows
    ]


def markdown(run: ClaimsRun) -> str:
    """Return the part of a document that is written from a run: the matrix, then every claim with its evidence."""
    heads = [f"{engine.capitalize()} {version}" for engine, version in columns(run)]
    builds = ", ".join(f"{name} ran {build}" for name, build in sorted(run.versions.items()))
    host = run.host
    lines = [
        f"Observed on {run.created_at[:10]}: {builds}; {host['cpu']}, {host['cores']} cores, {host['os']}.",
        "",
        "### Support matrix",
        "",
        "| feature | " + " | ".join(heads) + " |",
        "| --- |" + " --- |" * len(heads),
    ]
    lines += [f"| {name} | " + " | ".join(cell(outcome) for outcome in row) + " |" for name, row in features(run)]
    lines += ["", "### Claims and evidence", ""]
    for claim in CLAIMS.values():
        outcomes = {outcome.version: outcome for outcome in run.outcomes if outcome.claim == claim.id}
        lines += [f"**`{claim.id}`** {claim.statement}  ", f"*{claim.method}*", ""]
        for version in claim.versions:
            evidence = _evidence(outcomes[version]) if version in outcomes else "not observed yet"
            lines.append(f"- {claim.engine}@{version}: {evidence}")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _evidence(outcome: Outcome) -> str:
    observation = outcome.observation
    if observation is None:
        return f"{outcome.status}: {outcome.problem}"
    text = f"{observation.verdict} `{observation.code}`" if observation.code else observation.verdict
    parts = [text]
    latency = observation.latency
    if latency is not None:
        parts.append(f"median {_ms(latency.p50)}, p99 {_ms(latency.p99)} of {latency.count:,} events")
    # The engine's message is long and full of class names; its code is enough.
    if observation.detail and not observation.code:
        parts.append(observation.detail)
    if outcome.status == "broken":
        parts.append(f"**expected {outcome.expected}**")
    return "; ".join(parts)


def _ms(us: int) -> str:
    return f"{us / 1000:.1f} ms" if us < 100_000 else f"{us / 1000:,.0f} ms"  # noqa: PLR2004 - three digits


def write(run: ClaimsRun, path: Path) -> None:
    """Replace the part of a document between the markers. Raises ConfigurationError where it has none."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ConfigurationError(f"{path} has no place for the claims: it needs the lines {BEGIN!r} and {END!r}.")
    path.write_text(f"{before}{BEGIN}\n\n{markdown(run)}\n{END}{after}", encoding="utf-8")


__all__ = ["BEGIN", "END", "cell", "columns", "features", "markdown", "write"]
