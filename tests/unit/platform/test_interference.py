from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from rtmbench.experiment.resources import ResourceMeter
from rtmbench.platform import interference
from rtmbench.platform.interference import InterferenceMeter
from rtmbench.platform.process import Process

if TYPE_CHECKING:
    from pathlib import Path

HERTZ = os.sysconf("SC_CLK_TCK")


class Supervised:
    """What the meter asks of a process: where its supervisor is."""

    def __init__(self, supervisor: int) -> None:
        self.supervisor = supervisor


class Machine:
    """A /proc that is made up."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pressure("some avg10=1.00 avg60=1.00 avg300=1.00 total=1000000\nfull avg10=0.00 total=500\n")

    def pressure(self, text: str) -> None:
        (self.root / "pressure").mkdir(exist_ok=True)
        (self.root / "pressure" / "cpu").write_text(text)

    def cpu(self, *, user: float, nice: float = 0, system: float = 0, irq: float = 0, steal: float = 0) -> None:
        columns = [user, nice, system, 900.0, 7.0, irq, irq, steal, 0, 0]
        ticks = " ".join(str(round(seconds * HERTZ)) for seconds in columns)
        (self.root / "stat").write_text(f"cpu  {ticks}\ncpu0 0\ncpu1 0\nintr 5 0\n")

    def process(self, pid: int, parent: int, *, own_s: float, children_s: float = 0, threads=()) -> None:
        place = self.root / str(pid)
        (place / "task").mkdir(parents=True, exist_ok=True)
        times = f"{round(own_s * HERTZ)} 0 {round(children_s * HERTZ)} 0"
        (place / "stat").write_text(f"{pid} (a (strange) name) S {parent} 1 1 0 -1 0 0 0 0 0 {times} 20 0 1 0 5\n")
        for task in list((place / "task").iterdir()):
            for file in task.iterdir():
                file.unlink()
            task.rmdir()
        for task, delay_s, switches in threads:
            (place / "task" / str(task)).mkdir()
            (place / "task" / str(task) / "schedstat").write_text(f"123 {round(delay_s * 1e9)} 4\n")
            (place / "task" / str(task) / "status").write_text(
                f"Name:\tx\nvoluntary_ctxt_switches:\t{switches}\nnonvoluntary_ctxt_switches:\t1\n"
            )


def test_ledger_of_a_made_up_machine(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(interference.os, "getpid", lambda: 100)
    machine = Machine(tmp_path)
    # 100 harness; 110 engine's supervisor with 111 and, below it, 112; 120 broker's supervisor with 121; 200 another.
    machine.cpu(user=50, system=10, irq=3, steal=1)
    machine.process(100, 1, own_s=5, children_s=99, threads=[(100, 0.5, 10)])
    machine.process(110, 100, own_s=0.1)
    machine.process(111, 110, own_s=1, threads=[(111, 1.0, 100), (113, 3.0, 300)])
    machine.process(112, 111, own_s=2, threads=[(112, 0.0, 0)])
    machine.process(120, 100, own_s=0.1)
    machine.process(121, 120, own_s=3, threads=[(121, 0.1, 7)])
    machine.process(200, 1, own_s=40, threads=[(200, 9.0, 9)])
    meter = InterferenceMeter(Supervised(120), proc=tmp_path)
    meter.start([Supervised(110)])
    machine.cpu(user=60, nice=2, system=13, irq=8, steal=1.5)
    machine.process(100, 1, own_s=6, children_s=99, threads=[(100, 0.75, 20)])
    machine.process(110, 100, own_s=0.2, children_s=0.3)
    # A thread has ended, one has begun, and a process has ended and was waited for.
    machine.process(111, 110, own_s=3, children_s=2.5, threads=[(111, 1.5, 150), (114, 0.25, 5)])
    for file in (tmp_path / "112").rglob("*"):
        if file.is_file():
            file.unlink()
    machine.process(121, 120, own_s=5, threads=[(121, 0.2, 17)])
    machine.process(200, 1, own_s=43, threads=[(200, 19.0, 9)])
    machine.pressure("some avg10=1.00 avg60=1.00 avg300=1.00 total=3500000\n")
    found = meter.stop()
    assert found is not None
    assert found.cores == 2
    engine, kafka, harness = (found.roles[role] for role in ("engine", "kafka", "harness"))
    # 1 + 2 before; 3 and what was waited for, 2.5 and 0.3, after.
    assert (engine.cpu_s, engine.run_delay_s, engine.switches) == (2.8, 0.75, 50 + 6)
    assert (kafka.cpu_s, kafka.run_delay_s, kafka.switches) == (2.0, 0.1, 10)
    assert (harness.cpu_s, harness.run_delay_s, harness.switches) == (1.0, 0.25, 10)
    # 10 + 2 + 3 of the machine, less 2.8 + 2 + 1 of the roles and 0.1 of the supervisors; interrupts are nobody's.
    assert found.other_cpu_s == pytest.approx(9.1)
    assert found.steal_s == 0.5
    assert found.pressure_s == 2.5
    assert found.broker_gc_ms is None


def test_rest_is_never_negative_and_pressure_may_be_unknown(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(interference.os, "getpid", lambda: 100)
    machine = Machine(tmp_path)
    (tmp_path / "pressure" / "cpu").unlink()
    machine.cpu(user=50)
    machine.process(100, 1, own_s=5, threads=[(100, 0.5, 10)])
    meter = InterferenceMeter(None, proc=tmp_path)
    meter.start([])
    machine.process(100, 1, own_s=7, threads=[(100, 0.5, 10)])
    found = meter.stop()
    assert found is not None
    assert found.other_cpu_s == 0
    assert found.pressure_s is None
    assert set(found.roles) == {"harness"}


def test_system_without_proc_has_no_ledger(tmp_path: Path):
    meter = InterferenceMeter(None, proc=tmp_path / "nowhere")
    meter.start([])
    assert meter.stop() is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_stranger_and_an_engine_are_told_apart(tmp_path: Path):
    burn = (
        "import time\nend = time.process_time() + {0}\nwhile time.process_time() < end: pass\n"
        "print('done', flush=True)\n"
    )
    engine = Process(
        "engine",
        [sys.executable, "-c", burn.format(0.3) + "time.sleep(600)"],
        env=dict(os.environ),
        cwd=tmp_path,
        log=tmp_path / "engine.log",
        state=tmp_path,
    )
    meter = ResourceMeter(kafka=None)
    try:
        engine.start()
        meter.start([engine])
        subprocess.run(
            [sys.executable, "-c", burn.format(0.8)], check=True, stdout=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + 30
        while "done" not in (tmp_path / "engine.log").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        meter.stop()
    finally:
        engine.stop(grace_s=0)
    found = meter.interference
    assert found is not None
    load = found.roles["engine"]
    assert load.cpu_s is not None
    assert 0.2 <= load.cpu_s <= 0.6
    assert load.run_delay_s is not None
    assert load.switches is not None
    assert found.other_cpu_s is not None
    assert found.other_cpu_s >= 0.4
    cpu, _ = meter.resources()
    assert cpu.engine == pytest.approx(load.cpu_s, abs=0.1)
