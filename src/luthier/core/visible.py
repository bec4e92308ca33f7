"""What a study could have seen: the smallest visible difference, and how many items or seeds a given one needs.

With standard error SE and f degrees of freedom at level alpha (`crossed_effects.py`), t = mean / SE is about noncentral
t where the true difference is d, so the difference found with a given power solves

    P(T_f(d / SE) > t[f, 1 - alpha / 2]) = power

(Cohen 1988, "Statistical power analysis for the behavioral sciences"; the chance of finding it with the wrong sign is
left out). For many degrees of freedom d = (1.96 + 0.84) SE at alpha 0.05 and power 0.8. For other numbers of seeds and
items SE and f follow from the estimated variances of the effects (Brennan 2001, "Generalizability theory", calls this a
decision study).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from luthier.core.crossed_effects import Variation

MOST_ITEMS = 10_000_000
MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Needed:
    """Items at the present number of seeds, or seeds at the present number of items; None where no number would do."""

    items: int | None
    seeds: int | None


def visible(variation: Variation, power: float, alpha: float) -> float:
    """The d of the module's docstring; nan (untold) where nothing varied, and for a single item."""
    from scipy.special import nctdtrinc, stdtrit

    error = variation.standard_error(alpha)
    if math.isnan(error) or error == 0:
        return math.nan
    freedom = variation.freedom(alpha)
    return error * float(nctdtrinc(freedom, 1 - power, -stdtrit(freedom, alpha / 2)))


def needed(variation: Variation, size: float, power: float, alpha: float) -> Needed:
    """The least number of items, and of seeds, at which `visible` is at most `size`; None too where it is untold."""

    def with_items(items: int) -> bool:
        return visible(variation.planned(variation.seeds, items), power, alpha) <= size

    def with_seeds(seeds: int) -> bool:
        return visible(variation.planned(seeds, variation.items), power, alpha) <= size

    return Needed(
        items=_least(with_items, MOST_ITEMS) if variation.items > 1 else None,
        seeds=_least(with_seeds, MOST_SEEDS) if variation.seeds > 1 else None,
    )


def _least(enough: Callable[[int], bool], most: int) -> int | None:
    """The least number from 2 to `most` that is enough, where more never hurts; None where `most` is not."""
    if not enough(most):
        return None
    short, plenty = 1, 2
    while plenty < most and not enough(plenty):
        short, plenty = plenty, min(2 * plenty, most)
    while plenty - short > 1:
        middle = (short + plenty) // 2
        short, plenty = (short, middle) if enough(middle) else (middle, plenty)
    return plenty
