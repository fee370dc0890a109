"""The engines that can be compared, by name, version and mode."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rtmbench.engines.base import PLAIN_MODES, EngineSpec, Variant
from rtmbench.engines.kind import EngineKind, Setup
from rtmbench.engines.registry import entry_points, kind
from rtmbench.errors import ConfigurationError
from rtmbench.patterns import PATTERNS, find_pattern
from rtmbench.run_settings import RunSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.custom_jobs.model import CustomJob
    from rtmbench.engines.base import Engine
    from rtmbench.patterns import Pattern
    from rtmbench.platform.base import Platform

FLOORS = ("transport", "relay")
"""What replaces an engine to show the least that harness and broker can do."""
BRACKETS = ("transport",)
"""The floors that every run measures before and after each group of engines; the others run where they are named."""


def parse_engine(text: str) -> EngineSpec:
    """Read `ENGINE[@VERSION][:MODE]`, such as `flink@1.20` or `spark@4.1:microbatch`, and fill the version in.

    A missing mode stays empty: which one is the default depends on the pattern (`choose`).
    Raises ConfigurationError, which lists what exists, where the engine, version or mode does not.
    """
    address, colon, mode = text.strip().partition(":")
    name, at, version = address.partition("@")
    known = kind(name)
    version = _choose(version if at else None, known.versions, f"{name} has no version", "versions")
    if colon:
        spec = EngineSpec(engine=name, version=version, mode="")
        modes = dict.fromkeys(
            variant.mode for pattern in PATTERNS.values() for variant in known.variants(pattern, version)
        )
        _choose(mode, tuple(filter(None, modes)), f"{spec} has no mode", "modes")
    return EngineSpec(engine=name, version=version, mode=mode)


def _choose(requested: str | None, known: tuple[str, ...], complaint: str, plural: str) -> str:
    if requested is None:
        return known[0] if known else ""
    if requested not in known:
        rest = f"Its {plural} are: {', '.join(known)}." if known else f"It has no {plural}."
        raise ConfigurationError(f"{complaint} {requested!r}. {rest}")
    return requested


def variants(pattern: Pattern, engine: str, version: str) -> tuple[Variant, ...]:
    """Return the variants that a pattern has on an engine; the first one is the default."""
    return kind(engine).variants(pattern, version)


def choose(spec: EngineSpec, pattern: Pattern) -> Variant:
    """Return the variant that a specification means for a pattern: the one of its mode, else the default.

    A variant that the engine refuses (Real-Time Mode with state before 4.3) is still one: it is run, and the refusal is
    the result. Raises ConfigurationError, which lists the pattern's modes, where the pattern has no such mode.
    """
    known = variants(pattern, spec.engine, spec.version)
    engine = f"{spec.engine}@{spec.version}" if spec.version else spec.engine
    if not known:
        raise ConfigurationError(f"{engine} has no pattern {pattern.id} ({pattern.title}).")
    if not spec.mode:
        return known[0]
    for variant in known:
        if variant.mode == spec.mode:
            return variant
    if pattern.job is not None:
        raise ConfigurationError(
            f"The mode {spec.mode!r} is requested for {engine}, but a custom job sets its mode itself. "
            f"Use {engine} without a mode."
        )
    raise ConfigurationError(
        f"{engine} has no mode {spec.mode!r} for pattern {pattern.id} ({pattern.title}). "
        f"Its modes for this pattern are: {', '.join(variant.mode for variant in known)}."
    )


def required_slots(spec: EngineSpec, variant: Variant, *, partitions: int, shuffle_partitions: int) -> tuple[int, str]:
    """Return how many slots a variant needs at least, and the arithmetic in words."""
    return kind(spec.engine).required_slots(variant, partitions=partitions, shuffle_partitions=shuffle_partitions)


def hint(spec: EngineSpec, pattern: Pattern, engines: Sequence[EngineSpec]) -> str:
    """Return a line that names a better version or mode for a pattern; empty if there is none."""
    return kind(spec.engine).hint(spec, pattern, engines)


def spec_name(spec: EngineSpec, pattern: Pattern) -> str:
    """Return what a specification is called for a pattern: `flink@1.20`, `spark@4.1:microbatch`.

    `parse_engine` and `choose` lead back from it to the same variant. A name without a mode always means the
    default, and for records that stream through every stage: a default that is less than that is spelt out.
    """
    variant, default = choose(spec, pattern), choose(replace(spec, mode=""), pattern)
    short = variant == default and variant.mode in PLAIN_MODES
    return str(replace(spec, mode="" if short else variant.mode))


def required_bundles(spec: EngineSpec) -> list[str]:
    """Return the names of the artifact bundles that an engine runs from."""
    return list(kind(spec.engine).bundles(spec.version))


def create_engine(
    spec: EngineSpec,
    *,
    platform: Platform,
    pattern: str,
    settings: RunSettings | None = None,
    job: CustomJob | None = None,
) -> Engine:
    """Make the engine of a parsed specification for a pattern such as `01`, or for a custom `job` instead.

    Raises ConfigurationError where the pattern has no such mode, or the job has nothing for this engine.
    """
    subject = find_pattern(pattern) if job is None else job.pattern()
    variant = choose(spec, subject)
    setup = Setup(pattern=subject, variant=variant, platform=platform, settings=settings or RunSettings())
    return kind(spec.engine).create(replace(spec, mode=variant.mode), setup)


__all__ = [
    "BRACKETS",
    "FLOORS",
    "EngineKind",
    "EngineSpec",
    "Setup",
    "Variant",
    "choose",
    "create_engine",
    "entry_points",
    "hint",
    "parse_engine",
    "required_bundles",
    "required_slots",
    "spec_name",
    "variants",
]
