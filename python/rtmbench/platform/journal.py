"""The record of what is running, and the clean-up of what a killed supervisor or program left behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import psutil

from rtmbench.platform import cgroups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.json_object import JsonObject

TOKEN_VARIABLE = "RTMBENCH_SUPERVISED"  # noqa: S105 - a marker, not a secret
REAP_TIMEOUT_S = 5.0
GROUP_TIMEOUT_S = 0.5


def state_directory() -> Path:
    """Return the directory of the journal, created; below the temporary directory where HOME is read-only."""
    for path in (
        platformdirs.user_state_path("rtmbench") / "processes",
        Path(tempfile.gettempdir()) / f"rtmbench-state-{os.getuid()}",
    ):
        with contextlib.suppress(OSError):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if os.access(path, os.W_OK | os.X_OK) and path.stat().st_uid == os.getuid():
                return path
    return Path(tempfile.mkdtemp(prefix="rtmbench-state-"))


def new_token() -> str:
    """Return the mark that a child and all its descendants carry in their environment."""
    return uuid.uuid4().hex


def marked(token: str) -> list[psutil.Process]:
    """Return the living processes of this user whose environment carries the mark."""
    processes = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(TOKEN_VARIABLE) == token:
                processes.append(process)
    return processes


def kill_marked(token: str, timeout_s: float = REAP_TIMEOUT_S) -> int:
    """Kill every process that carries the mark; return how many there were."""
    deadline = time.monotonic() + timeout_s
    killed: set[int] = set()
    while processes := marked(token):
        for process in processes:
            killed.add(process.pid)
            with contextlib.suppress(psutil.Error):
                process.kill()
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return len(killed)


def record_work(state: Path, work: Path) -> Path:
    """Note a work directory and its owner, so that a later run removes it should this program be killed."""
    owner = psutil.Process()
    path = state / f"{new_token()}.work.json"
    entry = {"work": str(work), "owner": owner.pid, "owner_started": owner.create_time()}
    path.write_text(json.dumps(entry), encoding="utf-8")
    return path


def record_group(state: Path, directories: Sequence[Path]) -> Path:
    """Note the control groups of an engine and their owner, so that a later run removes them, as with `record_work`."""
    owner = psutil.Process()
    path = state / f"{new_token()}.group.json"
    entry = {
        "group": [str(directory) for directory in directories],
        "owner": owner.pid,
        "owner_started": owner.create_time(),
    }
    path.write_text(json.dumps(entry), encoding="utf-8")
    return path


def _alive(pid: int, started: float | None = None) -> bool:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and (
            started is None or abs(process.create_time() - started) < 1.0
        )
    return False


def _supervises(entry: JsonObject) -> bool:
    """Return whether the supervisor of a journal entry still runs; it does the work better than this process."""
    with contextlib.suppress(psutil.Error, OSError):
        process = psutil.Process(int(entry["supervisor"]))
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(TOKEN_VARIABLE) == entry["token"]
    return False


def reap_stale(state: Path | None = None) -> list[str]:
    """Kill the children whose supervisor is gone; remove work directories and control groups whose owner is gone.

    Returns what was cleaned up, one phrase each. Entries of programs that still run are left alone.
    """
    state = state or state_directory()
    done = []
    # Directories come last: "….work.json" and "….group.json" are removed once no process is in them.
    for path in sorted(state.glob("*.json"), key=lambda path: path.name.endswith((".work.json", ".group.json"))):
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if "work" in entry:
            if _alive(entry["owner"], entry["owner_started"]):
                continue
            shutil.rmtree(entry["work"], ignore_errors=True)
            done.append(f"directory {entry['work']}")
        elif "group" in entry:
            if _alive(entry["owner"], entry["owner_started"]):
                continue
            groups = [Path(group) for group in entry["group"]]
            if not cgroups.remove(groups, GROUP_TIMEOUT_S):
                continue  # its processes are still being ended
            done.append(f"control group {groups[0].name}")
        else:
            if _supervises(entry):
                continue
            if kill_marked(entry["token"]):
                done.append(f"process {entry['name']} ({entry['child']})")
        with contextlib.suppress(OSError):
            path.unlink()
    return done


__all__ = [
    "TOKEN_VARIABLE",
    "kill_marked",
    "marked",
    "new_token",
    "reap_stale",
    "record_group",
    "record_work",
    "state_directory",
]
