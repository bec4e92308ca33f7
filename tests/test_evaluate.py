"""Scores: per example and in the mean, and unscored is not zero."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import pytest

from luthier.core.types import ChoicePrediction, Example, Message, Prediction, PredictionKind, TextPrediction
from luthier.evaluate import score
from luthier.metrics.exact_match import ExactMatch
from luthier.metrics.metric import Metric
from luthier.metrics.nll import Nll

EXAMPLES = [Example(name, (Message("user", "?"),), ("yes",)) for name in "abc"]


class Odd(Metric):
    """The length of a text where it is odd; for `b` not a number; and how many texts there were."""

    name: ClassVar[str] = "odd"
    kinds: ClassVar[tuple[PredictionKind, ...]] = ("text",)
    measures: ClassVar[tuple[str, ...]] = ("odd",)

    def score(self, prediction: Prediction, example: Example) -> Mapping[str, float]:
        assert isinstance(prediction, TextPrediction)
        if example.id == "b":
            return {"odd": math.nan}
        return {"odd": float(len(prediction.text))} if len(prediction.text) % 2 else {}

    def corpus(self, predictions: Sequence[Prediction], examples: Sequence[Example]) -> Mapping[str, float]:
        assert [prediction.example_id for prediction in predictions] == [example.id for example in examples]
        return {"texts": float(len(predictions))}


def test_predictions_find_their_examples_in_any_order():
    predictions = [TextPrediction("c", "no"), TextPrediction("a", "yes"), TextPrediction("b", "Yes.")]
    scores, means = score([ExactMatch()], predictions, EXAMPLES)
    assert [(one.example_id, dict(one.values)) for one in scores] == [
        ("a", {"exact_match": 1.0}),
        ("b", {"exact_match": 1.0}),
        ("c", {"exact_match": 0.0}),
    ]
    assert means == {"exact_match": pytest.approx(2 / 3)}


def test_what_cannot_be_measured_is_left_out_of_the_mean():
    predictions = [TextPrediction("a", "yes"), TextPrediction("b", "yes"), TextPrediction("c", "even")]
    scores, means = score([Odd()], predictions, EXAMPLES)
    assert [dict(one.values) for one in scores] == [{"odd": 3.0}, {}, {}]
    assert means == {"odd": 3.0, "texts": 3.0}


def test_each_metric_gets_the_kind_that_it_takes():
    likely = ChoicePrediction("a", ("yes",), (-2.0,), (4,))
    scores, means = score([ExactMatch(), Nll()], [TextPrediction("a", "no"), likely], EXAMPLES[:1])
    assert scores[0].values["exact_match"] == 0.0
    assert scores[0].values["nll"] == pytest.approx(0.5)
    assert means["nll"] == pytest.approx(0.5)


def test_a_kind_that_no_one_predicted_is_absent():
    scores, means = score([Nll()], [TextPrediction(example.id, "yes") for example in EXAMPLES], EXAMPLES)
    assert [dict(one.values) for one in scores] == [{}, {}, {}]
    assert means == {}
