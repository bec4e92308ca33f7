"""Wilson's interval and the bounds for a margin: against scipy, by hand, and counted out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from luthier.core.wilson import items_to_rule_out, rare_bounds, wilson


@pytest.mark.parametrize(("right", "n"), [(0, 5), (2, 2), (7, 10), (299, 300)])
def test_wilson_is_scipys(right, n):
    reference = stats.binomtest(right, n).proportion_ci(method="wilson")
    assert wilson(right / n, n) == (pytest.approx(reference.low), pytest.approx(reference.high))
    assert wilson(right / n, n)[0] >= 0 and wilson(right / n, n)[1] <= 1


def test_nothing_seen_is_the_rule_of_three():
    low, high = rare_bounds(np.zeros(300), half=0.0, largest=1.0)
    assert high == -low == pytest.approx(stats.t.ppf(0.975, 299) ** 2 / 300)
    assert rare_bounds(np.zeros(300), half=0.0, largest=40.0)[0] == pytest.approx(40 * low)


def test_the_bound_is_where_its_variance_puts_it():
    """x^2 = H^2 + t^2 s x / I, with s by hand: 10 items, 2 lost, 1 won."""
    differences = np.array([-1.0, -1, 1, 0, 0, 0, 0, 0, 0, 0])
    off = differences + 0.1
    half = stats.t.ppf(0.975, 9) * differences.std(ddof=1) / math.sqrt(10)
    low, high = rare_bounds(differences, half, largest=1.0)
    for x, cubes in ((-0.1 - low, -(off**3).sum()), (high + 0.1, (off**3).sum())):
        tilt = (cubes + 4) / ((off**2).sum() + 4)
        assert x**2 == pytest.approx(half**2 + stats.t.ppf(0.975, 9) ** 2 * tilt * x / 10)
    assert -0.1 - low > high + 0.1 > half


def test_many_items_of_all_sizes_are_the_usual_interval():
    differences = np.random.default_rng(0).normal(size=5000)
    half = 1.96 / math.sqrt(5000)
    low, high = rare_bounds(differences, half, largest=float(np.abs(differences - differences.mean()).max()))
    assert half < differences.mean() - low < 1.01 * half and half < high - differences.mean() < 1.01 * half


def test_untold_stays_untold():
    assert all(map(math.isnan, rare_bounds(np.zeros(5), math.nan, 1.0)))
    assert all(map(math.isnan, rare_bounds(np.zeros(5), 0.0, math.nan)))


@pytest.mark.parametrize(
    ("items", "margin", "gain"),
    [(300, 0.01, 0.0), (100, 0.02, 0.0), (500, 0.005, 0.005), (200, 0.005, 0.02), (50, 0.03, 0.02), (300, 0.05, 0.1)],
)
def test_a_true_loss_of_the_margin_is_seldom_missed(items, margin, gain):
    """Counted out over how many are lost and won: at most 3.5%, the hardest combinations found among them."""
    lost = np.arange(min(items, int(items * (margin + gain) * 3 + 25)))
    won = np.arange(min(items, int(items * gain * 3 + 25)) if gain else 1)
    missed = 0.0
    for losses in lost:
        chance = stats.binom.pmf(losses, items, margin + gain)
        chances = chance * stats.binom.pmf(won, items - losses, gain / (1 - margin - gain))
        for wins in won[(chances > 1e-6) & (losses + won <= items)]:
            differences = np.zeros(items)
            differences[:losses], differences[losses : losses + wins] = -1, 1
            half = stats.t.ppf(0.975, items - 1) * differences.std(ddof=1) / math.sqrt(items)
            if rare_bounds(differences, half, 1.0)[0] > -margin:
                missed += chances[wins]
    assert missed <= 0.035


def test_items_to_rule_out():
    for size, largest in ((0.01, 1.0), (0.5, 1.0), (0.02, 30.0)):
        items = items_to_rule_out(size, largest)
        assert rare_bounds(np.zeros(items), 0.0, largest)[1] <= size
        assert items == 2 or rare_bounds(np.zeros(items - 1), 0.0, largest)[1] > size
    assert items_to_rule_out(0.01, 1.0) == 387
