"""Calibration: does a model that says 80% come true in 80%? And is it right where it is sure?

With p_i the probability that the model gives to its own answer, y_i whether that was right, and bins B_1 .. B_K:

    ECE = sum over k of |B_k| / n * |mean of y in B_k - mean of p in B_k|

Guo et al. 2017, arXiv 1706.04599, with bins of equal width. HELM (Liang et al. 2022, arXiv 2211.09110)
takes ten bins of equal mass, one bin (`|accuracy - mean confidence|`), the accuracy of the 10% that the model is surest
of, and the area under the curve of accuracy against coverage. HELM computes them with Kumar et al.'s
`uncertainty-calibration` (arXiv 1909.10155), whose conventions are kept here: a border between two bins lies midway
between its neighbours, so that equal confidences share a bin; and "the 10%" are floor(n / 10) + 1 items. Only the order
of equal confidences, which is left to chance there, is averaged over here.

    p = .95 .85 .75 .65 .55 .9 .8 .7 .6 .99    y = 1 1 0 1 0 1 0 1 0 1    1 bin .174, 10 bins of equal mass .366
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 10
"""HELM's number of bins (`ece_10_bin`)."""
SUREST = 0.1
"""HELM's share of the items that a model is surest of (`selective_acc@10`)."""
_DRAWS = 200
"""How often answers are drawn to see what ECE chance alone gives: its mean is then known to about 2%."""

Floats = NDArray[np.float64]


def choice_confidence(log_likelihoods: Sequence[float]) -> float:
    """The probability of the most probable of some candidates: the largest softmax of their log-likelihoods.

    Args:
        log_likelihoods: natural logarithms, one a candidate.

    Returns:
        A probability from 1 / candidates to 1; nan where a log-likelihood is not a number, or none is above -inf.
    """
    values = np.asarray(log_likelihoods, dtype=np.float64)
    if not values.size or np.isnan(values).any() or not np.isfinite(values.max()):
        return float("nan")
    return float(1 / np.exp(values - values.max()).sum())


def expected_calibration_error(probabilities: ArrayLike, correct: ArrayLike, bins: int = BINS) -> float:
    """ECE with bins of equal mass (module docstring); with one bin `|accuracy - mean confidence|`.

    Args:
        probabilities: shape (items,), what the model gave to its answers, from 0 to 1.
        correct: shape (items,), 1 where the answer was right, else 0.
        bins: 10 as in HELM; no more than there are items are made.

    Raises:
        ValueError: no items, unequal lengths, values outside of [0, 1], or fewer than one bin.
    """
    p, y = _checked(probabilities, correct)
    if bins < 1:
        raise ValueError(f"{bins} bins: one at least")
    _, number = np.unique(_places(p, bins), return_inverse=True)
    return float(np.abs(np.bincount(number, weights=y - p)).sum() / len(p))


def calibrated_error(probabilities: ArrayLike, bins: int = BINS, seed: int = 0) -> float:
    """The ECE that a perfectly calibrated model with these confidences shows on so few items, by chance alone.

    Its answers are right as often as it says: y is drawn 200 times from Bernoulli(p), and the mean ECE is given. ECE is
    never below zero, so it is biased upwards, the more the fewer items a bin has (Kumar et al. 2019, arXiv 1909.10155).

    Args:
        probabilities, bins: as in `expected_calibration_error`.
        seed: of the draws.
    """
    p, _ = _checked(probabilities, np.zeros(np.shape(probabilities)))
    rng = np.random.default_rng(seed)
    return float(np.mean([expected_calibration_error(p, rng.random(len(p)) < p, bins) for _ in range(_DRAWS)]))


def selective_accuracy(probabilities: ArrayLike, correct: ArrayLike, share: float = SUREST) -> float:
    """The accuracy on the items that the model is surest of: HELM's `selective_acc@10`.

    Args:
        probabilities, correct: as in `expected_calibration_error`.
        share: of the items, in [0, 1); floor(share * n) + 1 of them are taken. 0.1 as in HELM.

    Raises:
        ValueError: as `expected_calibration_error`, or the share is outside of [0, 1).
    """
    if not 0 <= share < 1:
        raise ValueError(f"a share of {share}: from 0 to below 1")
    curve = coverage_curve(probabilities, correct)
    return float(curve[int(share * len(curve))])


def coverage_accuracy_area(probabilities: ArrayLike, correct: ArrayLike) -> float:
    """The area under the curve of accuracy against coverage: the mean of `coverage_curve`.

    A model that is right most where it is surest lies above its accuracy.

    Raises:
        ValueError: as `expected_calibration_error`.
    """
    return float(coverage_curve(probabilities, correct).mean())


def coverage_curve(probabilities: ArrayLike, correct: ArrayLike) -> Floats:
    """The accuracy on the k items that the model is surest of, k = 1 .. n; shape (items,).

    Among items of one confidence every order is as likely: each counts as their mean.

    Raises:
        ValueError: as `expected_calibration_error`.
    """
    p, y = _checked(probabilities, correct)
    _, group = np.unique(-p, return_inverse=True)  # groups in the order of falling confidence
    means = np.bincount(group, weights=y) / np.bincount(group)
    return np.asarray(np.cumsum(means[np.sort(group)]) / np.arange(1, len(p) + 1), dtype=np.float64)


def _places(p: Floats, bins: int) -> NDArray[np.intp]:
    """The bin of each probability: borders midway between neighbours of equal parts of the sorted list."""
    parts = np.array_split(np.sort(p), min(bins, len(p)))
    borders = [(before[-1] + after[0]) / 2 for before, after in pairwise(parts)]
    return np.searchsorted(np.unique(borders), p, side="left")


def _checked(probabilities: ArrayLike, correct: ArrayLike) -> tuple[Floats, Floats]:
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if p.ndim != 1 or p.shape != y.shape or not len(p):
        raise ValueError(f"probabilities of shape {p.shape} and answers of shape {y.shape}: give one of each an item")
    if not (((p >= 0) & (p <= 1)).all() and ((y >= 0) & (y <= 1)).all()):  # false for nan, too
        raise ValueError("probabilities and answers lie between 0 and 1")
    return p, y
