"""A custom job: what is run, what it is fed, and how an output is known."""

from __future__ import annotations

import hashlib
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtmbench import _core
from rtmbench.custom_jobs import payload as payloads
from rtmbench.custom_jobs.oracle import MAX_RECORDS, Oracle, oracle_of
from rtmbench.custom_jobs.payload import OWN_EVENTS, Payload
from rtmbench.errors import ConfigurationError, RunFailedError
from rtmbench.patterns import OWN, Pattern

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rtmbench.custom_jobs.oracle import Check
    from rtmbench.json_object import JsonObject

FIRST_OUTPUT_S = 120.0
LONGEST_S = 3_600.0
_MANIFEST = "META-INF/MANIFEST.MF"
_TOPIC = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_LONGEST_TOPIC = 249

REMARK = "one sample for each output record, by the time stamp that it carries; the expected output is not known"
FILTERS_REMARK = "an event without an output is not a sample (--filters)"


@dataclass(frozen=True, kw_only=True)
class CustomJob:
    """The custom job that replaces a pattern. `custom_job` creates and checks it."""

    timestamp_field: str
    """Where an output record has the time stamp of its event, names with dots between."""
    spark_job: Path | None = None
    spark_args: tuple[str, ...] = ()
    """Arguments of the PySpark file."""
    flink_jar: Path | None = None
    flink_class: str | None = None
    """The class with the `main` that makes the Flink job; None: the one that the jar's manifest names."""
    flink_args: tuple[str, ...] = ()
    """Program arguments of the Flink job, before those of rtmbench."""
    flink_args_only: bool = False
    """Whether the Flink job gets no other arguments."""
    input: str | None = None
    """The topics that the jobs expect; None: names per trial, which rtmbench passes to the jobs."""
    output: str | None = None
    payload: Payload = OWN_EVENTS
    oracle: Oracle | None = None
    first_output_s: float = FIRST_OUTPUT_S
    """How long a job may take to its first output."""
    filters: bool = False
    """Whether the job drops or merges events by design, so that an event without an output is not a sample."""

    @property
    def remark(self) -> str:
        """How the outputs of the job are measured."""
        return f"{REMARK}; {FILTERS_REMARK}" if self.filters else REMARK

    def pattern(self) -> Pattern:
        """Return the job as a pattern."""
        return Pattern(
            id=OWN,
            name="custom-job",
            title="Custom job",
            fairness="Only the authors of both jobs know whether the jobs do the same work.",
            job=self,
        )

    def file(self, engine: str) -> Path:
        """Return what `flink` or `spark` runs.

        Raises ConfigurationError where there is nothing for it.
        """
        path = self.flink_jar if engine == "flink" else self.spark_job
        if path is None:
            flag = "--flink-jar" if engine == "flink" else "--spark-job"
            raise ConfigurationError(f"{engine} is requested, but has no job: give {flag}.")
        return path

    def engines(self, requested: Sequence[str], default: Sequence[str]) -> tuple[str, ...]:
        """Return the engines to run: those requested; of the default ones, those with a job.

        Raises ConfigurationError if a requested engine has no job.
        """
        if tuple(requested) == tuple(default):
            jobs = {"flink": self.flink_jar, "spark": self.spark_job}
            return tuple(name for name in requested if jobs.get(name.partition("@")[0]) is not None)
        for name in requested:
            engine = name.strip().partition("@")[0].partition(":")[0]
            if engine in ("flink", "spark"):
                self.file(engine)
        return tuple(requested)

    def main_class(self) -> None:
        """Raise RunFailedError where the jar has no class to start."""
        assert self.flink_jar is not None  # noqa: S101 - called for a Flink job only
        jar = self.flink_jar
        try:
            with zipfile.ZipFile(jar) as archive:
                names = set(archive.namelist())
                manifest = archive.read(_MANIFEST).decode("utf-8", "replace") if _MANIFEST in names else ""
        except (OSError, zipfile.BadZipFile) as error:
            raise RunFailedError(f"{jar.name} cannot be read as a jar: {error}.") from error
        # A long value goes on in the next line, after a space.
        lines = manifest.replace("\r\n", "\n").replace("\n ", "").splitlines()
        entries = dict(line.split(": ", 1) for line in lines if ": " in line)
        class_name = self.flink_class or entries.get("program-class") or entries.get("Main-Class")
        if class_name is None:
            raise RunFailedError(
                f"{jar.name} names no main class: its manifest has no Main-Class. Give one with --flink-class."
            )
        if f"{class_name.strip().replace('.', '/')}.class" not in names:
            raise RunFailedError(
                f"{jar.name} has no class {class_name.strip()}. Give the right one with --flink-class."
            )

    def longest_load_s(self, rate: float) -> float:
        """Return how long the load may last so that the oracle can read all events; infinite without an oracle."""
        return math.inf if self.oracle is None else MAX_RECORDS / rate

    def check_load(self, events: float) -> None:
        """Raise ConfigurationError if a trial has more events than the oracle can read."""
        if self.oracle is not None and events > MAX_RECORDS:
            raise ConfigurationError(
                f"The oracle would read about {events:,.0f} input records a trial, more than {MAX_RECORDS:,}. "
                "Lower --rate, --duration or --warmup, or leave --oracle out."
            )

    def document(self) -> JsonObject:
        """Return the description for a result: names, no path of the machine."""
        return {
            "spark_job": self.spark_job.name if self.spark_job else None,
            "spark_args": list(self.spark_args),
            "flink_jar": self.flink_jar.name if self.flink_jar else None,
            "flink_class": self.flink_class,
            "flink_args": list(self.flink_args),
            "flink_args_only": self.flink_args_only,
            "timestamp_field": self.timestamp_field,
            "input": self.input,
            "output": self.output,
            "payload": self.payload.label,
            "payload_digest": self.payload.digest or None,
            "oracle": self.oracle.name if self.oracle else None,
            "filters": self.filters,
        }

    def versions(self) -> dict[str, str]:
        """Return the files that are measured, with the beginning of their SHA-256."""
        files = {"spark job": self.spark_job, "flink job": self.flink_jar}
        return {
            name: f"{path.name} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
            for name, path in files.items()
            if path is not None and path.is_file()
        }


def custom_job(
    *,
    spark_job: str | os.PathLike[str] | None = None,
    spark_args: Sequence[str] = (),
    flink_jar: str | os.PathLike[str] | None = None,
    flink_class: str | None = None,
    flink_args: Sequence[str] = (),
    flink_args_only: bool = False,
    timestamp_field: str | None = None,
    input: str | None = None,  # noqa: A002 - as on the command line
    output: str | None = None,
    template: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    events: str | Callable[[], Iterable[Any]] | None = None,
    oracle: str | Check | None = None,
    first_output_s: float = FIRST_OUTPUT_S,
    filters: bool = False,
) -> CustomJob:
    """Check the arguments, read template, events and oracle, and create the custom job.

    Raises ConfigurationError.
    """
    if spark_job is None and flink_jar is None:
        raise ConfigurationError("No job to measure: give --spark-job FILE.py, --flink-jar FILE.jar, or both.")
    _check_arguments(
        spark_job=spark_job is not None,
        spark_arguments=bool(spark_args),
        flink_jar=flink_jar is not None,
        flink_arguments=flink_class is not None or bool(flink_args) or flink_args_only,
    )
    if template is not None and events is not None:
        raise ConfigurationError("--template and --events exclude each other: both define the input records.")
    if not 1 <= first_output_s <= LONGEST_S:
        raise ConfigurationError(
            f"--first-output is {first_output_s:g}, which is out of range: give 1 to {LONGEST_S:g} seconds."
        )
    if input is not None and input == output:
        raise ConfigurationError(f"--input and --output are both {input!r}: a job would read what it writes.")
    for flag, topic in (("--input", input), ("--output", output)):
        if topic is not None and not _is_topic(topic):
            raise ConfigurationError(f"{flag} is {topic!r}, which is not a valid topic name.")
    payload = OWN_EVENTS
    if template is not None:
        payload = payloads.of_template(template)
    elif events is not None:
        payload = payloads.of_events(events)
    field = timestamp_field or payload.field
    _check_field(field)
    return CustomJob(
        spark_job=_file(spark_job, "--spark-job", ".py"),
        spark_args=tuple(spark_args),
        flink_jar=_file(flink_jar, "--flink-jar", ".jar"),
        flink_class=flink_class,
        flink_args=tuple(flink_args),
        flink_args_only=flink_args_only,
        timestamp_field=field,
        input=input,
        output=output,
        payload=payload,
        oracle=None if oracle is None else oracle_of(oracle),
        first_output_s=first_output_s,
        filters=filters,
    )


def _check_arguments(*, spark_job: bool, spark_arguments: bool, flink_jar: bool, flink_arguments: bool) -> None:
    if flink_arguments and not flink_jar:
        raise ConfigurationError("--flink-class, --flink-args and --flink-args-only go with --flink-jar.")
    if spark_arguments and not spark_job:
        raise ConfigurationError("--spark-args goes with --spark-job.")


def _file(value: str | os.PathLike[str] | None, flag: str, ending: str) -> Path | None:
    if value is None:
        return None
    path = Path(value).resolve()
    if path.suffix != ending:
        raise ConfigurationError(f"{flag} is {value}, which is not a {ending} file.")
    if not path.is_file():
        raise ConfigurationError(f"{flag} is {value}, but there is no file {path}.")
    return path


def _is_topic(name: str) -> bool:
    return 0 < len(name) <= _LONGEST_TOPIC and name not in {".", ".."} and set(name) <= _TOPIC


def _check_field(field: str) -> None:
    try:
        _core.LatencyConsumer({"bootstrap.servers": "127.0.0.1:1"}, "any", timestamp_field=field)
    except ValueError as error:
        raise ConfigurationError(f"--timestamp-field: {error}.") from error


__all__ = ["FIRST_OUTPUT_S", "OWN", "REMARK", "CustomJob", "custom_job"]
