"""Builds result documents for tests: sound by default, changed by keyword."""

from __future__ import annotations

from dataclasses import replace

from rtmbench.results import (
    Cell,
    Counts,
    Host,
    Latency,
    Observation,
    Rate,
    Refusal,
    Resources,
    Result,
    Spread,
    Status,
    Topics,
    Trial,
    cell_status,
    compare_all,
    headline,
)
from rtmbench.results.model import EnginePriority, Interference, ParityRow, RoleLoad, WarmUp

RATE = 1_000


def counts(**changes):
    sound = Counts(
        produced=25_000,
        expected=15_020,
        received=15_020,
        missing=0,
        unexpected=0,
        wrong=0,
        duplicate=0,
    )
    return replace(sound, **changes)


def latency(p50=2_100, *, factor=3.7, **changes):
    """A distribution whose tail grows by `factor`; `p50` in µs."""
    sound = Latency(
        count=9_012,
        censored=0,
        min=p50 // 3,
        p50=p50,
        p90=p50 * 2,
        p95=int(p50 * 2.5),
        p99=int(p50 * factor),
        p99_9=int(p50 * factor * 2),
        max=int(p50 * factor * 4),
        negative=0,
    )
    return replace(sound, **changes)


def trial(number=1, status=Status.VALID, reasons=(), **changes):
    figures = status.has_figures
    sound = Trial(
        trial=number,
        status=status,
        valid=status.usable,
        reasons=list(reasons),
        started_at="2026-11-23T09:30:00Z",
        seconds=15.0,
        cycles=3,
        rate=Rate(requested=RATE, achieved=999.8),
        topics=Topics(input="rtmbench-1-in", output="rtmbench-1-out"),
        latency_us=latency() if figures else None,
        slip_us=Spread(p50=45.0, p99=130.0, max=900.0),
        stall_share=0.004 if figures else None,
        counts=None if status is Status.REFUSED else counts(),
        cpu_seconds=Resources(engine=9.5, kafka=4.25, harness=1.5),
        peak_rss_mb=Resources(engine=1_420.0, kafka=610.0, harness=88.0),
        hops_ms=hops() if figures else None,
        boundaries_seen=3 if figures else None,
        warm_up=WarmUp(seconds=120.0, boundaries=24, ended_by="boundaries"),
        interference=interference(),
        output_bytes=1_652_200 if figures else None,
        unread_partitions=[] if figures else None,
    )
    return replace(sound, **changes)


def hops(*, engine=(1.0, 5.0, 1.4), scheduled=(0.5, 2.0, 0.45), received=(0.5, 1.5, 0.5)):
    """Hops in ms as (p50, p99, mean); `engine=None` for a floor."""
    found = {"scheduled_to_input": scheduled, "input_to_output": engine, "output_to_received": received}
    return {
        name: Spread(p50=figures[0], p99=figures[1], max=figures[1] * 3, mean=figures[2])
        for name, figures in found.items()
        if figures is not None
    }


def interference(**changes):
    """The ledger of a quiet machine."""
    roles = {"engine": (9.5, 0.42, 61_000), "kafka": (4.25, 0.2, 42_000), "harness": (1.5, 0.08, 30_000)}
    sound = Interference(
        seconds=15.0,
        cores=2,
        roles={name: RoleLoad(cpu_s=cpu, run_delay_s=delay, switches=n) for name, (cpu, delay, n) in roles.items()},
        other_cpu_s=0.3,
        steal_s=0.0,
        pressure_s=1.2,
        broker_gc_ms=14.0,
    )
    return replace(sound, **changes)


def cell(name="flink@1.20", trials=None, *, floor=False, **changes):
    engine, _, version = name.partition("@")
    trials = [trial()] if trials is None else trials
    status = cell_status(trials)
    sound = Cell(
        name=name,
        engine=engine,
        version=version,
        build=f"{version}.4" if version else "0.1.0",
        mode="rtm" if engine == "spark" else "",
        emit="row",
        status=status,
        trials=trials,
        refusal=Refusal(code="SOME.CODE", message="no such thing in real time") if status is Status.REFUSED else None,
        headline=headline(trials, floor=floor),
    )
    return replace(sound, **changes)


def transport(trials=None):
    trials = trials or [trial(latency_us=latency(520, factor=3.1), stall_share=0.0)]
    without = {"hops_ms": hops(engine=None), "cycles": 0, "boundaries_seen": None, "warm_up": None}
    return cell("transport", [replace(one, **without) for one in trials], floor=True)


def result(*cells, floors=None, **changes):
    found = list(cells)
    settings = changes.get("settings", {"rate": RATE, "keys": 100, "partitions": 4, "quick": True})
    sound = Result(
        experiment_id="20261123T093000123Z-01-5f2c9a",
        run_id="20261123T093000123Z-01-5f2c9a",
        pattern="01",
        created_at="2026-11-23T09:30:00.123Z",
        host=Host(
            cpu="Test CPU",
            cores=2,
            memory=24_000,
            os="Linux",
            kernel="6.1",
            shared_cores=True,
            priority=EnginePriority(mechanism="cgroup-v2", effective=True, detail="weight 34 of 100"),
            filesystems={"work": "ext4", "kafka_log": "ext4"},
        ),
        versions={"rtmbench": "0.1.0", "kafka": "4.1.1"},
        settings=settings,
        parity=[ParityRow(setting="acks", values={cell.name: "all" for cell in found}, same=True)],
        cells=found,
        floors=[transport()] if floors is None else floors,
        comparisons=compare_all(found, quick=bool(settings.get("quick"))),
        complete=True,
    )
    return replace(sound, **changes)


def observation(**changes):
    """A trial in which nothing is amiss."""
    sound = Observation(
        counts=counts(),
        backlog=[5.0] * 15,
        rate=RATE,
        cycle_s=5.0,
        cycles=3,
    )
    return replace(sound, **changes)


def scenarios():
    """The runs whose reports are snapshots, by name."""
    slow = latency(2_300, factor=7.8)
    flink3 = [trial(n, latency_us=latency(2_100 + 40 * n)) for n in (1, 2, 3)]
    contended = trial(
        2,
        Status.CONTENDED,
        ["schedule slip of the generator: p99 9.0 ms beside the engine's p99 of 7.8 ms"],
        slip_us=Spread(p50=60.0, p99=9_000.0, max=20_000.0),
    )
    behind = latency(
        9_400_000,
        censored=1_204,
        p99_9=30_000_000,
        max=30_000_000,
        p99=29_400_000,
        p90=22_000_000,
        p95=26_000_000,
        censored_percentiles=["p99", "p99_9", "max"],
    )
    unsustained = trial(
        1,
        Status.UNSUSTAINED,
        [
            "the backlog grew by 410 events/s through the measurement (41.0% of the rate)",
            "1,204 measured events had not come out by the drain deadline",
        ],
        latency_us=behind,
        counts=counts(missing=1_204, received=13_816),
        stall_share=0.31,
    )
    wrong = trial(
        1,
        Status.FAILED,
        ["7 of 15,020 expected events never came out (0.05%)"],
        counts=counts(missing=7, received=15_013),
    )
    void = trial(
        1,
        Status.VOID,
        ["the machine's clock jumped by +12.0 ms during the trial"],
        counts=counts(),
    )
    return {
        "valid": result(cell(), cell("spark@4.1", [trial(latency_us=slow)])),
        "three_trials": result(
            cell("flink@1.20", flink3),
            cell("spark@4.1", [trial(n, latency_us=slow) for n in (1, 2, 3)]),
            floors=[transport([trial(n, latency_us=latency(500 + n)) for n in (1, 2, 3, 4)])],
        ),
        "contended": result(
            cell("flink@1.20", [trial(1), contended]),
            cell("spark@4.1", [trial(1, latency_us=slow), trial(2, latency_us=slow)]),
        ),
        "unsustained": result(cell(), cell("spark@4.1:rtm-unchecked", [unsustained])),
        "failed": result(cell(), cell("spark@4.1", [wrong])),
        "refused": result(
            cell(),
            cell(
                "spark@4.1:rtm",
                [trial(1, Status.REFUSED, ["the engine refused the query: SOME.CODE"])],
            ),
        ),
        "incomplete": result(cell("flink@1.20", [void, trial(1, attempt=2)]), complete=False),
        "nothing": result(floors=[], complete=False),
    }
