from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from artifacts_registry import Registry, World

from rtmbench.artifacts import Cache
from rtmbench.artifacts.progress import Silent
from rtmbench.errors import ArtifactError, ConfigurationError

JARS = {"broker": b"broker " * 50_000, "clients": b"clients " * 5000, "log": b"log " * 100}


@pytest.fixture
def registry():
    with Registry().running() as running:
        yield running


@pytest.fixture
def world(registry, tmp_path):
    world = World(registry, tmp_path)
    world.jar_bundle("kafka@9", JARS)
    world.archive_bundle(
        "flink@9",
        "flink_libraries",
        {
            "deps/lib/dist.jar": b"dist" * 20_000,
            "deps/bin/run": b"#!/bin/sh\n",
            "setup.py": b"raise SystemExit('never run')",
        },
        {"deps/lib/": "lib/", "deps/bin/run": "bin/run"},
    )
    return world


@pytest.fixture
def cache(world, tmp_path):
    return Cache(tmp_path / "cache", lock=world.lock, sources=world.registry.sources)


def ensure(cache, *names):
    return cache.ensure_many(names, progress=Silent())


def left_over(cache):
    return [path.name for area in ("downloads", "staging") for path in (cache.root / area).iterdir()]


def test_jars_arrive_with_their_content(cache):
    bundle = cache.ensure("kafka@9", progress=Silent())

    assert bundle.build == "1.0"
    assert {jar.name: jar.read_bytes() for jar in bundle.jars} == {
        f"{name}-1.0.jar": content for name, content in JARS.items()
    }
    assert all(jar.is_absolute() for jar in bundle.jars)
    assert left_over(cache) == []


def test_an_archive_gives_the_named_members_only(cache):
    bundle = cache.ensure("flink@9", progress=Silent())

    assert [jar.name for jar in bundle.jars] == ["dist.jar"]
    assert os.access(bundle.root / "bin/run", os.X_OK)
    assert not os.access(bundle.root / "lib/dist.jar", os.X_OK)
    assert not list(bundle.root.rglob("setup.py"))
    assert left_over(cache) == []


def test_a_second_use_asks_nobody(cache, registry):
    ensure(cache, "kafka@9", "flink@9")
    before = len(registry.requests)

    ensure(Cache(cache.root, lock=cache.lock, offline=True), "kafka@9", "flink@9")

    assert len(registry.requests) == before


def test_downloads_run_in_parallel(cache, registry):
    registry.delay_s = 0.1

    ensure(cache, "kafka@9", "flink@9")

    assert registry.most_active >= 3


def test_a_jar_in_two_bundles_is_downloaded_once(world, tmp_path, registry):
    world.jar_bundle("connector@9", {"clients": JARS["clients"]})
    cache = Cache(tmp_path / "cache", lock=world.lock, sources=registry.sources)

    ready = ensure(cache, "kafka@9", "connector@9")

    assert registry.served[world.jar_path("clients")] == 1
    assert [jar.name for jar in ready["connector@9"].jars] == ["clients-1.0.jar"]


def test_an_unknown_bundle_is_a_configuration_error_that_lists_the_known(cache):
    with pytest.raises(ConfigurationError, match=r"'kafka@1'.*flink@9, kafka@9"):
        cache.ensure("kafka@1")


def test_offline_names_what_is_missing(cache, registry):
    offline = Cache(cache.root, lock=cache.lock, sources=registry.sources, offline=True)

    with pytest.raises(ArtifactError, match=r"kafka@9 \(1.0\).*rtmbench engines fetch kafka@9"):
        offline.ensure("kafka@9")
    assert registry.requests == []


def test_other_bytes_than_the_lock_names_are_fatal_and_leave_nothing(cache, registry, world):
    path = world.jar_path("clients")
    registry.faults[path] = ["wrong bytes"]

    with pytest.raises(ArtifactError, match=r"clients-1.0.jar .* not what the lock names"):
        ensure(cache, "kafka@9")

    assert list((cache.root / "bundles").iterdir()) == []
    assert not [name for name in left_over(cache) if "clients" in name]
    ensure(cache, "kafka@9")


def test_an_archive_that_unpacks_to_something_else_is_refused(cache, world):
    world.bundles["flink@9"]["artifacts"][0]["tree"] = "0" * 64
    cache = Cache(cache.root, lock=world.lock, sources=world.registry.sources)

    with pytest.raises(ArtifactError, match="unpacks to other files"):
        ensure(cache, "flink@9")

    assert list((cache.root / "bundles").iterdir()) == []


@pytest.mark.parametrize(("name", "victim"), [("kafka@9", "broker-1.0.jar"), ("flink@9", "lib/dist.jar")])
def test_a_corrupted_file_is_found_though_size_and_time_are_the_same(cache, name, victim):
    path = ensure(cache, name)[name].root / victim
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    script = (
        "import sys; from pathlib import Path; from rtmbench.artifacts import Cache, load_lock\n"
        "from rtmbench.errors import ArtifactError\n"
        "try: Cache(Path(sys.argv[1]), lock=load_lock(Path(sys.argv[2]))).ensure(sys.argv[3])\n"
        "except ArtifactError as error: print(error); sys.exit(error.exit_code)"
    )

    # A new process, as a run is: within one, a file with the same size, time and inode is trusted.
    outcome = run(script, cache.root, cache.lock_path, name)

    assert outcome.returncode == 3
    assert f"{path} is corrupted" in outcome.stdout
    assert f"rtmbench engines fetch {name}" in outcome.stdout
    assert "rtmbench engines prune" in outcome.stdout


@pytest.fixture(autouse=True)
def _lock_path(cache, world):
    cache.lock_path = world.lock_path


def run(script, *arguments):
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_file_changed_under_a_running_process_is_found(cache):
    path = ensure(cache, "kafka@9")["kafka@9"].jars[0]
    path.write_bytes(path.read_bytes()[:-1] + b"!")

    with pytest.raises(ArtifactError, match=r"broker-1.0.jar is corrupted"):
        ensure(cache, "kafka@9")


def test_missing_and_surplus_jars_are_found(cache):
    root = ensure(cache, "kafka@9")["kafka@9"].root
    (root / "log-1.0.jar").rename(root / "log-1.1.jar")

    with pytest.raises(
        ArtifactError, match=r"log-1.0.jar is missing or cannot be read; .*log-1.1.jar is an unexpected file"
    ):
        ensure(cache, "kafka@9")


def test_a_changed_manifest_is_found(cache):
    root = ensure(cache, "flink@9")["flink@9"].root
    manifest = next(root.glob(".*.sha256"))
    manifest.write_text("")

    with pytest.raises(ArtifactError, match="is missing or was changed"):
        ensure(cache, "flink@9")


def test_fetch_replaces_a_damaged_bundle_and_downloads_only_what_is_bad(cache, registry, world):
    root = ensure(cache, "kafka@9")["kafka@9"].root
    (root / "broker-1.0.jar").write_bytes(b"damaged")
    (root / "surplus.jar").write_bytes(b"")
    registry.served.clear()

    bundle = cache.fetch(["kafka@9"], progress=Silent())["kafka@9"]

    assert bundle.jars[0].read_bytes() == JARS["broker"]
    assert len(bundle.jars) == len(JARS)
    assert set(registry.served) == {world.jar_path("broker")}
    ensure(cache, "kafka@9")


def test_offline_fetch_says_what_is_damaged(cache):
    root = ensure(cache, "kafka@9")["kafka@9"].root
    (root / "broker-1.0.jar").write_bytes(b"damaged")

    with pytest.raises(ArtifactError, match=r"broker-1.0.jar is corrupted"):
        Cache(cache.root, lock=cache.lock, offline=True).fetch(["kafka@9"])


def test_an_unwritable_cache_is_named(tmp_path, world):
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file/cache", lock=world.lock, sources=world.registry.sources)

    with pytest.raises(ArtifactError, match=r"file/cache cannot be written.*RTMBENCH_CACHE"):
        ensure(cache, "kafka@9")


def test_a_ready_cache_needs_no_writing(cache):
    ensure(cache, "kafka@9")
    (cache.root / "lock").unlink()

    ensure(Cache(cache.root, lock=cache.lock), "kafka@9")

    assert not (cache.root / "lock").exists()


def test_prune_keeps_what_the_lock_names(cache, world):
    ensure(cache, "kafka@9", "flink@9")
    old = cache.status("kafka@9").path
    (cache.root / "downloads/half.part").write_bytes(b"12345")
    world.bundles["kafka@9"]["build"] = "1.1"
    newer = Cache(cache.root, lock=world.lock, sources=world.registry.sources)

    removed = newer.prune()

    assert {path.name for path, _ in removed} == {old.name, "half.part"}
    assert dict(removed)[cache.root / "downloads/half.part"] == 5
    assert not newer.status("kafka@9").cached
    assert newer.status("flink@9").cached
    assert newer.prune() == []
    newer.prune(everything=True)
    assert not newer.status("flink@9").cached


def test_status_tells_sizes(cache):
    assert not cache.status("kafka@9").cached
    ensure(cache, "kafka@9")

    status = cache.status("kafka@9")

    assert status.cached
    assert status.download_size == status.cached_size == sum(map(len, JARS.values()))


FILL = (
    "import sys; from pathlib import Path; from rtmbench.artifacts import Cache, load_lock\n"
    "from rtmbench.artifacts.source import Source, Sources\n"
    "root, lock, url = sys.argv[1:]\n"
    "sources = Sources(pypi=Source(urls=(url + 'simple/',), origin=''),\n"
    "                  maven=Source(urls=(url + 'maven/',), origin=''))\n"
    "cache = Cache(Path(root), lock=load_lock(Path(lock)), sources=sources)\n"
    "print(len(cache.ensure_many(['kafka@9', 'flink@9'])['kafka@9'].jars))\n"
)


def fill(cache):
    url = cache._sources.maven.urls[0].removesuffix("maven/")
    return subprocess.Popen(
        [sys.executable, "-c", FILL, str(cache.root), str(cache.lock_path), url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_at_once_download_once(cache, registry):
    registry.delay_s = 0.3
    processes = [fill(cache) for _ in range(2)]
    outputs = [process.communicate(timeout=30) for process in processes]

    assert [out for out, _ in outputs] == ["3\n", "3\n"]
    assert set(registry.served.values()) == {1}
    assert sum("waiting for another rtmbench" in err for _, err in outputs) == 1
    assert left_over(cache) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_fetch_leaves_no_bundle_and_is_continued(cache, registry, world, number):
    registry.throttle_s = 0.03
    process = fill(cache)
    deadline = time.monotonic() + 20
    while not any(part.stat().st_size for part in cache.root.glob("downloads/*broker*.part")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    started = time.monotonic()
    process.communicate(timeout=20)
    took = time.monotonic() - started

    assert took < 4
    assert process.returncode != 0
    assert not cache.status("kafka@9").cached

    registry.throttle_s = 0.0
    ensure(cache, "kafka@9", "flink@9")

    resumed = registry.ranges(world.jar_path("broker"))[-1]
    assert resumed is not None
    assert int(resumed.removeprefix("bytes=").rstrip("-")) > 0
    assert left_over(cache) == []
