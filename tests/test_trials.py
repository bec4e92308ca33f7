"""Trials: what is tried, which is kept, and what cannot be chosen."""

from __future__ import annotations

from typing import Any

import pytest

from luthier.core.settings import read
from luthier.study_file import Arm, StudySpec
from luthier.trials import at_edge, best, factors, search


def arm(short: Any) -> Arm:
    study = {"models": ["m"], "tasks": [{"data": "d", "prompt": "p", "reference": "r"}], "arms": [short]}
    return read(StudySpec, study, "study.yaml").arms[0]


def rates(found: Any) -> list[float]:
    return [candidate.trained[-1].training.learning_rate for _, candidate in found.candidates]


def test_rates_step_away_from_the_suggestion_the_smaller_first():
    assert factors(5) == pytest.approx([1, 1 / 3, 3, 1 / 9, 9])
    found = search(arm({"lora": {}, "learning_rate": 1e-3}), 3, given=[False])
    assert rates(found) == [1e-3, 3.3e-4, 3e-3]
    assert [label for label, _ in found.candidates] == ["0.001", "0.00033", "0.003"]
    assert (found.what, found.per_seed, found.why_fixed) == ("learning rate", False, None)


def test_fewer_trials_try_the_same_candidates_and_fewer():
    lora = arm({"lora": {}, "learning_rate": 2e-3})
    assert rates(search(lora, 2, given=[False])) == rates(search(lora, 5, given=[False]))[:2]
    assert search(lora, 1, given=[False]).candidates[0][1] == lora


def test_a_rate_that_was_given_is_kept():
    found = search(arm({"lora": {}, "learning_rate": 1e-3}), 3, given=[True])
    assert rates(found) == [1e-3] and found.why_fixed == "its learning rate was given"


def test_the_stages_of_an_arm_move_together():
    stages = [{"lora": {}, "learning_rate": 1e-3}, {"full": {}, "learning_rate": 6e-4}]
    found = search(arm({"name": "two", "stages": stages}), 2, given=[False, False])
    (label, low) = found.candidates[1]
    assert [stage.training.learning_rate for stage in low.trained] == [3.3e-4, 2e-4]
    assert label == "0.00033 then 0.0002"


def test_of_two_stages_the_one_whose_rate_was_given_keeps_it():
    stages = [{"lora": {}, "learning_rate": 1e-3}, {"full": {}, "learning_rate": 6e-4}]
    found = search(arm({"name": "two", "stages": stages}), 2, given=[True, False])
    assert [label for label, _ in found.candidates] == ["0.001 then 0.0006", "0.001 then 0.0002"]
    assert at_edge("learning rate", [candidate for _, candidate in found.candidates], 1)


def test_muon_moves_with_the_rate():
    found = search(arm({"full": {}, "learning_rate": 1e-3, "optimizer": "muon"}), 2, given=[False])
    assert [label for label, _ in found.candidates] == ["0.001 (muon 0.02)", "0.00033 (muon 0.0067)"]
    assert found.candidates[1][1].trained[0].training.muon_learning_rate == 0.0067


def test_what_the_study_says_is_tried_first():
    frames = search(arm({"best_template": {"choice": 3}}), 2, given=[False])
    assert [candidate.prompting.choice for _, candidate in frames.candidates] == [3, 0]
    assert search(arm({"best_template": {"choice": 3}}), 1, given=[False]).candidates[0][1].prompting.choice == 3
    draws = search(arm({"few_shot": {"draw": 2}}), 3, given=[False])
    assert [candidate.prompting.draw for _, candidate in draws.candidates] == [2, 0, 1]


def test_promptings_try_what_they_vary():
    draws = search(arm("few_shot"), 3, given=[False])
    assert [candidate.prompting.draw for _, candidate in draws.candidates] == [0, 1, 2]
    assert draws.per_seed and draws.what == "shots"
    frames = search(arm({"best_template": {"templates": ["{prompt}", "Q: {prompt}"]}}), 4, given=[False])
    assert [candidate.prompting.choice for _, candidate in frames.candidates] == [0, 1]
    assert not frames.per_seed and frames.what == "template"
    fixed = search(arm("zero_shot"), 3, given=[False])
    assert len(fixed.candidates) == 1 and fixed.why_fixed == "nothing to choose"


def test_a_training_arm_tries_rates_whatever_it_asks_with():
    found = search(arm({"few_shot": {}, "lora": {}, "learning_rate": 1e-3}), 2, given=[False])
    assert found.what == "learning rate" and not found.per_seed


def test_the_best_is_the_first_among_equals_and_failures_never_win():
    assert best([0.2, 0.4, 0.4], lower_is_better=False) == 1
    assert best([0.2, None, 0.4], lower_is_better=True) == 0
    assert best([None, float("nan"), 0.1], lower_is_better=False) == 2
    assert best([None, None], lower_is_better=False) == 0


def test_an_edge_is_the_smallest_or_largest_rate_whatever_the_order_tried():
    found = search(arm({"lora": {}, "learning_rate": 1e-3}), 3, given=[False])
    candidates = [candidate for _, candidate in found.candidates]
    assert [at_edge("learning rate", candidates, place) for place in range(3)] == [False, True, True]
    assert not at_edge("learning rate", candidates[:1], 0)
    assert not at_edge("shots", candidates, 1)
