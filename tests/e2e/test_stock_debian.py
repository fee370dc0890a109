"""The wheel on a Debian as it comes: no compiler, no Java, nothing of this machine's. Needs root and `mmdebstrap`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mmdebstrap") is None,
        reason="needs root and mmdebstrap (Debian: apt-get install mmdebstrap)",
    ),
]

# The oldest supported release, and the newest, with the Python of each.
RELEASES = [("bookworm", "3.11"), ("trixie", "3.13")]
TAGS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


@pytest.mark.parametrize(("release", "python"), RELEASES)
def test_it_installs_and_works_without_a_compiler(release, python, tmp_path):
    wheels = sorted((ROOT / "dist").glob("rtmbench-*.whl"))
    if not wheels:
        pytest.skip("there is no wheel in dist/: `make wheel` builds it")
    root = tmp_path / release
    build = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=python3,python3-venv", release, root]
    subprocess.run(build, check=True, timeout=400)
    assert not [name for name in ("cc", "gcc", "cargo", "java") if (root / "usr" / "bin" / name).exists()]

    # What the wheel asks for comes from the index that this machine is configured for.
    wheelhouse = root / "wheelhouse"
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            described = archive.read(name).decode()
        wanted = [line for line in re.findall(r"^Requires-Dist: (.*)$", described, re.MULTILINE) if ";" not in line]
        platforms = [option for tag in TAGS for option in ("--platform", tag)]
        fetch = [sys.executable, "-m", "pip", "download", "-q", "--only-binary", ":all:", "--python-version", python]
        subprocess.run([*fetch, *platforms, "-d", wheelhouse, *wanted], check=True, timeout=200)
        shutil.copy(wheel, wheelhouse)
    shutil.copy(ROOT / ".ci" / "smoke.py", wheelhouse)

    command = (
        "python3 -m venv /venv"
        " && /venv/bin/pip install -q --no-index --find-links /wheelhouse rtmbench"
        " && /venv/bin/rtmbench --version"
        " && /venv/bin/python -I -W error /wheelhouse/smoke.py"
    )
    clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    done = subprocess.run(
        ["chroot", root, "/bin/sh", "-c", command], env=clean, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f" works on Python {python}." in done.stdout
