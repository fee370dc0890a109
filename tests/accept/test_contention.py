"""What disturbs a trial from outside is seen, and nothing is seen where nothing disturbs it; for a quiet machine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading

import pytest

pytestmark = [pytest.mark.accept, pytest.mark.timeout(1800)]

ENGINES = ("flink@1.20", "spark@4.3")
COMMAND = [sys.executable, "-m", "rtmbench", "run", "01", "--quick", "--trials", "3", "--rate", "1000", "--json"]
COMMAND += ["--engines", ",".join(ENGINES)]
BURN = [sys.executable, "-c", "import time\nend = time.monotonic() + 300\nwhile time.monotonic() < end: pass"]
DISTURBED = 2
"""The number of the trial that is disturbed."""


class Burners:
    """A busy process for each of two cores while the disturbed trial of an engine is measured."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []

    def follow(self, line: str) -> None:
        """Start or stop with what the command reports of its progress."""
        if re.search(rf"trial {DISTURBED}/3 · measure", line) and not self._processes:
            self._processes = [subprocess.Popen(BURN, start_new_session=True) for _ in range(2)]
        elif re.search(rf"trial {DISTURBED}/3 · drain", line):
            self.stop()

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes = []


def statuses(directory, follow=lambda _line: None):
    """Run the command and return each engine's statuses in the order of the trials."""
    with subprocess.Popen(COMMAND, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        progress = threading.Thread(target=lambda: [follow(line) for line in run.stderr])
        progress.start()
        document = json.loads(run.stdout.read())
        progress.join()
    return {cell["name"]: [trial["status"] for trial in cell["trials"]] for cell in document["cells"]}


def test_exactly_the_disturbed_trial_is_contended(tmp_path):
    burners = Burners()
    try:
        found = statuses(tmp_path, burners.follow)
    finally:
        burners.stop()
    assert found == {engine: ["valid", "contended", "valid"] for engine in ENGINES}


def test_without_a_disturbance_no_trial_is_contended(tmp_path):
    assert statuses(tmp_path) == {engine: ["valid"] * 3 for engine in ENGINES}
