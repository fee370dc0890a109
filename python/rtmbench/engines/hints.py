"""Where a newer version does better than the one that was asked for: one line, with the command to try it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rtmbench.engines.variants import PLAIN_MODES, choose, variants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.engines.base import EngineSpec
    from rtmbench.patterns import Pattern

BETTER = "4.3"
"""The first Spark that streams a pattern with state."""


def pointer(spec: EngineSpec, pattern: Pattern, engines: Sequence[EngineSpec]) -> str:
    """Return the line for an engine whose default at a pattern is not real time; empty where there is nothing to say.

    That is so where a mode was asked for, where the default streams, and where the better version runs anyway.
    """
    if spec.mode or spec.engine != "spark" or pattern.job is not None:
        return ""
    default = choose(spec, pattern)
    better = replace(spec, version=BETTER)
    if default.mode in PLAIN_MODES or better in engines or variants(pattern, "spark", BETTER)[0].mode != "rtm":
        return ""
    others = [str(each) for each in engines if each.engine == "flink" and not each.mode]
    command = f"rtmbench run {pattern.id} --engines {','.join([*others, str(better)])}"
    return (
        f"{spec} runs pattern {pattern.id} as {default.mode}, not in real time: "
        f"its Real-Time Mode has no state. {better} does it: `{command}`"
    )
