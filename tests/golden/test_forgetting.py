"""The known figures of forgetting (../shared/facts/golden.md)."""

from __future__ import annotations

import pytest

from luthier.core.forgetting import average_forgetting, backward_transfer

R = [[0.9, 0.2, 0.1], [0.8, 0.85, 0.15], [0.6, 0.7, 0.95]]


def test_backward_transfer():
    assert backward_transfer(R) == pytest.approx(-0.225)


def test_average_forgetting():
    assert average_forgetting(R) == pytest.approx(0.225)
