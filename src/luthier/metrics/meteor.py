"""METEOR without synonyms: shared words and word stems, less a penalty for how scattered they stand.

Banerjee and Lavie 2005, "METEOR: An Automatic Metric for MT Evaluation with Improved Correlation with Human Judgments",
with the parameters that nltk has for defaults; computed by `nltk.translate.meteor_score`. With m matched words in c
chunks (runs that follow each other in both texts), P = m / answer's words and R = m / reference's words:

    F = P R / (.9 P + .1 R)        METEOR = F (1 - .5 (c / m)^3)

    "it is very cold outside" against "it is cold outside": m = 4, P = .8, R = 1, F = .976, c = 2, METEOR .915

**This is not the published METEOR**: its third module, which matches synonyms, needs WordNet. Without it the first two
(equal words, then equal Porter stems) are all that match, and answers in other words than the reference's score lower.
nltk also does not look for the alignment with the fewest chunks, as the paper does: it pairs each word with the last
one that is free.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import ClassVar

from luthier.core.types import Example, Prediction, PredictionKind, TextPrediction
from luthier.metrics.metric import Metric

_TOKEN = re.compile(r"\w+|[^\w\s]")


class Meteor(Metric):
    """METEOR of equal words and stems alone, no synonyms (no WordNet); the best reference counts.

    An answer that is the reference, of n words, has 1 - .5 / n^3: one run is a chunk too. Tokens are runs of letters
    and digits, and each other sign by itself, in lower case.
    """

    name: ClassVar[str] = "meteor"
    kinds: ClassVar[tuple[PredictionKind, ...]] = ("text",)
    measures: ClassVar[tuple[str, ...]] = ("meteor",)

    def score(self, prediction: Prediction, example: Example) -> Mapping[str, float]:
        assert isinstance(prediction, TextPrediction)
        references = [tokens for text in example.references if (tokens := _TOKEN.findall(text))]
        if not references:
            return {}
        answer = _TOKEN.findall(prediction.text)
        if not answer:
            return {"meteor": 0.0}
        from nltk.translate.meteor_score import meteor_score

        return {"meteor": float(meteor_score(references, answer, wordnet=_NO_SYNONYMS))}

    def signature(self) -> str:
        return f"nltk {version('nltk')}|meteor|modules:exact, porter stem (no WordNet)|alpha:.9|beta:3|gamma:.5"


class _NoSynonyms:
    """What nltk asks in WordNet's place."""

    def synsets(self, word: str) -> list[object]:
        return []


_NO_SYNONYMS = _NoSynonyms()
