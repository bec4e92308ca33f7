"""What the metrics' tests share: score one text against its references."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from luthier.core.types import Example, Message, TextPrediction
from luthier.metrics.metric import Metric

Score = Callable[..., dict[str, float]]


@pytest.fixture
def score() -> Score:
    def of(metric: Metric, text: str, *references: str) -> dict[str, float]:
        example = Example("0", (Message("user", "?"),), references)
        return dict(metric.score(TextPrediction("0", text), example))

    return of
