"""Token F1: how many words an answer shares with a reference, whatever their order.

Rajpurkar et al., arXiv 1606.05250, section 6.1. With o the words in common after SQuAD's normalisation:

    F1 = 2 o / (words of the prediction + words of the reference)

    "the cat sat" against "a cat sat down": 2 * 2 / (2 + 3) = .8
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

from luthier.core.types import Example, Prediction, PredictionKind, TextPrediction
from luthier.metrics.metric import Metric
from luthier.metrics.squad import overlap_f1, words


class TokenF1(Metric):
    """SQuAD's F1 in [0, 1]; with several references the best one counts."""

    name: ClassVar[str] = "token_f1"
    kinds: ClassVar[tuple[PredictionKind, ...]] = ("text",)
    measures: ClassVar[tuple[str, ...]] = ("token_f1",)

    def score(self, prediction: Prediction, example: Example) -> Mapping[str, float]:
        assert isinstance(prediction, TextPrediction)
        answer = Counter(words(prediction.text))
        return {"token_f1": max(overlap_f1(answer, Counter(words(text))) for text in example.references)}

    def signature(self) -> str:
        return f"luthier token_f1 {self.version}|normalisation:squad"
