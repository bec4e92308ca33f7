"""Stages with tasks of their own: A, then B, judged on both; and what a regulariser is given to retain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from luthier.core.errors import LuthierError
from luthier.core.store import Store
from luthier.core.types import Result
from luthier.estimate import seconds
from luthier.regularisers.regulariser import NoRegulariser, Regulariser, Restraint
from luthier.report.summary import summarise
from luthier.study import Study
from tests.models.encoders import tiny_encoder
from tests.small_study import files, small_study, steps

MakeStudy = Callable[..., Study]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a regulariser that retains is given: the one that holds nothing back is made to ask for it."""
    given: list[Any] = []

    def begin(self: Regulariser, model: Any, *, retained: Any | None, **rest: Any) -> Restraint:
        given.append(retained)
        return Restraint()

    monkeypatch.setattr(NoRegulariser, "retains", True)
    monkeypatch.setattr(NoRegulariser, "begin", begin)
    return given


def two_tasks(decoder: Path, rows: Path, **changes: Any) -> dict[str, Any]:
    """`meetings`, and `cats`: the same dialogues with another question and other answers."""
    study = small_study(decoder, rows, **changes)
    cats = {**study["tasks"][0], "name": "cats", "prompt": "{{ dialogue }}\n\nCats?", "reference": "Ben brings them."}
    return {**study, "tasks": [*study["tasks"], cats]}


def load(path: Path, study: dict[str, Any]) -> Study:
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    return Study.load(path)


def results(store: Store) -> list[Result]:
    return [result for name in store.study()["runs"] if (result := store.run(name).result()) is not None]


SEQUENCE = {"name": "one then the other", "stages": [{"lora": {}, "task": "meetings"}, {"lora": {}, "task": "cats"}]}
FIRST = {"name": "first", "lora": {}, "task": "meetings"}


def test_a_sequence_is_trained_once_and_judged_on_every_task(decoder: Path, rows: Path, tmp_path: Path) -> None:
    study = load(tmp_path / "s.yaml", two_tasks(decoder, rows, arms=["zero_shot", FIRST, SEQUENCE]))
    runs = study.plan(device="cpu").runs
    assert {(run.arm.name, run.task.task_name) for run in runs} == {
        (arm, task) for arm in ("zero_shot", "first", "one then the other") for task in ("meetings", "cats")
    }
    keys = {run.arm.name: run.train_keys() for run in runs}
    assert all(run.train_keys() == keys[run.arm.name] for run in runs)
    assert keys["one then the other"][:1] == keys["first"]
    study.run(tmp_path / "out", device="cpu")
    store = Store(tmp_path / "out")
    assert set(steps(store, "train")) == set(keys["one then the other"])
    told = {(result.arm, result.task): result for result in results(store)}
    assert all(result.status == "finished" for result in told.values()), [r.error for r in told.values()]
    assert told["one then the other", "cats"].method == "lora on meetings then lora on cats"
    assert told["first", "cats"].scores["nll"] != told["one then the other", "cats"].scores["nll"]
    assert told["one then the other", "cats"].train_keys == keys["one then the other"]
    (way,) = summarise(store).sequences
    assert (way.arms, way.tasks) == (("first", "one then the other"), ("meetings", "cats"))
    assert way.matrix[1][1].mean == pytest.approx(told["one then the other", "cats"].scores["rougeL"])
    assert way.before is not None and way.before[0].mean == pytest.approx(
        told["zero_shot", "meetings"].scores["rougeL"]
    )


def test_a_stage_has_the_same_key_with_its_tasks_name(decoder: Path, rows: Path, tmp_path: Path) -> None:
    study = load(tmp_path / "s.yaml", two_tasks(decoder, rows, arms=["lora", FIRST]))
    runs = {(run.arm.name, run.task.task_name): run for run in study.plan(device="cpu").runs}
    assert runs["lora", "meetings"].train_keys() == runs["first", "cats"].train_keys()
    assert runs["lora", "cats"].train_keys() != runs["first", "cats"].train_keys()


def test_a_source_is_trained_on_and_never_judged(decoder: Path, rows: Path, tmp_path: Path) -> None:
    given = two_tasks(decoder, rows, arms=[{"name": "source", "lora": {}, "task": "cats"}])
    *own, cats = given["tasks"]
    study = load(tmp_path / "s.yaml", {**given, "tasks": own, "sources": [cats]})
    (run,) = study.plan(device="cpu").runs
    assert run.task.task_name == "meetings"
    assert run.trained_on(run.arm.trained[0]) == "cats"


def test_a_regulariser_is_given_the_stages_before_and_what_is_retained(
    seen: list[Any], decoder: Path, rows: Path, tmp_path: Path
) -> None:
    kept = {"name": "kept task", "data": files(rows), "prompt": "Say.", "reference": "Said."}
    study = load(tmp_path / "s.yaml", two_tasks(decoder, rows, arms=[SEQUENCE], retain=[kept]))
    runs = study.plan(device="cpu").runs
    assert [run.retained_by(0) for run in runs] == [["kept task"]] * 2
    assert [run.retained_by(1) for run in runs] == [["meetings", "kept task"]] * 2
    study.run(tmp_path / "out", device="cpu", workers=1)
    assert [len(data.train) for data in seen] == [12, 24]


def test_an_unknown_task_is_refused(decoder: Path, rows: Path, tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match=r"there is no task meeting; did you mean meetings\?"):
        load(tmp_path / "s.yaml", two_tasks(decoder, rows, arms=[{**FIRST, "task": "meeting"}]))


def test_nothing_to_retain_is_refused(seen: list[Any], decoder: Path, rows: Path, tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="none has nothing that is not to be forgotten"):
        load(tmp_path / "s.yaml", two_tasks(decoder, rows, arms=[FIRST])).plan(device="cpu")


def test_something_must_be_retained_whichever_task_an_arm_is_judged_on(
    decoder: Path, rows: Path, tmp_path: Path
) -> None:
    stages = [{"lora": {}, "task": "meetings"}, {"lora": {}, "regulariser": "replay"}]
    study = two_tasks(decoder, rows, arms=[{"name": "goes on", "stages": stages}])
    with pytest.raises(LuthierError, match="replay has nothing that is not to be forgotten") as refused:
        load(tmp_path / "s.yaml", study).plan(device="cpu")
    assert refused.value.where == "arm goes on on meetings"
    study["tasks"] = study["tasks"][1:]
    study["sources"] = two_tasks(decoder, rows)["tasks"][:1]
    assert load(tmp_path / "s.yaml", study).plan(device="cpu").runs[0].retained_by(1) == ["meetings"]


def test_what_is_retained_must_have_training_examples(decoder: Path, rows: Path, tmp_path: Path) -> None:
    kept = {"name": "kept task", "data": {"test": files(rows)["test"]}, "prompt": "Say.", "reference": "Said."}
    study = small_study(decoder, rows, arms=[{"name": "held", "lora": {}, "regulariser": "ewc"}], retain=[kept])
    with pytest.raises(LuthierError, match="ewc reads the training set of kept task, which has no examples"):
        load(tmp_path / "s.yaml", study).plan(device="cpu")


def test_a_task_that_no_stage_is_trained_on_needs_no_training_set(decoder: Path, rows: Path, tmp_path: Path) -> None:
    own, cats = two_tasks(decoder, rows)["tasks"]
    own = {**own, "data": {"test": files(rows)["test"]}}
    given = small_study(decoder, rows, arms=[{"name": "other", "lora": {}, "task": "cats"}], sources=[cats])
    (run,) = load(tmp_path / "s.yaml", {**given, "tasks": [own]}).plan(device="cpu").runs
    assert run.data_of("cats")["train"] != run.data["train"]
    given["arms"].append("lora")
    with pytest.raises(LuthierError, match="task meetings has no training examples, and lora need some"):
        load(tmp_path / "s.yaml", {**given, "tasks": [own]}).plan(device="cpu")


def test_held_out_rows_are_looked_for_in_what_stages_read(decoder: Path, rows: Path, tmp_path: Path) -> None:
    own, cats = two_tasks(decoder, rows)["tasks"]
    cats = {**cats, "prompt": own["prompt"], "data": {**files(rows), "train": files(rows)["test"]}}
    given = {**small_study(decoder, rows), "sources": [cats]}
    assert not load(tmp_path / "s.yaml", given).plan(device="cpu").leaks["meetings"].pairs
    given["arms"] = [{"name": "other", "lora": {}, "task": "cats"}]
    found = load(tmp_path / "s.yaml", given).plan(device="cpu").leaks["meetings"]
    assert [pair.split for pair in found.pairs if pair.exact] == ["test"] * 4
    assert found.checked == {"validation": 3, "test": 4}


def test_a_regulariser_that_an_encoder_cannot_have_is_refused_before_training(rows: Path, tmp_path: Path) -> None:
    encoder = tiny_encoder("bert", tmp_path / "bert")
    task = {"choices": ["yes", "no"], "reference": "yes", "metrics": ["accuracy"], "primary": "accuracy"}
    study = small_study(encoder, rows, task=task, arms=[{"name": "held", "lora": {}, "regulariser": "kl"}])
    with pytest.raises(LuthierError, match=r"kl cannot be used on .*: it holds answers near the base's"):
        load(tmp_path / "s.yaml", study).plan(device="cpu")


def test_words_cannot_be_tagged_in_a_language_models_stage(decoder: Path, rows: Path, tmp_path: Path) -> None:
    (tmp_path / "tags.jsonl").write_text('{"words": ["Ben", "sat"], "tags": ["B-person", "O"]}\n')
    data = dict.fromkeys(("train", "validation", "test"), str(tmp_path / "tags.jsonl"))
    names = {"name": "names", "data": data, "tagging": {}, "metrics": ["tag_accuracy"], "primary": "tag_accuracy"}
    study = small_study(decoder, rows, arms=[{"name": "tagger", "lora": {}, "task": "names"}], sources=[names])
    with pytest.raises(LuthierError, match="task names tags words, and tagger trains a language model on it"):
        load(tmp_path / "s.yaml", study).plan(device="cpu")


def test_an_encoders_head_has_the_labels_of_one_task(rows: Path, tmp_path: Path) -> None:
    encoder = tiny_encoder("bert", tmp_path / "bert")
    given = two_tasks(encoder, rows, arms=[{"name": "other", "lora": {}, "task": "cats"}], task={"primary": "accuracy"})
    for task, choices in zip(given["tasks"], (["yes", "no"], ["a", "b", "c"]), strict=True):
        task |= {"choices": choices, "reference": choices[0], "metrics": ["accuracy"], "primary": "accuracy"}
    with pytest.raises(LuthierError, match="are not those of meetings: other cannot be trained on one and judged"):
        load(tmp_path / "s.yaml", given).plan(device="cpu")


def test_a_shared_training_is_estimated_once(decoder: Path, rows: Path, tmp_path: Path) -> None:
    planned = load(tmp_path / "s.yaml", two_tasks(decoder, rows, arms=[SEQUENCE])).plan(device="cpu")
    counted: set[str] = set()
    first, second = (seconds(run, planned, counted) for run in planned.runs)
    assert second < first and counted == set(planned.runs[0].train_keys())
