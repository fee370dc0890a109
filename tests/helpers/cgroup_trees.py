"""Made-up control group trees: directories that answer as /sys/fs/cgroup does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def proc_of(directory: Path, *, groups: str, mounts: list[tuple[Path, str, str, str]]) -> Path:
    """Write `cgroup` and `mountinfo` as in /proc/self; `mounts` are mount point, root, type and options."""
    proc = directory / "proc"
    proc.mkdir()
    (proc / "cgroup").write_text(groups)
    lines = [
        f"{number} 31 0:29 {root} {str(place).replace(' ', chr(92) + '040')} rw,relatime - {kind} none {options}\n"
        for number, (place, root, kind, options) in enumerate(mounts, start=40)
    ]
    (proc / "mountinfo").write_text("23 1 254:0 / / rw - ext4 /dev/vda rw\n" + "".join(lines))
    return proc


def group(directory: Path, **files: str) -> Path:
    """Write a group's files; the first `_` of a name stands for its dot, as in `cgroup_procs`."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name.replace("_", ".", 1)).write_text(text)
    return directory
