"""BLEU: clipped n-gram precision, n = 1 to 4, times a penalty for brevity.

Papineni et al. 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation"; computed by `sacrebleu` (Post,
arXiv 1804.08771). With c and r the lengths of candidate and reference and p_n the n-gram precisions:

    BLEU = exp(min(0, 1 - r / c)) * (p_1 p_2 p_3 p_4) ^ (1/4)

    "I am very happy that I am drinking a cup of tea." against "I am very happy to say that I am drinking a warm cup
    of tea.", split at white space: p = 12/12, 9/11, 6/10, 3/9, penalty exp(1 - 15/12) = .779, BLEU .495.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Literal

from luthier.core.types import Example, Prediction, PredictionKind, TextPrediction
from luthier.metrics.metric import Metric

Tokenizer = Literal["13a", "intl", "zh", "char", "none"]


class Bleu(Metric):
    """BLEU-4 in [0, 1] (sacrebleu's figure divided by 100), per example and for the corpus.

    Per example (`bleu`): sentence BLEU with effective order (orders longer than the candidate are left out) and
    sacrebleu's exponential smoothing. For the test set (`corpus_bleu`): the counts are summed first, which is what
    papers report; it is not the mean of the sentence scores.
    """

    name: ClassVar[str] = "bleu"
    kinds: ClassVar[tuple[PredictionKind, ...]] = ("text",)
    measures: ClassVar[tuple[str, ...]] = ("bleu",)
    tokenize: Tokenizer = "13a"
    """How words are told apart. `13a`, sacrebleu's default, is the rule of WMT's mteval-v13a script; `none` splits at
    white space; `zh` and `char` serve languages written without spaces."""

    def score(self, prediction: Prediction, example: Example) -> Mapping[str, float]:
        assert isinstance(prediction, TextPrediction)
        scorer = _scorer(self.tokenize, effective_order=True)
        return {"bleu": scorer.sentence_score(prediction.text, list(example.references)).score / 100}

    def corpus(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> Mapping[str, float]:
        if not predictions:
            return {}
        texts = [prediction.text for prediction in predictions if isinstance(prediction, TextPrediction)]
        scorer = _scorer(self.tokenize, effective_order=False)
        return {"corpus_bleu": scorer.corpus_score(texts, reference_streams(examples)).score / 100}

    def signature(self) -> str:
        """sacrebleu's signature of the corpus score; `eff:yes` would stand in that of the sentence score."""
        return sacrebleu_signature("BLEU", _scorer(self.tokenize, effective_order=False))


@cache
def _scorer(tokenize: Tokenizer, effective_order: bool) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    # force: a text that happens to look tokenised is the model's business; no warning about it.
    return BLEU(tokenize=tokenize, effective_order=effective_order, force=True)


def reference_streams(examples: Sequence[Example]) -> list[list[str | None]]:
    """References as sacrebleu wants them: a list per position, None where an example has fewer than the others."""
    most = max(len(example.references) for example in examples)
    return [
        [example.references[position] if position < len(example.references) else None for example in examples]
        for position in range(most)
    ]


def sacrebleu_signature(title: str, scorer: Any) -> str:
    """`BLEU|nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0`."""
    # A scorer knows its number of references only once it has scored, and it differs by example: -1 reads `var`.
    scorer.num_refs = -1
    return f"{title}|{scorer.get_signature()}"
