"""Mean squares, the rule for few seeds, p, and clusters, apart from the functions that report them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from luthier.core.crossed_effects import Variation, cluster_numbers, cluster_scores, variation


def test_mean_squares_estimate_the_variances():
    """Variances of seeds .25, items 1 and residual 1, over 2,000 studies of 4 seeds and 20 items."""
    random = np.random.default_rng(0)
    made = [
        variation(0.5 * random.normal(size=(4, 1)) + random.normal(size=(1, 20)) + random.normal(size=(4, 20)))
        for _ in range(2000)
    ]
    assert np.mean([one.residual for one in made]) == pytest.approx(1, rel=0.05)
    assert np.mean([one.item for one in made]) == pytest.approx(1 + 4, rel=0.05)
    assert np.mean([one.seed for one in made]) == pytest.approx(1 + 20 * 0.25, rel=0.1)


@pytest.mark.parametrize("mean", [1e-13, 1e-3, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("squares", [(30.0, 2.0, 1.0), (1.0, 2.0, 1.0), (30.0, 0.0, 0.0), (0.2, 2.0, 1.0)])
def test_p_is_where_the_interval_ends_at_zero(mean, squares):
    one = Variation(3, 150, *squares)
    p = one.p(mean)
    assert 0 < p <= 1 and one.p(-mean) == p
    if p < 0.999:
        assert one.half_width(p) == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize("mean", [1e-6, 1.0, 50.0, 1e100])
def test_p_of_two_seeds_at_the_smallest_alpha(mean):
    """t with one degree of freedom is about 1e300 there."""
    one = Variation(2, 300, 0.04, 0.5, 0.01)
    assert one.half_width(1e-300) > 1e290
    p = one.p(mean)
    assert 0 < p <= 1 or (mean == 1e100 and p == pytest.approx(0, abs=1e-90))
    if p < 0.999 and mean < 1e100:
        assert one.half_width(p) == pytest.approx(mean, rel=1e-6)


def test_a_smaller_alpha_is_a_wider_interval():
    alphas = np.geomspace(1e-12, 0.99, 200)
    for seeds in (2, 3, 5, 20):
        halves = [Variation(seeds, 50, 4.0, 3.0, 1.0).half_width(alpha) for alpha in alphas]
        assert (np.diff(halves) < 0).all()


def test_many_seeds_and_items_are_the_normal_interval():
    one = Variation(2000, 2000, 50.0, 30.0, 1.0)
    assert one.half_width() == pytest.approx(1.96 * math.sqrt(79 / 2000**2), rel=2e-3)


def test_the_freedom_lies_between_seeds_and_items():
    assert Variation(3, 100, 1e9, 1.0, 1.0).freedom() == pytest.approx(2, abs=1e-6)
    assert Variation(3, 100, 0.0, 1.0, 1.0).freedom() == pytest.approx(99)
    assert 2 < Variation(3, 100, 5.0, 4.0, 1.0).freedom() < 99
    assert math.isnan(Variation(1, 1, 0.0, 0.0, 0.0).freedom())


def test_planning_the_design_that_was_had_changes_nothing():
    one = Variation(3, 40, 5.0, 3.0, 1.0)
    again = one.planned(3, 40)
    assert (again.seed, again.item, again.residual) == pytest.approx((5.0, 3.0, 1.0))
    larger = one.planned(6, 80)
    assert (larger.seed, larger.item) == pytest.approx((1 + 80 * 4 / 40, 1 + 6 * 2 / 3))


def test_cluster_means_of_equal_clusters_are_the_scores_of_clusters():
    scores = np.random.default_rng(1).normal(size=(3, 12))
    numbers = cluster_numbers([f"{number % 4}" for number in range(12)])
    assert cluster_scores(scores, numbers) == pytest.approx(scores.reshape(3, 3, 4).mean(axis=1))


def test_unequal_clusters_keep_the_mean_over_items():
    scores = np.random.default_rng(2).normal(size=(2, 7))
    numbers = cluster_numbers(["a", "a", "a", "a", "b", None, None])
    assert numbers.tolist() == [0, 0, 0, 0, 1, 2, 3]
    summed = cluster_scores(scores, numbers)
    assert summed.shape == (2, 4) and summed.mean(axis=1) == pytest.approx(scores.mean(axis=1))
    # The jackknife written out: the means without each cluster.
    without = [scores[0, numbers != cluster].mean() for cluster in range(4)]
    robust = math.sqrt(3 / 4 * sum((mean - np.mean(without)) ** 2 for mean in without))
    assert variation(summed[:1]).standard_error() == pytest.approx(robust)
    assert variation(summed[:1]).half_width() == pytest.approx(stats.t.ppf(0.975, 3) * robust)


def test_one_item_says_nothing_of_the_mean():
    one = variation(np.array([[0.2], [0.5], [0.3]]))
    assert not one.known and all(map(math.isnan, (one.half_width(), one.standard_error(), one.freedom(), one.p(0.3))))


def test_what_is_the_same_everywhere_does_not_vary():
    assert variation(np.full((3, 20), 0.1)) == Variation(3, 20, 0.0, 0.0, 0.0)


def test_one_cluster_says_nothing_of_items():
    scores = np.random.default_rng(3).normal(size=(3, 5))
    assert cluster_scores(scores, cluster_numbers(["a"] * 5)) == pytest.approx(scores.mean(axis=1, keepdims=True))
