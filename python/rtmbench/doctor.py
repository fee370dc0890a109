"""Preflight: the requirements of a run on this machine, and how to meet them.

`checks` looks and never changes anything; `require` turns what failed into one error.
"""

from __future__ import annotations

import math
import os
import platform
import re
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil

from rtmbench import _core
from rtmbench.artifacts import Cache
from rtmbench.engines import choose, required_bundles, rocksdb, spec_name
from rtmbench.errors import PreflightError
from rtmbench.formatting import plural
from rtmbench.kafka import preflight
from rtmbench.platform.java import find_java
from rtmbench.platform.local import KAFKA_BUNDLE
from rtmbench.platform.machine import Machine, describe, filesystem
from rtmbench.platform.ports import LOOPBACK, is_free
from rtmbench.platform.scheduling import EQUALS, Priority, probe
from rtmbench.platform.spark_address import way_to
from rtmbench.spark.requirements import STATEFUL_PYTHON, require_stateful_python

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rtmbench.engines import EngineSpec
    from rtmbench.experiment.settings import Settings
    from rtmbench.kafka.connection import Connection
    from rtmbench.patterns import Pattern

Status = Literal["ok", "warn", "fail"]

HARNESS_MB = 512
"""Set aside for rtmbench itself: generator, consumer, the oracle's tables."""
JVM_OVERHEAD_MB = 256
"""Set aside for what the broker's JVM takes beyond its heap."""
RECORD_BYTES = 256
"""Room for one event on disk, with Kafka's own framing, unless it is padded; and for the output that it makes."""
FRAMING_BYTES = 100
"""What Kafka and the key add to a record of a known size."""
UNPACKING = 2.3
"""Room for a download: during the unpacking, the archive and its files are both on the disk."""
WEIGHT_IGNORED = (17, 0, 5)
"""The first Java 17 that does not compute its processors from the weight of its control group (JDK-8281181)."""
NEWEST_JAVA = 21
"""The newest that both Flink 1.20 and Spark 4.1 support."""
IN_MEMORY = frozenset({"tmpfs", "ramfs"})
"""File systems whose data is never on a disk."""
CLOCK_LIMIT_US = 1_000
"""A larger jump between the realtime and the monotonic clock makes a trial void."""

_MIB = 1024 * 1024
_SAMPLE_S = 0.25


@dataclass(frozen=True, kw_only=True)
class Check:
    """The result of one check."""

    name: str
    status: Status
    detail: str
    """What was found."""
    fix: str = ""
    """The way out; empty if nothing is to be done."""


@dataclass(frozen=True, kw_only=True)
class SlotNeed:
    """How many slots a cell needs at least, and why."""

    name: str
    slots: int
    arithmetic: str


@dataclass(frozen=True, kw_only=True)
class DoctorRequest:
    """The requirements of a run on the machine. Memory in MiB, times in seconds."""

    partitions: int
    slots: int | None
    """The requested number; None gives each engine as many as it needs."""
    engine_memory_mb: int
    kafka_heap_mb: int
    results: Path
    engines: Sequence[EngineSpec] = ()
    needs: Sequence[SlotNeed] = ()
    """Of every cell."""
    python_state: Sequence[str] = ()
    """The cells that keep state in Python, which needs packages in addition to Spark."""
    keyed: bool = False
    """Whether some pattern keeps state."""
    kafka: Connection | None = None
    """A Kafka that exists already; None starts one here."""
    kafka_port: int = 0
    flink_port: int = 0
    """0 takes any free port."""
    existing_flink: bool = False
    """Whether Flink runs elsewhere already; its jobs still take their connector with them."""
    spark_master: str | None = None
    """The address of an existing Spark cluster; None: Spark runs on this machine."""
    offline: bool = False
    verify: bool = False
    """Hash what is cached too. A run does that later, when it takes the bundles."""
    topics_bytes: int = 0
    """The most that the topics of the run hold at once."""

    @classmethod
    def of(cls, settings: Settings) -> DoctorRequest:
        """Return what a run with these settings asks for."""
        cells = [(pattern, spec) for pattern in settings.patterns for spec in settings.cells(pattern)]
        trials = [_trial_bytes(settings, spec, pattern) for pattern, spec in cells]
        named = {f"{spec_name(spec, pattern)} at {pattern.id}": (spec, pattern) for pattern, spec in cells}
        return cls(
            partitions=settings.partitions,
            slots=settings.slots,
            engine_memory_mb=settings.memory_mb,
            kafka_heap_mb=settings.kafka_heap_mb,
            results=settings.results,
            engines=settings.specs,
            kafka=settings.connection(),
            kafka_port=settings.kafka_port,
            flink_port=settings.flink_port,
            existing_flink=settings.flink_url is not None,
            spark_master=settings.spark_master,
            offline=settings.offline,
            needs=[
                SlotNeed(name=name, slots=need, arithmetic=arithmetic)
                for name, (spec, pattern) in named.items()
                for need, arithmetic in [settings.required_slots(spec, pattern)]
                if spec.version
            ],
            python_state=[name for name, (spec, pattern) in named.items() if choose(spec, pattern).python_state],
            keyed=any(pattern.keyed for pattern in settings.patterns),
            # A trial deletes its topics at its end, which the broker does a little later.
            topics_bytes=settings.trials * sum(trials) if settings.keep_topics else 2 * max(trials, default=0),
        )

    def runs(self, engine: str) -> bool:
        """Whether an engine of this name takes part."""
        return any(spec.engine == engine for spec in self.engines)

    def bundles(self) -> list[str]:
        """Return the artifact bundles that the run needs."""
        names = [KAFKA_BUNDLE] if self.kafka is None else []
        for spec in self.engines:
            names += required_bundles(spec)
        if self.existing_flink:
            names = [name for name in names if not name.startswith("flink@")]
        return list(dict.fromkeys(names))


def checks(request: DoctorRequest, cache: Cache, machine: Machine | None = None) -> list[Check]:
    """Check everything that a run depends on; takes about half a second.

    A check never raises: what goes wrong while looking is a failed check.
    """
    machine = describe() if machine is None else machine
    looks: list[tuple[str, Callable[[], Check]]] = [
        ("java", lambda: check_java(request)),
        ("python", check_python),
        ("packages", lambda: check_packages(request)),
        ("rocksdb", lambda: check_rocksdb(request, cache)),
        ("extension", check_extension),
        ("slots", lambda: check_slots(request)),
        ("memory", lambda: check_memory(request, machine)),
        ("artifacts", lambda: check_artifacts(request, cache)),
        ("disk", lambda: check_disk(request, cache)),
        ("work", lambda: check_work(request)),
        ("results", lambda: check_results(request.results)),
        ("kafka", lambda: check_kafka(request)),
        ("ports", lambda: check_ports(request)),
        ("clock", check_clock),
        ("cores", lambda: check_cores(machine)),
        ("priority", lambda: check_priority(machine)),
        ("load", lambda: check_load(machine)),
    ]
    if (master := request.spark_master) is not None and request.runs("spark"):
        looks.append(("spark", lambda: check_spark(master)))
    return [_look(name, look) for name, look in looks]


def require(results: Sequence[Check]) -> None:
    """Raise PreflightError with one paragraph for each failed check, if there is one."""
    failed = [check for check in results if check.status == "fail"]
    if failed:
        raise PreflightError("\n\n".join(f"{check.detail} {check.fix}".strip() for check in failed))


def _trial_bytes(settings: Settings, spec: EngineSpec, pattern: Pattern) -> int:
    """Return what a trial writes to its topics: its events, and at most a result for each event and window."""
    seconds = settings.warmup_s + settings.duration_s + settings.drain_s + settings.tail_s(spec, pattern)
    size = settings.payload_bytes if settings.job is None else settings.job.payload.record_bytes(settings.payload_bytes)
    record = RECORD_BYTES if size is None else size + FRAMING_BYTES
    windows = math.ceil(pattern.window_ms / pattern.slide_ms) if pattern.window_ms and pattern.slide_ms else 1
    return math.ceil(settings.rate * seconds * (record + windows * RECORD_BYTES))


def _ok(name: str, detail: str) -> Check:
    return Check(name=name, status="ok", detail=detail)


def _warn(name: str, detail: str, fix: str) -> Check:
    return Check(name=name, status="warn", detail=detail, fix=fix)


def _fail(name: str, detail: str, fix: str = "") -> Check:
    return Check(name=name, status="fail", detail=detail, fix=fix)


def _look(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except PreflightError as error:
        return _fail(name, str(error))
    except OSError as error:
        return _fail(name, f"The {name} check itself failed: {error}.")


def check_java(request: DoctorRequest) -> Check:
    """Check for a Java that is new enough and complete and takes no hidden options."""
    java = find_java()
    detail = f"{java.version} in {java.home}"
    if request.runs("spark") and java.lacks_module("jdk.incubator.vector"):
        return _fail(
            "java",
            f"Java {detail} lacks the module jdk.incubator.vector, which Spark needs.",
            "Point JAVA_HOME at a full JDK 17.",
        )
    if java.surprises:
        options = ", ".join(f"{name}={value}" for name, value in java.surprises)
        return _warn(
            "java",
            f"{detail}; every JVM also takes options from {options}",
            "Unset it, unless the measurement is to include these options.",
        )
    if _weighs_processors(java.version):
        return _warn(
            "java",
            f"{detail} reads the weight of its control group as a number of processors, and may use one only",
            f"Update it to {WEIGHT_IGNORED[0]}.{WEIGHT_IGNORED[1]}.{WEIGHT_IGNORED[2]} or newer.",
        )
    if java.major > NEWEST_JAVA:
        return _warn(
            "java",
            f"{detail}; Flink 1.20 and Spark 4.1 support Java 17 and 21",
            "Point JAVA_HOME at a JDK 17 if an engine does not start.",
        )
    return _ok("java", detail)


def _weighs_processors(version: str) -> bool:
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    return numbers[:1] == (18,) or numbers < WEIGHT_IGNORED


def check_python() -> Check:
    """Name the Python, which Spark's workers run on too."""
    detail = f"{platform.python_version()} at {sys.executable}"
    if not sys.executable:
        return _fail(
            "python",
            "This Python does not report its executable, which Spark's workers need.",
            "Start rtmbench with the Python of a virtual environment.",
        )
    return _ok("python", detail)


def check_extension() -> Check:
    """Distinguish a debug build of the Rust core from an optimised one, and name the features of its Kafka client."""
    if not _core.OPTIMIZED:
        return _warn(
            "extension",
            "rtmbench._core is a debug build: the figures would include its own time",
            "Build it with `maturin develop --release`, or install a wheel.",
        )
    features = ", ".join(_core.librdkafka_features())
    return _ok("extension", f"optimised build, librdkafka {_core.librdkafka_version()} with {features}")


def check_packages(request: DoctorRequest) -> Check:
    """Check that Spark's Python workers have the packages that transformWithState needs."""
    if not request.python_state:
        return _ok("packages", "none needed in addition to Spark")
    require_stateful_python()
    return _ok("packages", ", ".join(f"{name} {metadata.version(name)}" for name in STATEFUL_PYTHON))


def check_rocksdb(request: DoctorRequest, cache: Cache) -> Check:
    """Load the engines' RocksDB libraries, as their JVMs will: unpacked into the directory for temporary files."""
    if not request.keyed:
        return _ok("rocksdb", "not used: no pattern has state")
    jars = []
    for name in request.bundles():
        status = cache.status(name)
        if status.cached and name.partition("@")[0] in {"flink", "spark"}:
            jars += [jar for pattern in ("rocksdbjni-*.jar", "flink-dist-*.jar") for jar in status.path.rglob(pattern)]
    problems = [problem for jar in jars for problem in [rocksdb.problem(jar)] if problem]
    if problems:
        return _fail(
            "rocksdb",
            f"RocksDB cannot be loaded: {'; '.join(problems)}.",
            "Patterns with state need it. Is the directory for temporary files mounted noexec (set TMPDIR), or the C "
            "library not glibc?",
        )
    return _ok("rocksdb", f"loads ({', '.join(jar.name for jar in jars)})" if jars else "checked after the download")


def check_slots(request: DoctorRequest) -> Check:
    """Check that every task that must run at once has a slot."""
    if request.slots is None:
        needs = ", ".join(f"{need.name} {need.slots}" for need in request.needs)
        return _ok("slots", f"as many as each needs{f': {needs}' if needs else ''}")
    short = [need for need in request.needs if need.slots > request.slots]
    if short:
        listed = "; ".join(f"{need.name}: {need.arithmetic}" for need in short)
        most = max(need.slots for need in short)
        return _fail(
            "slots",
            f"There are {request.slots} slots, which is too few ({listed}). Slots are threads: in Real-Time Mode all "
            "tasks run at once, and a partition without a slot is never read, without any error.",
            f"Use --slots {most} or more, leave --slots out, or use fewer --partitions or --shuffle-partitions.",
        )
    return _ok("slots", f"{request.slots} slots for {request.partitions} partitions")


def check_memory(request: DoctorRequest, machine: Machine) -> Check:
    """Check that broker, one engine and the harness fit into the free memory."""
    parts = [(request.engine_memory_mb, "engine"), (HARNESS_MB, "rtmbench")]
    if request.kafka is None:
        parts.insert(0, (request.kafka_heap_mb + JVM_OVERHEAD_MB, "Kafka"))
    need = sum(size for size, _ in parts)
    arithmetic = " + ".join(f"{size:,} for {name}" for size, name in parts)
    detail = f"{arithmetic} = {need:,} MB of {machine.available_mb:,} MB available"
    if need > machine.available_mb:
        most = machine.available_mb - (need - request.engine_memory_mb)
        lower = f", or lower the memory of the engines with --memory (at most {most})" if most > 0 else ""
        return _fail("memory", f"Not enough memory: {detail}.", f"Close other programs{lower}.")
    return _ok("memory", detail)


def check_artifacts(request: DoctorRequest, cache: Cache) -> Check:
    """Check that the engines are in the cache, or may be downloaded."""
    missing = to_download(request, cache)
    if request.verify:
        # What is cached only; a damaged file is an ArtifactError, which names it and the way out.
        present = [name for name in request.bundles() if name not in missing]
        Cache(cache.root, offline=True, lock=cache.lock).ensure_many(present)
    if not missing:
        return _ok("artifacts", f"all in the cache ({cache.root})")
    listed = ", ".join(f"{name} ({size // _MIB:,} MB)" for name, size in missing.items())
    fetch = f"rtmbench engines fetch {' '.join(missing)}"
    if request.offline:
        return _fail(
            "artifacts",
            f"Not in the cache ({cache.root}), and downloads are off: {listed}.",
            f"Run `{fetch}` while online, or leave --offline out.",
        )
    return _warn(
        "artifacts",
        f"not in the cache yet: {listed}",
        f"The run downloads them first; `{fetch}` does it ahead.",
    )


def check_disk(request: DoctorRequest, cache: Cache) -> Check:
    """Check that each file system has room for all downloads and written data."""
    download = sum(to_download(request, cache).values())
    topics = request.topics_bytes if request.kafka is None else 0
    scratch = Path(tempfile.gettempdir())
    needs = [(cache.root, "engines", int(UNPACKING * download)), (scratch, "Kafka's data", topics)]
    volumes: dict[int, list[tuple[Path, str, int]]] = {}
    for path, label, size in needs:
        existing = _existing(path)
        volumes.setdefault(existing.stat().st_dev, []).append((existing, label, size))
    lines = []
    for parts in volumes.values():
        free = psutil.disk_usage(str(parts[0][0])).free
        need = sum(size for _, _, size in parts)
        arithmetic = " + ".join(f"{size // _MIB:,} for {label}" for _, label, size in parts)
        line = f"{arithmetic} of {free // _MIB:,} MB free at {parts[0][0]}"
        if need > free:
            return _fail(
                "disk",
                f"Not enough disk space: {line}.",
                ("Free some, or choose other places: RTMBENCH_CACHE for the engines, TMPDIR for Kafka's data."),
            )
        lines.append(line)
    return _ok("disk", "; ".join(lines))


def check_work(request: DoctorRequest, kind: str | None = None) -> Check:
    """Name the file system that checkpoints, and the log of a local broker, are written to.

    `kind`: the type of the file system, if the caller knows it.
    """
    scratch = Path(tempfile.gettempdir())
    kind = filesystem(scratch) if kind is None else kind
    data = "checkpoints and Kafka's log" if request.kafka is None else "checkpoints"
    if kind in IN_MEMORY:
        return _warn(
            "work",
            f"{scratch} is a {kind}: {data} are in memory, and the tails do not include the cost of a disk",
            "Set TMPDIR to a directory on a disk.",
        )
    return _ok("work", f"{scratch} for {data}: {kind or 'file system of unknown type'}")


def check_priority(machine: Machine, priority: Priority | None = None) -> Check:
    """Check that engines can run below broker and harness: make a group and read it back.

    `priority`: an earlier result of the probe.
    """
    if priority is None:
        cpu_sets = machine.cpu_sets
        priority = probe() if cpu_sets is None else probe(0, cpu_sets.engine)
    if not priority.effective:
        return _warn(
            "priority",
            f"{EQUALS}. {priority.detail}",
            "Let this user write to a control group with the cpu controller, for example in a shell of "
            "`systemd-run --user --scope -p Delegate=yes bash`; until then, an engine under load delays its own input.",
        )
    if priority.mechanism == "nice":
        return _warn(
            "priority",
            priority.detail,
            "An engine with many busy threads still has the weight of all its threads. A control group that this user "
            "may write to gives one weight to the whole engine.",
        )
    return _ok("priority", priority.detail)


def check_results(results: Path) -> Check:
    """Write to the results directory, or to its nearest existing parent, and leave nothing there."""
    place = _existing(results)
    fix = "Choose another place with --results DIR."
    if not place.is_dir():
        return _fail("results", f"Results cannot be written to {results}: {place} is not a directory.", fix)
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".rtmbench-"):
            pass
    except OSError as error:
        return _fail(
            "results",
            f"Results cannot be written to {results}: {place}: {error.strerror}.",
            fix,
        )
    return _ok("results", f"{results} can be written")


def check_kafka(request: DoctorRequest) -> Check:
    """Check that an existing Kafka can be used from this machine, with the given TLS and SASL."""
    if request.kafka is None:
        return _ok("kafka", "started for the run, on this machine")
    try:
        brokers = preflight.check(request.kafka)
    except PreflightError as error:
        return _fail(
            "kafka", str(error), "Without --bootstrap-servers and --kafka-properties, rtmbench starts a broker."
        )
    return _ok("kafka", f"{plural(len(brokers), 'broker')}: {', '.join(brokers)}")


def check_spark(master: str) -> Check:
    """Check that a master of the existing Spark cluster accepts connections."""
    return _ok("spark", f"{master} answers; executors connect to this machine at {way_to(master)}")


def check_ports(request: DoctorRequest) -> Check:
    """Check that the requested ports are free."""
    requested = [(request.flink_port, "--flink-port")]
    if request.kafka is None:
        requested.insert(0, (request.kafka_port, "--kafka-port"))
    requested = [(port, option) for port, option in requested if port]
    for index, (port, option) in enumerate(requested):
        problem = _port_problem(port)
        if any(port == other for other, _ in requested[:index]):
            problem = "is requested twice"
        if problem:
            return _fail(
                "ports",
                f"Port {port} {problem}.",
                f"Choose another one with {option}, or leave {option} out to get a free one.",
            )
    named = ", ".join(str(port) for port, _ in requested)
    return _ok("ports", f"{named} free" if named else "any free ones")


def check_clock() -> Check:
    """Check that no program sets the realtime clock while the monotonic clock runs."""
    jumps = []
    for _ in range(10):
        jumps.append(_core.clock_jump_us())
        time.sleep(_SAMPLE_S / 10)
    spread = max(jumps) - min(jumps)
    if spread > CLOCK_LIMIT_US:
        return _fail(
            "clock",
            f"The clock of this machine was set by {spread:,} µs within {_SAMPLE_S} s.",
            "Wait until its time synchronisation has settled (`timedatectl`), and try again.",
        )
    return _ok("clock", f"steady: {spread} µs in {_SAMPLE_S} s")


def check_cores(machine: Machine) -> Check:
    """Name the properties of the processor that make figures vary."""
    cores = "1 core" if machine.cores == 1 else f"{machine.cores} cores"
    notes, fixes = [], []
    governor = _text(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"))
    if governor not in {"", "performance"}:
        notes.append(f"the frequency follows the load (governor {governor})")
        fixes.append("For figures to publish: `sudo cpupower frequency-set -g performance`.")
    if re.search(r"^flags\s*:.*\bhypervisor\b", _text(Path("/proc/cpuinfo")), re.MULTILINE):
        notes.append("a virtual machine, whose neighbours may take processor time")
    if machine.cpu_sets is None:
        notes.append("engine, broker and harness share them")
    detail = f"{cores} ({machine.cpu})"
    if not notes:
        return _ok("cores", detail)
    return _warn(
        "cores",
        f"{detail}: {'; '.join(notes)}",
        " ".join(fixes) or "Compare figures from this machine only with each other.",
    )


def check_load(machine: Machine) -> Check:
    """Check that nothing else runs: not now, not in the last minute, no other JVM."""
    used = psutil.cpu_times_percent(interval=_SAMPLE_S)
    busy, stolen = 100 - used.idle, getattr(used, "steal", 0.0)
    load = os.getloadavg()[0]
    jvms = [process.pid for process in psutil.process_iter(["name"]) if process.info["name"] in {"java", "java.exe"}]
    notes = []
    if busy > 25:  # noqa: PLR2004
        notes.append(f"the processors are {busy:.0f} % busy")
    elif load > machine.cores / 2:
        notes.append(f"the load average of the last minute is {load:.1f} on {machine.cores} cores")
    if stolen > 1:
        notes.append(f"the host takes {stolen:.0f} % of the processor time away")
    if jvms:
        listed = ", ".join(str(pid) for pid in jvms[:5]) + (" …" if len(jvms) > 5 else "")  # noqa: PLR2004
        notes.append(f"other JVMs run here (pid {listed})")
    if not notes:
        return _ok("load", f"idle ({busy:.0f} % busy)")
    return _warn("load", "; ".join(notes), "Never measure while anything else runs: stop it, or wait.")


def _port_problem(port: int) -> str:
    """Return what is wrong with listening on a loopback port, empty if nothing is."""
    if not 0 < port <= 65_535:  # noqa: PLR2004
        return "does not exist: ports go from 1 to 65535"
    if is_free(port):
        return ""
    return f"is taken{_holder(port)}" if _listening(port) else "may not be opened by this user"


def _listening(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((LOOPBACK, port)) == 0


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN
            if listens and connection.pid and getattr(connection.laddr, "port", 0) == port:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return " by a process of another user" if hasattr(os, "getuid") and os.getuid() else ""


def to_download(request: DoctorRequest, cache: Cache) -> dict[str, int]:
    """Return the bytes to download for each bundle of a run that is not in the cache."""
    statuses = [cache.status(name) for name in request.bundles()]
    return {status.name: status.download_size for status in statuses if not status.cached}


def _existing(path: Path) -> Path:
    """Return the path, or the nearest directory above it that exists."""
    path = path.expanduser().absolute()
    return next(place for place in (path, *path.parents) if place.exists() or place.is_symlink())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
