"""The table of settings: everything that a run can be configured with, one row each.

Options of the command line, `RTMBENCH_*` variables, keys of `rtmbench.toml`, the axes of a sweep, the ranges, the
command that repeats a run, the fingerprint of a result, what a resumed run takes over, and `docs/settings.md` derive
from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict

SettingValues: TypeAlias = dict[str, Any]
"""Values of settings by their fields; the row of each setting states its type."""
Kind = Literal["number", "integer", "text", "duration", "flag", "path", "names", "repeated"]

DEFAULT_ENGINES = ("flink@1.20", "spark@4.1")
RUN = frozenset({"run"})
LOAD = frozenset({"run", "produce"})
STARTS_AN_ENGINE = frozenset({"run", "parity", "submit"})
NEEDS_DISK = frozenset({"run", "doctor"})
SIZES = frozenset({"run", "parity", "submit", "doctor"})
PLACES = frozenset({"run", "doctor"})
CLUSTERS = PLACES | {"parity", "submit"}
EXISTING_KAFKA = PLACES | {"parity", "setup", "submit", "produce", "measure", "diff", "template"}

_UNIT_SUFFIXES = ("_s", "_ms", "_mb", "_bytes")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row: a setting's names, meaning, range, and where it counts."""

    field: str
    """The name of its field in `RunSettings`, in result documents and in the Python API, with its unit."""
    kind: Kind
    help: str
    default: Any
    default_text: str
    """What decides where it is left out and `default` is None."""
    unit: str
    metavar: str
    least: float | None
    most: float | None
    choices: tuple[str, ...]
    sweepable: bool
    """Whether several values, with commas between, make a sweep."""
    commands: frozenset[str]
    """The commands for which it has a meaning; none: the Python API alone takes it."""
    configurable: bool
    """Whether it may come from the environment and `rtmbench.toml`."""
    measured: bool
    """Whether it changes what a single trial measures."""
    place: bool
    """Whether it names where things run: no part of a result, given again to a run that is resumed."""
    repeated: bool
    """Whether the command that repeats a run names it."""
    variables: tuple[str, ...]
    """Environment variables besides `RTMBENCH_*`."""

    @property
    def name(self) -> str:
        """Its key in `rtmbench.toml` and its flag without dashes, such as `checkpoint-interval`."""
        return self.parameter.replace("_", "-")

    @property
    def parameter(self) -> str:
        """The name as a Python parameter, such as `checkpoint_interval`."""
        for suffix in _UNIT_SUFFIXES:
            if self.field.endswith(suffix):
                return self.field.removesuffix(suffix)
        return self.field

    @property
    def flag(self) -> str:
        """Its option on the command line."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"RTMBENCH_{self.parameter.upper()}"

    @property
    def axis_unit(self) -> str:
        """The unit to name over the values of a sweep; empty where the name is what is counted."""
        return "" if self.unit == self.parameter else self.unit

    def problem(self, value: Any) -> str | None:
        """Return what is wrong with a value, as a sentence; None where nothing is."""
        if value is None:
            return None
        if self.choices and value not in self.choices:
            return f"{self.flag} is {value!r}; use one of: {', '.join(self.choices)}."
        if self.least is not None and self.most is not None and not self.least <= value <= self.most:
            span = f"{self.least:,} to {self.most:,} {self.unit}".rstrip()
            return f"{self.flag} is {self.text(value)}, which is out of range: give {span}."
        return None

    def text(self, value: Any) -> str:
        """Return a value as it is written on a command line."""
        if self.kind == "duration":
            return f"{value:g}s"
        return f"{value:.12g}" if self.kind in ("number", "integer") else str(value)


def _row(
    default: Any,
    kind: Kind,
    help: str,  # noqa: A002 - click's word
    *,
    default_text: str = "",
    unit: str = "",
    metavar: str = "",
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
    sweepable: bool = False,
    commands: frozenset[str] = RUN,
    configurable: bool = True,
    measured: bool = True,
    place: bool = False,
    repeated: bool = True,
    variables: tuple[str, ...] = (),
) -> Any:
    attributes = dict(locals())
    del attributes["default"]
    return field(default=default, metadata={"row": attributes})


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The settings of a run as they were requested; `None` leaves the decision to the defaults and the machine."""

    engines: tuple[str, ...] = _row(
        DEFAULT_ENGINES,
        "names",
        "Engines to run, comma-separated: ENGINE[@VERSION][:MODE].",
        commands=frozenset({"run", "parity", "doctor"}),
        measured=False,
        place=True,
        repeated=False,
    )
    engine_cmd: tuple[str, ...] = _row(
        (),
        "repeated",
        "Program to run as an engine, as NAME=COMMAND. Repeatable. See docs/engines.md.",
        metavar="NAME=COMMAND",
        configurable=False,
        place=True,
        repeated=False,
    )
    quick: bool = _row(
        False, "flag", "Run one short trial per engine, labelled as such.", configurable=False, repeated=False
    )
    rate: float | None = _row(
        None,
        "number",
        "Events per second.",
        default_text="10000, less on a small machine",
        unit="events/s",
        least=1,
        most=5_000_000,
        sweepable=True,
        commands=LOAD | NEEDS_DISK,
    )
    arrivals: str = _row(
        "poisson",
        "text",
        "Arrival process: poisson, constant, burst:SIZE, or ramp:FROM:SECONDS (up to --rate).",
        metavar="SHAPE",
        sweepable=True,
    )
    keys: int = _row(
        100,
        "integer",
        "Number of distinct keys.",
        unit="keys",
        least=1,
        most=100_000_000,
        sweepable=True,
        commands=LOAD,
    )
    zipf: float | None = _row(
        None,
        "number",
        "Exponent of the Zipf distribution of the keys.",
        default_text="uniform",
        metavar="EXPONENT",
        least=0,
        most=10,
        sweepable=True,
        commands=LOAD,
    )
    payload_bytes: int | None = _row(
        None,
        "integer",
        "Size to pad each input record to, in bytes.",
        default_text="not padded",
        unit="bytes",
        metavar="BYTES",
        # A record without padding has up to some 200 bytes; a padded one still fits Kafka's default limit with its key.
        least=256,
        most=1_000_000,
        sweepable=True,
        commands=LOAD | NEEDS_DISK,
    )
    out_of_order: str | None = _row(
        None,
        "text",
        "Share of the events of patterns 02 and 03 that arrive up to DELAY after their event time, e.g. 0.1:5s.",
        default_text="none",
        metavar="SHARE:DELAY",
    )
    late: float | None = _row(
        None,
        "number",
        "Share of the events of patterns 02 and 03 that arrive too late for any window.",
        default_text="none",
        metavar="SHARE",
    )
    linger_ms: int | None = _row(
        None,
        "integer",
        "Time in which the load generator's client collects records for one request.",
        default_text="by the highest rate",
        unit="ms",
        commands=frozenset(),
        repeated=False,
    )
    partitions: int | None = _row(
        None,
        "integer",
        "Partitions per topic.",
        default_text="16, less on a small machine",
        unit="partitions",
        least=1,
        most=1_024,
        sweepable=True,
        commands=frozenset({"run", "parity", "doctor", "produce", "setup"}),
    )
    slots: int | None = _row(
        None,
        "integer",
        "Task slots (threads) of each engine.",
        default_text="as many as each engine needs",
        unit="slots",
        least=1,
        most=10_000,
        commands=SIZES,
    )
    shuffle_partitions: int | None = _row(
        None,
        "integer",
        "Partitions of Spark's shuffles.",
        default_text="16, less on a small machine",
        unit="partitions",
        least=1,
        most=1_024,
        commands=SIZES,
    )
    profile: str | None = _row(
        None,
        "text",
        "Sizes and load: those of the published setup (spec), or of a small machine (laptop).",
        default_text="by the machine's size",
        choices=("spec", "laptop"),
        commands=SIZES,
        measured=False,
        repeated=False,
    )
    duration_s: float | None = _row(
        None,
        "duration",
        "Length of the measuring phase of a trial.",
        default_text="60s",
        unit="s",
        least=1,
        most=86_400,
        commands=NEEDS_DISK,
    )
    warmup_s: float | None = _row(
        None,
        "duration",
        "Fixed length of the load before the measuring phase.",
        default_text="see --warmup-boundaries; with --quick 20s",
        unit="s",
        least=0,
        most=86_400,
        commands=NEEDS_DISK,
    )
    warmup_boundaries: int | None = _row(
        None,
        "integer",
        "Least checkpoints or batch boundaries of the warm-up; --warmup then limits it.",
        default_text="60, for 8m at most",
        unit="checkpoints or batch boundaries",
        least=1,
        most=10_000,
        commands=NEEDS_DISK,
    )
    trials: int | None = _row(
        None,
        "integer",
        "Trials per engine.",
        default_text="3; with --quick 1, with --aa 6; with --until-verdict, at most 6 for two engines",
        unit="trials",
        least=1,
        most=1_000,
        measured=False,
    )
    seed: int = _row(
        1, "integer", "Seed for the generated events.", least=0, most=2**63 - 1, commands=LOAD, measured=False
    )
    checkpoint_interval_s: float = _row(
        5.0,
        "duration",
        "Time between Flink's checkpoints, and length of Spark's real-time batches.",
        unit="s",
        # Spark refuses a shorter real-time batch unless `realTimeMode.minBatchDuration` is lowered.
        least=5,
        most=3_600,
        sweepable=True,
        commands=STARTS_AN_ENGINE | NEEDS_DISK,
    )
    window_s: float | None = _row(
        None,
        "duration",
        "Length of the windows of patterns 02 and 03.",
        default_text="60s for 02, 5m for 03",
        unit="s",
        least=1,
        most=86_400,
        commands=STARTS_AN_ENGINE,
        repeated=False,
    )
    slide_s: float | None = _row(
        None,
        "duration",
        "Time between the starts of the sliding windows of pattern 03.",
        default_text="60s",
        unit="s",
        least=1,
        most=86_400,
        commands=STARTS_AN_ENGINE,
        repeated=False,
    )
    watermark_delay_s: float = _row(
        10.0,
        "duration",
        "How late an event may arrive and still count.",
        unit="s",
        least=0,
        most=3_600,
        commands=STARTS_AN_ENGINE,
    )
    state_backend: str = _row(
        "rocksdb",
        "text",
        "Flink's state backend for keyed patterns: rocksdb or hashmap.",
        metavar="NAME",
        choices=("rocksdb", "hashmap"),
        sweepable=True,
        commands=STARTS_AN_ENGINE,
    )
    local_files: str | None = _row(
        None,
        "text",
        "How Spark writes its checkpoint: plain, or hadoop, which starts a process for each file as PySpark from pip "
        "does.",
        default_text="plain; for a custom job and on an existing cluster hadoop",
        metavar="NAME",
        choices=("plain", "hadoop"),
        sweepable=True,
        commands=STARTS_AN_ENGINE,
    )
    buffer_wait_ms: int = _row(
        1,
        "integer",
        "Longest time a record waits in a network buffer of either engine, in ms.",
        unit="ms",
        metavar="MS",
        least=1,
        most=10_000,
        sweepable=True,
        commands=STARTS_AN_ENGINE,
    )
    memory_mb: int | None = _row(
        None,
        "integer",
        "Memory for all processes of one engine, in MiB.",
        default_text="by the machine's size",
        unit="MiB",
        metavar="MIB",
        least=1_024,
        most=1_048_576,
        commands=SIZES,
    )
    bootstrap_servers: str | None = _row(
        None,
        "text",
        "Address of an existing Kafka.",
        default_text="a local one is started",
        metavar="HOST:PORT",
        commands=EXISTING_KAFKA,
        place=True,
        repeated=False,
        variables=("KAFKA_BOOTSTRAP_SERVERS",),
    )
    kafka_properties: Path | None = _row(  # noqa: RUF009 - a path is immutable
        None,
        "path",
        "File with the client properties of the existing Kafka, for TLS and SASL, in the names of Java's client or of "
        "librdkafka. See docs/load.md.",
        default_text="none",
        metavar="FILE",
        commands=EXISTING_KAFKA,
        place=True,
        repeated=False,
    )
    replication_factor: int | None = _row(
        None,
        "integer",
        "Replicas of each partition of the topics.",
        default_text="the broker's",
        unit="replicas",
        least=1,
        most=100,
        commands=frozenset({"run", "setup"}),
    )
    kafka_port: int = _row(
        0,
        "integer",
        "Port for the local Kafka; 0: any free one.",
        least=0,
        most=65_535,
        commands=PLACES | {"up"},
        place=True,
        repeated=False,
    )
    flink_port: int = _row(
        0,
        "integer",
        "Port for Flink's web UI; 0: any free one.",
        least=0,
        most=65_535,
        commands=PLACES | {"submit"},
        place=True,
        repeated=False,
    )
    flink_url: str | None = _row(
        None,
        "text",
        "REST address of an existing Flink session cluster.",
        default_text="one is started for each trial",
        metavar="URL",
        commands=CLUSTERS,
        place=True,
        repeated=False,
    )
    flink_bootstrap_servers: str | None = _row(
        None,
        "text",
        "Kafka address as seen from the existing Flink cluster.",
        default_text="same as --bootstrap-servers",
        metavar="HOST:PORT",
        commands=CLUSTERS,
        place=True,
        repeated=False,
    )
    spark_master: str | None = _row(
        None,
        "text",
        "Address of an existing Spark standalone cluster for the executors; the driver runs on this machine.",
        default_text="Spark runs on this machine",
        metavar="URL",
        commands=CLUSTERS,
        place=True,
        repeated=False,
    )
    spark_executors: int = _row(
        2,
        "integer",
        "Executors on the existing Spark cluster; they share slots and memory.",
        unit="executors",
        least=1,
        most=1_000,
        commands=CLUSTERS,
    )
    spark_remote_conf: Path | None = _row(  # noqa: RUF009 - a path is immutable
        None,
        "path",
        "File of Spark properties for the existing Spark cluster, in the form of spark-defaults.conf.",
        default_text="none",
        metavar="FILE",
        commands=CLUSTERS,
        place=True,
        repeated=False,
    )
    checkpoint_storage: str = _row(
        "local",
        "text",
        "Where the engines keep checkpoints: local, slow:30ms or slow:30ms,p99=200ms (local, and each request takes so "
        "long), or a URI.",
        metavar="STORAGE",
        sweepable=True,
        commands=CLUSTERS,
        repeated=False,
    )
    keep_topics: bool = _row(False, "flag", "Keep the topics of the trials.", measured=False, repeated=False)
    offline: bool = _row(
        False,
        "flag",
        "Download nothing; the cache must hold what is needed.",
        commands=frozenset({"run", "parity", "submit", "doctor", "up", "claims", "engines fetch"}),
        place=True,
        repeated=False,
    )
    results: Path = _row(  # noqa: RUF009 - a path is immutable
        Path("results"),
        "path",
        "Directory that holds one directory per run.",
        commands=frozenset({"run", "parity", "submit", "doctor", "up", "report", "compare", "history", "claims"}),
        place=True,
        repeated=False,
    )


class RunArguments(TypedDict, total=False):
    """The settings of a run as arguments of the Python API; see `rtmbench run --help` and `docs/settings.md`.

    Durations are in seconds (`_s`), memory in MiB, rates in events per second.
    """

    engine_cmd: tuple[str, ...]
    quick: bool
    rate: float | None
    arrivals: str
    keys: int
    zipf: float | None
    payload_bytes: int | None
    out_of_order: str | None
    late: float | None
    linger_ms: int | None
    partitions: int | None
    slots: int | None
    shuffle_partitions: int | None
    profile: str | None
    duration_s: float | None
    warmup_s: float | None
    warmup_boundaries: int | None
    trials: int | None
    seed: int
    checkpoint_interval_s: float
    window_s: float | None
    slide_s: float | None
    watermark_delay_s: float
    state_backend: str
    local_files: str | None
    buffer_wait_ms: int
    memory_mb: int | None
    bootstrap_servers: str | None
    kafka_properties: Path | None
    replication_factor: int | None
    kafka_port: int
    flink_port: int
    flink_url: str | None
    flink_bootstrap_servers: str | None
    spark_master: str | None
    spark_executors: int
    spark_remote_conf: Path | None
    checkpoint_storage: str
    keep_topics: bool
    offline: bool


SETTINGS = {
    row.name: row
    for row in (Setting(field=each.name, default=each.default, **each.metadata["row"]) for each in fields(RunSettings))
}
"""The table, by the settings' names."""


def of_command(command: str) -> list[Setting]:
    """Return the settings that have a meaning for a command, such as `run` or `engines fetch`, in the table's order."""
    return [row for row in SETTINGS.values() if command in row.commands]


__all__ = [
    "DEFAULT_ENGINES",
    "SETTINGS",
    "Kind",
    "RunArguments",
    "RunSettings",
    "Setting",
    "SettingValues",
    "of_command",
]
