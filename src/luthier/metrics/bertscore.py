"""BERTScore: how well the words of an answer and of a reference can be paired by what they mean where they stand.

Zhang et al. 2019, "BERTScore: Evaluating Text Generation with BERT", arXiv 1904.09675. Let x[i] be the
embeddings of the reference's tokens and y[j] of the answer's, each of length 1. Each takes its nearest one opposite:

    recall = mean over i of max_j x[i] . y[j]        precision = mean over j of max_i x[i] . y[j]
    F1 = 2 P R / (P + R)

With `idf`, the means are weighted by idf(token) = log((M + 1) / (df + 1)), M the references of the test set and df
those that hold the token: rare words count for more. Scores are not rescaled by a baseline (that takes a large corpus),
so they lie close together: compare arms by them, do not read them as shares, and hold one encoder's against no other's.
The special tokens at a text's ends are read and not paired (the authors' code weighs them by zero, but lets words pair
with them).

The published figures are those of large encoders (RoBERTa-large); with a small one the measure is the same formula of
poorer embeddings.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from luthier.core.types import Example, Prediction, PredictionKind, TextPrediction
from luthier.metrics.metric import Embed, Embedded, Encoder, Metric
from luthier.metrics.sides import Sides, best_f1, named

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class BertScore(Metric):
    """BERTScore by an encoder of yours; the bare name (`bertscore`) is the F1, in [-1, 1] and mostly far above 0.

    With several references the one with the best F1 counts. An answer without a token scores 0; where no reference has
    one, no measure is given. Texts longer than the encoder's context are cut there.
    """

    name: ClassVar[str] = "bertscore"
    kinds: ClassVar[tuple[PredictionKind, ...]] = ("text",)
    measures: ClassVar[tuple[str, ...]] = ("bertscore", "bertscore_precision", "bertscore_recall")
    model: str = "house/encoder"
    """The encoder: a house model, a folder or a hub id. The house's own by default, which needs no download; the paper
    recommends RoBERTa-large for English."""
    layer: int | None = Field(default=None, ge=1)
    """Whose output is compared, counted from 1. Three quarters of the way up by default: by agreement with people the
    paper takes the 9th of 12 of BERT-base, the 18th of 24 of BERT-large and the 17th of RoBERTa-large."""
    idf: bool = False
    """Weigh tokens by their rarity among the references; off by default, as in the authors' code."""

    @property
    def encoder(self) -> Encoder:
        return Encoder(self.model, self.layer)

    def score_all(
        self, predictions: Sequence[Prediction], examples: Sequence[Example], embed: Embed | None = None
    ) -> list[Mapping[str, float]]:
        assert embed is not None, "bertscore is handed what its encoder makes of texts (evaluate.score)"
        answers = [prediction.text for prediction in predictions if isinstance(prediction, TextPrediction)]
        texts = list(dict.fromkeys([*answers, *(text for example in examples for text in example.references)]))
        read = dict(zip(texts, embed(texts), strict=True))
        weights = _Idf([read[example.reference] for example in examples]) if self.idf else None
        found: list[Mapping[str, float]] = []
        for answer, example in zip(answers, examples, strict=True):
            held = [_sides(read[answer], read[text], weights) for text in example.references if read[text].ids]
            found.append(named("bertscore", best_f1(held)) if held else {})
        return found

    def signature(self) -> str:
        layer = "three quarters up" if self.layer is None else str(self.layer)
        idf = "references" if self.idf else "none"
        return f"luthier bertscore {self.version}|model:{self.model}|layer:{layer}|idf:{idf}|rescaled:no"


class _Idf:
    """log((M + 1) / (df + 1)) by token; what no reference holds has df 0."""

    def __init__(self, references: Sequence[Embedded]):
        self._held = Counter(token for reference in references for token in set(reference.ids))
        self._all = len(references)

    def of(self, text: Embedded) -> list[float]:
        return [math.log((self._all + 1) / (self._held[token] + 1)) for token in text.ids]


def _sides(answer: Embedded, reference: Embedded, weights: _Idf | None) -> Sides:
    if not answer.ids:
        return Sides(0.0, 0.0)
    alike = answer.vectors @ reference.vectors.T
    return Sides(_mean(alike.max(axis=1), answer, weights), _mean(alike.max(axis=0), reference, weights))


def _mean(nearest: NDArray[np.float32], text: Embedded, weights: _Idf | None) -> float:
    """The mean over a text's tokens; all count alike where every weight is zero (a test set of one reference)."""
    of_each = weights.of(text) if weights else []
    total = sum(of_each)
    if total <= 0:
        return float(nearest.mean())
    return sum(weight * float(value) for weight, value in zip(of_each, nearest, strict=True)) / total
