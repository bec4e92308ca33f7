"""The nearest training example's reference."""

from __future__ import annotations

import pytest

from luthier.core.errors import LuthierError
from luthier.core.types import Example, Message
from luthier.models.sampling import Sampling
from luthier.prompting.nearest import Nearest


def example(name: str, text: str, reference: str, source: str = "") -> Example:
    return Example(name, (Message("user", text),), (reference,), source=source)


TRAIN = [
    example("1", "the parcel never came", "lost parcel"),
    example("2", "my card was refused in the shop", "card refused"),
    example("3", "我的包裹在哪里", "包裹"),
]


def answers(train: list[Example], asked: list[Example]) -> list[str]:
    predictions = Nearest().program(train, 0).predict(asked, None, Sampling(), ["text"])
    return [prediction.text for prediction in predictions]  # type: ignore[union-attr]


def test_it_says_what_the_likest_example_says():
    questions = {"a": "where is the parcel", "b": "card refused twice", "c": "包裹在哪"}
    assert answers(TRAIN, [example(name, text, "") for name, text in questions.items()]) == [
        "lost parcel",
        "card refused",
        "包裹",
    ]


def test_it_looks_at_the_source_where_there_is_one():
    train = [example("1", "same words", "cats", "cats sleep"), example("2", "other words", "dogs", "dogs run")]
    assert answers(train, [example("a", "same words", "", "dogs run fast")]) == ["dogs"]


def test_with_nothing_in_common_it_says_the_first():
    assert answers(TRAIN, [example("a", "qqq zzz", "")]) == ["lost parcel"]


def test_it_needs_training_examples():
    with pytest.raises(LuthierError, match="nearest is chosen from training references"):
        answers([], [example("a", "?", "")])
