"""The study file: its short and long forms, the names in it, and the keys of the runs that it spans."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from luthier.core.errors import LuthierError
from luthier.core.settings import read, read_yaml
from luthier.methods.reparameterised.lora import LoRA
from luthier.pretrain_file import PretrainSpec
from luthier.prompting.few_shot import FewShot
from luthier.registry import registry
from luthier.run_spec import RunSpec
from luthier.study import Study
from luthier.study_file import Arm, StudySpec

ROOT = Path(__file__).resolve().parents[1]
MakeStudy = Callable[..., Study]


def spec(**changes: Any) -> StudySpec:
    task = {"data": "generated/support_desk", "prompt": "{{ dialogue }}", "reference": "{{ summary }}"}
    data = {"models": ["m"], "tasks": [task], "arms": ["zero_shot"], **changes}
    return read(StudySpec, data, "study.yaml")


def arm(given: Any, **changes: Any) -> Arm:
    return spec(arms=[given], **changes).arms[0]


STUDIES = sorted(path for path in (ROOT / "studies").glob("*.yaml") if path.name != "scale.yaml")  # `luthier scale`'s


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
def test_a_committed_study_reads(path: Path):
    study = Study.load(path).spec
    assert study.arms
    assert read(StudySpec, study.model_dump(mode="json"), "what was resolved") == study


@pytest.mark.parametrize("path", sorted((ROOT / "studies" / "pretrain").glob("*.yaml")), ids=lambda path: path.name)
def test_a_committed_pretraining_reads(path: Path):
    assert read(PretrainSpec, read_yaml(str(path)), str(path)).sources


@pytest.mark.parametrize(
    ("given", "name", "prompting", "methods"),
    [
        ("zero_shot", "zero_shot", "zero_shot", ["none"]),
        ("lora", "lora", "zero_shot", ["lora"]),
        ({"lora": {"rank": 4}}, "lora", "zero_shot", ["lora(rank=4)"]),
        ({"lora": None}, "lora", "zero_shot", ["lora"]),
        ({"few_shot": {"shots": 3}}, "few_shot", "few_shot(shots=3)", ["none"]),
        ({"name": "wide", "method": {"lora": {"rank": 32}}}, "wide", "zero_shot", ["lora(rank=32)"]),
        ({"prompting": "few_shot", "method": "lora"}, "few_shot+lora", "few_shot", ["lora"]),
        ({"name": "two", "stages": ["full", {"lora": {"rank": 2}}]}, "two", "zero_shot", ["full", "lora(rank=2)"]),
    ],
)
def test_arms_in_short_and_long_form(given: Any, name: str, prompting: str, methods: list[str]):
    read_arm = arm(given)
    assert read_arm.name == name
    assert read_arm.prompting.label() == prompting
    assert [stage.method.label() for stage in read_arm.stages] == methods


def test_training_settings_of_the_study_give_way_to_those_of_an_arm():
    shared = {"epochs": 5, "batch_size": 2}
    assert arm("lora", training=shared).stages[0].training.epochs == 5
    given = {"name": "a", "method": "lora", "epochs": 1, "training": {"clip": 2}}
    training = arm(given, training=shared).stages[0].training
    assert (training.epochs, training.batch_size, training.clip) == (1, 2, 2)
    staged = {"name": "b", "stages": ["full", {"method": "lora", "steps": 7}]}
    assert [stage.training.steps for stage in arm(staged, training=shared).stages] == [None, 7]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": [{"lora": {"rnak": 4}}]}, "rnak: no such key; did you mean rank?"),
        ({"arms": ["lorra"]}, "lorra: no such name; did you mean lora?"),
        ({"arms": ["zeroshot"]}, "zeroshot: no such name; did you mean zero_shot?"),
        ({"arms": [{"name": "a", "metod": "lora"}]}, "metod: no such key; did you mean method?"),
        ({"sedes": [1]}, "sedes: no such key; did you mean seeds?"),
        ({"arms": ["lora", "lora"]}, "two arms are called lora"),
        ({"arms": []}, "arms"),
        ({"arms": [3]}, "arms.0"),
        ({"arms": [{"name": "a", "stages": ["prompt_tuning", "lora"]}]}, "prompt_tuning cannot be merged"),
        ({"arms": [{"name": "a", "stages": ["multitask_prompt_tuning", "lora"]}]}, "a prompt that lora would drop"),
        ({"arms": [{"name": "a", "stages": ["qlora", "lora"]}]}, "qlora cannot be merged"),
        ({"arms": [{"name": "a", "prompting": "zero_shot", "task": "t"}]}, "a: task: t is what a stage is trained on"),
        ({"reference": "full"}, "reference: there is no arm full; there are zero_shot"),
        ({"models": []}, "models"),
        ({"training": {"epochs": 0}}, "epochs"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changes: dict[str, Any], message: str):
    with pytest.raises(LuthierError) as raised:
        spec(**changes)
    assert message in raised.value.what
    assert raised.value.where == "study.yaml"


def test_the_primary_measure_must_be_measured():
    task = {"data": "generated/support_desk", "prompt": "{{ dialogue }}", "reference": "{{ summary }}"}
    with pytest.raises(LuthierError, match="no metric here measures bleu; they measure rouge"):
        spec(tasks=[{**task, "primary": "bleu"}])
    with pytest.raises(LuthierError, match="two tasks are called support_desk"):
        spec(tasks=[task, task])


@pytest.mark.parametrize(
    ("metrics", "choices", "message"),
    [
        (["accuracy", "calibration"], [], "calibration judges how sure a choice is, and the task lists no choices"),
        (["accuracy", {"f1": {"positive": "a"}}, "f1"], ["a", "b"], "two of them measure f1"),
        (["accuracy", {"calibration": {"bins": 5}}, "calibration"], ["a", "b"], "two of them measure ece"),
    ],
)
def test_metrics_that_cannot_be_told_apart_or_taken(metrics: list[Any], choices: list[str], message: str):
    task = {"data": "generated/support_desk", "prompt": "{{ dialogue }}", "reference": "{{ summary }}"}
    with pytest.raises(LuthierError, match=message):
        spec(tasks=[{**task, "metrics": metrics, "choices": choices, "primary": "accuracy"}])


def test_every_class_in_the_registry_has_its_own_word():
    for kind, classes in registry().items():
        words = [cls.name for cls in classes]
        assert len(set(words)) == len(words), kind
        assert all(cls.__doc__ for cls in classes)


def runs(study: Study) -> dict[str, RunSpec]:
    """The study's runs by arm and seed, without looking at lengths."""
    return {f"{run.arm.name}-{run.seed}": run for run in study.plan(device="cpu", check_lengths=False).runs}


def keys(run: RunSpec) -> tuple[list[str], str, str]:
    return run.train_keys(), run.predict_key(), run.run_key()


def lora(make_study: MakeStudy, **changes: Any) -> RunSpec:
    return runs(make_study(**{"arms": [{"lora": {"rank": 4}}], **changes}))["lora-0"]


@pytest.mark.parametrize(
    "changes",
    [
        {"arms": [{"lora": {"rank": 2}}]},
        {"arms": [{"name": "lora", "method": {"lora": {"rank": 4}}, "learning_rate": 0.5}]},
        {"arms": [{"name": "lora", "method": {"lora": {"rank": 4}}, "precision": "bf16"}]},
        {"arms": [{"name": "lora", "prompting": "few_shot", "method": {"lora": {"rank": 4}}}]},
        {"task": {"limit": {"train": 8}}},
        {"task": {"prompt": "{{ dialogue }}\nIn short:"}},
    ],
    ids=["rank", "rate", "precision", "prompting", "data", "prompt"],
)
def test_what_training_depends_on_changes_every_key(changes: dict[str, Any], make_study: MakeStudy):
    before, after = lora(make_study), lora(make_study, **changes)
    for old, new in zip(keys(before), keys(after), strict=True):
        assert old != new


def test_another_model_changes_every_key(make_study: MakeStudy, tmp_path: Path):
    from tests.tiny import tiny_model

    other = lora(make_study, models=[str(tiny_model("llama", tmp_path / "other", seed=1))])
    assert not set(keys(other)[0]) & set(keys(lora(make_study))[0])
    assert keys(other)[1:] != keys(lora(make_study))[1:]


@pytest.mark.parametrize(
    "task",
    [{"limit": {"test": 2}}, {"generation": {"max_new_tokens": 4}}, {"metrics": ["rouge", "nll", "bits_per_byte"]}],
    ids=["test limit", "generation", "a metric of a kind that is there"],
)
def test_what_only_prediction_depends_on_leaves_the_training(task: dict[str, Any], make_study: MakeStudy):
    before, after = lora(make_study), lora(make_study, task=task)
    assert before.train_keys() == after.train_keys()
    assert before.run_key() != after.run_key()
    assert (before.predict_key() == after.predict_key()) == ("metrics" in task)


def test_the_name_of_an_arm_is_in_the_key_of_the_run_alone(make_study: MakeStudy):
    named = runs(make_study(arms=[{"name": "other", "method": {"lora": {"rank": 4}}}]))["other-0"]
    assert named.step_keys() == lora(make_study).step_keys()
    assert named.run_key() != lora(make_study).run_key()


def test_the_texts_are_shown_whatever_metric_comes_first(make_study: MakeStudy):
    for metrics in (["rouge", "nll"], ["nll", "rouge"]):
        run = lora(make_study, task={"metrics": metrics})
        assert run.predict_key() == run.predict_keys()["text"]
    run = lora(make_study, task={"metrics": ["nll"], "primary": "nll"})
    assert run.predict_key() == run.predict_keys()["choices"]


def test_a_later_stage_depends_on_the_one_before(make_study: MakeStudy):
    found = runs(
        make_study(
            arms=[
                {"name": "a", "stages": ["full", "lora"]},
                {"name": "b", "stages": [{"method": "full", "steps": 1}, "lora"]},
                "full",
            ]
        )
    )
    a, b, full = (found[name].train_keys() for name in ("a-0", "b-0", "full-0"))
    assert a[0] == full[0] != b[0]
    assert a[1] != b[1]


def test_the_seed_counts_only_where_it_changes_something(make_study: MakeStudy):
    arms = ["zero_shot", "few_shot", "lora"]
    greedy = runs(make_study(arms=arms, seeds=[0, 1]))
    assert list(greedy) == ["zero_shot-0", "few_shot-0", "few_shot-1", "lora-0", "lora-1"]
    assert greedy["few_shot-0"].predict_key() != greedy["few_shot-1"].predict_key()
    assert greedy["lora-0"].train_keys() != greedy["lora-1"].train_keys()
    sampled = runs(make_study(arms=arms, seeds=[0, 1], task={"generation": {"temperature": 1.0}}))
    assert sampled["zero_shot-0"].predict_key() != sampled["zero_shot-1"].predict_key()


def test_the_keys_are_the_same_in_another_process(make_study: MakeStudy, study_yaml: Callable[..., Path]):
    arms = ["zero_shot", {"few_shot": {"shots": 1}}, {"name": "two", "stages": ["full", "lora"]}]
    here = {run.folder: keys(run) for run in runs(make_study(arms=arms)).values()}
    script = (
        "import json, sys\n"
        "from luthier.study import Study\n"
        "runs = Study.load(sys.argv[1]).plan(device='cpu', check_lengths=False).runs\n"
        "print(json.dumps({run.folder: [run.train_keys(), run.predict_key(), run.run_key()] for run in runs}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(study_yaml(arms=arms))],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {name: (train, predict, score) for name, (train, predict, score) in json.loads(done.stdout).items()} == here


def test_a_run_goes_through_its_record_unchanged(make_study: MakeStudy):
    for run in runs(make_study(arms=["few_shot", {"lora": {"rank": 4}}])).values():
        again = read(RunSpec, json.loads(run.model_dump_json()), "spec.json")
        assert again == run
        assert again.folder == run.folder


def test_a_study_is_named_after_its_file(study_yaml: Callable[..., Path], tmp_path: Path):
    path = study_yaml("dialogues.yaml")
    study = Study.load(path, ["arms.1=full", "tasks.0.limit.train=5"])
    assert study.spec.name == "dialogues"
    assert [arm.name for arm in study.spec.arms] == ["zero_shot", "full"]
    assert study.spec.tasks[0].limit.train == 5
    assert yaml.safe_load(study.given)["tasks"][0]["limit"] == {"train": 5}


def test_settings_in_an_arm_are_those_of_its_classes():
    assert arm({"lora": {"rank": 4}}).stages[0].method == LoRA(rank=4)
    assert arm({"few_shot": {"shots": 4}}).prompting == FewShot(shots=4)
