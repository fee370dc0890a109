"""The effective settings of the engines side by side: what is equal, what differs, and what a difference means."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from rtmbench.kafka import clients
from rtmbench.results.model import EngineSettings, ParityRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rtmbench.experiment.settings import Settings
    from rtmbench.results.model import EngineFacts, Scalar


class _Setting(NamedTuple):
    """One row: the name of the setting in `EngineSettings` or in a group of it, and what people call it."""

    key: str
    label: str
    note: str = ""


KAFKA_CLIENT = _Setting(
    "kafka-clients",
    "Kafka client",
    "each engine's connector is built for one; the settings below are explicit on both sides",
)
_GROUPS = ("kafka_clients", "others")


def load_rows(settings: Settings) -> dict[str, Scalar]:
    """Return the load of a run, by label: the same for every engine."""
    fixed = clients.generator_settings()
    values: dict[str, Scalar | None] = {
        "arrivals": settings.arrivals,
        "keys": "uniform" if settings.zipf is None else f"zipf {settings.zipf:g}",
        "events out of order": settings.out_of_order,
        "late events": settings.late,
        "precision": fixed.pop("precision"),
        "linger.ms": settings.linger_ms,
        **fixed,
    }
    return {f"load generator: {label}": value for label, value in values.items() if value is not None}


def parity(facts: Mapping[str, EngineFacts], common: Mapping[str, Scalar] | None = None) -> list[ParityRow]:
    """Put the settings of several engines side by side.

    `facts` is what each engine reported (`Engine.facts()`), by the name of its column; engines without settings get no
    column. `common` are rows in which all engines are the same. Returns one row for each setting that some engine has.
    """
    read_back = {name: _values(engine_facts.settings) for name, engine_facts in facts.items()}
    columns = {name: settings for name, settings in read_back.items() if settings}
    rows = []
    for setting in _settings(columns.values()):
        values: dict[str, Scalar | None] = {name: known.get(setting.key) for name, known in columns.items()}
        present = [value for value in values.values() if value is not None]
        if not present:
            continue
        same = len(present) == len(values) and len({_plain(value) for value in present}) == 1
        rows.append(ParityRow(setting=setting.label, values=values, same=same, note="" if same else setting.note))
    for label, value in (common or {}).items() if columns else ():
        same_for_all: dict[str, Scalar | None] = dict.fromkeys(columns, value)
        rows.append(ParityRow(setting=label, values=same_for_all, same=True))
    return rows


def _values(settings: EngineSettings) -> dict[str, Scalar]:
    """Return the settings that an engine has, by name."""
    names = [f.name for f in dataclasses.fields(settings) if f.name not in _GROUPS]
    single: dict[str, Scalar | None] = {name: getattr(settings, name) for name in names}
    values: dict[str, Scalar | None] = {**single, **settings.kafka_clients, **settings.others}
    return {name: value for name, value in values.items() if value is not None}


def _settings(columns: Iterable[Mapping[str, Scalar]]) -> list[_Setting]:
    """Return the settings in the order of the table; those without a separate label are last, by name."""
    fields = [f for f in dataclasses.fields(EngineSettings) if f.name not in _GROUPS]
    labelled = [_Setting(f.name, f.metadata["label"], f.metadata["note"]) for f in fields]
    for kind, settings in (("source", clients.SOURCE), ("sink", clients.SINK)):
        labelled += [_Setting(f"{kind}.{name}", f"{kind} {name}") for name in settings]
    labelled.insert(len(fields), KAFKA_CLIENT)
    known = {setting.key for setting in labelled}
    keys = dict.fromkeys(key for column in columns for key in column)
    return [*labelled, *(_Setting(key, key) for key in keys if key not in known)]


def _plain(value: Scalar) -> str:
    """Spell equal values in the same way: of the values read back, some are numbers and some are text."""
    return str(value).lower()


__all__ = ["load_rows", "parity"]
