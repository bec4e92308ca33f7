"""What is counted: rounding is no difference, and the most that one unit can differ by."""

from __future__ import annotations

import math

import numpy as np

from luthier.core.units import as_units, complete_scores, differences, is_binary, largest_difference


def test_rounding_is_no_difference():
    a = np.full((1, 4), 0.1 + 0.2)
    assert (differences(a, np.full((1, 4), 0.3)) == 0).all()
    assert (differences(np.full((1, 2), 1e-9), np.full((1, 2), 2e-9)) != 0).all()
    shifted = np.array([[0.1, 0.7, 0.35]])
    off = differences(shifted + 0.1, shifted)
    units = as_units(off, None, shifted)
    assert np.ptp(off) > 0 and np.ptp(units) == 0


def test_clusters_that_all_agree_do_not_vary():
    constant, numbers = complete_scores(np.full((3, 7), 0.1), ["a", "a", "b", "b", "b", None, None])
    assert constant.shape == (1, 7) and numbers is not None
    units = as_units(constant, numbers, constant)
    assert units.shape == (1, 4) and np.ptp(units) == 0


def test_binary():
    assert is_binary(np.array([[0.0, 1.0, math.nan]]), np.zeros((2, 1))) and not is_binary(np.array([[0.0, 0.5]]))


def test_the_most_that_one_differs_by():
    right, loss = np.array([[1.0, 0, 1, 1]]), np.array([[3.0, 7.0, 4.0, 4.0]])
    assert largest_difference(right - right, right, right) == 1
    assert largest_difference(loss - loss, loss, loss) == 4
    assert largest_difference(np.zeros((1, 4)), right / 2, right / 2) == 1
    assert largest_difference(np.array([[0.0, 0.0, 0.3, -0.3]]), right / 2, right / 2) == 0.3
    assert math.isnan(largest_difference(np.zeros((1, 4)), np.full((1, 4), 7.0), np.full((1, 4), 7.0)))
    assert math.isnan(largest_difference(np.zeros((3, 1)), right[:, :1], right[:, :1]))
