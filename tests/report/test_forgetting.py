"""What is forgotten: before and after, paired by example, with a sign that the reader sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from luthier.core.store import Store
from luthier.core.types import Result
from luthier.report.findings import Group, Run
from luthier.report.forgetting import Retention, forgotten, worst
from luthier.report.summary import summarise
from luthier.report.tradeoff import tradeoffs
from tests.report.made_up import retained

BITS = Retention("base samples", "bits_per_byte", True, "text", "text sampled from the untouched base")
ACCURACY = Retention("sentiment", "accuracy", False, "task", "generated/sentiment")


@pytest.fixture(scope="module")
def group(grown: Store) -> Group:
    return summarise(grown).groups[0]


def run(task: str, before: list[float], after: list[float]) -> Run:
    result = Result(
        arm="a",
        model="m",
        task="t",
        seed=0,
        digest="d",
        prompting="p",
        method="m",
        objective="o",
        status="finished",
    )
    pairs = {str(at): pair for at, pair in enumerate(zip(before, after, strict=True))}
    return Run("a", result, {}, {}, {task: pairs})


def test_one_seed_is_a_paired_t_test_over_examples() -> None:
    rng = np.random.default_rng(0)
    before = rng.normal(2, 0.3, 40)
    after = before + rng.normal(0.1, 0.05, 40)
    found = forgotten([run("base samples", list(before), list(after))], [BITS])["base samples"]
    low, high = stats.t.interval(0.95, 39, (after - before).mean(), stats.sem(after - before))
    assert (found.before, found.after) == (pytest.approx(before.mean()), pytest.approx(after.mean()))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.n == 40 and found.lost is True


@pytest.mark.parametrize("lower", [True, False])
def test_a_loss_is_positive_whatever_the_measures_sign(lower: bool) -> None:
    task = replace(BITS, lower_is_better=lower)
    before = [1.0 + 0.01 * at for at in range(40)]
    after = [value + (0.2 if lower else -0.2) + 0.001 * (at % 3) for at, value in enumerate(before)]
    found = forgotten([run(task.name, before, after)], [task])[task.name]
    assert found.lost is True and found.loss.mean == pytest.approx(0.2, abs=0.01)
    assert found.loss.low is not None and found.loss.high is not None and 0 < found.loss.low < found.loss.high
    assert (found.difference > 0) == lower, "the difference keeps the measure's own sign"


def test_the_studys_own_numbers(group: Group) -> None:
    full = group.arm("full")
    assert full is not None
    rows = [row for seed in range(3) for row in retained("full", seed) if row["task"] == "base samples"]
    change = np.mean([float(str(row["after"])) - float(str(row["before"])) for row in rows])
    assert full.forgetting["base samples"].difference == pytest.approx(change)
    accuracy = full.forgetting["sentiment"]
    assert (accuracy.before, accuracy.after, accuracy.lost) == (1.0, 0.75, None)
    assert group.arm("zero_shot").forgetting == {}  # type: ignore[union-attr]


def test_the_worst_is_seen_to_be_lost_before_it_is_large(group: Group) -> None:
    full = group.arm("full")
    assert full is not None
    found = worst(full.forgetting)
    assert found is not None and found.task == "base samples", "the quarter of sentiment is not told apart from none"
    assert worst({}) is None


def lost(task: Retention, by: float, spread: float = 0.01, before: float = 1.0) -> Run:
    """One seed of a task, worse by so much on the whole, and by an example's own share of `spread`."""
    sign = 1 if task.lower_is_better else -1
    start = [before + 0.01 * (at % 5) for at in range(40)]
    return run(task.name, start, [value + sign * (by + spread * ((at % 7) - 3)) for at, value in enumerate(start)])


def together(*runs: Run) -> Run:
    return replace(runs[0], retained={name: rows for one in runs for name, rows in one.retained.items()})


def test_one_task_of_many_that_falls_by_chance_is_not_lost() -> None:
    tasks = [replace(BITS, name=f"task {at}") for at in range(8)]
    fallen = lost(tasks[0], 0.009, 0.01)
    alone = forgotten([fallen], tasks[:1])["task 0"]
    assert alone.lost is True and alone.p is not None and 0.01 < alone.p < 0.05
    one_of_eight = forgotten([together(fallen, *(lost(task, 0.0) for task in tasks[1:]))], tasks)["task 0"]
    assert one_of_eight.p == alone.p and one_of_eight.p_holm == pytest.approx(8 * alone.p)
    assert one_of_eight.lost is None


def test_losses_in_different_measures_are_not_set_against_each_other() -> None:
    prose = replace(BITS, name="prose")
    one = together(lost(BITS, 0.4, 0.1), lost(prose, 0.1), lost(ACCURACY, 0.5, 0.3))
    found = forgotten([one], [BITS, prose, ACCURACY])
    assert all(one.lost for one in found.values())
    surest = min(found.values(), key=lambda one: one.p_holm or 0)
    assert surest.task == "prose", "the least spread"
    chosen = worst(found)
    assert chosen is not None and chosen.task == "base samples", "in the measure of the surest loss, the largest"


def test_where_the_base_scores_nothing_there_is_nothing_to_lose() -> None:
    floor = replace(ACCURACY, name="arithmetic", primary="exact_match")
    found = forgotten([together(run("arithmetic", [0.0] * 20, [0.0] * 20), lost(ACCURACY, 0.0))], [floor, ACCURACY])
    assert found["arithmetic"].nothing_to_lose and not found["sentiment"].nothing_to_lose
    chosen = worst(found)
    assert chosen is not None and chosen.task == "sentiment"
    alone = worst({"arithmetic": found["arithmetic"]})
    assert alone is not None and alone.nothing_to_lose
    assert not replace(alone, lower_is_better=True).nothing_to_lose


def test_learning_against_forgetting_has_a_point_for_every_arm(group: Group) -> None:
    points = {point.arm: point for point in tradeoffs(group)}
    assert list(points) == ["zero_shot", "lora", "full"]
    assert points["zero_shot"].gain.mean == points["zero_shot"].loss.mean == 0
    assert points["full"].gain.mean > points["lora"].gain.mean > 0.1
    assert points["full"].loss.mean == pytest.approx(0.202, abs=0.001) and points["full"].task == "base samples"


def test_an_example_missing_from_one_seed_is_left_out_of_all() -> None:
    runs = [run("sentiment", [1.0, 0.0, 1.0], [1.0, 0.0, 0.0]), run("sentiment", [1.0, 0.0], [1.0, 0.0])]
    found = forgotten(runs, [ACCURACY, BITS])
    assert list(found) == ["sentiment"] and found["sentiment"].n == 2
