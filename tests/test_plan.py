"""The plan: the grid in its order, everything resolved, and what cannot work refused before it starts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luthier import plan as plan_module
from luthier.core.errors import LuthierError
from luthier.methods.full import Full
from luthier.methods.reparameterised.lora import LoRA
from luthier.study import Study
from tests.small_study import files, small_study
from tests.tiny import tiny_model

MakeStudy = Callable[..., Study]


def planned(study: Study, **settings: Any) -> plan_module.Plan:
    return study.plan(device="cpu", **{"check_lengths": False, **settings})


def test_tasks_models_arms_seeds_in_this_order(make_study: MakeStudy, decoder: Path, rows: Path, tmp_path: Path):
    other = tiny_model("gpt2", tmp_path / "gpt2")
    tasks = [small_study(decoder, rows, task={"name": name})["tasks"][0] for name in ("first", "second")]
    study = make_study(models=[str(decoder), str(other)], tasks=tasks, arms=["zero_shot", "lora"], seeds=[3, 4])
    runs = planned(study).runs
    points = [(run.task.task_name, Path(run.model.name).name, run.arm.name, run.seed) for run in runs]
    assert points == [
        (task, model, arm, seed)
        for task in ("first", "second")
        for model in ("decoder", "gpt2")
        for arm, seed in (("zero_shot", 3), ("lora", 3), ("lora", 4))
    ]
    assert len({run.folder for run in runs}) == len(runs)


def test_baselines_stand_beside_the_arms_unless_refused(make_study: MakeStudy):
    with_them = [run.arm.name for run in planned(make_study(baselines=True, seeds=[0, 1])).runs]
    assert with_them == ["zero_shot", "lora", "lora", "lead", "copy", "best_constant"]
    assert [run.arm.name for run in planned(make_study(baselines=False)).runs] == ["zero_shot", "lora"]
    named = [run.arm.name for run in planned(make_study(baselines=True, arms=[{"lead": {"count": 1}}])).runs]
    assert named == ["lead", "copy", "best_constant"]


def test_a_baseline_has_a_run_for_each_model(make_study: MakeStudy, decoder: Path, tmp_path: Path):
    other = tiny_model("llama", tmp_path / "other", seed=1)
    runs = planned(make_study(models=[str(decoder), str(other)], arms=["zero_shot"], baselines=True)).runs
    leads = [run for run in runs if run.arm.name == "lead"]
    assert len({run.folder for run in leads}) == 2
    assert len({run.predict_key() for run in leads}) == 1  # and asks nothing twice


def test_learning_rates_are_resolved(make_study: MakeStudy, decoder: Path):
    arms = ["lora", "full", {"name": "given", "method": "lora", "learning_rate": 0.5}, "zero_shot"]
    runs = planned(make_study(arms=arms)).runs
    size = runs[0].model.parameters
    rates = [run.arm.stages[0].training.learning_rate for run in runs]
    assert rates == [LoRA().learning_rate(size), Full().learning_rate(size), 0.5, None]


@pytest.mark.parametrize("fast", [True, False])
def test_precision_is_what_was_asked_for_or_what_is_fast(
    fast: bool, make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(plan_module, "has_fast_bf16", lambda device: fast)
    asked = {"name": "asked", "method": "lora", "precision": "fp32"}
    runs = planned(make_study(arms=["lora", asked], seeds=[0, 1, 2])).runs
    assert [run.precision for run in runs if run.arm.name == "lora"] == (["bf16"] if fast else ["fp32"]) * 3
    assert [run.precision for run in runs if run.arm.name == "asked"] == ["fp32"] * 3


def test_stages_must_agree_about_precision(make_study: MakeStudy):
    stages = [{"method": "full", "precision": "fp32"}, {"method": "lora", "precision": "bf16"}]
    with pytest.raises(LuthierError, match="disagree about precision"):
        planned(make_study(arms=[{"name": "two", "stages": stages}]))


def test_an_encoder_is_asked_for_no_free_text(make_study: MakeStudy, decoder: Path, tmp_path: Path):
    folder = shutil.copytree(decoder, tmp_path / "bert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertModel"], "model_type": "bert"}))
    with pytest.raises(LuthierError, match=r"meetings asks for free text, and .* is an encoder"):
        planned(make_study(models=[str(folder)]))


def test_arms_that_need_training_examples_get_some(make_study: MakeStudy, rows: Path):
    task = {"data": {"test": str(rows / "test.jsonl")}}
    with pytest.raises(LuthierError, match="has no training examples, and few_shot, lora need some"):
        planned(make_study(arms=["zero_shot", "few_shot", "lora"], task=task))
    alone = planned(make_study(arms=["zero_shot"], task=task, baselines=True))
    assert [run.arm.name for run in alone.runs] == ["zero_shot"]


def test_rows_that_are_too_long_are_named(make_study: MakeStudy, long_rows: Path):
    with pytest.raises(LuthierError, match="2 rows of task meetings are longer than the context") as raised:
        planned(make_study(task={"data": files(long_rows)}), check_lengths=True)
    assert raised.value.where == f"{long_rows}/train.jsonl:13, {long_rows}/test.jsonl:5"


def test_rows_that_are_too_long_are_left_out_on_request(make_study: MakeStudy, long_rows: Path, rows: Path):
    plan = planned(make_study(task={"data": files(long_rows)}), check_lengths=True, skip_bad_rows=True)
    assert [skipped.where.rpartition("/")[2] for skipped in plan.skipped["meetings"]] == [
        "train.jsonl:13",
        "test.jsonl:5",
    ]
    whole = planned(make_study(task={"data": files(rows)}), check_lengths=True).runs[1]
    assert len(plan.runs[1].left_out) == 2
    assert plan.runs[1].data == whole.data  # as if they had not been there


def test_virtual_tokens_take_their_room(make_study: MakeStudy):
    arms = [{"prompt_tuning": {"virtual_tokens": 250}}]
    with pytest.raises(LuthierError, match="19 rows of task meetings are longer"):
        planned(make_study(arms=arms), check_lengths=True)


def test_leaving_out_every_row_of_a_split_is_refused(make_study: MakeStudy):
    arms = [{"prompt_tuning": {"virtual_tokens": 250}}]
    with pytest.raises(LuthierError, match="every train row of task meetings is longer than the context"):
        planned(make_study(arms=arms), check_lengths=True, skip_bad_rows=True)


def test_short_rows_are_measured_without_a_tokenizer(
    make_study: MakeStudy, decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def asked(*_: Any) -> None:
        raise AssertionError("the tokenizer was asked for")

    monkeypatch.setattr("luthier.models.load.load_tokenizer", asked)
    short = {"prompt": "{{ summary }}"}
    planned(make_study(task=short), check_lengths=True)
    more_bytes = "{{ dialogue }}" + 8 * " and bring the cats."  # than 224, but not more tokens
    planned(make_study(task={"prompt": more_bytes}), check_lengths=True)
    with pytest.raises(AssertionError):
        planned(make_study(task={"prompt": "{{ dialogue }} {{ dialogue }} {{ dialogue }}"}), check_lengths=True)
    with pytest.raises(AssertionError):
        planned(make_study(task=short, arms=[{"prompt_tuning": {"virtual_tokens": 200}}]), check_lengths=True)
    doubtful = Path(shutil.copytree(decoder, tmp_path / "doubtful"))
    (doubtful / "chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(AssertionError):
        planned(make_study(task=short, models=[str(doubtful)]), check_lengths=True)


def test_lengths_are_not_looked_at_again_once_all_is_finished(make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch):
    study = make_study()

    def looked(*_: Any, **__: Any) -> None:
        raise AssertionError("the lengths were looked at")

    monkeypatch.setattr(plan_module, "check_lengths_of", looked)
    plan_module.plan(study.spec, finished=lambda run: True)
    with pytest.raises(AssertionError):
        plan_module.plan(study.spec, finished=lambda run: run.arm.name == "lora")
