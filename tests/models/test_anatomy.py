"""The parts of a model: its layers, its matrices by role, its norms, in every family."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from luthier.core.errors import LuthierError
from luthier.methods.reparameterised.lora import LoRA
from luthier.models.anatomy import anatomy_of
from luthier.models.families import FAMILIES
from tests.families import attach_to, family_model

# Layers by stack, matrices of attention, all other matrices, norms; by hand from the tiny models' configs.
PARTS = {
    "bert": ([2], 2 * 4, 2 * 2, 1 + 2 * 2),
    "roberta": ([2], 2 * 4, 2 * 2, 1 + 2 * 2),
    "gpt2": ([2], 2 * 2, 2 * 2, 2 * 2 + 1),
    "bloom": ([2], 2 * 2, 2 * 2, 1 + 2 * 2 + 1),
    "llama": ([2], 2 * 4, 2 * 3, 2 * 2 + 1),
    "mistral": ([2], 2 * 4, 2 * 3, 2 * 2 + 1),
    "gemma": ([2], 2 * 4, 2 * 3, 2 * 2 + 1),
    "t5": ([2, 3], 2 * 4 + 3 * 8, (2 + 3) * 3, 2 * 2 + 1 + 3 * 3 + 1),
    "bart": ([2, 3], 2 * 4 + 3 * 8, (2 + 3) * 2, 1 + 2 * 2 + 1 + 3 * 3),
}


def test_every_family_is_here() -> None:
    assert PARTS.keys() == FAMILIES.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_parts_are_counted_right(family: str) -> None:
    found = anatomy_of(family_model(family))
    stacks, attention, mlp, norms = PARTS[family]
    assert [len(stack) for stack in found.stacks] == stacks
    assert len(found.of_role("attention")) == attention
    assert len(found.of_role("mlp")) == mlp
    assert len(found.of_role("attention", "mlp")) == len(found.linears) == attention + mlp
    assert len(found.norms) == norms


@pytest.mark.parametrize("family", FAMILIES)
def test_names_are_those_of_modules_with_weights(family: str) -> None:
    model = family_model(family)
    found = anatomy_of(model)
    for name in (*found.linears, *found.norms):
        assert model.get_submodule(name).weight.ndim == (2 if name in found.linears else 1)
    assert all(any(name.startswith(f"{layer}.") for layer in found.layers) for name in found.linears)
    assert not {name for name in found.linears if "pooler" in name or "classifier" in name or "lm_head" in name}


@pytest.mark.parametrize("family", FAMILIES)
def test_what_no_part_holds_are_embeddings_heads_and_what_t5_adds_for_distances(family: str) -> None:
    model = family_model(family)
    found = anatomy_of(model)
    held = {*found.linears, *found.norms}
    rest = {name.rpartition(".")[0] for name, _ in model.named_parameters()} - held
    assert all(any(word in name for word in ("embed", "wte", "wpe", "shared", "lm_head", "classifier", "pooler",
                                             "relative_attention_bias")) for name in rest), rest  # fmt: skip


def test_the_encoder_comes_before_the_decoder_and_the_bottom_before_the_top() -> None:
    encoder, decoder = anatomy_of(family_model("t5")).stacks
    assert encoder == ("encoder.block.0", "encoder.block.1")
    assert decoder == ("decoder.block.0", "decoder.block.1", "decoder.block.2")


def test_it_looks_into_a_model_within_peft() -> None:
    plain, wrapped = anatomy_of(family_model("llama")), anatomy_of(attach_to("llama", LoRA(rank=2)))
    assert [layer.removeprefix("base_model.model.") for layer in wrapped.layers] == list(plain.layers)


def test_a_model_without_attention_is_refused() -> None:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])

        def forward(self, x: torch.Tensor) -> Any:
            return x

    with pytest.raises(LuthierError, match="no layers with attention in them were found in Deep"):
        anatomy_of(Deep())
