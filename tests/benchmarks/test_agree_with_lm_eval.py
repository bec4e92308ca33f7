"""When two log-likelihoods agree, and what is said of the speed."""

from __future__ import annotations

import math

import pytest

from benchmarks.agree_with_lm_eval import Agreement, _as_near_as_wanted, _largest, _speeds


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        (-5.0, -5.00005, True),
        (-5.0, -5.0002, False),
        (-500.0, -500.0004, True),  # the last of seven digits
        (-math.inf, -math.inf, True),
        (math.nan, -5.0, False),
        (math.nan, math.nan, False),
    ],
)
def test_near_is_near_in_either_measure_and_nan_is_near_to_nothing(one: float, other: float, agree: bool) -> None:
    assert _as_near_as_wanted(one, other) is agree


def test_the_largest_gap_does_not_hide_what_is_no_number() -> None:
    assert math.isnan(_largest([1.0, math.nan, 2.0])) and _largest([1.0, 2.0]) == 2.0 and _largest([]) == 0.0


def test_the_speed_is_told_by_model() -> None:
    def one(model: str, theirs: float) -> Agreement:
        return Agreement(model, "sst2", 0, 1, 2, 0.0, 0.0, 0, 0, 0, 0, 0, 8, theirs, 1.0, theirs, 1.0)

    found = _speeds([one("a", 1.0), one("a", 2.2), one("b", 1.4)])
    assert found == "at least 1.5 times as fast in all: a yes (1.60), b no (1.40)"
