"""Soft prompts in a flat row: losses and gradients equal those of peft's padded rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from luthier.methods.method import Method
from luthier.methods.peft_method import Peft
from luthier.methods.soft_prompts.multitask_prompt_tuning import MultitaskPromptTuning
from luthier.methods.soft_prompts.p_tuning import PTuning
from luthier.methods.soft_prompts.p_tuning_v2 import PTuningV2
from luthier.methods.soft_prompts.prefix_tuning import PrefixTuning
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.models.batch import Batch, flat_batch, padded_batch
from luthier.models.flat import use_flat_attention
from luthier.models.forward import inference, scored_logits
from luthier.models.likelihood import likelihoods
from luthier.models.tokens import Encoded
from tests.models.decoders import decoder, token_rows

V = 5
FAMILIES = ("llama", "mistral", "mistral-window", "gemma", "gpt2")
METHODS: tuple[Method, ...] = (
    PromptTuning(virtual_tokens=V),
    PTuning(virtual_tokens=V),
    MultitaskPromptTuning(virtual_tokens=V),
    PrefixTuning(virtual_tokens=V),
    PTuningV2(virtual_tokens=V),
    Peft(type="cpt"),
    Peft(type="cartridge", settings={"num_virtual_tokens": V}),
)
ROWS = [
    Encoded(str(index), tuple(ids), prompt, task="ab"[index % 2])
    for index, (ids, prompt) in enumerate(zip(token_rows((19, 3, 11, 11, 26)), (12, 1, 4, 9, 20), strict=True))
]


def prompted(method: Method, family: str = "llama") -> Any:
    """A model that takes flat rows, with a prompt that changes what it says, another one for each of two tasks."""
    model = decoder(family)
    assert use_flat_attention(model)
    torch.manual_seed(1)
    model = method.attach(model, None)
    if isinstance(method, MultitaskPromptTuning):
        model.prompt_encoder["default"].tell_apart(["a", "b"])
    with torch.no_grad():
        for weights in model.prompt_encoder.parameters():
            weights.add_(torch.randn_like(weights) * 0.3)
    return model


def learnt(model: Any, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits, and the gradients of all that is trained."""
    model.train().zero_grad()
    logits = scored_logits(model, batch)
    cross_entropy(logits, batch.targets).backward()
    return logits.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def check(method: Method, family: str) -> None:
    model = prompted(method, family)
    padded, expected = learnt(model, padded_batch(ROWS, pad_id=0))
    flat, gradients = learnt(model, flat_batch(ROWS))
    torch.testing.assert_close(flat, padded, atol=1e-5, rtol=1e-5)
    assert gradients.keys() == expected.keys() and gradients
    for name, gradient in gradients.items():
        scale = float(expected[name].abs().max())
        assert scale > 0
        torch.testing.assert_close(gradient, expected[name], atol=1e-5 * scale, rtol=1e-4, msg=name)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.label())
def test_flat_equals_padded(method: Method) -> None:
    check(method, "llama")


@pytest.mark.parametrize("method", [METHODS[0], METHODS[4]], ids=lambda method: method.name)
@pytest.mark.parametrize("family", FAMILIES[1:])
def test_it_does_in_every_family(family: str, method: Method) -> None:
    check(method, family)


def test_sequences_have_the_prompts_of_their_tasks() -> None:
    """And the one that stands for all where tasks are not known."""
    model = prompted(METHODS[2])
    with inference(model):
        told, swapped, untold = (
            scored_logits(model, flat_batch([replace(row, task=task or row.task) for row in ROWS])).clone()
            for task in ("", "a", "elsewhere")
        )
        nameless = scored_logits(model, replace(flat_batch(ROWS), tasks=())).clone()
    of_a = torch.tensor([row.task == "a" for row in ROWS for _ in row.ids[row.prompt_length :]])
    torch.testing.assert_close(told[of_a], swapped[of_a], atol=1e-6, rtol=1e-6)
    assert (told - swapped)[~of_a].abs().max() > 0.01
    assert (told - untold).abs().max() > 0.01
    torch.testing.assert_close(nameless, untold, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("method", [METHODS[0], METHODS[4]], ids=lambda method: method.name)
def test_every_position_where_none_is_chosen(method: Method) -> None:
    model, batch = prompted(method), flat_batch(ROWS)
    with inference(model):
        every = scored_logits(model, replace(batch, scored=None))
        assert len(every) == batch.tokens
        torch.testing.assert_close(every[batch.scored], scored_logits(model, batch), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", [METHODS[0], METHODS[4]], ids=lambda method: method.name)
def test_disabled_the_flat_row_is_the_bases_own(method: Method) -> None:
    model, base = prompted(method), decoder("llama")
    use_flat_attention(base)
    with inference(base), inference(model):
        before = scored_logits(model, flat_batch(ROWS)).clone()
        with method.disabled(model):
            assert torch.equal(scored_logits(model, flat_batch(ROWS)), scored_logits(base, flat_batch(ROWS)))
        assert torch.equal(scored_logits(model, flat_batch(ROWS)), before)


@pytest.mark.parametrize("method", [METHODS[0], METHODS[4]], ids=lambda method: method.name)
def test_likelihoods(method: Method) -> None:
    model = prompted(method)
    flat, padded = (likelihoods(model, ROWS, flat=flat, pad_id=0) for flat in (True, False))
    assert [count for _, count in flat] == [count for _, count in padded]
    assert [value for value, _ in flat] == pytest.approx([value for value, _ in padded], rel=1e-5)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.label())
def test_rows_are_flat_on_decoders_alone(method: Method) -> None:
    assert [method.flat_on(kind) for kind in ("decoder", "encoder", "encoder-decoder")] == [True, False, False]
