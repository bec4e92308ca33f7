"""EWC: the Fisher information by hand, what a distance costs, and that a task is forgotten less for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from luthier.core.errors import LuthierError
from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.objectives.supervised import Supervised
from luthier.regularisers.ewc import EWC, fisher
from luthier.regularisers.regulariser import NoRegulariser
from tests.families import attach_to, family_batch, family_data, family_rows
from tests.regularisers.sequence import goes_on_bit_for_bit, then_b
from tests.training.small import differing, weights


@pytest.mark.parametrize("family", ["bert", "llama", "t5"])
def test_the_fisher_is_the_mean_of_each_examples_squared_gradient(family: str) -> None:
    model, rows = attach_to(family, Full()), family_rows(family, 5)
    wanted = {name: torch.zeros_like(parameter) for name, parameter in model.named_parameters()}
    units = 0
    for row in rows:
        batch = family_batch(model, [row])
        model.zero_grad()
        Supervised().loss(model, batch).backward()
        units += len(batch.targets)
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                wanted[name] += parameter.grad**2
    model.zero_grad()
    found = fisher(model, Supervised(), family_data(model, rows, batch_size=1), examples=100)
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, wanted[name] / units, rtol=1e-4, atol=1e-9)
    assert all(parameter.grad is None for parameter in model.parameters())
    fewer = fisher(model, Supervised(), family_data(model, rows, batch_size=1), examples=2)
    assert any(not torch.equal(fewer[name], found[name]) for name in found)


def test_several_examples_in_a_batch_are_refused() -> None:
    model = attach_to("llama", LoRA())
    with pytest.raises(ValueError, match="one by one"):
        fisher(model, Supervised(), family_data(model, family_rows("llama", 4), batch_size=4), examples=4)


def test_costs_what_the_retained_loss_depends_on() -> None:
    """Of LoRA at its start, B matters and A does not."""
    model = attach_to("llama", LoRA())
    data = family_data(model, family_rows("llama", 4), batch_size=1)
    restraint = EWC(strength=2.0).begin(model, method=LoRA(), objective=Supervised(), retained=data)
    stiffness = fisher(model, Supervised(), data, examples=4)
    batch = family_batch(model, family_rows("llama", 2))
    for part, matters in (("lora_A", False), ("lora_B", True)):
        moved = [name for name in stiffness if part in name]
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in moved:
                    parameter += 0.1
        penalty = restraint.penalty(model, model, batch, 0)
        wanted = 0.5 * 2.0 * sum(float(stiffness[name].sum()) for name in moved) * 0.1**2
        assert penalty is not None and penalty.item() == pytest.approx(wanted, rel=1e-4)
        assert (wanted > 0) == matters


def test_at_strength_one_it_is_what_the_retained_loss_rises_by() -> None:
    """To second order, and in the mean over directions: near a minimum the Fisher is the curvature."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 4)
    inputs = torch.randn(4000, 3)
    with torch.no_grad():
        targets = torch.distributions.Categorical(logits=model(inputs)).sample()

    class Rows:
        steps_per_epoch = len(inputs)

        def step(self, epoch: int, index: int) -> list[Row]:
            return [Row(index)]

    class Row:
        def __init__(self, index: int):
            self.example_ids, self.index = ("one",), index

        def to(self, device: torch.device) -> Row:
            return self

    class Likelihood:
        def loss(self, model: torch.nn.Module, row: Row) -> torch.Tensor:
            return torch.nn.functional.cross_entropy(model(inputs[row.index]), targets[row.index])

        def units(self, row: Row) -> int:
            return 1

    restraint = EWC(strength=1.0, examples=4000).begin(model, method=None, objective=Likelihood(), retained=Rows())
    start = weights(model)
    before = float(torch.nn.functional.cross_entropy(model(inputs), targets))
    rises, penalties = 0.0, 0.0
    for _ in range(200):
        for name, parameter in model.named_parameters():
            parameter.data = start[name] + 0.05 * torch.randn_like(parameter)
        rises += float(torch.nn.functional.cross_entropy(model(inputs), targets)) - before
        penalty = restraint.penalty(model, model, None, 0)  # type: ignore[arg-type]
        assert penalty is not None
        penalties += penalty.item()
    assert penalties == pytest.approx(rises, rel=0.15)


@pytest.mark.parametrize(("method", "rate"), [(Full(), 1e-3), (LoRA(), 1e-2)], ids=["full", "lora"])
def test_less_of_the_task_before_is_forgotten(method: Method, rate: float) -> None:
    free, held = (
        then_b(method, regulariser, learning_rate=rate)
        for regulariser in (NoRegulariser(), EWC(strength=1000.0, examples=16))
    )
    assert held.on_a < free.on_a - 0.1
    assert held.on_b > free.on_b


def test_strength_zero_is_none() -> None:
    free, untouched = (then_b(Full(), regulariser, steps=3) for regulariser in (NoRegulariser(), EWC(strength=0.0)))
    assert not differing(weights(free.model), weights(untouched.model))


def test_without_anything_to_retain_it_says_so() -> None:
    model = attach_to("llama", LoRA())
    with pytest.raises(LuthierError, match="ewc has nothing that is not to be forgotten") as caught:
        EWC().begin(model, method=LoRA(), objective=Supervised(), retained=None)
    assert "retain" in str(caught.value.mend)


@pytest.mark.parametrize(
    ("family", "method"),
    [("bert", Full()), ("t5", PromptTuning()), ("llama", LoRA(dropout=0.2))],
    ids=["bert-full", "t5-prompt_tuning", "llama-lora"],
)
def test_an_interrupted_training_goes_on_bit_for_bit(family: str, method: Method, tmp_path: Path) -> None:
    goes_on_bit_for_bit(family, method, EWC(strength=1000.0, examples=3), tmp_path)
