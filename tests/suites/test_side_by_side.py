"""Several models on one suite: paired differences, refusals, and the command."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from luthier import cli
from luthier.core.errors import LuthierError
from luthier.core.statistics import holm, paired_difference
from luthier.core.types import ChoicePrediction, Example, Message
from luthier.suites.evaluate_models import evaluate_models
from luthier.suites.evaluation import Evaluation, TaskResult, group_results, measured
from luthier.suites.items import Item
from luthier.suites.side_by_side import other_shots, side_by_side
from luthier.suites.suite_table import folded, print_suite
from tests.suites.small_benchmarks import SST2, write_jsonl
from tests.tiny import tiny_model


def _evaluation(model: str, scores: dict[str, list[float | None]], shots: int = 0) -> Evaluation:
    items, tasks = [], []
    for task, values in scores.items():
        for place, value in enumerate(values):
            name = f"{task}-{place}"
            example = Example(name, (Message("user", "?"),), ("a",), choices=("a", "b"), task=task)
            prediction = ChoicePrediction(name, ("a", "b"), (-1.0, -2.0), (1, 1))
            items.append(Item(example, prediction, {} if value is None else {"acc": value}))
        scored = [value for value in values if value is not None]
        figures = {"acc": measured(scored)} if scored else {}
        unscored = len(values) - len(scored)
        tasks.append(
            TaskResult(task, "1.0", (), shots, 5, len(values), unscored, 0, "acc", figures, {"acc": True}, None)
        )
    groups = group_results(tasks, items)
    return Evaluation(model, "s", "k", tuple(tasks), groups, (), 1.0, "lm-eval", tuple(items))


def test_each_model_is_paired_with_the_first_and_holm_runs_over_the_models():
    rng = np.random.default_rng(0)
    first, second, third = ([float(one) for one in rng.random(60) < share] for share in (0.3, 0.6, 0.8))
    compared = side_by_side([_evaluation(name, {"t": of}) for name, of in (("a", first), ("b", second), ("c", third))])
    expected = [paired_difference(np.array([other]), np.array([first])) for other in (second, third)]
    assert [(one.model, one.reference, one.task, one.measure) for one in compared] == [
        ("b", "a", "t", "acc"),
        ("c", "a", "t", "acc"),
    ]
    assert [one.difference for one in compared] == pytest.approx([one.difference for one in expected])
    assert [one.p_holm for one in compared] == pytest.approx(holm([one.p for one in expected]))
    assert compared[0].test == "exact McNemar" and compared[1].low > 0


def test_all_items_are_compared_and_unscored_ones_stay_out():
    one = _evaluation("a", {"t": [1, 0, 1, 0], "u": [None, None], "v": [0, 0, 0]})
    two = _evaluation("b", {"t": [1, 1, 1, 0], "u": [None, None], "v": [1, 0, 1]})
    t, u, v, whole = side_by_side([one, two])
    assert (t.n, u.n, v.n, whole.n, whole.task) == (4, 0, 3, 7, "all")
    assert whole.difference == pytest.approx(3 / 7) and u.as_json()["difference"] is None


def test_other_items_and_other_suites_are_refused():
    one, two = _evaluation("a", {"t": [1, 0, 1]}), _evaluation("b", {"t": [1, 0]})
    with pytest.raises(LuthierError, match=r"not asked the same items: 1 only of a \(t-2\)"):
        side_by_side([one, two])
    with pytest.raises(LuthierError, match="named twice"):
        side_by_side([one, one])
    with pytest.raises(LuthierError, match="different suites"):
        side_by_side([one, Evaluation(**{**vars(one), "model": "b", "suite": "other"})])


def test_other_shots_are_said():
    one, two = _evaluation("a", {"t": [1, 0]}, shots=5), _evaluation("b", {"t": [1, 0]}, shots=3)
    assert other_shots([one, two]) == ("t: not with the same shots: a 5, b 3",)
    assert other_shots([one, one]) == ()


@pytest.fixture
def two_models(tmp_path: Path) -> list[str]:
    return [str(tiny_model("llama", tmp_path / name, seed=seed)) for seed, name in enumerate(("first", "second"))]


def test_the_command(
    tmp_path: Path, two_models: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write_jsonl(tmp_path / "data" / "sst2" / "validation.jsonl", SST2)
    given = ["--suite", "sst2", "--data", str(tmp_path / "data"), "--device", "cpu", "--out", str(tmp_path / "out")]

    def command(*more: str) -> str:
        monkeypatch.setattr(sys, "argv", ["luthier", "evaluate", *two_models, *given, *more])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code in (0, None)
        return capsys.readouterr().out

    printed = json.loads(command("--json"))
    assert [one["tasks"]["sst2"]["items"] for one in printed["models"]] == [5, 5]
    assert printed["compared"][0]["n"] == 5 and len(list((tmp_path / "out" / "sst2").iterdir())) == 2
    monkeypatch.setenv("COLUMNS", "80")
    table = command()
    assert "majority" in table and "0.600" in table and "second beside first" in table and "sst2, 0 shots" in table
    assert f"read: {tmp_path / 'data' / 'sst2' / 'validation.jsonl'}; prompts in plain text" in table
    scores = [f"{one['tasks']['sst2']['measures']['acc']['mean']:.3f} [" for one in printed["models"]]
    assert all(score in table for score in scores)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--suite", "bits", "--limit", "3"], "--limit says nothing to the suite bits"),
        (["--suite", "sst2", "--sources", "x.yaml"], "--sources says nothing to the suite sst2"),
        (["--suite", "sst2", "--quantise", "int3"], "int3: no such quantisation"),
        (["--suite", "helm,sst2"], "helm is asked alone"),
        (["--suite", "sst2", "--limit", "0"], "a limit of 0"),
        (["--suite", "sst2", "--data", __file__], "this is a file, not a folder"),
        (["--suite", "sst2", "--data", "nowhere"], "no such folder"),
        (["--suite", "sst2", "--out", __file__], "this is a file, not a folder"),
        (["--suite", "helm", "--out", __file__], "this is a file, not a folder"),
        (["--suite", "sst2", "--out", "/proc/nope"], "nothing can be written here"),
    ],
)
def test_options_that_do_not_go_together(
    given: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("luthier.suites.judged.load_judged", None)  # it is told before a model is loaded
    monkeypatch.setattr("luthier.suites.evaluate_models.load_judged", None)
    monkeypatch.setattr(sys, "argv", ["luthier", "evaluate", "house/decoder", "--device", "cpu", *given])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2 and said in capsys.readouterr().err


def test_a_model_twice_is_refused():
    with pytest.raises(LuthierError, match="named twice"):
        evaluate_models(["house/decoder", "house/decoder"], "sst2")


def test_nothing_scored_ends_the_command_with_1(
    tmp_path: Path, two_models: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write_jsonl(tmp_path / "sst2" / "validation.jsonl", [{**row, "label": -1} for row in SST2])
    given = ["--suite", "sst2", "--data", str(tmp_path), "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["luthier", "evaluate", two_models[0], *given])
    with pytest.raises(SystemExit) as end:
        cli.main()
    printed = capsys.readouterr()
    assert end.value.code == 1 and "5 of 5 items are unscored, no label" in printed.out
    assert "nothing was scored" in printed.err


def test_a_stopped_evaluation_says_what_is_kept(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("luthier.suites.evaluate_models.evaluate_models", stopped)
    for more, said in (["--out=x"], "what was done is kept; to go on"), ([], "is not used again; to begin anew"):
        monkeypatch.setattr(
            sys, "argv", ["luthier", "evaluate", "house/decoder", "--suite", "sst2", "--device", "cpu", *more]
        )
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 130 and said in capsys.readouterr().err


def test_a_narrow_table_breaks_names_between_their_words():
    one = replace(_evaluation("house/instruct", {"hellaswag": [1.0, 0.0]}), quantisation="nf4")
    two = _evaluation("a-model-of-which-the-name-is-long", {"hellaswag": [1.0, 1.0]})
    console = Console(width=80, file=io.StringIO())
    print_suite([one, two], side_by_side([one, two]), (), console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "hellaswag, 0 shots" in printed and "house/instruct (nf4)" in printed and "p, Holm" in printed
    assert folded("mmlu_high_school_macroeconomics, 5 shots").split("\n") == [
        "mmlu_high_school_",
        "macroeconomics, 5",
        "shots",
    ]
