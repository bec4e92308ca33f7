"""Wilson's interval for right or wrong, and the same idea for differences that are too rare to tell a variance from.

An interval of mean +- t x standard error takes the variance where the data are. Where few of many items disagree, that
variance is too small whenever losses are few by luck, and both say "no loss" at once: with 300 items, 1% of which are
lost, 1 study in 20 has none lost and an interval of no width. Wilson (1927, JASA 22, "Probable inference, the law of
succession, and statistical inference") takes the variance at the bound instead: were the mean lower by x, more items
would be lost, and the variance higher. To first order a variance grows by third moment / second moment per unit that
the mean moves (exponential tilting: Barndorff-Nielsen & Cox 1989, "Asymptotic techniques for use in statistics"),
so with half the width H of the usual interval and I items the bound lies x below the mean, where

    x^2 = H^2 + t[I - 1]^2 s x / I
    s = max(0, (sum_i (d[.] - d[i])^3 + 4 m^3) / (sum_i (d[i] - d[.])^2 + 4 m^2))

d[i] is an item's difference (its mean over seeds), m the most that an item can differ by: what was not seen yet is
guarded against by four losses of this size, added to both moments. Items without a single disagreement give
x = t^2 m / I, 3.84 m / I for many: the rule of three (Hanley & Lippman-Hand 1983, JAMA 249), which has 3.69 at this
level. Many items of all sizes give x = H. The number four is ours. Counted out for right or wrong, one seed, 50 to
2,000 items, a true loss of the margin of .005 to .1, and gains (with as many losses more) of 0 to .2, 384 combinations:
"not worse" is claimed in at most 3.3% (1.9% on average) for 2.5% nominal; guarding against two such losses in up to
4.3%, against one in 8.6%, and with the usual interval in 78% (6.5% on average). `benchmarks/null_study.py` has several
seeds. Tango's score interval (1998, Statistics in Medicine 17) does as well, but is for one seed, without clusters, and
for right or wrong alone.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_UNSEEN = 4
"""Losses of the largest size that are added to the moments."""


def wilson(share: float, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Wilson's interval of confidence 1 - alpha for a share of n independent items; it stays within [0, 1].

        (share + z^2 / 2n +- z sqrt(share (1 - share) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    Args:
        share: from 0 to 1.
        n: above zero.
        alpha: two-sided; 0.05 by custom.
    """
    from scipy.special import ndtri

    z = -float(ndtri(alpha / 2))
    middle = share + z**2 / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)
    return (0.0 if share == 0 else low), (1.0 if share == 1 else high)


def rare_bounds(
    differences: NDArray[np.float64], half: float, largest: float, alpha: float = 0.05
) -> tuple[float, float]:
    """The bounds of the module's docstring around the mean of `differences`, to hold against a margin.

    Args:
        differences: shape (items,), each the mean over seeds; or one per cluster.
        half: H, half the usual interval's width; nan where it is not told.
        largest: m, the most that an item (a cluster) is taken to differ by; nan where that is not known.
        alpha: of the usual interval, two-sided.

    Returns:
        Lower and upper; nan where `half` or `largest` is.
    """
    if math.isnan(half) or math.isnan(largest):
        return math.nan, math.nan
    mean = float(differences.mean())
    off = (differences - mean) / largest
    second = float((off**2).sum()) + _UNSEEN
    ends = []
    for side in (-1, 1):
        tilt = largest * max(0.0, (side * float((off**3).sum()) + _UNSEEN) / second)
        shift = _t_squared(len(differences), alpha) * tilt / (2 * len(differences))
        ends.append(mean + side * (shift + math.hypot(shift, half)))
    return ends[0], ends[1]


def items_to_rule_out(size: float, largest: float, alpha: float = 0.05) -> int:
    """The least number of items that, without a single disagreement, leave no room for a difference of `size`.

    Args:
        size: above zero.
        largest, alpha: as in `rare_bounds`.
    """

    def needed(items: int) -> float:
        return _t_squared(items, alpha) * largest / size

    items = 2
    while needed(items) > items:
        items = min(math.ceil(needed(items)), 2 * items)
    while items > 2 and needed(items - 1) <= items - 1:
        items -= 1
    return items


def _t_squared(items: int, alpha: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(items - 1, alpha / 2)) ** 2
