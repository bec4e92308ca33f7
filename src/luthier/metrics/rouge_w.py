"""ROUGE-W: the longest common subsequence, in which words that stand side by side in both texts count for more.

Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", section 4. With f(k) = k^weight, a run of k words
that follow each other in both texts earns f(k), more than its k words one by one. Lin's recurrence over the words x[i],
y[j] finds WLCS, where w[i, j] is the length of the run that ends in both:

    x[i] = y[j]:   c[i, j] = c[i-1, j-1] + f(w[i-1, j-1] + 1) - f(w[i-1, j-1]),   w[i, j] = w[i-1, j-1] + 1
    else           c[i, j] = max(c[i-1, j], c[i, j-1]),                           w[i, j] = 0

    recall = (WLCS / f(reference's words))^(1/weight)    precision = (WLCS / f(answer's words))^(1/weight)
    F1 = 2 P R / (P + R)

    "A B C D H I K" against "A B C D E F G", weight 2: WLCS 4^2, sqrt(16 / 49) = .571; "A H B K C I D": 4, .286

The recurrence takes every match that it meets, so where words repeat it may miss a heavier subsequence; it is what
ROUGE-1.5.5 computes. The `rouge-score` package has no ROUGE-W, hence this one, with its tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import ClassVar

from pydantic import Field

from luthier.core.types import Example, Prediction, PredictionKind, TextPrediction
from luthier.metrics.metric import Metric
from luthier.metrics.rouge_tokens import rouge_tokens
from luthier.metrics.sides import Sides, best_f1, named


class RougeW(Metric):
    """ROUGE-W: shared words in order, runs of them counting for more; the bare name (`rougeW`) is the F1.

    The whole text is one sequence, as for rougeL. With several references the one with the best F1 counts; a reference
    without a token cannot be held against, and where none has one no measure is given.
    """

    name: ClassVar[str] = "rouge_w"
    kinds: ClassVar[tuple[PredictionKind, ...]] = ("text",)
    measures: ClassVar[tuple[str, ...]] = ("rougeW", "rougeW_precision", "rougeW_recall")
    weight: float = Field(default=1.2, ge=1, allow_inf_nan=False)
    """The exponent of f(k) = k^weight; 1 is ROUGE-L. 1.2 as DUC's evaluations call ROUGE-1.5.5 (`-w 1.2`)."""
    stemmer: bool = True
    """As for `rouge`: strip suffixes before comparing."""

    def score(self, prediction: Prediction, example: Example) -> Mapping[str, float]:
        assert isinstance(prediction, TextPrediction)
        answer = rouge_tokens(prediction.text, self.stemmer)
        references = [rouge_tokens(text, self.stemmer) for text in example.references]
        held = [_sides(answer, reference, self.weight) for reference in references if reference]
        return named("rougeW", best_f1(held)) if held else {}

    def signature(self) -> str:
        stemmer = "porter" if self.stemmer else "none"
        return (
            f"luthier rouge_w {self.version}|tokens:rouge-score {version('rouge-score')}|stemmer:{stemmer}"
            f"|weight:{self.weight:g}|references:best F1"
        )


def _sides(answer: Sequence[str], reference: Sequence[str], weight: float) -> Sides:
    if not answer:
        return Sides(0.0, 0.0)
    shared = weighted_lcs(answer, reference, weight)
    precision, recall = (shared ** (1 / weight) / len(words) for words in (answer, reference))
    return Sides(precision, recall)


def weighted_lcs(one: Sequence[str], other: Sequence[str], weight: float) -> float:
    """WLCS of two sequences by the recurrence of the module's docstring; len(one) x len(other) steps."""
    earned = [float(k**weight) for k in range(min(len(one), len(other)) + 1)]
    best, runs = [0.0] * (len(other) + 1), [0] * (len(other) + 1)
    for word in one:
        above, runs_above = best, runs
        best, runs = [0.0], [0]
        for place, beside in enumerate(other, start=1):
            if word == beside:
                run = runs_above[place - 1]
                best.append(above[place - 1] + earned[run + 1] - earned[run])
                runs.append(run + 1)
            else:
                best.append(max(above[place], best[-1]))
                runs.append(0)
    return best[-1]
