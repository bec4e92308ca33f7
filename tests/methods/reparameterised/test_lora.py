"""LoRA's scale, LoRA+'s rates, PiSSA's start and what it saves, DoRA's lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from luthier.core.errors import LuthierError
from luthier.methods.method import trainable
from luthier.methods.reparameterised.dora import DoRA
from luthier.methods.reparameterised.lora import LoRA
from tests.families import attach_to, family_data, family_model, family_rows, logits
from tests.training.small import fit, weights

PISSA = LoRA(initialise="pissa", rank=4)


def trained(family: str, method: Any, steps: int = 6) -> Any:
    model = attach_to(family, method)
    data = family_data(model, family_rows(family, 8))
    fit(model, data, method, learning_rate=1e-3, steps=steps, validations=0)
    return model


@pytest.mark.parametrize(
    ("method", "scale"),
    [
        (LoRA(), 2.0),
        (LoRA(rank=32), 2.0),
        (LoRA(rank=16, alpha=8), 0.5),
        (LoRA(rslora=True), 2.0),
        (LoRA(rank=32, rslora=True), 1.0),
        (LoRA(rank=16, alpha=8, rslora=True), 2.0),
        (DoRA(rank=32, rslora=True), 1.0),
    ],
    ids=lambda value: value.label() if isinstance(value, LoRA | DoRA) else str(value),
)
def test_what_the_update_is_multiplied_by(method: LoRA | DoRA, scale: float) -> None:
    assert method.scaling == pytest.approx(scale)
    layer = attach_to("llama", method).base_model.model.model.layers[0].mlp.up_proj
    assert layer.scaling["default"] == pytest.approx(scale)


def test_plus_gives_b_a_rate_of_its_own() -> None:
    model = attach_to("bert", LoRA(plus=16))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rest, b = LoRA(plus=16).parameter_groups(model, 1e-4)
    assert (rest["lr"], b["lr"]) == (1e-4, 16 * 1e-4)
    assert all("lora_B" in names[id(parameter)] for parameter in b["params"])
    others = {names[id(parameter)] for parameter in rest["params"]}
    assert not [name for name in others if "lora_B" in name]
    assert [name for name in others if "classifier" in name] and [name for name in others if "lora_A" in name]
    assert len(LoRA().parameter_groups(model, 1e-4)) == 1


def test_pissa_starts_from_the_largest_singular_values() -> None:
    plain = family_model("llama").model.layers[0].mlp.up_proj.weight.detach()
    layer = attach_to("llama", PISSA).base_model.model.model.layers[0].mlp.up_proj
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    residual = layer.base_layer.weight
    torch.testing.assert_close(residual + PISSA.scaling * b @ a, plain)
    values = torch.linalg.svdvals(plain)
    torch.testing.assert_close(torch.linalg.svdvals(residual)[0], values[4], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.linalg.svdvals(PISSA.scaling * b @ a)[:4], values[:4], atol=1e-4, rtol=1e-4)


def test_pissa_draws_nothing() -> None:
    first, second = (weights(attach_to("llama", PISSA, seed)) for seed in (0, 1))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize(
    ("method", "family"),
    [(PISSA, "gpt2"), (PISSA, "bert"), (LoRA(initialise="pissa", rank=4, rslora=True), "t5")],
    ids=["gpt2", "bert", "t5 with rslora"],
)
def test_what_pissa_saves_is_a_plain_lora_on_the_untouched_base(method: LoRA, family: str, tmp_path: Path) -> None:
    model = trained(family, method)
    rows = family_rows(family, 4, seed=1)
    expected, plain = logits(model, rows), logits(family_model(family), rows)
    method.save(model, tmp_path)
    held = load_file(tmp_path / "adapter_model.safetensors")
    assert sum(value.numel() for value in held.values()) == method.stored(model)
    assert all(value.shape[0] == 8 for name, value in held.items() if "lora_A" in name)
    loaded = LoRA().load(family_model(family), tmp_path)
    torch.testing.assert_close(logits(loaded, rows), expected, atol=2e-5, rtol=2e-5)
    assert not torch.allclose(expected, plain, atol=1e-3)
    before = family_model(family).state_dict()
    for name, value in loaded.base_model.model.state_dict().items():
        if name.endswith("base_layer.weight"):
            assert torch.equal(value, before[name.replace(".base_layer", "")])
    if family != "bert":  # whose head goes with the adapter
        with method.disabled(loaded):
            assert torch.equal(logits(loaded, rows), plain)


def test_pissa_wants_as_many_singular_values_as_its_rank() -> None:
    with pytest.raises(LuthierError, match="a matrix has 32 singular values"):
        attach_to("llama", LoRA(initialise="pissa", rank=65))


def test_dora_trains_the_lengths_too() -> None:
    model = attach_to("llama", DoRA(targets="up_proj"))
    layer = model.base_model.model.model.layers[0].mlp.up_proj
    lengths = layer.lora_magnitude_vector["default"].weight
    torch.testing.assert_close(lengths, layer.base_layer.weight.norm(dim=1))
    assert any(parameter is lengths for parameter in trainable(model))
