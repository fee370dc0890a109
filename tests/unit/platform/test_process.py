from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from rtmbench.errors import RunFailedError
from rtmbench.platform import journal
from rtmbench.platform.process import Process, stop_all

if TYPE_CHECKING:
    from pathlib import Path

# A child, a grandchild in a session of its own that ignores TERM, and a great-grandchild whose parent has ended.
FAMILY = """
import os, signal, subprocess, sys, time
stubborn = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
orphan = "import os, time\\nif os.fork() == 0:\\n os.setsid()\\n print('up', flush=True)\\n time.sleep(600)"
a = subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True, stdout=subprocess.PIPE)
b = subprocess.Popen([sys.executable, "-c", orphan], start_new_session=True, stdout=subprocess.PIPE)
a.stdout.readline(); b.stdout.readline()
print("family ready", flush=True)
"""
WAIT = "time.sleep(600)\n"


@pytest.fixture
def make(tmp_path: Path):
    made = []

    def factory(code: str, **options) -> Process:
        process = Process(
            options.pop("name", "child"),
            options.pop("argv", [sys.executable, "-c", code]),
            env={**os.environ, "MARK": "here"},
            cwd=tmp_path,
            log=tmp_path / "child.log",
            state=tmp_path,
            **options,
        )
        made.append(process)
        return process

    yield factory
    stop_all(made, grace_s=0)


def wait_for(condition, timeout_s: float = 10.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def tokens(state: Path) -> list[str]:
    return [json.loads(path.read_text())["token"] for path in state.glob("*.json")]


def test_child_runs_with_its_environment_directory_and_log(make, tmp_path: Path):
    process = make("import os; print(os.environ['MARK'], os.getcwd()); raise SystemExit(7)")
    process.start()
    assert wait_for(lambda: process.poll() is not None)
    assert process.poll() == 7
    assert (tmp_path / "child.log").read_text() == f"here {tmp_path}\n"
    assert tokens(tmp_path) == []


def test_check_names_the_process_its_code_and_the_telling_lines(make):
    process = make("print('starting'); print('ERROR disk is full'); print('bye'); raise SystemExit(3)")
    process.start()
    assert wait_for(lambda: process.poll() is not None)
    with pytest.raises(RunFailedError, match=r"child ended with exit code 3\. .*ERROR disk is full"):
        process.check()


def test_check_names_the_signal(make):
    process = make("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    process.start()
    assert wait_for(lambda: process.poll() is not None)
    with pytest.raises(RunFailedError, match="child ended by SIGKILL"):
        process.check()


def test_program_that_does_not_exist_is_an_error_that_names_it(make, tmp_path: Path):
    process = make("", argv=["/no/such/program"])
    with pytest.raises(RunFailedError, match=r"child could not be started \(/no/such/program\)"):
        process.start()
    assert tokens(tmp_path) == []


def test_stop_ends_descendants_in_other_sessions_that_ignore_term(make, tmp_path: Path):
    process = make(FAMILY + WAIT)
    process.start()
    assert wait_for(lambda: "family ready" in (tmp_path / "child.log").read_text())
    (token,) = tokens(tmp_path)
    assert len(journal.marked(token)) == 4  # supervisor, child, and two others
    begin = time.monotonic()
    process.stop(grace_s=0.5)
    assert time.monotonic() - begin < 3
    assert journal.marked(token) == []
    assert tokens(tmp_path) == []
    process.check()  # an end that was asked for is no failure


def test_descendants_end_when_the_child_ends_by_itself(make, tmp_path: Path):
    process = make(FAMILY)
    process.start()
    (token,) = tokens(tmp_path)
    assert wait_for(lambda: process.poll() == 0)
    assert journal.marked(token) == []


def test_child_may_leave_in_order(make, tmp_path: Path):
    process = make(
        "import signal, sys, time\n"
        "def leave(*_): print('left in order', flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, leave); print('up', flush=True); time.sleep(600)"
    )
    process.start()
    assert wait_for(lambda: "up" in (tmp_path / "child.log").read_text())
    process.stop(grace_s=5)
    assert process.poll() == 0
    assert "left in order" in (tmp_path / "child.log").read_text()


def test_child_is_not_in_the_terminals_group(make):
    process = make("import time; time.sleep(600)")
    process.start()
    assert process.pid is not None
    assert os.getpgid(process.pid) != os.getpgid(0)
    assert os.getsid(process.pid) != os.getsid(0)


OWNER = """
import os, sys, time
from pathlib import Path
from rtmbench.platform.process import Process
state = Path(sys.argv[1])
command = [sys.executable, "-c", sys.argv[2]]
process = Process("child", command, env=dict(os.environ), cwd=state, log=state / "child.log", state=state)
process.start()
print("started", flush=True)
time.sleep(600)
"""


@pytest.fixture
def owner(tmp_path: Path):
    """A program that started a family under a supervisor."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path), FAMILY + WAIT], stdout=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"started\n"
        assert wait_for(lambda: "family ready" in (tmp_path / "child.log").read_text())
        yield program
        program.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_the_owner(owner, tmp_path: Path, number):
    (token,) = tokens(tmp_path)
    owner.send_signal(number)
    owner.wait()
    assert wait_for(lambda: not journal.marked(token), 10)
    assert tokens(tmp_path) == []


def test_reap_stale_ends_what_a_killed_supervisor_and_owner_left(owner, tmp_path: Path):
    (path,) = tmp_path.glob("*.json")
    entry = json.loads(path.read_text())
    os.kill(owner.pid, signal.SIGSTOP)  # it must not notice and help
    os.kill(entry["supervisor"], signal.SIGKILL)
    assert wait_for(lambda: not psutil.pid_exists(entry["child"]))
    assert len(journal.marked(entry["token"])) == 2
    assert journal.reap_stale(tmp_path) == [f"process child ({entry['child']})"]
    assert journal.marked(entry["token"]) == []
    assert list(tmp_path.glob("*.json")) == []


def test_reap_stale_leaves_a_running_program_alone(make, tmp_path: Path):
    process = make("import time; time.sleep(600)")
    process.start()
    assert journal.reap_stale(tmp_path) == []
    assert process.poll() is None


def test_owner_cleans_up_after_a_killed_supervisor(make, tmp_path: Path):
    process = make(FAMILY + WAIT)
    process.start()
    assert wait_for(lambda: "family ready" in (tmp_path / "child.log").read_text())
    (path,) = tmp_path.glob("*.json")
    entry = json.loads(path.read_text())
    os.kill(entry["supervisor"], signal.SIGKILL)
    assert wait_for(lambda: process.poll() is not None)
    assert journal.marked(entry["token"]) == []
    with pytest.raises(RunFailedError, match="child ended by SIGKILL"):
        process.check()


def test_work_directory_of_a_dead_owner_is_removed(tmp_path: Path):
    work = tmp_path / "work"
    work.mkdir()
    (work / "data").write_text("x")
    mine = tmp_path / "mine"
    mine.mkdir()
    code = textwrap.dedent(
        f"""
        from pathlib import Path
        from rtmbench.platform import journal
        journal.record_work(Path({str(tmp_path)!r}), Path({str(work)!r}))
        """
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    journal.record_work(tmp_path, mine)
    assert journal.reap_stale(tmp_path) == [f"directory {work}"]
    assert not work.exists()
    assert mine.exists()


def test_usage_counts_descendants_that_have_ended(make):
    burn = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    process = make(
        f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {burn!r}])\n"
        "x = bytearray(40 << 20)\ntime.sleep(600)"
    )
    process.start()
    assert wait_for(lambda: process.usage().cpu_seconds >= 0.4)
    assert wait_for(lambda: process.usage().rss_mb > 40)
    process.stop(grace_s=1)
    after = process.usage()
    assert after.cpu_seconds >= 0.4
    assert after.rss_mb == 0
    assert after.peak_rss_mb > 40
