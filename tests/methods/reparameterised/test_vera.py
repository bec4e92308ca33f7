"""VeRA: its shared matrices come from a key alone, and are not saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from luthier.core.errors import LuthierError
from luthier.methods.method import trainable
from luthier.methods.reparameterised.vera import VeRA
from tests.contracts.cells import Cell, disturbed
from tests.families import attach_to, family_model, family_rows, logits

METHOD = VeRA(rank=16)


def shared(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return model.base_model.vera_A["default"], model.base_model.vera_B["default"]


def test_the_shared_matrices_depend_on_the_key_alone() -> None:
    first, again, other = (
        shared(attach_to("llama", method, seed))
        for method, seed in ((METHOD, 0), (METHOD, 1), (VeRA(rank=16, key=1), 0))
    )
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    # As they were drawn when this was written: an adapter that was saved then must mean the same now.
    assert first[0][0, :3].tolist() == FIRST_THREE


FIRST_THREE = [-0.0016209441237151623, 0.11614344269037247, -0.17819449305534363]


@pytest.mark.parametrize(
    ("family", "largest"), [("gpt2", (256, 256)), ("llama", (128, 128)), ("t5", (128, 128)), ("bloom", (256, 256))]
)
def test_they_are_as_large_as_the_largest_matrix(family: str, largest: tuple[int, int]) -> None:
    a, b = shared(attach_to(family, METHOD))
    assert (a.shape, b.shape) == ((16, largest[0]), (largest[1], 16))


def test_an_update_is_what_the_equation_says() -> None:
    model = disturbed(Cell(METHOD, "llama"))
    layer, (a, b) = model.base_model.model.model.layers[0].mlp.up_proj, shared(model)
    scale_b, scale_d = layer.vera_lambda_b["default"], layer.vera_lambda_d["default"]
    expected = torch.diag(scale_b) @ b[:128] @ torch.diag(scale_d) @ a[:, :64]
    torch.testing.assert_close(layer.get_delta_weight("default"), expected)
    assert sum(parameter.numel() for parameter in trainable(layer)) == 128 + 16


def test_what_is_saved_is_what_was_trained_and_no_more(tmp_path: Path) -> None:
    model, rows = disturbed(Cell(METHOD, "gpt2")), family_rows("gpt2", 4)
    METHOD.save(model, tmp_path)
    held = load_file(tmp_path / "adapter_model.safetensors")
    assert not [name for name in held if "vera_A" in name or "vera_B" in name]
    assert sum(value.numel() for value in held.values()) == METHOD.stored(model)
    torch.manual_seed(123)
    assert torch.equal(logits(METHOD.load(family_model("gpt2"), tmp_path), rows), logits(model, rows))


@pytest.mark.parametrize("other", [VeRA(rank=16, key=1), VeRA(rank=24), VeRA(rank=16, targets="q_proj")])
def test_two_on_one_base_want_the_same_shared_matrices(other: VeRA, tmp_path: Path) -> None:
    rows, expected = family_rows("llama", 4), {}
    for name, method in (("first", METHOD), ("second", other)):
        model = disturbed(Cell(method, "llama"))
        expected[name] = logits(model, rows)
        method.save(model, tmp_path / name)
    model = METHOD.load(family_model("llama"), tmp_path / "first", "first")
    if other.key:
        with pytest.raises(LuthierError, match="must be the same for all adapters"):
            other.load(model, tmp_path / "second", "second")
    else:
        model = other.load(model, tmp_path / "second", "second")
        assert torch.equal(logits(model, rows), expected["second"])
    METHOD.switch(model, "first")
    assert torch.equal(logits(model, rows), expected["first"])
