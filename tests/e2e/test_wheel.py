"""The wheel that `make wheel` built: what is in it, what it links, what it tells of its builder, how it installs."""

from __future__ import annotations

import io
import json
import re
import statistics
import subprocess
import sys
import venv
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest

from rtmbench import _core
from rtmbench.patterns import PATTERNS

ROOT = Path(__file__).parents[2]
EXTENSION = "rtmbench/_core.abi3.so"
SYSTEM = {"libc.so.6", "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "librt.so.1"}
LARGEST_MB = 12
IMPORT_S = 0.2
# Where people and builders keep their files, and where cargo keeps what it downloads.
BUILDERS = rb"/(?:root|home|Users|work|github|runner)/|/tmp/|\.cargo|\.rustup|registry/src/[^/]*crates"

linux = pytest.mark.skipif(sys.platform != "linux", reason="manylinux is Linux's")


@pytest.fixture(scope="module")
def wheel():
    built = sorted((ROOT / "dist").glob("rtmbench-*.whl"))
    if not built:
        pytest.skip("there is no wheel in dist/: `make wheel` builds it")
    assert len(built) == 1, built
    return built[0]


@pytest.fixture(scope="module")
def content(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def described(content):
    (name,) = (name for name in content if name.endswith(".dist-info/METADATA"))
    return BytesParser().parsebytes(content[name])


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A Python of its own with the wheel and what it asks for, outside the checkout."""
    place = tmp_path_factory.mktemp("installed")
    venv.create(place / "venv", with_pip=True)
    python = place / "venv" / "bin" / "python"
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    subprocess.run([*command, wheel], check=True, timeout=300)
    return python, place


def test_it_has_everything_that_a_run_needs(content):
    names = set(content)
    for pattern in PATTERNS.values():
        directory = f"rtmbench/_pipelines/{pattern.directory}"
        assert f"{directory}/flink/{pattern.name}.jar" in names
        (spark,) = (name for name in names if name.startswith(f"{directory}/spark/") and name.endswith(".py"))
        assert b"def build(" in content[spark]
        if pattern.spark_jar is not None:
            assert f"{directory}/spark/{pattern.spark_jar}" in names
    templates = [f"report/templates/{name}" for name in ("blocks.html.jinja", "page.html.jinja", "style.css")]
    for name in ("py.typed", "_core.pyi", "artifacts/lock.json", "report/explanations.toml", *templates):
        assert content[f"rtmbench/{name}"] == (ROOT / "python" / "rtmbench" / name).read_bytes()
    assert "rtmbench/_pipelines/claims/flink/claims.jar" in names
    assert any(name.startswith("rtmbench/results/schema/") for name in names)
    (licence,) = (name for name in names if name.endswith("/licenses/LICENSE"))
    assert content[licence] == (ROOT / "LICENSE").read_bytes()
    (materials,) = (json.loads(data) for name, data in content.items() if "/sboms/" in name)
    assert {"openssl-src", "rdkafka-sys", "zstd-sys"} <= {one["name"] for one in materials["components"]}


def test_it_has_nothing_else(content):
    assert {name for name in content if name.endswith(".so")} == {EXTENSION}
    top = {name.partition("/")[0] for name in content}
    assert top == {"rtmbench", f"rtmbench-{_core.__version__}.dist-info"}
    assert not [name for name in content if re.search(r"__pycache__|\.pyc$|-fat\.jar$|/tests?/|\.class$", name)]
    connectors = [name for name in content if name.endswith(".jar") and len(content[name]) > 200_000]
    assert not connectors, "the jobs' jars are thin: connectors come from the cache"


def test_it_is_small(wheel):
    assert wheel.stat().st_size < LARGEST_MB * 1_000_000


def test_it_asks_for_little(described):
    wanted = {
        re.split(r"[\s<>=!;\[]", line)[0] for line in described.get_all("Requires-Dist") if "extra ==" not in line
    }
    assert wanted == {
        "click",
        "filelock",
        "jinja2",
        "msgspec",
        "numpy",
        "platformdirs",
        "prometheus-client",
        "psutil",
        "requests",
        "rich",
        "tomli",
    }
    assert {"report", "spark"} <= set(described.get_all("Provides-Extra"))
    assert described["Requires-Python"] == ">=3.10"


def test_it_does_not_say_where_it_was_built(content):
    """Panics, OpenSSL's own directories and the jars' manifests are where such paths would stand."""
    own = re.compile(b"|".join([BUILDERS, *(re.escape(str(path).encode()) for path in (ROOT, Path.home()))]))
    found = {
        (name, data[max(0, match.start() - 20) : match.end() + 60])
        for name, data in _files(content)
        # A source may speak of such a place where that is what it is about; maturin's bill of materials calls the
        # crate by its directory.
        if not name.endswith((".py", "/sboms/rtmbench.cyclonedx.json"))
        for match in own.finditer(data)
    }
    assert found == set()


def _files(content):
    """Every file of the wheel, and every file in its jars."""
    for name, data in content.items():
        yield name, data
        if name.endswith(".jar"):
            with zipfile.ZipFile(io.BytesIO(data)) as jar:
                yield from ((f"{name}!{inner}", jar.read(inner)) for inner in jar.namelist())


@linux
def test_it_links_the_c_library_and_nothing_more(content):
    elffile = pytest.importorskip("elftools.elf.elffile")
    dynamic = elffile.ELFFile(io.BytesIO(content[EXTENSION])).get_section_by_name(".dynamic")
    needed = {tag.needed for tag in dynamic.iter_tags() if tag.entry.d_tag == "DT_NEEDED"}
    assert {name for name in needed if not name.startswith("ld-linux")} <= SYSTEM
    assert not [tag for tag in dynamic.iter_tags() if tag.entry.d_tag in {"DT_RPATH", "DT_RUNPATH"}]


@linux
def test_its_tag_is_what_auditwheel_finds(wheel):
    pytest.importorskip("auditwheel")
    shown = subprocess.run(
        [sys.executable, "-m", "auditwheel", "show", wheel], capture_output=True, text=True, check=True, timeout=100
    ).stdout
    text = " ".join(shown.split())
    tags = set(re.findall(r'"(manylinux_\d+_\d+_\w+)"', text))
    mine = wheel.stem.split("-")[-1].split(".")
    assert wheel.stem.split("-")[2:4] == ["cp310", "abi3"]
    assert all(tag.startswith("manylinux") for tag in mine), mine
    consistent = re.search(r'is consistent with the following platform tag: "(\w+)"', text)
    assert consistent is not None, shown
    assert consistent[1] in mine, (mine, tags)


@pytest.mark.full
@pytest.mark.timeout(400)
def test_it_installs_alone_and_works(installed):
    python, place = installed
    smoke = [python, "-I", ROOT / ".ci" / "smoke.py"]
    done = subprocess.run(smoke, cwd=place, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"rtmbench {_core.__version__} works on Python ")
    command = [python.with_name("rtmbench"), "--version"]
    version = subprocess.run(command, cwd=place, capture_output=True, text=True, check=True).stdout
    assert version.strip() == f"rtmbench, version {_core.__version__}"


@pytest.mark.accept
@pytest.mark.timeout(400)
def test_it_is_imported_in_no_time(installed):
    python, place = installed
    code = "import time; before = time.perf_counter(); import rtmbench; print(time.perf_counter() - before)"
    times = [
        float(subprocess.run([python, "-I", "-c", code], cwd=place, capture_output=True, check=True).stdout)
        for _ in range(6)
    ]
    # The first one compiles the byte code.
    assert statistics.median(times[1:]) < IMPORT_S, times
