"""ROUGE-S: shared skip-bigrams, pairs of words in their order with at most so many words between; ROUGE-SU adds words.

Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", sections 5 and 6. Counts are clipped:

    overlap = sum over pairs of min(count in the answer, count in the reference)
    precision = overlap / pairs of the answer    recall = overlap / pairs of the reference    F1 = 2 P R / (P + R)

    "police kill the gunman" against "police killed the gunman", no stemming: 3 of 6 pairs, .5;
    "the gunman kill police": "the gunman" alone, 1/6; "the gunman police killed": 2/6

A text of n words has n (n - 1) / 2 pairs without a limit; with a gap of 0 they are its bigrams. ROUGE-SU counts single
words beside the pairs, so that a text with the right words in the wrong order earns something. The `rouge-score`
package has neither, hence this one, with its tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import ClassVar

from pydantic import Field

from luthier.core.types import Example, Prediction, PredictionKind, TextPrediction
from luthier.metrics.metric import Metric
from luthier.metrics.rouge_tokens import rouge_tokens
from luthier.metrics.sides import Sides, best_f1, named


class RougeS(Metric):
    """ROUGE-S and ROUGE-SU; the bare name of a measure (`rougeS`) is its F1.

    With several references each takes the one with the best F1. Where no reference has a token nothing is given; a
    one-word reference has no pair: its rougeS is 0, as its rouge2 is.
    """

    name: ClassVar[str] = "rouge_s"
    kinds: ClassVar[tuple[PredictionKind, ...]] = ("text",)
    measures: ClassVar[tuple[str, ...]] = tuple(
        f"{kind}{side}" for kind in ("rougeS", "rougeSU") for side in ("", "_precision", "_recall")
    )
    gap: int = Field(default=4, ge=0)
    """The most words between the two of a pair; 4 as in DUC's ROUGE-S4 and ROUGE-SU4."""
    stemmer: bool = True
    """As for `rouge`: strip suffixes before comparing."""

    def score(self, prediction: Prediction, example: Example) -> Mapping[str, float]:
        assert isinstance(prediction, TextPrediction)
        references = [tokens for text in example.references if (tokens := rouge_tokens(text, self.stemmer))]
        if not references:
            return {}
        answer = rouge_tokens(prediction.text, self.stemmer)
        values: dict[str, float] = {}
        for measure, words in (("rougeS", False), ("rougeSU", True)):
            said = skip_bigrams(answer, self.gap, words)
            held = [clipped(said, skip_bigrams(reference, self.gap, words)) for reference in references]
            values |= named(measure, best_f1(held))
        return values

    def signature(self) -> str:
        stemmer = "porter" if self.stemmer else "none"
        return (
            f"luthier rouge_s {self.version}|tokens:rouge-score {version('rouge-score')}|stemmer:{stemmer}"
            f"|gap:{self.gap}|references:best F1"
        )


def skip_bigrams(tokens: Sequence[str], gap: int, words: bool = False) -> Counter[tuple[str, ...]]:
    """How often each pair stands in the text; with `words`, each single word too."""
    counts = Counter[tuple[str, ...]]((word,) for word in tokens) if words else Counter()
    for place, word in enumerate(tokens):
        counts.update((word, after) for after in tokens[place + 1 : place + gap + 2])
    return counts


def clipped(answer: Counter[tuple[str, ...]], reference: Counter[tuple[str, ...]]) -> Sides:
    """Precision and recall of two bags, nothing counted more often than both have it; 0 where a bag is empty."""
    if not answer or not reference:
        return Sides(0.0, 0.0)
    shared = (answer & reference).total()
    return Sides(shared / answer.total(), shared / reference.total())
