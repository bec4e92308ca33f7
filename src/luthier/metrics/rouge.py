"""ROUGE: overlap of n-grams (1, 2) and of the longest common subsequence (L, Lsum) with a reference.

Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", computed by the `rouge-score` package (counts are
clipped, as in Lin's ROUGE-1.5.5). With `o` the overlap of a candidate and a reference:

    precision = o / candidate's count    recall = o / reference's count    F1 = 2 P R / (P + R)

    "It is very cold outside." against "It is cold outside.": rouge1 P 4/5, R 4/4, F1 .889; rouge2 2/4, 2/3, .571.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any, ClassVar

from luthier.core.types import Example, Prediction, PredictionKind, TextPrediction
from luthier.metrics.metric import Metric

TYPES = ("rougeL", "rouge1", "rouge2", "rougeLsum")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class Rouge(Metric):
    """ROUGE-1, -2, -L and -Lsum; the bare name of a measure (`rougeL`) is its F1.

    With several references each type takes the reference that gives the best F1, as rouge-score's `score_multi` does.
    Lsum compares sentence by sentence: sentences end at a line's end, or at `.`, `!` or `?` before white space.
    Tokens are runs of ASCII letters and digits; where no reference has one (a text in Chinese), ROUGE cannot be taken
    and no measure is given. A one-word reference has no bigram: its rouge2 is 0, as the package has it.
    """

    name: ClassVar[str] = "rouge"
    kinds: ClassVar[tuple[PredictionKind, ...]] = ("text",)
    measures: ClassVar[tuple[str, ...]] = (
        *TYPES,
        *(f"{kind}_{side}" for kind in TYPES for side in ("precision", "recall")),
    )
    stemmer: bool = True
    """Strip suffixes from words of more than three letters (Porter 1980) before comparing. On by default, as in the
    summarisation examples of Hugging Face transformers (`metric.compute(use_stemmer=True)`) and hence in what is
    mostly reported for DialogSum; rouge-score's own default is off. English only in effect."""

    def score(self, prediction: Prediction, example: Example) -> Mapping[str, float]:
        assert isinstance(prediction, TextPrediction)
        scorer = _scorer(self.stemmer)
        references = [_lines(text) for text in example.references if _has_tokens(text)]
        if not references:
            return {}
        best = scorer.score_multi(references, _lines(prediction.text))
        values: dict[str, float] = {}
        for kind in TYPES:
            values[kind] = float(best[kind].fmeasure)
            values[f"{kind}_precision"] = float(best[kind].precision)
            values[f"{kind}_recall"] = float(best[kind].recall)
        return values

    def signature(self) -> str:
        stemmer = "porter" if self.stemmer else "none"
        return f"rouge-score {version('rouge-score')}|stemmer:{stemmer}|sentences:lines and .!?|references:best F1"


@cache
def _scorer(stemmer: bool) -> Any:
    # Imported here: rouge-score brings nltk along, which takes more than a second.
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(TYPES), use_stemmer=stemmer)


def _lines(text: str) -> str:
    """The text with every sentence on its own line, which only Lsum sees: the other types split at white space."""
    return _SENTENCE_END.sub("\n", text)


def _has_tokens(text: str) -> bool:
    return re.search("[a-z0-9]", text.lower()) is not None
