"""The known figures of statistics (../shared/facts/golden.md)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from luthier.core.exact_tests import mcnemar
from luthier.core.statistics import holm, paired_difference


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_exact_mcnemar():
    assert mcnemar(10, 2) == pytest.approx(0.0386, abs=5e-5)
    a, b = np.zeros((1, 50)), np.zeros((1, 50))
    a[0, :10], b[0, 10:12] = 1, 1
    assert paired_difference(a, b).p == pytest.approx(0.0386, abs=5e-5)


def test_clustered_standard_error():
    """Naive: sd / sqrt(n). Clustered, no correction: sqrt(sum of squared cluster sums of deviations) / n."""
    scores = np.array([[1.0, 1, 0, 0, 1, 0, 1, 1]])
    naive = paired_difference(scores, np.zeros((1, 8))).standard_error
    clustered = paired_difference(scores, np.zeros((1, 8)), clusters=list("aabbccdd"))
    assert naive == pytest.approx(0.183, abs=5e-4)
    assert clustered.standard_error == pytest.approx(0.239, abs=5e-4) and clustered.freedom == 3
    assert clustered.standard_error * math.sqrt(3 / 4) == pytest.approx(0.207, abs=5e-4)


def test_pairing_under_the_null():
    """Two arms of one seed on 100 items that differ in difficulty far more (sd 1) than the arms do (sd 0.3 each).

    In 400 studies without a true difference the percentile bootstrap of the paired differences (300 resamples of items)
    covers zero in about 95% (the known figure is 96%), and so does our paired interval. A z test that takes the arms
    for independent samples, as when two published intervals are compared, counts the items' spread twice and never
    rejects where 5% is promised: it could not see a true difference either.
    """
    random = np.random.default_rng(0)
    studies, items, resamples = 400, 100, 300
    bootstrap, ours, unpaired = 0, 0, 0
    for _ in range(studies):
        difficulty = random.normal(size=(1, items))
        a, b = (difficulty + 0.3 * random.normal(size=(1, items)) for _ in range(2))
        drawn = (a - b)[0][random.integers(0, items, size=(resamples, items))].mean(axis=1)
        low, high = np.quantile(drawn, (0.025, 0.975))
        bootstrap += low <= 0 <= high
        difference = paired_difference(a, b)
        ours += difference.low <= 0 <= difference.high
        z = difference.difference / math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / items)
        unpaired += abs(z) > 1.96
    assert 0.93 <= bootstrap / studies <= 0.97
    assert 0.93 <= ours / studies <= 0.97
    assert unpaired == 0
