"""TER: translation edit rate, the least number of edits that turn the answer into a reference, per reference word.

Snover et al. 2006, "A Study of Translation Edit Rate with Targeted Human Annotation"; computed by `sacrebleu`. An edit
puts in, takes out or replaces one word, or shifts a run of words elsewhere:

    TER = edits to the closest reference / mean length of the references        0 is best; it may exceed 1

    "It was surprising." against "It was not unexpected.": one word in, one replaced, 2 / 4 = .5
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, ClassVar

from luthier.core.types import Example, Prediction, PredictionKind, TextPrediction
from luthier.metrics.bleu import sacrebleu_signature
from luthier.metrics.metric import Metric


class Ter(Metric):
    """Translation edit rate (sacrebleu's figure divided by 100); lower is better, and it may exceed 1.

    `ter` per example; `corpus_ter` from summed edits and lengths, which is what papers report. Where no reference has a
    word (with `no_punct`: but punctuation) there is nothing to divide by, and no measure is given.

    The search for shifts takes its time where texts have little in common: two unrelated ones of 100 words take 2
    seconds of a core, of 500 words 16. A run with texts looks for them twice, against its own references and against
    wrong ones.
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
        edits, words = self._edits(prediction.text, example.references)
        return {"ter": edits / words} if words else {}

    def corpus(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> Mapping[str, float]:
        found = [
            self._edits(prediction.text, example.references)
            for prediction, example in zip(predictions, examples, strict=True)
            if isinstance(prediction, TextPrediction)
        ]
        words = sum(length for _, length in found)
        return {"corpus_ter": sum(edits for edits, _ in found) / words} if words else {}

    def signature(self) -> str:
        return sacrebleu_signature("TER", self._scorer())

    def _edits(self, text: str, references: tuple[str, ...]) -> tuple[float, float]:
        return _edits(text, references, self.normalized, self.no_punct, self.case_sensitive, self.asian_support)

    def _scorer(self) -> Any:
        return _scorer(self.normalized, self.no_punct, self.case_sensitive, self.asian_support)


@cache
def _scorer(normalized: bool, no_punct: bool, case_sensitive: bool, asian_support: bool) -> Any:
    from sacrebleu.metrics.ter import TER

    return TER(normalized, no_punct, asian_support, case_sensitive)


@lru_cache(maxsize=2**14)
def _edits(text: str, references: tuple[str, ...], *settings: bool) -> tuple[float, float]:
    """The least edits, and the mean length of the references that have a word; (0, 0) where none has. Kept, so that the
    corpus is summed from what its sentences took."""
    scorer = _scorer(*settings)
    with_words = [reference for reference in references if scorer.tokenizer(reference.rstrip()).split()]
    if not with_words:
        return 0.0, 0.0
    found = scorer.sentence_score(text, with_words)
    return found.num_edits, found.ref_length
