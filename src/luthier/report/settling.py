"""What more test examples or seeds would settle, where the study leaves an arm undecided against the best."""

from __future__ import annotations

import math
from collections.abc import Sequence

from luthier.core.statistics import seeds_or_items_needed
from luthier.report import formats
from luthier.report.findings import ArmSummary, rank
from luthier.report.pairing import Terms


def settles(arms: Sequence[ArmSummary], terms: Terms) -> tuple[str, ...]:
    """A sentence for each contender that is neither shown to be as good as the best nor shown to be worse.

    The arms with the better means come first: they may yet be the best.
    """
    ranked = rank([arm for arm in arms if arm.contender], terms.primary, terms.primary in terms.lower_is_better)
    undecided = [arm for arm in ranked if arm.against_best is not None and arm.against_best.outcome == "undecided"]
    return tuple(sentence for arm in undecided if (sentence := _settles(arm, ranked[0], terms)))


def _settles(arm: ArmSummary, best: ArmSummary, terms: Terms) -> str:
    found = arm.against_best
    assert found is not None
    size = terms.margin or abs(found.difference)
    if found.found is None or not size > 0:
        return ""
    need = seeds_or_items_needed(found.found, size)
    units = "clusters of test examples" if terms.clusters else "test examples"
    text = f"Undecided between {arm.arm} and {best.arm}: "
    settle = f"would settle a difference of {formats.score(size)}"
    here = found.found.variation
    if here is not None and ((need.items or math.inf) <= here.items or (need.seeds or math.inf) <= here.seeds):
        return (
            f"{text}the study is large enough to see a difference of {formats.score(size)}; a few more {units} will do."
        )
    if need.items and need.seeds:
        return f"{text}about {_rounded(need.items)} {units}, or {need.seeds:,} seeds, {settle}."
    if need.items:
        return f"{text}about {_rounded(need.items)} {units} {settle}; more seeds alone would not."
    if need.seeds:
        return f"{text}{need.seeds:,} seeds {settle}; more {units} alone would not."
    return f"{text}it takes both more seeds and more {units} to settle a difference of {formats.score(size)}."


def _rounded(number: int) -> str:
    """Two digits: the figure comes from variances that are themselves estimated."""
    places = max(0, len(str(number)) - 2)
    return f"{round(number, -places):,}"
