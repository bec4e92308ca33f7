"""Backward transfer and average forgetting: what they mean, and where they differ."""

from __future__ import annotations

import math

import pytest

from luthier.core.forgetting import average_forgetting, backward_transfer, forward_transfer


def test_forgetting_is_from_the_best_and_transfer_from_the_first():
    """Task 0 rises from .5 to .8 by task 1 and falls to .6: transfer of +.1, and yet .2 was forgotten."""
    scores = [[0.5, 0.0, 0.0], [0.8, 0.7, 0.0], [0.6, 0.7, 0.9]]
    assert backward_transfer(scores) == pytest.approx((0.1 + 0.0) / 2)
    assert average_forgetting(scores) == pytest.approx((0.2 + 0.0) / 2)


def test_one_task_has_nothing_to_forget():
    assert math.isnan(backward_transfer([[0.9]])) and math.isnan(average_forgetting([[0.9]]))


def test_a_matrix_is_square():
    with pytest.raises(ValueError, match="tasks, tasks"):
        backward_transfer([[0.9, 0.2]])


def test_forward_transfer_is_what_earlier_tasks_gave():
    scores = [[0.9, 0.2, 0.1], [0.8, 0.85, 0.15], [0.6, 0.7, 0.95]]
    assert forward_transfer(scores, [0.1, 0.25, 0.05]) == pytest.approx((-0.05 + 0.1) / 2)
    assert math.isnan(forward_transfer([[0.9]], [0.1]))
    with pytest.raises(ValueError, match="before them of shape"):
        forward_transfer(scores, [0.1])
