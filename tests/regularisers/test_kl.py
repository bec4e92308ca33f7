"""KL: the divergence by hand, whose answers are the base's, and that a task is forgotten less for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from luthier.core.errors import LuthierError
from luthier.methods.additive.adapter import Adapter
from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.objectives.supervised import Supervised
from luthier.regularisers.kl import KL
from luthier.regularisers.regulariser import NoRegulariser
from tests.families import attach_to, family_batch, family_model, family_rows, logits
from tests.regularisers.sequence import goes_on_bit_for_bit, then_b
from tests.training.small import differing, weights


@pytest.mark.parametrize("family", ["llama", "t5"])
@pytest.mark.parametrize("method", [Full(), LoRA(), PromptTuning()], ids=lambda method: method.name)
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_is_the_divergence_from_the_base_at_the_scored_positions(
    family: str, method: Method, temperature: float
) -> None:
    rows = family_rows(family, 3)
    kept = logits(family_model(family), rows).double()
    model = attach_to(family, method)
    batch = family_batch(model, rows)
    restraint = KL(strength=3.0, temperature=temperature).begin(
        model, method=method, objective=Supervised(), retained=None
    )
    if method.starts_at_base:
        at_start = restraint.penalty(model, model, batch, 0)
        assert at_start is not None and at_start.item() == pytest.approx(0.0, abs=1e-5)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.02 * torch.randn_like(parameter)
    before, required = weights(model), [parameter.requires_grad for parameter in model.parameters()]
    now = logits(model, rows).double()
    penalty = restraint.penalty(model.train(), model, batch, 1)
    assert penalty is not None and model.training
    base, moved = (torch.log_softmax(values / temperature, dim=-1) for values in (kept, now))
    wanted = (base.exp() * (base - moved)).sum(dim=-1).mean()
    assert penalty.item() == pytest.approx(3.0 * temperature**2 * float(wanted), rel=1e-3)
    assert float(wanted) > 1e-4
    assert not differing(weights(model), before)
    assert [parameter.requires_grad for parameter in model.parameters()] == required
    penalty.backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters() if p.requires_grad)


def test_a_graph_that_waits_for_its_backward_pass_is_left_alone() -> None:
    rows = family_rows("llama", 3)
    gradients = []
    for regulariser in (KL(strength=1e-12), NoRegulariser()):
        model = attach_to("llama", Full())
        batch = family_batch(model, rows)
        restraint = regulariser.begin(model, method=Full(), objective=Supervised(), retained=None)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter *= 1.1
        loss = Supervised().loss(model, batch)
        penalty = restraint.penalty(model, model, batch, 0)
        (loss if penalty is None else loss + penalty).backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for held, free in zip(*gradients, strict=True):
        torch.testing.assert_close(held, free, rtol=1e-5, atol=1e-7)


def test_the_base_answers_without_dropout() -> None:
    method = LoRA(dropout=0.5)
    rows = family_rows("llama", 3)
    model = attach_to("llama", method)
    restraint = KL().begin(model, method=method, objective=Supervised(), retained=None)
    penalty = restraint.penalty(model.train(), model, family_batch(model, rows), 0)
    assert penalty is not None and penalty.item() == pytest.approx(0.0, abs=1e-5)  # B is zero, whatever A is given


def test_what_cannot_be_disabled_keeps_the_answers_that_it_started_with() -> None:
    class Stuck(Adapter):
        def disabled(self, model: object) -> object:  # type: ignore[override]
            raise NotImplementedError

    rows = family_rows("llama", 3)
    model = attach_to("llama", Stuck())
    batch = family_batch(model, rows)
    restraint = KL().begin(model, method=Stuck(), objective=Supervised(), retained=None)
    at_start = restraint.penalty(model, model, batch, 0)
    assert at_start is not None and at_start.item() == pytest.approx(0.0, abs=1e-5)


def test_an_encoder_is_refused() -> None:
    model = attach_to("bert", Full())
    with pytest.raises(LuthierError, match="an encoder has none before its head is trained"):
        KL().begin(model, method=Full(), objective=Supervised(), retained=None)


@pytest.mark.parametrize(("method", "rate"), [(Full(), 1e-3), (LoRA(), 1e-2)], ids=["full", "lora"])
def test_less_of_the_task_before_is_forgotten(method: Method, rate: float) -> None:
    free, held = (
        then_b(method, regulariser, learning_rate=rate) for regulariser in (NoRegulariser(), KL(strength=10.0))
    )
    assert held.on_a < free.on_a - 0.1


def test_strength_zero_is_none() -> None:
    free, untouched = (then_b(Full(), regulariser, steps=3) for regulariser in (NoRegulariser(), KL(strength=0.0)))
    assert not differing(weights(free.model), weights(untouched.model))


@pytest.mark.parametrize(
    ("family", "method"),
    [("t5", PromptTuning()), ("llama", LoRA(dropout=0.2))],
    ids=["t5-prompt_tuning", "llama-lora"],
)
def test_an_interrupted_training_goes_on_bit_for_bit(family: str, method: Method, tmp_path: Path) -> None:
    goes_on_bit_for_bit(family, method, KL(), tmp_path)
