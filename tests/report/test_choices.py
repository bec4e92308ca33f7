"""Trials: what was tried, what was chosen, and what of it a reader must be told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from luthier.core.store import Store
from luthier.report.choices import Choice, Trial, budget_notes
from luthier.report.findings import Group
from luthier.report.summary import summarise


@pytest.fixture(scope="module")
def group(grown: Store) -> Group:
    return summarise(grown).groups[0]


def choice(arm: str, number: int, **changes: object) -> Choice:
    trials = tuple(Trial(f"{at}", f"t{at}", 0.1 * at, "finished") for at in range(number))
    return replace(Choice(arm, "m", "t", None, None, "learning rate", trials, 0, False, None), **changes)  # type: ignore[arg-type]


def test_the_choices_are_those_of_the_group(group: Group) -> None:
    lora, zero_shot, full = group.choices
    assert (lora.arm, lora.label, lora.edge) == ("lora", "0.003", True)
    assert [trial.score for trial in lora.tried] == [0.31, 0.34]
    assert (zero_shot.label, zero_shot.why_fixed) == (None, "nothing to choose")
    assert full.chosen is None


def test_a_trial_never_enters_the_scores(group: Group, grown: Store) -> None:
    """Its scores would win; and it is left out even where the record names it among the runs."""
    study = grown.study()
    try:
        grown.write_study({**study, "runs": [*study["runs"], "trial-0.001-s0"]})
        again = summarise(grown).groups[0]
    finally:
        grown.write_study(study)
    ours, theirs = again.arm("lora"), group.arm("lora")
    assert ours is not None and theirs is not None and ours.scores == theirs.scores


def test_what_a_reader_must_know_of_the_budgets(group: Group) -> None:
    assert group.budget_notes == (
        "Each arm had 2 trials, judged on the validation set.",
        "Not searched (nothing to choose): zero_shot.",
        "Not searched (its learning rate was given): full.",
        "lora: its learning rate, 0.003, is at the edge of what was tried.",
    )


def test_unequal_budgets_and_failed_trials_are_said() -> None:
    failed = (Trial("1", "t", None, "failed"), Trial("2", "u", 0.2, "finished"), Trial("3", "v", 0.1, "finished"))
    notes = budget_notes([choice("lora", 3), choice("few_shot", 2), choice("full", 3, tried=failed)], 3)
    assert notes == (
        "Each arm had 3 trials, judged on the validation set.",
        "Unequal budgets: few_shot had 2 of the 3 trials.",
        "Some trials failed: full.",
    )


def test_one_trial_is_no_search() -> None:
    (note,) = budget_notes([choice("lora", 1)], 1)
    assert note.startswith("Nothing was searched (trials: 1)")
