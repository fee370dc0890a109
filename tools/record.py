"""Run the commands behind the figures of the documents, on a quiet machine: hours, with interruptions if need be.

    python tools/record.py run DIRECTORY [STEP …]    the next steps, or these; Ctrl-C and the same command continue it
    python tools/record.py status DIRECTORY          which steps are done

Each step is a command as a user types it. All runs are under DIRECTORY/results, so that the noise bands of the A/A runs
count for the others; DIRECTORY/record.json has the commit, the machine and the runs of each step. A step does not start
while anything else runs, and a recording is not continued with another commit or on another machine.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rtmbench import doctor
from rtmbench.platform.machine import describe
from rtmbench.results.store import list_runs

ROOT = Path(__file__).resolve().parents[1]
STATE = "record.json"
NO_VALID_TRIAL = 4
BUSY = 3
QUIET_TRIES, QUIET_WAIT_S = 10, 30.0
TWO = "flink@1.20,spark@4.3"
ALL = "flink@1.20,flink@2.2,spark@4.1,spark@4.2,spark@4.3"


@dataclass(frozen=True)
class Step:
    """One command of the recording."""

    name: str
    command: str
    """After `rtmbench`, or a whole command that begins with `make`."""
    shows: str
    """What the documents take from it."""


STEPS = (
    Step("aa-01", f"run 01 --aa --engines {TWO}", "the noise band of pattern 01"),
    Step("aa-02", f"run 02 --aa --engines {TWO}", "the noise band of pattern 02"),
    Step("pairs-01", f"run 01 --trials 6 --engines {TWO}", "matrix, sample"),
    Step("pairs-02", f"run 02 --trials 6 --engines {TWO}", "matrix, sample"),
    *(Step(f"cells-{n}", f"run {n} --trials 3 --engines {ALL}", "matrix, sample") for n in ("01", "02", "03", "04")),
    Step(
        "interval",
        f"run 02 --trials 3 --engines {TWO} --checkpoint-interval 5s,30s,60s,5m",
        "tuning: the interval of checkpoints and batches",
    ),
    Step("buffer-wait", f"run 02 --trials 3 --engines {TWO} --buffer-wait 1,10,100", "tuning: waits in a buffer"),
    Step(
        "state-backend",
        "run 04 --trials 3 --engines flink@1.20 --state-backend rocksdb,hashmap --keys 100,10000,100000",
        "tuning: state backends over keys",
    ),
    Step(
        "local-files",
        "run 02 --trials 3 --engines spark@4.3 --local-files plain,hadoop",
        "tuning: local files of Spark's checkpoint",
    ),
    Step("claims", "claims", "limitations"),
    Step("bench", "make bench", "performance"),
)


@dataclass
class Recording:
    """What DIRECTORY/record.json holds."""

    commit: str
    machine: dict[str, str | int]
    started_at: str
    experiments: dict[str, str] = field(default_factory=dict)
    """The experiment of each step that was begun."""
    done: dict[str, str] = field(default_factory=dict)
    """When each step ended, ISO 8601, UTC."""
    quiet: dict[str, str] = field(default_factory=dict)
    """The result of the check before each step."""


def run(directory: Path, names: list[str]) -> int:
    """Run the steps that are not done; return the exit code."""
    directory.mkdir(parents=True, exist_ok=True)
    recording = _open(directory)
    for step in STEPS:
        if step.name in recording.done or (names and step.name not in names):
            continue
        code = _step(directory, recording, step)
        if code:
            return code
    return 0


def status(directory: Path) -> int:
    """Print which steps are done, and the command of each."""
    recording = _read(directory / STATE)
    for step in STEPS:
        state = recording.done.get(step.name) if recording else None
        begun = recording is not None and step.name in recording.experiments
        print(f"{step.name:14} {state or ('begun' if begun else '-'):26} {step.command}")
    return 0


def _step(directory: Path, recording: Recording, step: Step) -> int:
    detail = _await_quiet()
    if detail is None:
        print(f"{step.name}: the machine is not quiet; nothing was measured", file=sys.stderr)
        return BUSY
    recording.quiet[step.name] = detail
    results = directory / "results"
    before = _experiments(results)
    command = _command(step, results, recording.experiments.get(step.name))
    print(f"{_now()}  {step.name}: {shlex.join(command)}", flush=True)
    _write(directory, recording)
    with (directory / f"{step.name}.log").open("ab") as log:
        # Settings of the person who records may not leak in; where the engines are kept changes no figure.
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=_environment(), cwd=_place(step, directory)
        )
        try:
            while process.poll() is None:
                time.sleep(1)
                _note(directory, recording, step, before)
        except KeyboardInterrupt:
            process.wait()
            return 130
    _note(directory, recording, step, before)
    print(f"{_now()}  {step.name}: exit code {process.returncode}", flush=True)
    # That a cell has no valid trial is a result too.
    if process.returncode not in (0, NO_VALID_TRIAL):
        return process.returncode
    recording.done[step.name] = _now()
    _write(directory, recording)
    return 0


def _command(step: Step, results: Path, experiment: str | None) -> list[str]:
    if step.command.startswith("make "):
        return step.command.split()
    arguments = ["run", "--resume", experiment] if experiment else step.command.split()
    return [sys.executable, "-m", "rtmbench", *arguments, "--results", str(results.absolute())]


def _place(step: Step, directory: Path) -> Path:
    # In the recording's directory no `rtmbench.toml` of a checkout applies.
    return ROOT if step.command.startswith("make ") else directory


def _note(directory: Path, recording: Recording, step: Step, before: set[str]) -> None:
    """Note the experiment that a step began, so that it can be continued."""
    if not step.command.startswith("run ") or step.name in recording.experiments:
        return
    fresh = _experiments(directory / "results") - before
    if fresh:
        (recording.experiments[step.name],) = fresh
        _write(directory, recording)


def _experiments(results: Path) -> set[str]:
    return {entry.result.experiment_id for entry in list_runs(results) if entry.result is not None}


def _await_quiet() -> str | None:
    """Return the detail of the check on a quiet machine; None where it does not get quiet."""
    for _ in range(QUIET_TRIES):
        check = doctor.check_load(describe())
        if check.status == "ok":
            return check.detail
        print(f"waiting: {check.detail}", flush=True)
        time.sleep(QUIET_WAIT_S)
    return None


def _open(directory: Path) -> Recording:
    commit, machine = _commit(), describe()
    here = Recording(
        commit=commit,
        machine={"cpu": machine.cpu, "cores": machine.cores, "memory_mb": machine.memory_mb, "os": machine.os},
        started_at=_now(),
    )
    before = _read(directory / STATE)
    if before is None:
        _write(directory, here)
        return here
    if (before.commit, before.machine["cpu"], before.machine["cores"]) != (commit, machine.cpu, machine.cores):
        raise SystemExit(
            f"{directory} was recorded from commit {before.commit} on {before.machine['cpu']}. Continue it there, or "
            "begin another directory."
        )
    return before


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()

    if git("status", "--porcelain", "--untracked-files=no"):
        raise SystemExit("The checkout has changes that are not committed: a recording names the commit it is of.")
    return git("rev-parse", "HEAD")


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RTMBENCH_")}
    kept |= {name: os.environ[name] for name in ("RTMBENCH_CACHE",) if name in os.environ}
    kept.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    return kept


def _read(path: Path) -> Recording | None:
    return Recording(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def _write(directory: Path, recording: Recording) -> None:
    fresh = directory / f"{STATE}.new"
    fresh.write_text(json.dumps(asdict(recording), indent=2) + "\n", encoding="utf-8")
    fresh.replace(directory / STATE)


def _now() -> str:
    return dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")


def main() -> int:
    """Run the command line, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "status"])
    parser.add_argument("directory", type=Path, metavar="DIRECTORY")
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of {', '.join(step.name for step in STEPS)}")
    arguments = parser.parse_args()
    unknown = set(arguments.steps) - {step.name for step in STEPS}
    if unknown:
        parser.error(f"unknown step {', '.join(sorted(unknown))}")
    return run(arguments.directory, arguments.steps) if arguments.what == "run" else status(arguments.directory)


if __name__ == "__main__":
    sys.exit(main())
