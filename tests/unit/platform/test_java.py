from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from rtmbench.errors import PreflightError
from rtmbench.platform.java import find_java

if TYPE_CHECKING:
    from pathlib import Path

JAVA_8 = 'openjdk version "1.8.0_402"\nOpenJDK Runtime Environment (build 1.8.0_402-b06)'
JAVA_17 = 'openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment'


def fake_java(home: Path, answer: str, *, code: int = 0) -> Path:
    """A real executable in the place of bin/java, which answers as a JVM does, on stderr."""
    executable = home / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"#!/bin/sh\n/bin/cat >&2 <<'END'\n{answer}\nEND\nexit {code}\n")
    executable.chmod(0o755)
    return executable


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(PreflightError) as caught:
        find_java(environ)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 3
    return message


@pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java here")
def test_the_java_on_path_knows_its_home() -> None:
    java = find_java({"PATH": os.environ["PATH"]})
    assert java.major >= 17
    assert (java.home / "bin" / "java").is_file()
    assert java.surprises == ()


def test_java_home_wins_over_path(tmp_path: Path) -> None:
    named = fake_java(tmp_path / "named", JAVA_17)
    other = fake_java(tmp_path / "other", JAVA_17.replace("17.0.15", "21.0.2"))
    java = find_java({"JAVA_HOME": str(tmp_path / "named"), "PATH": str(other.parent)})
    assert (java.executable, java.version, java.major) == (named, "17.0.15", 17)
    java = find_java({"JAVA_HOME": "", "PATH": str(other.parent)})
    assert (java.home, java.major) == (tmp_path / "other", 21)


def test_a_broken_java_home_is_never_replaced_by_path(tmp_path: Path) -> None:
    path = str(fake_java(tmp_path / "good", JAVA_17).parent)
    gone = tmp_path / "gone"
    message = refusal({"JAVA_HOME": str(gone), "PATH": path})
    assert f"JAVA_HOME is set to {gone}, but that directory does not exist." in message
    assert "unset it" in message

    (tmp_path / "empty").mkdir()
    message = refusal({"JAVA_HOME": str(tmp_path / "empty"), "PATH": path})
    assert "it has no bin/java" in message

    (tmp_path / "file").touch()
    message = refusal({"JAVA_HOME": str(tmp_path / "file"), "PATH": path})
    assert "that is not a directory" in message

    locked = fake_java(tmp_path / "locked", JAVA_17)
    locked.chmod(0o644)
    assert "may not be executed" in refusal({"JAVA_HOME": str(tmp_path / "locked"), "PATH": path})


def test_java_8_is_refused_by_name(tmp_path: Path) -> None:
    fake_java(tmp_path, JAVA_8)
    message = refusal({"JAVA_HOME": str(tmp_path)})
    assert "is Java 8 (1.8.0_402)" in message
    assert "need Java 17 or newer" in message
    on_path = refusal({"PATH": str(tmp_path / "bin")})
    assert str(tmp_path / "bin" / "java") in on_path
    assert "apt-get install openjdk-17" in on_path
    assert "brew install openjdk@17" in on_path


def test_no_java_at_all(tmp_path: Path) -> None:
    message = refusal({"PATH": str(tmp_path)})
    assert message.startswith("No Java: JAVA_HOME is not set and PATH has no java.")
    assert "apt-get install openjdk-17" in message
    refusal({"PATH": ""})


def test_a_java_that_does_not_start_says_why(tmp_path: Path) -> None:
    fake_java(tmp_path, "Unrecognized option: -Xfoo", code=1)
    message = refusal({"JAVA_HOME": str(tmp_path), "JAVA_TOOL_OPTIONS": "-Xfoo"})
    assert "ended with code 1" in message
    assert "Unrecognized option: -Xfoo" in message
    assert "JAVA_TOOL_OPTIONS is set to `-Xfoo`" in message


def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    executable = fake_java(tmp_path, JAVA_17)
    executable.write_bytes(b"\x7fELF not really")
    assert "cannot be run" in refusal({"JAVA_HOME": str(tmp_path)})


@pytest.mark.parametrize(("version", "major"), [("17", 17), ("21-ea", 21), ("25.0.1+8-LTS", 25), ("17.0.15", 17)])
def test_major_versions(tmp_path: Path, version: str, major: int) -> None:
    fake_java(tmp_path, f'java version "{version}" 2025-01-01')
    assert find_java({"JAVA_HOME": str(tmp_path)}).major == major


def test_hidden_options_are_told(tmp_path: Path) -> None:
    fake_java(tmp_path, f"Picked up JAVA_TOOL_OPTIONS: -Xmx1g\n{JAVA_17}")
    java = find_java({"JAVA_HOME": str(tmp_path), "JAVA_TOOL_OPTIONS": "-Xmx1g"})
    assert java.surprises == (("JAVA_TOOL_OPTIONS", "-Xmx1g"),)
    assert java.version == "17.0.15"


def test_a_java_without_a_module_says_so(tmp_path: Path) -> None:
    fake_java(tmp_path, JAVA_17)
    java = find_java({"JAVA_HOME": str(tmp_path)})
    assert not java.lacks_module("jdk.incubator.vector")
    (tmp_path / "release").write_text('JAVA_VERSION="17.0.15"\nMODULES="java.base java.sql"\n')
    assert java.lacks_module("jdk.incubator.vector")
    assert not java.lacks_module("java.sql")


def test_finding_java_needs_no_variable_of_ours(monkeypatch, tmp_path: Path) -> None:
    fake_java(tmp_path, JAVA_17)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert find_java().home == tmp_path
