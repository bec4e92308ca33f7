"""The estimate of a dry run: it grows with what makes a run long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from luthier import estimate
from luthier.estimate import matrix_speed
from luthier.study import Study

MakeStudy = Callable[..., Study]


@pytest.fixture(autouse=True)
def _a_slow_machine(monkeypatch: pytest.MonkeyPatch):
    """Of a million operations a second: that of this one would make tiny models free."""
    monkeypatch.setattr(estimate, "matrix_speed", lambda: 1e6)


def guess(make_study: MakeStudy, arm: Any, **changes: Any) -> float:
    planned = make_study(arms=[arm], **changes).plan(device="cpu", check_lengths=False)
    return estimate.seconds(planned.runs[0], planned)


def test_a_baseline_is_free(make_study: MakeStudy):
    assert guess(make_study, "lead") == 1.0


def test_training_costs_more_than_asking_and_shots_more_than_none(make_study: MakeStudy):
    zero = guess(make_study, "zero_shot")
    assert zero < guess(make_study, {"few_shot": {"shots": 2}}) < guess(make_study, {"few_shot": {"shots": 4}})
    assert zero < guess(make_study, "lora")


def test_steps_and_epochs_count_alike(make_study: MakeStudy):
    three_epochs = guess(make_study, {"name": "a", "method": "lora", "steps": None, "epochs": 3})
    assert guess(make_study, {"name": "a", "method": "lora", "steps": 9}) == pytest.approx(three_epochs)  # 12 rows by 4
    assert guess(make_study, {"name": "a", "method": "lora", "steps": 18}) > three_epochs
    twice = guess(make_study, {"name": "a", "stages": ["full", "lora"]})
    once = guess(make_study, "lora")
    zero = guess(make_study, "zero_shot")
    assert twice - once == pytest.approx(once - zero)


def test_longer_answers_and_more_rows_take_longer(make_study: MakeStudy):
    short = guess(make_study, "zero_shot")
    assert guess(make_study, "zero_shot", task={"generation": {"max_new_tokens": 80}}) > short
    assert guess(make_study, "zero_shot", task={"limit": {"test": 2}}) < short
    assert guess(make_study, "zero_shot", task={"metrics": ["nll"], "primary": "nll"}) < short


def test_the_speed_of_this_machine_is_measured():
    assert 1e8 < matrix_speed() < 1e15


def test_the_longest_runs_come_first(make_study: MakeStudy):
    arms = ["lead", "zero_shot", *({"name": f"s{steps}", "method": "lora", "steps": steps} for steps in (4, 32, 8, 64))]
    planned = make_study(arms=arms, task={"metrics": ["nll"], "primary": "nll"}).plan(device="cpu", check_lengths=False)
    ordered = estimate.longest_first(planned.runs, planned)
    assert [run.arm.name for run in ordered] == ["s64", "s32", "s8", "s4", "zero_shot", "lead"]


def test_what_a_run_before_trains_makes_a_run_no_longer(make_study: MakeStudy):
    arms = [
        {"name": "short", "method": "lora", "steps": 6},
        {"name": "long", "method": "lora", "steps": 9},
        {"name": "again", "method": "lora", "steps": 9},
    ]
    planned = make_study(arms=arms).plan(device="cpu", check_lengths=False)
    ordered = estimate.longest_first(planned.runs, planned)
    assert [run.arm.name for run in ordered] == ["long", "short", "again"]
