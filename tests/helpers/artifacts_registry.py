"""A package registry on 127.0.0.1 for the artifact tests: Maven and simple index, with faults."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import time
import zipfile
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from rtmbench.artifacts import load_lock
from rtmbench.artifacts.source import Source, Sources


class Registry:
    """Serves `files` (path → bytes) and does, per path, what `faults` says, once each."""

    def __init__(self):
        self.files = {}
        self.faults = {}
        self.requests = []
        self.served = Counter()
        self.delay_s = 0.0
        self.throttle_s = 0.0
        self.active = self.most_active = 0
        self._lock = threading.Lock()
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                registry._answer(self)

            def log_message(self, *arguments):
                pass

        class Server(ThreadingHTTPServer):
            # The default backlog of 5 refuses connections of a parallel fetch.
            request_queue_size = 64
            daemon_threads = True

            def handle_error(self, request, client_address):
                """Clients that hang up are part of the tests."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    @contextmanager
    def running(self):
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    @property
    def sources(self):
        return Sources(
            pypi=Source(urls=(f"{self.url}simple/",), origin="index-url of this test"),
            maven=Source(urls=(f"{self.url}maven/",), origin="the mirror of this test"),
        )

    def ranges(self, path):
        return [header for requested, header in self.requests if requested == path]

    def _answer(self, handler):
        path = handler.path.lstrip("/")
        header = handler.headers.get("Range")
        with self._lock:
            self.requests.append((path, header))
            self.active += 1
            self.most_active = max(self.most_active, self.active)
            fault = self.faults[path].pop(0) if self.faults.get(path) else None
        try:
            time.sleep(self.delay_s)
            self._send(handler, path, header, fault)
        finally:
            with self._lock:
                self.active -= 1

    def _send(self, handler, path, header, fault):
        content = self.files.get(path)
        status = 200
        if isinstance(fault, int):
            content, status = b"", fault
        elif content is None:
            content, status = b"not here", 404
        elif fault == "wrong bytes":
            content = bytes(byte ^ 1 for byte in content)
        start = 0
        if header and status == 200 and fault != "no ranges":
            start = int(header.removeprefix("bytes=").rstrip("-"))
            status = 206
        handler.send_response(status)
        kind = "application/vnd.pypi.simple.v1+json" if path.startswith("simple/") else "a/b"
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        body = content[start:]
        if isinstance(fault, str) and fault.startswith("cut after "):
            body = body[: int(fault.removeprefix("cut after "))]
            handler.close_connection = True
        step = 8192 if self.throttle_s else max(len(body), 1)
        for offset in range(0, len(body), step):
            handler.wfile.write(body[offset : offset + step])
            time.sleep(self.throttle_s)
        self.served[path] += 1


class World:
    """A registry together with a lock file that names what it serves."""

    def __init__(self, registry, directory):
        self.registry = registry
        self.lock_path = directory / "lock.json"
        self.bundles = {}

    @property
    def lock(self):
        self.lock_path.write_text(json.dumps({"schema": "rtmbench.lock/1", "bundles": self.bundles}))
        return load_lock(self.lock_path)

    def jar_bundle(self, name, jars):
        """Add a bundle of jars (artifact id → content) to registry and lock."""
        artifacts = []
        for artifact, content in jars.items():
            path = self.jar_path(artifact)
            self.registry.files[path] = content
            artifacts.append({"coordinate": f"maven:org.test:{artifact}:1.0", **pinned(content)})
        self.bundles[name] = {"build": "1.0", "artifacts": artifacts}

    def jar_path(self, artifact):
        return f"maven/org/test/{artifact}/1.0/{artifact}-1.0.jar"

    def archive_bundle(self, name, project, members, unpack):
        """Add a bundle of one source archive (member → content, 0o755 where it starts with #!)."""
        content = tar_gz({f"{project}-1.0/{key}": value for key, value in members.items()})
        file = f"{project}-1.0.tar.gz"
        self.registry.files[f"files/{file}"] = content
        page = {"files": [{"filename": file, "url": f"../../files/{file}#sha256=0"}]}
        self.registry.files[f"simple/{project.replace(chr(95), chr(45))}/"] = json.dumps(page).encode()
        lines = []
        for member, value in members.items():
            for rule, target in unpack.items():
                if member == rule or (rule.endswith("/") and member.startswith(rule)):
                    place = target + member.removeprefix(rule) if rule.endswith("/") else target
                    lines.append((place, hashlib.sha256(value).hexdigest()))
        manifest = "".join(f"{digest}  {place}\n" for place, digest in sorted(lines))
        entry = {
            "coordinate": f"pypi:{project}==1.0",
            "file": file,
            **pinned(content),
            "unpack": unpack,
            "tree": hashlib.sha256(manifest.encode()).hexdigest(),
        }
        self.bundles[name] = {"build": "1.0", "classpath": "lib", "artifacts": [entry]}


def pinned(content):
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def tar_gz(members, *, links=()):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o755 if content.startswith(b"#!") else 0o644
            archive.addfile(info, io.BytesIO(content))
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return stream.getvalue()


def wheel(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()
