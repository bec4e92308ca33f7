"""Norms in fewer passes: the same outputs and gradients."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from luthier.models.anatomy import anatomy_of
from luthier.models.quick_norms import quicken_norms
from tests.models.decoders import decoder
from tests.models.encoder_decoders import encoder_decoder


def answers(model: Any, ids: torch.Tensor, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    logits = model(input_ids=ids, **more).logits
    logits.square().mean().backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {"logits": logits.detach(), **gradients}


@pytest.mark.parametrize("family", ["llama", "mistral", "t5"])
def test_equal_outputs_and_gradients(family: str) -> None:
    ids = torch.arange(20, 50)[None]
    model = (encoder_decoder(family) if family == "t5" else decoder(family)).eval()
    more = {"decoder_input_ids": ids[:, :5]} if family == "t5" else {}
    quick = copy.deepcopy(model)
    quicken_norms(quick)
    changed = [type(module).__name__ for module in quick.modules() if type(module).__name__.startswith("Quick")]
    assert len(changed) == len(anatomy_of(model).norms) == len(anatomy_of(quick).norms)
    mine, plain = answers(quick, ids, **more), answers(model, ids, **more)
    assert mine.keys() == plain.keys()
    for name, value in plain.items():
        assert float((mine[name] - value).abs().max()) <= 1e-5 * max(1.0, float(value.abs().max())), name


def test_other_norms_and_narrower_types_are_left_alone() -> None:
    gpt2 = decoder("gpt2")
    quicken_norms(gpt2)
    assert not any(type(module).__name__.startswith("Quick") for module in gpt2.modules())
    llama = decoder("llama").bfloat16().eval()
    ids = torch.arange(20, 30)[None]
    before = llama(input_ids=ids).logits
    quicken_norms(llama)
    assert torch.equal(llama(input_ids=ids).logits, before)
