"""The headline says what the intervals say, and no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from luthier.report.findings import ArmSummary, Group
from luthier.report.headline import group_headline
from luthier.report.summary import summarise
from tests.report.made_up import make_study


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    return summarise(make_study(tmp_path_factory.mktemp("clear"), failing=())).groups[0]


def text(group: Group) -> str:
    return " ".join(group_headline(group))


def turned(group: Group, other: str, **changes: object) -> Group:
    """The group with the best arm's comparison with `other` changed."""
    assert group.best is not None
    comparison = replace(group.best.against[other]["rougeL"], **changes)
    best = replace(group.best, against={**group.best.against, other: {"rougeL": comparison}})
    return replace(group, arms=tuple(best if arm.arm == best.arm else arm for arm in group.arms))


def test_a_clear_win(group: Group) -> None:
    said = text(group)
    assert said.startswith("full has the highest mean rougeL: 0.441 (95% interval [")
    assert "20 test examples, 3 seeds" in said
    assert "difference to the reference, zero_shot, is +0.25" in said and "wholly above zero." in said
    assert "ahead of the next arm, lora" in said
    assert "better than every trivial baseline here: lead-3." in said
    assert "no ranking" not in said
    assert "Failed, and not compared: broken." in said


def test_under_three_seeds_no_ranking_is_claimed(tmp_path: Path) -> None:
    said = text(summarise(make_study(tmp_path, seeds=2)).groups[0])
    assert "With 2 seeds no ranking is claimed: it takes 3." in said
    assert "ahead of the next arm" not in said


def test_an_interval_that_holds_zero_is_no_win(group: Group) -> None:
    said = text(turned(group, "zero_shot", low=-0.01, better=None))
    assert "holds zero: this study does not tell them apart" in said and "wholly" not in said


def test_what_holm_takes_back_is_said(group: Group) -> None:
    assert "over all arms compared (Holm) p = 0.080, so it may be chance" in text(
        turned(group, "zero_shot", p_holm=0.08)
    )


def test_a_baseline_that_beats_the_best_arm_is_said(group: Group) -> None:
    assert "A trivial baseline beats it: lead-3 (0.132)." in text(turned(group, "lead-3", better=False))
    assert "not told apart from a trivial baseline: lead-3 (0.132)." in text(turned(group, "lead-3", better=None))


def test_a_baseline_that_beats_every_arm_comes_first(group: Group) -> None:
    def beaten(arm: ArmSummary) -> ArmSummary:
        if arm.baseline or not arm.scores:
            return arm
        lost = replace(arm.against["lead-3"]["rougeL"], better=False)
        return replace(arm, against={**arm.against, "lead-3": {"rougeL": lost}})

    said = group_headline(replace(group, arms=tuple(map(beaten, group.arms))))
    assert said[0] == "A trivial baseline beats every arm: none has learnt the task well enough to be of use."
    assert said[1] == "lead-3, which asks no model, has a mean rougeL of 0.132; the best arm has 0.441."
    assert said[2].startswith("Of the arms, full has the highest mean rougeL")
    assert "trivial baseline" not in " ".join(said[1:])


def test_a_baseline_that_beats_some_arms_alone_does_not_come_first(group: Group) -> None:
    assert group_headline(turned(group, "lead-3", better=False))[0].startswith("full has the highest mean")


def test_lower_is_better(tmp_path: Path) -> None:
    said = text(summarise(make_study(tmp_path, failing=(), primary="nll")).groups[0])
    assert said.startswith("full has the lowest mean nll: 1.611")
    assert "wholly below zero." in said


def test_a_study_whose_runs_all_failed(tmp_path: Path) -> None:
    names = tuple(f"{arm}-s0" for arm in ("zero_shot", "lora", "full", "lead-3"))
    summary = summarise(make_study(tmp_path, seeds=1, failing=names))
    assert text(summary.groups[0]).startswith("No arm was scored on rougeL")
