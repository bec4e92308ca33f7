"""Correlation of said with right numbers: Pearson's r and Spearman's rho, the figures of GLUE's STS-B.

    r = sum (x - mean x)(y - mean y) / sqrt(sum (x - mean x)^2 sum (y - mean y)^2)        rho = r of the ranks

Pearson 1895; Spearman 1904; STS-B is judged by both (Wang et al. 2018, arXiv 1804.07461); `scipy` does the arithmetic.
Both exist for a whole test set only; per example there is the squared error (said - right)^2.

    right: 1 2 3 4    said: 1 2 3 10    r = .886, rho = 1, mean squared error 36 / 4 = 9
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import ClassVar

from luthier.core.types import ChoicePrediction, ClassPrediction, Example, Prediction, PredictionKind, TextPrediction
from luthier.metrics.metric import Metric

_NUMBER = re.compile(r"(?:(?<!\w)[-+−])?(?:\d+(?:,\d{3})+|\d+)?(?:\.\d+|(?<=\d))(?:[eE][-+]?\d+)?")


class Correlation(Metric):
    """Pearson and Spearman over the test set, and the squared error of each example.

    From a text the first number in it is taken. Where choices or classes are numbers, the answer is their expectation
    under the model, sum of value x probability (the probabilities of the choices made to sum to 1): a model that
    wavers between 3 and 4 says 3.5. An example without a number, said or right, is unscored. No correlation is given
    where all said, or all right numbers are the same: it is undefined then, not zero.
    """

    name: ClassVar[str] = "correlation"
    kinds: ClassVar[tuple[PredictionKind, ...]] = ("choices", "text", "class")
    measures: ClassVar[tuple[str, ...]] = ("squared_error",)
    of_the_whole: ClassVar[tuple[str, ...]] = ("pearson", "spearman")
    higher_is_better: ClassVar[bool] = False

    def score(self, prediction: Prediction, example: Example) -> Mapping[str, float]:
        pair = _said_and_right(prediction, example)
        return {"squared_error": (pair[0] - pair[1]) * (pair[0] - pair[1])} if pair else {}

    def corpus(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> Mapping[str, float]:
        pairs = [_said_and_right(*both) for both in zip(predictions, examples, strict=True)]
        said, right = [pair[0] for pair in pairs if pair], [pair[1] for pair in pairs if pair]
        if len(set(said)) < 2 or len(set(right)) < 2:
            return {}
        from scipy.stats import pearsonr, spearmanr

        return {"pearson": float(pearsonr(said, right)[0]), "spearman": float(spearmanr(said, right)[0])}

    def signature(self) -> str:
        return f"scipy {version('scipy')}|pearsonr, spearmanr|texts:first number|choices and classes:expectation"


def number_in(text: str) -> float | None:
    """The first number in a text: `about -3.5 (of 5)` gives -3.5, `1,200` gives 1200; None where there is none."""
    found = _NUMBER.search(text)
    if found is None:
        return None
    value = float(found[0].replace(",", "").replace("−", "-"))
    return value if math.isfinite(value) else None


def _said_and_right(prediction: Prediction, example: Example) -> tuple[float, float] | None:
    said, right = _said(prediction, example), number_in(example.reference)
    return None if said is None or right is None else (said, right)


def _said(prediction: Prediction, example: Example) -> float | None:
    if isinstance(prediction, TextPrediction):
        return number_in(prediction.text)
    if isinstance(prediction, ChoicePrediction):
        return _expectation(prediction.choices, prediction.log_likelihoods)
    if isinstance(prediction, ClassPrediction):
        return _expectation(example.choices, prediction.log_probabilities)
    return None


def _expectation(choices: Sequence[str], nats: Sequence[float]) -> float | None:
    """The mean of numeric choices under their probabilities; None where one is no number, or has no likelihood."""
    values = [number_in(choice) for choice in choices]
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values) or len(nats) != len(values) or any(map(math.isnan, nats)):
        return None
    most = max(nats)
    if math.isinf(most):
        return None
    weights = [math.exp(one - most) for one in nats]
    return sum(weight * value for weight, value in zip(weights, known, strict=True)) / sum(weights)
