"""Replay: how much of what is read, with which weight, and that a task is forgotten less for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.core.errors import LuthierError
from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.objectives.supervised import Supervised
from luthier.regularisers.regulariser import NoRegulariser
from luthier.regularisers.replay import Replay
from tests.families import attach_to
from tests.regularisers.sequence import TASK_A, TASK_B, goes_on_bit_for_bit, held, then_b
from tests.training.small import attached, differing, supervised_data, weights


@pytest.mark.parametrize(("share", "rows"), [(0.2, 2), (0.5, 8), (0.01, 1), (0.75, 24)])
def test_a_share_of_what_a_step_reads_is_retained(share: float, rows: int) -> None:
    assert Replay(share=share).retained_rows(8) == rows


@pytest.mark.parametrize("most_tokens", [40, 100_000])
def test_a_step_goes_by_both_losses_each_with_its_weight(most_tokens: int) -> None:
    model = attached(Full())
    data, retained = (supervised_data(rows[:8], most_tokens=most_tokens) for rows in (TASK_B, TASK_A))
    wanted = [torch.zeros_like(parameter) for parameter in model.parameters()]
    for source, weight in ((data, 1.0), (retained, 0.4 / 0.6)):
        batches = source.step(0, 0)
        units = sum(len(batch.targets) for batch in batches)
        for batch in batches:
            found = torch.autograd.grad(Supervised().loss(model, batch), list(model.parameters()))
            for total, gradient in zip(wanted, found, strict=True):
                total += weight * gradient / units
    seen: list[torch.Tensor] = []

    class Looks(Full):
        def after_step(self, model: Any, step: int) -> None:
            seen.extend(parameter.grad.clone() for parameter in model.parameters())

    trained = held(model, data, Looks(), Replay(share=0.4), retained, steps=1, clip=1e9)
    for gradient, total in zip(seen, wanted, strict=True):
        torch.testing.assert_close(gradient, total, rtol=1e-4, atol=1e-6)
    read = [batch for source in (data, retained) for batch in source.step(0, 0)]
    assert trained.tokens == sum(batch.tokens for batch in read)


def test_what_is_replayed_is_a_matter_of_the_step_alone() -> None:
    retained = supervised_data(TASK_A[:6], batch_size=2)
    first, second = (
        Replay().begin(attach_to("llama", LoRA()), method=LoRA(), objective=Supervised(), retained=retained)
        for _ in range(2)
    )
    forwards = [_names(first.replayed(step)) for step in range(6)]
    assert forwards == [_names(second.replayed(step)) for step in reversed(range(6))][::-1]
    for epoch in (forwards[:3], forwards[3:]):
        assert sorted(name for names in epoch for name in names) == sorted(row.example_id for row in TASK_A[:6])
    assert forwards[:3] != forwards[3:]


def _names(batches: Any) -> list[str]:
    return [name for batch in batches for name in batch.example_ids]


@pytest.mark.parametrize(("method", "rate"), [(Full(), 1e-3), (LoRA(), 1e-2)], ids=["full", "lora"])
def test_less_of_the_task_before_is_forgotten(method: Method, rate: float) -> None:
    free, rehearsed = (then_b(method, regulariser, learning_rate=rate) for regulariser in (NoRegulariser(), Replay()))
    assert rehearsed.on_a < free.on_a - 0.1
    assert rehearsed.trained.tokens > 1.15 * free.trained.tokens


def test_share_zero_is_none() -> None:
    free, untouched = (then_b(Full(), regulariser, steps=3) for regulariser in (NoRegulariser(), Replay(share=0.0)))
    assert not differing(weights(free.model), weights(untouched.model))
    assert free.trained.tokens == untouched.trained.tokens


def test_without_anything_to_retain_it_says_so() -> None:
    with pytest.raises(LuthierError, match="replay has nothing that is not to be forgotten"):
        Replay().begin(attach_to("llama", LoRA()), method=LoRA(), objective=Supervised(), retained=None)


@pytest.mark.parametrize(
    ("family", "method"),
    [("bert", Full()), ("t5", PromptTuning()), ("llama", LoRA(dropout=0.2))],
    ids=["bert-full", "t5-prompt_tuning", "llama-lora"],
)
def test_an_interrupted_training_goes_on_bit_for_bit(family: str, method: Method, tmp_path: Path) -> None:
    goes_on_bit_for_bit(family, method, Replay(), tmp_path)
