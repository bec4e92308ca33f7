"""AdaLoRA: the ranks really fall, the penalty is peft's, and an interrupted training goes on bit by bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from luthier.methods.method import trainable
from luthier.methods.reparameterised.adalora import AdaLoRA
from tests.families import attach_to, family_batch, family_data, family_model, family_rows, logits
from tests.training.small import ALWAYS, Fitted, InterruptionError, differing, fit, weights

METHOD = AdaLoRA(rank=6, target=2)
MATRICES = 14
"""Of the tiny Llama."""


def sitting(model: Any, steps: int = 12, method: AdaLoRA = METHOD, **settings: Any) -> Fitted:
    data = family_data(model, family_rows("llama", 16))
    settings = {"validations": 0, "checkpoint_minutes": ALWAYS, **settings}
    return fit(model, data, method, learning_rate=1e-2, steps=steps, **settings)


def left(model: Any) -> int:
    """Singular values that are not zero."""
    return sum(int(value.count_nonzero()) for name, value in model.named_parameters() if "lora_E" in name)


def test_the_ranks_fall_to_the_target() -> None:
    model, seen = attach_to("llama", METHOD), []
    sitting(model, watch=lambda phase, step: seen.append(left(model)))
    # A tenth of 12 steps at full rank, half of them at the target.
    assert seen[0] == 6 * MATRICES
    assert seen[1] < 6 * MATRICES and sorted(seen, reverse=True) == seen
    assert all(count > 2 * MATRICES for count in seen[:4])
    assert seen[5:] == [2 * MATRICES] * 7
    ranks = {sum(kept) for kept in model.peft_config["default"].rank_pattern.values()}
    assert len(ranks) > 1  # shared out by need, not evenly


def test_the_penalty_is_that_of_pefts_own_loss() -> None:
    model = attach_to("llama", METHOD)
    with torch.no_grad():
        for parameter in trainable(model):
            parameter.add_(0.1)
    batch = family_batch(model, family_rows("llama", 2))
    ids = batch.input_ids
    plain = model.base_model.model(input_ids=ids, labels=ids).loss
    peft_s = model(input_ids=ids, labels=ids).loss
    penalty = METHOD.penalty(model)
    assert penalty is not None and penalty.requires_grad
    torch.testing.assert_close(penalty, peft_s - plain, atol=1e-4, rtol=1e-4)
    assert AdaLoRA(orthogonality=0).penalty(model) is None


@pytest.mark.parametrize("done", [4, 6, 9], ids=["falling", "as it ends", "after"])
def test_the_rest_is_bit_equal(done: int, tmp_path: Path) -> None:
    whole = sitting(attach_to("llama", METHOD))
    with pytest.raises(InterruptionError):
        sitting(attach_to("llama", METHOD), interrupt_at=done + 1, checkpoints=tmp_path)
    rest = sitting(attach_to("llama", METHOD, seed=9), checkpoints=tmp_path)
    assert rest.losses == whole.losses[done:]
    assert not differing(weights(rest.model), weights(whole.model))
    assert METHOD.stored(rest.model) == METHOD.stored(whole.model)


def test_what_is_saved_has_the_ranks_that_are_left(tmp_path: Path) -> None:
    model, rows = attach_to("llama", METHOD), family_rows("llama", 4, seed=1)
    sitting(model)
    METHOD.save(model, tmp_path)
    held = load_file(tmp_path / "adapter_model.safetensors")
    assert sum(len(value) for name, value in held.items() if "lora_E" in name) == 2 * MATRICES
    saved = sum(value.numel() for value in held.values())
    assert saved == METHOD.stored(model) < sum(parameter.numel() for parameter in trainable(model)) / 2
    # Under a name, too, that stands in those of the modules.
    loaded = METHOD.load(family_model("llama"), tmp_path, "a")
    loaded = METHOD.load(loaded, tmp_path, "layers")
    METHOD.switch(loaded, "a")
    torch.testing.assert_close(logits(loaded, rows), logits(model, rows), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_few_steps_are_enough(steps: int) -> None:
    model = attach_to("llama", METHOD)
    sitting(model, steps)
    assert left(model) == 2 * MATRICES


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"rank": 8, "target": 8}, "less than `rank`"), ({"warmup": 0.5, "final": 0.5}, "leave no steps")],
)
def test_settings_that_leave_nothing_to_share_out(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        AdaLoRA(**settings)
