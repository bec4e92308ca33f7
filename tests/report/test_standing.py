"""What may be claimed: who is told apart from the best after Holm, who cannot be compared, what costs the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from luthier.core.types import Cost, Result
from luthier.report.answers import answers, headline
from luthier.report.comparing import against_best, cheapest, in_family
from luthier.report.findings import ArmSummary, Group, Run
from luthier.report.measured import Estimate
from luthier.report.pairing import Terms
from luthier.report.standing import Standing, few_seeds, intervals_over, rivals, standing
from luthier.report.summary import summarise
from luthier.report.verdict import group_verdict
from tests.report.made_up import make_study, run_name, shifted

TERMS = Terms("accuracy", frozenset(), 0.01)


def arm(name: str, scores: np.ndarray, cost: float = 0.0, seeds: tuple[int, ...] = (0, 1, 2)) -> ArmSummary:
    """An arm with scores of the shape (seeds, items)."""
    runs = tuple(
        Run(
            f"{name}-{seed}",
            Result(
                arm=name,
                model="m",
                task="t",
                seed=seed,
                digest="d",
                prompting="p",
                method="m",
                objective="o",
                status="finished",
                seeded=True,
            ),
            {"accuracy": {str(at): float(value) for at, value in enumerate(row)}},
            {},
            {},
        )
        for seed, row in zip(seeds, scores, strict=True)
    )
    return ArmSummary(
        arm=name,
        model="m",
        task="t",
        prompting="p",
        method="m",
        objective="o",
        baseline=False,
        status="finished",
        seeds=seeds,
        error=None,
        scores={"accuracy": Estimate(float(scores.mean()), None, None, scores.shape[1])},
        cost=Cost(flops=cost),
        runs=runs,
    )


def group_of(arms: list[ArmSummary], margin: float = 0.01) -> Group:
    terms = replace(TERMS, margin=margin)
    judged = against_best(arms, terms)
    return Group(
        task="t",
        model="m",
        primary="accuracy",
        measures=("accuracy",),
        lower_is_better=frozenset(),
        reference=arms[0].arm,
        arms=tuple(judged),
        margin=margin,
        cheapest=cheapest(judged, terms),
    )


def test_of_equal_arms_none_is_called_worse_more_often_than_by_chance() -> None:
    rng = np.random.default_rng(1)
    studies, raw, told = 60, 0, 0
    for _ in range(studies):
        item = rng.normal(size=(1, 30))
        own = [0.8 * rng.normal(size=(1, 30)) + rng.normal(size=(3, 30)) for _ in range(6)]
        arms = [arm(str(at), item + scores) for at, scores in enumerate(own)]
        judged = against_best(arms, TERMS)
        raw += any(one.against_best is not None and (one.against_best.p or 1) <= 0.05 for one in judged)
        told += any(one.against_best is not None and one.against_best.better is False for one in judged)
    assert raw >= 0.15 * studies, "without a correction the picked best looks better than some arm"
    assert told <= 0.1 * studies


def test_what_is_worse_uncorrected_is_a_tie_after_holm() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        item = rng.normal(0, 1, (1, 30))
        judged = against_best([arm(str(at), item + rng.normal(0, 1, (3, 30))) for at in range(6)], TERMS)
        found = [(one, one.against_best) for one in judged if one.against_best is not None]
        for one, against in found:
            assert against.p is not None and against.p_holm is not None
            if against.p <= 0.05 < against.p_holm:
                assert one.tied_with_best and against.better is None and against.may_be_chance
                assert against.outcome == "undecided"
                return
    pytest.fail("no comparison was taken back: the test has no case")


def test_the_family_decides_better_outcome_and_p_together() -> None:
    a, b = arm("a", np.linspace(0, 1, 60).reshape(3, 20)), arm("b", np.linspace(0.5, 0.9, 60).reshape(3, 20))
    alone = against_best([a, b], TERMS)[0].against_best
    assert alone is not None and alone.p_holm == alone.p
    twice = in_family([alone, alone], TERMS)
    assert [one.p_holm for one in twice] == [pytest.approx(min(1, 2 * (alone.p or 0)))] * 2


def test_of_equally_cheap_arms_the_better_one_is_taken_and_none_is_called_cheaper() -> None:
    rng = np.random.default_rng(2)
    item = rng.normal(0.5, 0.1, (1, 200))

    def noisy(mean: float) -> np.ndarray:
        return item + mean + rng.normal(0, 0.004, (3, 200))

    group = group_of([arm("zero_shot", noisy(0)), arm("few_shot", noisy(0.003)), arm("full", noisy(0.006), cost=1e9)])
    assert group.best is not None and group.best.arm == "full"
    assert group.cheapest is not None and group.cheapest.arm == "few_shot"
    same = group_of([arm("zero_shot", noisy(0)), arm("few_shot", noisy(0.003))])
    assert same.cheapest is not None and same.cheapest.arm == "few_shot"
    said = " ".join([headline(same), *group_verdict(same), *(one.more for one in answers(same))])
    assert "cheaper than" not in said and "cheapest" not in said


def test_worse_within_the_margin_and_level_are_three_things() -> None:
    rng = np.random.default_rng(3)
    item = rng.normal(0.5, 0.1, (1, 200))

    def noisy(mean: float, spread: float) -> np.ndarray:
        return item + mean + rng.normal(0, spread, (3, 200))

    arms = [
        arm("far", noisy(-0.1, 0.01)),
        arm("near", noisy(-0.008, 0.002)),
        arm("noise", noisy(-0.002, 0.2)),
        arm("best", noisy(0.0, 0.002), cost=2e9),
    ]
    group = group_of(arms, margin=0.02)
    found = standing(group)
    assert found is not None and found.best == "best"
    assert (found.worse, found.within, found.level) == (("far",), ("near",), ("noise",))
    assert found.undecided == ("noise",)
    words = "Against best, far is worse, near is worse by less than 0.02, noise is not told apart from it."
    assert found.words == words and words in " ".join(group_verdict(group))
    brief = "Against best: 1 worse, 1 worse by less than 0.02 (near), 1 not told apart (noise)."
    assert found.brief == brief and brief in answers(group)[1].more, "the answers have the same lists"
    assert "Nothing is left undecided" not in " ".join(group_verdict(group))


def test_what_cannot_be_compared_is_listed_and_never_tied() -> None:
    rng = np.random.default_rng(4)
    ours = rng.normal(0.5, 0.01, (3, 40))
    other = arm("other seeds", rng.normal(0.49, 0.01, (3, 40)), seeds=(7, 8, 9))
    group = group_of([arm("zero_shot", ours - 0.2), arm("best", ours), other])
    found = group.arm("other seeds")
    assert found is not None and not found.tied_with_best and found.against_best is None
    told = standing(group)
    assert told is not None and told.untold == (("other seeds", "no seed or example in common"),)
    assert told.words == "Against best, zero_shot is worse; not compared: other seeds (no seed or example in common)."
    assert "Nothing is left undecided" not in " ".join(group_verdict(group))
    assert "nothing compares them yet" in answers(group)[-1].short


def test_one_example_has_no_interval_and_is_no_tie() -> None:
    group = group_of([arm("a", np.array([[0.1], [0.1], [0.2]])), arm("b", np.array([[0.2], [0.3], [0.3]]))])
    found = standing(group)
    assert found is not None and found.untold == (("a", "no interval"),)
    assert found.not_compared == "Not compared: a (no interval)." == found.words
    assert headline(group) == "No ranking: no other arm can be compared with b, which scores best so far."
    assert "Take" not in " ".join(group_verdict(group))


def test_all_worse_and_all_level_have_their_own_sentence() -> None:
    plain = Standing("full", 0.01, ("lora", "zero_shot"), (), (), (), ())
    assert plain.words == "Every other arm is worse than full: lora, zero_shot."
    level = replace(plain, worse=(), level=("lora",))
    assert level.words == "full is not told apart from any other arm: lora."
    assert replace(plain, worse=()).words == ""


def test_a_baseline_is_a_rival_until_the_best_is_shown_to_be_better(tmp_path: Path) -> None:
    clear = summarise(make_study(tmp_path / "a", failing=(), grown=True)).groups[0]
    assert rivals(clear) == []
    near = summarise(shifted(make_study(tmp_path / "b", failing=(), grown=True), "nearest", 0.29, 0.02)).groups[0]
    assert [arm.arm for arm in rivals(near)] == ["nearest"]
    said = group_verdict(near)
    assert said[0].startswith("No arm is shown to be of use") and said[-1].endswith("an arm must beat nearest.")


def test_a_caption_speaks_of_the_seeds_that_there_are(tmp_path: Path) -> None:
    one = summarise(make_study(tmp_path / "one", seeds=1, failing=())).groups[0]
    assert few_seeds(one) and intervals_over([one]) == "over test examples alone: no arm has more than one seed"
    three = summarise(make_study(tmp_path / "three", failing=())).groups[0]
    assert intervals_over([three]) == "over seeds and test examples together (approximate with few seeds)"
    mixed = summarise(make_study(tmp_path / "mixed", failing=("full-s1", "full-s2"))).groups[0]
    assert "over examples alone where an arm has one seed" in intervals_over([mixed])
    assert run_name("full", 0) in [run.name for arm in mixed.arms for run in arm.finished]
