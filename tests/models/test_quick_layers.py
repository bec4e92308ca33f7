"""Norms and gates in fewer passes: the same outputs and gradients."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from luthier.models import quick_layers
from luthier.models.anatomy import anatomy_of
from luthier.models.quick_layers import quicken
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
    quicken(quick)
    changed = [type(module).__name__ for module in quick.modules() if type(module).__name__.startswith("Quick")]
    norms = [name for name in changed if "Norm" in name]
    assert len(norms) == len(anatomy_of(model).norms) == len(anatomy_of(quick).norms)
    assert len(changed) - len(norms) == (0 if family == "t5" else model.config.num_hidden_layers)
    mine, plain = answers(quick, ids, **more), answers(model, ids, **more)
    assert mine.keys() == plain.keys()
    for name, value in plain.items():
        assert float((mine[name] - value).abs().max()) <= 1e-5 * max(1.0, float(value.abs().max())), name


def test_a_gate_of_many_pieces_is_one_of_one() -> None:
    torch.manual_seed(0)
    gate, up = (torch.randn(2, 300, 704, requires_grad=True) for _ in range(2))
    mine, found = (
        (output, *torch.autograd.grad(output.square().sum(), (gate, up)))
        for output in (quick_layers._Gate.apply(gate, up), torch.nn.functional.silu(gate) * up)  # type: ignore[no-untyped-call]
    )
    torch.testing.assert_close(mine, found, atol=1e-5, rtol=1e-5)


def test_other_norms_and_narrower_types_are_left_alone() -> None:
    gpt2 = decoder("gpt2")
    quicken(gpt2)
    assert not any(type(module).__name__.startswith("Quick") for module in gpt2.modules())
    llama = decoder("llama").bfloat16().eval()
    ids = torch.arange(20, 30)[None]
    before = llama(input_ids=ids).logits
    quicken(llama)
    assert torch.equal(llama(input_ids=ids).logits, before)
