"""Exact match: whether a text is one of the references.

Rajpurkar et al., arXiv 1606.05250, section 6.1: 1 where the normalised texts are equal, else 0.

    "The Eiffel Tower." against "eiffel tower": 1; strict: 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from luthier.core.types import Example, Prediction, PredictionKind, TextPrediction
from luthier.metrics.metric import Metric
from luthier.metrics.squad import words


class ExactMatch(Metric):
    """1 where the text equals any of the references, else 0."""

    name: ClassVar[str] = "exact_match"
    kinds: ClassVar[tuple[PredictionKind, ...]] = ("text",)
    measures: ClassVar[tuple[str, ...]] = ("exact_match",)
    strict: bool = False
    """Compare character by character, white space at both ends aside, in place of SQuAD's normalisation (lower case,
    without punctuation, articles and extra white space). Wanted where case or punctuation carry meaning: code,
    formulas, `-1` against `1`."""

    def score(self, prediction: Prediction, example: Example) -> Mapping[str, float]:
        assert isinstance(prediction, TextPrediction)
        answer = self._normalise(prediction.text)
        return {"exact_match": float(any(answer == self._normalise(text) for text in example.references))}

    def signature(self) -> str:
        return f"luthier exact_match {self.version}|normalisation:{'none' if self.strict else 'squad'}"

    def _normalise(self, text: str) -> str:
        return text.strip() if self.strict else " ".join(words(text))
