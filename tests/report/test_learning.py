"""Learning curves, groups by size, and the table over everything."""

from __future__ import annotations

import pytest

from luthier.core.store import Store
from luthier.report.findings import Summary
from luthier.report.overview import overview
from luthier.report.summary import summarise
from tests.report.made_up import CONTROL, scores


@pytest.fixture(scope="module")
def summary(sized: Store) -> Summary:
    return summarise(sized)


def test_each_size_is_a_group_of_its_own(summary: Summary) -> None:
    assert [group.size for group in summary.groups] == [50, 200, 800]
    assert summary.groups[0].title == "dialogues on house/decoder, 50 training examples"
    for group in summary.groups:
        full = group.arm("full")
        assert full is not None
        expected = sum(scores("full", seed, group.size)["rougeL"].mean() for seed in range(3)) / 3
        assert full.scores["rougeL"].mean == pytest.approx(expected)
        assert group.arm("nearest") is not None, "what has no size stands at every size"


def test_a_curve_says_from_which_size_on_nothing_is_gained(summary: Summary) -> None:
    (curves,) = summary.curves
    found = {curve.arm: curve for curve in curves.curves}
    assert list(found) == ["zero_shot", "lora", "full"]
    assert [size for size, _ in found["full"].points] == [50, 200, 800]
    assert (found["full"].best, found["full"].enough) == (800, 200)
    assert found["full"].words.startswith("full: 200 examples are enough to be not worse by as much as the margin")
    assert not found["zero_shot"].trains and found["zero_shot"].words == "zero_shot is the same at every size: 0.188."


def test_an_arm_that_still_learns_at_the_largest_size_is_said_to(sized: Store) -> None:
    study = sized.study()
    try:
        sized.write_study({**study, "sizes": [50, 200]})
        (curves,) = summarise(sized).curves
    finally:
        sized.write_study(study)
    full = curves.curves[2]
    assert full.enough == 200
    assert full.words.startswith("full still gains at 200 examples, the most tried (50 against it: -0.096")


def test_the_overview_has_every_arm_in_every_group(summary: Summary) -> None:
    found = overview(summary)
    assert found.columns == (("50 examples",), ("200 examples",), ("800 examples",))
    rows = dict(found.rows)
    assert list(rows) == ["zero_shot", "lora", "full", "broken", CONTROL, "lead-3", "nearest"]
    assert rows["full"] == ("0.341", "0.437", "0.441")
    assert rows["broken"] == ("failed", "failed", "failed")


def test_a_study_of_one_size_has_no_curve(grown: Store) -> None:
    summary = summarise(grown)
    assert summary.curves == () and [group.size for group in summary.groups] == [None]
