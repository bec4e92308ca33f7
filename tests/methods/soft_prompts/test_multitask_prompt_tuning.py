"""Multitask prompt tuning: a factor for each task of a mixture, one prompt that answers, and the stage that follows."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from luthier.core.errors import LuthierError
from luthier.methods.soft_prompts.multitask_prompt_tuning import MultitaskPromptTuning
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.models.row_tasks import rows_of_tasks
from luthier.objectives.supervised import Supervised
from tests.families import attach_to, family_batch, family_data, family_model, family_rows, logits
from tests.training.small import fit

V = 3
METHOD = MultitaskPromptTuning(virtual_tokens=V)
FAMILIES = ("bert", "llama", "t5")
every_kind = pytest.mark.parametrize("family", FAMILIES)


def mixed(family: str, count: int = 8) -> list[Any]:
    """Rows of tasks `a` and `b`, in turns."""
    return [replace(row, task="ab"[place % 2]) for place, row in enumerate(family_rows(family, count))]


def trained(family: str, rows: Sequence[Any] | None = None, method: MultitaskPromptTuning = METHOD) -> Any:
    model = attach_to(family, method)
    data = family_data(model, rows or mixed(family))
    fit(model, data, method, learning_rate=0.1, steps=4, validations=0)
    return model


def prompts_of(model: Any) -> Any:
    return model.prompt_encoder["default"]


@every_kind
def test_each_task_of_a_mixture_has_a_factor_of_its_own(family: str) -> None:
    model = trained(family)
    prompts = prompts_of(model)
    assert prompts.tasks == ("a", "b")
    factors = prompts.prefix_task_cols @ prompts.prefix_task_rows
    with rows_of_tasks(["b", "a", "b"]):
        rows = model.get_prompt(3)
    for row, task in zip(rows, (1, 0, 1), strict=True):
        torch.testing.assert_close(row, prompts.embedding.weight * factors[task])
    assert not torch.allclose(rows[0], rows[1], atol=1e-3)


@every_kind
def test_a_task_learns_from_its_own_rows_alone(family: str) -> None:
    model = attach_to(family, METHOD)
    rows = mixed(family)
    METHOD.survey(model, family_data(model, rows), Supervised())
    Supervised().loss(model, family_batch(model, [row for row in rows if row.task == "b"])).backward()
    prompts = prompts_of(model)
    for factor in (prompts.prefix_task_cols, prompts.prefix_task_rows):
        assert not factor.grad[0].any() and factor.grad[1].all()
    assert prompts.embedding.weight.grad.any()


@every_kind
def test_rows_of_a_batch_do_not_touch_each_other(family: str) -> None:
    model, rows = trained(family), mixed(family, 4)
    torch.testing.assert_close(
        logits(model, rows), torch.cat([logits(model, [row]) for row in rows]), atol=1e-4, rtol=1e-4
    )
    told_otherwise = [replace(row, task="a") for row in rows]
    assert not torch.allclose(logits(model, told_otherwise), logits(model, rows), atol=1e-4)


@every_kind
def test_one_prompt_answers_and_plain_prompt_tuning_can_read_it(family: str, tmp_path: Path) -> None:
    model, rows = trained(family), family_rows(family, 4, seed=1)
    METHOD.save(model, tmp_path)
    source = load_file(tmp_path / "source.safetensors")
    assert {name: tuple(value.shape) for name, value in source.items()} == {
        "shared": (V, 64), "columns": (2, V, 1), "rows": (2, 1, 64)
    }  # fmt: skip
    expected = source["shared"] * (source["columns"] @ source["rows"]).mean(dim=0)
    for method in (METHOD, PromptTuning()):
        loaded = method.load(family_model(family), tmp_path)
        torch.testing.assert_close(loaded.prompt_encoder["default"].embedding.weight, expected)
        torch.testing.assert_close(logits(loaded, rows), logits(model, rows), atol=1e-5, rtol=1e-5)


def test_a_task_alone_is_what_answers() -> None:
    model = trained("llama", family_rows("llama", 8))
    assert prompts_of(model).tasks == ("",)
    with rows_of_tasks([""]):
        told = model.get_prompt(1)
    assert torch.equal(told, model.get_prompt(1))


@every_kind
def test_a_second_stage_goes_on_from_the_first(family: str, tmp_path: Path) -> None:
    METHOD.save(trained(family), tmp_path)
    source, base = load_file(tmp_path / "source.safetensors"), family_model(family)
    settled = METHOD.settle(METHOD.load(base, tmp_path), tmp_path)
    assert type(settled) is type(family_model(family))
    assert settled.state_dict().keys() == family_model(family).state_dict().keys()
    torch.manual_seed(0)
    for method in (METHOD, METHOD.model_copy(update={"transfer": "shared"})):
        begun = prompts_of(method.attach(copy.deepcopy(settled), None))
        assert torch.equal(begun.embedding.weight, source["shared"])
        mean = torch.allclose(begun.prefix_task_cols, source["columns"].mean(dim=0, keepdim=True))
        assert mean == (method is METHOD)
    fresh = prompts_of(METHOD.attach(family_model(family), None))
    assert not torch.equal(fresh.embedding.weight, source["shared"])


def test_the_head_of_the_first_stage_goes_along(tmp_path: Path) -> None:
    model = trained("bert")
    METHOD.save(model, tmp_path)
    settled = METHOD.settle(METHOD.load(family_model("bert"), tmp_path), tmp_path)
    (head,) = (w for n, w in model.named_parameters() if n.endswith("classifier.modules_to_save.default.weight"))
    assert torch.equal(settled.classifier.weight, head)
    again = attach_of(settled)
    assert {name for name, weights in again.named_parameters() if weights.requires_grad} == {
        name for name, weights in model.named_parameters() if weights.requires_grad
    }


def attach_of(settled: Any) -> Any:
    return METHOD.attach(settled, None)


def test_stages_of_other_sizes_do_not_go_together(tmp_path: Path) -> None:
    METHOD.save(trained("llama"), tmp_path)
    for settings in ({"virtual_tokens": V + 1}, {"virtual_tokens": V, "rank": 2}):
        settled = METHOD.settle(METHOD.load(family_model("llama"), tmp_path), tmp_path)
        with pytest.raises(LuthierError, match="of another size"):
            MultitaskPromptTuning(**settings).attach(settled, None)
    (tmp_path / "source.safetensors").unlink()
    with pytest.raises(LuthierError, match="no such file"):
        METHOD.settle(METHOD.load(family_model("llama"), tmp_path), tmp_path)


def test_it_goes_on_from_a_checkpoint_bit_by_bit(tmp_path: Path) -> None:
    from tests.training.small import ALWAYS, InterruptionError

    def run(**settings: Any) -> Any:
        model = attach_to("llama", METHOD)
        data = family_data(model, mixed("llama"), batch_size=4)
        return fit(model, data, METHOD, learning_rate=0.1, steps=6, validations=0, **settings)

    whole = run()
    with pytest.raises(InterruptionError):
        run(checkpoints=tmp_path, checkpoint_minutes=ALWAYS, interrupt_at=4)
    resumed = run(checkpoints=tmp_path, checkpoint_minutes=ALWAYS)
    for name, value in prompts_of(whole.model).weights().items():
        assert torch.equal(value, prompts_of(resumed.model).weights()[name])
