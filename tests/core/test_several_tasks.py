"""The mean of several tasks' differences: every task counts alike, and how they differ from each other is no error."""

from __future__ import annotations

import math

import numpy as np
import pytest

from luthier.core.several_tasks import mean_over_tasks
from luthier.core.statistics import paired_difference


def drawn(rng: np.random.Generator, seeds: int, items: int, mean: float, of_seed: np.ndarray | float = 0.0):
    return mean + of_seed + rng.normal(0, 0.8, (1, items)) + rng.normal(0, 0.5, (seeds, items))


def test_one_task_is_its_own_paired_difference() -> None:
    differences = drawn(np.random.default_rng(0), 3, 40, -0.5)
    one = paired_difference(differences, np.zeros_like(differences))
    found = mean_over_tasks([differences])
    assert (found.mean, found.low, found.high, found.n) == pytest.approx((one.difference, one.low, one.high, 40))


def test_every_task_counts_alike_whatever_its_size() -> None:
    rng = np.random.default_rng(1)
    small, large = drawn(rng, 3, 10, -2.0), drawn(rng, 3, 400, 0.0)
    found = mean_over_tasks([small, large])
    assert found.mean == pytest.approx((small.mean() + large.mean()) / 2)
    assert found.n == 410
    # The variance is that of two independent means: with one seed exactly so.
    alone = mean_over_tasks([small[:1], large[:1]])
    variance = (small[0].var(ddof=1) / 10 + large[0].var(ddof=1) / 400) / 4
    from scipy.stats import t

    assert alone.high - alone.mean == pytest.approx(t.ppf(0.975, 409) * math.sqrt(variance))


def test_tasks_that_differ_make_no_wider_an_interval() -> None:
    rng = np.random.default_rng(2)
    first, second = drawn(rng, 3, 30, 0.0), drawn(rng, 3, 30, 0.0)
    near, far = mean_over_tasks([first, second]), mean_over_tasks([first - 50, second + 50])
    assert far.high - far.low == pytest.approx(near.high - near.low)


def test_a_seed_counts_as_what_it_does_to_the_mean_of_the_tasks() -> None:
    rng = np.random.default_rng(3)
    moved = np.array([[-1.0], [0.0], [1.0]])
    first, second = drawn(rng, 3, 30, 0.0), drawn(rng, 3, 30, 0.0)
    plain = mean_over_tasks([first, second])
    against = mean_over_tasks([first + moved, second - moved])
    along = mean_over_tasks([first + moved, second + moved])
    width = [found.high - found.low for found in (plain, against, along)]
    assert width[1] <= width[0] * 1.05  # what one task gains the other one loses
    assert width[2] > 3 * width[0]


@pytest.mark.parametrize("effect", [0.0, 0.3])
def test_the_interval_covers_what_it_says(effect: float) -> None:
    rng, hits, studies = np.random.default_rng(4), 0, 300
    for _ in range(studies):
        common = rng.normal(0, effect, (3, 1)) if effect else 0.0
        found = mean_over_tasks([drawn(rng, 3, 20, -2.0, common), drawn(rng, 3, 60, -0.5, common)])
        hits += found.low <= -1.25 <= found.high
    assert 0.91 <= hits / studies <= 0.99


def test_clusters_widen_it_and_a_single_item_tells_nothing() -> None:
    rng = np.random.default_rng(5)
    repeated = np.repeat(drawn(rng, 2, 12, 0.0), 4, axis=1)
    clusters = [f"c{item // 4}" for item in range(48)]
    plain, clustered = mean_over_tasks([repeated]), mean_over_tasks([repeated], [clusters])
    assert clustered.mean == pytest.approx(plain.mean)
    assert clustered.high - clustered.low > 1.5 * (plain.high - plain.low)
    assert math.isnan(mean_over_tasks([repeated, repeated[:, :1]]).low)


def test_gaps_and_other_seeds_are_refused() -> None:
    whole = np.zeros((2, 3))
    for wrong in ([], [whole, np.zeros((3, 3))], [whole, np.zeros((2, 0))], [np.full((2, 3), np.nan)]):
        with pytest.raises(ValueError, match="the same seeds and without gaps"):
            mean_over_tasks(wrong)
