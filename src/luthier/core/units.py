"""From scores as they were recorded to what is counted: complete seeds, and one column for each item or cluster."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from luthier.core.crossed_effects import Scores, cluster_numbers, cluster_scores

_ROUNDING = 1e-12
"""Differences smaller than this part of the largest score are rounding, and so is what varies by less."""


def complete_scores(scores: Scores, clusters: Sequence[str | None] | None) -> tuple[Scores, NDArray[np.intp] | None]:
    """The seeds that have scores and, of those, the items scored in every seed; and these items' clusters, if any.

    Seeds that all say the same count as one.
    """
    if scores.ndim != 2:
        raise ValueError(f"scores of shape {scores.shape}: give (seeds, items)")
    if clusters is not None and len(clusters) != scores.shape[1]:
        raise ValueError(f"{len(clusters)} clusters for {scores.shape[1]} items")
    scored = ~np.isnan(scores)
    seeds = scored.any(axis=1)
    items = scored[seeds].all(axis=0) if seeds.any() else np.zeros(scores.shape[1], dtype=bool)
    complete = scores[seeds][:, items]
    if len(complete) > 1 and (complete == complete[0]).all():
        complete = complete[:1]
    if clusters is None or complete.size == 0:
        return complete, None
    numbers = cluster_numbers([clusters[int(at)] for at in np.flatnonzero(items)])
    return complete, None if numbers.max() + 1 == len(numbers) else numbers


def differences(a: Scores, b: Scores) -> Scores:
    """a - b; what differs by rounding alone does not differ."""
    found = a - b
    found[np.abs(found) <= _ROUNDING * _size(a, b)] = 0
    return found


def as_units(complete: Scores, numbers: NDArray[np.intp] | None, *scores: Scores) -> Scores:
    """Shape (seeds, units): items, or clusters where there are any; all the same where they vary by rounding alone.

    Args:
        complete, numbers: from `complete_scores`.
        scores: what the rounding is a part of: the arms' scores.
    """
    units = complete if numbers is None else cluster_scores(complete, numbers)
    if units.size and np.ptp(units) <= _ROUNDING * _size(*scores):
        return np.full_like(units, units[0, 0])
    return units


def is_binary(*scores: Scores) -> bool:
    """Whether all the scores are 0 or 1."""
    return all(bool(np.isin(one[~np.isnan(one)], (0, 1)).all()) for one in scores)


def largest_difference(units: Scores, *scores: Scores) -> float:
    """The most that one unit is taken to differ by: `Difference.largest`.

    Args:
        units: differences, from `as_units`.
        scores: the arms' scores.
    """
    if units.shape[1] < 2:
        return math.nan
    of_units = units.mean(axis=0)
    farthest = float(np.abs(of_units - of_units.mean()).max())
    if is_binary(*scores):
        return max(1.0, farthest)
    if farthest > _ROUNDING * _size(*scores):
        return farthest
    least, most = min(float(np.nanmin(one)) for one in scores), max(float(np.nanmax(one)) for one in scores)
    return 1.0 if least >= 0 and most <= 1 else (most - least) or math.nan


def _size(*scores: Scores) -> float:
    """The largest score, whatever its sign; 0 where there is none."""
    return max((float(np.nanmax(np.abs(one))) for one in scores if not np.isnan(one).all()), default=0.0)
