"""What clipping takes from a text that games ROUGE (../shared/facts/golden.md)."""

from __future__ import annotations

import pytest

from luthier.core.types import Example, Message, TextPrediction
from luthier.metrics.gaming import Gaming, flags
from luthier.metrics.rouge import Rouge

EXAMPLE = Example("0", (Message("user", "How is the weather?"),), ("It is cold outside.",))
COLD = TextPrediction("0", "cold cold cold cold")


def test_four_times_cold():
    """Clipped, a quarter is right; unclipped, as the `rouge` package counts, all of it: and it is flagged."""
    clipped, unclipped = Rouge().score(COLD, EXAMPLE), Gaming().score(COLD, EXAMPLE)
    assert clipped["rouge1_precision"] == 0.25
    assert unclipped["unclipped_rouge1_precision"] == 1.0
    assert unclipped["clipped_away"] == pytest.approx(0.75)
    (said,) = flags(unclipped)
    assert said.startswith("repetition") and unclipped["gamed"] == 1.0
