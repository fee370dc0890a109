"""The engines that can be compared, by name, version and mode."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rtmbench.engines.base import EngineSpec
from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from rtmbench.engines.base import Engine
    from rtmbench.platform.local import LocalPlatform


@dataclass(frozen=True, kw_only=True)
class Registered:
    """What can be asked of one engine: the first version and the first mode are the defaults."""

    versions: tuple[str, ...]
    modes: tuple[str, ...]
    bundles: tuple[str, ...]


REGISTRY = {
    "flink": Registered(versions=("1.20",), modes=("row",), bundles=("flink", "flink-connector-kafka")),
    "spark": Registered(
        versions=("4.1", "4.3"),
        modes=("rtm", "microbatch"),
        bundles=("spark", "spark-connector-kafka"),
    ),
    "transport": Registered(versions=(), modes=(), bundles=()),
}


def parse_engine(text: str) -> EngineSpec:
    """Read `ENGINE[@VERSION][:MODE]`, such as `flink@1.20` or `spark@4.1:microbatch`, and fill the defaults in.

    Raises ConfigurationError, which lists what exists, where the engine, version or mode does not.
    """
    address, colon, mode = text.strip().partition(":")
    name, at, version = address.partition("@")
    known = REGISTRY.get(name)
    if known is None:
        raise ConfigurationError(f"There is no engine {name!r} (in {text!r}). The engines are: {', '.join(_all())}.")
    return EngineSpec(
        engine=name,
        version=_choose(version if at else None, known.versions, f"{name} has no version", "versions"),
        mode=_choose(mode if colon else None, known.modes, f"{name} has no mode", "modes"),
    )


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


def spec_name(spec: EngineSpec) -> str:
    """Return the shortest text that `parse_engine` reads as `spec`: `flink@1.20`, `spark@4.1:microbatch`."""
    default = parse_engine(str(replace(spec, mode=""))).mode
    return str(replace(spec, mode="") if spec.mode == default else spec)


def required_bundles(spec: EngineSpec) -> list[str]:
    """Return the names of the artifact bundles that an engine runs from."""
    return [f"{name}@{spec.version}" for name in REGISTRY[spec.engine].bundles]


def create_engine(spec: EngineSpec, *, platform: LocalPlatform, pattern: str, flink_port: int = 0) -> Engine:
    """Make the engine of a parsed specification for a pattern such as `01`; `flink_port` 0 means any free one."""
    # Imported here, so that a command that only parses names does not load an HTTP client.
    if spec.engine == "flink":
        from rtmbench.engines.flink import FlinkEngine  # noqa: PLC0415

        return FlinkEngine(spec, platform=platform, pattern=pattern, rest_port=flink_port)
    if spec.engine == "spark":
        from rtmbench.engines.spark import SparkEngine  # noqa: PLC0415

        return SparkEngine(spec, platform=platform, pattern=pattern)
    from rtmbench.engines.floor import TransportEngine  # noqa: PLC0415

    return TransportEngine(spec)


__all__ = ["REGISTRY", "EngineSpec", "Registered", "create_engine", "parse_engine", "required_bundles", "spec_name"]
