"""Download artifacts: in parallel, resumable, verified before anybody can use them."""

from __future__ import annotations

import hashlib
import queue
import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests

from rtmbench.artifacts.source import Source, Sources, redact
from rtmbench.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from rtmbench.artifacts.lock import Artifact
    from rtmbench.artifacts.progress import Reporter

WORKERS = 6
ATTEMPTS = 5
# What a cut connection loses at most.
_CHUNK = 1 << 16
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_PASSING = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class _CancelledError(Exception):
    """Another download failed, or the user interrupted."""


class _MismatchError(ArtifactError):
    """The bytes are not those that the lock names."""


@dataclass(frozen=True, kw_only=True)
class _Failure:
    cause: str
    fatal: bool
    wait_s: float = 0.0


class Fetcher:
    """Downloads into one directory: `NAME.part` while it arrives, renamed when its digest is right.

    `backoff_s` is the first wait between attempts; it doubles. A `.part` file of an earlier run is
    continued with a Range request; if the whole is then wrong it is downloaded once more from
    the start, since the earlier half may have been damaged, and only then given up.
    """

    def __init__(
        self,
        sources: Sources,
        directory: Path,
        reporter: Reporter,
        *,
        workers: int = WORKERS,
        backoff_s: float = 0.5,
    ) -> None:
        self._sources = sources
        self._directory = directory
        self._reporter = reporter
        self._workers = workers
        self._backoff_s = backoff_s
        self._cancelled = threading.Event()

    def check(self) -> None:
        """Raise, in a worker, when the work has been called off."""
        if self._cancelled.is_set():
            raise _CancelledError

    def fetch_all(self, artifacts: Iterable[Artifact], then: Callable[[Artifact, Path], None]) -> None:
        """Download all, the largest first, and hand each verified file to `then` in its thread.

        The first failure stops the others and is raised; what has arrived by then is kept.
        """
        jobs: queue.SimpleQueue[Artifact] = queue.SimpleQueue()
        outcomes: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        ordered = sorted(artifacts, key=lambda artifact: -artifact.size)
        for artifact in ordered:
            jobs.put(artifact)
        self._reporter.start(len(ordered), sum(artifact.size for artifact in ordered))

        def work() -> None:
            with requests.Session() as session:
                while not self._cancelled.is_set():
                    try:
                        artifact = jobs.get_nowait()
                    except queue.Empty:
                        return
                    try:
                        then(artifact, self._fetch(artifact, session))
                        outcomes.put(None)
                    except BaseException as error:  # noqa: BLE001 - raised again in the caller
                        outcomes.put(error)
                        return

        # Daemons, as a pool's threads are not: Ctrl-C must not wait for a server that stalls.
        threads = [
            threading.Thread(target=work, name=f"fetch-{number}", daemon=True)
            for number in range(min(self._workers, len(ordered)))
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in ordered:
                _raise(_wait(outcomes))
        finally:
            self._cancelled.set()
            deadline = time.monotonic() + 2
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _fetch(self, artifact: Artifact, session: requests.Session) -> Path:
        target = self._directory / f"{artifact.sha256[:16]}-{artifact.file}"
        if target.exists():
            if sha256(target) == artifact.sha256:
                self._reporter.advance(artifact.file, artifact.size, artifact.size)
                return target
            target.unlink()
        part = target.with_name(f"{target.name}.part")
        resumed = part.exists() and part.stat().st_size > 0
        try:
            self._download(artifact, session, part)
        except _MismatchError:
            if not resumed:
                raise
            self._download(artifact, session, part)
        part.replace(target)
        return target

    def _download(self, artifact: Artifact, session: requests.Session, part: Path) -> None:
        source = self._sources.of(artifact)
        transfer = _Transfer(self, artifact, part, self._reporter)
        idle = 0
        while True:
            before = transfer.done
            failure = self._attempt(transfer, source, session)
            if failure is None:
                return
            idle = 0 if transfer.done > before else idle + 1
            if failure.fatal or idle >= ATTEMPTS:
                raise ArtifactError(
                    f"{artifact.file} ({artifact.coordinate}) could not be downloaded: "
                    f"{failure.cause}. rtmbench tried {redact(source.urls[0])} "
                    f"({source.origin}). Check the network and that configuration, then run "
                    "`rtmbench engines fetch`; what has arrived so far is kept."
                )
            wait_s = self._backoff_s * 2 ** max(idle - 1, 0) * random.uniform(0.75, 1.25)  # noqa: S311
            if self._cancelled.wait(max(wait_s, failure.wait_s)):
                raise _CancelledError

    def _attempt(self, transfer: _Transfer, source: Source, session: requests.Session) -> _Failure | None:
        """Try every address once; None when the file is there and right."""
        failure = _Failure(cause="no registry lists it", fatal=True)
        try:
            for url in self._sources.locate(transfer.artifact, session):
                outcome = transfer.run(source, session, url)
                if outcome is None:
                    return None
                failure = outcome
        except requests.HTTPError as error:
            return _refused(error.response, redact(error.response.url))
        except _PASSING as error:
            # A refused certificate is a connection error, too, but no second attempt mends it.
            fatal = isinstance(error, requests.exceptions.SSLError)
            return _Failure(cause=_reason(error), fatal=fatal)
        except (requests.RequestException, ValueError) as error:
            return _Failure(cause=_reason(error), fatal=True)
        except OSError as error:
            if error.errno is None:
                # The text of requests when the certificate bundle is not there.
                return _Failure(cause=str(error), fatal=True)
            raise ArtifactError(
                f"{transfer.artifact.file} could not be written to {transfer.part.parent}: "
                f"{error.strerror or error}. Make room or name another cache with RTMBENCH_CACHE."
            ) from error
        return failure


class _Transfer:
    """The bytes of one artifact so far: in a file, in a running digest, in a count."""

    def __init__(self, owner: Fetcher, artifact: Artifact, part: Path, reporter: Reporter) -> None:
        self.artifact = artifact
        self.part = part
        self._owner = owner
        self._reporter = reporter
        self._digest = hashlib.sha256()
        self.done = 0
        if part.exists():
            with part.open("rb") as earlier:
                while chunk := earlier.read(_CHUNK):
                    self._count(chunk)
        if self.done > artifact.size:
            self._restart()

    def run(self, source: Source, session: requests.Session, url: str) -> _Failure | None:
        """Fetch the rest from one address, then verify the whole."""
        if self.done < self.artifact.size:
            headers = {"Accept-Encoding": "identity"}
            if self.done:
                headers["Range"] = f"bytes={self.done}-"
            with source.get(session, url, headers=headers, stream=True) as response:
                if response.status_code == requests.codes.requested_range_not_satisfiable:
                    self._restart()
                    return _Failure(cause="the server could not continue it", fatal=False)
                if not response.ok:
                    return _refused(response, redact(url))
                if response.status_code != requests.codes.partial_content:
                    self._restart()
                announced = response.headers.get("Content-Length", "")
                if announced.isdigit() and self.done + int(announced) != self.artifact.size:
                    raise self._mismatch(url, f"{self.done + int(announced):,} bytes")
                self._receive(response)
        if self.done < self.artifact.size:
            return _Failure(cause=f"{redact(url)} ended early", fatal=False)
        self._verify(url)
        return None

    def _receive(self, response: requests.Response) -> None:
        self.part.parent.mkdir(parents=True, exist_ok=True)
        with self.part.open("ab") as sink:
            for chunk in response.iter_content(_CHUNK):
                self._owner.check()
                sink.write(chunk)
                self._count(chunk)
                if self.done > self.artifact.size:
                    return

    def _verify(self, url: str) -> None:
        digest = self._digest.hexdigest()
        if self.done > self.artifact.size:
            raise self._mismatch(url, f"more than {self.artifact.size:,} bytes")
        if digest != self.artifact.sha256:
            raise self._mismatch(url, f"SHA-256 {digest[:16]}…")

    def _mismatch(self, url: str, received: str) -> _MismatchError:
        """Delete what has arrived and return the error."""
        self._restart()
        return _MismatchError(
            f"{self.artifact.file} ({self.artifact.coordinate}) from {redact(url)} is not what the "
            f"lock names: {received} instead of {self.artifact.size:,} bytes with SHA-256 "
            f"{self.artifact.sha256[:16]}…. The download was deleted. If a mirror or proxy answers "
            "in the registry's place, see what it serves for this address; then run `rtmbench "
            "engines fetch`."
        )

    def _count(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self.done += len(chunk)
        self._reporter.advance(self.artifact.file, self.artifact.size, len(chunk))

    def _restart(self) -> None:
        self.part.unlink(missing_ok=True)
        self._reporter.advance(self.artifact.file, self.artifact.size, -self.done)
        self._digest = hashlib.sha256()
        self.done = 0


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 20))
    with path.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def _wait(outcomes: queue.SimpleQueue[BaseException | None]) -> BaseException | None:
    while True:
        # With a timeout, so that signals are looked at on every platform.
        with suppress(queue.Empty):
            return outcomes.get(timeout=0.2)


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error


def _refused(response: requests.Response, url: str) -> _Failure:
    after = response.headers.get("Retry-After", "")
    return _Failure(
        cause=f"{url} answered HTTP {response.status_code}",
        fatal=response.status_code not in _RETRIED,
        wait_s=min(float(after), 30.0) if after.isdigit() else 0.0,
    )


def _reason(error: Exception) -> str:
    """Name the innermost cause: requests wraps a refused connection four times."""
    inner: BaseException = error
    while (deeper := inner.__cause__ or inner.__context__) is not None:
        inner = deeper
    text = str(inner) or type(inner).__name__
    return text if isinstance(error, requests.RequestException) else f"{type(error).__name__}: {text}"
