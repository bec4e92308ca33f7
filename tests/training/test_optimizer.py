"""Optimizers and schedules: who decays, who goes to Muon, and the rate at every step by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from luthier.core.training_settings import TrainingSettings
from luthier.methods.full import Full
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.training.muon import Muon
from luthier.training.optimizer import build_optimizers, rate_factor, set_rate
from tests.training.small import attached


def factors(steps: int, **settings: Any) -> list[float]:
    return [rate_factor(step, steps, TrainingSettings(**settings)) for step in range(steps)]


class TestSchedule:
    def test_constant_after_warm_up(self) -> None:
        assert factors(8, schedule="constant", warmup=0.5) == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]

    def test_linear_to_zero(self) -> None:
        assert factors(5, schedule="linear", warmup=0.2) == pytest.approx([1, 1, 0.75, 0.5, 0.25])

    def test_cosine_to_a_tenth(self) -> None:
        found = factors(5, schedule="cosine", warmup=0.2)
        half = math.sqrt(0.5)  # cosines of 0, 45, 90 and 135 degrees
        assert found == pytest.approx([1, 0.1 + 0.9, 0.1 + 0.45 * (1 + half), 0.55, 0.1 + 0.45 * (1 - half)])
        assert factors(10_000, schedule="cosine")[-1] == pytest.approx(0.1, abs=1e-6)

    def test_warm_up_stable_decay(self) -> None:
        found = factors(10, schedule="warmup_stable_decay", warmup=0.2, decay=0.4)
        assert found == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])

    @pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "warmup_stable_decay"])
    @pytest.mark.parametrize("steps", [1, 2, 7])
    def test_no_step_is_wasted_and_none_goes_beyond_the_peak(self, schedule: str, steps: int) -> None:
        assert all(0 < factor <= 1 for factor in factors(steps, schedule=schedule, warmup=0.3))
        assert factors(steps, schedule=schedule, warmup=0)[0] == 1

    def test_the_rate_is_the_peak_times_the_factor_in_every_group(self) -> None:
        a, b = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2, 2))
        groups = [{"params": [a], "lr": 0.4}, {"params": [b], "lr": 0.1}]
        optimizers = build_optimizers(groups, torch.nn.Module(), TrainingSettings())
        for factor in (0.5, 1.0, 0.25):  # from the peak each time, not from the rate before
            assert set_rate(optimizers, factor) == pytest.approx(0.1 * factor)
            assert [group["lr"] for group in optimizers[0].param_groups] == pytest.approx([0.4 * factor, 0.1 * factor])


def decays(optimizers: list[torch.optim.Optimizer], model: Any) -> dict[str, float]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: group["weight_decay"]
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_weight_decay_is_for_matrices_alone() -> None:
    model = attached(Full(), family="gpt2")
    found = decays(
        build_optimizers(Full().parameter_groups(model, 1e-3), model, TrainingSettings(weight_decay=0.1)), model
    )
    assert found.keys() == dict(model.named_parameters()).keys()
    matrices = {name for name, value in found.items() if value == 0.1}
    assert {value for name, value in found.items() if name not in matrices} == {0.0}
    assert matrices == {
        f"transformer.h.{block}.{layer}.weight"
        for block in (0, 1)
        for layer in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    }  # no bias, no norm, neither the token's nor the position's embedding


def test_adapters_decay_and_virtual_tokens_do_not() -> None:
    for method, decay in ((LoRA(), 0.1), (PromptTuning(), 0.0)):
        model = attached(method)
        found = decays(
            build_optimizers(method.parameter_groups(model, 1e-3), model, TrainingSettings(weight_decay=0.1)), model
        )
        assert found and set(found.values()) == {decay}


def test_the_decay_is_decoupled() -> None:
    """A weight without a gradient's pull shrinks by exactly lr * decay."""
    matrix = torch.nn.Parameter(torch.full((2, 2), 3.0))
    settings = TrainingSettings(weight_decay=0.5)
    (optimizer,) = build_optimizers([{"params": [matrix], "lr": 0.1}], torch.nn.Module(), settings)
    matrix.grad = torch.zeros(2, 2)
    optimizer.step()
    torch.testing.assert_close(matrix.detach(), torch.full((2, 2), 3.0 * (1 - 0.1 * 0.5)))


def test_muon_takes_hidden_matrices() -> None:
    model = attached(Full())  # its head is not tied to its embedding
    settings = TrainingSettings(optimizer="muon", muon_learning_rate=0.05, weight_decay=0.1)
    muon, adamw = build_optimizers(Full().parameter_groups(model, 1e-3), model, settings)
    assert isinstance(muon, Muon) and isinstance(adamw, torch.optim.AdamW)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    hidden = {names[id(parameter)] for group in muon.param_groups for parameter in group["params"]}
    rest = {names[id(parameter)] for group in adamw.param_groups for parameter in group["params"]}
    assert rest == {name for name in names.values() if "norm" in name or "embed" in name or "lm_head" in name}
    assert hidden == set(names.values()) - rest
    assert len(hidden) == 2 * 7
    assert muon.param_groups[0]["peak"] == 0.05 and adamw.param_groups[0]["peak"] == 1e-3


def test_without_hidden_matrices_muon_is_left_out() -> None:
    model = attached(PromptTuning())
    optimizers = build_optimizers(
        PromptTuning().parameter_groups(model, 1e-3), model, TrainingSettings(optimizer="muon")
    )
    assert [type(optimizer) for optimizer in optimizers] == [torch.optim.AdamW]
