"""Short runs on a mock broker: nothing is checked or fetched before them, and no process of an engine is needed."""

from __future__ import annotations

import itertools
from dataclasses import replace

from rtmbench import _core, doctor
from rtmbench.artifacts import Cache
from rtmbench.experiment import resume, runner
from rtmbench.experiment.settings import resolve as resolved
from rtmbench.experiment.trial_plan import TrialPlan
from rtmbench.kafka import preflight
from rtmbench.results import contention

SHORT = {"rate": 200, "partitions": 1, "keys": 10, "warmup_s": 0.1, "duration_s": 1, "trials": 1, "quick": True}
"""What a request for such a run has."""


def install(monkeypatch, broker, *, drain_s):
    """Let `runner.run` make its topics at the mock broker, and keep its floors short."""
    numbers = itertools.count()

    def create(_admin, topics, *, partitions, **_):
        for topic in topics:
            broker.create_topic(topic, partitions=partitions)

    def resolve(request, machine):
        return replace(
            resolved(request, machine), floor_duration_s=1.0, floor_warmup_s=0.1, broker_warmup_s=0.1, drain_s=drain_s
        )

    monkeypatch.setattr(_core, "create_topics", create)
    monkeypatch.setattr(_core, "delete_topics", lambda *_, **__: None)
    monkeypatch.setattr(doctor, "checks", lambda *_: [])
    monkeypatch.setattr(preflight, "try_topic", lambda *_: None)
    monkeypatch.setattr(Cache, "ensure_many", lambda *_: None)
    monkeypatch.setattr(runner, "resolve", resolve)
    monkeypatch.setattr(resume, "resolve", resolve)
    # Whatever else the machine does meanwhile, these trials are about the order of things.
    monkeypatch.setattr(contention, "judged", lambda cells, floors: (list(cells), list(floors)))
    # The mock keeps its topics, so that no two trials may have one of the same name.
    monkeypatch.setattr(
        TrialPlan, "slug", property(lambda plan: f"{plan.name}-{plan.trial}-{next(numbers)}"), raising=True
    )
