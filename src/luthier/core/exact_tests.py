"""Tests that need no normal distribution, for one seed and few or binary scores."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MOST_ENUMERATED = 16
"""Units up to which all sign flips are tried (2^16 = 65,536); beyond, as many are drawn at random."""


def mcnemar(only_a: int, only_b: int) -> float:
    """The two-sided exact p of two arms that answer the same items right or wrong.

    McNemar 1947, Psychometrika 12, "Note on the sampling error of the difference between correlated proportions". Only
    items on which the arms disagree speak: were the arms equal, each would fall to either side like a coin,

        p = min(1, 2 P(Binomial(only_a + only_b, 1/2) <= min(only_a, only_b)))

    Args:
        only_a: items that a alone has right.
        only_b: items that b alone has right.
    """
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def sign_flip(differences: NDArray[np.float64], seed: int = 0) -> float:
    """The two-sided p of paired differences: the share of sign flips whose sum is at least as far from zero.

    Fisher 1935, "The Design of Experiments", section 21. Valid where a difference is as likely to be d as -d under "no
    difference". All 2^n flips up to `MOST_ENUMERATED` differences other than zero; beyond that, 65,536 drawn at random,
    the observed one counted among them (Phipson & Smyth 2010, "Permutation p-values should never be zero"):
    p = (1 + as far) / (1 + drawn).

    Args:
        differences: shape (units,): one per item, or one sum per cluster.
        seed: of the random flips.
    """
    moving = differences[differences != 0]
    if len(moving) == 0:
        return 1.0
    observed = abs(moving.sum()) - 1e-9 * np.abs(moving).sum()  # sums that are equal but for rounding are equal
    as_far = np.abs(_signs(len(moving), seed) @ moving) >= observed
    if len(moving) <= MOST_ENUMERATED:
        return float(as_far.mean())
    return float((1 + as_far.sum()) / (1 + len(as_far)))


@lru_cache(maxsize=1)
def _signs(units: int, seed: int) -> NDArray[np.float64]:
    """Rows of +1 and -1: every one, or as many as there may be, at random. Kept, for a report asks many times."""
    if units <= MOST_ENUMERATED:
        flips = np.arange(1 << units)[:, None] >> np.arange(units) & 1
    else:
        flips = np.random.default_rng(seed).integers(0, 2, size=(1 << MOST_ENUMERATED, units))
    return np.asarray(1.0 - 2.0 * flips, dtype=np.float64)
