"""Learning curves, groups by size, and the table over everything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from luthier.core.store import Store
from luthier.report.findings import ArmSummary, Curve, Summary
from luthier.report.learning import learning_curves
from luthier.report.overview import overview
from luthier.report.pairing import Terms
from luthier.report.summary import summarise
from tests.report.made_up import CONTROL, scores
from tests.report.test_standing import arm, group_of


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


def scored(level: dict[int, float], seeds: int = 3, without: tuple[int, ...] = ()) -> dict[int, ArmSummary]:
    """One arm at several sizes, with its mean at each; at the sizes `without` it has seeds of its own."""
    found = {}
    for size, mean in level.items():
        rng = np.random.default_rng(size)
        numbers = tuple(range(9, 9 + seeds) if size in without else range(seeds))
        found[size] = arm("lora", mean + rng.normal(0, 0.01, (seeds, 40)), seeds=numbers)
    return found


def curve(level: dict[int, float], seeds: int = 3, without: tuple[int, ...] = ()) -> Curve:
    base = group_of([arm("zero_shot", np.full((3, 40), 0.1))])
    groups = [replace(base, size=size, arms=(one,)) for size, one in scored(level, seeds, without).items()]
    (curves,) = learning_curves(groups, {"t": Terms("accuracy", frozenset(), 0.01)})
    return curves.curves[0]


def test_a_best_in_the_middle_is_what_is_enough() -> None:
    found = curve({50: 0.3, 200: 0.4, 800: 0.35, 1600: 0.399})
    assert (found.best, found.enough) == (200, 200)
    assert found.words.startswith("lora needs 200 examples (its best mean accuracy, 0.")
    assert found.words.endswith("With more it loses: it is worse at 800.")


def test_a_best_at_the_start_says_that_more_gain_nothing() -> None:
    found = curve({50: 0.4, 200: 0.3999})
    assert (found.best, found.enough) == (50, 50)
    assert found.words.startswith("lora: 50 examples, the fewest tried, are enough; more gain nothing")


def test_a_size_that_cannot_be_compared_is_not_worse() -> None:
    found = curve({50: 0.3, 200: 0.38, 800: 0.4}, without=(200,))
    assert found.enough == 800 and "it cannot be compared with 200" in found.words
    after = curve({50: 0.3, 200: 0.4, 800: 0.3}, without=(800,))
    assert after.enough == 200 and "worse" not in after.words


@pytest.mark.parametrize("seeds", [1, 2])
def test_with_few_seeds_no_size_is_said_to_be_enough(seeds: int) -> None:
    found = curve({50: 0.3, 200: 0.4, 800: 0.41}, seeds)
    assert found.enough is None
    assert found.words.endswith(
        f"so far: with {seeds} seed{'s' * (seeds > 1)} nothing is said of how many examples are enough."
    )


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
