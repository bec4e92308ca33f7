"""The metric `calibration`: of choices and of classes, and what has no confidence stays out."""

from __future__ import annotations

import math

import pytest

from luthier.core.types import ChoicePrediction, ClassPrediction, Example, Message, Prediction
from luthier.metrics.calibration import Calibration

P = [0.95, 0.85, 0.75, 0.65, 0.55, 0.9, 0.8, 0.7, 0.6, 0.99]
Y = [1, 1, 0, 1, 0, 1, 0, 1, 0, 1]


def example(number: int, right: int) -> Example:
    return Example(str(number), (Message("user", "?"),), ("yes" if right else "no",), choices=("yes", "no"))


def sums(p: float) -> tuple[float, float]:
    return math.log(p) - 7, math.log(1 - p) - 7  # the candidates' likelihoods share a factor


@pytest.mark.parametrize("kind", ["choices", "class"])
def test_the_golden_figures(kind: str):
    examples = [example(number, right) for number, right in enumerate(Y)]
    predictions: list[Prediction] = [
        ChoicePrediction(one.id, ("yes", "no"), sums(p), (1, 1))
        if kind == "choices"
        else ClassPrediction(one.id, 0, (math.log(p), math.log(1 - p)), "yes")
        for one, p in zip(examples, P, strict=True)
    ]
    found = Calibration().corpus(predictions, examples)
    assert found == {"ece": pytest.approx(0.366), "ece_1_bin": pytest.approx(0.174)}
    assert Calibration(bins=1).corpus(predictions, examples)["ece"] == pytest.approx(0.174)


def test_likelihoods_of_references_alone_are_no_choice():
    free = Example("0", (Message("user", "?"),), ("They meet.",))
    assert Calibration().corpus([ChoicePrediction("0", ("They meet.",), (-3.0,), (4,))], [free]) == {}


def test_what_is_no_number_is_left_out():
    good, bad = example(0, 1), example(1, 1)
    predictions = [
        ChoicePrediction(good.id, ("yes", "no"), sums(0.9), (1, 1)),
        ChoicePrediction(bad.id, ("yes", "no"), (math.nan, -1.0), (1, 1)),
    ]
    assert Calibration().corpus(predictions, [good, bad]) == {
        "ece": pytest.approx(0.1),
        "ece_1_bin": pytest.approx(0.1),
    }
    assert Calibration().corpus(predictions[1:], [bad]) == {}
