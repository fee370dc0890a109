"""Bad input: one paragraph on standard error, the contract's exit code, and no process left."""

from __future__ import annotations

import os
import shutil
import socket
from typing import TYPE_CHECKING

import pytest
from commandline import await_nothing_alive, running

from rtmbench.artifacts import Cache

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def refused(*arguments, code, cwd, says, env=None):
    with running(*arguments, cwd=cwd, env=env) as run:
        assert run.wait(60) == code, run.stderr
        await_nothing_alive(run, 2)
    assert run.stdout == ""
    assert "Traceback" not in run.stderr
    for text in says:
        assert text in run.stderr
    return run.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run"], 2, ["PATTERN", "`01`", "--resume"]),
        (["run", "99"], 2, ["'99'", "01"]),
        (["run", "01", "--engines", "beam@2"], 2, ["beam", "flink@1.20", "spark@4.1"]),
        (["run", "01", "--engines", "flink@9.9"], 2, ["9.9", "1.20"]),
        (["run", "01", "--engines", "spark@4.1:warp"], 2, ["warp", "rtm"]),
        (["run", "01", "--engines", ","], 2, ["--engines"]),
        (["run", "01", "--rate", "0"], 2, ["--rate", "0"]),
        (["run", "01", "--rate", "fast"], 2, ["--rate"]),
        (["run", "01", "--duration", "soon"], 2, ["soon"]),
        (["run", "01", "--checkpoint-interval", "1s"], 2, ["--checkpoint-interval"]),
        (["run", "01", "--partitions", "8", "--slots", "4"], 3, ["8", "4", "--slots 8"]),
        (["run", "01", "--results", "/proc/none"], 3, ["/proc", "--results"]),
        (["run", "01", "--memory", "900000"], 3, ["memory", "--memory"]),
        (["run", "01", "--bootstrap-servers", "127.0.0.1:1"], 3, ["127.0.0.1:1"]),
        (["fly"], 2, ["fly"]),
    ],
)
def test_refused(tmp_path, arguments, code, says):
    stderr = refused(*arguments, code=code, cwd=tmp_path, says=says)
    assert len(stderr.strip().splitlines()) <= 12


def test_a_port_that_is_taken(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused("run", "01", "--kafka-port", port, code=3, cwd=tmp_path, says=[port, "--kafka-port"])


def path_without_java(directory: Path) -> str:
    """A PATH on which everything but Java can be found."""
    for name in ("sh", "env", "uname"):
        (directory / name).symlink_to(shutil.which(name))
    return str(directory)


def test_no_java(tmp_path):
    (tmp_path / "bin").mkdir()
    env = {"PATH": path_without_java(tmp_path / "bin"), "JAVA_HOME": ""}
    refused("run", "01", code=3, cwd=tmp_path, says=["Java", "17"], env=env)


def test_java_8(tmp_path):
    java = tmp_path / "jdk8" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n")
    java.chmod(0o755)
    refused("run", "01", code=3, cwd=tmp_path, says=["1.8.0_402", "17"], env={"JAVA_HOME": str(tmp_path / "jdk8")})


def test_a_corrupted_jar_in_the_cache(tmp_path):
    bundle = Cache().ensure("kafka@4.1")
    copy = tmp_path / "cache"
    relative = bundle.root.relative_to(Cache().root)
    shutil.copytree(bundle.root, copy / relative)
    jar = max((copy / relative).rglob("kafka_2.13-*.jar"))
    data = bytearray(jar.read_bytes())
    data[len(data) // 2] ^= 1
    stat = jar.stat()
    jar.write_bytes(data)
    os.utime(jar, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    stderr = refused(
        *("run", "01", "--engines", "transport", "--offline"),
        code=3,
        cwd=tmp_path,
        says=[jar.name, "rtmbench engines"],
        env={"RTMBENCH_CACHE": str(copy)},
    )
    assert "Traceback" not in stderr


def test_unknown_keys(tmp_path):
    (tmp_path / "rtmbench.toml").write_text("rte = 5\n")
    refused("run", "01", code=2, cwd=tmp_path, says=["rtmbench.toml", "rte", "rate"])
    (tmp_path / "rtmbench.toml").unlink()
    refused("run", "01", code=2, cwd=tmp_path, says=["RTMBENCH_RTE"], env={"RTMBENCH_RTE": "5"})


def test_the_file_is_read_and_a_flag_wins(tmp_path):
    (tmp_path / "rtmbench.toml").write_text("rate = 0\n")
    refused("run", "01", code=2, cwd=tmp_path, says=["--rate is 0"])
    refused("run", "01", "--rate", "-1", code=2, cwd=tmp_path, says=["--rate is -1"])
    refused("run", "01", code=2, cwd=tmp_path, says=["--rate is -2"], env={"RTMBENCH_RATE": "-2"})
