"""Between the phases: the plan takes what the trials chose, and the best trained arm is run from random weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from luthier.choices import choose, random_controls
from luthier.core.types import Result
from luthier.outcome import identity
from luthier.plan import Plan
from luthier.run_spec import RunSpec
from luthier.study import Study

MakeStudy = Callable[..., Study]


def plan_of(study: Study) -> Plan:
    return study.plan(device="cpu", check_lengths=False)


def result(run: RunSpec, score: float | None) -> Result:
    if score is None:
        return Result(**identity(run), status="failed", error="it went wrong")
    return Result(**identity(run), status="finished", scores={run.task.primary: score})


def scored(planned: Plan, scores: Mapping[str, list[float | None]]) -> Callable[[RunSpec], Result | None]:
    """Looks a trial up: an arm's scores in the order of its trials."""
    left = {arm: list(values) for arm, values in scores.items()}
    results = {run.folder: result(run, left[run.arm.name].pop(0)) for run in planned.trials}
    return lambda run: results.get(run.folder)


def test_without_trials_the_first_candidates_stand(make_study: MakeStudy):
    planned = plan_of(make_study(arms=["zero_shot", "lora"]))
    chosen, choices = choose(planned, lambda run: None)
    assert planned.trials == () and chosen.runs == planned.runs
    assert [choice.record()["tried"] for choice in choices] == [[], []]


def test_the_rate_that_does_best_on_validation_is_run_with_every_seed(make_study: MakeStudy):
    planned = plan_of(make_study(arms=["lora"], seeds=[4, 5], trials=3))
    assert [(run.split, run.seed) for run in planned.trials] == [("validation", 4)] * 3
    rates = [run.arm.trained[0].training.learning_rate for run in planned.trials]
    chosen, (choice,) = choose(planned, scored(planned, {"lora": [0.1, 0.3, 0.2]}))
    middle = choose(planned, scored(planned, {"lora": [0.3, 0.1, 0.2]}))[1][0].record()
    assert (middle["chosen"], middle["edge"]) == (0, False)
    assert [(run.arm.trained[0].training.learning_rate, run.seed) for run in chosen.runs] == [
        (rates[1], 4),
        (rates[1], 5),
    ]
    record = choice.record()
    assert record["chosen"] == 1 and record["edge"] and record["what"] == "learning rate" and record["seed"] is None
    assert [tried["score"] for tried in record["tried"]] == [0.1, 0.3, 0.2]
    # The trial's training is the run's own: nothing is trained twice.
    assert planned.trials[1].train_keys() == chosen.runs[0].train_keys()
    assert planned.trials[1].predict_keys() != chosen.runs[0].predict_keys()


def test_each_seed_chooses_its_own_shots(make_study: MakeStudy):
    planned = plan_of(make_study(arms=["few_shot"], seeds=[0, 1], trials=2))
    assert [run.seed for run in planned.trials] == [0, 0, 1, 1]
    chosen, choices = choose(planned, scored(planned, {"few_shot": [0.1, 0.2, 0.4, 0.3]}))
    assert [(run.seed, run.arm.prompting.draw) for run in chosen.runs] == [(0, 1), (1, 0)]  # type: ignore[attr-defined]
    assert [choice.record()["seed"] for choice in choices] == [0, 1]


def test_where_less_is_better_the_least_is_chosen(make_study: MakeStudy):
    planned = plan_of(make_study(arms=["lora"], trials=2, task={"metrics": ["nll"], "primary": "nll"}))
    _, (choice,) = choose(planned, scored(planned, {"lora": [3.0, 2.0]}))
    assert choice.chosen == 1


def test_a_failed_trial_is_not_chosen_and_is_told(make_study: MakeStudy):
    planned = plan_of(make_study(arms=["lora"], trials=2))
    _, (choice,) = choose(planned, scored(planned, {"lora": [None, 0.01]}))
    assert choice.chosen == 1
    assert [tried["status"] for tried in choice.record()["tried"]] == ["failed", "finished"]


def test_the_best_trained_arm_is_run_from_random_weights(make_study: MakeStudy):
    planned = plan_of(make_study(arms=["zero_shot", "lora", "full"], seeds=[0, 1], forgetting=True))
    means = {"zero_shot": 0.9, "lora": 0.3, "full": 0.2}
    controls = random_controls(planned, [result(run, means[run.arm.name]) for run in planned.runs])
    assert [(run.arm.name, run.control_of, run.seed) for run in controls] == [
        ("lora from random weights", "lora", 0),
        ("lora from random weights", "lora", 1),
    ]
    keys = {key for run in planned.runs for key in run.train_keys()}
    assert keys.isdisjoint(controls[0].train_keys() + controls[1].train_keys())
    assert not controls[0].documents


def test_the_control_is_of_the_largest_training_set(make_study: MakeStudy):
    planned = plan_of(make_study(arms=["lora", "full"], sizes=[4, 8]))
    scores = {("lora", 4): 0.9, ("full", 4): 0.1, ("lora", 8): 0.2, ("full", 8): 0.3}
    (control,) = random_controls(planned, [result(run, scores[run.arm.name, run.size]) for run in planned.runs])
    assert (control.control_of, control.size) == ("full", 8)


def test_without_a_trained_arm_that_finished_there_is_no_control(make_study: MakeStudy):
    planned = plan_of(make_study(arms=["zero_shot", "lora"]))
    assert random_controls(planned, [result(planned.runs[0], 0.5), result(planned.runs[1], None)]) == ()


def test_an_arm_that_lost_a_seed_stands_behind(make_study: MakeStudy):
    planned = plan_of(make_study(arms=["lora", "full"], seeds=[0, 1]))
    scores = {("lora", 0): 0.9, ("lora", 1): None, ("full", 0): 0.2, ("full", 1): 0.2}
    controls = random_controls(planned, [result(run, scores[run.arm.name, run.seed]) for run in planned.runs])
    assert [(control.control_of, control.seed) for control in controls] == [("full", 0), ("full", 1)]
