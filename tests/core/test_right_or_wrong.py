"""Scores of 0 and 1, and differences that are rare: means within 0 and 1, and a margin that is not met by luck."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from luthier.core.statistics import Difference, Interval, mean_interval, outcome, paired_difference, smallest_visible


def test_right_or_wrong_has_wilsons_interval():
    right = np.array([[1.0] * 7 + [0.0] * 3])
    reference = stats.binomtest(7, 10).proportion_ci(method="wilson")
    for scores in (right, np.repeat(right, 3, axis=0)):
        interval = mean_interval(scores)
        assert (interval.low, interval.high) == (pytest.approx(reference.low), pytest.approx(reference.high))
    both = mean_interval(np.ones((3, 2)))
    assert both.low == pytest.approx(0.342, abs=1e-3) and both.high == 1
    # Eight items in two clusters say as little as two items.
    assert mean_interval(np.ones((1, 8)), clusters=list("aaaabbbb")) == Interval(1.0, both.low, 1.0, 8)


def test_a_share_stays_within_0_and_1():
    nearly = np.ones((3, 12))
    nearly[0, 0] = 0
    interval = mean_interval(nearly)
    assert interval.high == 1 and 0 < interval.low < interval.mean
    clustered = mean_interval(1 - nearly, clusters=[f"{number // 2}" for number in range(12)])
    assert clustered.low == 0 and clustered.mean < clustered.high < 1
    assert mean_interval(0.99 * nearly).high > 1  # not right or wrong: left as the t interval has it


def lost_and_won(items: int, lost: int, won: int = 0, seeds: int = 1) -> Difference:
    """Right or wrong: so many are lost and won in every seed; where there are seeds, the last seed loses one more."""
    reference = np.repeat(np.arange(items)[None] % 5 > 0, seeds, axis=0).astype(float)
    reference[:, : lost + 1], reference[:, items - won :] = 1, 0
    arm = reference.copy()
    arm[:, :lost], arm[:, items - won :] = 0, 1
    arm[1:][-1:, lost] = 0
    return paired_difference(arm, reference)


def test_few_losses_are_not_taken_for_none():
    assert outcome(lost_and_won(300, 0), 0.01) == "undecided"
    assert outcome(lost_and_won(400, 0), 0.01) == "not worse"
    few = lost_and_won(300, 1)
    assert few.low > -0.01 > few.margin_low and outcome(few, 0.01) == "undecided"
    assert few.margin_low == pytest.approx(-lost_and_won(300, 0, won=1).margin_high)
    seeds = lost_and_won(300, 0, seeds=3)
    assert seeds.variation.seeds == 3 and seeds.low > -0.01 > seeds.margin_low
    assert outcome(seeds, 0.01) == outcome(seeds, 0.01, lower_is_better=True) == "undecided"
    assert outcome(lost_and_won(3000, 1, seeds=3), 0.01) == "not worse"


def test_nothing_that_varied_is_no_proof():
    """Ten, or five hundred, scores that do not differ at all: measured by what such scores could differ by."""
    few, many = np.linspace(0.1, 0.8, 10)[None], np.linspace(0.1, 0.8, 500)[None]
    assert outcome(paired_difference(few, few), 0.01) == "undecided"
    assert outcome(paired_difference(many, many), 0.01) == "not worse"
    assert outcome(paired_difference(40 * many, 40 * many), 0.01) == "undecided"
    assert outcome(paired_difference(40 * many, 40 * many), 0.3) == "not worse"
    assert outcome(paired_difference(few - 0.1, few), 0.2) == "worse"  # so much is seen, but not that it is within .2
    assert outcome(paired_difference(few[:, :5] - 0.1, few[:, :5]), 0.2) == "undecided"
    rounded = paired_difference(few + 0.1 + 0.2, few + 0.3)
    assert (rounded.difference, rounded.p) == (0, 1) and math.isnan(smallest_visible(rounded))
