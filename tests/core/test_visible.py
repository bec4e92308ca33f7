"""The smallest visible difference and what would settle one: against the noncentral t, and tables of power."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from luthier.core.crossed_effects import Variation
from luthier.core.statistics import Difference, paired_difference, seeds_or_items_needed, smallest_visible


def test_smallest_visible_by_the_noncentral_t():
    difference = paired_difference(np.random.default_rng(15).normal(size=(1, 50)), np.zeros((1, 50)))
    for comparisons in (1, 5):
        size = smallest_visible(difference, comparisons=comparisons)
        critical = stats.t.ppf(1 - 0.025 / comparisons, 49)
        assert stats.nct.sf(critical, 49, size / difference.standard_error) == pytest.approx(0.8, abs=1e-4)
    many = paired_difference(np.random.default_rng(15).normal(size=(1, 50_000)), np.zeros((1, 50_000)))
    assert smallest_visible(many) == pytest.approx((1.95996 + 0.84162) * many.standard_error, rel=1e-3)
    assert math.isnan(smallest_visible(paired_difference(np.ones((1, 1)), np.zeros((1, 1)))))


def test_where_nothing_varied_the_visible_is_untold():
    nothing = paired_difference(np.ones((2, 9)), np.zeros((2, 9)))
    assert math.isnan(smallest_visible(nothing))
    clusters = ["a", "a", "b", "b", "b", "c", "c", "d", "d"]
    assert math.isnan(
        smallest_visible(paired_difference(np.full((1, 9), 0.3), np.full((1, 9), 0.1), clusters=clusters))
    )
    needed = seeds_or_items_needed(nothing, 0.01)
    assert needed.items == 387 and needed.seeds is None  # the rule of three


def test_items_needed_by_hand():
    """One seed, standard deviation 1, a difference of 0.5 at 80% power: 34 items, as every table of power says."""
    scores = np.array([[-1.0, 1.0] * 20]) / math.sqrt(40 / 39)
    difference = paired_difference(scores, np.zeros((1, 40)))
    needed = seeds_or_items_needed(difference, 0.5)
    assert (needed.items, needed.seeds) == (34, None)


def test_what_would_settle_it():
    by_seeds = Difference(0.1, -1, 1, 0.5, 100, variation=Variation(3, 100, 26.0, 2.0, 1.0))  # variances .25 .33 1
    assert seeds_or_items_needed(by_seeds, 0.5).items is None
    seeds = seeds_or_items_needed(by_seeds, 0.5).seeds
    assert seeds is not None and 3 < seeds < 30
    by_items = Difference(0.1, -1, 1, 0.5, 100, variation=Variation(3, 100, 1.0, 7.0, 1.0))  # variances 0 2 1
    assert seeds_or_items_needed(by_items, 0.2).seeds is None
    items = seeds_or_items_needed(by_items, 0.2).items
    assert items is not None and 100 < items < 10_000
    assert by_items.variation is not None
    enough, short = (replace(by_items, variation=by_items.variation.planned(3, count)) for count in (items, items - 1))
    assert smallest_visible(enough) <= 0.2 < smallest_visible(short)
    with pytest.raises(ValueError, match="above zero"):
        seeds_or_items_needed(by_items, 0.0)
