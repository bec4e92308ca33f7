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
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from luthier.core.types import Example, Prediction, PredictionKind, TextPrediction
from luthier.metrics.metric import Embed, Embedded, Encoder, Metric
from luthier.metrics.sides import Sides, best_f1, named

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_AT_ONCE = 256
"""Examples whose texts' vectors are held together: of 100 tokens and 768 wide, some 160 MB."""


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
        paired: list[list[_Pair]] = []
        for start in range(0, len(answers), _AT_ONCE):
            here = slice(start, start + _AT_ONCE)
            paired += _pairs(answers[here], [example.references for example in examples[here]], embed)
        weights = _Idf([of[0].reference_ids for of in paired]) if self.idf else None
        held = [[_sides(pair, weights) for pair in of if pair.reference_ids] for of in paired]
        return [named("bertscore", best_f1(sides)) if sides else {} for sides in held]

    def signature(self) -> str:
        layer = "three quarters up" if self.layer is None else str(self.layer)
        idf = "references" if self.idf else "none"
        how = f"layer:{layer}|idf:{idf}|long texts:cut at the context|rescaled:no"
        return f"luthier bertscore {self.version}|model:{self.model}|{how}"


@dataclass(frozen=True)
class _Pair:
    """The tokens of an answer and of a reference, and how near each one's nearest opposite is; none where either text
    has no token."""

    answer_ids: tuple[int, ...]
    reference_ids: tuple[int, ...]
    nearest: tuple[NDArray[np.float32], NDArray[np.float32]] | None


def _pairs(answers: Sequence[str], references: Sequence[tuple[str, ...]], embed: Embed) -> list[list[_Pair]]:
    """Every answer with each of its references; their vectors are let go again."""
    texts = list(dict.fromkeys([*answers, *(text for of in references for text in of)]))
    read = dict(zip(texts, embed(texts), strict=True))
    return [[_pair(read[answer], read[text]) for text in of] for answer, of in zip(answers, references, strict=True)]


def _pair(answer: Embedded, reference: Embedded) -> _Pair:
    if not answer.ids or not reference.ids:
        return _Pair(answer.ids, reference.ids, None)
    alike = answer.vectors @ reference.vectors.T
    return _Pair(answer.ids, reference.ids, (alike.max(axis=1), alike.max(axis=0)))


class _Idf:
    """log((M + 1) / (df + 1)) by token; what no reference holds has df 0."""

    def __init__(self, references: Sequence[tuple[int, ...]]):
        self._held = Counter(token for reference in references for token in set(reference))
        self._all = len(references)

    def of(self, ids: tuple[int, ...]) -> list[float]:
        return [math.log((self._all + 1) / (self._held[token] + 1)) for token in ids]


def _sides(pair: _Pair, weights: _Idf | None) -> Sides:
    if pair.nearest is None:
        return Sides(0.0, 0.0)
    of_answer, of_reference = pair.nearest
    return Sides(_mean(of_answer, pair.answer_ids, weights), _mean(of_reference, pair.reference_ids, weights))


def _mean(nearest: NDArray[np.float32], ids: tuple[int, ...], weights: _Idf | None) -> float:
    """The mean over a text's tokens; all count alike where every weight is zero (a test set of one reference)."""
    of_each = weights.of(ids) if weights else []
    total = sum(of_each)
    if total <= 0:
        return float(nearest.mean())
    return sum(weight * float(value) for weight, value in zip(of_each, nearest, strict=True)) / total
