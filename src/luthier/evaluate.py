"""Scores: every metric of a task on every prediction of the kind that it takes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from luthier.core.types import Example, Prediction, Score
from luthier.metrics.metric import Metric


def score(
    metrics: Sequence[Metric], predictions: Sequence[Prediction], examples: Sequence[Example]
) -> tuple[list[Score], dict[str, float]]:
    """Score each example, and take the means.

    Args:
        metrics: what judges.
        predictions: in any order, of any kinds; found again by example id.
        examples: the test set, in order.

    Returns:
        A `Score` per example, in order, holding every measure that could be taken of it; and per measure its mean over
        the examples that have it (corpus measures, which no example has, beside them). Unscored is not zero.
    """
    values: list[dict[str, float]] = [{} for _ in examples]
    summary: dict[str, float] = {}
    for metric in metrics:
        of_kind = {p.example_id: p for p in predictions if p.kind in metric.kinds}
        pairs = [(of_kind[example.id], example) for example in examples if example.id in of_kind]
        for example, taken in zip(examples, values, strict=True):
            if example.id in of_kind:
                measured = metric.score(of_kind[example.id], example)
                taken |= {name: value for name, value in measured.items() if math.isfinite(value)}
        if pairs:
            whole = metric.corpus([prediction for prediction, _ in pairs], [example for _, example in pairs])
            summary |= {name: value for name, value in whole.items() if math.isfinite(value)}
    scores = [Score(example.id, taken) for example, taken in zip(examples, values, strict=True)]
    return scores, {**_means(scores), **summary}


def _means(scores: Sequence[Score]) -> dict[str, float]:
    names = dict.fromkeys(name for score in scores for name in score.values)
    taken = {name: [score.values[name] for score in scores if name in score.values] for name in names}
    return {name: sum(values) / len(values) for name, values in taken.items()}
