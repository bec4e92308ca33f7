"""Intervals and tests for scores that vary by seed and by item, both drawn at random and crossed.

A score y[s, i] of seed s on item i is taken as `mean + seed_s + item_i + residual_si`, each effect random. With S seeds
and I items, the row means y[s, .], the column means y[., i] and the mean y[., .], the mean squares are

    MS_seed = I sum_s (y[s, .] - y[., .])^2 / (S - 1)
    MS_item = S sum_i (y[., i] - y[., .])^2 / (I - 1)
    MS_residual = sum_si (y[s, i] - y[s, .] - y[., i] + y[., .])^2 / ((S - 1)(I - 1))

and the variance of the mean, with its degrees of freedom (Satterthwaite 1946, Biometrics Bulletin 2, "An approximate
distribution of estimates of variance components"), is

    V = (MS_seed + MS_item - MS_residual) / (S I)
    df = (V S I)^2 / (MS_seed^2 / (S - 1) + MS_item^2 / (I - 1) + MS_residual^2 / ((S - 1)(I - 1)))

(two crossed random effects: Searle, Casella & McCulloch 1992, "Variance Components", chapter 4; in the words of
generalizability theory, the absolute error of a seeds x items design: Brennan 2001). A mean square below MS_residual
speaks for an effect of zero and not for a negative one, so V is never less than MS_item / (S I), with I - 1 degrees of
freedom, nor than MS_seed / (S I), with S - 1. With one seed this is the one-sample t interval over items, and seeds
that all say the same give just that interval too.

With few seeds the interval is approximate. Simulated (1,500 studies at a time, 30 to 200 items, a standard deviation
between seeds of 0 to half that of the residual), 95% intervals cover 94% to 97% with five seeds, 91% to 97% with three
and 87% to 97% with two: least where the seeds are few and differ most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    `n` counts the items that it rests on. `low` and `high` are nan where there is but one score, and `mean` too where
    there is none.
    """

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Difference:
    """The mean of a - b with its confidence interval and the two-sided p of "no difference".

    `n` counts the items that were paired. What cannot be told (fewer than two scores) is nan.
    """

    difference: float
    low: float
    high: float
    p: float
    n: int


def mean_interval(scores: Scores, confidence: float = 0.95) -> Interval:
    """The mean over seeds and items, with an interval that speaks for new seeds and new items (module docstring).

    Args:
        scores: shape (seeds, items); nan where an item was not scored. A seed without a single score (a run that
            failed) is left out; then an item that is not scored in every seed is: unscored is not zero.
        confidence: the interval's coverage; 0.95 by custom.

    Raises:
        ValueError: the scores are not two-dimensional.
    """
    complete = _complete(scores)
    estimate = _estimate(complete)
    return Interval(estimate.mean, *estimate.interval(confidence), n=complete.shape[1])


def paired_difference(a: Scores, b: Scores, confidence: float = 0.95) -> Difference:
    """The mean of a - b, paired by item and seed: `mean_interval` of the differences, with p from the same t.

    Args:
        a, b: shape (seeds, items), the items in the same order, the seeds too. An arm with one seed (a deterministic
            one) is compared with every seed of the other. Missing scores as in `mean_interval`.
        confidence: the interval's coverage; 0.95 by custom.

    Raises:
        ValueError: the arms do not have the same items, or have different numbers of seeds, neither of them one.
    """
    seeds = {a.shape[0], b.shape[0]} - {1}
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or len(seeds) > 1:
        raise ValueError(f"scores of shapes {a.shape} and {b.shape} cannot be paired")
    complete = _complete(a - b)
    estimate = _estimate(complete)
    return Difference(estimate.mean, *estimate.interval(confidence), p=estimate.p(), n=complete.shape[1])


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for a family of comparisons, in the order given; the family-wise error stays below alpha.

    Holm 1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6: with m
    values sorted upwards, the k-th becomes max over j <= k of min(1, (m - j + 1) p_j). A nan (a comparison that could
    not be made) stays nan and counts in m.
    """
    adjusted = [math.nan] * len(p_values)
    largest = 0.0
    ranked = sorted((p, position) for position, p in enumerate(p_values) if not math.isnan(p))
    for rank, (p, position) in enumerate(ranked):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p))
        adjusted[position] = largest
    return adjusted


@dataclass(frozen=True)
class _Estimate:
    """A mean, the variance of that mean, and the degrees of freedom of the variance."""

    mean: float
    variance: float
    freedom: float

    def interval(self, confidence: float) -> tuple[float, float]:
        from scipy.special import stdtrit

        half = float(stdtrit(self.freedom, (1 + confidence) / 2)) * math.sqrt(self.variance)
        return self.mean - half, self.mean + half

    def p(self) -> float:
        from scipy.special import stdtr

        if self.variance == 0:
            return 1.0 if self.mean == 0 else 0.0
        return 2 * float(stdtr(self.freedom, -abs(self.mean) / math.sqrt(self.variance)))


def _complete(scores: Scores) -> Scores:
    """The seeds that have scores and, of those, the items scored in every seed."""
    if scores.ndim != 2:
        raise ValueError(f"scores of shape {scores.shape}: give (seeds, items)")
    scored = ~np.isnan(scores)
    seeds = scored.any(axis=1)
    return scores[seeds][:, scored[seeds].all(axis=0)] if seeds.any() else scores[:0, :0]


def _estimate(scores: Scores) -> _Estimate:
    """The formulas of the module's docstring, for scores without gaps."""
    seeds, items = scores.shape
    if scores.size == 0:
        return _Estimate(math.nan, math.nan, math.nan)
    mean = scores.mean()
    seed, item = scores.mean(axis=1) - mean, scores.mean(axis=0) - mean
    residual = scores - mean - seed[:, None] - item[None, :]
    # (sum of squares, degrees of freedom); with one seed, or one item, that effect and the residual cannot be told.
    effects = [(items * (seed**2).sum(), seeds - 1), (seeds * (item**2).sum(), items - 1)]
    squares = [(float(total) / freedom, float(freedom)) for total, freedom in effects if freedom > 0]
    if not squares:
        return _Estimate(float(mean), math.nan, math.nan)
    if len(squares) == 2:
        freedom = (seeds - 1) * (items - 1)
        squares.append(_satterthwaite(squares[0], squares[1], (float((residual**2).sum()) / freedom, float(freedom))))
    square, freedom_of_mean = max(squares)
    return _Estimate(float(mean), square / scores.size, freedom_of_mean)


def _satterthwaite(
    seed: tuple[float, float], item: tuple[float, float], residual: tuple[float, float]
) -> tuple[float, float]:
    """MS_seed + MS_item - MS_residual with its degrees of freedom; the arguments too are (mean square, degrees)."""
    combined = seed[0] + item[0] - residual[0]
    spread = sum(square**2 / freedom for square, freedom in (seed, item, residual))
    return combined, combined**2 / spread if spread > 0 else item[1]
