"""McNemar and the sign flips: against scipy, by hand, and the Monte Carlo against the enumeration."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from luthier.core.exact_tests import mcnemar, sign_flip


@pytest.mark.parametrize(("only_a", "only_b"), [(10, 2), (0, 1), (7, 7), (30, 12)])
def test_mcnemar_is_the_binomial_test(only_a, only_b):
    assert mcnemar(only_a, only_b) == pytest.approx(stats.binomtest(only_a, only_a + only_b).pvalue)
    assert mcnemar(only_b, only_a) == mcnemar(only_a, only_b)


def test_no_disagreement_speaks_for_neither():
    assert mcnemar(0, 0) == 1.0 and sign_flip(np.zeros(5)) == 1.0


def test_sign_flips_by_hand():
    """Of the sums of +-1 +-2 +-3, four of eight are 6, -6, 4 or -4: as far from zero as -1 + 2 + 3 = 4."""
    assert sign_flip(np.array([-1.0, 2.0, 3.0])) == 4 / 8
    assert sign_flip(np.array([1.0, 2.0, 3.0, 0.0])) == 2 / 8


def test_sums_equal_but_for_rounding_are_equal():
    assert sign_flip(np.array([0.1, 0.2, 0.3, -0.3, 0.4])) == sign_flip(np.array([1.0, 2.0, 3.0, -3.0, 4.0]))


def test_sign_flips_are_scipys():
    differences = np.random.default_rng(0).normal(0.4, 1, 12)
    reference = stats.permutation_test(
        (differences,), lambda d, axis: d.sum(axis=axis), permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip(differences) == pytest.approx(reference.pvalue)


def test_many_are_drawn_at_random_and_repeat():
    differences = np.random.default_rng(1).normal(0.4, 1, 28)
    p = sign_flip(differences)
    assert p == sign_flip(differences) and p == pytest.approx(sign_flip(differences, seed=5), abs=0.01)
    assert p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.03)
    assert sign_flip(np.ones(28)) == pytest.approx(1 / 65537, abs=1e-4) and sign_flip(np.ones(28)) > 0
