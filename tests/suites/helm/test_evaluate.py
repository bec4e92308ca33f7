"""The suite `helm` from end to end on tiny models, its items on disk, and what a user may get wrong."""

from __future__ import annotations

import json
import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from luthier import cli
from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.core.store import write_json
from luthier.core.types import ChoicePrediction, Example, Message, TextPrediction
from luthier.rescoring.rescore import read_metrics, rescore
from luthier.run_spec import ModelRef, RunSpec
from luthier.study_file import StudySpec
from luthier.suites.helm.asking import Answers, Efficiency, TooLong, has_answer
from luthier.suites.helm.evaluate import Helm, evaluate_helm
from luthier.suites.helm.scenario import DEFAULT_TASK, Scenario, load_scenario, program_for
from luthier.suites.helm.table import print_helm
from luthier.suites.helm.view import AXES, helm_view, with_axes
from luthier.suites.items import Item, read_items
from luthier.suites.leaks import find_leaks_of
from luthier.tasks.task import Task, load_task
from tests.suites.helm.test_bbq import row
from tests.tiny import tiny_model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small BBQ and a small RealToxicityPrompts, in Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("data")
    pq.write_table(pa.Table.from_pylist([row(number) for number in range(8)]), folder / "bbq.parquet")
    said = [("Who is it?", " An idiot.", 0.9), ("The sky", " is blue.", 0.1), ("We say", " no.", 0.2)]
    rows = [
        {"prompt": json.dumps({"text": before}), "continuation": json.dumps({"text": after, "toxicity": toxicity})}
        for before, after, toxicity in said
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "realtoxicity_val.parquet")
    return folder


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, data: Path) -> tuple[Helm, Path]:
    folder = tmp_path_factory.mktemp("helm")
    models = [str(tiny_model("llama", folder / name, seed=seed)) for seed, name in enumerate("ab")]
    return evaluate_helm(models, data=data, limit=6, out=folder / "out"), folder / "out"


def test_every_metric_has_its_place(found: tuple[Helm, Path]):
    helm, _ = found
    assert helm.task == "sentiment" and [view.model for view in helm.views] == ["a", "b"]
    for view in helm.views:
        assert set(view.axes) == set(AXES)
        assert all(place is not None and 0 <= place <= 1 for place in view.axes.values())
        assert view.value("robustness") <= view.value("accuracy")  # type: ignore[operator]
        of = {measure.name: measure for measure in view.measures}
        assert of["accuracy"].n == 6 and of["accuracy"].low is not None
        assert of["ECE"].said.startswith("6 bins"), "fewer items than bins: said"
        assert of["BBQ accuracy, clear"].n == 2, "a scene: four of six questions"
        assert of["toxic continuations"].n == 3
    assert max(view.axes["efficiency"] or 0 for view in helm.views) == 1
    assert helm.lexicon is not None and helm.lexicon.precision == 1


def test_differences_are_of_the_same_items(found: tuple[Helm, Path]):
    helm, _ = found
    assert {one.model for one in helm.differences} == {"b"} and {one.against for one in helm.differences} == {"a"}
    (accuracy,) = (one for one in helm.differences if one.measure == "accuracy")
    first, second = (view.value("accuracy") for view in helm.views)
    assert first is not None and second is not None
    assert accuracy.difference == pytest.approx(second - first) and accuracy.n == 6


def test_items_and_view_are_on_disk(found: tuple[Helm, Path]):
    helm, out = found
    assert json.loads((out / "helm.json").read_text(encoding="utf-8")) == json.loads(json.dumps(helm.as_json()))
    items = read_items(out / "a")
    tasks = [item.task for item in items]
    assert tasks.count("sentiment") == 6 and tasks.count("bbq/clear") == 2 and tasks.count("toxicity") == 3
    for item in items[:6]:
        assert item.values["robustness"] <= item.values["accuracy"] <= 1
        assert 0.5 <= item.values["confidence"] <= 1
    assert all("toxic" in item.values for item in items if item.task == "toxicity")


def test_open_prompts_have_no_reference_and_are_not_rescored(found: tuple[Helm, Path]):
    rescored = rescore(found[1], read_metrics(["accuracy"]))
    assert {row.task for row in rescored.rows} == {"sentiment", "bbq/ambiguous", "bbq/clear"}
    assert {row.arm for row in rescored.rows} == {"a", "b"} and {row.model for row in rescored.rows} == {"helm"}
    assert {"story is left out: no item has a reference", "toxicity is left out: no item has a reference"} <= set(
        rescored.notes
    )


def test_another_question_does_not_overwrite_a_view(found: tuple[Helm, Path], data: Path):
    helm, out = found
    before = (out / "helm.json").read_bytes()
    for other, words in (({"limit": 5}, "another limit"), ({"how": {"quantise": "nf4"}}, "another quantise")):
        with pytest.raises(LuthierError, match=words):
            evaluate_helm(helm.asked["models"], **{"data": data, "limit": 6, "out": out, **other})  # type: ignore[arg-type]
    assert (out / "helm.json").read_bytes() == before


def test_leaks_are_looked_for_in_a_view(found: tuple[Helm, Path], tmp_path: Path):
    for name in ("one.txt", "other.txt"):
        (tmp_path / name).write_text(f"No item of {name} stands here.", encoding="utf-8")
    files = [str(path) for path in sorted(tmp_path.glob("*.txt"))]
    source = {"data": files, "text": "{{ text }}", "weight": 1, "licence": "none"}
    sources = tmp_path / "sources.yaml"
    spec = {"name": "small", "tokens": 10, "sources": {"texts": {**source, "held_out_bytes": 1}}}
    sources.write_text(yaml.safe_dump(spec), encoding="utf-8")
    view = shutil.copytree(found[1] / "a", tmp_path / "view")
    leaks = find_leaks_of(view, sources)
    assert leaks.model == found[0].asked["models"][0]
    assert len(leaks.found.items) == len(found[0].answers["a"].all_items)


def test_the_table_prints(found: tuple[Helm, Path], capsys: pytest.CaptureFixture[str]):
    print_helm(found[0], Console(width=200))
    said = capsys.readouterr().out
    assert " MB" in said and "(6 of 6 change)" in said and "b less a, item by item" in said and "recall" in said


def test_the_table_is_read_at_80_columns(found: tuple[Helm, Path], capsys: pytest.CaptureFixture[str]):
    helm, names = found[0], ("house/instruct", "full-3b167a1e84242961-s0", "lora, seed 0")
    views = tuple(replace(helm.views[place % 2], model=name) for place, name in enumerate(names))
    print_helm(replace(helm, views=views), Console(width=80))
    said = capsys.readouterr().out
    for view in views:
        (accuracy,) = (one for one in view.measures if one.name == "accuracy")
        whole = f"{accuracy.value:.3f} [{accuracy.low:.3f}, {accuracy.high:.3f}]"
        assert any(view.model in line and whole in line for line in said.splitlines())


def test_models_of_different_contexts_are_held_side_by_side(tmp_path: Path, data: Path, capsys: Any):
    models = [
        str(tiny_model("llama", tmp_path / name, context=context))
        for name, context in (("long", 256), ("short", 96), ("none", 24))
    ]
    helm = evaluate_helm(models, data=data, limit=6, out=tmp_path / "out")
    items = {name: read_items(tmp_path / "out" / name) for name in ("long", "short", "none")}
    assert {item.id for item in items["short"]} == {item.id for item in items["none"]}
    long, short, none = (helm.answers[name].too_long for name in ("long", "short", "none"))
    assert long == TooLong() and (none.questions, none.bbq) == (6, 4)
    assert none.prompts > short.prompts >= 0 and short.bbq + short.questions > 0
    unanswered = [item for item in items["none"] if item.task == "bbq/clear"]
    assert unanswered and not any(item.values or has_answer(item) for item in unanswered)
    view = helm.views[2]
    assert view.value("accuracy") is None and view.value("BBQ accuracy, clear") is None
    assert any("4 questions of BBQ and" in note for note in view.notes)
    assert not any("no numbers" in note for note in view.notes)
    print_helm(helm, Console(width=80))
    assert "–" in capsys.readouterr().out


def test_items_of_every_model_have_a_folder_of_their_own(tmp_path: Path):
    models = [str(tiny_model("llama", tmp_path / name)) for name in ("微调", "全量")]
    helm = evaluate_helm(models, limit=1, out=tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*/items.jsonl"))) == len(helm.views) == 2


def test_a_run_is_shown_the_examples_that_it_had(tmp_path: Path):
    task = {"name": "t", "data": DEFAULT_TASK, "metrics": ["accuracy"], "primary": "accuracy", "limit": {"train": 12}}
    study = {"models": ["m"], "tasks": [task], "arms": [{"few_shot": {"shots": 2}}]}
    spec = read(StudySpec, study, "study")
    whole = load_task(spec.tasks[0])
    left_out = whole.splits["train"][0].id
    own = whole.without({left_out}).of_size(3)
    run = RunSpec(
        arm=spec.arms[0],
        model=ModelRef(name="m", identity="i", parameters=1, context=None),
        task=spec.tasks[0],
        data=dict(own.digests),
        left_out=(left_out,),
        size=3,
        seed=0,
        precision="fp32",
    )
    write_json(tmp_path / "spec.json", run.model_dump(mode="json"))
    scenario = load_scenario(spec.tasks[0], None, 2)
    shots = program_for(str(tmp_path), scenario).record()
    assert shots == run.arm.prompting.program(own.splits["train"], 0).record()
    assert shots != run.arm.prompting.program(whole.splits["train"], 0).record()


def made_up(right: list[float], confidence: float, bbq: Any = (), seconds: float = 1.0) -> Answers:
    items = []
    for number, value in enumerate(right):
        example = Example(str(number), (Message("user", "?"),), ("a",), choices=("a", "b"))
        values = {"accuracy": value, "confidence": confidence, "robustness": 0.0, "fairness": value}
        items.append(Item(example, ChoicePrediction(example.id, ("a", "b"), (0.0, 0.0), (1, 1)), values))
    prompt = Example("t", (Message("user", "The nurse"),), ("-",), task="story")
    told = Item(prompt, TextPrediction("t", "said that she would, and he did not"))
    return Answers(tuple(items), bbq, (), (told,), Efficiency(seconds, math.nan, 1, 1), TooLong(1, 2))


def test_axes_of_made_up_answers():
    nothing = Task("t", {}, (), {}, {})
    scenario = Scenario("t", (), ({},) * 4, nothing, (), (), (), None, ())
    views = with_axes(
        [
            helm_view("sure", made_up([1, 1, 0, 0], 1.0), scenario),
            helm_view("fair", made_up([1, 1, 0, 0], 0.5, seconds=2.0), scenario),
        ]
    )
    assert [view.axes["calibration"] for view in views] == [pytest.approx(0.5), pytest.approx(1.0)]
    assert views[0].axes["robustness"] == 0 and views[0].axes["accuracy"] == 0.5
    assert views[0].axes["toxicity"] is None, "no continuation: unscored is not zero"
    assert not next(one for one in views[0].measures if one.axis == "toxicity").said
    assert views[0].axes["bias"] == 1, "one she and one he"
    assert [view.axes["efficiency"] for view in views] == [1, 0.5]
    assert "1 questions do not fit" in views[0].notes[0]


def test_a_study_s_task_and_what_cannot_be_taken(tmp_path: Path, rows: Path, decoder: Path):
    task: dict[str, Any] = {
        "data": {"train": str(rows / "train.jsonl"), "test": str(rows / "test.jsonl")},
        "prompt": "{{ dialogue }}",
        "reference": "{{ summary }}",
    }
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump({"models": [str(decoder)], "tasks": [task], "arms": ["zero_shot"]}))
    with pytest.raises(LuthierError, match="examples have no choices"):
        evaluate_helm([str(decoder)], study=study)
    with pytest.raises(LuthierError, match="no such task"):
        evaluate_helm([str(decoder)], study=study, task="other")


def test_what_a_user_may_get_wrong(tmp_path: Path):
    file = tmp_path / "rows.jsonl"
    file.touch()
    for models, options, words in (
        ([], {}, "no model"),
        (["m", "m"], {}, "named twice"),
        (["m"], {"limit": 0}, "limit of 0"),
        (["m"], {"task": "t"}, "of which study"),
        (["m"], {"data": tmp_path / "none", "limit": 2}, "no such folder"),
        (["m"], {"data": file, "limit": 2}, "a file, not a folder"),
        (["m"], {"data": tmp_path, "limit": 2}, "neither bbq.parquet nor"),
    ):
        with pytest.raises(LuthierError, match=words):
            evaluate_helm(models, **options)  # type: ignore[arg-type]


def test_the_command(
    tmp_path: Path, decoder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def call(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["luthier", "evaluate", str(decoder), "--suite", "helm", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, *capsys.readouterr()

    code, out, _ = call("--limit", "1", "--out", str(tmp_path), "--device", "cpu", "--json")
    found = json.loads(out)
    assert code == 0 and found["models"][0]["axes"]["efficiency"] == 1 and found["lexicon"] is None
    assert any("BBQ was not asked" in note for note in found["notes"])
    assert any("Asked: generated/instructions/sentiment, since no model" in note for note in found["notes"])
    assert "HELM" in (tmp_path / "helm.html").read_text(encoding="utf-8")
    code, _, err = call("--shots", "2")
    assert code == 2 and "--shots says nothing to the suite helm" in err
