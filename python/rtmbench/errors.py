"""The errors that rtmbench raises on purpose, each with the exit code of the command line's contract."""

from __future__ import annotations

from rtmbench._core import RtmbenchError


class RunFailedError(RtmbenchError):
    """A run failed: an engine crashed, or its output was wrong."""

    exit_code = 1


class ConfigurationError(RtmbenchError):
    """The request is invalid: an unknown name, a value out of range."""

    exit_code = 2


class PreflightError(RtmbenchError):
    """The machine cannot do the requested run: Java, a port, memory, slots, a directory, a package."""

    exit_code = 3


class ArtifactError(PreflightError):
    """A downloaded artifact is missing, unreachable or different from the lock file."""


class NoValidTrialError(RtmbenchError):
    """Some cell has no valid trial, so there is nothing to compare."""

    exit_code = 4


class NotMetError(RtmbenchError):
    """A result does not meet a threshold or verdict: a missed target, a regression."""

    exit_code = 5


__all__ = [
    "ArtifactError",
    "ConfigurationError",
    "NoValidTrialError",
    "NotMetError",
    "PreflightError",
    "RtmbenchError",
    "RunFailedError",
]
