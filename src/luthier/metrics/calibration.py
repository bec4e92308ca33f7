"""Calibration: whether a model's probability of its answer says how often that is right.

    ece = sum over ten bins of equal mass of |bin| / n * |accuracy in it - mean confidence in it|

`core/calibration.py` has the formulas and their sources (Guo et al. 2017, arXiv 1706.04599; HELM, arXiv 2211.09110).
The confidence of a choice is the largest softmax of the candidates' summed log-likelihoods, that of a class its
probability. It exists for a whole test set only, and 0 is best. Likelihoods of nothing but the references, which is
what a task without choices has, are no choice between answers: they are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from luthier.core.calibration import BINS, choice_confidence, expected_calibration_error
from luthier.core.types import ChoicePrediction, ClassPrediction, Example, Prediction, PredictionKind
from luthier.metrics.accuracy import Accuracy
from luthier.metrics.metric import Metric


class Calibration(Metric):
    """Expected calibration error of the test set, with bins of equal mass and with one bin."""

    name: ClassVar[str] = "calibration"
    kinds: ClassVar[tuple[PredictionKind, ...]] = ("choices", "class")
    measures: ClassVar[tuple[str, ...]] = ()
    of_the_whole: ClassVar[tuple[str, ...]] = ("ece", "ece_1_bin")
    higher_is_better: ClassVar[bool] = False
    bins: int = Field(default=BINS, ge=1)
    """Bins of equal mass; ten as in HELM, and no more than there are items."""

    def corpus(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> Mapping[str, float]:
        judge = Accuracy()
        pairs = [
            (_confidence(prediction), measured["accuracy"])
            for prediction, example in zip(predictions, examples, strict=True)
            if not _of_references(prediction, example) and "accuracy" in (measured := judge.score(prediction, example))
        ]
        known = [(confidence, right) for confidence, right in pairs if not math.isnan(confidence)]
        if not known:
            return {}
        p, y = zip(*known, strict=True)
        return {
            "ece": expected_calibration_error(p, y, self.bins),
            "ece_1_bin": expected_calibration_error(p, y, 1),
        }

    def signature(self) -> str:
        return f"luthier calibration {self.version}|equal-mass bins:{self.bins}|confidence:softmax over choices"


def _of_references(prediction: Prediction, example: Example) -> bool:
    return isinstance(prediction, ChoicePrediction) and set(prediction.choices) <= set(example.references)


def _confidence(prediction: Prediction) -> float:
    if isinstance(prediction, ClassPrediction):
        return choice_confidence(prediction.log_probabilities)
    assert isinstance(prediction, ChoicePrediction)
    return choice_confidence(prediction.log_likelihoods)
