"""Correlation: by hand, from texts, choices and classes; and what has no number."""

from __future__ import annotations

import math

import pytest

from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.core.types import ChoicePrediction, ClassPrediction, Example, Message, TextPrediction
from luthier.evaluate import score as evaluate
from luthier.metrics.correlation import Correlation, number_in
from luthier.study_file import TaskSpec


def asked(*references: str, choices: tuple[str, ...] = ()) -> list[Example]:
    return [Example(str(row), (Message("user", "?"),), (text,), choices=choices) for row, text in enumerate(references)]


def test_by_hand():
    examples = asked("1", "2", "3", "4")
    texts = [TextPrediction(str(row), text) for row, text in enumerate(("1", "about 2", "3 of 5", "10.0"))]
    scores, means = evaluate([Correlation()], texts, examples)
    # Deviations -1.5 -.5 .5 1.5 and -3 -2 -1 6: 14 / sqrt(5 * 50).
    assert means["pearson"] == pytest.approx(14 / math.sqrt(250)) == pytest.approx(0.886, abs=1e-3)
    assert means["spearman"] == pytest.approx(1.0)
    assert means["squared_error"] == pytest.approx(9.0)
    assert [one.values["squared_error"] for one in scores] == [0.0, 0.0, 0.0, 36.0]


def test_ranks_of_equal_numbers_are_shared():
    texts = [TextPrediction(str(row), text) for row, text in enumerate(("1", "1", "2"))]
    whole = Correlation().corpus(texts, asked("1", "2", "3"))
    assert whole["spearman"] == pytest.approx(1.5 / math.sqrt(1.5 * 2)) == whole["pearson"]


def test_a_text_without_a_number_is_unscored_and_left_out():
    texts = [TextPrediction(str(row), text) for row, text in enumerate(("1", "no idea", "2", "3"))]
    scores, means = evaluate([Correlation()], texts, asked("1", "5", "2", "3"))
    assert scores[1].values == {}
    assert means["pearson"] == pytest.approx(1.0) and means["squared_error"] == 0.0


def test_choices_and_classes_are_expectations():
    choices = ("0", "1", "2")
    nats = tuple(math.log(share) - 7 for share in (0.2, 0.3, 0.5))  # likelihoods of texts do not sum to 1
    (example,) = asked("2", choices=choices)
    likely = ChoicePrediction("0", choices, nats, (1, 1, 1))
    assert Correlation().score(likely, example)["squared_error"] == pytest.approx(0.7**2)
    classed = ClassPrediction("0", 2, nats, "2")
    assert Correlation().score(classed, example)["squared_error"] == pytest.approx(0.7**2)
    assert Correlation().score(ChoicePrediction("0", ("0", "much", "2"), nats, (1, 1, 1)), example) == {}
    assert Correlation().score(ChoicePrediction("0", choices, (math.nan, 0, 0), (1, 1, 1)), example) == {}
    assert Correlation().score(ChoicePrediction("0", choices, (-math.inf,) * 3, (1, 1, 1)), example) == {}


def test_undefined_is_absent_not_zero():
    same = [TextPrediction(str(row), "3") for row in range(3)]
    assert Correlation().corpus(same, asked("1", "2", "3")) == {}
    assert Correlation().corpus(same, asked("3", "3", "3")) == {}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("about -3.5 (of 5)", -3.5), ("1,200 people", 1200.0), ("covid-19", 19.0), ("3-4", 3.0), ("−2", -2.0),
        ("none", None), (".5", 0.5), ("3.", 3.0), ("1e3", 1000.0), ("1e999", None), ("5/5", 5.0), ("1,5", 1.0),
    ],
)  # fmt: skip
def test_the_first_number(text: str, number: float | None):
    assert number_in(text) == number


def test_choices_that_are_words_are_refused():
    task = {"data": "generated/support_desk", "prompt": "{{ dialogue }}", "reference": "{{ summary }}"}
    task |= {"metrics": ["correlation"], "primary": "squared_error"}
    assert read(TaskSpec, {**task, "choices": ["0", "1", "2"]}, where="study.yaml").kinds == ("choices",)
    with pytest.raises(LuthierError, match=r"correlation wants numbers, and among the choices is 'good'"):
        read(TaskSpec, {**task, "choices": ["1", "good"]}, where="study.yaml")
    with pytest.raises(LuthierError, match="pearson is of the whole test set"):
        read(TaskSpec, {**task, "primary": "pearson"}, where="study.yaml")
