"""Intervals, tests and outcomes for scores that vary by seed and by item.

- An interval speaks for new seeds and new items: `crossed_effects.py` has the formulas, what was simulated, and how
  items that come in clusters are counted.
- A difference is paired by item and seed. Its interval is always the t one; its p comes from the test that fits:

  | both arms have | p |
  |---|---|
  | one seed, scores of 0 and 1, no clusters | exact McNemar |
  | one seed, fewer than 30 items (or clusters) | sign-flip permutation |
  | anything else | the same t as the interval |

  (`exact_tests.py`). Seeds that all say the same count as one. So an interval may exclude zero by a hair where an exact
  p is above alpha, or the other way round: McNemar's p is conservative, since counts are discrete, and the t interval
  is approximate for few or binary scores. `outcome` therefore calls an arm better only where both agree.
- One item (or one cluster), in however many seeds, says nothing of new items: no interval and no p.
- A mean of scores of 0 and 1 has Wilson's interval where there is one seed and no clusters, and where nothing varies
  (over clusters, where there are any). Other intervals of such means are cut at 0 and 1. Differences are not cut.
- What a margin is held against are `margin_low` and `margin_high`, a little outside the interval: a study that saw few
  losses, or none, has too small a variance to say that there are none (`wilson.py`).
- `holm` corrects over the declared family of comparisons; the intervals are not widened by it.
- `smallest_visible` and `seeds_or_items_needed` say what a study could have seen, and what would settle it.

Cluster-robust, paired intervals for evaluations are argued for by Miller 2024, "Adding error bars to evals", arXiv
2411.00640, which has items alone at random; here seeds are too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from luthier.core.crossed_effects import Scores, Variation, variation
from luthier.core.exact_tests import mcnemar, sign_flip
from luthier.core.units import as_units, complete_scores, differences, is_binary, largest_difference
from luthier.core.visible import Needed, needed, visible
from luthier.core.wilson import items_to_rule_out, rare_bounds, wilson

FEW_UNITS = 30
"""Items (or clusters) from which the t test stands in for the permutation test; the customary figure."""

Outcome = Literal["better", "worse", "not worse", "undecided"]


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    `n` counts the items that it rests on. `low` and `high` are nan where there is but one item (or one cluster), and
    `mean` too where there is none.
    """

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Difference:
    """The mean of a - b with its confidence interval and the two-sided p of "no difference".

    What cannot be told (fewer than two items, or clusters) is nan.

    Attributes:
        n: the items that were paired.
        test: what gave p: "t over seeds and items", "exact McNemar", ...; "none" where p is nan.
        standard_error, freedom: the interval is difference +- t(freedom) x standard_error.
        variation: how the differences vary, for `smallest_visible` and `seeds_or_items_needed`.
        margin_low, margin_high: the bounds that `outcome` holds against the margin (`wilson.py`): `low` and `high` or
            somewhat outside; None stands for `low` and `high`, nan for untold.
        largest: the most that one item was taken to differ by in them: 1 for scores of 0 and 1, else the farthest that
            was seen from the mean difference. Where the differences do not vary it is 1 if all scores lie within 0 to
            1, else the range of the scores; nan where these do not vary either.
    """

    difference: float
    low: float
    high: float
    p: float
    n: int
    test: str = "none"
    standard_error: float = math.nan
    freedom: float = math.nan
    variation: Variation | None = None
    margin_low: float | None = None
    margin_high: float | None = None
    largest: float = math.nan


def mean_interval(scores: Scores, confidence: float = 0.95, clusters: Sequence[str | None] | None = None) -> Interval:
    """The mean over seeds and items, with an interval that speaks for new seeds and new items (module docstring).

    Args:
        scores: shape (seeds, items); nan where an item was not scored. A seed without a single score (a run that
            failed) is left out; then an item that is not scored in every seed is: unscored is not zero.
        confidence: the interval's coverage; 0.95 by custom.
        clusters: one per item: what it shares with other items (a document, an author), None for nothing. Without
            them every item is taken as independent.

    Raises:
        ValueError: the scores are not two-dimensional, or the clusters are not one per item.
    """
    complete, numbers = complete_scores(scores, clusters)
    found = variation(as_units(complete, numbers, scores))
    mean = float(complete.mean()) if complete.size else math.nan
    half = found.half_width(1 - confidence)
    low, high = mean - half, mean + half
    if is_binary(complete) and found.known:
        if half == 0 or (found.seeds == 1 and numbers is None):
            low, high = wilson(mean, found.items, 1 - confidence)
        low, high = max(0.0, low), min(1.0, high)
    return Interval(mean, low, high, n=complete.shape[1])


def paired_difference(
    a: Scores, b: Scores, confidence: float = 0.95, clusters: Sequence[str | None] | None = None
) -> Difference:
    """The mean of a - b, paired by item and seed: the interval of the differences, with p as the module says.

    Args:
        a, b: shape (seeds, items), the items in the same order, the seeds too. An arm with one seed (a deterministic
            one) is compared with every seed of the other. Missing scores as in `mean_interval`.
        confidence: the interval's coverage; 0.95 by custom.
        clusters: as in `mean_interval`.

    Raises:
        ValueError: the arms do not have the same items, or have different numbers of seeds, neither of them one; or
            the clusters are not one per item.
    """
    seeds = {a.shape[0], b.shape[0]} - {1}
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or len(seeds) > 1:
        raise ValueError(f"scores of shapes {a.shape} and {b.shape} cannot be paired")
    complete, numbers = complete_scores(differences(a, b), clusters)
    units = as_units(complete, numbers, a, b)
    found = variation(units)
    mean = float(complete.mean()) if complete.size else math.nan
    p, test = _test(found, complete, numbers, is_binary(a, b))
    alpha = 1 - confidence
    half, largest = found.half_width(alpha), largest_difference(units, a, b)
    margin_low, margin_high = rare_bounds(units.mean(axis=0), half, largest, alpha) if found.known else (math.nan,) * 2
    return Difference(
        difference=mean,
        low=mean - half,
        high=mean + half,
        p=p,
        n=complete.shape[1],
        test=test,
        standard_error=found.standard_error(alpha),
        freedom=found.freedom(alpha),
        variation=found,
        margin_low=margin_low,
        margin_high=margin_high,
        largest=largest,
    )


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


def outcome(
    difference: Difference,
    margin: float,
    *,
    lower_is_better: bool = False,
    p_holm: float | None = None,
    alpha: float = 0.05,
) -> Outcome:
    """What the difference of arm a from arm b says of a.

    - `better`: the whole interval is on the good side of zero, and p is at most alpha;
    - `not worse`: the bad end (`margin_low`, or `margin_high` for a loss) is less than the margin away from zero: what
      a may be worse by does not matter. Non-inferiority, at a one-sided level of half the interval's (Schuirmann 1987,
      Journal of Pharmacokinetics and Biopharmaceutics 15; Piaggio et al. 2012, JAMA 308, who keep to the interval
      without a correction for many comparisons, as here). Where not one item disagrees it takes 3.84 / margin items
      (384 for .01) of scores from 0 to 1;
    - `worse`: the whole interval is on the bad side, and p is at most alpha. An interval that lies on the bad side but
      within the margin is `not worse`: the difference is there, and too small to matter;
    - `undecided`: none of these, or nothing could be told.

    Args:
        difference: of a - b, with an interval of confidence 1 - alpha.
        margin: what may be lost without it mattering, in units of the measure, not below zero.
        lower_is_better: whether the measure is a loss.
        p_holm: p after `holm`, where the comparison belongs to a family; else the difference's own p is used.
        alpha: 0.05 by custom.
    """
    low, high = (-difference.high, -difference.low) if lower_is_better else (difference.low, difference.high)
    bad_end = difference.margin_low
    if lower_is_better:
        bad_end = None if difference.margin_high is None else -difference.margin_high
    p = difference.p if p_holm is None else p_holm
    if low > 0 and p <= alpha:
        return "better"
    if (low if bad_end is None else bad_end) > -margin:
        return "not worse"
    if high < 0 and p <= alpha:
        return "worse"
    return "undecided"


def smallest_visible(difference: Difference, power: float = 0.8, alpha: float = 0.05, comparisons: int = 1) -> float:
    """The true difference that a study of this design finds with this power, however large the one it did find.

    It is computed from what the differences were seen to vary by. At the design's own variances the power holds (78% to
    82% for 80%, `benchmarks/null_study.py`); a single study of few seeds has only an estimate of them, and states too
    little as often as too much: a difference of the size that one study of three seeds states is found by another in
    62%, with five seeds in 71%. See `visible.py` for the equation. Where p is exact (`test`), this is that of the t
    test, which is close to it.

    Args:
        difference: from `paired_difference`.
        power: the chance of finding it; 0.8 by custom (Cohen 1988, "Statistical power analysis").
        alpha: two-sided; 0.05 by custom.
        comparisons: how many the family has; alpha is divided by it, as in Holm's first step.

    Returns:
        A difference above zero, in units of the measure; nan where nothing could be told: where nothing varies, too.
    """
    return visible(difference.variation, power, alpha / comparisons) if difference.variation else math.nan


def seeds_or_items_needed(
    difference: Difference, size: float, power: float = 0.8, alpha: float = 0.05, comparisons: int = 1
) -> Needed:
    """How many items at the present number of seeds, or seeds at the present items, make `size` visible.

    Args:
        size: the true difference to be found, above zero: the margin, or the difference that was seen.
        difference, power, alpha, comparisons: as in `smallest_visible`.

    Returns:
        The least numbers, perhaps fewer than at present; None where no number would do, since what the other varies by
        is too much, and for seeds where one seed says nothing about them. Where the items come in clusters, clusters.
        Never fewer items than rule out a loss of `size` without one disagreement (`wilson.py`); where nothing varied,
        these.

    Raises:
        ValueError: the size is not above zero.
    """
    if not size > 0:
        raise ValueError(f"a difference of {size} to find: give one above zero")
    if difference.variation is None:
        return Needed(items=None, seeds=None)
    need = needed(difference.variation, size, power, alpha / comparisons)
    if math.isnan(difference.largest) or (need.items is None and difference.standard_error > 0):
        return need
    return replace(need, items=max(need.items or 0, items_to_rule_out(size, difference.largest, alpha)))


def _test(found: Variation, complete: Scores, numbers: NDArray[np.intp] | None, binary: bool) -> tuple[float, str]:
    """p and what gave it, as in the table of the module's docstring."""
    if not found.known:
        return math.nan, "none"
    units = "items" if numbers is None else "clusters"
    if found.seeds == 1 and binary and numbers is None:
        return mcnemar(int((complete > 0).sum()), int((complete < 0).sum())), "exact McNemar"
    if found.seeds == 1 and found.items < FEW_UNITS:
        sums = complete[0] if numbers is None else complete[0] @ np.eye(found.items)[numbers]
        return sign_flip(sums), f"sign-flip permutation over {units}"
    over = units if found.seeds == 1 else f"seeds and {units}"
    return found.p(float(complete.mean())), f"t over {over}"
