"""All claims, by id."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING

from rtmbench.claims import flink, recovery, shuffle, stated, stateful, stateless, triggers
from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtmbench.claims.model import Claim

CLAIMS: dict[str, Claim] = {
    claim.id: replace(claim, documents=(*claim.documents, *stated.documents(claim.id)))
    for family in (stateless, stateful, shuffle, triggers, recovery, flink)
    for claim in family.FAMILY.claims
}


def find(name: str) -> Claim:
    """Look a claim up by its id. Raises ConfigurationError, which names the nearest one, where there is none."""
    claim = CLAIMS.get(name)
    if claim is None:
        close = difflib.get_close_matches(name, CLAIMS, n=1)
        guess = f" Did you mean {close[0]}?" if close else ""
        raise ConfigurationError(f"Unknown claim {name!r}.{guess} `rtmbench claims --list` shows all of them.")
    return claim


def select(names: Iterable[str] = ()) -> list[Claim]:
    """Return the named claims, or all of them, in the registry's order. Raises ConfigurationError as `find` does."""
    ids = {find(name).id for name in names}
    return [claim for claim in CLAIMS.values() if not ids or claim.id in ids]


__all__ = ["CLAIMS", "find", "select"]
