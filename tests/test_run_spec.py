"""What enters a run's keys, what does not, and what is refused because keys could not tell it apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from luthier.core.errors import LuthierError
from luthier.core.settings import read
from luthier.core.store import Store
from luthier.run import _loaded, run
from luthier.run_spec import RunSpec
from luthier.study import Study
from luthier.study_file import StudySpec
from tests.models.encoders import tiny_encoder

MakeStudy = Callable[..., Study]


def only(make_study: MakeStudy, **changes: Any) -> RunSpec:
    """The first run of a study with these changes."""
    return make_study(**changes).plan(device="cpu", check_lengths=False).runs[0]


@pytest.mark.parametrize("name", ["micro_batch_tokens", "checkpoint_minutes"])
def test_what_moves_no_number_enters_no_key(make_study: MakeStudy, name: str) -> None:
    plain, changed = (
        only(make_study, arms=["lora"], training={"steps": 2, "validations": 1, **extra}) for extra in ({}, {name: 77})
    )
    assert plain.run_key() == changed.run_key()


def test_another_kind_of_prediction_leaves_the_others_keys_alone(make_study: MakeStudy) -> None:
    texts = only(make_study, arms=["zero_shot"], task={"metrics": ["rouge"]})
    both = only(make_study, arms=["zero_shot"], task={"metrics": ["nll", "rouge"]})
    assert both.predict_keys()["text"] == texts.predict_keys()["text"] == both.predict_key()
    assert both.run_key() != texts.run_key()


def test_other_weights_of_a_metric_s_encoder_are_another_run(make_study: MakeStudy, tmp_path: Path) -> None:
    folder = tiny_encoder("bert", tmp_path / "e")
    metrics = ["rouge", {"bertscore": {"model": str(folder)}}]
    spec = only(make_study, arms=["zero_shot"], task={"metrics": metrics})
    before, answers = spec.run_key(), spec.predict_keys()
    weights = load_file(folder / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    assert spec.run_key() != before and spec.predict_keys() == answers


def test_names_enter_the_run_but_not_its_steps(make_study: MakeStudy) -> None:
    one, other = (only(make_study, arms=[{"name": name, "method": "lora"}]) for name in ("a b", "a_b"))
    assert one.train_keys() == other.train_keys()
    assert one.folder != other.folder


def test_data_that_changed_since_the_plan_is_refused(make_study: MakeStudy, tmp_path: Path) -> None:
    the_study = make_study(arms=["zero_shot"])
    (spec,) = the_study.plan(device="cpu", check_lengths=False).runs
    _loaded.cache_clear()  # what a process has read once it may go on with: it is what the run was planned with
    path = Path(the_study.spec.tasks[0].data.test[0])  # type: ignore[union-attr]
    before = path.read_text(encoding="utf-8")
    try:
        changed = json.dumps({"dialogue": "Anna: hello?\nBen: hello.", "summary": "They greet."})
        path.write_text(before + changed + "\n", encoding="utf-8")
        store = Store(tmp_path / "out")
        result = run(spec, store)
    finally:
        path.write_text(before, encoding="utf-8")
    assert result.status == "failed"
    assert "changed since the study was planned" in str(result.error)
    assert "LuthierError" in (store.run(spec.folder).folder / "error.txt").read_text(encoding="utf-8")


BASE: dict[str, Any] = {
    "models": "house/decoder",
    "tasks": [{"data": "generated/support_desk", "prompt": "{{ dialogue }}", "reference": "{{ summary }}"}],
    "arms": ["zero_shot"],
}


TAGGING = {"name": "names", "data": "x/y", "tagging": {}, "metrics": "entity_f1", "primary": "entity_f1"}
LISTED: dict[str, Any] = {**BASE["tasks"][0], "choices": ["yes", "no"], "primary": "accuracy"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": [0, 1, 0]}, "twice"),
        ({"tasks": [{**BASE["tasks"][0], "metrics": ["rouge", {"rouge": {"stemmer": False}}]}]}, "two of them measure"),
        ({"arms": [{"prompting": "lead", "method": "lora"}]}, "asks no model"),
        ({"arms": [{"name": "a", "method": "lora", "epoch": 3}]}, "did you mean epochs"),
        ({"arms": [{"name": "a", "method": "lora", "learning_rat": 3}]}, "did you mean learning_rate"),
        ({"training": {"patience": 3, "validations": 2}}, "can never run out"),
        ({"training": {"epochs": float("inf")}}, "finite"),
        ({"tasks": [{**BASE["tasks"][0], "generation": {"stop": ""}}]}, "empty text"),
        ({"tasks": [{**BASE["tasks"][0], "metrics": ["rouge", "entity_f1"]}]}, "entity_f1 judges tags"),
        ({"tasks": [{**BASE["tasks"][0], "metrics": "tag_accuracy", "primary": "tag_accuracy"}]}, "judges tags"),
        ({"retain": [TAGGING]}, "retain: names tags words"),
        ({"tasks": [{**LISTED, "metrics": ["accuracy", {"f1": {"positive": "yse"}}]}]}, "f1: .* did you mean yes"),
    ],
)
def test_what_could_not_be_told_apart_or_makes_no_sense_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(LuthierError, match=words):
        read(StudySpec, {**BASE, **changes}, "study.yaml")


def test_training_settings_may_stand_beside_a_method_word() -> None:
    spec = read(StudySpec, {**BASE, "arms": [{"lora": {"rank": 2}, "epochs": 3}]}, "study.yaml")
    (arm,) = spec.arms
    assert arm.name == "lora"
    assert arm.stages[0].training.epochs == 3
