"""Where artifacts come from: what pip and Maven are configured to use on this machine.

Nothing here is a setting of rtmbench. A machine that reaches its packages through a mirror has
it configured for pip (`pip.conf`, `PIP_*`) and Maven (`settings.xml`); rtmbench uses the same configuration.
Content is pinned by SHA-256 in the lock, so a mirror decides only how fast a file arrives.
"""

from __future__ import annotations

import configparser
import os
import re
import shlex
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit
from xml.etree import ElementTree as ET

import requests

from rtmbench.artifacts.lock import Artifact, maven_path
from rtmbench.errors import ArtifactError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PUBLIC_PYPI = "https://pypi.org/simple/"
PUBLIC_MAVEN = "https://repo.maven.apache.org/maven2/"

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Source:
    """One registry: base URLs in the order they are tried, and how to talk to them.

    `origin` names the configuration it comes from, for messages.
    """

    urls: tuple[str, ...]
    origin: str
    verify: bool | str = True
    proxies: Mapping[str, str] = field(default_factory=dict)
    auth: tuple[str, str] | None = None
    trusted_hosts: frozenset[str] = frozenset()
    read_timeout_s: float = READ_TIMEOUT_S

    def get(
        self, session: requests.Session, url: str, *, headers: Mapping[str, str], stream: bool
    ) -> requests.Response:
        """GET `url` with this registry's certificates, proxy, credentials and timeouts."""
        parts = urlsplit(url)
        trusted = {parts.hostname, parts.netloc.rpartition("@")[2]} & self.trusted_hosts
        # Credentials of a mirror stay with the mirror, wherever it points for the file.
        own = any(urlsplit(base).netloc == parts.netloc for base in self.urls)
        return session.get(
            url,
            headers=dict(headers),
            stream=stream,
            verify=False if trusted else self.verify,
            proxies=dict(self.proxies) or None,
            auth=self.auth if own else None,
            timeout=(CONNECT_TIMEOUT_S, self.read_timeout_s),
        )


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The two registries that the lock's coordinates refer to."""

    pypi: Source
    maven: Source

    @classmethod
    def configured(cls, environment: Mapping[str, str] | None = None, home: Path | None = None) -> Sources:
        """Read pip's and Maven's configuration of this machine and user."""
        environment = os.environ if environment is None else environment
        home = Path.home() if home is None else home
        pypi = pip_source(environment, home)
        return cls(pypi=pypi, maven=maven_source(environment, home, verify=pypi.verify))

    def of(self, artifact: Artifact) -> Source:
        """Return the registry that serves this artifact."""
        return self.maven if artifact.registry == "maven" else self.pypi

    def locate(self, artifact: Artifact, session: requests.Session) -> Iterator[str]:
        """Yield the URLs to try for an artifact, best first; may ask the index."""
        if artifact.registry == "maven":
            path = maven_path(artifact.coordinate)
            yield from (urljoin(base, path) for base in self.maven.urls)
            return
        project = artifact.coordinate.removeprefix("pypi:").partition("==")[0]
        project = re.sub(r"[-_.]+", "-", project).lower()
        for base in self.pypi.urls:
            response = self.pypi.get(session, urljoin(base, f"{project}/"), headers={"Accept": _SIMPLE}, stream=False)
            if response.status_code == requests.codes.not_found:
                continue
            response.raise_for_status()
            yield from (url for name, url in simple_links(response) if name == artifact.file)


_SIMPLE = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"


def simple_links(response: requests.Response) -> list[tuple[str, str]]:
    """Read a project page of a simple index, JSON or HTML: (file name, absolute URL) pairs."""
    if "json" in response.headers.get("Content-Type", ""):
        links = [(entry["filename"], entry["url"]) for entry in response.json()["files"]]
    else:
        parser = _Anchors()
        parser.feed(response.text)
        links = [(unquote(urlsplit(url).path).rpartition("/")[2], url) for url in parser.links]
    return [(name, urldefrag(urljoin(response.url, url)).url) for name, url in links]


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]


def redact(url: str) -> str:
    """Return the URL without the user name and password that a mirror's address may carry."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


# ---------------------------------------------------------------------------------------- pip


def pip_source(environment: Mapping[str, str], home: Path) -> Source:
    """Read pip's index, certificate, proxy and trusted hosts: environment over files."""
    values: dict[str, str] = {}
    origin = "the public default, as pip's configuration names no other index"
    for path in _pip_files(environment, home):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise ConfigurationError(f"pip's configuration file {path} cannot be read: {error}") from error
        # `pip install` and `pip download` read their own section over [global].
        for section in ("global", "download", "install"):
            for key, value in parser.items(section) if parser.has_section(section) else ():
                values[key.replace("_", "-")] = value
                if key.replace("_", "-") == "index-url":
                    origin = f"index-url in {path}"
    for key, value in environment.items():
        if key.startswith("PIP_") and value:
            values[key[4:].lower().replace("_", "-")] = value
    if environment.get("PIP_INDEX_URL"):
        origin = "PIP_INDEX_URL"
    indexes = [values.get("index-url", PUBLIC_PYPI), *values.get("extra-index-url", "").split()]
    certificates = values.get("cert") or _certificates(environment)
    proxy = values.get("proxy")
    return Source(
        urls=tuple(_directory(url) for url in indexes),
        origin=origin,
        verify=certificates or True,
        proxies={"http": proxy, "https": proxy} if proxy else {},
        trusted_hosts=frozenset(values.get("trusted-host", "").split()),
        read_timeout_s=max(READ_TIMEOUT_S, _seconds(values.get("timeout", ""))),
    )


def _pip_files(environment: Mapping[str, str], home: Path) -> list[Path]:
    """List pip's files that exist, the strongest last."""
    override = environment.get("PIP_CONFIG_FILE")
    if override == os.devnull:
        return []
    xdg = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    shared = [
        Path(directory) / "pip/pip.conf"
        for directory in reversed((environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep))
    ]
    user = [home / ".pip/pip.conf", xdg / "pip/pip.conf"]
    if sys.platform == "darwin":
        shared = [Path("/Library/Application Support/pip/pip.conf")]
        user.append(home / "Library/Application Support/pip/pip.conf")
    files = [*shared, Path("/etc/pip.conf"), *user, Path(sys.prefix) / "pip.conf"]
    if override:
        files.append(Path(override))
    return [path for path in files if path.is_file()]


def _certificates(environment: Mapping[str, str]) -> str | None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        if environment.get(name):
            return environment[name]
    return None


def _directory(url: str) -> str:
    return url if url.endswith("/") else f"{url}/"


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


# -------------------------------------------------------------------------------------- Maven


def maven_source(environment: Mapping[str, str], home: Path, *, verify: bool | str) -> Source:
    """Read which repository Maven uses for `central`: a mirror, an active profile, the default."""
    for path in _maven_files(environment, home):
        settings = _Settings(path, environment, home)
        central = settings.mirror() or settings.profile_repository()
        if central:
            repository, url = central
            return Source(
                urls=(_directory(url),),
                origin=f"{repository!r} in {path}",
                verify=verify,
                proxies=settings.proxies(),
                auth=settings.credentials(repository),
            )
        if settings.proxies():
            return Source(
                urls=(PUBLIC_MAVEN,),
                origin=f"the public default through the proxy in {path}",
                verify=verify,
                proxies=settings.proxies(),
            )
    origin = "the public default, as Maven's settings name no mirror of it"
    return Source(urls=(PUBLIC_MAVEN,), origin=origin, verify=verify)


def _maven_files(environment: Mapping[str, str], home: Path) -> list[Path]:
    """List the user's settings.xml (or the one that MAVEN_ARGS names), then the installation's."""
    arguments = shlex.split(environment.get("MAVEN_ARGS", ""))
    user = home / ".m2/settings.xml"
    for option, value in pairwise(arguments):
        if option in {"-s", "--settings"}:
            user = Path(value)
    installations = (environment.get(name) for name in ("MAVEN_HOME", "M2_HOME"))
    files = [user, *(Path(installation) / "conf/settings.xml" for installation in installations if installation)]
    return [path for path in files if path.is_file()]


class _Settings:
    """A settings.xml, namespaces dropped and `${env.NAME}` filled in."""

    def __init__(self, path: Path, environment: Mapping[str, str], home: Path) -> None:
        self._environment = environment
        self._home = home
        try:
            # The user's settings file, which Maven reads too.
            self._root = ET.fromstring(path.read_bytes())  # noqa: S314
        except ET.ParseError as error:
            raise ArtifactError(
                f"Maven's settings file {path} is not well-formed XML ({error}); correct it, so "
                "that rtmbench can fetch jars from its repositories."
            ) from error
        for element in self._root.iter():
            element.tag = element.tag.rpartition("}")[2]

    def mirror(self) -> tuple[str, str] | None:
        for element in self._root.iterfind("mirrors/mirror"):
            if _mirrors_central(self._text(element, "mirrorOf")) and self._text(element, "url"):
                return self._text(element, "id"), self._text(element, "url")
        return None

    def profile_repository(self) -> tuple[str, str] | None:
        active = {(element.text or "").strip() for element in self._root.iterfind("activeProfiles/*")}
        for profile in self._root.iterfind("profiles/profile"):
            default = self._text(profile, "activation/activeByDefault") == "true"
            if not default and self._text(profile, "id") not in active:
                continue
            for element in profile.iterfind("repositories/repository"):
                if self._text(element, "id") == "central" and self._text(element, "url"):
                    return "central", self._text(element, "url")
        return None

    def credentials(self, repository: str) -> tuple[str, str] | None:
        for element in self._root.iterfind("servers/server"):
            if self._text(element, "id") == repository and self._text(element, "username"):
                return self._text(element, "username"), self._text(element, "password")
        return None

    def proxies(self) -> dict[str, str]:
        addresses: dict[str, str] = {}
        for element in self._root.iterfind("proxies/proxy"):
            if self._text(element, "active") in {"", "true"} and self._text(element, "host"):
                address = f"http://{self._text(element, 'host')}:{self._text(element, 'port') or '8080'}"
                # Maven sends all its traffic through the first active proxy.
                addresses = addresses or {"http": address, "https": address}
        return addresses

    def _text(self, element: ET.Element, path: str) -> str:
        text = (element.findtext(path) or "").strip()
        text = text.replace("${user.home}", str(self._home))
        return re.sub(r"\$\{env\.([^}]+)\}", lambda match: self._environment.get(match[1], ""), text)


def _mirrors_central(pattern: str) -> bool:
    names = [name.strip() for name in pattern.split(",")]
    return "!central" not in names and bool({"*", "central", "external:*"} & set(names))
