"""Scores above their controls, and the measures that a control nearly reaches."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.core.store import Store
from luthier.core.types import Score
from luthier.report.findings import Group
from luthier.report.summary import summarise
from tests.report.made_up import CONTROL, make_study, scores, shifted


@pytest.fixture(scope="module")
def group(grown: Store) -> Group:
    return summarise(grown).groups[0]


def test_every_control_stands_with_the_strongest_first(group: Group) -> None:
    full, lora = group.arm("full"), group.arm("lora")
    assert full is not None and lora is not None
    assert [one.control for one in full.above_control["rougeL"]] == [CONTROL, "nearest", "lead-3", "wrong reference"]
    assert [one.kind for one in full.above_control["rougeL"]][:2] == ["random weights", "baseline"]
    assert CONTROL not in [one.control for one in lora.above_control["rougeL"]], "it repeats full, not lora"
    assert [one.control for one in full.above_control["nll"]] == [CONTROL]


def test_the_score_above_a_control_is_paired_by_example_and_seed(group: Group) -> None:
    full = group.arm("full")
    assert full is not None
    wrong = full.above_control["rougeL"][-1]
    by_hand = [scores("full", seed)["rougeL"] - (scores("lead-3", 0)["rougeL"] - 0.03) for seed in range(3)]
    assert wrong.difference == pytest.approx(sum(part.mean() for part in by_hand) / 3)
    assert wrong.above is True and wrong.low is not None and wrong.low > 0.3
    assert wrong.share == pytest.approx(wrong.control_mean / wrong.arm_mean)


def test_lower_is_better_turns_above(group: Group) -> None:
    full = group.arm("full")
    assert full is not None
    (random,) = full.above_control["nll"]
    assert random.difference < -4 and random.above is True and random.share is None, "a loss has no natural whole"


def test_controls_never_win_and_are_outside_the_family(tmp_path: Path) -> None:
    group = summarise(shifted(make_study(tmp_path, failing=(), grown=True), CONTROL, 0.5)).groups[0]
    assert [arm.arm for arm in group.controls] == [CONTROL]
    assert group.best is not None and group.best.arm == "full"
    assert CONTROL not in [arm.arm for arm in (*group.contenders, *group.baselines)]
    control = group.arm(CONTROL)
    assert control is not None and control.against == {} and not control.tied_with_best
    lora = group.arm("lora")
    found = group.difference(lora) if lora else None
    assert found is not None and found.p is not None and found.p_holm is not None and found.p_holm <= 2 * found.p


def test_nothing_is_flagged_where_the_controls_are_far(group: Group) -> None:
    assert group.flags == ()


def test_a_control_with_nine_tenths_of_the_score_is_flagged(tmp_path: Path) -> None:
    group = summarise(shifted(make_study(tmp_path, failing=(), grown=True), "nearest", 0.25)).groups[0]
    (flag,) = group.flags
    assert (flag.measure, flag.arm, flag.found.control, flag.why) == ("rougeL", "full", "nearest", "share")
    assert flag.words.startswith("rougeL: nearest, which asks no model, has 0.404 where full has 0.441")


def test_no_control_is_held_against_signs(tmp_path: Path) -> None:
    """What only describes an answer, as repetition does, is no measure that a control could reach."""
    store = shifted(make_study(tmp_path, failing=(), grown=True), "nearest", 0.25)
    tasks = [{**task, "signs": ["rougeL"]} for task in store.study()["tasks"]]
    store.write_study({**store.study(), "tasks": tasks})
    assert summarise(store).groups[0].flags == ()


def test_a_control_within_the_margin_is_flagged(tmp_path: Path) -> None:
    store = shifted(make_study(tmp_path, failing=(), grown=True), CONTROL, 0.2)
    store.write_study({**store.study(), "margin": 0.08})
    (flag,) = summarise(store).groups[0].flags
    assert (flag.found.control, flag.why) == (CONTROL, "not above")
    assert flag.words.endswith("where full has 0.441: full is not shown to be above it by the margin, 0.08.")


def test_a_lower_loss_is_not_flagged_for_its_share(tmp_path: Path) -> None:
    store = make_study(tmp_path, failing=(), grown=True)
    for folder in store.runs():
        result = folder.result()
        if result is not None and result.arm == CONTROL:
            folder.write_scores(
                Score(one.example_id, {**one.values, "nll": one.values["nll"] - 4.3}) for one in folder.scores()
            )
    group = summarise(store).groups[0]
    full = group.arm("full")
    assert full is not None
    (random,) = full.above_control["nll"]
    assert random.arm_mean / random.control_mean > 0.9 and random.above is True, "close as a share, and yet far above"
    assert "nll" not in [flag.measure for flag in group.flags]


def test_the_wrong_references_have_their_own_flag_on_the_primary_measure(tmp_path: Path) -> None:
    store = shifted(make_study(tmp_path, failing=(), grown=True), "nearest", 0.29)
    for folder in store.runs():
        if folder.wrong_reference():
            folder.write_wrong_reference(
                Score(one.example_id, {"rougeL": one.values["rougeL"] * 0.92}) for one in folder.scores()
            )
    flags = summarise(store).groups[0].flags
    assert [(flag.measure, flag.found.kind) for flag in flags] == [
        ("rougeL", "baseline"),
        ("rougeL", "wrong reference"),
    ]
    assert "full is not shown to be above it by the margin, 0.01" in flags[0].words
    assert flags[1].words.endswith("this measure rewards the form more than what is said.")
