"""Calibration's figures of ../shared/facts/golden.md."""

from __future__ import annotations

import pytest

from luthier.core.calibration import expected_calibration_error

P = [0.95, 0.85, 0.75, 0.65, 0.55, 0.9, 0.8, 0.7, 0.6, 0.99]
Y = [1, 1, 0, 1, 0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize(("bins", "expected"), [(1, 0.174), (5, 0.366), (10, 0.366)])
def test_ece_with_bins_of_equal_mass(bins: int, expected: float):
    assert expected_calibration_error(P, Y, bins) == pytest.approx(expected, abs=1e-9)
