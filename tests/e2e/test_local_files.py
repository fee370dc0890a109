"""The jar with which Spark writes local files without a process for each, against Hadoop's classes in PySpark."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rtmbench.artifacts import Cache
from rtmbench.engines.spark.engine import PLAIN_LOCAL_FILES
from rtmbench.patterns import pipelines
from rtmbench.platform.java import find_java

pytestmark = pytest.mark.e2e

CHECK = Path(__file__).parent / "data" / "LocalFiles.java"


def run_without_programs(directory, *settings):
    """Write files in a process that finds no program to start, such as chmod or readlink."""
    java = find_java().executable
    jars = Cache().ensure("spark@4.1").root / "pyspark" / "jars"
    path = f"{pipelines.local_files_jar()}:{jars}/*"
    return subprocess.run(
        [java, "-cp", path, CHECK, str(directory), *settings],
        env={"PATH": str(directory / "nowhere")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_plain_local_files_need_no_process(tmp_path):
    settings = [f"{name.removeprefix('spark.hadoop.')}={value}" for name, value in PLAIN_LOCAL_FILES.items()]
    done = run_without_programs(tmp_path, *settings)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["2 5", "second"]
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [".1.crc", ".2.crc", "1", "2"]
    assert (tmp_path / "state" / "1").stat().st_mode & 0o777 == 0o644


def test_hadoops_own_need_one(tmp_path):
    done = run_without_programs(tmp_path)
    assert done.returncode != 0
    assert "chmod" in done.stderr
