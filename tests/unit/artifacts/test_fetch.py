from __future__ import annotations

import pytest
from artifacts_registry import Registry, World

from rtmbench.artifacts.fetch import ATTEMPTS, Fetcher
from rtmbench.artifacts.progress import Silent
from rtmbench.artifacts.source import Source, Sources
from rtmbench.errors import ArtifactError

CONTENT = bytes(range(256)) * 1000


class Counting(Silent):
    def __init__(self):
        self.total = self.done = 0

    def start(self, files, size):  # noqa: ARG002 - the protocol's
        self.total = size

    def advance(self, file, size, count):  # noqa: ARG002 - the protocol's
        self.done += count


@pytest.fixture
def world(tmp_path):
    with Registry().running() as registry:
        world = World(registry, tmp_path)
        world.jar_bundle("kafka@9", {"broker": CONTENT})
        yield world


@pytest.fixture
def path(world):
    return world.jar_path("broker")


@pytest.fixture
def shown():
    return Counting()


@pytest.fixture
def fetch(world, tmp_path, shown):
    directory = tmp_path / "downloads"

    def fetch():
        found = []
        fetcher = Fetcher(world.registry.sources, directory, shown, backoff_s=0.001)
        artifacts = world.lock.bundle("kafka@9").artifacts
        fetcher.fetch_all(artifacts, lambda _, file: found.append(file))
        return found[0].read_bytes()

    return fetch


def test_a_cut_connection_is_resumed_where_it_broke(fetch, world, path, shown):
    world.registry.faults[path] = ["cut after 100000", "cut after 50000"]

    assert fetch() == CONTENT

    first, *resumed = world.registry.ranges(path)
    assert first is None
    # Less than what was sent, as the last piece was not whole; more than nothing.
    offsets = [int(header.removeprefix("bytes=").rstrip("-")) for header in resumed]
    assert 0 < offsets[0] <= 100_000
    assert offsets[0] <= offsets[1] <= 150_000
    assert shown.done == shown.total == len(CONTENT)


def test_a_server_without_ranges_is_asked_again_from_the_start(fetch, world, path, shown):
    world.registry.faults[path] = ["cut after 100000", "no ranges"]

    assert fetch() == CONTENT
    assert shown.done == len(CONTENT)


def test_a_range_that_cannot_be_satisfied_starts_over(fetch, world, path):
    world.registry.faults[path] = ["cut after 1000", 416]

    assert fetch() == CONTENT


def test_a_damaged_earlier_half_is_downloaded_again(fetch, world, path, tmp_path):
    artifact = world.lock.bundle("kafka@9").artifacts[0]
    (tmp_path / "downloads").mkdir()
    part = tmp_path / f"downloads/{artifact.sha256[:16]}-{artifact.file}.part"
    part.write_bytes(b"x" * 5000)

    assert fetch() == CONTENT
    assert world.registry.ranges(path) == ["bytes=5000-", None]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_retried(fetch, world, path, status):
    world.registry.faults[path] = [status] * (ATTEMPTS - 1)

    assert fetch() == CONTENT


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (503, ATTEMPTS)])
def test_a_lasting_failure_names_artifact_cause_and_configuration(fetch, world, path, status, requests):
    world.registry.faults[path] = [status] * 20

    with pytest.raises(ArtifactError) as raised:
        fetch()

    message = str(raised.value)
    assert "broker-1.0.jar (maven:org.test:broker:1.0)" in message
    assert f"HTTP {status}" in message
    assert "the mirror of this test" in message
    assert "rtmbench engines fetch" in message
    assert len(world.registry.requests) == requests


def test_a_registry_that_nobody_answers_for_is_named(world, tmp_path):
    with Registry().running() as gone:
        sources = gone.sources
    fetcher = Fetcher(sources, tmp_path / "downloads", Silent(), backoff_s=0.001)

    with pytest.raises(ArtifactError, match="Connection refused"):
        fetcher.fetch_all(world.lock.bundle("kafka@9").artifacts, lambda _, file: file)


def test_a_certificate_bundle_that_is_not_there_is_named(world, tmp_path):
    secure = Source(urls=("https://127.0.0.1:1/",), origin="pip", verify="/no/such.pem")
    fetcher = Fetcher(Sources(pypi=secure, maven=secure), tmp_path / "downloads", Silent())

    with pytest.raises(ArtifactError, match=r"could not be downloaded: .*/no/such\.pem"):
        fetcher.fetch_all(world.lock.bundle("kafka@9").artifacts, lambda _, file: file)


def test_a_directory_that_cannot_be_written_is_named(world, tmp_path):
    (tmp_path / "downloads").write_text("")
    fetcher = Fetcher(world.registry.sources, tmp_path / "downloads/x", Silent())

    with pytest.raises(ArtifactError, match=r"could not be written to .*RTMBENCH_CACHE"):
        fetcher.fetch_all(world.lock.bundle("kafka@9").artifacts, lambda _, file: file)


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"!", CONTENT + b"more", b"short"])
def test_wrong_content_is_fatal_without_a_retry_and_leaves_no_file(fetch, world, path, tmp_path, content):
    world.registry.files[path] = content

    with pytest.raises(ArtifactError, match="not what the lock names"):
        fetch()

    assert not list(tmp_path.glob("downloads/*"))
    assert len(world.registry.requests) == 1


def test_the_first_failure_stops_the_others(world, tmp_path):
    names = [f"jar{number}" for number in range(40)]
    world.jar_bundle("many@9", {name: name.encode() * 500 for name in names})
    world.registry.files[world.jar_path("jar39")] = b"wrong"
    world.registry.delay_s = 0.02
    fetcher = Fetcher(world.registry.sources, tmp_path / "downloads", Silent(), workers=2)

    with pytest.raises(ArtifactError, match="jar39"):
        fetcher.fetch_all(world.lock.bundle("many@9").artifacts, lambda _, file: file)

    assert len(world.registry.requests) < 40
