"""Quantised layers: which, how large, how near, and that training goes through them whatever was evaluated before."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from bitsandbytes.nn import Linear4bit, Linear8bitLt
from torch import nn

from luthier.core.errors import LuthierError
from luthier.models.anatomy import anatomy_of
from luthier.models.families import FAMILIES
from luthier.models.load import find_model, load_model
from luthier.models.quantise import Bits, quantise, quantised, stored_bytes
from luthier.planner.four_bit import BITS_A_WEIGHT
from tests.families import family_model, family_rows, logits

BITS: tuple[Bits, ...] = ("nf4", "int8")
every_bits = pytest.mark.parametrize("bits", BITS)


def made(family: str, bits: Bits) -> Any:
    model = family_model(family)
    quantise(model, bits)
    return model


def share_of_bf16(model: Any) -> float:
    layers = list(quantised(model))
    return sum(stored_bytes(layer) for layer in layers) / sum(
        2 * layer.in_features * layer.out_features for layer in layers
    )


@every_bits
@pytest.mark.parametrize("family", FAMILIES)
def test_every_linear_layer_within_the_layers_and_nothing_else(family: str, bits: Bits) -> None:
    plain, model = family_model(family), made(family, bits)
    names = {name for name, module in model.named_modules() if isinstance(module, Linear4bit | Linear8bitLt)}
    assert names == set(anatomy_of(plain).linears)
    before = dict(plain.named_parameters())
    for name, parameter in model.named_parameters():
        owner, _, leaf = name.rpartition(".")
        if owner not in names or leaf == "bias":
            assert torch.equal(parameter, before[name])
    assert not any(module.training for module in model.modules())


@every_bits
@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_answers_nearly_as_before_and_the_same_each_time(family: str, bits: Bits) -> None:
    plain, model, again = family_model(family), made(family, bits), made(family, bits)
    draw = torch.Generator().manual_seed(0)
    for name in anatomy_of(plain).linears:
        layer = model.get_submodule(name)
        hidden = torch.randn(5, layer.in_features, generator=draw)
        with torch.no_grad():
            before, after = plain.get_submodule(name)(hidden), layer(hidden)
            assert torch.equal(after, again.get_submodule(name)(hidden))
        assert 0 < (after - before).norm() / before.norm() < (0.15 if bits == "nf4" else 0.03)


def test_nf4_takes_a_quarter_of_the_bytes_of_bf16() -> None:
    """With double quantisation 4.127 bits a weight, and two tables of values, 1,088 bytes and the mean, a layer."""
    model = load_model(find_model("house/decoder"))
    quantise(model, "nf4")
    assert share_of_bf16(model) <= 0.27
    layer = _wide("nf4")
    tables = 4 * (16 + 256 + 1)
    assert stored_bytes(layer) == 1024 * 1024 * BITS_A_WEIGHT / 8 + tables
    assert stored_bytes(layer) / (2 * 1024 * 1024) == pytest.approx(0.258, abs=1e-3)


def test_int8_takes_half() -> None:
    assert stored_bytes(_wide("int8")) == 1024 * 1024 + 4 * 1024


def _wide(bits: Bits) -> Any:
    from luthier.models.quantise import _eight_bits, _four_bits

    weight = torch.randn(1024, 1024, generator=torch.Generator().manual_seed(0))
    return _four_bits(weight) if bits == "nf4" else _eight_bits(weight)


def test_nf4_is_what_the_equation_says() -> None:
    """Blocks of 64, each scaled to its largest weight, rounded to the nearest of 16 values; scales to 8 bits."""
    from bitsandbytes.functional import dequantize_4bit

    layer = _wide("nf4")
    weight = torch.randn(1024, 1024, generator=torch.Generator().manual_seed(0))
    blocks = weight.view(-1, 64)
    scale = blocks.abs().amax(dim=1, keepdim=True)
    code = layer.weight.quant_state.code
    nearest = code[(blocks / scale).unsqueeze(-1).sub(code).abs().argmin(dim=-1)] * scale
    whole = dequantize_4bit(layer.weight.data, layer.weight.quant_state).view(-1, 64)
    assert float((whole - nearest).abs().max() / scale.max()) < 0.02  # what the second quantisation takes


@every_bits
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_gradients_flow_after_an_evaluation(family: str, bits: Bits) -> None:
    """bitsandbytes repacks four-bit weights at an evaluation on some CPUs, and all gradients are zero from then on."""
    model = made(family, bits)
    assert all(not layer.support_avx512bf16_for_cpu for layer in quantised(model) if isinstance(layer, Linear4bit))
    kept = [layer.weight.data.clone() for layer in quantised(model)]
    expected = _gradient(model)
    logits(model, family_rows(family, 4))
    assert all(torch.equal(layer.weight.data, data) for layer, data in zip(quantised(model), kept, strict=True))
    again = _gradient(model)
    assert bool(again.abs().sum() > 0)
    assert torch.equal(again, expected)


def _gradient(model: Any) -> torch.Tensor:
    """The gradient of the embeddings: it comes through every layer."""
    model.train()
    table = model.get_input_embeddings().weight
    table.grad = None
    ids = torch.arange(20, 36)[None]
    model(input_ids=ids, labels=ids).loss.backward()
    model.eval()
    return table.grad.clone()


@every_bits
def test_the_gradient_is_that_of_the_weights_made_whole(bits: Bits) -> None:
    model = made("llama", bits)
    layer = model.model.layers[0].mlp.up_proj
    hidden = torch.randn(3, layer.in_features, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with torch.no_grad():
        unit = layer(torch.eye(layer.in_features)) if bits == "nf4" else layer.weight.data.T * layer.weight.SCB / 127
    weights = torch.randn(3, layer.out_features, generator=torch.Generator().manual_seed(1))
    (layer(hidden) * weights).sum().backward()
    torch.testing.assert_close(hidden.grad, weights @ unit.T, atol=1e-3, rtol=1e-3)


@every_bits
def test_moving_and_copying_leave_it_as_it_is(bits: Bits) -> None:
    rows, model = family_rows("llama", 4), made("llama", bits)
    expected = logits(model, rows)
    for other in (model.to("cpu"), copy.deepcopy(model), copy.deepcopy(model).to("cpu")):
        assert torch.equal(logits(other, rows), expected)


@every_bits
def test_a_model_that_is_quantised_already_is_refused(bits: Bits) -> None:
    with pytest.raises(LuthierError, match="is quantised already: its weights are int8"):
        quantise(made("llama", bits), "nf4")


def test_half_precision_is_quantised_too() -> None:
    model = family_model("llama").to(torch.bfloat16)
    quantise(model, "nf4")
    assert isinstance(model.lm_head, nn.Linear) and not isinstance(model.lm_head, Linear4bit)
    assert torch.isfinite(logits(model, family_rows("llama", 4))).all()
