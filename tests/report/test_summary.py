"""The summary's numbers against numpy and scipy by hand, on a study whose effects are known."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from luthier.core.errors import LuthierError
from luthier.core.statistics import mean_interval, outcome, smallest_visible
from luthier.core.store import Store
from luthier.core.types import Score
from luthier.report.findings import ArmSummary, Group, Summary
from luthier.report.summary import summarise
from tests.report.made_up import ITEMS, make_study, run_name, scores


@pytest.fixture(scope="module")
def summary(store: Store) -> Summary:
    return summarise(store)


@pytest.fixture(scope="module")
def group(summary: Summary) -> Group:
    return summary.groups[0]


def arm(group: Group, name: str) -> ArmSummary:
    return next(arm for arm in group.arms if arm.arm == name)


def array(name: str, measure: str, seeds: tuple[int, ...]) -> np.ndarray:
    return np.array([scores(name, seed)[measure] for seed in seeds])


def test_arms_stand_in_the_studys_order_with_the_baselines_last(group: Group) -> None:
    assert [arm.arm for arm in group.arms] == ["zero_shot", "lora", "full", "broken", "lead-3"]
    assert [arm.status for arm in group.arms] == ["finished", "finished", "partial", "failed", "finished"]
    assert [arm.seeds for arm in group.arms] == [(0, 1, 2), (0, 1, 2), (0, 1), (), (0,)]
    assert group.best is not None and group.best.arm == "full"


@pytest.mark.parametrize("measure", ["rougeL", "rouge1", "nll"])
def test_means_are_over_seeds_and_items(group: Group, measure: str) -> None:
    for name in ("zero_shot", "lora", "full"):
        found = arm(group, name)
        assert found.scores[measure].mean == pytest.approx(array(name, measure, found.seeds).mean(), abs=1e-12)
        assert found.scores[measure].n == len(ITEMS)


def test_the_interval_of_one_seed_is_the_t_interval_over_items(group: Group) -> None:
    values = scores("lead-3", 0)["rougeL"]
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    found = arm(group, "lead-3").scores["rougeL"]
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_differences_are_paired_by_example(group: Group) -> None:
    found = group.difference(arm(group, "lora"))
    assert found is not None
    by_hand = array("lora", "rougeL", (0, 1, 2)) - array("zero_shot", "rougeL", (0, 1, 2))
    assert found.difference == pytest.approx(by_hand.mean(), abs=1e-12)
    assert found.low is not None and found.high is not None
    # Pairing takes the spread of the items (0.05) out: an unpaired interval would be wider than 0.04.
    assert found.high - found.low < 0.03
    assert found.better is True


def test_an_arm_run_once_is_compared_with_every_seed(group: Group) -> None:
    found = group.difference(arm(group, "lead-3"))
    assert found is not None
    by_hand = stats.ttest_1samp(scores("lead-3", 0)["rougeL"] - scores("zero_shot", 0)["rougeL"], 0)
    assert (found.low, found.high) == tuple(pytest.approx(bound) for bound in by_hand.confidence_interval())
    assert found.p is not None and found.p < 1e-4
    assert found.found is not None and found.found.test.startswith("sign-flip permutation"), "few items, one seed"
    assert found.better is False
    assert found.p_holm is None, "a trivial baseline is not of the declared family"


def test_seeds_that_one_of_two_arms_lacks_are_left_out(group: Group) -> None:
    found = group.difference(arm(group, "full"))
    by_hand = array("full", "rougeL", (0, 1)) - array("zero_shot", "rougeL", (0, 1))
    assert found is not None and found.difference == pytest.approx(by_hand.mean())


def test_holm_is_over_the_arms_on_the_primary_measure(group: Group) -> None:
    lora, full = (group.difference(arm(group, name)) for name in ("lora", "full"))
    assert lora is not None and full is not None and lora.p is not None and full.p is not None
    small, large = sorted((lora, full), key=lambda found: found.p or 0)
    assert small.p is not None and small.p_holm == pytest.approx(2 * small.p)
    assert large.p is not None and large.p_holm == pytest.approx(max(large.p, 2 * small.p))
    assert arm(group, "lora").against["zero_shot"]["nll"].p_holm is None


def test_unscored_is_absent_and_not_zero(group: Group) -> None:
    assert "nll" not in arm(group, "lead-3").scores
    assert arm(group, "broken").scores == {}
    assert set(arm(group, "lead-3").against) == {"zero_shot"}


def test_a_measure_of_the_whole_test_set_has_a_mean_and_no_interval(group: Group) -> None:
    found = arm(group, "zero_shot").scores["bleu"]
    assert found.mean == pytest.approx(np.mean([0.10, 0.11, 0.12]))
    assert found.low is None and found.high is None


def test_the_likelihood_of_a_class_is_not_compared_with_that_of_a_text(tmp_path: Path) -> None:
    store = make_study(tmp_path)
    for seed in range(3):
        run = store.run(run_name("lora", seed))
        result = run.result()
        assert result is not None
        run.finish(result.model_copy(update={"effective": {**result.effective, "kind": "encoder"}}))
    (found,) = summarise(store).groups
    of_encoder, of_decoder = (arm(found, name).against["zero_shot"] for name in ("lora", "full"))
    assert set(of_decoder) - set(of_encoder) == {"nll"} and "rougeL" in of_encoder


def test_lower_is_better_turns_the_ranking_and_not_the_sign(tmp_path: Path) -> None:
    group = summarise(make_study(tmp_path, primary="nll")).groups[0]
    assert group.best is not None and group.best.arm == "full"
    found = group.difference(group.best)
    assert found is not None and found.difference < 0 and found.better is True
    lora = arm(group, "lora").against_best
    assert lora is not None and lora.other == "full" and lora.difference > 0 and lora.better is False
    assert group.measures[0] == "nll"


def test_costs_are_means_and_the_peak_is_the_highest(tmp_path: Path) -> None:
    store = make_study(tmp_path)
    folder = store.run(run_name("lora", 2))
    result = folder.result()
    assert result is not None
    dearer = result.cost.model_copy(update={"train_seconds": 71.0, "peak_bytes": 900_000_000})
    folder.finish(result.model_copy(update={"cost": dearer}))
    cost = arm(summarise(store).groups[0], "lora").cost
    assert cost.train_seconds == pytest.approx((41 + 41 + 71) / 3)
    assert cost.peak_bytes == 900_000_000
    assert cost.trainable_parameters == 147_456 and isinstance(cost.trainable_parameters, int)


def test_failures_of_one_reason_stand_together(summary: Summary) -> None:
    assert [(failure.arm, failure.seeds) for failure in summary.failures] == [("full", (2,)), ("broken", (0, 1, 2))]


def test_warnings_are_said_once_for_seeds_that_differ_in_numbers_alone(tmp_path: Path) -> None:
    store = make_study(tmp_path)
    for arm_name, seeds in (("lora", (0, 2)), ("full", (1,))):
        for seed in seeds:
            folder = store.run(run_name(arm_name, seed))
            result = folder.result()
            assert result is not None
            text = f"did not learn: its training loss went from 5.{seed} to 5.1"
            folder.finish(result.model_copy(update={"warnings": [text]}))
    group = summarise(store).groups[0]
    assert [warned.words for warned in group.warnings] == [
        "lora (seed 0): did not learn: its training loss went from 5.0 to 5.1; much the same with seed 2",
        "lora (seed 1): the learning rate is at the edge of its range",
        "full (seed 1): did not learn: its training loss went from 5.1 to 5.1",
    ]
    assert group.marks(arm(group, "lora")) == ["did not learn", "warning"]
    assert group.marks(arm(group, "zero_shot")) == []


def test_arms_that_warn_of_the_same_are_named_together(tmp_path: Path) -> None:
    store = make_study(tmp_path, failing=())
    for seed in range(3):
        folder = store.run(run_name("full", seed))
        result = folder.result()
        assert result is not None
        folder.finish(result.model_copy(update={"warnings": ["the learning rate is at the edge of its range"]}))
    (warned,) = summarise(store).groups[0].warnings
    assert warned.words == "lora, full (seeds 0, 1, 2): the learning rate is at the edge of its range"


def test_the_main_measures_are_the_primary_the_likelihood_and_no_sides(group: Group) -> None:
    every = ("rougeL", "rougeL_precision", "rougeL_recall", "rouge1", "bleu", "nll", "corpus_bleu", "corpus_nll")
    group = replace(group, measures=every)
    assert group.main_measures(3) == ["rougeL", "rouge1", "nll"]
    assert group.main_measures(9) == ["rougeL", "rouge1", "bleu", "nll"]
    assert replace(group, primary="corpus_bleu").main_measures(2) == ["nll", "corpus_bleu"]


def test_a_corpus_figure_is_better_where_its_measure_is(group: Group) -> None:
    assert {"nll", "corpus_nll"} <= group.lower_is_better


def test_an_unscored_item_is_left_out_of_every_seed_and_named(tmp_path: Path) -> None:
    store = make_study(tmp_path)
    values = scores("lora", 1)["rougeL"]
    store.run(run_name("lora", 1)).write_scores(
        Score(item, {"rougeL": float(value)} if index else {"rougeL": float("nan"), "nll": 2.0})
        for index, (item, value) in enumerate(zip(ITEMS, values, strict=True))
    )
    summary = summarise(store)
    found = arm(summary.groups[0], "lora").scores["rougeL"]
    assert found.n == 19
    assert found.mean == pytest.approx(array("lora", "rougeL", (0, 1, 2))[:, 1:].mean())
    said = [warned.words for warned in summary.groups[0].warnings]
    assert "lora (seeds 0, 1, 2): 1 of 20 examples have no rougeL, and were left out of it" in said


def test_an_item_without_any_score_is_counted_too(tmp_path: Path) -> None:
    store = make_study(tmp_path)
    for seed in (0, 1, 2):
        store.run(run_name("lora", seed)).write_scores(
            Score(item, {"rougeL": float(value)} if index else {})
            for index, (item, value) in enumerate(zip(ITEMS, scores("lora", seed)["rougeL"], strict=True))
        )
    said = [warned.words for warned in summarise(store).groups[0].warnings]
    assert "lora (seeds 0, 1, 2): 1 of 20 examples have no rougeL, and were left out of it" in said


def test_mixed_versions_and_unfinished_runs_are_named(tmp_path: Path) -> None:
    store = make_study(tmp_path)
    store.run(run_name("lora", 0)).describe({}, "", {"python": "3.11.4", "libraries": {"torch": "2.14.0"}})
    (store.run(run_name("lora", 1)).folder / "result.json").unlink()
    shutil.rmtree(store.run(run_name("full", 1)).folder)
    summary = summarise(store)
    assert summary.mixed == {"torch": ("2.13.0", "2.14.0")}
    assert summary.unfinished == (run_name("lora", 1), run_name("full", 1))
    assert arm(summary.groups[0], "lora").seeds == (0, 2)


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="no study was run"):
        summarise(Store(tmp_path))


def test_rows_of_one_source_count_as_one(tmp_path: Path) -> None:
    store = make_study(tmp_path, failing=())
    before = arm(summarise(store).groups[0], "lora").scores["rougeL"]
    study = store.study()
    study["tasks"][0]["clusters"] = {item: f"c{at // 5}" for at, item in enumerate(ITEMS)}
    store.write_study(study)
    after = arm(summarise(store).groups[0], "lora").scores["rougeL"]
    assert after.mean == pytest.approx(before.mean)
    by_hand = mean_interval(array("lora", "rougeL", (0, 1, 2)), clusters=[f"c{at // 5}" for at in range(len(ITEMS))])
    assert (after.low, after.high) == (pytest.approx(by_hand.low), pytest.approx(by_hand.high))
    assert after.low != pytest.approx(before.low)


def test_the_outcome_is_that_of_the_statistics_after_holm(grown: Store) -> None:
    group = summarise(grown).groups[0]
    for name in ("lora", "full"):
        found = group.difference(arm(group, name))
        assert found is not None and found.found is not None
        assert found.outcome == outcome(found.found, 0.01, p_holm=found.p_holm) == "better"
        assert found.smallest_visible == pytest.approx(smallest_visible(found.found, comparisons=2))
    assert group.difference(arm(group, "full"), "nll").outcome is None  # type: ignore[union-attr]


def test_what_leaked_is_named_and_left_out(grown: Store) -> None:
    group = summarise(grown).groups[0]
    assert group.leakage is not None and group.leakage.ids("test") == (ITEMS[0], ITEMS[3])
    kept = [at for at in range(len(ITEMS)) if at not in (0, 3)]
    found = arm(group, "full").without_leaks
    assert found is not None and found.n == 18
    assert found.mean == pytest.approx(array("full", "rougeL", (0, 1, 2))[:, kept].mean())


def test_the_spread_between_seeds(grown: Store) -> None:
    found = arm(summarise(grown).groups[0], "lora").by_seed
    assert found == {seed: pytest.approx(scores("lora", seed)["rougeL"].mean()) for seed in range(3)}
