from __future__ import annotations

import hashlib

import pytest
from artifacts_registry import tar_gz, wheel

from rtmbench.artifacts.unpack import read_manifest, unpack
from rtmbench.errors import ArtifactError


@pytest.fixture
def archive(tmp_path):
    def archive(content, name="thing-1.0.tar.gz"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return archive


def test_the_manifest_names_each_file_with_its_digest(archive, tmp_path):
    path = archive(tar_gz({"thing-1.0/b/two": b"2", "thing-1.0/b/one": b"1", "thing-1.0/c": b"3"}))

    manifest = unpack(path, {"b/": "x/"}, tmp_path / "out")

    assert read_manifest(manifest) == {
        "x/one": hashlib.sha256(b"1").hexdigest(),
        "x/two": hashlib.sha256(b"2").hexdigest(),
    }
    assert (tmp_path / "out/x/two").read_bytes() == b"2"
    assert not (tmp_path / "out/c").exists()


def test_a_wheel_keeps_its_top_directory(archive, tmp_path):
    path = archive(wheel({"py4j/__init__.py": b"", "other": b""}), "thing-1.0-py3-none-any.whl")

    unpack(path, {"py4j/": "py4j/"}, tmp_path / "out")

    assert [each.name for each in (tmp_path / "out").rglob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize(
    "name",
    ["thing-1.0/b/../../../escaped", "../escaped", "/escaped", "thing-1.0/b/..\\escaped", "thing-1.0/b/C:x"],
)
@pytest.mark.parametrize("kind", ["tar", "wheel"])
def test_a_name_that_leaves_the_directory_is_refused(archive, tmp_path, name, kind):
    content = tar_gz({name: b"x"}) if kind == "tar" else wheel({name: b"x"})
    path = archive(content, "t.tar.gz" if kind == "tar" else "t.whl")

    with pytest.raises(ArtifactError, match="points outside the directory"):
        unpack(path, {"b/": "b/", "thing-1.0/": "y/"}, tmp_path / "deep/er/out")

    assert not list(tmp_path.rglob("escaped"))


def test_a_link_is_refused(archive, tmp_path):
    path = archive(tar_gz({"thing-1.0/a": b"x"}, links=[("thing-1.0/b/link", "/etc/passwd")]))

    with pytest.raises(ArtifactError, match="'b/link' is a link"):
        unpack(path, {"b/": "b/"}, tmp_path / "out")


def test_a_rule_that_matches_nothing_is_an_error(archive, tmp_path):
    path = archive(tar_gz({"thing-1.0/a": b"x"}))

    with pytest.raises(ArtifactError, match="does not hold deps/lib/"):
        unpack(path, {"a": "a", "deps/lib/": "lib/"}, tmp_path / "out")


@pytest.mark.parametrize("content", [b"no archive", tar_gz({"thing-1.0/a": b"x" * 99999})[:60]])
@pytest.mark.parametrize("name", ["t.tar.gz", "t.whl"])
def test_a_broken_archive_is_named(archive, tmp_path, content, name):
    with pytest.raises(ArtifactError, match=f"{name} is not a readable archive"):
        unpack(archive(content, name), {"a": "a"}, tmp_path / "out")


def test_unpacking_can_be_called_off(archive, tmp_path):
    def check():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(archive(tar_gz({"t/a": b"x"})), {"a": "a"}, tmp_path / "out", check=check)
