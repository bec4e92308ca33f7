"""A judge by position alone, one that knows, one that knows nothing, and one that is at a loss."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from luthier.core.types import ChoicePrediction, Example, Message
from luthier.core.wilson import wilson
from luthier.suites.judge import (
    Judge,
    Judgement,
    Pair,
    Showing,
    against_references,
    judge,
    known_pairs,
)
from tests.tiny import tiny_model

EXAMPLES = [
    Example(f"{number:016x}", (Message("user", f"What is {number} and {number}?"),), (f"It is {2 * number}.",))
    for number in range(1, 21)
]


class FakeJudge:
    """Prefers by a rule over (question, A, B): the log-likelihood of A less that of B."""

    def __init__(self, rule: Callable[[str, str, str], float], context: int = 1000):
        self.rule, self.context = rule, context
        self.asked: list[Showing] = []

    def likelihoods(self, requests: Sequence[Showing], choices: Sequence[tuple[str, ...]]) -> list[ChoicePrediction]:
        self.asked += requests
        assert all(of == ("A", "B") for of in choices)
        return [
            ChoicePrediction(one.example_id, ("A", "B"), (self.rule(*self._read(one)) - 1.0, -1.0), (1, 1))
            for one in requests
        ]

    def fits(self, conversation: tuple[Message, ...], answer_tokens: int, answers: Sequence[str] = ()) -> bool:
        return len(conversation[-1].content) <= self.context

    @staticmethod
    def _read(showing: Showing) -> tuple[str, str, str]:
        (message,) = showing.conversation
        found = re.search(r"Question:\n(.*)\n\nAnswer A:\n(.*)\n\nAnswer B:\n(.*)\n\nWhich", message.content, re.DOTALL)
        assert found is not None
        return found[1], found[2], found[3]


def knows(question: str, first: str, second: str) -> float:
    number = 2 * int(re.findall(r"\d+", question)[0])
    return float(str(number) in first.split(".")[0].split()) - float(str(number) in second.split(".")[0].split())


def answers(right: int) -> list[Pair]:
    """So many right answers (in other words), the others wrong, each against the reference of another number."""
    given = [
        (one, f"That makes {2 * number if number <= right else 99} . Surely.") for number, one in enumerate(EXAMPLES, 1)
    ]
    return against_references(given)


def judge_answers(judged_by: Judge, pairs: Sequence[Pair], examples: Sequence[Example]) -> Judgement:
    return Judgement(judge(judged_by, pairs), judge(judged_by, known_pairs(examples)))


def test_who_always_says_a_is_all_bias():
    found = judge(FakeJudge(lambda question, first, second: 1.0), answers(10))
    assert found.n == 20 and found.first == 1.0 and found.agreement == 0.0
    assert set(found.verdicts.values()) == {"tie"}
    known = judge_answers(FakeJudge(lambda *_: 1.0), answers(10), EXAMPLES)
    assert known.known.share("win") == 0.0 and not known.known.better_than_chance
    assert "its verdicts say nothing" in known.words[-1]


def test_who_knows_is_right_and_without_bias():
    said = judge_answers(FakeJudge(knows), answers(10), EXAMPLES)
    assert said.known.n == 20 and said.known.share("win") == 1.0 and said.known.first == 0.5
    assert said.known.interval("win") == wilson(1.0, 20) and said.known.interval("win")[0] == pytest.approx(
        0.839, abs=5e-4
    )
    assert said.known.better_than_chance
    # A right answer is as good as the reference (both letters as probable: a tie); a wrong one loses.
    assert said.measures["judge_tie"] == said.measures["judge_loss"] == 0.5
    assert said.measures["judge_win"] == 0.0 and said.measures["judge_right"] == 1.0
    assert "prefers the right one both times in 100.0%" in said.words[-1]


def test_the_two_orders_show_the_same_pair_with_places_changed():
    asked = FakeJudge(knows)
    judge(asked, [Pair("x", "What is 1 and 1? {braces}", "2", "3")])
    there, back = (FakeJudge._read(one) for one in asked.asked)
    assert there == ("What is 1 and 1? {braces}", "2", "3") and back == ("What is 1 and 1? {braces}", "3", "2")
    assert [one.example_id for one in asked.asked] == ["x.0", "x.1"]


def test_consistent_without_knowing_is_no_better_than_chance():
    """Always the text that is first in the alphabet: the orders agree, and right and wrong are told by luck."""
    found = judge(FakeJudge(lambda question, first, second: 1.0 if first < second else -1.0), known_pairs(EXAMPLES))
    assert found.agreement == 1.0 and found.first == 0.5
    assert not found.better_than_chance


def test_what_cannot_be_judged_is_counted_apart():
    pairs = [Pair("same", "q", "yes ", "yes"), Pair("long", "q " * 900, "a", "b"), Pair("odd", "odd", "a", "b")]
    pairs.append(Pair("fine", "q", "a", "b"))
    unsure = FakeJudge(lambda question, first, second: math.nan if question == "odd" else 1.0)
    found = judge(unsure, pairs)
    assert found.unjudged == ("same", "long", "odd") and list(found.verdicts) == ["fine"]
    nothing = judge(unsure, pairs[:1])
    assert nothing.n == 0 and math.isnan(nothing.agreement) and nothing.interval("win") == (0.0, 1.0)


def test_labels_give_no_known_pairs():
    labels = [Example(f"{n:x}", (Message("user", "?"),), (("yes", "no")[n % 2],)) for n in range(8)]
    assert known_pairs(labels) == []
    said = judge_answers(FakeJudge(lambda *_: 1.0), against_references([(one, "maybe") for one in labels]), labels)
    assert "judge_right" not in said.measures and "do not repeat as labels do" in said.words[-1]


def test_a_model_judges(tmp_path: Path):
    """The interface of a loaded model: a random one, so that only form is asked of what it says."""
    from luthier.suites.judged import load_judged

    loaded = load_judged(str(tiny_model("llama", tmp_path / "m", context=1024)))
    said = judge_answers(loaded.generator(), answers(3)[:4], EXAMPLES[:4])
    assert said.answers.n == 4 and said.known.n == 4
    assert 0 <= said.answers.first <= 1
    assert said.measures["judge_agreement"] == 1 - said.measures["judge_tie"]
