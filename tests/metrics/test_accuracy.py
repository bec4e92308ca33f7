"""Accuracy, of likelihoods and of texts."""

from __future__ import annotations

import math

import pytest

from luthier.core.types import ChoicePrediction, Example, Message, TextPrediction
from luthier.metrics.accuracy import Accuracy


def example(*references: str, choices: tuple[str, ...] = ()) -> Example:
    return Example("0", (Message("user", "?"),), references, choices=choices)


def chosen(nats: tuple[float, ...], *, tokens: tuple[int, ...] = (), normalise: str = "none") -> str:
    """Which of three candidates is taken: the one that scores 1 as a reference."""
    candidates = ("no", "absolutely yes", "ja")
    prediction = ChoicePrediction("0", candidates, nats, tokens or (2, 4, 2))
    metric = Accuracy(normalise=normalise)
    right = [text for text in candidates if metric.score(prediction, example(text)) == {"accuracy": 1.0}]
    assert len(right) == 1
    return right[0]


def test_the_most_probable_candidate_counts():
    assert chosen((-2.1, -4.2, -9.0)) == "no"
    assert chosen((-2.1, -2.0, -9.0)) == "absolutely yes"


def test_likelihoods_by_length():
    """-2.1 / 2 tokens against -4.0 / 4; -2.1 / 2 bytes against -4.2 / 14."""
    assert chosen((-2.1, -4.0, -9.0), normalise="tokens") == "absolutely yes"
    assert chosen((-2.1, -4.4, -9.0), normalise="tokens") == "no"
    assert chosen((-2.1, -4.2, -9.0), normalise="bytes") == "absolutely yes"


def test_among_equals_the_first():
    assert chosen((-2.0, -2.0, -2.0)) == "no"
    assert chosen((-math.inf, -math.inf, -math.inf)) == "no"
    assert chosen((-math.inf, -math.inf, -5.0)) == "ja"


def test_any_reference_is_right():
    prediction = ChoicePrediction("0", ("a", "b", "c"), (-3.0, -1.0, -2.0), (1, 1, 1))
    assert Accuracy().score(prediction, example("a", "b")) == {"accuracy": 1.0}
    assert Accuracy().score(prediction, example("a", "c")) == {"accuracy": 0.0}


def test_what_is_not_a_number_is_not_scored():
    prediction = ChoicePrediction("0", ("a", "b"), (-3.0, math.nan), (1, 1))
    assert Accuracy().score(prediction, example("a")) == {}


@pytest.mark.parametrize(
    ("text", "reference", "right"),
    [("Positive.", "positive", 1.0), ("negative", "positive", 0.0), ("", "positive", 0.0), ("1", "-1", 1.0)],
)
def test_a_text_is_right_where_it_says_a_reference(score, text, reference, right):
    assert score(Accuracy(), text, reference) == {"accuracy": right}


def test_a_text_that_is_a_choice_is_that_choice():
    signs = ("-1", "1")
    assert Accuracy().score(TextPrediction("0", "1"), example("-1", choices=signs)) == {"accuracy": 0.0}
    assert Accuracy().score(TextPrediction("0", " -1\n"), example("-1", choices=signs)) == {"accuracy": 1.0}
    assert Accuracy().score(TextPrediction("0", "Minus one"), example("-1", choices=signs)) == {"accuracy": 0.0}


def test_signature_says_what_is_divided_by():
    assert len({Accuracy(normalise=by).signature() for by in ("none", "tokens", "bytes")}) == 3
