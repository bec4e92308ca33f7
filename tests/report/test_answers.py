"""The line that a reader sees first, and the five answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from luthier.core.types import Score
from luthier.report.answers import Answered, answers, headline
from luthier.report.findings import Group
from luthier.report.standing import recommended
from luthier.report.summary import summarise
from luthier.report.verdict import group_verdict, overall
from tests.report.made_up import make_study


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    return summarise(make_study(tmp_path_factory.mktemp("grown"), grown=True, failing=())).groups[0]


def answer(group: Group, question: str) -> Answered:
    return next(one for one in answers(group) if one.question == question)


def test_the_best_is_taken_where_nothing_cheaper_will_do(group: Group) -> None:
    assert headline(group) == "Take full: it scores best, and no cheaper arm is shown to come within 0.01 of it."
    assert answer(group, "Which arm?").short == "full"
    assert answer(group, "How sure?").short == "better than zero_shot"
    assert "Against full: 2 worse, 1 not compared (broken)" in answer(group, "How sure?").more
    assert answer(group, "What does it cost?").short == "66 s of training"
    assert answer(group, "What is lost?").short == "+0.202 bits per byte"


def test_a_cheaper_one_is_taken_where_it_is_not_worse(group: Group) -> None:
    cheaper = replace(group, cheapest=group.arm("lora"), margin=0.2)
    assert headline(cheaper) == "Take lora: it is cheaper than full, and not worse by 0.2."
    assert "cheaper than full (0.441), and not worse by 0.2" in answer(cheaper, "Which arm?").more


def test_an_arm_that_trains_nothing_costs_and_loses_nothing(group: Group) -> None:
    untrained = replace(group, cheapest=group.arm("zero_shot"))
    assert answer(untrained, "What does it cost?").short == "no training"
    assert answer(untrained, "What is lost?").short == "nothing"
    assert answer(untrained, "How sure?").short == "worse than full", "what the comparison says of the reference"


def test_forgetting_that_was_not_measured_is_not_called_nothing(tmp_path: Path) -> None:
    plain = summarise(make_study(tmp_path, failing=())).groups[0]
    assert answer(plain, "What is lost?").short == "not measured"


def test_with_few_seeds_nothing_is_to_be_taken(tmp_path: Path) -> None:
    few = summarise(make_study(tmp_path)).groups[0]
    assert headline(few) == "Too few seeds for a ranking; so far full scores best."
    assert recommended(few) is None and answer(few, "What next?").short == "Run 3 seeds."


@pytest.mark.parametrize("seeds", [1, 2])
def test_with_few_seeds_no_arm_is_called_better_or_worse(tmp_path: Path, seeds: int) -> None:
    few = summarise(make_study(tmp_path, seeds=seeds, failing=(), grown=True)).groups[0]
    said = " ".join([headline(few), *(f"{one.short} {one.more}" for one in answers(few)), *group_verdict(few)])
    assert "better" not in said and "worse" not in said
    assert answer(few, "How sure?").short == f"{seeds} seed{'s' * (seeds > 1)}: no ranking"


def test_what_the_wrong_references_earn_is_said_where_the_reader_looks(tmp_path: Path) -> None:
    store = make_study(tmp_path, failing=(), grown=True)
    for folder in store.runs():
        wrong = folder.wrong_reference()
        if wrong:
            folder.write_wrong_reference(
                Score(one.example_id, {"rougeL": own.values["rougeL"] * 0.94})
                for one, own in zip(wrong, folder.scores(), strict=True)
            )
    flagged = summarise(store).groups[0]
    words = "scored against the wrong references, full still has 0.41"
    assert words in answer(flagged, "How sure?").more
    assert "this measure rewards the form more than what is said" in answer(flagged, "How sure?").more
    assert words in " ".join(group_verdict(flagged))


def test_a_trivial_baseline_that_wins_is_the_first_thing_said(group: Group) -> None:
    turned = replace(group, lower_is_better=frozenset({"rougeL"}))
    arms = tuple(
        replace(
            arm,
            against={
                name: {measure: replace(one, better=not one.better) for measure, one in found.items()}
                for name, found in arm.against.items()
            },
        )
        for arm in group.arms
    )
    assert headline(replace(turned, arms=arms)).startswith("No arm is of use yet: lead-3, which asks no model, beats")
    assert recommended(replace(turned, arms=arms)) is None


def test_where_a_baseline_may_do_as_well_no_arm_is_to_be_taken(group: Group) -> None:
    full = group.arm("full")
    assert full is not None
    nearest = full.against["nearest"]["rougeL"]
    level = {**full.against, "nearest": {"rougeL": replace(nearest, better=None)}}
    arms = tuple(replace(arm, against=level) if arm.arm == "full" else arm for arm in group.arms)
    found = replace(group, arms=arms)
    assert headline(found) == "No arm is shown to be of use: nearest, which asks no model, may do as well."
    assert recommended(found) is None and answer(found, "Which arm?").short == "none yet"
    assert answer(found, "What next?").short.endswith("first an arm must beat nearest.")


def test_without_a_score_there_is_no_answer(tmp_path: Path) -> None:
    names = tuple(f"{arm}-s0" for arm in ("zero_shot", "lora", "full", "lead-3"))
    nothing = summarise(make_study(tmp_path, seeds=1, failing=names)).groups[0]
    assert answers(nothing) == () and headline(nothing) == "No arm was scored on rougeL."


def test_several_places_in_one_line(group: Group) -> None:
    cheaper = replace(group, cheapest=group.arm("lora"))
    assert overall([group, group, cheaper]) == "Of 3 comparisons, take full in 2, lora in 1."
    assert overall([replace(group, cheapest=None)] * 2) == "2 comparisons, and none says which arm to take."
