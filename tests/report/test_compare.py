"""Two studies side by side."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console
from scipy import stats
from typer.testing import CliRunner

from luthier.cli import app
from luthier.core.errors import LuthierError
from luthier.core.store import Store
from luthier.core.types import Score
from luthier.report.compare import Change, Compared, ComparedArm, compare_studies
from luthier.report.compare_text import print_compared
from tests.report.made_up import ITEMS, make_study, run_name, scores


def arm(found: Compared, name: str) -> ComparedArm:
    return next(one for one in found.arms if one.arm == name)


def rescored(store: Store, name: str, change: float, items: list[str] = ITEMS, seeds: int = 3) -> None:
    """The arm's runs with every score moved; `items` name the examples."""
    for seed in range(seeds):
        values = scores(name, seed)["rougeL"] + change * (1 + 0.1 * (seed - 1))
        store.run(run_name(name, seed)).write_scores(
            Score(item, {"rougeL": float(value)}) for item, value in zip(items, values, strict=True)
        )


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return make_study(tmp_path / "b", failing=())


def test_a_study_against_itself(store: Store) -> None:
    found = compare_studies(store, store)
    assert not (found.settings or found.surroundings or found.only_a or found.only_b)
    assert [one.arm for one in found.arms] == ["zero_shot", "lora", "full", "lead-3"]
    assert all(one.difference == 0 and one.how == "20 examples, the same runs" for one in found.arms)
    assert found.verdict_a == found.verdict_b


def test_a_difference_is_paired_by_example_and_seed(store: Store, other: Store) -> None:
    rescored(other, "lora", 0.05)
    found = arm(compare_studies(store, other), "lora")
    assert found.difference == pytest.approx(0.05) and found.better is True and found.n == 20
    assert found.low is not None and found.high is not None
    # By seed it moves by 0.045, 0.05 and 0.055; the items' spread (0.05) is taken out by pairing.
    half = stats.t.ppf(0.975, 2) * 0.005 / math.sqrt(3)
    assert found.high - found.difference == pytest.approx(half, rel=0.1)


def test_where_lower_is_better_a_fall_is_better(tmp_path: Path) -> None:
    stores = [make_study(tmp_path / name, primary="nll") for name in "ab"]
    for seed in range(3):
        lower = ((item, 1.5 - 0.01 * at + 0.001 * seed) for at, item in enumerate(ITEMS))
        stores[1].run(run_name("lora", seed)).write_scores([Score(item, {"nll": value}) for item, value in lower])
    found = arm(compare_studies(*stores), "lora")
    assert found.difference < 0 and found.better is True


def test_other_test_sets_are_compared_unpaired(store: Store, other: Store) -> None:
    rescored(other, "lora", 0.2, items=[f"{index:016d}x" for index in range(20)])
    found = arm(compare_studies(store, other), "lora")
    assert (found.n, found.how, found.better) == (0, "unpaired", True)
    assert found.a.high is not None and found.b.low is not None and found.low is not None
    by_hand = found.difference - math.hypot(found.b.mean - found.b.low, found.a.high - found.a.mean)
    assert found.low == pytest.approx(by_hand)


def test_what_differs_is_named_by_its_key(other: Store) -> None:
    study = other.study()
    arms = [{"name": "lora", "stages": [{"method": {"lora": {"rank": rank}}}]} for rank in (8, 32)]
    changed = {
        **study,
        "version": "0.2.0",
        "spec": {**study["spec"], "seeds": [0, 1], "arms": [arms[1]]},
        "models": [{**study["models"][0], "digest": "beef"}],
        "environment": {**study["environment"], "libraries": {"torch": "2.14.0", "numpy": "2.4.6"}},
    }
    other.write_study(changed)
    before = make_study(other.root.parent / "c", failing=())
    before.write_study({**study, "spec": {**study["spec"], "arms": [arms[0]]}})
    found = compare_studies(before, other)
    assert found.settings == (
        Change("seeds", "[0, 1, 2]", "[0, 1]"),
        Change("arms.lora.stages.0.method.lora.rank", "8", "32"),
    )
    assert found.surroundings == (
        Change("model house/decoder", "digest f00d", "digest beef"),
        Change("luthier", "0.1.0", "0.2.0"),
        Change("torch", "2.13.0", "2.14.0"),
    )


def test_test_examples_that_differ_are_counted(store: Store, other: Store) -> None:
    study = other.study()
    task = study["tasks"][0]
    fewer = dict(list(task["examples"].items())[:15])
    other.write_study({**study, "tasks": [{**task, "examples": fewer}]})
    assert compare_studies(store, other).surroundings == (
        Change("dialogues: test examples", "20, 15 shared", "15, 15 shared"),
    )


def test_an_only_model_is_met_under_another_name(store: Store, other: Store) -> None:
    for folder in other.runs():
        result = folder.result()
        assert result is not None
        folder.finish(result.model_copy(update={"model": "hub/larger"}))
    found = compare_studies(store, other)
    assert len(found.arms) == 4 and found.arms[0].where == "dialogues on hub/larger"


def test_arms_of_one_study_alone_are_named(store: Store, tmp_path: Path) -> None:
    found = compare_studies(store, make_study(tmp_path, grown=True))
    assert found.only_a == ()
    assert found.only_b == (
        "full from random weights (dialogues on house/decoder)",
        "nearest (dialogues on house/decoder)",
    )


def test_it_is_said_on_the_terminal(store: Store, other: Store) -> None:
    rescored(other, "lora", 0.05)
    console = Console(file=io.StringIO(), width=100, record=True)
    print_compared(compare_studies(store, other), console)
    text = console.export_text()
    line = next(line for line in text.splitlines() if line.startswith("lora"))
    assert line.split()[:4] == ["lora", "0.343", "0.393", "+0.050"] and "better" in line
    assert "The study files do not differ" in text and "Verdict of B: " in text


def test_the_command_prints_plain_json(store: Store, other: Store) -> None:
    done = CliRunner().invoke(app, ["compare", str(store.root), str(other.root), "--json"])
    assert done.exit_code == 0, done.output
    assert {one["arm"] for one in json.loads(done.output)["arms"]} == {"zero_shot", "lora", "full", "lead-3"}


def test_a_folder_without_a_study_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="no study was run"):
        compare_studies(store, Store(tmp_path / "none"))
