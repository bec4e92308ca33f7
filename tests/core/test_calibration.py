"""ECE with bins of equal mass, selective accuracy, and what chance alone gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from luthier.core.calibration import (
    calibrated_error,
    choice_confidence,
    coverage_accuracy_area,
    coverage_curve,
    expected_calibration_error,
    selective_accuracy,
)


def test_equal_confidences_share_a_bin():
    # Cut in the middle of its equals, .5 with 1 0 1 0 would give bins of accuracy 1/2 all the same; 1 1 0 0 would not.
    assert expected_calibration_error([0.5] * 4, [1, 1, 0, 0], bins=2) == 0
    assert expected_calibration_error([0.5, 0.5, 0.5, 0.9], [1, 1, 0, 0], bins=2) == pytest.approx((0.5 + 0.9) / 4)


def test_no_more_bins_than_items():
    p, y = [0.6, 0.9], [1, 0]
    assert expected_calibration_error(p, y, bins=10) == expected_calibration_error(p, y, bins=2) == pytest.approx(0.65)


def test_the_surest_tenth_is_one_more_than_a_tenth():
    p, y = np.linspace(0.99, 0.5, 20), [1, 0, 1] + [0] * 17
    assert selective_accuracy(p, y) == pytest.approx(2 / 3), "floor(2) + 1 items"
    assert selective_accuracy(p, y, share=0) == 1


def test_the_order_of_the_input_does_not_matter_even_among_equals():
    p, y = np.array([0.7, 0.7, 0.7, 0.9]), np.array([1, 0, 0, 1])
    assert coverage_curve(p, y) == pytest.approx([1, 2 / 3, 5 / 9, 1 / 2])
    for order in ([3, 2, 1, 0], [1, 0, 2, 3]):
        assert coverage_curve(p[order], y[order]) == pytest.approx(coverage_curve(p, y))
    assert coverage_accuracy_area(p, y) == pytest.approx((1 + 2 / 3 + 5 / 9 + 1 / 2) / 4)


def test_chance_alone_gives_an_error_that_falls_with_the_items():
    rng = np.random.default_rng(1)
    few, many = rng.uniform(0.5, 1, 50), rng.uniform(0.5, 1, 3000)
    assert 0.1 < calibrated_error(few) < 0.25
    assert 0 < calibrated_error(many) < 0.03
    assert calibrated_error(few) == calibrated_error(few)


def test_confidence_is_the_largest_share_of_the_choices():
    assert choice_confidence([math.log(0.3), math.log(0.1)]) == pytest.approx(0.75)
    assert choice_confidence([-2000.0, -2001.0]) == pytest.approx(1 / (1 + math.exp(-1)))
    assert choice_confidence([-1.0, -math.inf]) == 1
    for bad in ([], [math.nan, -1.0], [-math.inf, -math.inf]):
        assert math.isnan(choice_confidence(bad))


@pytest.mark.parametrize(
    ("p", "y"), [([], []), ([0.5], [1, 0]), ([1.2], [1]), ([math.nan], [1]), ([0.5], [2]), ([[0.5]], [[1]])]
)
def test_what_is_no_probability_is_refused(p: list[float], y: list[int]):
    with pytest.raises(ValueError, match="probabilities"):
        expected_calibration_error(p, y)


def test_a_bin_and_a_share_must_be_possible():
    with pytest.raises(ValueError, match="0 bins"):
        expected_calibration_error([0.5], [1], bins=0)
    with pytest.raises(ValueError, match="share"):
        selective_accuracy([0.5], [1], share=1)
