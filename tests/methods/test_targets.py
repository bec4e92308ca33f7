"""Matrices by role and by name, on every family of models."""

from __future__ import annotations

import pytest

from luthier.core.errors import LuthierError
from luthier.methods.targets import target_names
from luthier.models.families import FAMILIES
from luthier.models.head import head_parts
from tests.families import family_model

MATRICES = {
    # attention, feed-forward
    "bert": (2 * 4, 2 * 2),
    "roberta": (2 * 4, 2 * 2),
    "gpt2": (2 * 2, 2 * 2),
    "bloom": (2 * 2, 2 * 2),
    "llama": (2 * 4, 2 * 3),
    "mistral": (2 * 4, 2 * 3),
    "gemma": (2 * 4, 2 * 3),
    "t5": (2 * 4 + 3 * 8, 5 * 3),
    "bart": (2 * 4 + 3 * 8, 5 * 2),
}
"""Of the tiny models: two layers, and three in the decoders of encoder-decoders, with cross-attention."""


@pytest.mark.parametrize("family", FAMILIES)
def test_roles_share_out_the_matrices_of_the_layers(family: str) -> None:
    model = family_model(family)
    attention, mlp = (target_names(model, role) for role in ("attention", "mlp"))
    assert (len(attention), len(mlp)) == MATRICES[family]
    every = target_names(model, "all-linear")
    assert sorted(every) == sorted((*attention, *mlp)) and target_names(model, "all") == every
    assert all(model.get_submodule(name).weight.ndim == 2 for name in every)
    outside = ("embed", "shared", "lm_head", "score", "classifier", "pooler", "wte", "wpe")
    assert not [name for name in every if any(part in name for part in outside)]


def test_names_are_full_names_or_their_ends() -> None:
    model = family_model("llama")
    assert target_names(model, "q_proj") == [f"model.layers.{layer}.self_attn.q_proj" for layer in range(2)]
    assert target_names(model, "model.layers.1.mlp.up_proj") == ["model.layers.1.mlp.up_proj"]
    assert target_names(model, ("v_proj", "layers.0.self_attn.q_proj")) == [
        "model.layers.0.self_attn.q_proj",
        "model.layers.0.self_attn.v_proj",
        "model.layers.1.self_attn.v_proj",
    ]
    assert len(target_names(model, ("attention", "down_proj"))) == 2 * 4 + 2


def test_a_head_is_not_meant_by_a_name_that_its_modules_share() -> None:
    """RoBERTa's head has a `dense` too."""
    model = family_model("roberta")
    assert head_parts(model) == ("classifier",) and hasattr(model.classifier, "dense")
    found = target_names(model, "dense")
    assert len(found) == 2 * 3 and not [name for name in found if name.startswith("classifier")]


@pytest.mark.parametrize("targets", ["q_prj", ("q_proj", "c_attn"), "proj"])
def test_a_name_of_nothing_is_told_beside_those_of_the_model(targets: str | tuple[str, ...]) -> None:
    with pytest.raises(LuthierError) as told:
        target_names(family_model("llama"), targets)
    assert repr(targets if isinstance(targets, str) else targets[-1]) in str(told.value)
    assert "q_proj" in str(told.value.mend) and told.value.exit_code == 2


@pytest.mark.parametrize("targets", [(), "", "input_layernorm", "embed_tokens", "self_attn"])
def test_what_is_no_linear_layer_is_refused(targets: str | tuple[str, ...]) -> None:
    with pytest.raises(LuthierError) as told:
        target_names(family_model("llama"), targets)
    assert told.value.exit_code == 2 and told.value.mend
