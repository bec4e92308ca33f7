"""LoRA's fused layer: peft's numbers, and peft's own way wherever more is asked of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from peft.tuners.lora.layer import Linear

from luthier.methods.reparameterised import fused_lora
from luthier.methods.reparameterised.dora import DoRA
from luthier.methods.reparameterised.fused_lora import FusedLinear
from luthier.methods.reparameterised.lora import LoRA
from tests.models.decoders import decoder

IDS = torch.arange(20, 60)[None]


def both(model: Any) -> tuple[Any, Any]:
    """The model with fused layers, and a copy with peft's."""
    plain = copy.deepcopy(model)
    for module in plain.modules():
        if type(module) is FusedLinear:
            module.__class__ = Linear
    return model, plain


def answers(model: Any) -> dict[str, torch.Tensor]:
    model.zero_grad()
    logits = model(input_ids=IDS).logits
    logits.square().mean().backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return {"logits": logits.detach(), **gradients}


def attached(family: str, method: Any) -> Any:
    torch.manual_seed(0)
    model = method.attach(decoder(family), None)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_B" in name:
                weights.normal_(std=0.2)
    return model


@pytest.fixture(autouse=True)
def _few_tokens_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_lora, "FEWEST_TOKENS", 8)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_equals_peft(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fused, plain = both(attached(family, LoRA(rank=3)))
    called = []
    monkeypatch.setattr(Linear, "forward", lambda *args, **kwargs: called.append(args))
    mine = answers(fused)
    assert not called
    monkeypatch.undo()
    theirs = answers(plain)
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        worst = float((mine[name] - value).abs().max() / value.abs().max())
        assert worst < 1e-5, name


def test_what_is_merged_or_disabled_is_so() -> None:
    model = attached("llama", LoRA(rank=3))
    alone = answers(model)["logits"]
    with model.disable_adapter():
        base = model(input_ids=IDS).logits
    assert not torch.allclose(alone, base)
    torch.testing.assert_close(base, decoder("llama")(input_ids=IDS).logits)
    model.merge_adapter()
    torch.testing.assert_close(model(input_ids=IDS).logits, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("method", [DoRA(rank=3), LoRA(rank=3, dropout=0.5)], ids=["dora", "dropout"])
def test_what_is_more_than_the_plain_update_is_left_to_peft(method: Any) -> None:
    model = attached("llama", method).train()
    mine, theirs = both(model)
    torch.manual_seed(1)
    first = mine(input_ids=IDS).logits
    torch.manual_seed(1)
    assert torch.equal(first, theirs(input_ids=IDS).logits)


def test_under_autocast_it_is_left_to_peft() -> None:
    mine, theirs = both(attached("llama", LoRA(rank=3)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(mine(input_ids=IDS).logits, theirs(input_ids=IDS).logits)


def test_few_tokens_are_left_to_peft(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_lora, "FEWEST_TOKENS", 41)
    mine, theirs = both(attached("llama", LoRA(rank=3)))
    assert torch.equal(mine(input_ids=IDS).logits, theirs(input_ids=IDS).logits)


def test_what_is_hooked_is_left_to_peft() -> None:
    model = attached("llama", LoRA(rank=3))
    seen: list[torch.Size] = []
    layer = model.get_submodule("base_model.model.model.layers.0.self_attn.q_proj")
    layer.lora_A["default"].register_forward_hook(lambda module, args, output: seen.append(output.shape))
    model(input_ids=IDS)
    assert seen == [torch.Size([1, 40, 3])]
