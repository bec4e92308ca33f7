"""The verdict says what the intervals say, and no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from luthier.core.store import Store
from luthier.report.findings import ArmSummary, Group
from luthier.report.html import write_html
from luthier.report.summary import summarise
from luthier.report.verdict import group_verdict, verdict, verdict_parts
from tests.report.made_up import make_study, run_name, shifted


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    return summarise(make_study(tmp_path_factory.mktemp("clear"), failing=(), grown=True)).groups[0]


def group_of(store: Store) -> Group:
    return summarise(store).groups[0]


def text(group: Group) -> str:
    return " ".join(group_verdict(group))


def turned(group: Group, other: str, **changes: object) -> Group:
    """The group with the best arm's comparison with `other` changed."""
    assert group.best is not None
    comparison = replace(group.best.against[other]["rougeL"], **changes)
    best = replace(group.best, against={**group.best.against, other: {"rougeL": comparison}})
    arms = tuple(best if arm.arm == best.arm else arm for arm in group.arms)
    return replace(group, arms=arms, cheapest=best)


def test_the_five_questions_are_answered(group: Group) -> None:
    said = text(group)
    assert said.startswith("Take full: it has the highest mean rougeL, 0.441 (95% interval [")
    assert "20 test examples, 3 seeds" in said
    assert "no cheaper arm is shown to come within 0.010 of it" in said
    assert "Against full, lora and zero_shot are worse; not compared: broken (failed)." in said
    assert "Against the reference, zero_shot: +0.25" in said and "better (p after Holm <0.001)" in said
    assert (
        "better than every trivial baseline and each of its own controls; the strongest, full from random weights,"
        in said
    )
    assert "It trains 5.8M parameters in 66 s; what it keeps takes 12 MB." in said
    assert "What it loses of the base, at worst: base samples, 2.065 to 2.267 bits_per_byte (+0.202 [" in said
    assert "Leakage: 1 of 60 validation rows and 2 of 20 test rows (1 word for word) stand in the training" in said
    assert said.endswith("Next: more trials for lora: its learning rate, 0.003, is at the edge of what was tried.")


def test_the_cheapest_that_is_not_worse_by_the_margin_is_taken(tmp_path: Path) -> None:
    store = shifted(make_study(tmp_path, failing=(), grown=True), "lora", 0.097, 0.001)
    store.write_study({**store.study(), "margin": 0.02})
    group = group_of(store)
    assert group.best is not None and group.best.arm == "full"
    assert group.cheapest is not None and group.cheapest.arm == "lora"
    said = text(group)
    assert said.startswith(
        "Take lora: it is the cheapest arm that is not worse than the best, full, by as much as 0.020, -0.00"
    )
    assert "It trains 147K parameters in 41 s; what it keeps takes 310 KB." in said
    assert "base samples, 2.065 to 2.087" in said


def test_what_is_undecided_is_said_with_what_would_settle_it(tmp_path: Path) -> None:
    group = group_of(shifted(make_study(tmp_path, failing=(), grown=True), "lora", 0.09, 0.06))
    assert group.best is not None and group.cheapest is group.best
    said = text(group)
    other = "lora" if group.best.arm == "full" else "full"
    assert f"Against {group.best.arm}, zero_shot is worse, {other} is not told apart from it; not compared" in said
    assert f"Next: Undecided between {other} and {group.best.arm} (-0.0" in said
    assert "test examples would settle it, if the true difference is the one seen" in said


def test_training_time_is_left_out_where_two_runs_must_say_the_same(tmp_path: Path) -> None:
    summary = summarise(make_study(tmp_path, failing=(), grown=True))
    assert "It trains 5.8M parameters; what it keeps takes 12 MB." in verdict(summary)
    assert "66 s" in verdict(summary, timed=True) and "66 s" not in verdict(summary)


def test_under_three_seeds_no_ranking_is_claimed(tmp_path: Path) -> None:
    said = text(group_of(make_study(tmp_path, seeds=2)))
    assert said.startswith("With 2 seeds no ranking is claimed: it takes 3. Of the arms, full has the highest mean")
    assert "Take" not in said and "worse than full" not in said
    assert said.endswith("Next: run 3 seeds.")


def test_what_is_not_told_apart_from_the_reference_is_no_win(group: Group) -> None:
    said = text(turned(group, "zero_shot", low=-0.01, better=None, outcome="undecided", smallest_visible=0.04))
    assert "not told apart; this study would have seen a difference of 0.040." in said and "better (" not in said


def test_what_holm_takes_back_is_said(group: Group) -> None:
    said = text(turned(group, "zero_shot", p_holm=0.08, better=None, outcome="not worse"))
    assert "but over all arms compared (p after Holm 0.080) it may be chance." in said


def test_a_best_arm_that_is_no_better_than_a_baseline_comes_first(group: Group) -> None:
    said = group_verdict(turned(group, "lead-3", better=None))
    assert said[1].startswith("Of the arms, full has the highest mean") and "Take" not in " ".join(said)
    assert said[0].startswith(
        "No arm is shown to be of use: the best is not told apart from a trivial baseline, lead-3"
    )


def test_a_baseline_that_beats_every_arm_comes_first(group: Group) -> None:
    def beaten(arm: ArmSummary) -> ArmSummary:
        if arm.baseline or not arm.scores:
            return arm
        lost = replace(arm.against["lead-3"]["rougeL"], better=False)
        return replace(arm, against={**arm.against, "lead-3": {"rougeL": lost}})

    contenders = tuple(beaten(arm) if arm.contender else arm for arm in group.arms)
    said = group_verdict(replace(group, arms=contenders))
    assert said[0] == "A trivial baseline beats every arm: none has learnt the task well enough to be of use."
    assert said[1] == "lead-3, which asks no model, has a mean rougeL of 0.132; the best arm has 0.441."
    assert said[2].startswith("Of the arms, full has the highest mean rougeL")
    assert "Take" not in " ".join(said)


def test_a_measure_that_a_control_nearly_reaches_is_said(tmp_path: Path) -> None:
    group = group_of(shifted(make_study(tmp_path, failing=(), grown=True), "nearest", 0.27))
    said = text(group)
    assert (
        "rougeL: nearest, which asks no model, has 0.424 where full has 0.441: full is not shown to be above it by"
        in said
    )
    assert "better than every trivial baseline" not in said


def test_what_was_not_measured_is_said(tmp_path: Path) -> None:
    said = text(group_of(make_study(tmp_path, failing=())))
    assert "What it forgets was not measured." in said and "Leakage" not in said


def test_lower_is_better(tmp_path: Path) -> None:
    said = text(group_of(make_study(tmp_path, failing=(), primary="nll")))
    assert said.startswith("Take full: it has the lowest mean nll, 1.611")
    assert "Against the reference, zero_shot: -1.4" in said and "better (p after" in said


def test_a_study_whose_runs_all_failed(tmp_path: Path) -> None:
    names = tuple(f"{arm}-s0" for arm in ("zero_shot", "lora", "full", "lead-3"))
    assert text(group_of(make_study(tmp_path, seeds=1, failing=names))).startswith("No arm was scored on rougeL")


def test_over_the_sizes_the_largest_is_judged_and_the_curves_are_said(tmp_path: Path) -> None:
    said = verdict(summarise(make_study(tmp_path, failing=(), grown=True, sizes=(50, 200, 800))))
    assert "\n" not in said and said.startswith("Take full: it has the highest mean rougeL, 0.441")
    assert "full: 200 examples are enough to be not worse by as much as the margin than its best mean rougeL" in said


def test_several_models_are_counted_together(tmp_path: Path) -> None:
    store = make_study(tmp_path, failing=(), grown=True)
    study = store.study()
    for name in list(study["runs"]):
        folder = store.run(name)
        result = folder.result()
        assert result is not None
        twin = store.run(f"{name}-twin")
        twin.folder.mkdir()
        if result.status == "finished":
            twin.write_scores(folder.scores())
        twin.finish(result.model_copy(update={"model": "house/other"}))
        study["runs"].append(twin.name)
    store.write_study(study)
    lines = verdict(summarise(store)).split("\n")
    assert lines[0] == "Of 2 comparisons, take full in 2."
    assert lines[1].startswith("dialogues on house/decoder: Take full") and lines[2].startswith(
        "dialogues on house/other"
    )


def test_an_unfinished_study_has_no_verdict(tmp_path: Path) -> None:
    store = make_study(tmp_path, seeds=1)
    for name in store.study()["runs"]:
        (store.run(name).folder / "result.json").unlink()
    assert verdict(summarise(store)) == "No run has finished."
    assert run_name("lora", 0) in summarise(store).unfinished


def test_a_study_under_way_says_so_first(tmp_path: Path) -> None:
    store = make_study(tmp_path)
    (store.root / "runs" / run_name("lora", 1) / "result.json").unlink()
    summary = summarise(store)
    opening = verdict_parts(summary)[0][1][0]
    missing, runs = len(summary.unfinished), len(summary.study["runs"])
    assert missing == 1
    assert opening == f"Not finished: 1 of {runs} runs are missing, and all of this may change."
    write_html(summary, store, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.index(opening) < page.index("Which arm?")
