"""L2-SP: what a distance costs, and that a task is forgotten less for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.models.head import head_weights
from luthier.objectives.supervised import Supervised
from luthier.regularisers.l2_sp import L2SP
from luthier.regularisers.regulariser import NoRegulariser
from tests.families import attach_to, family_batch, family_rows
from tests.regularisers.sequence import goes_on_bit_for_bit, then_b
from tests.training.small import differing, weights


def test_is_half_the_strength_times_the_squared_distance() -> None:
    model = attach_to("llama", LoRA())
    batch = family_batch(model, family_rows("llama", 2))
    restraint = L2SP(strength=3.0).begin(model, method=LoRA(), objective=Supervised(), retained=None)
    at_start = restraint.penalty(model, model, batch, 0)
    assert at_start is not None and at_start.item() == 0.0
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with torch.no_grad():
        for parameter in trained:
            parameter += 0.02
    penalty = restraint.penalty(model, model, batch, 1)
    assert penalty is not None
    count = sum(parameter.numel() for parameter in trained)
    assert penalty.item() == pytest.approx(0.5 * 3.0 * count * 0.02**2, rel=1e-4)
    penalty.backward()
    for parameter in trained:
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, torch.full_like(parameter, 3.0 * 0.02), rtol=1e-4, atol=1e-7)


def test_a_head_that_starts_as_random_numbers_is_left_free() -> None:
    model = attach_to("bert", Full())
    restraint = L2SP().begin(model, method=Full(), objective=Supervised(), retained=None)
    with torch.no_grad():
        for parameter in head_weights(model).values():
            parameter += 1.0
    penalty = restraint.penalty(model, model, family_batch(model, family_rows("bert", 2)), 0)
    assert penalty is not None and penalty.item() == 0.0


@pytest.mark.parametrize(
    ("method", "rate", "strength"), [(Full(), 1e-3, 10.0), (LoRA(), 1e-2, 1.0)], ids=["full", "lora"]
)
def test_less_of_the_task_before_is_forgotten(method: Method, rate: float, strength: float) -> None:
    free, held = (
        then_b(method, regulariser, learning_rate=rate) for regulariser in (NoRegulariser(), L2SP(strength=strength))
    )
    assert held.on_a < free.on_a - 0.1
    assert held.on_b > free.on_b


def test_strength_zero_is_none() -> None:
    free, untouched = (then_b(Full(), regulariser, steps=3) for regulariser in (NoRegulariser(), L2SP(strength=0.0)))
    assert not differing(weights(free.model), weights(untouched.model))


@pytest.mark.parametrize(
    ("family", "method"),
    [("bert", Full()), ("t5", PromptTuning()), ("llama", LoRA(dropout=0.2))],
    ids=["bert-full", "t5-prompt_tuning", "llama-lora"],
)
def test_an_interrupted_training_goes_on_bit_for_bit(family: str, method: Method, tmp_path: Path) -> None:
    goes_on_bit_for_bit(family, method, L2SP(strength=1.0), tmp_path)
