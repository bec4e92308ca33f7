"""chrF: F-score over character n-grams, n = 1 to 6, recall counting twice as much as precision.

Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation"; computed by `sacrebleu` (its chrF2: beta 2,
no word n-grams, white space removed). With P and R averaged over the orders:

    chrF = (1 + beta^2) P R / (beta^2 P + R)

It needs no words, so it also serves languages without spaces and forgives inflection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

from luthier.core.types import Example, Prediction, PredictionKind, TextPrediction
from luthier.metrics.bleu import reference_streams, sacrebleu_signature
from luthier.metrics.metric import Metric


class Chrf(Metric):
    """chrF2 in [0, 1] (sacrebleu's figure divided by 100): `chrf` per example, `corpus_chrf` from summed counts.

    With several references the best one counts.
    """

    name: ClassVar[str] = "chrf"
    kinds: ClassVar[tuple[PredictionKind, ...]] = ("text",)
    measures: ClassVar[tuple[str, ...]] = ("chrf",)

    def score(self, prediction: Prediction, example: Example) -> Mapping[str, float]:
        assert isinstance(prediction, TextPrediction)
        return {"chrf": _scorer().sentence_score(prediction.text, list(example.references)).score / 100}

    def corpus(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> Mapping[str, float]:
        if not predictions:
            return {}
        texts = [prediction.text for prediction in predictions if isinstance(prediction, TextPrediction)]
        return {"corpus_chrf": _scorer().corpus_score(texts, reference_streams(examples)).score / 100}

    def signature(self) -> str:
        return sacrebleu_signature("chrF2", _scorer())


@cache
def _scorer() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()
