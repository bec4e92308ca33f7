"""TER: translation edit rate, the least number of edits that turn the answer into a reference, per reference word.

Snover et al. 2006, "A Study of Translation Edit Rate with Targeted Human Annotation"; computed by `sacrebleu`. An edit
puts in, takes out or replaces one word, or shifts a run of words elsewhere:

    TER = edits to the closest reference / mean length of the references        0 is best; it may exceed 1

    "It was surprising." against "It was not unexpected.": one word in, one replaced, 2 / 4 = .5
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

from luthier.core.types import Example, Prediction, PredictionKind, TextPrediction
from luthier.metrics.bleu import reference_streams, sacrebleu_signature
from luthier.metrics.metric import Metric


class Ter(Metric):
    """Translation edit rate (sacrebleu's figure divided by 100); lower is better, and it may exceed 1.

    `ter` per example; `corpus_ter` from summed edits and lengths, which is what papers report. Where no reference has a
    word there is nothing to divide by, and no measure is given.
    """

    name: ClassVar[str] = "ter"
    kinds: ClassVar[tuple[PredictionKind, ...]] = ("text",)
    measures: ClassVar[tuple[str, ...]] = ("ter",)
    higher_is_better: ClassVar[bool] = False
    normalized: bool = False
    """Whether punctuation is split off first; off by default, as in sacrebleu and Tercom."""
    no_punct: bool = False
    """Whether punctuation is removed first; off by default, as in sacrebleu and Tercom."""
    case_sensitive: bool = False
    """Whether `The` and `the` differ; off by default, as in sacrebleu and Tercom."""
    asian_support: bool = False
    """With `normalized`, whether Chinese, Japanese and Korean are split into characters; off by default, as in
    sacrebleu and Tercom."""

    def score(self, prediction: Prediction, example: Example) -> Mapping[str, float]:
        assert isinstance(prediction, TextPrediction)
        references = _with_words(example)
        if not references:
            return {}
        return {"ter": self._scorer().sentence_score(prediction.text, list(references)).score / 100}

    def corpus(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> Mapping[str, float]:
        pairs = [
            (prediction.text, replace(example, references=references))
            for prediction, example in zip(predictions, examples, strict=True)
            if isinstance(prediction, TextPrediction) and (references := _with_words(example))
        ]
        if not pairs:
            return {}
        streams = reference_streams([example for _, example in pairs])
        return {"corpus_ter": self._scorer().corpus_score([text for text, _ in pairs], streams).score / 100}

    def signature(self) -> str:
        return sacrebleu_signature("TER", self._scorer())

    def _scorer(self) -> Any:
        return _scorer(self.normalized, self.no_punct, self.case_sensitive, self.asian_support)


@cache
def _scorer(normalized: bool, no_punct: bool, case_sensitive: bool, asian_support: bool) -> Any:
    from sacrebleu.metrics.ter import TER

    return TER(normalized, no_punct, asian_support, case_sensitive)


def _with_words(example: Example) -> tuple[str, ...]:
    return tuple(text for text in example.references if text.strip())
