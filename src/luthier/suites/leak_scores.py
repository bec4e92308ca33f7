"""What a model scores on the items of a benchmark that stand in its pretraining text, and on those that do not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from luthier.core.statistics import Interval, mean_interval
from luthier.core.unpaired import unpaired_difference
from luthier.suites.items import Item
from luthier.suites.pretraining_leaks import RULES, Found

FEWEST = 10
"""Of fewer items than this, dirty or clean, no difference is told: the interval of a share of ten is half of all that
there is (our choice)."""


@dataclass(frozen=True)
class Apart:
    """One task under one rule.

    Attributes:
        task, rule, measure: of what.
        items: how many of the task are dirty, are clean, and are too short for the rule.
        unscored: dirty and clean items without the measure; they are in no mean.
        dirty, clean: the means of the measure with their intervals; None where no such item was scored.
        difference: dirty less clean, not paired; None where `refused` says why.
        refused: why no difference is told, or None.
    """

    task: str
    rule: str
    measure: str
    items: tuple[int, int, int]
    unscored: int
    dirty: Interval | None
    clean: Interval | None
    difference: Interval | None
    refused: str | None

    def to_json(self) -> dict[str, Any]:
        """Plain data; what could not be told is null."""
        plain = asdict(self)
        plain["items"] = dict(zip(("dirty", "clean", "too_short"), self.items, strict=True))
        for name in ("dirty", "clean", "difference"):
            if plain[name] is not None:
                plain[name] = {key: value if math.isfinite(value) else None for key, value in plain[name].items()}
        return plain


def scores_apart(items: Sequence[Item], found: Sequence[Found], measures: Mapping[str, str]) -> list[Apart]:
    """Every task under every rule.

    Args:
        items: as the model answered them.
        found: of each of them, in the same order.
        measures: task -> the measure that stands for it.
    """
    pairs = list(zip(items, found, strict=True))
    tasks = dict.fromkeys(item.task for item in items)
    return [
        _apart(task, rule, measures[task], [pair for pair in pairs if pair[0].task == task])
        for task in tasks
        for rule in RULES
    ]


def _apart(task: str, rule: str, measure: str, pairs: Sequence[tuple[Item, Found]]) -> Apart:
    by_verdict = {
        verdict: [item for item, found in pairs if found.dirty(rule) is verdict] for verdict in (True, False, None)
    }
    scored = {
        verdict: [item for item in by_verdict[verdict] if math.isfinite(item.values.get(measure, math.nan))]
        for verdict in (True, False)
    }
    dirty, clean = (_mean(scored[verdict], measure) for verdict in (True, False))
    refused = _refusal(len(scored[True]), len(scored[False]))
    told = refused is None and dirty is not None and clean is not None
    return Apart(
        task=task,
        rule=rule,
        measure=measure,
        items=(len(by_verdict[True]), len(by_verdict[False]), len(by_verdict[None])),
        unscored=sum(len(by_verdict[verdict]) - len(scored[verdict]) for verdict in (True, False)),
        dirty=dirty,
        clean=clean,
        difference=unpaired_difference(dirty, clean) if told and dirty and clean else None,
        refused=refused,
    )


def _mean(items: Sequence[Item], measure: str) -> Interval | None:
    if not items:
        return None
    clusters = [item.example.cluster for item in items]
    values = np.array([[item.values[measure] for item in items]])
    return mean_interval(values, clusters=clusters if any(clusters) else None)


def _refusal(dirty: int, clean: int) -> str | None:
    """Why there is no difference to tell, in words."""
    if not dirty:
        return "nothing dirty was scored: all that there is is clean"
    if not clean:
        return "nothing clean was scored: there is nothing to compare with"
    if min(dirty, clean) < FEWEST:
        return f"too few to tell: {dirty} dirty and {clean} clean, and at least {FEWEST} of each are needed"
    return None
