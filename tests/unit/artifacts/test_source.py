from __future__ import annotations

import os

import pytest
import requests
from artifacts_registry import Registry

from rtmbench.artifacts.lock import Artifact
from rtmbench.artifacts.source import (
    PUBLIC_MAVEN,
    PUBLIC_PYPI,
    Source,
    Sources,
    maven_source,
    pip_source,
    redact,
)
from rtmbench.errors import ArtifactError, ConfigurationError

JAR = Artifact(coordinate="maven:org.test:thing:1.0", file="thing-1.0.jar", sha256="", size=1)
SDIST = Artifact(coordinate="pypi:Some_Thing==1.0", file="some_thing-1.0.tar.gz", sha256="", size=1)


@pytest.fixture
def pip(tmp_path):
    """What is read from a pip.conf; the machine's own files come before it."""

    def pip(text="", **environment):
        path = tmp_path / "own-pip.conf"
        path.write_text(text)
        return pip_source({"PIP_CONFIG_FILE": str(path), **environment}, tmp_path)

    return pip


@pytest.fixture
def maven(tmp_path):
    def maven(text, **environment):
        (tmp_path / ".m2").mkdir(exist_ok=True)
        namespace = "http://maven.apache.org/SETTINGS/1.2.0"
        settings = f'<settings xmlns="{namespace}">{text}</settings>'
        (tmp_path / ".m2/settings.xml").write_text(settings)
        return maven_source(environment, tmp_path, verify="/ca.pem")

    return maven


def test_without_configuration_the_public_registries_are_used(tmp_path):
    found = Sources.configured({"PIP_CONFIG_FILE": os.devnull}, tmp_path)

    assert found.pypi.urls == (PUBLIC_PYPI,)
    assert found.maven.urls == (PUBLIC_MAVEN,)


def test_pips_files_are_read(pip):
    found = pip(
        "[global]\nindex-url = https://one.test/simple\ncert = /ca.pem\nproxy = http://p:1\n"
        "extra_index_url = https://two.test/simple/\n   https://three.test/simple\n"
        "trusted-host = one.test\ntimeout = 300\n"
    )

    assert found.urls == (
        "https://one.test/simple/",
        "https://two.test/simple/",
        "https://three.test/simple/",
    )
    assert found.origin.startswith("index-url in ")
    assert found.verify == "/ca.pem"
    assert found.proxies == {"http": "http://p:1", "https": "http://p:1"}
    assert found.trusted_hosts == {"one.test"}
    assert found.read_timeout_s == 300


def test_the_environment_wins_over_pips_files(pip):
    found = pip("[install]\nindex-url = https://one.test/", PIP_INDEX_URL="https://two.test/x")

    assert found.urls == ("https://two.test/x/",)
    assert found.origin == "PIP_INDEX_URL"


def test_the_users_file_is_found(tmp_path, monkeypatch):
    # Where this environment's own pip.conf would be, which wins over the user's.
    monkeypatch.setattr("sys.prefix", str(tmp_path / "environment"))
    (tmp_path / ".config/pip").mkdir(parents=True)
    (tmp_path / ".config/pip/pip.conf").write_text("[global]\nindex-url = https://mine.test/\n")
    (tmp_path / ".pip").mkdir()
    (tmp_path / ".pip/pip.conf").write_text("[global]\nindex-url = https://old.test/\n")

    assert pip_source({}, tmp_path).urls == ("https://mine.test/",)


def test_a_certificate_bundle_of_the_environment_is_used(tmp_path):
    environment = {"PIP_CONFIG_FILE": os.devnull, "SSL_CERT_FILE": "/own.pem"}

    assert pip_source(environment, tmp_path).verify == "/own.pem"
    assert pip_source({**environment, "PIP_CERT": "/pip.pem"}, tmp_path).verify == "/pip.pem"


def test_a_broken_pip_configuration_is_named(pip):
    with pytest.raises(ConfigurationError, match=r"own-pip\.conf cannot be read"):
        pip("index-url = without a section")


@pytest.mark.parametrize(
    ("pattern", "used"),
    [
        ("*", True),
        ("central", True),
        ("external:*", True),
        ("other, central", True),
        ("*,!central", False),
        ("other", False),
    ],
)
def test_a_mirror_of_central_is_used(maven, pattern, used):
    found = maven(
        f"<mirrors><mirror><id>corp</id><mirrorOf>{pattern}</mirrorOf>"
        "<url>https://${env.MIRROR}/maven</url></mirror></mirrors>"
        "<servers><server><id>corp</id><username>me</username><password>${env.WORD}</password>"
        "</server></servers>",
        MIRROR="mirror.test",
        WORD="secret",
    )

    assert found.urls == (("https://mirror.test/maven/",) if used else (PUBLIC_MAVEN,))
    assert found.auth == (("me", "secret") if used else None)
    assert found.verify == "/ca.pem"


@pytest.mark.parametrize("active", [True, False])
def test_central_of_an_active_profile_is_used(maven, active):
    found = maven(
        "<profiles><profile><id>corp</id><repositories><repository><id>central</id>"
        "<url>https://profile.test/</url></repository></repositories></profile></profiles>"
        + ("<activeProfiles><activeProfile>corp</activeProfile></activeProfiles>" * active)
    )

    assert found.urls == (("https://profile.test/",) if active else (PUBLIC_MAVEN,))


def test_a_maven_proxy_is_used(maven):
    found = maven(
        "<proxies><proxy><active>false</active><host>no.test</host></proxy>"
        "<proxy><host>proxy.test</host><port>3128</port></proxy></proxies>"
    )

    assert found.urls == (PUBLIC_MAVEN,)
    assert found.proxies["https"] == "http://proxy.test:3128"


def test_the_settings_file_of_maven_args_is_used(maven, tmp_path):
    other = tmp_path / "other.xml"
    other.write_text(
        "<settings><mirrors><mirror><mirrorOf>*</mirrorOf><url>https://o.test</url></mirror></mirrors></settings>"
    )

    assert maven("", MAVEN_ARGS=f"-B -s '{other}'").urls == ("https://o.test/",)


def test_broken_settings_are_named(maven):
    with pytest.raises(ArtifactError, match=r"settings\.xml is not well-formed"):
        maven("<mirrors>")


def test_a_jar_is_where_maven_puts_it(tmp_path):
    sources = Sources.configured({"PIP_CONFIG_FILE": os.devnull}, tmp_path)

    with requests.Session() as session:
        assert list(sources.locate(JAR, session)) == [f"{PUBLIC_MAVEN}org/test/thing/1.0/thing-1.0.jar"]


@pytest.mark.parametrize("kind", ["json", "html"])
def test_an_index_is_read_in_both_its_forms(kind):
    with Registry().running() as registry, requests.Session() as session:
        pages = {
            "json": b'{"files": [{"filename": "other-1.0.tar.gz", "url": "/no"},'
            b' {"filename": "some_thing-1.0.tar.gz", "url": "../../f/some_thing-1.0.tar.gz"}]}',
            "html": b'<a href="/no">other</a>'
            b'<a href="../../f/some_thing-1.0.tar.gz#sha256=1" data-requires-python="&gt;3">x</a>',
        }
        # The registry of the tests calls everything below simple/ JSON.
        base = f"{registry.url}{'simple' if kind == 'json' else 'plain'}/"
        registry.files[f"{base.removeprefix(registry.url)}some-thing/"] = pages[kind]
        empty = f"{registry.url}empty/"
        source = Source(urls=(empty, base), origin="")

        found = list(Sources(pypi=source, maven=source).locate(SDIST, session))

    assert found == [f"{registry.url}f/some_thing-1.0.tar.gz"]


def test_credentials_stay_with_the_registry_they_belong_to():
    with Registry().running() as registry, requests.Session() as session:
        source = Source(urls=(registry.url,), origin="", auth=("me", "secret"))
        own = source.get(session, f"{registry.url}x", headers={}, stream=False)
        other_name = registry.url.replace("127.0.0.1", "localhost")
        other = source.get(session, f"{other_name}x", headers={}, stream=False)

    assert own.request.headers["Authorization"].startswith("Basic ")
    assert "Authorization" not in other.request.headers


def test_credentials_are_not_shown():
    assert redact("https://me:secret@mirror.test:8443/a?b#c") == "https://mirror.test:8443/a?b#c"
