"""Stored answers before a judge: each arm apart, the known pairs asked once, and what cannot be judged refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.types import ChoicePrediction, TextPrediction
from luthier.rescoring.judging import judge_stored
from luthier.suites.items import Item, write_items
from tests.suites.test_judge import EXAMPLES, FakeJudge, knows


def write(folder: Path, *, right: bool) -> None:
    write_items(
        folder,
        [
            Item(one, TextPrediction(one.id, f"That makes {one.reference.split()[-1]}" if right else "It is 99."))
            for one in EXAMPLES
        ],
    )


def test_each_model_is_judged_and_the_judge_once(tmp_path: Path):
    write(tmp_path / "sums" / "good", right=True)
    write(tmp_path / "sums" / "bad", right=False)
    judge = FakeJudge(knows)
    said, notes = judge_stored(tmp_path, judge)
    found = {one.arm: one for one in said}
    assert notes == []
    assert found["bad"].judgement.answers.share("loss") == 1.0
    assert found["good"].judgement.answers.share("tie") == 1.0  # as right as the reference
    assert found["good"].judgement.known is found["bad"].judgement.known
    assert len(judge.asked) == 2 * 20 * 3  # two models and the known pairs, each in both orders
    assert found["bad"].to_json()["judge_loss"] == 1.0 and found["bad"].to_json()["judge_right"] == 1.0
    ((only,), _) = judge_stored(tmp_path, judge, ["good"])
    assert only.arm == "good"


def test_answers_without_a_reference_are_left_out_and_counted(tmp_path: Path):
    held_back = [replace(one, references=()) for one in EXAMPLES[:3]]
    write_items(tmp_path / "m", [Item(one, TextPrediction(one.id, "It is 99.")) for one in [*held_back, *EXAMPLES[3:]]])
    ((only,), notes) = judge_stored(tmp_path, FakeJudge(knows))
    assert only.judgement.answers.n == only.judgement.known.n == 17
    assert notes == ["m on : 3 answers have no reference"]


def test_choices_are_no_texts(tmp_path: Path):
    write_items(tmp_path / "m", [Item(EXAMPLES[0], ChoicePrediction(EXAMPLES[0].id, ("a", "b"), (-1.0, -2.0), (1, 1)))])
    with pytest.raises(LuthierError, match="a judge compares texts"):
        judge_stored(tmp_path, FakeJudge(knows))
    with pytest.raises(LuthierError, match="no such folder"):
        judge_stored(tmp_path / "nowhere", FakeJudge(knows))
