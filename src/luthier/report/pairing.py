"""Arms paired by example and seed: the arrays that `luthier.core.statistics` compares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from luthier.core.crossed_effects import Scores
from luthier.core.statistics import Difference, mean_interval, outcome, paired_difference
from luthier.report.measured import Estimate

Column = Mapping[str, float]
"""One run's scores on one measure: example id -> score."""


ALPHA = 0.05
"""Two-sided, by custom."""


@dataclass(frozen=True)
class Terms:
    """On what terms the arms of a group are compared.

    Attributes:
        lower_is_better: the measures that are better where lower.
        margin: the difference in the primary measure that would not matter.
        clusters: example id -> the source that it shares with others; an example without one stands alone.
    """

    primary: str
    lower_is_better: frozenset[str]
    margin: float = 0.0
    clusters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Paired:
    """Two lists of columns on the examples that all of them have; each array has the shape (seeds, items)."""

    ours: Scores
    theirs: Scores
    items: tuple[str, ...]


def pair(ours: Sequence[Column], theirs: Sequence[Column]) -> Paired | None:
    """Both sides, seed by seed, on the examples that every column has; None where there is none."""
    items = shared_items([*ours, *theirs])
    return Paired(as_array(ours, items), as_array(theirs, items), tuple(items)) if items else None


def shared_items(columns: Sequence[Column]) -> list[str]:
    """The examples that every one of the columns has, in test-set order."""
    if not columns:
        return []
    first, *others = columns
    return [item for item in first if all(item in other for other in others)]


def as_array(columns: Sequence[Column], items: Sequence[str]) -> Scores:
    """Shape (seeds, items)."""
    return np.array([[column[item] for item in items] for column in columns], dtype=np.float64)


def told(value: float) -> float | None:
    """None for what the statistics could not tell."""
    return float(value) if math.isfinite(value) else None


def difference_of(paired: Paired, terms: Terms) -> Difference:
    """Ours minus theirs, with its interval and p."""
    return paired_difference(paired.ours, paired.theirs, clusters=_clusters(paired.items, terms))


def told_apart(found: Difference, lower_is_better: bool, p_holm: float | None = None) -> bool | None:
    """True for better, False for worse, None for not told apart: both the interval and p must leave zero out.

    Args:
        p_holm: p after Holm's correction, where the difference is one of a family; its own p otherwise.
    """
    said = outcome(found, 0.0, lower_is_better=lower_is_better, p_holm=p_holm, alpha=ALPHA)
    return {"better": True, "worse": False}.get(said)


def estimate_of(columns: Sequence[Column], terms: Terms) -> Estimate | None:
    """One arm's mean over seeds and items; None where the columns have no example in common."""
    items = shared_items(columns)
    if not items:
        return None
    found = mean_interval(as_array(columns, items), clusters=_clusters(items, terms))
    return Estimate(found.mean, told(found.low), told(found.high), len(items))


def _clusters(items: Sequence[str], terms: Terms) -> list[str | None] | None:
    found = [terms.clusters.get(item) for item in items]
    return found if any(cluster is not None for cluster in found) else None
