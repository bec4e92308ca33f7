"""IA3: the paper's three vectors in every family, and what they rescale."""

from __future__ import annotations

import pytest
import torch

from luthier.core.errors import LuthierError
from luthier.methods.additive.ia3 import IA3, _rescaled
from luthier.models.families import FAMILIES
from tests.families import attach_to, family_model

EXPECTED = {
    **dict.fromkeys(("bert", "roberta"), ({"key", "value"}, {"output.dense"})),
    "gpt2": ({"attn.c_attn"}, {"mlp.c_proj"}),
    "bloom": ({"query_key_value"}, {"dense_4h_to_h"}),
    **dict.fromkeys(("llama", "mistral", "gemma"), ({"k_proj", "v_proj"}, {"down_proj"})),
    "t5": ({"SelfAttention.k", "SelfAttention.v", "EncDecAttention.k", "EncDecAttention.v"}, {"wo"}),
    "bart": ({"k_proj", "v_proj"}, {"fc2"}),
}
"""Keys and values (fused with the queries in two families), and the feed-forward's last matrix."""


@pytest.mark.parametrize("family", FAMILIES)
def test_it_finds_keys_values_and_the_feed_forwards_last_matrix(family: str) -> None:
    model = family_model(family)
    scaled, feed_forward = _rescaled(model)
    for names, ends in zip((scaled, feed_forward), EXPECTED[family], strict=True):
        assert {next((end for end in ends if name.endswith(f".{end}")), name) for name in names} == ends
    depth = {"t5": 2 + 3, "bart": 2 + 3}.get(family, 2)
    assert len(feed_forward) == depth
    attentions = depth + (3 if family in ("t5", "bart") else 0)
    assert len(scaled) == attentions * (1 if family in ("gpt2", "bloom") else 2)
    assert not any("attention.output" in name for name in feed_forward)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_it_rescales_outputs_of_the_one_and_inputs_of_the_other(family: str) -> None:
    model = attach_to(family, IA3())
    scaled, feed_forward = _rescaled(family_model(family))
    draw = torch.Generator().manual_seed(0)
    for name in (scaled[0], feed_forward[0]):
        layer = model.base_model.model.get_submodule(name)
        hidden = torch.randn(2, 5, layer.in_features, generator=draw)
        with torch.no_grad():
            vector = layer.ia3_l["default"].normal_(generator=draw).flatten()
            plain = layer.base_layer
            expected = plain(hidden) * vector if name == scaled[0] else plain(hidden * vector)
            torch.testing.assert_close(layer(hidden), expected)
            assert len(vector) == (layer.out_features if name == scaled[0] else layer.in_features)


def test_a_model_without_layers_of_a_known_name_is_refused() -> None:
    model = family_model("llama")
    for layer in model.model.layers:
        del layer.mlp
    with pytest.raises(LuthierError, match="no key and value matrices, or no feed-forward"):
        IA3().attach(model, None)
