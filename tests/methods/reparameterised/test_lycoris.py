"""LoHa and LoKr are what their equations say, on GPT-2's transposed matrices too."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from luthier.methods.method import Method, trainable
from luthier.methods.reparameterised.loha import LoHa
from luthier.methods.reparameterised.lokr import LoKr
from tests.contracts.cells import Cell, disturbed
from tests.families import family_model, family_rows, logits


def layer_of(method: Method, family: str, name: str) -> tuple[Any, Any]:
    """The adapted matrix of that name, moved away from where it starts, and what peft adds to it."""
    layer = disturbed(Cell(method, family)).base_model.model.get_submodule(name)
    return layer, layer.get_delta_weight("default")


def test_loha_is_the_entrywise_product_of_two_products() -> None:
    layer, update = layer_of(LoHa(rank=4, alpha=2), "llama", "model.layers.0.mlp.up_proj")
    b1, a1, b2, a2 = (getattr(layer, f"hada_{part}")["default"] for part in ("w1_a", "w1_b", "w2_a", "w2_b"))
    assert b1.shape == b2.shape == (128, 4) and a1.shape == a2.shape == (4, 64)
    torch.testing.assert_close(update, 2 / 4 * (b1 @ a1) * (b2 @ a2))
    assert torch.linalg.matrix_rank(update) > 4


@pytest.mark.parametrize(("factor", "small", "large"), [(None, (8, 8), (16, 8)), (4, (4, 4), (32, 16))])
def test_lokr_is_a_kronecker_product(factor: int | None, small: tuple[int, int], large: tuple[int, int]) -> None:
    layer, update = layer_of(LoKr(factor=factor), "llama", "model.layers.0.mlp.up_proj")
    c = layer.lokr_w1["default"]
    if factor is None:  # rank 8 is half of 16: one full matrix
        other = layer.lokr_w2["default"]
    else:
        other = layer.lokr_w2_a["default"] @ layer.lokr_w2_b["default"]
        assert layer.lokr_w2_a["default"].shape[1] == 8
    assert (c.shape, other.shape) == (small, large)
    torch.testing.assert_close(update, torch.kron(c, other))


def test_lokr_on_a_square_matrix_of_64_trains_128() -> None:
    layer, _ = layer_of(LoKr(), "llama", "model.layers.0.self_attn.q_proj")
    assert sum(parameter.numel() for parameter in trainable(layer)) == 8 * 8 + 8 * 8


@pytest.mark.parametrize("method", [LoHa(), LoKr()], ids=lambda method: method.name)
def test_gpt2_gets_its_transposed_matrices_back(method: Method) -> None:
    model, rows = disturbed(Cell(method, "gpt2")), family_rows("gpt2", 4)
    expected, plain = logits(model, rows), family_model("gpt2")
    merged = method.merge(model)
    assert {name: value.shape for name, value in merged.state_dict().items()} == {
        name: value.shape for name, value in plain.state_dict().items()
    }
    torch.testing.assert_close(logits(merged, rows), expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(expected, logits(plain, rows), atol=1e-2)
