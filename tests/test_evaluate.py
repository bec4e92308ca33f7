"""Scores: per example and in the mean, and unscored is not zero."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import pytest

from luthier.core.types import ChoicePrediction, Example, Message, Prediction, PredictionKind, TextPrediction
from luthier.evaluate import means_by_member, score, score_against_others
from luthier.metrics.accuracy import Accuracy
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


def test_of_several_kinds_the_first_that_the_metric_takes():
    """Whatever the order of the predictions: a likelihood says `yes`, a text `no`."""
    likely = [ChoicePrediction(name, ("yes", "no"), (-1.0, -2.0), (1, 1)) for name in "ab"]
    texts = [TextPrediction(name, "no") for name in "abc"]
    for predictions in ([*likely, *texts], [*texts, *likely]):
        scores, means = score([Accuracy()], predictions, EXAMPLES)
        assert [one.values["accuracy"] for one in scores] == [1.0, 1.0, 0.0]
        assert means == {"accuracy": pytest.approx(2 / 3)}


def test_likelihoods_of_the_references_alone_are_no_choice():
    alone = ChoicePrediction("a", ("yes",), (-1.0,), (1,))
    assert score([Accuracy()], [alone], EXAMPLES[:1])[1] == {}
    assert score([Accuracy()], [alone, TextPrediction("a", "no")], EXAMPLES[:1])[1] == {"accuracy": 0.0}


def asked(references: Mapping[str, str]) -> list[Example]:
    return [Example(name, (Message("user", "?"),), (text,)) for name, text in references.items()]


def test_against_others_each_text_meets_another_reference():
    examples = asked({"a": "one", "b": "two", "c": "three"})
    own = [TextPrediction(example.id, example.reference) for example in examples]
    scores = score_against_others([ExactMatch()], own, examples)
    assert {found.example_id: dict(found.values) for found in scores} == {
        name: {"exact_match": 0.0} for name in ("a", "b", "c")
    }
    same = [TextPrediction(example.id, "one") for example in examples]
    others = {
        found.example_id: found.values["exact_match"] for found in score_against_others([ExactMatch()], same, examples)
    }
    assert others["a"] == 0.0 and sum(others.values()) == 1.0  # one of the other two was held against "one"


def test_against_others_equal_references_are_passed_over():
    examples = asked({"a": "yes", "b": "yes", "c": "no"})
    texts = [TextPrediction(example.id, "yes") for example in examples]
    found = {
        score.example_id: score.values["exact_match"] for score in score_against_others([ExactMatch()], texts, examples)
    }
    assert found == {"a": 0.0, "b": 0.0, "c": 1.0}


def test_against_others_wants_texts_and_something_else_to_say():
    examples = asked({"a": "yes", "b": "yes"})
    texts = [TextPrediction(example.id, "yes") for example in examples]
    assert score_against_others([ExactMatch()], texts, examples) == []
    likelihoods = [ChoicePrediction(example.id, ("yes",), (-1.0,), (1,)) for example in examples]
    assert score_against_others([Nll()], likelihoods, asked({"a": "yes", "b": "no"})) == []


def test_against_others_no_reference_is_shared():
    pair = [("one", "two"), ("two", "one"), ("six", "ten")]
    examples = [Example(name, (Message("user", "?"),), texts) for name, texts in zip("abc", pair, strict=True)]
    texts = [TextPrediction(example.id, "one") for example in examples]
    found = {one.example_id: one.values["exact_match"] for one in score_against_others([ExactMatch()], texts, examples)}
    assert found == {"a": 0.0, "b": 0.0, "c": 1.0}


def test_against_others_labels_have_no_control_of_this_kind():
    examples = asked({name: "yes" if name in "abcd" else "no" for name in "abcdef"})
    texts = [TextPrediction(example.id, "yes") for example in examples]
    assert score_against_others([ExactMatch()], texts, examples) == []


def test_against_others_stay_with_their_task_in_a_mixture():
    answers = {"a": ("1", "numbers"), "b": ("2", "numbers"), "c": ("red", "colours"), "d": ("blue", "colours")}
    examples = [Example(name, (Message("user", "?"),), (text,), task=task) for name, (text, task) in answers.items()]
    labels = [Example(f"l{number}", (Message("user", "?"),), ("yes",), task="labels") for number in range(4)]
    other = {"a": "2", "b": "1", "c": "blue", "d": "red"}  # right only where the other one of the same task is taken
    texts = [TextPrediction(example.id, other.get(example.id, "yes")) for example in (*examples, *labels)]
    found = score_against_others([ExactMatch()], texts, [*examples, *labels])
    assert {one.example_id: one.values["exact_match"] for one in found} == dict.fromkeys("abcd", 1.0)


def test_the_means_of_a_mixtures_members():
    examples = [
        Example(name, (Message("user", "?"),), ("yes",), task=task) for name, task in zip("abc", "xxy", strict=True)
    ]
    texts = [TextPrediction("a", "yes"), TextPrediction("b", "no"), TextPrediction("c", "yes")]
    scores, means = score([ExactMatch()], texts, examples)
    assert means_by_member(scores, examples) == {"x": {"exact_match": 0.5}, "y": {"exact_match": 1.0}}
    assert means == {"exact_match": pytest.approx(2 / 3)} and means_by_member(scores, EXAMPLES) == {}


def test_what_has_no_reference_is_judged_by_nothing():
    held_back = [replace(EXAMPLES[0], references=()), *EXAMPLES[1:]]
    texts = [TextPrediction(name, "yes") for name in "abc"]
    scores, means = score([ExactMatch(), Accuracy()], texts, held_back)
    assert [dict(one.values) for one in scores] == [{}, *[{"exact_match": 1.0, "accuracy": 1.0}] * 2]
    assert means == {"exact_match": 1.0, "accuracy": 1.0}
    assert score_against_others([ExactMatch()], texts, [replace(one, references=()) for one in EXAMPLES]) == []
