"""Scores: every metric of a task on the prediction of the kind that it takes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from luthier.core.types import ChoicePrediction, Example, Prediction, PredictionKind, Score
from luthier.metrics.metric import Embed, Metric

ByKind = Mapping[tuple[PredictionKind, str], Prediction]
"""Predictions by kind and example id."""


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
    by_kind = {(prediction.kind, prediction.example_id): prediction for prediction in predictions}
    for metric in metrics:
        found = [_prediction_for(metric, example, by_kind) for example in examples]
        places = [place for place, prediction in enumerate(found) if prediction is not None]
        if not places:
            continue
        judged = [prediction for prediction in found if prediction is not None], [examples[place] for place in places]
        for place, measured in zip(places, metric.score_all(*judged, _embed_for(metric)), strict=True):
            values[place] |= {name: value for name, value in measured.items() if math.isfinite(value)}
        summary |= {name: value for name, value in metric.corpus(*judged).items() if math.isfinite(value)}
    scores = [Score(example.id, taken) for example, taken in zip(examples, values, strict=True)]
    return scores, {**_means(scores), **summary}


def _embed_for(metric: Metric) -> Embed | None:
    """What the metric's encoder makes of texts; a metric may not load a model itself."""
    if metric.encoder is None:
        return None
    from luthier.models.embeddings import embedder

    return embedder(metric.encoder)


def _prediction_for(metric: Metric, example: Example, by_kind: ByKind) -> Prediction | None:
    """The prediction of the first kind that the metric takes and the example has; None where the example has no
    reference to judge it by (an item of a benchmark whose label is held back).

    For a metric that could judge a text, likelihoods of nothing but the references are no choice: the most probable of
    right answers is always right.
    """
    if not example.references:
        return None
    for kind in metric.kinds:
        prediction = by_kind.get((kind, example.id))
        of_references = isinstance(prediction, ChoicePrediction) and set(prediction.choices) <= set(example.references)
        if prediction is not None and not (of_references and "text" in metric.kinds):
            return prediction
    return None


def _means(scores: Sequence[Score]) -> dict[str, float]:
    names = dict.fromkeys(name for score in scores for name in score.values)
    taken = {name: [score.values[name] for score in scores if name in score.values] for name in names}
    return {name: sum(values) / len(values) for name, values in taken.items()}


def means_by_member(scores: Sequence[Score], examples: Sequence[Example]) -> dict[str, dict[str, float]]:
    """Per task of a mixture the means of its examples; empty for a task by itself."""
    members: dict[str, list[Score]] = {}
    for found, example in zip(scores, examples, strict=True):
        if example.task:
            members.setdefault(example.task, []).append(found)
    return {name: _means(found) for name, found in members.items()}


def score_against_others(
    metrics: Sequence[Metric], predictions: Sequence[Prediction], examples: Sequence[Example]
) -> list[Score]:
    """Score each text against another example's references: what its form alone earns.

    The others are taken in a fixed order of hashes, the next one of the same task that has no reference in common.
    Empty where there are no texts; without the tasks whose references repeat, as labels do: another label is no free
    answer, and being wrong about it would only be being right.
    """
    texts = [prediction for prediction in predictions if prediction.kind == "text"]
    judges = [metric for metric in metrics if "text" in metric.kinds]
    tasks = dict.fromkeys(example.task for example in examples)
    swapped = [one for task in tasks for one in with_other_references([one for one in examples if one.task == task])]
    if not texts or not swapped or not judges:
        return []
    return score(judges, texts, swapped)[0]


def with_other_references(examples: Sequence[Example]) -> list[Example]:
    """The examples of one task, each with the references of another, in a fixed order of hashes; none where references
    repeat. What has no reference is left out."""
    examples = [example for example in examples if example.references]
    if 2 * len({example.reference for example in examples}) < len(examples):
        return []
    order = sorted(examples, key=lambda example: hashlib.sha256(f"other:{example.id}".encode()).hexdigest())
    swapped: list[Example] = []
    for place, example in enumerate(order):
        others = (order[(place + step) % len(order)] for step in range(1, len(order)))
        other = next((other for other in others if not set(other.references) & set(example.references)), None)
        if other is not None:
            swapped.append(replace(example, references=other.references))
    return swapped
