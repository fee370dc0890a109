"""The engines that can be compared, by name, version and mode."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rtmbench.engines.base import EngineSpec
from rtmbench.engines.variants import PLAIN_MODES, Variant, choose, required_slots, variants
from rtmbench.errors import ConfigurationError
from rtmbench.patterns import PATTERNS, find_pattern

if TYPE_CHECKING:
    from rtmbench.custom_jobs.model import CustomJob
    from rtmbench.engines.base import Engine
    from rtmbench.patterns import Pattern
    from rtmbench.platform.local import LocalPlatform


@dataclass(frozen=True, kw_only=True)
class Registered:
    """What can be asked of one engine: the first version is the default; modes depend on the pattern."""

    versions: tuple[str, ...]
    bundles: tuple[str, ...]


REGISTRY = {
    "flink": Registered(versions=("1.20", "2.2"), bundles=("flink", "flink-connector-kafka")),
    "spark": Registered(versions=("4.1", "4.2", "4.3"), bundles=("spark", "spark-connector-kafka")),
    "transport": Registered(versions=(), bundles=()),
    "relay": Registered(versions=(), bundles=()),
}


FLOORS = ("transport", "relay")
"""What stands in an engine's place to show the least that harness and broker can do."""
BRACKETS = ("transport",)
"""The floors that every run measures before and after each group of engines; the others run where they are named."""


def parse_engine(text: str) -> EngineSpec:
    """Read `ENGINE[@VERSION][:MODE]`, such as `flink@1.20` or `spark@4.1:microbatch`, and fill the version in.

    A mode that was not given stays empty: which one is the default depends on the pattern (`choose`).
    Raises ConfigurationError, which lists what exists, where the engine, version or mode does not.
    """
    address, colon, mode = text.strip().partition(":")
    name, at, version = address.partition("@")
    known = REGISTRY.get(name)
    if known is None:
        raise ConfigurationError(f"There is no engine {name!r} (in {text!r}). The engines are: {', '.join(_all())}.")
    version = _choose(version if at else None, known.versions, f"{name} has no version", "versions")
    if colon:
        spec = EngineSpec(engine=name, version=version, mode="")
        modes = dict.fromkeys(one.mode for pattern in PATTERNS.values() for one in variants(pattern, name, version))
        _choose(mode, tuple(filter(None, modes)), f"{spec} has no mode", "modes")
    return EngineSpec(engine=name, version=version, mode=mode)


def _all() -> list[str]:
    return [
        f"{name}@{version}" if version else name for name, one in REGISTRY.items() for version in one.versions or [""]
    ]


def _choose(wanted: str | None, known: tuple[str, ...], complaint: str, plural: str) -> str:
    if wanted is None:
        return known[0] if known else ""
    if wanted not in known:
        rest = f"Its {plural} are: {', '.join(known)}." if known else f"It has no {plural} at all."
        raise ConfigurationError(f"{complaint} {wanted!r}. {rest}")
    return wanted


def spec_name(spec: EngineSpec, pattern: Pattern) -> str:
    """Return what a specification is called at a pattern: `flink@1.20`, `spark@4.1:microbatch`.

    `parse_engine` and `choose` lead back from it to the same variant. A name without a mode always stands for the
    default, and for records that stream through every stage: a default that is less than that is spelt out.
    """
    variant, default = choose(spec, pattern), choose(replace(spec, mode=""), pattern)
    short = variant == default and variant.mode in PLAIN_MODES
    return str(replace(spec, mode="" if short else variant.mode))


def required_bundles(spec: EngineSpec) -> list[str]:
    """Return the names of the artifact bundles that an engine runs from."""
    return [f"{name}@{spec.version}" for name in REGISTRY[spec.engine].bundles]


def create_engine(
    spec: EngineSpec,
    *,
    platform: LocalPlatform,
    pattern: str,
    flink_port: int = 0,
    flink_url: str | None = None,
    flink_bootstrap_servers: str | None = None,
    job: CustomJob | None = None,
) -> Engine:
    """Make the engine of a parsed specification for a pattern such as `01`; `flink_port` 0 means any free one.

    `flink_url` is the REST API of an existing Flink cluster, which reaches Kafka by `flink_bootstrap_servers`; it takes
    patterns only. With a `job` of the user's own, that is what runs in the pattern's place.

    Raises ConfigurationError where the pattern has no such mode, or the job has nothing for this engine.
    """
    variant = choose(spec, find_pattern(pattern) if job is None else job.pattern())
    spec = replace(spec, mode=variant.mode)
    # Imported here, so that a command that only parses names does not load an HTTP client.
    if spec.engine == "flink" and flink_url:
        from rtmbench.engines.flink_existing import ExistingFlinkEngine  # noqa: PLC0415

        return ExistingFlinkEngine(
            spec,
            variant=variant,
            platform=platform,
            pattern=pattern,
            url=flink_url,
            bootstrap_servers=flink_bootstrap_servers,
        )
    if spec.engine == "flink":
        from rtmbench.engines.flink import FlinkEngine  # noqa: PLC0415

        return FlinkEngine(spec, variant=variant, platform=platform, pattern=pattern, rest_port=flink_port, job=job)
    if spec.engine == "spark":
        from rtmbench.engines.spark import SparkEngine  # noqa: PLC0415

        return SparkEngine(spec, variant=variant, platform=platform, pattern=pattern, job=job)
    from rtmbench.engines.floor import RelayEngine, TransportEngine  # noqa: PLC0415

    floor = RelayEngine(spec, platform=platform) if spec.engine == "relay" else TransportEngine(spec)
    floor.emit = variant.emit
    return floor


__all__ = [
    "BRACKETS",
    "FLOORS",
    "REGISTRY",
    "EngineSpec",
    "Registered",
    "Variant",
    "choose",
    "create_engine",
    "parse_engine",
    "required_bundles",
    "required_slots",
    "spec_name",
    "variants",
]
