"""What more test examples or seeds would settle, where the study leaves an arm undecided against the best."""

from __future__ import annotations

import math
from collections.abc import Sequence

from luthier.core.statistics import seeds_or_items_needed
from luthier.report import formats
from luthier.report.findings import ArmSummary, rank
from luthier.report.measured import Comparison
from luthier.report.pairing import ALPHA, Terms


def settles(arms: Sequence[ArmSummary], terms: Terms) -> tuple[str, ...]:
    """A sentence for each contender that is neither shown to be as good as the best nor shown to be worse.

    The arms with the better means come first: they may yet be the best.
    """
    ranked = rank([arm for arm in arms if arm.contender], terms.primary, terms.primary in terms.lower_is_better)
    family = [(arm, arm.against_best) for arm in ranked if arm.against_best is not None]
    undecided = [(arm.arm, found) for arm, found in family if found.outcome == "undecided"]
    said = (_settles(name, ranked[0].arm, found, len(family), terms) for name, found in undecided)
    return tuple(sentence for sentence in said if sentence)


def _settles(name: str, best: str, found: Comparison, family: int, terms: Terms) -> str:
    """What it takes if the true difference is the one seen.

    An arm is then shown to be worse once that difference is seen (as one of a family), or shown to be not worse by the
    margin once the rest of the margin is: the easier of the two settles it.
    """
    seen = abs(found.difference)
    worse = seen > terms.margin - seen
    size = seen if worse else terms.margin - seen
    if found.found is None or found.found.variation is None or not size > 0:
        return ""
    need = seeds_or_items_needed(found.found, size, alpha=ALPHA, comparisons=family if worse else 1)
    here = found.found.variation
    units = "clusters of test examples" if terms.clusters else "test examples"
    text = f"Undecided between {name} and {best} ({formats.signed(found.difference)}): "
    settle = "would settle it, if the true difference is the one seen"
    if (need.items or math.inf) <= here.items or (need.seeds or math.inf) <= here.seeds:
        return f"{text}the study is all but large enough; a few more {units} {settle}."
    if need.items and need.seeds:
        return f"{text}about {_rounded(need.items)} {units}, or {need.seeds:,} seeds, {settle}."
    if need.items:
        alone = "; more seeds alone would not" if here.seeds > 1 else ""
        return f"{text}about {_rounded(need.items)} {units} {settle}{alone}."
    if need.seeds:
        alone = f"; more {units} alone would not" if here.items > 1 else ""
        return f"{text}{need.seeds:,} seeds {settle}{alone}."
    return f"{text}it takes both more seeds and more {units}."


def _rounded(number: int) -> str:
    """Two digits: the figure comes from variances that are themselves estimated."""
    places = max(0, len(str(number)) - 2)
    return f"{round(number, -places):,}"
